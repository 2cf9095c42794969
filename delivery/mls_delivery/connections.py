"""How many connections there are: inboxes, and requests until they are answered."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from .refusals import Refused

_RETRY_SECONDS = 10


class Connections:
    """The connections of one process.

    Args:
        most: of all; 0 for no limit.
        most_of_a_source: the same from one source.
    """

    def __init__(self, most: int, most_of_a_source: int) -> None:
        self._most = most
        self._most_of_a_source = most_of_a_source
        self._all = 0
        self._by_source: Counter[str | None] = Counter()  # None stays 0

    @contextlib.contextmanager
    def enter(self, source: str | None) -> Iterator[None]:
        """Count a connection while it is served.

        Args:
            source: as from `source_of`; None has no limit of its own.

        Raises:
            Refused: code `busy` or `too-many-connections`.
        """
        if self._most and self._all >= self._most:
            raise Refused(
                "busy", "The service has as many connections as it can serve.", retry_after=_RETRY_SECONDS
            )
        if self._most_of_a_source and self._by_source.get(source, 0) >= self._most_of_a_source:
            raise Refused(
                "too-many-connections",
                f"There are {self._most_of_a_source} connections from your address. Close some.",
                limit=self._most_of_a_source,
                retry_after=_RETRY_SECONDS,
            )
        self._all += 1
        if source is not None:
            self._by_source[source] += 1
        try:
            yield
        finally:
            self._all -= 1
            if source is not None:
                self._by_source[source] -= 1
                if not self._by_source[source]:
                    del self._by_source[source]
