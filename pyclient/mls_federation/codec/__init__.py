"""The presentation language in which MLS describes its structs (RFC 9420 §2.1, RFC 8446 §3): declared once, strictly decoded."""

from .struct import Struct, given, implicit, replace, select
from .types import (
    ClosedEnum8,
    Fixed,
    Length,
    OpenEnum16,
    Opt,
    Rest,
    Vec,
    opaque,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .vectors import decode_vector, encode_vector

__all__ = [
    "ClosedEnum8",
    "Fixed",
    "Length",
    "OpenEnum16",
    "Opt",
    "Rest",
    "Struct",
    "Vec",
    "decode_vector",
    "encode_vector",
    "given",
    "implicit",
    "opaque",
    "replace",
    "select",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]
