"""What was measured in one run, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from .floor import Encoded, Work, floors

# The one among the sides that is measured together with its floor.
OURS = "ours"
# What the seconds of an operation's floor stand under.
FLOOR = "floor of "


@dataclass
class Results:
    """What was measured in one place.

    Attributes:
        times: seconds, by side, size and operation. Those of a floor are of the same moments as their operation's.
        encoded: octets of our KeyPackage and leaf.
        prices: seconds of each primitive.
    """

    times: dict[tuple[str, int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    encoded: Encoded | None = None
    prices: Mapping[str, float] = field(default_factory=dict)

    def add(self, side: str, size: int, times: Mapping[str, Sequence[float]]) -> None:
        """Note what a round took."""
        for operation, seconds in times.items():
            self.times[side, size, operation].extend(seconds)

    def seconds(self, side: str, size: int, operation: str) -> float | None:
        """What an operation took: the median; None if it was not measured."""
        times = self.times.get((side, size, operation))
        return median(times) if times else None

    def floor(self, size: int, operation: str) -> tuple[float, float] | None:
        """The crypto floor of an operation of ours, and how many times that it took; None if there is no floor.

        The machine's speed changes from one second to the next. So the ratio is of what was measured in one go, and only
        then a median is taken.
        """
        floors_ = self.times.get((OURS, size, FLOOR + operation))
        if not floors_:
            return None
        pairs = zip(self.times[OURS, size, operation], floors_, strict=True)
        return median(floors_), median(ours / floor for ours, floor in pairs)

    def work(self, size: int) -> dict[str, Work]:
        """The unavoidable work of each operation."""
        assert self.encoded is not None  # sizes are prepared before they are reported
        return floors(self.encoded, size)
