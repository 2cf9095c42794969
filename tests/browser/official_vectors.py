"""The official test vectors as files that a page is given: all entries, or some of every kind."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from tests.support.vector_files import SHA256, Vector, every_vector

# Entries for each cipher suite of a file.
_SOME = 2

Choice: TypeAlias = Callable[[list[Vector]], list[Vector]]


def every_entry(entries: list[Vector]) -> list[Vector]:
    """The whole file."""
    return entries


def small_entries(entries: list[Vector]) -> list[Vector]:
    """The smallest for each cipher suite, in their order, so those with small groups; all where there is no suite."""
    taken: Counter[int | None] = Counter()
    chosen = set()
    for index, entry in sorted(enumerate(entries), key=lambda numbered: len(json.dumps(numbered[1]))):
        suite = entry.get("cipher_suite")
        if suite is None or taken[suite] < _SOME:
            chosen.add(index)
        taken[suite] += 1
    return [entry for index, entry in enumerate(entries) if index in chosen]


def write_files(folder: Path, choice: Choice) -> dict[Path, int]:
    """One file for each official one, and how many entries it has."""
    files = {}
    for name in SHA256:
        entries = choice(every_vector(name))
        file = folder / f"{name}.json"
        file.write_text(json.dumps(entries))
        files[file] = len(entries)
    return files
