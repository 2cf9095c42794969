"""Hypothesis strategies for every struct, made from its declaration."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import types
import typing
from typing import Any

from hypothesis import strategies as st

from mls_federation import client, crypto, federation, inspection, media, mls, storage, transparency, vectors
from mls_federation.codec import ClosedEnum8, Fixed, Length, OpenEnum16, Rest, Struct
from mls_federation.codec.generator import ArmTable, GivenSpec, ImplicitSpec, SelectSpec
from mls_federation.codec.types import OptionalValue, UInt, VariableLength

# All but those with I/O, which a platform may not have and which declare none.
PACKAGES = (crypto, mls, transparency, federation, media, vectors, inspection, client, storage)
# They need a library that browsers may not have.
_WITHOUT_STRUCTS = {"mls_federation.crypto.pyca", "mls_federation.mls.x509", "mls_federation.storage.sqlite"}

# Long enough for a length of two octets, short enough to be quick.
_MAX_OCTETS = 70
_MAX_ELEMENTS = 3


def all_structs() -> list[type[Struct]]:
    """Every struct that is declared, by walking the subclasses of `Struct`, so that none is forgotten."""
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name not in _WITHOUT_STRUCTS:
                importlib.import_module(module.name)
    found: dict[str, type[Struct]] = {}
    waiting = list(Struct.__subclasses__())
    while waiting:
        struct = waiting.pop()
        waiting.extend(struct.__subclasses__())
        if struct.__module__.startswith("mls_federation."):
            found[name_of(struct)] = struct
    return [found[name] for name in sorted(found)]


def name_of(struct: type[Struct]) -> str:
    """A struct's name with its module's: RFC 9420 and the federation draft both have a `Credential`."""
    return f"{struct.__module__.removeprefix('mls_federation.')}.{struct.__qualname__}"


def implicit_fields(struct: type[Struct]) -> list[str]:
    """The fields that are not on the wire."""
    return [name for name, spec in struct._specs.items() if isinstance(spec, ImplicitSpec)]


def layouts(struct: type[Struct]) -> list[Any]:
    """How each field of a struct is laid out on the wire; None for one that is a struct or an enum."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return [_split(hints[name])[1] for name in struct._fields]


@functools.cache
def structs(struct: type[Struct]) -> st.SearchStrategy[Any]:
    """Values of a struct that can be encoded."""
    return _values(struct, {})


def _values(struct: type[Struct], told: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a struct whose implicit fields are as told; those it is not told may be anything."""

    @st.composite
    def build(draw: st.DrawFn) -> Struct:
        hints = typing.get_type_hints(struct, include_extras=True)
        fields: dict[str, Any] = {}
        for name in struct._fields:
            if name in told:
                fields[name] = told[name]
                continue
            match struct._specs.get(name):
                case SelectSpec(on=path, arms=arms):
                    arm = arms[_at(fields, path)]
                    strategy = st.none() if arm is None else of_type(arm)
                case GivenSpec(values=paths):
                    inner = {field: _at(fields, path) for field, path in paths.items()}
                    strategy = _values(hints[name], inner)
                case _:
                    chosen = _arms_on(struct, name)
                    strategy = of_type(hints[name]) if chosen is None else st.sampled_from(list(chosen))
            fields[name] = draw(strategy)
        return struct(**fields)

    return st.deferred(build)


def _arms_on(struct: type[Struct], name: str) -> ArmTable | None:
    """The arms of a `select` that depends on a field: only for their values can the struct be encoded."""
    for spec in struct._specs.values():
        if isinstance(spec, SelectSpec) and spec.on == name:
            return spec.arms
    return None


def _at(fields: dict[str, Any], path: str) -> Any:
    """The value at a path such as `content.sender.sender_type`."""
    first, *rest = path.split(".")
    return functools.reduce(getattr, rest, fields[first])


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one field's type."""
    inner, layout = _split(hint)
    match layout:
        case UInt(size):
            return st.integers(0, (1 << 8 * size) - 1)
        case Fixed(size):
            return st.binary(min_size=size, max_size=size)
        case Rest():
            return st.binary(max_size=_MAX_OCTETS)
        case OptionalValue():
            return st.none() | of_type(_present(inner))
        case VariableLength() if inner is bytes:
            return st.binary(max_size=_MAX_OCTETS)
        case VariableLength():
            return _tuples(inner, 0)
        case Length(minimum, maximum) if inner is bytes:
            return st.binary(min_size=minimum, max_size=min(maximum, minimum + _MAX_OCTETS))
        case Length(minimum, _):
            # Every element of ours has an octet at least.
            return _tuples(inner, minimum)
    if issubclass(inner, ClosedEnum8):
        return st.sampled_from(inner)
    if issubclass(inner, OpenEnum16):
        return st.sampled_from(inner) | st.integers(0, 0xFFFF).map(inner)
    return structs(inner)


def _split(hint: Any) -> tuple[Any, Any]:
    """A hint's Python type and its layout."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, layout = typing.get_args(hint)
        return inner, layout
    return hint, None


def _tuples(hint: Any, min_size: int) -> st.SearchStrategy[Any]:
    (element, _) = typing.get_args(hint)
    return st.lists(of_type(element), min_size=min_size, max_size=min_size + _MAX_ELEMENTS).map(tuple)


def _present(union: Any) -> Any:
    assert typing.get_origin(union) in (typing.Union, types.UnionType)
    (present,) = (member for member in typing.get_args(union) if member is not type(None))
    return present
