"""Reads the listings of RFC 9420 in the presentation language.

They are not part of this repository: `rfc9420.tls` is looked for in the folder that `MLS_RFC_LISTINGS` names, then in
`../shared/spec` beside the project.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.vector_files import find_data_file

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "spec"

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|^#[^\n]*", re.DOTALL | re.MULTILINE)
_STRUCT = re.compile(
    r"\bstruct\s*\{(?P<body>(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}\s*(?P<name>\w+)(?:<T>)?\s*;"
)
_ENUM = re.compile(r"\benum\s*\{(?P<body>[^{}]*)\}\s*(?P<name>\w+)\s*;")
_MEMBER = re.compile(r"(\w*)\((\d+)\)")
_SELECT = re.compile(r"select\s*\((?P<on>[\w.]+)\)\s*\{(?P<arms>(?:[^{}]|\{[^{}]*\})*)\}\s*;?")
_CASE = re.compile(r"case\s+(\w+)\s*:")
_FIELD = re.compile(r"(?P<type>[\w<>]+?)\s+(?P<name>\w+)(?P<vector><V>|\[\w+\]|<[\w.]+>)?(?:\s*=\s*\w+)?")


@dataclass(frozen=True)
class Field:
    """A field; its name is empty where the RFC gives an arm of a select a type alone."""

    name: str
    type: str


@dataclass(frozen=True)
class Select:
    """A select: on what, and the fields of each arm."""

    on: str
    arms: dict[str, tuple[Field, ...]]


Listing = tuple[Field | Select, ...]


@dataclass(frozen=True)
class Enum:
    """An enum: its members without the reserved one, and the highest value that fits."""

    members: dict[str, int]
    highest: int


@dataclass(frozen=True)
class Listings:
    structs: dict[str, Listing]
    enums: dict[str, Enum]


def read_listings() -> Listings:
    """All structs and enums of the RFC."""
    text = _COMMENT.sub("", find_data_file("rfc9420.tls", _folders()).read_text())
    return Listings(
        structs={found["name"]: _struct(found["body"]) for found in _STRUCT.finditer(text)},
        enums={found["name"]: _enum(found["body"]) for found in _ENUM.finditer(text)},
    )


def _folders() -> Iterator[Path]:
    named = os.environ.get("MLS_RFC_LISTINGS")
    if named:
        yield Path(named)
    yield _BESIDE


def _struct(body: str) -> Listing:
    items: list[Field | Select] = []
    at = 0
    for found in _SELECT.finditer(body):
        items += _fields(body[at : found.start()])
        items.append(Select(found["on"], _arms(found["arms"])))
        at = found.end()
    items += _fields(body[at:])
    return tuple(items)


def _arms(text: str) -> dict[str, tuple[Field, ...]]:
    """Arms by their value; `case a: case b:` share what follows."""
    arms: dict[str, tuple[Field, ...]] = {}
    waiting: list[str] = []
    (_, *parts) = _CASE.split(text)
    for value, body in zip(parts[::2], parts[1::2], strict=True):
        waiting.append(value)
        if body.strip():
            arms |= dict.fromkeys(waiting, tuple(_fields(body)))
            waiting = []
    assert not waiting, f"cases without a body: {waiting}"
    return arms


def _fields(text: str) -> list[Field]:
    fields = []
    for line in (part.strip() for part in text.split(";")):
        if not line or re.fullmatch(r"struct\s*\{\s*\}", line):
            continue
        if re.fullmatch(r"\w+", line):
            fields.append(Field("", line))
            continue
        found = _FIELD.fullmatch(line)
        assert found is not None, f"not understood: {line!r}"
        fields.append(Field(found["name"], found["type"] + (found["vector"] or "")))
    return fields


def _enum(body: str) -> Enum:
    members = {name: int(value) for name, value in _MEMBER.findall(body)}
    highest = members.pop("")
    members.pop("reserved")
    return Enum(members, highest)
