"""`Struct`: declare a struct as the RFC does, get an immutable class with a strict codec.

    class GroupSecrets(Struct):
        joiner_secret: opaque
        path_secret: Opt[PathSecret]
        psks: Vec[PreSharedKeyID]

The class has one slot for each field, is built by keyword, compares by value and cannot be changed.
Its reader, writer and `__init__` are straight-line Python, written by `generator` when the class is first used.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self, TypeVar, dataclass_transform

from ..errors import DecodeError, UsageError
from .generator import (
    KEPT_OCTETS,
    ArmTable,
    FieldSpec,
    Generated,
    GivenSpec,
    ImplicitSpec,
    SelectSpec,
    generate,
)
from .varint import prefixed

S = TypeVar("S", bound="Struct")


def select(on: str, arms: ArmTable) -> Any:
    """A field whose type depends on an earlier one (`select`, RFC 8446 §3.8).

    Args:
        on: path of the earlier field, such as `"content.sender.sender_type"`.
        arms: the type for each of its values; None where the RFC has `struct{}`.
    """
    return SelectSpec(on, arms)


def implicit() -> Any:
    """A field that is not on the wire: the enclosing struct tells its value, with `given`."""
    return ImplicitSpec()


def given(**values: str) -> Any:
    """A field whose struct has implicit fields: for each, the path to its value in this struct."""
    return GivenSpec(values)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(select, implicit, given))
class _StructMeta(type):
    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], keep_octets: bool = False
    ) -> _StructMeta:
        fields = tuple(_declared_fields(namespace))
        if bases and not fields:
            # Since Python 3.14 annotations are not there to be read unless the module asks for the older way.
            raise TypeError(
                f"{name} has no fields; does its module lack `from __future__ import annotations`?"
            )
        namespace["_fields"] = fields
        namespace["_specs"] = {
            field: namespace.pop(field) for field in fields if isinstance(namespace.get(field), FieldSpec)
        }
        namespace["__slots__"] = (*fields, KEPT_OCTETS) if keep_octets else fields
        return super().__new__(mcls, name, bases, namespace)


def _declared_fields(namespace: dict[str, Any]) -> list[str]:
    """Names annotated in a class body, in order; class variables are not fields."""
    return [
        name for name, hint in namespace.get("__annotations__", {}).items() if "ClassVar" not in str(hint)
    ]


class Struct(metaclass=_StructMeta):
    """Base of every struct on the wire. Subclasses only declare fields.

    `class LeafNode(Struct, keep_octets=True)` keeps the octets of a value with it, once they are known: worth their room
    for structs that are hashed, signed over or sent again and again. There is only one encoding of a value.
    """

    _fields: ClassVar[tuple[str, ...]]
    _specs: ClassVar[dict[str, FieldSpec]]
    _generated: ClassVar[Generated | None] = None

    def __init__(self, **values: Any) -> None:
        _compile(type(self))
        self.__init__(**values)  # type: ignore[misc]

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview, **implicit_values: Any) -> Self:
        """Decode all of `data` (RFC 9420 §2.1).

        Args:
            data: the octets of one struct and nothing else.
            implicit_values: the value of each implicit field.

        Raises:
            DecodeError: `data` is anything but the one valid encoding of a value.
            UsageError: `data` is not octets.
        """
        octets = data if isinstance(data, bytes) else _frozen(data)
        value, end = cls._read(octets, 0, **implicit_values)
        if end != len(octets):
            raise DecodeError(
                f"{len(octets) - end} octets follow the end", struct=cls.__name__, field="(end)", offset=end
            )
        return value

    @classmethod
    def _read(cls, data: bytes, at: int, **implicit_values: Any) -> tuple[Self, int]:
        _compile(cls)
        return cls._read(data, at, **implicit_values)

    def encode(self) -> bytes:
        """The octets of this value.

        Raises:
            UsageError: a field is out of its range or of the wrong type; the message names it.
        """
        _compile(type(self))
        return self.encode()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; use codec.replace()")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self._fields)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_show(name, getattr(self, name))}" for name in self._fields)
        return f"{type(self).__name__}({shown})"


def replace(value: S, **changes: Any) -> S:
    """A copy of `value` with some fields changed."""
    return type(value)(**{name: getattr(value, name) for name in value._fields} | changes)


def without_signature(value: Struct) -> bytes:
    """The octets of a struct that ends with its signature, up to there.

    The TBS structs of RFC 9420 repeat all fields but the last, so they begin, or are, these octets: nothing needs to be
    encoded a second time.

    Args:
        value: its last field is `signature: opaque`.
    """
    octets = value.encode()
    return octets[: len(octets) - len(prefixed(value.signature))]  # type: ignore[attr-defined]


def generate_codecs() -> None:
    """Write the codecs of all structs that are declared so far, each of which is else written when it is first used."""
    waiting = Struct.__subclasses__()
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__dict__.get("_generated") is None:
            _compile(cls)


def _compile(cls: type[Struct]) -> None:
    """Write the class's own `__init__`, reader and writer; from now on calls go straight to them."""
    made = generate(cls, cls._fields, cls._specs, Struct)
    type.__setattr__(cls, "__init__", made.init)
    type.__setattr__(cls, "_read", staticmethod(made.read))
    type.__setattr__(cls, "encode", made.encode)
    type.__setattr__(cls, "_generated", made)


def _frozen(data: bytearray | memoryview) -> bytes:
    """A copy of a buffer, whose owner may change it later: the fields of a struct are parts of what it was read from."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise UsageError("only octets can be decoded") from None


def _show(name: str, value: object) -> str:
    """A field for `repr`: secrets, and what people say to each other, only by their size; other octets if they are few."""
    if isinstance(value, bytes):
        if name.endswith(("_secret", "_priv", "content")) or len(value) > 32:
            return f"<{len(value)} octets>"
        return value.hex() or "<0 octets>"
    return repr(value)
