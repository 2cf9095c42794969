"""What is not exactly one valid encoding is refused, and the error says where (RFC 9420 §2.1, RFC 8446 §3)."""

import pytest

from mls_federation.codec import Struct
from mls_federation.errors import DecodeError

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
    Shorts,
    Tail,
    Telling,
    Told,
)

NOT_SHORTEST = "the length is not in its shortest form"
PREFIX_11 = "a length cannot begin with the bits 11"
TOO_SHORT = "the input ends too early"
CROSSES = "an element crosses the end of its vector"
FLAG = "the flag of an optional value is neither 0 nor 1"

# Struct and octets; reason, field and offset of the error.
REFUSED: list[tuple[type[Struct], str, str, str, int]] = [
    # §2.1.2: only the shortest form of a length.
    (Octets, "4000", NOT_SHORTEST, "body", 0),
    (Octets, "4001 61", NOT_SHORTEST, "body", 0),
    (Octets, "403f" + "00" * 63, NOT_SHORTEST, "body", 0),
    (Octets, "80000000", NOT_SHORTEST, "body", 0),
    (Octets, "80000001 61", NOT_SHORTEST, "body", 0),
    (Octets, "8000003f" + "00" * 63, NOT_SHORTEST, "body", 0),
    (Octets, "80003fff" + "00" * 16383, NOT_SHORTEST, "body", 0),
    (Shorts, "4002 0001", NOT_SHORTEST, "items", 0),
    (Shorts, "80000002 0001", NOT_SHORTEST, "items", 0),
    # §2.1.2: the prefix 11 is invalid.
    (Octets, "c0", PREFIX_11, "body", 0),
    (Octets, "ff" * 12, PREFIX_11, "body", 0),
    (Shorts, "c000000000000000", PREFIX_11, "items", 0),
    # A length that says more than there is.
    (Octets, "", TOO_SHORT, "body", 0),
    (Octets, "01", TOO_SHORT, "body", 1),
    (Octets, "40", TOO_SHORT, "body", 0),
    (Octets, "800040", TOO_SHORT, "body", 0),
    (Octets, "bfffffff", TOO_SHORT, "body", 4),
    (Shorts, "04 0001", TOO_SHORT, "items", 1),
    # An element that does not fit into its vector.
    (Shorts, "01 00", TOO_SHORT, "items", 1),
    (Shorts, "03 0001 02 ff", CROSSES, "items", 5),
    # §2.1.1: the flag of an optional value.
    (Maybe, "02 0005 00", FLAG, "number", 0),
    (Maybe, "00 ff", FLAG, "octets", 1),
    (Maybe, "01", TOO_SHORT, "number", 1),
    # Closed enums.
    (Painted, "00 0001", "0 is not a value it can have", "colour", 0),
    (Painted, "02 0001", "2 is not a value it can have", "colour", 0),
    (Painted, "ff 0001", "255 is not a value it can have", "colour", 0),
    # A select without an arm for the value.
    (OpenChoice, "0a0a 00", "2570 is not a value it can have", "body", 2),
    # RFC 8446 §3.4: bounds, in octets, of each size of length field.
    (Bounded, "01 61 0000 000001 63 00000000", "a length of 1 octets is outside 2 to 4", "one", 0),
    (Bounded, "05 6162636465 0000 000001 63 00000000", "a length of 5 octets is outside 2 to 4", "one", 0),
    (Bounded, "02 6162 0000 000000 00000000", "a length of 0 octets is outside 1 to 16777215", "three", 5),
    (Bounded, "02 6162 0003 000102 000001 63 00000000", CROSSES, "two", 9),
    (Bounded, "02 6162 0000 ffffff 63 00000000", TOO_SHORT, "three", 8),
    (Bounded, "02 6162 0000 000001 63 ffffffff", TOO_SHORT, "four", 13),
    (Bounded, "02 6162 0000 000001 63 000000", TOO_SHORT, "four", 9),
    # Octets that follow the end.
    (Numbers, "01 0002 00000003 0000000000000004 00", "1 octets follow the end", "(end)", 15),
    (Octets, "01 61 6263", "2 octets follow the end", "(end)", 2),
    (Choice, "07 00", "1 octets follow the end", "(end)", 1),
    (Tail, "61", TOO_SHORT, "head", 0),
]


@pytest.mark.rule("2.1-01", "2.1.1-01", "2.1.2-02", "2.1.2-03")
@pytest.mark.parametrize(("struct", "wire", "reason", "field", "offset"), REFUSED)
def test_refused(struct: type[Struct], wire: str, reason: str, field: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        struct.decode(bytes.fromhex(wire))
    error = caught.value
    assert (error.reason, error.struct, error.field, error.offset) == (reason, struct.__name__, field, offset)
    assert str(error) == f"{struct.__name__}.{field}: {reason} (at octet {offset})"
    assert error.code == "malformed"
    assert error.section == "2.1"


@pytest.mark.parametrize("length", range(15))
def test_numbers_need_all_their_octets(length: int) -> None:
    octets = bytes.fromhex("01 0002 00000003 0000000000000004")
    with pytest.raises(DecodeError, match=TOO_SHORT) as caught:
        Numbers.decode(octets[:length])
    starts = {"a": 0, "b": 1, "c": 3, "d": 7}
    assert caught.value.offset == starts[caught.value.field]
    assert caught.value.offset <= length


def test_the_innermost_struct_is_named() -> None:
    with pytest.raises(DecodeError) as caught:
        Pair.decode(b"\x01a\x02b")
    assert (caught.value.struct, caught.value.field, caught.value.offset) == ("Octets", "body", 3)


def test_a_told_field_decides_in_the_innermost_struct() -> None:
    with pytest.raises(DecodeError) as caught:
        Telling.decode(bytes.fromhex("07 00"))
    assert (caught.value.struct, caught.value.field, caught.value.offset) == ("Told", "body", 1)
    with pytest.raises(DecodeError, match="1 octets follow the end"):
        Told.decode(b"\x01xy", colour=Colour.blue)


def test_a_length_is_not_believed_before_it_is_checked() -> None:
    # 2^30-1 octets are announced; nothing is allocated for them.
    with pytest.raises(DecodeError, match=TOO_SHORT):
        Octets.decode(bytes.fromhex("bfffffff"))
