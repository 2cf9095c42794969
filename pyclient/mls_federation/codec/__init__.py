"""The presentation language in which MLS describes its structs (RFC 9420 §2.1, RFC 8446 §3): declared once, strictly decoded."""

from .struct import Struct, generate_codecs, given, implicit, replace, select, without_signature
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
from .varint import prefixed
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
    "generate_codecs",
    "given",
    "implicit",
    "opaque",
    "prefixed",
    "replace",
    "select",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "without_signature",
]
