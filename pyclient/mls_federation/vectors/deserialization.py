"""Vectors of the lengths of variable-size vectors (§2.1.2)."""

from __future__ import annotations

from ..codec.varint import InvalidLength, read_length, write_length
from ..crypto import CipherSuite, CryptoProvider
from .entry import Entry, Family, Vector, VectorMismatch, check


def verify(_: CryptoProvider, entry: Entry) -> None:
    """The length that a header encodes, and the header that the length gives: there is only one."""
    header = entry.octets("vlbytes_header")
    try:
        length, end = read_length(header, 0)
    except (InvalidLength, IndexError):
        raise VectorMismatch("vlbytes_header", "a length", "none") from None
    entry.check("length", length)
    check("length of vlbytes_header", len(header), end)
    entry.check("vlbytes_header", write_length(length))


def generate(_: CryptoProvider, __: CipherSuite, length: int) -> Vector:
    """The entry for a vector of `length` octets."""
    return {"vlbytes_header": write_length(length).hex(), "length": length}


FAMILY = Family(
    name="deserialization",
    keys=frozenset({"vlbytes_header", "length"}),
    verify=verify,
    generate=generate,
    # The first and last of each size of header.
    parameters=(0, 1, 63, 64, 16383, 16384, (1 << 30) - 1),
    by_suite=False,
)
