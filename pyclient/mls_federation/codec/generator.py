"""Writes the reader, writer and `__init__` of a struct as straight-line Python, once, on first use.

A general interpreter of field descriptions takes two to three times as long (docs/adr/0002).
The text is registered with `linecache`, so tracebacks and debuggers show it; `print(T._generated.source)` prints it.

The readers carry no error handling on their way: what can go wrong surfaces as an IndexError, KeyError, struct.error or
InvalidLength, and as the generator knows which field each line belongs to, the line that raised names the field.
"""

from __future__ import annotations

import enum
import linecache
import struct
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DecodeError, UsageError
from .lazy import LazyVector, uniform_size
from .types import ClosedEnum8, Fixed, Length, OpenEnum16, OptionalValue, Rest, UInt, VariableLength
from .varint import SHORTEST, InvalidLength, prefixed, read_length

ArmTable = Mapping[Any, Any]

# The slot for a value's octets, in structs that keep them.
KEPT_OCTETS = "_octets"

_FORMATS = {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}
_INPUT_FAULTS = (IndexError, KeyError, struct.error, InvalidLength)
_VALUE_FAULTS = (AttributeError, TypeError, KeyError, OverflowError, ValueError, struct.error)


class FieldSpec:
    """What stands to the right of a field's `=`."""


@dataclass(frozen=True)
class SelectSpec(FieldSpec):
    on: str
    arms: ArmTable


@dataclass(frozen=True)
class ImplicitSpec(FieldSpec):
    pass


@dataclass(frozen=True)
class GivenSpec(FieldSpec):
    values: dict[str, str]


@dataclass(frozen=True)
class Generated:
    """The functions written for one class, and their text."""

    init: Callable[..., None]
    read: Callable[..., Any]
    encode: Callable[[Any], bytes]
    source: str


def generate(cls: type, fields: tuple[str, ...], specs: Mapping[str, FieldSpec], base: type) -> Generated:
    """Write the functions of `cls`, a subclass of `base` with these fields."""
    return _Writer(cls, fields, specs, base).write()


class _Writer:
    """The text being written, the names it refers to, and which field each line serves."""

    def __init__(
        self, cls: type, fields: tuple[str, ...], specs: Mapping[str, FieldSpec], base: type
    ) -> None:
        self.cls = cls
        self.fields = fields
        self.specs = specs
        self.base = base
        self.hints = typing.get_type_hints(cls, include_extras=True)
        self.keeps_octets = hasattr(cls, KEPT_OCTETS)
        self.lines: list[str] = []
        self.owner: list[str] = []  # the field that each line serves
        self.field = "(start)"
        self.names: dict[str, Any] = {
            "_cls": cls,
            "_new": object.__new__,
            "_length": read_length,
            "_prefixed": prefixed,
            "_shortest": SHORTEST,
            "_fixed": _fixed,
            "_bounded": _bounded,
            "_Invalid": InvalidLength,
            "_input_faults": _INPUT_FAULTS,
            "_value_faults": _VALUE_FAULTS,
            "_refuse": self.refuse,
            "_misused": self.misused,
        }
        for size, form in _FORMATS.items():
            self.names[f"_u{size}"] = struct.Struct(form).unpack_from
            self.names[f"_p{size}"] = struct.Struct(form).pack
        self.names["_u3"] = _unpack_3
        for name in (*fields, KEPT_OCTETS) if self.keeps_octets else fields:
            self.names[f"_set_{name}"] = getattr(cls, name).__set__

    def write(self) -> Generated:
        self.write_init()
        self.write_read()
        self.write_encode()
        source = "\n".join(self.lines) + "\n"
        filename = f"<codec of {self.cls.__module__}.{self.cls.__qualname__}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec"), self.names)
        return Generated(self.names["init"], self.names["read"], self.names["encode"], source)

    # -- the three functions

    def write_init(self) -> None:
        parameters = ", *, " + ", ".join(self.fields) if self.fields else ""
        self.line(0, f"def init(_o{parameters}):")
        for name in self.fields:
            self.line(1, f"_set_{name}(_o, {name})")
        if self.keeps_octets:
            self.line(1, f"_set_{KEPT_OCTETS}(_o, None)")
        self.line(1, "return None")

    def write_read(self) -> None:
        told = [name for name in self.fields if isinstance(self.specs.get(name), ImplicitSpec)]
        self.line(0, f"def read(_b, _p{''.join(f', {name}' for name in told)}):")
        self.line(1, "try:")
        self.line(2, "_o = _new(_cls)")
        if self.keeps_octets:
            self.line(2, "_start = _p")
        for name in self.fields:
            self.field = name
            spec = self.specs.get(name)
            if isinstance(spec, SelectSpec):
                self.read_select(2, name, spec)
            elif isinstance(spec, GivenSpec):
                told_below = "".join(f", {inner}={path}" for inner, path in spec.values.items())
                self.line(2, f"{name}, _p = {self.name_of(self.hints[name])}._read(_b, _p{told_below})")
            elif not isinstance(spec, ImplicitSpec):
                self.read(2, self.hints[name], name)
            self.line(2, f"_set_{name}(_o, {name})")
        if self.keeps_octets:
            self.line(2, f"_set_{KEPT_OCTETS}(_o, _b[_start:_p])")
        self.line(2, "return _o, _p")
        self.line(1, "except _input_faults as fault:")
        self.line(2, "raise _refuse(fault, _p) from None")

    def write_encode(self) -> None:
        self.line(0, "def encode(_o):")
        if self.keeps_octets:
            self.line(1, f"if _o.{KEPT_OCTETS} is not None: return _o.{KEPT_OCTETS}")
        self.line(1, "try:")
        parts = []
        for name in self.fields:
            self.field = name
            spec = self.specs.get(name)
            if isinstance(spec, ImplicitSpec):
                continue
            if isinstance(spec, SelectSpec):
                self.encode_select(2, name, spec)
            else:
                self.line(2, f"_w_{name} = {self.encoded(self.hints[name], f'_o.{name}')}")
            parts.append(f"_w_{name}")
        self.field = "(end)"
        octets = " + ".join(parts) or repr(b"")
        if self.keeps_octets:
            self.line(2, f"_octets = {octets}")
            self.line(2, f"_set_{KEPT_OCTETS}(_o, _octets)")
            self.line(2, "return _octets")
        else:
            self.line(2, f"return {octets}")
        self.line(1, "except _value_faults as fault:")
        self.line(2, "raise _misused(fault) from fault")

    # -- reading

    def read(self, depth: int, hint: Any, target: str) -> None:
        """Lines that read a value of type `hint` at `p` into the variable `target`, and advance `p`."""
        inner, layout = split_hint(hint)
        match layout:
            case UInt(1):
                self.line(depth, f"{target} = _b[_p]")
                self.line(depth, "_p += 1")
            case UInt(size):
                self.line(depth, f"({target},) = _u{size}(_b, _p)")
                self.line(depth, f"_p += {size}")
            case Fixed(size):
                self.line(depth, f"{target} = _b[_p : _p + {size}]")
                self.line(depth, f"if len({target}) != {size}: raise IndexError")
                self.line(depth, f"_p += {size}")
            case Rest():
                self.line(depth, f"{target} = _b[_p:]")
                self.line(depth, "_p = len(_b)")
            case OptionalValue():
                self.line(depth, "_flag = _b[_p]")
                self.line(
                    depth, "if _flag > 1: raise _Invalid('the flag of an optional value is neither 0 nor 1')"
                )
                self.line(depth, "_p += 1")
                self.line(depth, "if _flag:")
                self.read(depth + 1, without_none(inner), target)
                self.line(depth, "else:")
                self.line(depth + 1, f"{target} = None")
            case VariableLength() | Length():
                self.read_vector(depth, inner, layout, target)
            case _:
                self.read_named(depth, inner, target)

    def read_named(self, depth: int, hint: type, target: str) -> None:
        name = self.name_of(hint)
        if issubclass(hint, self.base):
            self.line(depth, f"{target}, _p = {name}._read(_b, _p)")
        elif issubclass(hint, ClosedEnum8):
            self.names[f"{name}_by_value"] = {int(member): member for member in hint}
            self.line(depth, f"{target} = {name}_by_value[_b[_p]]")
            self.line(depth, "_p += 1")
        elif issubclass(hint, OpenEnum16):
            self.names[f"{name}_by_value"] = {int(member): member for member in hint}
            self.line(depth, "(_v,) = _u2(_b, _p)")
            self.line(depth, f"{target} = {name}_by_value.get(_v)")
            self.line(depth, f"if {target} is None: {target} = {name}.unnamed(_v)")
            self.line(depth, "_p += 2")
        else:
            raise TypeError(
                f"{self.cls.__name__}.{self.field}: {hint!r} is no type of the presentation language"
            )

    def read_vector(self, depth: int, inner: Any, layout: VariableLength | Length, target: str) -> None:
        n, end, items, item = (f"_{word}{depth}" for word in ("n", "end", "items", "item"))
        if isinstance(layout, VariableLength):
            self.line(depth, f"{n} = _b[_p]")
            self.line(depth, f"if {n} < 64: _p += 1")
            self.line(depth, f"else: {n}, _p = _length(_b, _p)")
        else:
            size = layout.prefix_size
            self.line(depth, f"({n},) = _u{size}(_b, _p)")
            bounds = f"{layout.minimum} to {layout.maximum}"
            self.line(depth, f"if not {layout.minimum} <= {n} <= {layout.maximum}:")
            self.line(depth + 1, f"raise _Invalid(f'a length of {{{n}}} octets is outside {bounds}')")
            self.line(depth, f"_p += {size}")
        self.line(depth, f"{end} = _p + {n}")
        # Before anything is allocated: a length can never exceed what was received.
        self.line(depth, f"if {end} > len(_b): raise IndexError")
        if inner is bytes:
            self.line(depth, f"{target} = _b[_p:{end}]")
            self.line(depth, f"_p = {end}")
            return
        (element, _) = typing.get_args(inner)
        opaques = self.flat(element)
        if opaques:
            self.names["_uniform_size"], self.names["_LazyVector"] = uniform_size, LazyVector
            self.line(depth, f"_size = _uniform_size(_b, _p, {end}, {opaques}) if _p < {end} else None")
            self.line(depth, "if _size:")
            name = self.name_of(element)
            self.line(depth + 1, f"{target} = _LazyVector(_b, _p, {end}, _size, {name})")
            self.line(depth + 1, f"_p = {end}")
            self.line(depth, "else:")
            depth += 1
        self.line(depth, f"{items} = []")
        self.line(depth, f"while _p < {end}:")
        self.read(depth + 1, element, item)
        self.line(depth + 1, f"{items}.append({item})")
        self.line(depth, f"if _p != {end}: raise _Invalid('an element crosses the end of its vector')")
        self.line(depth, f"{target} = tuple({items})")

    def flat(self, hint: Any) -> int:
        """Of how many `opaque<V>`s a struct consists; 0 if there is anything else in it."""
        if not (isinstance(hint, type) and issubclass(hint, self.base)):
            return 0
        fields, specs = hint._fields, hint._specs  # type: ignore[attr-defined]
        hints = typing.get_type_hints(hint, include_extras=True)
        total = 0
        for name in fields:
            inner, layout = (None, None) if name in specs else split_hint(hints[name])
            opaques = int(isinstance(layout, VariableLength)) if inner is bytes else self.flat(inner)
            if not opaques:
                return 0
            total += opaques
        return total

    def read_select(self, depth: int, name: str, spec: SelectSpec) -> None:
        self.line(depth, f"_d = {spec.on}")
        for number, (value, arm) in enumerate(spec.arms.items()):
            self.line(depth, f"{'el' if number else ''}if _d == {int(value)}:")
            if arm is None:
                self.line(depth + 1, f"{name} = None")
            else:
                self.read(depth + 1, arm, name)
        self.line(depth, "else:")
        self.line(depth + 1, "raise KeyError(int(_d))")

    # -- writing

    def encoded(self, hint: Any, value: str) -> str:
        """An expression for the octets of `value`."""
        inner, layout = split_hint(hint)
        match layout:
            case UInt(size):
                return f"_p{size}({value})"
            case Fixed(size):
                return f"_fixed({value}, {size})"
            case Rest():
                return f"b'' + {value}"  # fails here, with the field's name, if the value is not octets
            case OptionalValue():
                present = self.encoded(without_none(inner), value)
                return f"(b'\\x00' if {value} is None else b'\\x01' + {present})"
            case VariableLength():
                # Nearly all are shorter than 64 octets: for them no function is called.
                body = self.vector_body(inner, value)
                return f"(_shortest[_n] + _v if (_n := len(_v := {body})) < 64 else _prefixed(_v))"
            case Length(minimum, maximum):
                body = self.vector_body(inner, value)
                return f"_bounded({body}, {layout.prefix_size}, {minimum}, {maximum})"
            case _ if issubclass(inner, enum.Enum):
                return f"_p{1 if issubclass(inner, ClosedEnum8) else 2}({value})"
            case _:
                return f"{self.name_of(inner)}.encode({value})"

    def vector_body(self, inner: Any, value: str) -> str:
        if inner is bytes:
            return value
        (element, _) = typing.get_args(inner)
        return f"b''.join([{self.encoded(element, '_x')} for _x in {value}])"

    def encode_select(self, depth: int, name: str, spec: SelectSpec) -> None:
        self.line(depth, f"_d = _o.{spec.on}")
        for number, (value, arm) in enumerate(spec.arms.items()):
            self.line(depth, f"{'el' if number else ''}if _d == {int(value)}:")
            if arm is None:
                self.line(depth + 1, f"if _o.{name} is not None: raise TypeError('must be None here')")
                self.line(depth + 1, f"_w_{name} = b''")
            else:
                self.line(depth + 1, f"_w_{name} = {self.encoded(arm, f'_o.{name}')}")
        self.line(depth, "else:")
        self.line(depth + 1, "raise KeyError(int(_d))")

    # -- errors

    def refuse(self, fault: Exception, at: int) -> DecodeError:
        """The `DecodeError` for what a line of `read` raised."""
        match fault:
            case InvalidLength():
                reason = str(fault)
            case KeyError():
                reason = f"{fault.args[0]} is not a value it can have"
            case _:
                reason = "the input ends too early"
        return DecodeError(reason, struct=self.cls.__name__, field=self.blame(fault), offset=at)

    def misused(self, fault: Exception) -> UsageError:
        """The `UsageError` for what a line of `encode` raised; never shows the value, which may be secret."""
        return UsageError(f"{self.cls.__name__}.{self.blame(fault)} has a value that cannot be encoded")

    def blame(self, fault: Exception) -> str:
        assert fault.__traceback__ is not None
        return self.owner[fault.__traceback__.tb_lineno - 1]

    # -- text

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)
        self.owner.append(self.field)

    def name_of(self, hint: Any) -> str:
        """A global name for a class that the text refers to."""
        name = f"_{hint.__name__}"
        self.names[name] = hint
        return name


def split_hint(hint: Any) -> tuple[Any, Any]:
    """A hint's Python type and its layout on the wire; None for a class that lays itself out."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, layout = typing.get_args(hint)
        return inner, layout
    return hint, None


def without_none(union: Any) -> Any:
    """T of `T | None`."""
    if typing.get_origin(union) not in (typing.Union, types.UnionType):
        raise TypeError(f"{union!r} is not optional")
    (present,) = (member for member in typing.get_args(union) if member is not type(None))
    return present


def _unpack_3(data: bytes, at: int) -> tuple[int]:
    """A length field of three octets, for which `struct` has no format."""
    return (data[at] << 16 | data[at + 1] << 8 | data[at + 2],)


def _fixed(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"{size} octets are needed")
    return value


def _bounded(body: bytes, prefix_size: int, minimum: int, maximum: int) -> bytes:
    if not minimum <= len(body) <= maximum:
        raise ValueError(f"{minimum} to {maximum} octets are needed")
    return len(body).to_bytes(prefix_size, "big") + body
