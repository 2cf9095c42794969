"""One writer at a time, and one transaction for all who wait.

    callers          A   B C D            E F
                     │   └─┼─┘            └─┤
    transactions   ──[A]───[B C D]──────────[E F]──►  time
                          each between a savepoint and its release

A commit takes the disk much longer than what is done in it. While one is under way the next works gather, and are then
done together: the more wait, the less each pays. A work that raises is rolled back to its savepoint and harms no other; nobody gets
a result before it is durable.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from .announcements import Announcement, call_in, made_in
from .database import Database
from .errors import StoreError

T = TypeVar("T")

# Beyond this, the first in a transaction would wait for the last more than for the disk.
_MOST_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class _Wait(Generic[T]):
    """Somebody who waits for a work to be done."""

    work: Callable[[Connection], T]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[T]


@dataclass(frozen=True)
class _Result:
    value: Any


_Outcome = _Result | Exception


class Writer:
    """The thread that writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._door = threading.Lock()
        self._closed = False
        self._waiting: queue.SimpleQueue[_Wait[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do a work; returns once what it did is durable.

        Raises:
            StoreError: the store was closed.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        with self._door:
            if self._closed:
                raise StoreError("The store was closed.")
            self._waiting.put(_Wait(work, loop, done))
        return await done

    def close(self) -> None:
        """Return when all who wait have been served; nobody is any more."""
        with self._door:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            together, closing = self._next()
            if together:
                _hand_back(together, self._transaction(together))

    def _next(self) -> tuple[list[_Wait[Any]], bool]:
        """Those who wait, once somebody does, and whether nobody comes after them."""
        together: list[_Wait[Any]] = []
        while len(together) < _MOST_TOGETHER:
            try:
                wait = self._waiting.get(block=not together)
            except queue.Empty:
                break
            if wait is None:
                return together, True
            together.append(wait)
        return together, False

    def _transaction(self, together: list[_Wait[Any]]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        made: list[Announcement] = []
        try:
            with self._database.writer.connect() as connection:
                made_in(connection).clear()
                with connection.begin():
                    for wait in together:
                        outcomes.append(_attempt(connection, wait.work))
                    made = list(dict.fromkeys(made_in(connection)))
                    self._database.committing(connection, made)
        except Exception as fault:  # noqa: BLE001 - it is raised where the works were asked for
            # Nothing came about, whatever each of them thought.
            undone: list[_Outcome] = [
                fault if isinstance(outcome, _Result) else outcome for outcome in outcomes
            ]
            return undone + [fault] * (len(together) - len(outcomes))
        self._database.committed(made)
        return outcomes


def _attempt(connection: Connection, work: Callable[[Connection], T]) -> _Outcome:
    """Do a work, or have it undone and nothing else."""
    made = made_in(connection)
    before = len(made)
    # Through the driver: for what these three do, everything else in between costs more than they do themselves.
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT work")
    try:
        result = work(connection)
    except Exception as fault:  # noqa: BLE001 - it is raised where the work was asked for
        driver.execute("ROLLBACK TO SAVEPOINT work")
        del made[before:]
        return fault
    driver.execute("RELEASE SAVEPOINT work")
    return _Result(result)


def _hand_back(together: list[_Wait[Any]], outcomes: list[_Outcome]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = defaultdict(list)
    for wait, outcome in zip(together, outcomes, strict=True):
        by_loop[wait.loop].append(partial(_resolve, wait.done, outcome))
    for loop, calls in by_loop.items():
        call_in(loop, calls)


def _resolve(done: asyncio.Future[Any], outcome: _Outcome) -> None:
    if done.cancelled():
        return
    if isinstance(outcome, _Result):
        done.set_result(outcome.value)
    else:
        done.set_exception(outcome)
