"""A vector that stands alone, as in the data of an extension."""

import pytest

from mls_federation.codec import decode_vector, encode_vector
from mls_federation.errors import DecodeError

from .examples import Octets

ITEMS = (Octets(body=b"a"), Octets(body=b""), Octets(body=b"bc"))


def test_round_trip() -> None:
    assert encode_vector(ITEMS) == bytes.fromhex("06 0161 00 026263")
    assert decode_vector(Octets, encode_vector(ITEMS)) == ITEMS
    assert decode_vector(Octets, encode_vector(())) == ()


@pytest.mark.parametrize(
    ("wire", "struct", "offset"),
    [
        ("", "Octets<V>", 0),
        ("40", "Octets<V>", 0),
        ("c0", "Octets<V>", 0),
        ("4002 0161", "Octets<V>", 0),
        ("02 0161 00", "Octets<V>", 0),
        ("03 0161", "Octets<V>", 0),
        ("03 0161 05", "Octets", 4),
    ],
)
def test_refused(wire: str, struct: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_vector(Octets, bytes.fromhex(wire))
    assert (caught.value.struct, caught.value.offset) == (struct, offset)
