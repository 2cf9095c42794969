"""Properties of every struct's codec (§2.1): one encoding for each value, one value for each encoding."""

import pkgutil
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mls_federation
from mls_federation.codec import Rest, Struct
from mls_federation.errors import DecodeError
from mls_federation.vectors.messages import rebuilt
from tests.support.strategies import PACKAGES, all_structs, implicit_fields, layouts, name_of, structs

ALL = all_structs()

# There are many structs, and a few values of each show what is wrong with a codec; a browser is slow at finding them.
few = settings(max_examples=5 if sys.platform == "emscripten" else 10)
every_struct = pytest.mark.parametrize("struct", ALL, ids=name_of)


def told(value: Struct) -> dict[str, Any]:
    """The implicit fields of a value, which its decoder must be told."""
    return {name: getattr(value, name) for name in implicit_fields(type(value))}


def test_the_structs_are_found() -> None:
    assert {"mls.framing.MLSMessage", "mls.welcome.GroupInfo", "crypto.labels.KDFLabel"} <= set(
        map(name_of, ALL)
    )


def test_no_package_is_forgotten() -> None:
    walked = {package.__name__.removeprefix("mls_federation.") for package in PACKAGES}
    there = {module.name for module in pkgutil.iter_modules(mls_federation.__path__) if module.ispkg}
    assert there - walked == {"codec", "io", "browser"}


@every_struct
@few
@given(data=st.data())
def test_a_value_survives_the_wire(struct: type[Struct], data: st.DataObject) -> None:
    value = data.draw(structs(struct))
    encoded = value.encode()
    decoded = struct.decode(encoded, **told(value))
    assert decoded == value
    assert hash(decoded) == hash(value)
    assert decoded.encode() == encoded
    assert rebuilt(decoded).encode() == encoded


def takes_what_is_left(struct: type[Struct]) -> bool:
    """Whether the struct takes all octets there are, so that fewer or more are a valid encoding too."""
    return any(isinstance(layout, Rest) for layout in layouts(struct))


@pytest.mark.rule("2.1-01")
@pytest.mark.parametrize("struct", [struct for struct in ALL if not takes_what_is_left(struct)], ids=name_of)
@few
@given(data=st.data())
def test_a_truncated_or_extended_encoding_is_refused(struct: type[Struct], data: st.DataObject) -> None:
    value = data.draw(structs(struct))
    encoded = value.encode()
    with pytest.raises(DecodeError, match="1 octets follow the end") as caught:
        struct.decode(encoded + b"\x00", **told(value))
    assert caught.value.offset == len(encoded)
    for length in range(len(encoded)):
        with pytest.raises(DecodeError) as caught:
            struct.decode(encoded[:length], **told(value))
        assert 0 <= caught.value.offset <= length


@pytest.mark.rule("2.1-01", "2.1.2-02")
@every_struct
@few
@given(data=st.data())
def test_whatever_is_accepted_is_the_one_encoding_of_its_value(
    struct: type[Struct], data: st.DataObject
) -> None:
    value = data.draw(structs(struct))
    hostile = data.draw(mutations(value.encode()) | st.binary(max_size=80))
    outcome = decoded_or_refused(struct, hostile, told(value))
    if isinstance(outcome, DecodeError):
        assert 0 <= outcome.offset <= len(hostile)
        assert outcome.struct
        assert outcome.field
        assert outcome.section == "2.1"
    else:
        assert rebuilt(outcome).encode() == hostile


def decoded_or_refused(
    struct: type[Struct], data: bytes, told_values: dict[str, Any]
) -> Struct | DecodeError:
    """What comes of `data`; any other exception is a fault of the codec."""
    try:
        return struct.decode(data, **told_values)
    except DecodeError as refused:
        return refused


def mutations(encoded: bytes) -> st.SearchStrategy[bytes]:
    """`encoded` with some of its octets changed, left out or put in."""
    place = st.integers(0, len(encoded))
    change = st.tuples(place, st.integers(0, 3), st.binary(max_size=3))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        mutated = encoded
        for start, skipped, inserted in changes:
            mutated = mutated[:start] + inserted + mutated[start + skipped :]
        return mutated

    return st.lists(change, min_size=1, max_size=3).map(apply)
