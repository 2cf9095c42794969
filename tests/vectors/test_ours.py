"""The project's own vectors: they are right, new ones can be made, and nothing in them can be changed unnoticed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation import vectors
from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.errors import UsageError
from mls_federation.vectors import FAMILIES, VectorFormatError, VectorMismatch
from tests.support.growth import assert_no_more_than_linear
from tests.support.own_vectors import FOLDER, own_entries, suites_of

# Fields whose octets say nothing that could be wrong: content that only has to survive a round trip.
FREE_OCTETS = {"messages"}
# Numbers that may be others: who sends an Add or Remove does not matter to the tree.
FREE_NUMBERS = {"proposal_sender"}

Path = tuple[str | int, ...]


def test_there_is_a_file_of_every_family() -> None:
    assert {file.stem for file in (FOLDER / "ours").iterdir()} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_ours_are_right(provider: CryptoProvider, family: str) -> None:
    entries = own_entries(family)
    result = vectors.verify_entries(provider, entries)
    assert [str(failure.error) for failure in result.failures] == []
    assert (result.family, result.passed, result.skipped) == (family, len(entries), 0)
    assert len(entries) == len(suites_of(family)) * len(FAMILIES[family].parameters)


@pytest.mark.parametrize("family", FAMILIES)
def test_new_ones_are_right(provider: CryptoProvider, cipher_suite: CipherSuite, family: str) -> None:
    generated = vectors.generate_file(provider, family, [cipher_suite])
    result = vectors.verify_file(provider, json.dumps(generated))
    assert [str(failure.error) for failure in result.failures] == []
    assert (result.family, result.passed, result.skipped) == (family, len(generated), 0)
    assert result.passed
    assert all(entry.keys() == FAMILIES[family].keys for entry in generated)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_counts(provider: CryptoProvider, family: str) -> None:
    """An entry with one bit of one field changed, or one number, is not right."""
    entry = own_entries(family)[-1]
    for path, value in leaves(entry):
        changed = copy.deepcopy(entry)
        if isinstance(value, str) and path[-1] != "label" and value and family not in FREE_OCTETS:
            put(changed, path, flipped(value))
        elif isinstance(value, str) and value:
            put(changed, path, value[:-2])
        elif path[-1] == "cipher_suite":
            put(changed, path, int(CipherSuite.MLS_256_DHKEMP384_AES256GCM_SHA384_P384))
        elif isinstance(value, int) and path[-1] not in FREE_NUMBERS:
            put(changed, path, value + 1)
        else:
            continue
        result = vectors.verify_entries(provider, [changed])
        assert result.failed == 1, f"{path} can be another"


@given(data=st.data())
def test_a_malformed_entry_is_a_typed_error(provider: CryptoProvider, data: st.DataObject) -> None:
    entry = own_entries(data.draw(st.sampled_from(list(FAMILIES))))[0]
    path, _ = data.draw(st.sampled_from(list(leaves(entry))))
    json_values = (
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5).map(bytes.hex)
    )
    put(entry, path[: data.draw(st.integers(1, len(path)))], data.draw(json_values | st.lists(json_values)))
    try:
        result = vectors.verify_entries(provider, [entry])
    except VectorFormatError:
        return
    assert result.passed + result.failed + result.skipped == 1


def test_a_mismatch_names_the_field(provider: CryptoProvider) -> None:
    entry = own_entries("key-schedule")[0]
    entry["epochs"][1]["joiner_secret"] = "00" * 32
    (failure,) = vectors.verify_entries(provider, [entry]).failures
    assert isinstance(failure.error, VectorMismatch)
    assert failure.error.field == "epochs[1].joiner_secret"
    assert failure.error.code == "vector-mismatch"
    assert failure.error.expected == "0" * 40 + "… (64 signs)"


def test_what_the_provider_lacks_is_skipped(provider: CryptoProvider) -> None:
    entries = own_entries("psk_secret")
    entries[0]["cipher_suite"] = 0x0A0A
    result = vectors.verify_entries(provider, entries)
    assert (result.passed, result.failed, result.skipped) == (len(entries) - 1, 0, 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{}", b"[]", b"[1]", b'[{"cipher_suite": 1}]', b"[" * 100_000, b"null", b'[{"a": 1}]'],
)
def test_what_is_no_vector_file(provider: CryptoProvider, data: bytes) -> None:
    with pytest.raises(VectorFormatError) as caught:
        vectors.verify_file(provider, data)
    assert caught.value.code == "bad-vector"


def test_a_string_that_does_not_end_is_read_once(provider: CryptoProvider) -> None:
    def reading(size: int) -> Callable[[], object]:
        def action() -> None:
            with pytest.raises(VectorFormatError):
                vectors.verify_file(provider, '["' + '\\"' * size)

        return action

    assert_no_more_than_linear(reading, 10_000)


def test_brackets_in_strings_are_no_levels(provider: CryptoProvider) -> None:
    entries = own_entries("psk_secret")
    entries[0]["note"] = '"[' * 100 + "\\"
    assert vectors.verify_file(provider, json.dumps(entries)).passed == len(entries)


def test_a_family_is_recognised_by_all_entries() -> None:
    mixed = [own_entries("psk_secret")[0], own_entries("welcome")[0]]
    with pytest.raises(VectorFormatError):
        vectors.recognise(mixed)
    assert vectors.recognise(mixed[:1]).name == "psk_secret"
    assert vectors.recognise(mixed[1:]).name == "welcome"


def test_no_family_is_hidden_by_another() -> None:
    for one in FAMILIES.values():
        assert [other.name for other in FAMILIES.values() if other.keys <= one.keys] == [one.name]


def test_generating_what_is_not_there(provider: CryptoProvider) -> None:
    for family, suites in (
        ("nonsense", suites_of("welcome")),
        ("welcome", ()),
        ("welcome", (CipherSuite(0x0A0A),)),
    ):
        with pytest.raises(UsageError):
            vectors.generate_file(provider, family, suites)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no list or object, with its place."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def put(entry: Any, path: Path, value: Any) -> None:
    """Replace what is at a place."""
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value


def flipped(octets: str) -> str:
    """Another bit in the middle: those at the ends of an X25519 key do not count."""
    changed = bytearray.fromhex(octets)
    changed[len(changed) // 2] ^= 0x10
    return changed.hex()
