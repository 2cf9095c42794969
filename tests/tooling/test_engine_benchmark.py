"""The engine's benchmark: its floor never counts more than there is to do, and the script runs."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import pytest

from benchmarks import engine
from benchmarks.speed.floor import Encoded, fresh, full
from benchmarks.speed.operations import OPERATIONS
from benchmarks.speed.ours import OurSide
from benchmarks.speed.results import FLOOR
from dev.steps import SetupError
from mls_federation.crypto import KEM, SignatureScheme, SignedMessage
from mls_federation.crypto.pyca import PycaProvider

SIZES = (2, 3, 10, 13)
KINDS = ("sign", "verify", "encapsulate", "dh", "dh_public_key")


class CountingProvider(PycaProvider):
    """Counts its public-key operations."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def dh_public_key(self, kem: KEM, private_key: bytes) -> bytes:
        self.counts["dh_public_key"] += 1
        return super().dh_public_key(kem, private_key)

    def dh(self, kem: KEM, private_key: bytes, public_key: bytes) -> bytes:
        self.counts["dh"] += 1
        return super().dh(kem, private_key, public_key)

    def sign(self, scheme: SignatureScheme, private_key: bytes, message: bytes) -> bytes:
        self.counts["sign"] += 1
        return super().sign(scheme, private_key, message)

    def encapsulate_all(
        self, kem: KEM, private_keys: Sequence[bytes], public_keys: Sequence[bytes]
    ) -> list[tuple[bytes, bytes]]:
        self.counts["encapsulate"] += len(private_keys)
        return super().encapsulate_all(kem, private_keys, public_keys)

    def verify(self, scheme: SignatureScheme, public_key: bytes, message: bytes, signature: bytes) -> None:
        self.counts["verify"] += 1
        super().verify(scheme, public_key, message, signature)

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        for signed in messages:
            self.verify(scheme, signed.public_key, signed.message, signed.signature)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_the_floor_counts_no_public_key_operation_that_the_engine_does_without(kind: str, size: int) -> None:
    provider = CountingProvider()
    # A clock that shows how many calls there were, so that what the benchmark takes for seconds are calls.
    side = OurSide(provider, lambda: provider.counts[kind])
    side.call(json.dumps({"call": "prepare", "size": size}))
    side.call(json.dumps({"call": "fill"}))
    counted = json.loads(side.call(json.dumps({"call": "round", "chains": 1})))

    assert set(counted) >= {operation.key for operation in OPERATIONS}
    for operation, floors in counted.items():
        if operation.startswith(FLOOR):
            made = counted[operation.removeprefix(FLOOR)]
            assert len(made) == len(floors)
            assert max(floors) <= min(made), operation


@pytest.mark.parametrize("size", SIZES)
def test_the_floor_has_the_octets_of_what_is_encrypted(size: int) -> None:
    side = OurSide(PycaProvider(), perf_counter)
    encoded = Encoded(**json.loads(side.call(json.dumps({"call": "prepare", "size": size}))))
    side.call(json.dumps({"call": "fill"}))

    assert json.loads(side.call(json.dumps({"call": "plaintexts"}))) == {
        "group_info": encoded.group_info(fresh(size), committed=1),
        "commit_fresh": encoded.encrypted_commit(fresh(size), size - 1, adds=0),
        "commit_full": encoded.encrypted_commit(full(size), size - 1, adds=0),
    }


def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    engine.main(["--sizes", "2,10", "--rounds", "1", "--where", "cpython", "--alone"])

    printed = capsys.readouterr().out
    for operation in OPERATIONS:
        for size in (2, 10):
            assert f"| {operation.title} | {size} |" in printed


@pytest.mark.long
def test_every_side_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        engine.main(["--sizes", "3", "--rounds", "1"])
    except SetupError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))

    native, in_browser = capsys.readouterr().out.split("### Chromium")
    assert "| `rfc9420`, ms | ts-mls in Node, ms |" in native
    assert "| ts-mls in Chromium, ms |" in in_browser
    for operation in OPERATIONS:
        cells = {table: _cells(table, operation.title) for table in (native, in_browser)}
        # Ours is the third cell, the last one that of ts-mls.
        assert all(float(row[2]) > 0 and float(row[-1]) > 0 for row in cells.values()), operation.title


def _cells(table: str, title: str) -> list[str]:
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {title} | 3 |")][:1]
    return [cell.strip() for cell in row.strip("|").split("|")]
