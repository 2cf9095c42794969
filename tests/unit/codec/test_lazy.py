"""Vectors of structs of one size are decoded element by element when asked; nobody can tell the difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.codec import Struct, Vec, decode_vector, opaque, uint8
from mls_federation.codec.lazy import LazyVector
from mls_federation.errors import DecodeError
from mls_federation.vectors.messages import rebuilt


class Sealed(Struct):
    kem_output: opaque
    ciphertext: opaque


class Addressed(Struct):
    receiver: opaque
    sealed: Sealed


class Mixed(Struct):
    number: uint8
    octets: opaque


class Sealeds(Struct):
    items: Vec[Sealed]


class Addresseds(Struct):
    items: Vec[Addressed]


class Mixeds(Struct):
    items: Vec[Mixed]


def sealed(number: int, size: int = 48) -> Sealed:
    return Sealed(kem_output=bytes([number]) * 32, ciphertext=bytes([number]) * size)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 16_383, 16_384])
def test_elements_of_one_size_are_decoded_when_asked_for(size: int) -> None:
    items = tuple(sealed(number, size) for number in range(5))
    decoded = Sealeds.decode(Sealeds(items=items).encode())
    assert isinstance(decoded.items, LazyVector)
    assert len(decoded.items) == 5
    assert decoded.items[3] == items[3]
    assert decoded.items[-1] == items[-1]
    assert decoded.items[1:3] == items[1:3]
    assert list(decoded.items) == list(items)
    assert items[2] in decoded.items
    with pytest.raises(IndexError):
        decoded.items[len(items)]


def test_a_vector_is_what_its_tuple_is() -> None:
    items = tuple(sealed(number) for number in range(3))
    built = Sealeds(items=items)
    decoded = Sealeds.decode(built.encode())
    assert (decoded, hash(decoded), repr(decoded)) == (built, hash(built), repr(built))
    assert decoded.encode() == built.encode()
    assert built == decoded
    assert decoded.items + items[:1] == items + items[:1] == (*items, items[0])
    assert items[:1] + decoded.items == items[:1] + items
    assert decoded != Sealeds.decode(Sealeds(items=items[:2]).encode())
    assert decoded.items != object()


def test_structs_within_structs() -> None:
    items = tuple(Addressed(receiver=b"receiver", sealed=sealed(number)) for number in range(4))
    decoded = Addresseds.decode(Addresseds(items=items).encode())
    assert isinstance(decoded.items, LazyVector)
    assert decoded.items == items


def test_elements_of_other_kinds_or_sizes_are_decoded_at_once() -> None:
    uneven = Sealeds(items=(sealed(1), sealed(2, 47), sealed(3, 49)))
    mixed = Mixeds(items=(Mixed(number=1, octets=b"a"), Mixed(number=2, octets=b"b")))
    for vector in (uneven, mixed, Sealeds(items=())):
        decoded = type(vector).decode(vector.encode())
        assert isinstance(decoded.items, tuple)
        assert decoded == vector


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=6))
def test_every_vector_survives_a_round_trip(pairs: list[tuple[bytes, bytes]]) -> None:
    built = Sealeds(items=tuple(Sealed(kem_output=one, ciphertext=other) for one, other in pairs))
    assert Sealeds.decode(built.encode()) == built


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 63))
def test_lazily_or_not_the_same_octets_are_valid(octets: list[int], length: int) -> None:
    """Small octets are lengths more often than not, so that many of these vectors are of one size."""
    body = bytes(octets)
    try:
        expected = one_by_one(body)
    except DecodeError:
        with pytest.raises(DecodeError):
            Sealeds.decode(bytes([len(body)]) + body)
    else:
        assert Sealeds.decode(bytes([len(body)]) + body).items == expected
    if length != len(body):
        with pytest.raises(DecodeError):
            Sealeds.decode(bytes([length]) + body)


def one_by_one(body: bytes) -> tuple[Sealed, ...]:
    return decode_vector(Sealed, bytes([len(body)]) + body)


def test_a_value_made_anew_has_nothing_left_to_decode() -> None:
    decoded = Sealeds.decode(Sealeds(items=(sealed(1), sealed(2))).encode())
    assert isinstance(rebuilt(decoded).items, tuple)
    assert rebuilt(decoded) == decoded
