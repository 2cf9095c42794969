"""How much may be in progress at one time, in this process."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Hashable, Iterator

from .refusals import Refused

_RETRY_SECONDS = 1


class Gate:
    """Lets through so many at one time.

    Args:
        most: of all.
        most_of_one: of those with the same key.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._inside: Counter[Hashable] = Counter()

    @contextlib.contextmanager
    def one_more(self, key: Hashable) -> Iterator[None]:
        """Be inside.

        Raises:
            Refused: code `busy`.
        """
        if self._inside.total() >= self._most or self._inside[key] >= self._most_of_one:
            raise Refused(
                "busy", "There is too much of this going on. Try again.", retry_after=_RETRY_SECONDS
            )
        self._inside[key] += 1
        try:
            yield
        finally:
            self._inside[key] -= 1
            self._inside += Counter()  # forgets those at zero
