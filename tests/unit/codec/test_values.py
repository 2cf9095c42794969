"""Structs as Python values: built by keyword, immutable, compared by value, and discreet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.codec import Struct, replace
from mls_federation.errors import UsageError
from mls_federation.mls import WireFormat

from .examples import (
    Bounded,
    Choice,
    Colour,
    Confidential,
    Kept,
    KeptInside,
    Maybe,
    Numbers,
    Octets,
    OpenChoice,
    Painted,
    Registry,
    Shorts,
    Tail,
)

NUMBERS = Numbers(a=1, b=2, c=3, d=4)

MISUSED: list[tuple[Struct, str]] = [
    (replace(NUMBERS, a=256), "Numbers.a"),
    (replace(NUMBERS, a=-1), "Numbers.a"),
    (replace(NUMBERS, b=0x10000), "Numbers.b"),
    (replace(NUMBERS, c=2**32), "Numbers.c"),
    (replace(NUMBERS, d=2**64), "Numbers.d"),
    (replace(NUMBERS, d=-1), "Numbers.d"),
    (replace(NUMBERS, d="4"), "Numbers.d"),
    (replace(NUMBERS, d=None), "Numbers.d"),
    (Octets(body="text"), "Octets.body"),  # type: ignore[arg-type]
    (Octets(body=None), "Octets.body"),  # type: ignore[arg-type]
    (Octets(body=7), "Octets.body"),  # type: ignore[arg-type]
    (Shorts(items=(1, 0x10000)), "Shorts.items"),
    (Shorts(items=None), "Shorts.items"),  # type: ignore[arg-type]
    (Maybe(number=0x10000, octets=None), "Maybe.number"),
    (Maybe(number=None, octets="x"), "Maybe.octets"),  # type: ignore[arg-type]
    (Painted(colour=256, registry=Registry.one), "Painted.colour"),  # type: ignore[arg-type]
    (Bounded(one=b"a", two=(), three=b"c", four=b""), "Bounded.one"),
    (Bounded(one=b"abcde", two=(), three=b"c", four=b""), "Bounded.one"),
    (Bounded(one=b"ab", two=(0,) * 0x8000, three=b"c", four=b""), "Bounded.two"),
    (Bounded(one=b"ab", two=(), three=b"", four=b""), "Bounded.three"),
    (Choice(colour=Colour.red, body=None), "Choice.body"),
    (Choice(colour=Colour.blue, body=b"x"), "Choice.body"),
    (OpenChoice(registry=Registry(0x0A0A), body=1), "OpenChoice.body"),
    (OpenChoice(registry=Registry.zero, body=1), "Octets.body"),
    (Tail(head=b"abc", tail=b""), "Tail.head"),
    (Tail(head=b"a", tail=b""), "Tail.head"),
    (Tail(head=b"ab", tail="x"), "Tail.tail"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("value", "field"), MISUSED)
def test_what_cannot_be_encoded_is_our_callers_fault(value: Struct, field: str) -> None:
    with pytest.raises(UsageError, match=f"{field} has a value that cannot be encoded") as caught:
        value.encode()
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize("data", [None, "text", 5, [1, 2]])
def test_only_octets_are_decoded(data: object) -> None:
    with pytest.raises(UsageError, match="octets"):
        Octets.decode(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_decoded_values_do_not_share_a_buffer_that_may_change(kind: type[bytearray]) -> None:
    buffer = bytearray(b"\x03abc")
    decoded = Octets.decode(kind(buffer))
    buffer[1:] = b"xyz"
    assert decoded == Octets(body=b"abc")
    assert type(decoded.body) is bytes


def test_fields_are_given_by_keyword_and_all_of_them() -> None:
    with pytest.raises(TypeError):
        Octets(b"abc")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="body"):
        Octets()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="other"):
        Octets(body=b"", other=1)  # type: ignore[call-arg]


def test_values_cannot_be_changed() -> None:
    value = Octets(body=b"abc")
    with pytest.raises(AttributeError, match="Octets is immutable"):
        value.body = b"x"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Octets is immutable"):
        del value.body
    with pytest.raises(AttributeError):
        value.other = 1
    assert value == Octets(body=b"abc")


def test_values_compare_by_type_and_fields() -> None:
    assert Octets(body=b"abc") == Octets(body=b"abc")
    assert hash(Octets(body=b"abc")) == hash(Octets(body=b"abc"))
    assert Octets(body=b"abc") != Octets(body=b"abd")
    assert Tail(head=b"ab", tail=b"") != Octets(body=b"ab")
    assert Octets(body=b"abc") != b"abc"


def test_replace_makes_a_copy() -> None:
    changed = replace(NUMBERS, b=9)
    assert changed == Numbers(a=1, b=9, c=3, d=4)
    assert Numbers(a=1, b=2, c=3, d=4) == NUMBERS
    with pytest.raises(TypeError, match="z"):
        replace(NUMBERS, z=1)


def test_a_struct_has_fields() -> None:
    # It would have none, without a word, if Python had not evaluated its annotations.
    with pytest.raises(TypeError, match="Empty has no fields"):

        class Empty(Struct):
            pass


def test_a_value_that_keeps_its_octets_is_like_any_other() -> None:
    wire = bytes.fromhex("0005 01 03 616263")
    built = Kept(number=5, inner=KeptInside(body=b"abc"))
    decoded = Kept.decode(wire)
    for value in (built, decoded):
        assert [value.encode() for _ in range(2)] == [wire, wire]
        # A changed copy has octets of its own.
        assert replace(value, number=6).encode() == bytes.fromhex("0006 01 03 616263")
        assert replace(value, inner=None).encode() == bytes.fromhex("0005 00")
        assert value.encode() == wire
    assert built == decoded
    assert hash(built) == hash(decoded)
    assert repr(built) == repr(decoded) == "Kept(number=5, inner=KeptInside(body=616263))"


def test_octets_are_kept_from_the_right_place() -> None:
    # The struct inside begins behind another one, and more follows it.
    kept = Kept.decode(bytes.fromhex("0005 01 01 61")).inner
    assert kept is not None
    assert kept.encode() == b"\x01a"


def test_what_cannot_be_encoded_is_not_kept() -> None:
    value = Kept(number=0x10000, inner=None)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"Kept\.number"):
            value.encode()


@given(secret=st.binary(min_size=3, max_size=40))
def test_repr_shows_no_secret(secret: bytes) -> None:
    shown = repr(Confidential(joiner_secret=secret, encryption_priv=secret, public=b""))
    assert shown == (
        f"Confidential(joiner_secret=<{len(secret)} octets>, encryption_priv=<{len(secret)} octets>, public=<0 octets>)"
    )


def test_repr_abridges_what_is_long() -> None:
    assert repr(Octets(body=bytes(33))) == "Octets(body=<33 octets>)"
    assert repr(Octets(body=b"abc")) == "Octets(body=616263)"


def test_errors_of_encoding_show_no_value() -> None:
    with pytest.raises(UsageError) as caught:
        Confidential(joiner_secret="top secret", encryption_priv=b"", public=b"").encode()  # type: ignore[arg-type]
    assert "top secret" not in str(caught.value)


def test_a_value_without_a_name_is_kept_once() -> None:
    """GREASE is in every leaf (§13.5)."""
    assert Registry(0x0A0A) is Registry(0x0A0A)
    assert type(WireFormat(0x0A0A)) is WireFormat
    assert [Registry(value) for value in range(2000)] == list(range(2000))
