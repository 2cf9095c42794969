"""What the generator makes, and declarations that it refuses."""

from __future__ import annotations

import linecache
import traceback
from typing import Annotated

import pytest

from mls_federation.codec import Length, Opt, Struct
from mls_federation.codec.types import OptionalValue
from mls_federation.errors import UsageError

from .examples import Octets


class Lazy(Struct):
    """Used by one test only."""

    body: Opt[Octets]


class WrongType(Struct):
    number: int


class NotOptional(Struct):
    number: Annotated[int, OptionalValue()]


def test_the_codec_is_written_on_first_use() -> None:
    before = Lazy._generated
    value = Lazy(body=None)
    after = Lazy._generated
    assert before is None
    assert after is not None
    assert value.encode() == b"\x00"


def test_tracebacks_show_the_generated_lines() -> None:
    with pytest.raises(UsageError) as caught:
        Octets(body=None).encode()  # type: ignore[arg-type]
    cause = caught.value.__cause__
    assert cause is not None
    assert "_w_body = (_shortest[_n] + _v if (_n := len(_v := _o.body)) < 64 else _prefixed(_v))" in "".join(
        traceback.format_exception(cause)
    )
    assert Octets._generated is not None
    assert "".join(linecache.getlines(f"<codec of {Octets.__module__}.Octets>")) == Octets._generated.source


@pytest.mark.parametrize("struct", [WrongType, NotOptional])
def test_declarations_that_mean_nothing(struct: type[Struct]) -> None:
    with pytest.raises(TypeError):
        struct.decode(b"")


@pytest.mark.parametrize(
    ("maximum", "size"),
    [(1, 1), (255, 1), (256, 2), (2**16 - 1, 2), (2**16, 3), (2**24 - 1, 3), (2**32 - 1, 4)],
)
def test_a_length_field_is_as_long_as_the_maximum_needs(maximum: int, size: int) -> None:
    assert Length(0, maximum).prefix_size == size
