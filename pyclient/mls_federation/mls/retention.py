"""How long the keys of epochs that have ended are kept (§9.2, §15.3).

They read application messages that come late, and are resumption PSKs. Whoever steals them reads the messages of those
epochs that have not arrived, so both their number and their time are bounded, and what is over is erased.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import is_

from ..errors import UsageError
from .group import Group, PastEpoch


@dataclass(frozen=True)
class Retention:
    """Which past epochs are kept: those that keep to both bounds.

    Attributes:
        epochs: how many, at most.
        seconds: how long after its end each is, at most; None for as long as their number allows.

    Raises:
        UsageError: a bound is negative.
    """

    epochs: int = 3
    seconds: int | None = 24 * 3600

    def __post_init__(self) -> None:
        if self.epochs < 0 or (self.seconds is not None and self.seconds < 0):
            raise UsageError("the bounds of what is kept cannot be negative")


# Enough for services that hand over messages in another order than they were sent, or that were away for some hours.
DEFAULT_RETENTION = Retention()


def forget(group: Group, now: int | None, retention: Retention = DEFAULT_RETENTION) -> Group:
    """`group` without the past epochs whose time is over; `group` itself if there are none.

    `receive` and `commit` do so too. This is for the time in which nothing is received or committed.

    Args:
        now: Unix seconds; None erases only what is above the number.
    """
    kept = keep(group.past_epochs, now, retention)
    # Whether they are the same objects: to compare all their keys would take longer than a message does.
    same = len(kept) == len(group.past_epochs) and all(map(is_, kept, group.past_epochs))
    return group if same else replace(group, past_epochs=kept)


def keep(past_epochs: tuple[PastEpoch, ...], now: int | None, retention: Retention) -> tuple[PastEpoch, ...]:
    """Those of `past_epochs`, the latest last, that are kept."""
    kept = past_epochs[max(0, len(past_epochs) - retention.epochs) :]
    if now is None:
        return kept
    aged = [_ended_by(past, now) for past in kept]
    if retention.seconds is None:
        return tuple(past for past, _ in aged)
    return tuple(past for past, age in aged if age <= retention.seconds)


def _ended_by(past: PastEpoch, now: int) -> tuple[PastEpoch, int]:
    """`past`, its end not later than now, and its age.

    The time of its end is not known if the epoch ended while nobody gave the time, or in a state of version 1; and it lies
    ahead if the clock was set back. Either way its time begins to run now.
    """
    if past.ended is None or past.ended > now:
        return replace(past, ended=now), 0
    return past, now - past.ended
