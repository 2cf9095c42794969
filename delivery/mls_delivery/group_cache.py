"""Groups in memory: decoding a large one, and verifying whose its leaves are, takes longer than checking a commit."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

from .ordering import OrderedGroup

# Octets of encoded state; in memory they are several times that.
_CAPACITY = 16 << 20


class Groups:
    """The groups that were used last, and whose turn it is.

    Another process that shares the store may have gone on: an entry counts only for the epoch that the store has.

    Args:
        capacity: octets of encoded state that stand for what is kept.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[bytes, tuple[OrderedGroup, int]] = OrderedDict()
        self._octets = 0
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def turn(self, group_id: bytes) -> asyncio.Lock:
        """To be held while a commit of a group is checked: of two for one epoch, one is for nothing."""
        return self._turns.setdefault(group_id, asyncio.Lock())

    def find(self, group_id: bytes, epoch: int) -> OrderedGroup | None:
        """A group, if it is here in that epoch."""
        found = self._kept.get(group_id)
        if found is None or found[0].public.context.epoch != epoch:
            return None
        self._kept.move_to_end(group_id)
        return found[0]

    def keep(self, group: OrderedGroup, octets: int) -> None:
        """Keep a group as it is now.

        Args:
            octets: of its encoded state.
        """
        group_id = group.public.context.group_id
        _, before = self._kept.pop(group_id, (None, 0))
        self._kept[group_id] = (group, octets)
        self._octets += octets - before
        while self._octets > self._capacity and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self._octets -= gone
