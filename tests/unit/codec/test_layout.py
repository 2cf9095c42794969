"""What each kind of field looks like on the wire (RFC 9420 §2.1, RFC 8446 §3)."""

from __future__ import annotations

import pytest

from mls_federation.codec import Struct

from .examples import (
    Bounded,
    Choice,
    Colour,
    Maybe,
    Numbers,
    Octets,
    OpenChoice,
    Painted,
    Pair,
    Registry,
    Shorts,
    Tail,
    Telling,
    Told,
)

EXAMPLES: list[tuple[Struct, str]] = [
    (Numbers(a=1, b=2, c=3, d=4), "01 0002 00000003 0000000000000004"),
    (Numbers(a=0xFF, b=0xFFFF, c=0xFFFFFFFF, d=2**64 - 1), "ff ffff ffffffff ffffffffffffffff"),
    (Octets(body=b""), "00"),
    (Octets(body=b"abc"), "03 616263"),
    (Octets(body=bytes(63)), "3f" + "00" * 63),
    (Octets(body=bytes(64)), "4040" + "00" * 64),
    (Octets(body=bytes(16383)), "7fff" + "00" * 16383),
    (Octets(body=bytes(16384)), "80004000" + "00" * 16384),
    (Pair(left=Octets(body=b"a"), right=Octets(body=b"")), "01 61 00"),
    (Shorts(items=()), "00"),
    (Shorts(items=(1, 0x1234)), "04 0001 1234"),
    (Maybe(number=None, octets=None), "00 00"),
    (Maybe(number=5, octets=b""), "01 0005 01 00"),
    (Painted(colour=Colour.blue, registry=Registry.one), "07 0001"),
    (Painted(colour=Colour.red, registry=Registry(0x0A0A)), "01 0a0a"),
    (Bounded(one=b"ab", two=(), three=b"c", four=b""), "02 6162 0000 000001 63 00000000"),
    (
        Bounded(one=b"abcd", two=(1, 2), three=b"c", four=b"d"),
        "04 61626364 0004 0001 0002 000001 63 00000001 64",
    ),
    (Choice(colour=Colour.red, body=b"x"), "01 01 78"),
    (Choice(colour=Colour.blue, body=None), "07"),
    (OpenChoice(registry=Registry.zero, body=Octets(body=b"x")), "0000 01 78"),
    (OpenChoice(registry=Registry.one, body=9), "0001 09"),
    (Tail(head=b"ab", tail=b""), "6162"),
    (Tail(head=b"ab", tail=b"cde"), "6162 636465"),
    (
        Telling(choice=Choice(colour=Colour.red, body=b""), told=Told(colour=Colour.red, body=b"y")),
        "01 00 01 79",
    ),
    (
        Telling(choice=Choice(colour=Colour.blue, body=None), told=Told(colour=Colour.blue, body=3)),
        "07 0003",
    ),
]


@pytest.mark.parametrize(("value", "wire"), EXAMPLES)
def test_layout(value: Struct, wire: str) -> None:
    octets = bytes.fromhex(wire)
    assert value.encode() == octets
    assert type(value).decode(octets) == value


def test_implicit_fields_are_told_to_the_decoder() -> None:
    assert Told.decode(b"\x00\x05", colour=Colour.blue) == Told(colour=Colour.blue, body=5)
    assert Told.decode(b"\x01x", colour=Colour.red) == Told(colour=Colour.red, body=b"x")


def test_unknown_values_of_a_registry_survive() -> None:
    # GREASE (§13.5) and whatever is registered after this code was written.
    for value in (0x0A0A, 0xEAEA, 0xF000, 0xFFFF):
        decoded = Painted.decode(b"\x01" + value.to_bytes(2, "big"))
        assert decoded.registry == value
        assert type(decoded.registry) is Registry
        assert decoded.encode() == b"\x01" + value.to_bytes(2, "big")


def test_unnamed_values_of_a_registry_compare_as_numbers() -> None:
    assert Registry(0x0A0A) == Registry(0x0A0A) == 0x0A0A
    assert len({Registry(0x0A0A), Registry(0x0A0A), Registry.one}) == 2
    assert Registry(0) is Registry.zero


@pytest.mark.parametrize("value", [-1, 0x10000, "zero", None, 1.5])
def test_a_registry_has_sixteen_bits(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid Registry"):
        Registry(value)  # type: ignore[arg-type]


def test_registered_values_keep_their_names() -> None:
    for registry in Registry:
        for colour in Colour:
            decoded = Painted.decode(Painted(colour=colour, registry=registry).encode())
            assert (decoded.colour.name, decoded.registry.name) == (colour.name, registry.name)
    assert Painted.decode(bytes.fromhex("010a0a")).registry.name == "0x0a0a"
