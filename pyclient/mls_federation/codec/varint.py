"""Lengths of variable-size vectors (RFC 9420 §2.1.2): the two top bits give the size, and only the shortest form is valid."""

from __future__ import annotations

MAX_LENGTH = (1 << 30) - 1
# The lengths of one octet. Most vectors are keys, hashes and tags, and have one of these.
SHORTEST = [bytes([length]) for length in range(64)]


class InvalidLength(ValueError):
    """A length that §2.1.2 forbids. The generated codec turns it into a `DecodeError` that names the field."""


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length at offset `at`; returns it and the offset behind it.

    Raises:
        InvalidLength: prefix 11, or a longer form than needed.
        IndexError: `data` ends inside the length.
    """
    first = data[at]
    form = first >> 6
    if form == 0:
        return first, at + 1
    if form == 1:
        length = (first & 0x3F) << 8 | data[at + 1]
        if length < 1 << 6:
            raise InvalidLength("the length is not in its shortest form")
        return length, at + 2
    if form == 2:
        length = (first & 0x3F) << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
        if length < 1 << 14:
            raise InvalidLength("the length is not in its shortest form")
        return length, at + 4
    raise InvalidLength("a length cannot begin with the bits 11")


def write_length(length: int) -> bytes:
    """Encode a length, 0 to 2^30-1.

    Raises:
        OverflowError: it is larger.
    """
    if length < 1 << 6:
        return length.to_bytes(1, "big")
    if length < 1 << 14:
        return (length | 1 << 14).to_bytes(2, "big")
    if length > MAX_LENGTH:
        raise OverflowError(f"{length} octets do not fit into a vector")
    return (length | 2 << 30).to_bytes(4, "big")


def prefixed(data: bytes) -> bytes:
    """`data` as `opaque data<V>`."""
    length = len(data)
    return SHORTEST[length] + data if length < 64 else write_length(length) + data
