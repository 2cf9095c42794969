"""The test vectors of RFC 9605, Appendix C: where they are looked for.

They are not part of this repository. In order: the file that `SFRAME_TEST_VECTORS` names; `test-vectors.json` in
`../shared/sframe-test-vectors` beside the project.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mls_federation.media import SFrameCipherSuite

Vector = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[2]
_BESIDE = _ROOT.parent / "shared" / "sframe-test-vectors" / "test-vectors.json"


def sframe_vectors(family: str) -> list[Vector]:
    """All entries of one family: `header`, `aes_ctr_hmac` or `sframe`. Those of suites that the RFC has not are left out.

    Without the file the test is skipped, in CI too: the RFC's vectors are not among those that every developer of this project has.
    """
    named = os.environ.get("SFRAME_TEST_VECTORS")
    file = Path(named) if named else _BESIDE
    if not file.is_file():
        pytest.skip(
            f"no test vectors of RFC 9605 at {file}; the environment's SFRAME_TEST_VECTORS says where they are. They are not part of "
            "what is shared for this project, so this is no failure in CI, either; all other tests of SFrame run"
        )
    known = {int(suite) for suite in SFrameCipherSuite}
    entries: list[Vector] = [
        entry for entry in json.loads(file.read_text())[family] if entry.get("cipher_suite", 1) in known
    ]
    assert entries, f"{file.name} has nothing of {family}"
    return entries
