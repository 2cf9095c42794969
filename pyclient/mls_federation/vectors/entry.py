"""Entries of vector files: read strictly, compared field by field; and what makes up a family of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..crypto import CipherSuite, Crypto, CryptoProvider, crypto
from ..errors import RemoteError

# An entry as JSON has it.
Vector: TypeAlias = Mapping[str, Any]

# Enough to tell two values apart in a report.
_SHOWN = 40
_HEXADECIMAL = re.compile("(?:[0-9a-fA-F]{2})*")


class VectorFormatError(RemoteError):
    """Data that is no vector file, or an entry with a field that is missing or of the wrong kind."""

    default_code = "bad-vector"


class VectorMismatch(RemoteError):
    """The engine computes something else than an entry says.

    Attributes:
        field: where in the entry, such as `epochs[2].joiner_secret`.
        expected: what the entry says, shortened.
        actual: what was computed, shortened. Vectors are public, so nothing in them is secret.
    """

    default_code = "vector-mismatch"

    def __init__(self, field: str, expected: object, actual: object) -> None:
        self.field = field
        self.expected = _shown(expected)
        self.actual = _shown(actual)
        super().__init__(f"{field}: expected {self.expected}, computed {self.actual}")


@dataclass(frozen=True)
class Entry:
    """An entry, or a part of one, whose fields are read by their kind.

    Every reader raises VectorFormatError if there is no such field, or if it is of another kind.

    Attributes:
        fields: as JSON has them.
        path: where in the whole entry this is, for messages; empty for the entry itself.
    """

    fields: Vector
    path: str = ""

    def octets(self, name: str) -> bytes:
        """A field of hexadecimal digits."""
        return _octets(self._field(name), self.at(name))

    def optional_octets(self, name: str) -> bytes | None:
        """A field of hexadecimal digits, or null."""
        return None if self._field(name) is None else self.octets(name)

    def octets_list(self, name: str) -> list[bytes]:
        """A list of strings of hexadecimal digits."""
        return [_octets(item, f"{self.at(name)}[{i}]") for i, item in enumerate(self.items(name))]

    def optional_octets_list(self, name: str) -> list[bytes | None]:
        """A list of strings of hexadecimal digits and nulls."""
        return [
            None if item is None else _octets(item, f"{self.at(name)}[{i}]")
            for i, item in enumerate(self.items(name))
        ]

    def number(self, name: str, size: int = 4) -> int:
        """An unsigned integer of `size` octets."""
        value = self._field(name)
        # To Python a boolean is a number, to JSON it is not.
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 8 * size:
            raise _wrong(self.at(name), f"an integer of {size} octets")
        return value

    def text(self, name: str) -> str:
        """A string."""
        value = self._field(name)
        if not isinstance(value, str):
            raise _wrong(self.at(name), "a string")
        return value

    def part(self, name: str) -> Entry:
        """An object inside the entry."""
        return _part(self._field(name), self.at(name))

    def parts(self, name: str) -> list[Entry]:
        """A list of objects inside the entry."""
        return [_part(item, f"{self.at(name)}[{i}]") for i, item in enumerate(self.items(name))]

    def nested_parts(self, name: str) -> list[list[Entry]]:
        """A list of lists of objects inside the entry."""
        found = []
        for i, inner in enumerate(self.items(name)):
            path = f"{self.at(name)}[{i}]"
            if not isinstance(inner, list):
                raise _wrong(path, "a list")
            found.append([_part(item, f"{path}[{j}]") for j, item in enumerate(inner)])
        return found

    def items(self, name: str) -> list[Any]:
        """A list of anything."""
        value = self._field(name)
        if not isinstance(value, list):
            raise _wrong(self.at(name), "a list")
        return value

    def check(self, name: str, actual: bytes | int | Sequence[object]) -> None:
        """Compare a field with what was computed; octets with hexadecimal digits.

        Raises:
            VectorMismatch: they differ.
        """
        expected: object
        if isinstance(actual, bytes):
            expected = self.octets(name)
        elif isinstance(actual, int):
            expected = self.number(name, size=8)
        else:
            expected, actual = self.items(name), list(actual)
        check(self.at(name), expected, actual)

    def crypto(self, provider: CryptoProvider) -> Crypto:
        """The entry's cipher suite in the hands of `provider`."""
        return crypto(provider, self.number("cipher_suite", size=2))

    def at(self, name: str) -> str:
        """Where in the whole entry a field is."""
        return f"{self.path}.{name}" if self.path else name

    def _field(self, name: str) -> Any:
        if name not in self.fields:
            raise VectorFormatError(f"{self.at(name)} is missing")
        return self.fields[name]


@dataclass(frozen=True)
class Family:
    """One kind of test vector.

    Attributes:
        name: as its official file is named.
        keys: fields that every entry has; no two families have the same.
        verify: does all that `test-vectors.md` of the working group asks for; returns if the entry is right.
        generate: makes an entry of one cipher suite and one of `parameters`.
        parameters: what a generated file varies: sizes, shapes of trees, scenarios.
        by_suite: whether entries are of a cipher suite.
    """

    name: str
    keys: frozenset[str]
    verify: Callable[[CryptoProvider, Entry], None]
    generate: Callable[[CryptoProvider, CipherSuite, Any], Vector]
    parameters: tuple[object, ...]
    by_suite: bool = True


def check(field: str, expected: object, actual: object) -> None:
    """Compare two values.

    Raises:
        VectorMismatch: they differ.
    """
    if expected != actual:
        raise VectorMismatch(field, expected, actual)


def _octets(value: object, path: str) -> bytes:
    # Stricter than `bytes.fromhex`, which lets spaces pass.
    if isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
        return bytes.fromhex(value)
    raise _wrong(path, "hexadecimal digits")


def _part(value: object, path: str) -> Entry:
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    return Entry(value, path)


def _wrong(path: str, kind: str) -> VectorFormatError:
    return VectorFormatError(f"{path} is not {kind}")


def _shown(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} signs)"
