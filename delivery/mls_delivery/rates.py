"""Rate limits: so many requests of a kind a minute, from one source or about one identity.

Each is a token bucket, kept as the one number that it comes down to: the time at which the bucket would be full again (the
"generic cell rate algorithm"). A bucket that is full is forgotten. They are in the memory of this process: with several
processes behind one address, each allows so many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from .refusals import Refused
from .service import Limits

_PERIOD = 60
# Above this many buckets of a kind, the one that was used longest ago is forgotten: memory stays bounded, whoever asks.
_MAX_BUCKETS = 100_000


class Buckets:
    """The buckets of one kind, each of which holds `per_minute` tokens and gets as many in a minute.

    Args:
        per_minute: 0 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, now: int) -> int:
        """Take a token out of the bucket of a key.

        Args:
            key: None has no limit.
            now: Unix seconds.

        Returns:
            0 if there was one; else after how many seconds there will be.
        """
        if key is None or not self._per_minute:
            return 0
        # In parts of a second, of which a token is worth 60, so that all numbers are whole.
        present, empty = now * self._per_minute, _PERIOD * self._per_minute
        # An empty bucket is full after a minute: later than that it is only if the clock was set back.
        full_at = min(max(self._full_at.get(key, 0), present), present + empty)
        wait = max(full_at + _PERIOD - present - empty, 0)
        self._full_at[key] = full_at if wait else full_at + _PERIOD
        self._full_at.move_to_end(key)
        while len(self._full_at) > _MAX_BUCKETS or next(iter(self._full_at.values())) <= present:
            self._full_at.popitem(last=False)
        return -(-wait // self._per_minute)

    def spend(self, key: Hashable, now: int) -> None:
        """Take a token out of the bucket of a key.

        Raises:
            Refused: code `rate-limited`: there is none.
        """
        if seconds := self.take(key, now):
            raise Refused(
                "rate-limited",
                f"That is too much for now. Try again in {seconds} seconds.",
                retry_after=seconds,
            )


@dataclass(frozen=True)
class Rates:
    """All rate limits of a service."""

    requests_by_source: Buckets
    bundles_by_source: Buckets
    messages_by_source: Buckets
    devices_by_source: Buckets
    sessions_by_source: Buckets
    key_sets_by_identity: Buckets
    messages_by_identity: Buckets
    ordering_by_source: Buckets


def rates(limits: Limits) -> Rates:
    """The rate limits that a service's limits come to."""
    return Rates(
        requests_by_source=Buckets(limits.requests_per_minute),
        bundles_by_source=Buckets(limits.bundles_per_minute),
        messages_by_source=Buckets(limits.messages_per_minute),
        devices_by_source=Buckets(limits.devices_per_minute),
        sessions_by_source=Buckets(limits.sessions_per_minute),
        key_sets_by_identity=Buckets(limits.key_sets_per_minute),
        messages_by_identity=Buckets(limits.inbox_messages_per_minute),
        ordering_by_source=Buckets(limits.ordering_per_minute),
    )
