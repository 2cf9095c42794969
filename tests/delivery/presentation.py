"""Writes structs as docs/protocol.md shows them: their declarations, and annotated octets."""

from __future__ import annotations

import enum
import typing
from typing import Any

from mls_federation.codec import ClosedEnum8, Length, OpenEnum16, Struct
from mls_federation.codec.generator import SelectSpec
from mls_federation.codec.types import OptionalValue, UInt, VariableLength
from mls_federation.codec.varint import write_length

_OCTETS_A_LINE = 32


def annotated(value: Struct) -> str:
    """The octets of a struct in hexadecimal, a field a line, with what each is."""
    return "\n".join(f"{row:<64}  # {note}" if note else row for row, note in _struct_rows(value, 0))


def octets(text: str) -> bytes:
    """The octets that `annotated` shows."""
    return bytes.fromhex("".join(line.partition("#")[0] for line in text.splitlines()))


Rows = list[tuple[str, str]]


def _struct_rows(value: Struct, depth: int) -> Rows:
    hints = typing.get_type_hints(type(value), include_extras=True)
    rows: Rows = []
    for name in value._fields:
        spec = value._specs.get(name)
        hint = hints[name]
        if isinstance(spec, SelectSpec):
            hint = spec.arms[getattr(value, spec.on)]
            if hint is None:
                continue
        rows += _rows(hint, getattr(value, name), name, depth)
    return rows


def _rows(hint: Any, value: Any, name: str, depth: int) -> Rows:
    inner, layout = _split(hint)
    indent = "  " * depth
    match layout:
        case UInt(size):
            return [(int(value).to_bytes(size, "big").hex(), f"{indent}{name} = {value}")]
        case VariableLength() | Length():
            body = value if inner is bytes else b"".join(_element(inner, item) for item in value)
            prefix = _encoded_length(layout, len(body))
            rows = [(prefix.hex(), f"{indent}{name}: {len(body)} octets")]
            if inner is bytes:
                return rows + _octet_rows(value, depth + 1)
            (element, _) = typing.get_args(inner)
            for number, item in enumerate(value):
                rows += _rows(element, item, f"[{number}]", depth + 1)
            return rows
        case OptionalValue():
            rows = [
                (
                    "00" if value is None else "01",
                    f"{indent}{name}: {'absent' if value is None else 'present'}",
                )
            ]
            return rows if value is None else rows + _rows(_present(inner), value, name, depth + 1)
    if isinstance(value, Struct):
        return _struct_rows(value, depth)
    size = 1 if isinstance(value, ClosedEnum8) else 2
    return [(value.to_bytes(size, "big").hex(), f"{indent}{name} = {value.name}")]


def _octet_rows(value: bytes, depth: int) -> Rows:
    lines = [value[at : at + _OCTETS_A_LINE].hex() for at in range(0, len(value), _OCTETS_A_LINE)]
    text = value.isascii() and value.decode("ascii").isprintable()
    note = "  " * depth + f'"{value.decode("ascii")}"' if text and value else ""
    return [(line, "" if number else note) for number, line in enumerate(lines)]


def _element(vector: Any, item: Any) -> bytes:
    (element, _) = typing.get_args(vector)
    inner, layout = _split(element)
    if isinstance(item, Struct):
        return item.encode()
    if inner is bytes:
        return _encoded_length(layout, len(item)) + bytes(item)
    return int(item).to_bytes(layout.size if isinstance(layout, UInt) else 2, "big")


def _encoded_length(layout: Any, length: int) -> bytes:
    return length.to_bytes(layout.prefix_size, "big") if isinstance(layout, Length) else write_length(length)


def declaration(cls: type[Struct | enum.Enum]) -> str:
    """A struct or an enum in the presentation language."""
    return _struct_declaration(cls) if issubclass(cls, Struct) else _enum_declaration(cls)


def _enum_declaration(cls: type[enum.Enum]) -> str:
    hexadecimal = issubclass(cls, OpenEnum16)
    lines = [
        f"    {member.name}({member.value:#06x})," if hexadecimal else f"    {member.name}({member.value}),"
        for member in cls
    ]
    return "\n".join(["enum {", *lines, f"    ({'0xffff' if hexadecimal else 255})", f"}} {cls.__name__};"])


def _struct_declaration(cls: type[Struct]) -> str:
    hints = typing.get_type_hints(cls, include_extras=True)
    lines = ["struct {"]
    for name in cls._fields:
        spec = cls._specs.get(name)
        if isinstance(spec, SelectSpec):
            lines.append(f"    select ({cls.__name__}.{spec.on}) {{")
            lines += [
                f"        case {value.name}: {'struct {}' if arm is None else _type(arm, '')};"
                for value, arm in spec.arms.items()
            ]
            lines.append("    };")
        else:
            lines.append(f"    {_type(hints[name], name)};")
    return "\n".join([*lines, f"}} {cls.__name__};"])


def _type(hint: Any, name: str) -> str:
    inner, layout = _split(hint)
    match layout:
        case UInt(size):
            return f"uint{8 * size} {name}".rstrip()
        case VariableLength() | Length():
            element = "opaque" if inner is bytes else _type_of_element(typing.get_args(inner)[0])
            return f"{element} {name}".rstrip() + _bounds(layout)
        case OptionalValue():
            return f"optional<{_type(_present(inner), '')}> {name}".rstrip()
    return f"{inner.__name__} {name}".rstrip()


def _type_of_element(hint: Any) -> str:
    inner, layout = _split(hint)
    if inner is bytes:
        return "Octets" if isinstance(layout, VariableLength) else "HPKEPublicKey"
    return _type(hint, "")


def _bounds(layout: Any) -> str:
    if isinstance(layout, VariableLength):
        return "<V>"
    power = (layout.maximum + 1).bit_length() - 1
    return f"<{layout.minimum}..{layout.maximum if power <= 8 else f'2^{power}-1'}>"


def _present(optional: Any) -> Any:
    """What an optional value is, if it is there."""
    (present,) = (arm for arm in typing.get_args(optional) if arm is not type(None))
    return present


def _split(hint: Any) -> tuple[Any, Any]:
    if typing.get_origin(hint) is typing.Annotated:
        inner, layout = typing.get_args(hint)
        return inner, layout
    return hint, None
