"""Structs for the codec's tests: one of each kind of field."""

from __future__ import annotations

from typing import Annotated

from mls_federation.codec import (
    ClosedEnum8,
    Fixed,
    Length,
    OpenEnum16,
    Opt,
    Rest,
    Struct,
    Vec,
    given,
    implicit,
    opaque,
    select,
    uint8,
    uint16,
    uint32,
    uint64,
)


class Colour(ClosedEnum8):
    red = 1
    blue = 7


class Registry(OpenEnum16):
    zero = 0x0000
    one = 0x0001


class Numbers(Struct):
    a: uint8
    b: uint16
    c: uint32
    d: uint64


class Octets(Struct):
    body: opaque


class Pair(Struct):
    left: Octets
    right: Octets


class Shorts(Struct):
    items: Vec[uint16]


class Maybe(Struct):
    number: Opt[uint16]
    octets: Opt[opaque]


class Painted(Struct):
    colour: Colour
    registry: Registry


class Bounded(Struct):
    """RFC 8446's vectors: bounds in octets, and a length field of one, two, three or four octets."""

    one: Annotated[bytes, Length(2, 4)]
    two: Annotated[tuple[uint16, ...], Length(0, 2**16 - 1)]
    three: Annotated[bytes, Length(1, 2**24 - 1)]
    four: Annotated[bytes, Length(0, 2**32 - 1)]


class Choice(Struct):
    colour: Colour
    body: Octets | bytes | None = select("colour", {Colour.red: opaque, Colour.blue: None})


class OpenChoice(Struct):
    registry: Registry
    body: Octets | int = select("registry", {Registry.zero: Octets, Registry.one: uint8})


class Tail(Struct):
    head: Annotated[bytes, Fixed(2)]
    tail: Annotated[bytes, Rest()]


class Told(Struct):
    colour: Colour = implicit()
    body: bytes | int = select("colour", {Colour.red: opaque, Colour.blue: uint16})


class Telling(Struct):
    choice: Choice
    told: Told = given(colour="choice.colour")


class Confidential(Struct):
    joiner_secret: opaque
    encryption_priv: opaque
    public: opaque


class Kept(Struct, keep_octets=True):
    """Keeps its octets, and those of a struct that does too."""

    number: uint16
    inner: Opt[KeptInside]


class KeptInside(Struct, keep_octets=True):
    body: opaque
