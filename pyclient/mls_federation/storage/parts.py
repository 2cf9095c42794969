"""Where the parts of a client's state stand in a storage that keeps each at a place of its own.

From one state to the next, few parts change: those that are other objects than before are written, those that are gone are
deleted, and the rest stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..client import ClientState
from ..client.state_codec import PartKind, encode_part, parts_of


@dataclass(frozen=True)
class Kept:
    """What a storage has.

    Attributes:
        state: None if it has to be overwritten wholly.
        places: where its parts stand, in their order.
    """

    state: ClientState | None = None
    places: Mapping[PartKind, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What makes one state of another.

    Attributes:
        kept: what the storage has afterwards.
        writes: kind, place and content, whatever stood there before. Secret.
        deletes: kind and place of what is no more.
    """

    kept: Kept
    writes: Sequence[tuple[PartKind, int, bytes]] = field(repr=False)
    deletes: Sequence[tuple[PartKind, int]]


def changes(kept: Kept, after: ClientState) -> Changes:
    """What is to be written and deleted so that `after` is kept."""
    before = {} if kept.state is None else parts_of(kept.state)
    places: dict[PartKind, Sequence[int]] = {}
    writes: list[tuple[PartKind, int, bytes]] = []
    deletes: list[tuple[PartKind, int]] = []
    for kind, parts in parts_of(after).items():
        taken = kept.places.get(kind, ())
        if parts is before.get(kind):
            places[kind] = taken
            continue
        known = {id(part): place for part, place in zip(before.get(kind, ()), taken, strict=True)}
        new: list[int] = []
        for part in parts:
            place = known.get(id(part), -1)
            after_last = new[-1] + 1 if new else 0
            if place < after_last:
                # The first place that keeps the order. Most often it is free: behind all others, or where the part stood of
                # which this is a newer state. If it is not, who stands there moves on.
                place = after_last
                writes.append((kind, place, encode_part(kind, part)))
            new.append(place)
        places[kind] = new
        deletes += [(kind, place) for place in sorted(set(taken) - set(new))]
    return Changes(Kept(after, places), writes, deletes)
