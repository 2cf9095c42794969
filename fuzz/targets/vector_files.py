"""Files of test vectors: anything that is JSON, or not."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from mls_federation.vectors import FAMILIES, VectorFormatError, verify_entries, verify_file
from tests.support.own_vectors import own_entries

from ..mutation import mutated_octets
from ..octets import Octets
from ..providers import RepeatableProvider
from ..target import Finding, Target

Path = tuple[str | int, ...]

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 255, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**30,
    0.5, float("nan"), float("inf"), "", "0", "00", "zz", "ff" * 31, "ff" * 32, "00" * 5000, "é", "\ud800",
    [], [[]], [None], {}, [{}], ["00"], [0] * 300,
)  # fmt: skip


def run(data: bytes) -> None:
    """An entry of ours with something else in one to four places; or octets."""
    source = Octets(data)
    if source.flag(4):
        octets = source.rest()
    elif source.flag(4):
        octets = mutated_octets(source, json.dumps([_own(source)]).encode())
    else:
        _verify(_changed(source))
        return
    try:
        verify_file(_provider(), octets)
    except VectorFormatError:
        return


def _verify(entry: Any) -> None:
    provider = _provider()
    provider.start_over()
    try:
        result = verify_entries(provider, [entry])
    except VectorFormatError:
        return
    if result.passed + result.failed + result.skipped != 1:
        raise Finding(f"one entry makes {result}")


def _changed(source: Octets) -> Any:
    entry = copy.deepcopy(_own(source))
    for _ in range(1 + source.number(4)):
        path, value = source.choice(list(_places(entry, ())))
        if isinstance(value, str) and value and source.flag():
            new: Any = mutated_octets(source, bytes.fromhex(value)).hex() if _is_hex(value) else value[1:]
        elif isinstance(value, list) and value and source.flag():
            new = [*value, source.choice(value)] if source.flag() else value[1:]
        elif isinstance(value, int) and source.flag():
            new = value + source.choice([1, -1, 7, 1000])
        else:
            new = copy.deepcopy(source.choice(_VALUES))
        entry = _put(entry, path, new)
    return entry


def _own(source: Octets) -> Any:
    return source.choice(_entries(source.choice(list(FAMILIES))))


@functools.cache
def _entries(family: str) -> list[dict[str, Any]]:
    return own_entries(family)


@functools.cache
def _provider() -> RepeatableProvider:
    return RepeatableProvider()


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path or not isinstance(value, dict | list):
        yield path, value
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, key))


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    value[path[0]] = _put(value[path[0]], path[1:], new)
    return value


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(sign in "0123456789abcdef" for sign in text)


def _seeds() -> Iterable[bytes]:
    for family in range(len(FAMILIES)):
        for which in range(6):
            yield bytes([0, 0, family, which]) + bytes(
                (family * 31 + which * 17 + i * 89) % 256 for i in range(30)
            )
        yield bytes([3]) + json.dumps(_entries(list(FAMILIES)[family])[:1]).encode()


TARGET = Target("vectors", "files of test vectors", run, _seeds, weight=2)
