"""A value of any declared struct as a tree of its fields, each with its place in the octets.

There is only one encoding of a value, so where each field lies follows from the value.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal, TypeAlias

from ..codec import ClosedEnum8, Fixed, Length, Rest, Struct, decode_vector
from ..codec.generator import ImplicitSpec, SelectSpec, split_hint, without_none
from ..codec.types import OptionalValue, UInt, VariableLength
from ..codec.varint import write_length
from ..errors import DecodeError
from ..mls.extensions import Extension
from ..mls.grease import GREASE_VALUES
from .names import ENCRYPTED, arm_name

# A longer description is of use to nobody, and what is described may come from anybody.
MOST_PARTS = 20_000

Kind: TypeAlias = Literal["struct", "vector", "octets", "number", "enum", "absent"]
# The type of each extension's data: a struct, or a vector of structs.
ExtensionTypes: TypeAlias = Mapping[int, Any]


@dataclass(frozen=True)
class Described:
    """A field, or an element of a vector.

    Attributes:
        name: the field's name in the RFC; an element's place, such as `[0]`.
        type: as the RFC writes it, such as `opaque<V>`.
        offset: octets from the start of the message.
        size: octets on the wire, with the length before them.
        value: of octets, a number or an enum; None of what has parts.
        label: an enum value's registered name, or GREASE; None if it has none.
        parts: fields, elements, or what an extension's data holds.
        omitted: elements that are left out because the description would be too long.
        encrypted: what is in it, and who can read it; None if it is not encrypted.
        fault: why an extension's data is not what its type calls for.
    """

    name: str
    type: str
    kind: Kind
    offset: int
    size: int
    value: bytes | int | None = None
    label: str | None = None
    parts: tuple[Described, ...] = ()
    omitted: int = 0
    encrypted: str | None = None
    fault: DecodeError | None = None


def describe_struct(name: str, value: Struct, *, extension_types: ExtensionTypes) -> Described:
    """A struct that was decoded from the start of some octets.

    Args:
        name: what it is called.
        extension_types: of the extensions whose data is to be described too.
    """
    return _Walk(extension_types).struct(name, value, 0)


@dataclass
class _Walk:
    """A walk over one message, and how many parts it may still describe."""

    extension_types: ExtensionTypes
    left: int = field(default=MOST_PARTS)

    def struct(self, name: str, value: Struct, at: int) -> Described:
        struct = type(value)
        hints = typing.get_type_hints(struct, include_extras=True)
        parts: list[Described] = []
        end = at
        for own_name in struct._fields:
            spec = struct._specs.get(own_name)
            hint, shown_name = hints[own_name], own_name
            if isinstance(spec, SelectSpec):
                selector = functools.reduce(getattr, spec.on.split("."), value)
                hint = spec.arms[selector]
                shown_name = arm_name(struct, own_name, selector)
            if hint is None or isinstance(spec, ImplicitSpec):
                continue  # not on the wire
            part = self.of_type(hint, shown_name, getattr(value, own_name), end)
            end += part.size
            parts.append(replace(part, encrypted=ENCRYPTED.get((struct, own_name))))
        if isinstance(value, Extension):
            parts[-1] = self.with_extension_data(parts[-1], value)
        return Described(name, struct.__name__, "struct", at, end - at, parts=tuple(parts))

    def of_type(self, hint: Any, name: str, value: Any, at: int) -> Described:
        """A value of a field's declared type."""
        self.left -= 1
        inner, layout = split_hint(hint)
        made = functools.partial(Described, name, type_name(hint), offset=at, size=wire_size(hint, value))
        match layout:
            case UInt():
                return made("number", value=value)
            case OptionalValue() if value is None:
                return made("absent")
            case OptionalValue():
                present = self.of_type(without_none(inner), name, value, at + 1)
                return replace(present, type=type_name(hint), offset=at, size=present.size + 1)
            case _ if inner is bytes:
                return made("octets", value=value)
            case None if isinstance(value, Struct):
                return self.struct(name, value, at)
            case None:
                return made("enum", value=int(value), label=_label(value))
            case _:
                (element, _) = typing.get_args(inner)
                parts, omitted = self.elements(
                    element, value, at + wire_size(hint, value) - _sizes(element, value)
                )
                return made("vector", parts=parts, omitted=omitted)

    def elements(self, hint: Any, items: Sequence[Any], at: int) -> tuple[tuple[Described, ...], int]:
        """The elements of a vector, which begin at an offset; and how many are left out."""
        parts: list[Described] = []
        for place, item in enumerate(items):
            if self.left <= 0:
                break
            parts.append(self.of_type(hint, f"[{place}]", item, at))
            at += parts[-1].size
        return tuple(parts), len(items) - len(parts)

    def with_extension_data(self, described: Described, extension: Extension) -> Described:
        """The data of an extension with what it holds, if its type is known."""
        hint = self.extension_types.get(extension.extension_type)
        data = extension.extension_data
        if hint is None:
            return described
        try:
            value = _decoded(hint, data)
        except DecodeError as fault:
            return replace(described, fault=fault)
        start = described.offset + described.size - len(data)
        return replace(described, parts=(self.of_type(hint, "(data)", value, start),))


def _decoded(hint: Any, data: bytes) -> Any:
    """A struct, or a vector of structs, that is all of `data`."""
    inner, layout = split_hint(hint)
    return inner.decode(data) if layout is None else decode_vector(typing.get_args(inner)[0], data)


def wire_size(hint: Any, value: Any) -> int:
    """Octets that a value of a field's declared type has on the wire."""
    inner, layout = split_hint(hint)
    match layout:
        case UInt(size):
            return size
        case OptionalValue():
            return 1 if value is None else 1 + wire_size(without_none(inner), value)
        case Fixed() | Rest():
            return len(value)
        case VariableLength() | Length():
            octets = len(value) if inner is bytes else _sizes(typing.get_args(inner)[0], value)
            prefix = layout.prefix_size if isinstance(layout, Length) else len(write_length(octets))
            return prefix + octets
        case _ if isinstance(value, Struct):
            return len(value.encode())
        case _:
            return 1 if issubclass(inner, ClosedEnum8) else 2


def type_name(hint: Any) -> str:
    """A field's type as the RFC writes it."""
    inner, layout = split_hint(hint)
    if layout is None:
        return str(inner.__name__)
    if isinstance(layout, UInt):
        return f"uint{8 * layout.size}"
    if isinstance(layout, OptionalValue):
        return f"optional<{type_name(without_none(inner))}>"
    element = "opaque" if inner is bytes else type_name(typing.get_args(inner)[0])
    match layout:
        case Fixed(size):
            return f"{element}[{size}]"
        case Length(minimum, maximum):
            return f"{element}<{minimum}..{maximum}>"
        case VariableLength():
            return f"{element}<V>"
        case _:
            return element


def _sizes(element: Any, items: Iterable[Any]) -> int:
    return sum(wire_size(element, item) for item in items)


def _label(value: IntEnum) -> str | None:
    if value.name in type(value).__members__:
        return value.name
    return "GREASE" if value in GREASE_VALUES else None
