"""The test vectors that RFC 9180 was published with, from the package `cryptography-vectors` or `MLS_HPKE_VECTORS`."""

import functools
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.vector_files import find_data_file

Vector = dict[str, Any]

FILE = "test-vectors.json"

_MODE_BASE = 0
_EXPORT_ONLY = 0xFFFF


@functools.cache
def base_mode_vectors() -> list[Vector]:
    """The entries in base mode with an AEAD; MLS uses nothing else."""
    vectors: list[Vector] = json.loads(find_data_file(FILE, folders()).read_bytes())
    return [v for v in vectors if v["mode"] == _MODE_BASE and v["aead_id"] != _EXPORT_ONLY]


def folders() -> Iterator[Path]:
    """Where the file is looked for, in this order."""
    named = os.environ.get("MLS_HPKE_VECTORS")
    if named:
        yield Path(named)
    package = importlib.util.find_spec("cryptography_vectors")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "HPKE"
