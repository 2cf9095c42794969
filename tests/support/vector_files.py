"""The official test vectors of RFC 9420: where they are looked for, and the proof that they are the right ones.

They are not part of this repository. In order: the folder that `MLS_TEST_VECTORS` names; `../shared/mls-test-vectors`
beside the project; `build/test-vectors`, which is filled by a shallow clone of the working group's repository.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.vectors import FAMILIES, Result, verify_entries

Vector = dict[str, Any]

REPOSITORY = "https://github.com/mlswg/mls-implementations"
COMMIT = "cfd450286d1bfd9cd2519b95c80f9771f94a5b1a"

# sha256sum test-vectors/*.json at that commit.
SHA256 = {
    "crypto-basics": "17cfcf89af9f51d0f2aa7af77f6f9ec99376a039214b6d42a6f11646b83e8c29",
    "deserialization": "1e394706e79f77df71454e5970f2aa736d4ab8b6c7e3219dd5609992388a953e",
    "key-schedule": "05aa9a68bd2538ace72d8c53375984cc728ef62220ebf314df675708546d97a7",
    "message-protection": "f7c1ae62ce63c3003e526d539c99f2b1444f65ee0a487d3a5667d46867526c45",
    "messages": "b194abe1561995223482dbad51c180146920dc2f637e74d01e07a388308791fb",
    "passive-client-handling-commit": "b24949fdf857bf79d511f57504a8bdc7ce3247eb199684745e439c11b1a1da21",
    "passive-client-welcome": "92ebb04b67b1aca4290965ae363650921842ceebe275bd79a2733414078d849c",
    "psk_secret": "2b534969dba0b65a04b7d790496af5c0ccdb472b3fc4ca25c8c82df3e8523784",
    "secret-tree": "08f92e6272452e2c832e32d38e16cf0c4aa28967e47d3842c60bc354c6b67a94",
    "transcript-hashes": "58046b58fbd98519b4e60953a105f550e4b427e2b140ea67dedcb751260eecb8",
    "tree-math": "27f04891f56106593b74b674445f01b845e173953770c084deb2f8cf5592e2fc",
    "tree-operations": "9a25f8720714d1256ba2dad8d83a660ba0bae0d33ed15c682b9d74a5d67aad0a",
    "tree-validation": "b66a432d93b520623f0640835ed43b9dfc95e116b8be081d81581d7c11e67a37",
    "treekem": "d8bbdf78394797f21db7476fd286af6830ebcb18d2e3b2c839fecd4eb11056f8",
    "welcome": "06be9d5c99817ef2545e4b15b8e73fd9b604685a8e55b59ca168eda98e236502",
}

_ROOT = Path(__file__).resolve().parents[2]
_BESIDE = _ROOT.parent / "shared" / "mls-test-vectors"
_CACHE = _ROOT / "build" / "test-vectors"
_CLONE_SECONDS = 120


def every_vector(file: str) -> list[Vector]:
    """All entries of one official file.

    A file that is not to be had skips the test, and fails it where `CI=true`; a file that differs from the working
    group's fails it anywhere.
    """
    vectors: list[Vector] = json.loads(_octets(file))
    assert vectors, f"{file}.json is empty"
    return vectors


def verify_all(file: str, family: str, provider: CryptoProvider) -> None:
    """Verify every entry of an official file, which must be of that family."""
    _verify(file, family, provider, list(enumerate(every_vector(file))))


def verify_suite(file: str, family: str, provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    """Verify every entry of an official file for one cipher suite. There must be one."""
    numbered = enumerate(every_vector(file))
    entries = [(number, vector) for number, vector in numbered if vector["cipher_suite"] == cipher_suite]
    assert entries, f"{file}.json has no entry for {cipher_suite.name}"
    _verify(file, family, provider, entries)


def _verify(file: str, family: str, provider: CryptoProvider, entries: list[tuple[int, Vector]]) -> None:
    result = verify_entries(provider, [vector for _, vector in entries])
    for failure in result.failures:
        number, _ = entries[failure.entry]
        failure.error.add_note(f"entry {number} of {file}.json")
        raise failure.error
    # Nothing in an official entry goes unread.
    assert all(vector.keys() == FAMILIES[family].keys for _, vector in entries)
    assert result == Result(family, passed=len(entries), failed=0, skipped=0, failures=())


def find_data_file(name: str, folders: Iterator[Path]) -> Path:
    """The first of `folders` that has the file; without one, fails in CI and skips elsewhere."""
    looked_at = []
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
        looked_at.append(str(folder))
    message = f"{name} was not found; looked in {', '.join(looked_at) or 'no folder: none is named'}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@functools.cache
def _octets(file: str) -> bytes:
    path = find_data_file(f"{file}.json", folders())
    octets = path.read_bytes()
    found = hashlib.sha256(octets).hexdigest()
    if found != SHA256[file]:
        pytest.fail(f"{path} is not the file of {REPOSITORY} at {COMMIT}: its SHA-256 is {found}")
    return octets


def folders() -> Iterator[Path]:
    """Where the files are looked for, in this order; the last is filled when it is asked for."""
    named = os.environ.get("MLS_TEST_VECTORS")
    if named:
        yield Path(named)
    yield _BESIDE
    # Only asked for when the others have not got the file.
    _fill_cache()
    yield _CACHE


@functools.cache
def _fill_cache() -> None:
    """Clone the official repository at its commit and keep the vector files; does nothing where that is not possible."""
    if _CACHE.is_dir() or sys.platform == "emscripten" or shutil.which("git") is None:
        return
    _CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE.parent) as folder:
        clone = Path(folder) / "clone"
        commands = [
            ["init", "--quiet", str(clone)],
            ["-C", str(clone), "fetch", "--quiet", "--depth=1", REPOSITORY, COMMIT],
            ["-C", str(clone), "checkout", "--quiet", "FETCH_HEAD", "--", "test-vectors"],
        ]
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        try:
            for command in commands:
                subprocess.run(
                    ["git", *command],
                    check=True,
                    capture_output=True,
                    env=environment,
                    timeout=_CLONE_SECONDS,
                )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return
        (clone / "test-vectors").rename(_CACHE)
