"""Types of fields: how each annotation is laid out on the wire (RFC 9420 §2.1, RFC 8446 §3).

| the RFC writes          | a field is declared as                            |
|-------------------------|---------------------------------------------------|
| `uint32 x;`             | `x: uint32`                                       |
| `opaque x<V>;`          | `x: opaque`                                       |
| `Extension x<V>;`       | `x: Vec[Extension]`                               |
| `optional<Node> x;`     | `x: Opt[Node]`                                    |
| `opaque x[4];`          | `x: Annotated[bytes, Fixed(4)]`                   |
| `opaque x<0..2^16-1>;`  | `x: Annotated[bytes, Length(0, 2**16 - 1)]`       |
| `uint16 x<0..255>;`     | `x: Annotated[tuple[uint16, ...], Length(0, 255)]`|
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class UInt:
    """An unsigned integer of `size` octets, big-endian."""

    size: int


@dataclass(frozen=True)
class Fixed:
    """Exactly `size` octets, with no length before them."""

    size: int


@dataclass(frozen=True)
class Length:
    """A vector `<minimum..maximum>` of RFC 8446 §3.4: bounds in octets, a length field of the size that `maximum` needs."""

    minimum: int
    maximum: int

    @property
    def prefix_size(self) -> int:
        """Octets of the length field."""
        return (self.maximum.bit_length() + 7) // 8


@dataclass(frozen=True)
class VariableLength:
    """A vector `<V>` of RFC 9420 §2.1.2: a length of 1, 2 or 4 octets, always the shortest."""


@dataclass(frozen=True)
class Rest:
    """All octets up to the end of the input."""


@dataclass(frozen=True)
class OptionalValue:
    """`optional<T>` of §2.1.1: one octet, 0 or 1, then the value if it was 1."""


uint8 = Annotated[int, UInt(1)]
uint16 = Annotated[int, UInt(2)]
uint32 = Annotated[int, UInt(4)]
uint64 = Annotated[int, UInt(8)]
opaque = Annotated[bytes, VariableLength()]
Vec = Annotated[tuple[T, ...], VariableLength()]
Opt = Annotated[T | None, OptionalValue()]


class ClosedEnum8(IntEnum):
    """An enum of one octet in which only the values listed are valid."""


class OpenEnum16(IntEnum):
    """A registry of two octets: values that have no name here, GREASE among them, survive a round trip."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            return None
        return cls.unnamed(value)

    @classmethod
    def unnamed(cls, value: int) -> Self:
        """The value without a name, 0 to 2^16-1. Much quicker than to let `Enum` find out that it has none."""
        member: Self = _unnamed(cls, value)
        return member


E = TypeVar("E", bound=OpenEnum16)


# GREASE puts such values into every leaf; there are few of them.
@functools.lru_cache(maxsize=1024)
def _unnamed(registry: type[E], value: int) -> E:
    member = int.__new__(registry, value)
    member._name_ = f"0x{value:04x}"
    member._value_ = value
    return member
