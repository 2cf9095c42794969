"""How the cost of something grows, as a ratio within one run: no machine is too slow or too busy for that."""

from __future__ import annotations

import time
from collections.abc import Callable

# What is linear takes four times as long for four times the size, what is quadratic sixteen times.
_LARGER = 4
_MOST = 9
_ROUNDS = 5


def assert_no_more_than_linear(make: Callable[[int], Callable[[], object]], size: int) -> None:
    """Compare the processor time of what `make` returns for `size` and for four times as much.

    What grows faster does so each time; what a busy machine makes longer, where WebAssembly has no clock but that of the wall, may not.
    """
    ratios: list[float] = []
    while not ratios or (min(ratios) >= _MOST and len(ratios) < _ROUNDS):
        small, large = (_least(make(times * size)) for times in (1, _LARGER))
        ratios.append(large / small)
    assert min(ratios) < _MOST


def _least(action: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        began = time.process_time()
        action()
        seconds.append(time.process_time() - began)
    return min(seconds)
