"""Changes to values of structs and to their octets, as a fuzzer's octets decide.

A changed value can always be encoded, so that it can be signed, tagged and sealed like a real one.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mls_federation.codec import ClosedEnum8, Fixed, Length, OpenEnum16, Rest, Struct
from mls_federation.codec.generator import GivenSpec, ImplicitSpec, SelectSpec
from mls_federation.codec.types import OptionalValue, UInt, VariableLength

from .octets import Octets

_MAX_ELEMENTS = 3
_MAX_OCTETS = 80
_MAX_DEPTH = 12


class Pool:
    """Parts of real values, to be put where they do not belong: by struct, and octets by the field's name."""

    def __init__(self, values: Iterable[Struct] = ()) -> None:
        self.structs: dict[type[Struct], list[Any]] = {}
        self.octets: list[bytes] = []
        for value in values:
            self.add(value)

    def add(self, value: Any) -> None:
        """Take a value apart."""
        if isinstance(value, Struct):
            known = self.structs.setdefault(type(value), [])
            if value not in known:
                known.append(value)
            for name in value._fields:
                self.add(getattr(value, name))
        elif _is_list(value):
            for item in value:
                self.add(item)
        elif isinstance(value, bytes) and value not in self.octets:
            self.octets.append(value)


@dataclass(frozen=True)
class _Place:
    """A field, or an element of a list, somewhere in a value."""

    path: tuple[str | int, ...]
    hint: Any
    value: Any
    arms: tuple[Any, ...] | None


def mutated(source: Octets, value: Struct, pool: Pool) -> Any:
    """`value` with one to four things in it changed."""
    for _ in range(1 + source.number(4)):
        places = list(_places(value, ()))
        place = source.choice(places)
        if place.arms is not None:
            new = source.choice(place.arms)
        else:
            new = _replacement(source, place.hint, place.value, pool)
        value = repaired(source, _put(value, place.path, new), pool)
    return value


def made(source: Octets, struct: type[Struct], pool: Pool) -> Any:
    """A value of a struct: a real one, or one of nothing but decisions."""
    return _made(source, struct, pool, {}, 0)


def mutated_octets(source: Octets, data: bytes) -> bytes:
    """`data` with some octets flipped, cut, put in, doubled, or taken for a length."""
    changed = bytearray(data)
    for _ in range(1 + source.number(4)):
        at = source.number(len(changed) + 1)
        match source.number(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << source.number(8)
            case 1 if at < len(changed):
                changed[at] = source.number(256)
            case 2:
                del changed[at : at + 1 + source.number(32)]
            case 3:
                changed[at:at] = source.take(1 + source.number(16))
            case 4:
                changed[at:at] = changed[at : at + 1 + source.number(64)]
            case 5:
                del changed[at:]
            case _:
                changed[at : at + 4] = source.choice(
                    [b"\x00", b"\x3f", b"\x40\x00", b"\x7f\xff", b"\x80\x00\x40\x00", b"\xbf\xff\xff\xff"]
                )
    return bytes(changed)


def _places(value: Struct, path: tuple[str | int, ...]) -> Iterator[_Place]:
    """Everything in a value that can be changed, from the outside in."""
    hints = _hints(type(value))
    chosen = {spec.on: tuple(spec.arms) for spec in value._specs.values() if isinstance(spec, SelectSpec)}
    for name in value._fields:
        spec = value._specs.get(name)
        if isinstance(spec, ImplicitSpec):
            continue
        held = getattr(value, name)
        hint = _arm(value, spec) if isinstance(spec, SelectSpec) else hints[name]
        if hint is not None:
            yield from _places_in(held, hint, (*path, name), chosen.get(name))


def _places_in(
    held: Any, hint: Any, path: tuple[str | int, ...], arms: tuple[Any, ...] | None = None
) -> Iterator[_Place]:
    yield _Place(path, hint, held, arms)
    if isinstance(held, Struct):
        yield from _places(held, path)
    elif _is_list(held):
        element = _element(hint)
        for number, item in enumerate(held):
            yield from _places_in(item, element, (*path, number))


def _put(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """`value` with `new` at a place."""
    if not path:
        return new
    first, *rest = path
    if isinstance(first, int):
        items = list(value)
        items[first] = _put(items[first], tuple(rest), new)
        return tuple(items)
    fields = {name: getattr(value, name) for name in value._fields}
    fields[first] = _put(fields[first], tuple(rest), new)
    return type(value)(**fields)


def repaired(source: Octets, value: Struct, pool: Pool, told: dict[str, Any] | None = None) -> Any:
    """`value` with what its selects call for, where a change has left something else there."""
    told = told or {}
    hints = _hints(type(value))
    fields: dict[str, Any] = {}
    for name in value._fields:
        held, spec = told.get(name, getattr(value, name)), value._specs.get(name)
        match spec:
            case SelectSpec(on=path, arms=arms):
                on = _at(fields, path)
                arm = arms[on] if on in arms else next(iter(arms.values()))
                if not _fits(held, arm):
                    held = None if arm is None else _made_of(source, arm, pool, 1)
            case GivenSpec(values=paths):
                held = repaired(
                    source, held, pool, {inner: _at(fields, path) for inner, path in paths.items()}
                )
            case _:
                arms_on = _arms_on(value, name)
                if arms_on is not None and held not in arms_on:
                    held = source.choice(arms_on)
                if not _fits(held, hints[name]):
                    held = _made_of(source, hints[name], pool, 1)
        fields[name] = _repaired_inside(source, held, pool) if not isinstance(spec, GivenSpec) else held
    return type(value)(**fields)


def _repaired_inside(source: Octets, held: Any, pool: Pool) -> Any:
    if isinstance(held, Struct):
        return repaired(source, held, pool)
    if _is_list(held):
        return tuple(_repaired_inside(source, item, pool) for item in held)
    return held


def _fits(held: Any, hint: Any) -> bool:
    """Whether a value is of the Python type that a field needs."""
    if hint is None:
        return held is None
    inner, layout = _split(hint)
    match layout:
        case UInt(size):
            return isinstance(held, int) and 0 <= held < 1 << 8 * size
        case OptionalValue():
            return held is None or _fits(held, _present(inner))
        case Fixed(size):
            return isinstance(held, bytes) and len(held) == size
        case VariableLength() | Length() | Rest():
            return isinstance(held, bytes) if inner is bytes else _is_list(held)
    return isinstance(held, inner)


def _replacement(source: Octets, hint: Any, held: Any, pool: Pool) -> Any:
    """Something else of the same type."""
    inner, layout = _split(hint)
    match layout:
        case UInt(size):
            most = (1 << 8 * size) - 1
            near = [0, 1, most, most - 1, held + 1, held - 1, held ^ 1 << source.number(8 * size)]
            return (*near, source.number(most + 1))[source.number(len(near) + 1)] & most
        case OptionalValue():
            return _made_of(source, _present(inner), pool, 1) if held is None or source.flag(3) else None
        case Fixed(size):
            return (source.take(size) + held)[:size]
        case VariableLength() | Length() | Rest() if inner is bytes:
            return _bounded(_other_octets(source, held, pool), layout)
        case VariableLength() | Length():
            other = _other_tuple(source, _element(hint), held, pool)
            # One element is enough for every minimum that there is.
            return other if other or not (isinstance(layout, Length) and layout.minimum) else held
    if issubclass(inner, Struct):
        return _made_of(source, hint, pool, 1)
    return _made_of(source, hint, pool, 1)


def _other_octets(source: Octets, held: bytes, pool: Pool) -> bytes:
    match source.number(6):
        case 0 if pool.octets:
            return source.choice(pool.octets)
        case 1:
            return source.take(source.number(_MAX_OCTETS))
        case 2:
            return b""
        case 3:
            return held + source.take(1 + source.number(8))
        case 4:
            return bytes(source.choice([1, 31, 32, 33, 63, 64, 65, 133, 300, 20_000]))
    return mutated_octets(source, held)


def _other_tuple(source: Octets, element: Any, held: tuple[Any, ...], pool: Pool) -> tuple[Any, ...]:
    items = list(held)
    at = source.number(len(items) + 1)
    match source.number(6):
        case 0 if at < len(items):
            del items[at]
        case 1 if items:
            items.insert(at, source.choice(items))
        case 2 if len(items) > 1:
            other = source.number(len(items))
            items[at % len(items)], items[other] = items[other], items[at % len(items)]
        case 3:
            items.clear()
        case 4 if items:
            items += [source.choice(items)] * source.choice([2, 5, 40])
        case _:
            items.insert(at, _made_of(source, element, pool, 1))
    return tuple(items)


def _made(source: Octets, struct: type[Struct], pool: Pool, told: dict[str, Any], depth: int) -> Any:
    real = pool.structs.get(struct)
    if real and (depth > _MAX_DEPTH or not source.flag(4)):
        return repaired(source, source.choice(real), pool, told)
    hints = _hints(struct)
    fields: dict[str, Any] = {}
    for name in struct._fields:
        spec = struct._specs.get(name)
        if name in told:
            fields[name] = told[name]
        elif isinstance(spec, SelectSpec):
            arm = spec.arms[_at(fields, spec.on)]
            fields[name] = None if arm is None else _made_of(source, arm, pool, depth + 1)
        elif isinstance(spec, GivenSpec):
            inner = {field: _at(fields, path) for field, path in spec.values.items()}
            fields[name] = _made(source, hints[name], pool, inner, depth + 1)
        else:
            arms = _arms_on(struct, name)
            fields[name] = (
                source.choice(arms) if arms is not None else _made_of(source, hints[name], pool, depth + 1)
            )
    return struct(**fields)


def _made_of(source: Octets, hint: Any, pool: Pool, depth: int) -> Any:
    inner, layout = _split(hint)
    match layout:
        case UInt(size):
            return source.number(1 << 8 * size) if source.flag() else source.number(8)
        case Fixed(size):
            return (source.take(size) + bytes(size))[:size]
        case OptionalValue():
            return _made_of(source, _present(inner), pool, depth + 1) if source.flag() else None
        case VariableLength() | Length() | Rest() if inner is bytes:
            return _bounded(_other_octets(source, b"", pool), layout)
        case VariableLength() | Length():
            minimum = layout.minimum if isinstance(layout, Length) else 0
            count = max(minimum, source.number(1 + _MAX_ELEMENTS))
            return tuple(_made_of(source, _element(hint), pool, depth + 1) for _ in range(count))
    if issubclass(inner, ClosedEnum8):
        return source.choice(list(inner))
    if issubclass(inner, OpenEnum16):
        return inner(source.number(0x10000)) if source.flag(3) else source.choice(list(inner))
    return _made(source, inner, pool, {}, depth)


def _bounded(octets: bytes, layout: Any) -> bytes:
    """`octets` made to fit the bounds of an RFC 8446 vector."""
    if isinstance(layout, Length):
        return octets[: layout.maximum].ljust(layout.minimum, b"\x00")
    return octets


@functools.cache
def _hints(struct: type[Struct]) -> dict[str, Any]:
    return typing.get_type_hints(struct, include_extras=True)


def _arms_on(struct: type[Struct] | Struct, name: str) -> list[Any] | None:
    """The values of a field that a select of the same struct has arms for; None if none depends on it."""
    for spec in struct._specs.values():
        if isinstance(spec, SelectSpec) and spec.on == name:
            return list(spec.arms)
    return None


def _arm(value: Struct, spec: SelectSpec) -> Any:
    fields = {name: getattr(value, name) for name in value._fields}
    return spec.arms.get(_at(fields, spec.on))


def _at(fields: dict[str, Any], path: str) -> Any:
    first, *rest = path.split(".")
    return functools.reduce(getattr, rest, fields[first])


def _split(hint: Any) -> tuple[Any, Any]:
    if typing.get_origin(hint) is typing.Annotated:
        inner, layout = typing.get_args(hint)
        return inner, layout
    return hint, None


def _is_list(held: Any) -> bool:
    """Whether a value is a vector's: a tuple, or its like that is decoded later."""
    return isinstance(held, Sequence) and not isinstance(held, bytes)


def _element(hint: Any) -> Any:
    (element, _) = typing.get_args(_split(hint)[0])
    return element


def _present(union: Any) -> Any:
    if typing.get_origin(union) not in (typing.Union, types.UnionType):
        raise TypeError(f"{union!r} is not optional")
    (present,) = (inner for inner in typing.get_args(union) if inner is not types.NoneType)
    return present
