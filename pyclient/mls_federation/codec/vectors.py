"""A vector of structs that stands alone, as in the data of an extension (`ExternalSender external_senders<V>;`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..errors import DecodeError
from .struct import Struct
from .varint import InvalidLength, prefixed, read_length

S = TypeVar("S", bound=Struct)


def decode_vector(element: type[S], data: bytes) -> tuple[S, ...]:
    """Decode all of `data` as `element x<V>`.

    Raises:
        DecodeError: `data` is not exactly one such vector.
    """
    name = f"{element.__name__}<V>"
    try:
        length, at = read_length(data, 0)
    except InvalidLength as fault:
        raise DecodeError(str(fault), struct=name, field="(length)", offset=0) from None
    except IndexError:
        raise DecodeError("the input ends too early", struct=name, field="(length)", offset=0) from None
    if at + length != len(data):
        raise DecodeError("the length is not that of the input", struct=name, field="(length)", offset=0)
    items = []
    while at < len(data):
        item, at = element._read(data, at)
        items.append(item)
    return tuple(items)


def encode_vector(items: Iterable[Struct]) -> bytes:
    """Encode `items` as a vector `<V>`."""
    return prefixed(b"".join([item.encode() for item in items]))
