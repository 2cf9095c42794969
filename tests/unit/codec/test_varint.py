"""Lengths of variable-size vectors (§2.1.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.codec.varint import MAX_LENGTH, InvalidLength, prefixed, read_length, write_length

FORMS = [(0, 63, 1), (64, 16383, 2), (16384, MAX_LENGTH, 4)]


@pytest.mark.rule("2.1.2-01")
@pytest.mark.parametrize(("first", "last", "size"), FORMS)
def test_both_ends_of_each_form(first: int, last: int, size: int) -> None:
    for length in (first, last):
        written = write_length(length)
        assert len(written) == size
        assert read_length(written, 0) == (length, size)


@pytest.mark.rule("2.1.2-01")
@given(length=st.integers(0, MAX_LENGTH), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_round_trip(length: int, before: bytes, after: bytes) -> None:
    written = write_length(length)
    assert read_length(before + written + after, len(before)) == (length, len(before) + len(written))


@pytest.mark.rule("2.1.2-02")
@given(length=st.integers(0, 16383))
def test_only_the_shortest_form_is_read(length: int) -> None:
    longer = [(length | 2 << 30).to_bytes(4, "big")]
    if length < 64:
        longer.append((length | 1 << 14).to_bytes(2, "big"))
    for written in longer:
        with pytest.raises(InvalidLength, match="shortest"):
            read_length(written, 0)


@pytest.mark.rule("2.1.2-03")
@given(rest=st.binary(max_size=8), low=st.integers(0, 63))
def test_the_prefix_11_is_invalid(rest: bytes, low: int) -> None:
    with pytest.raises(InvalidLength, match="bits 11"):
        read_length(bytes([0xC0 | low]) + rest, 0)


@pytest.mark.parametrize("wire", ["", "40", "80", "8001", "800100"])
def test_a_length_cut_short(wire: str) -> None:
    with pytest.raises(IndexError):
        read_length(bytes.fromhex(wire), 0)


@pytest.mark.rule("6.3.1-07")
def test_too_long_for_any_form() -> None:
    with pytest.raises(OverflowError, match="do not fit"):
        write_length(MAX_LENGTH + 1)


def test_prefixed() -> None:
    assert prefixed(b"abc") == b"\x03abc"
