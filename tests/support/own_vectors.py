"""The project's own test vectors, beside the tests: small, and always there.

`ours/` was made by `python -m mls_federation vectors --generate FAMILY`, with a `--suite` for each of `suites_of`.
"""

import json
from pathlib import Path
from typing import Any

from mls_federation.crypto import CipherSuite
from mls_federation.vectors import FAMILIES

FOLDER = Path(__file__).resolve().parents[1] / "vectors"

_SUITES = (
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
)


def suites_of(family: str) -> tuple[CipherSuite, ...]:
    """The cipher suites of a family's entries; the one that helped, where they are of none."""
    # What is done to a tree depends on the suite only in its hash, which is the same for all three.
    alone = not FAMILIES[family].by_suite or family == "tree-operations"
    return _SUITES[:1] if alone else _SUITES


def own_entries(family: str) -> list[dict[str, Any]]:
    """The entries of one family."""
    entries: list[dict[str, Any]] = json.loads((FOLDER / "ours" / f"{family}.json").read_text())
    return entries
