"""The domain's append-only log (RFC 9162 §2.1): entries, and the hashes of perfect subtrees, which never change.

An append writes the hashes that it completes, and reads one for each of those; a head or a proof, of now or of any size before,
reads at most two for each level of the tree. Nothing here is ever updated or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, insert, select

from mls_federation.transparency import leaf_hash, node_hash
from mls_federation.transparency.tree import (
    Subtree,
    completed_by,
    consistency_ranges,
    inclusion_ranges,
    left_sibling,
    path_of,
    subtrees_of,
)

from .schema import metadata

# Hashes that one query asks for.
_BATCH = 500

log_entries = Table(
    "log_entries",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("appended_at", BigInteger, nullable=False),
)

log_hashes = Table(
    "log_hashes",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class Head:
    """The state of the log when it had a certain number of entries. For each number there is one.

    Attributes:
        size: how many entries.
        timestamp: when the last of them came; 0 if there are none.
        root_hash: over all of them.
    """

    size: int
    timestamp: int
    root_hash: bytes


def append(connection: Connection, entry: bytes, now: int) -> int:
    """Add an entry, for ever; returns its number. To be called in the transaction that makes true what the entry says."""
    number, last_time = _end(connection)
    # The clock may be set back; the log's time must not run backwards.
    connection.execute(
        insert(log_entries).values(number=number, entry=entry, appended_at=max(now, last_time))
    )
    leaf, *above = completed_by(number)
    siblings = _hashes(connection, [left_sibling(subtree) for subtree in (leaf, *above[:-1]) if above])
    value = leaf_hash(entry)
    added = [(leaf, value)]
    for subtree in above:
        value = node_hash(siblings[left_sibling(added[-1][0])], value)
        added.append((subtree, value))
    connection.execute(
        insert(log_hashes), [{"position": subtree.position, "hash": digest} for subtree, digest in added]
    )
    return number


def head(connection: Connection) -> Head:
    """The log as it is now."""
    size, timestamp = _end(connection)
    (root_hash,) = _paths(connection, [[(0, size)]])[0]
    return Head(size, timestamp, root_hash)


def inclusion_paths(connection: Connection, numbers: Sequence[int], size: int) -> list[tuple[bytes, ...]]:
    """For each of some entries, the nodes that show it under the head of `size`."""
    return _paths(connection, [inclusion_ranges(number, size) for number in numbers])


def consistency_path(connection: Connection, first: int, second: int) -> tuple[bytes, ...] | None:
    """The nodes that show that the log of `second` entries begins with that of `first`; None if these are not its sizes."""
    if not 0 <= first <= second <= _end(connection)[0]:
        return None
    return _paths(connection, [consistency_ranges(first, second)])[0]


def entries(connection: Connection, start: int, count: int, max_octets: int) -> list[bytes]:
    """Entries from number `start` on: `count` at most, and no more than `max_octets` in all, but one if there is one."""
    number = log_entries.c.number
    end = min(start + count, _end(connection)[0])
    if start >= end:
        return []
    query = (
        select(log_entries.c.entry)
        .where(number >= start, number < end)
        .order_by(number)
        .execution_options(yield_per=_BATCH)
    )
    found: list[bytes] = []
    octets = 0
    with connection.execute(query) as rows:
        for row in rows:
            octets += len(row.entry)
            if found and octets > max_octets:
                break
            found.append(row.entry)
    return found


def _end(connection: Connection) -> tuple[int, int]:
    """How many entries there are, and when the last of them came."""
    table = log_entries.c
    last = connection.execute(
        select(table.number, table.appended_at).order_by(table.number.desc()).limit(1)
    ).one_or_none()
    return (0, 0) if last is None else (last.number + 1, last.appended_at)


def _paths(
    connection: Connection, all_ranges: Sequence[Sequence[tuple[int, int]]]
) -> list[tuple[bytes, ...]]:
    """The hashes of several lists of ranges, with few queries for all of them together."""
    hashes = _hashes(
        connection, (subtree for ranges in all_ranges for span in ranges for subtree in subtrees_of(*span))
    )
    return [path_of(ranges, hashes) for ranges in all_ranges]


def _hashes(connection: Connection, subtrees: Iterable[Subtree]) -> dict[Subtree, bytes]:
    by_position = {subtree.position: subtree for subtree in subtrees}
    positions = list(by_position)
    table = log_hashes.c
    found: dict[Subtree, bytes] = {}
    for first in range(0, len(positions), _BATCH):
        some = table.position.in_(positions[first : first + _BATCH])
        for row in connection.execute(select(table.position, table.hash).where(some)):
            found[by_position[row.position]] = row.hash
    return found
