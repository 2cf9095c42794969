"""Who is told that something in the store has changed.

An announcement is made in a transaction and heard after it has come about. Nothing is passed on but the fact itself; what
there is, a listener reads from the store. So it does no harm to be told once too often, and when announcements may have been
missed, everybody is told.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

Announcement = tuple[str, str]
"""Channel and key."""

_MADE = "announcements"


def announce(connection: Connection, channel: str, key: str) -> None:
    """In a transaction that writes: tell those who listen to `key` on `channel` once the transaction has come about."""
    made_in(connection).append((channel, key))


def made_in(connection: Connection) -> list[Announcement]:
    """The announcements of the transaction so far, in order."""
    made: list[Announcement] = connection.info.setdefault(_MADE, [])
    return made


@dataclass(frozen=True, eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    heard: Callable[[], None]


class Listeners:
    """Those in this process who listen. May be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[Announcement, list[_Listener]] = {}

    @contextmanager
    def listening(self, channel: str, key: str, heard: Callable[[], None]) -> Iterator[None]:
        """Inside this, `heard` is called in the running event loop after each announcement."""
        listener = _Listener(asyncio.get_running_loop(), heard)
        with self._lock:
            self._listeners.setdefault((channel, key), []).append(listener)
        try:
            yield
        finally:
            with self._lock:
                others = self._listeners[channel, key]
                others.remove(listener)
                if not others:
                    del self._listeners[channel, key]

    def tell(self, announcements: Iterable[Announcement]) -> None:
        """Call those who listen to one of these."""
        with self._lock:
            told = [
                listener
                for announcement in dict.fromkeys(announcements)
                for listener in self._listeners.get(announcement, ())
            ]
        _call(told)

    def tell_all(self) -> None:
        """Call everybody: announcements may have been missed."""
        with self._lock:
            told = [listener for listeners in self._listeners.values() for listener in listeners]
        _call(told)


def _call(listeners: Iterable[_Listener]) -> None:
    # Waking a loop from another thread costs a system call: once for each loop.
    by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = defaultdict(list)
    for listener in listeners:
        by_loop[listener.loop].append(listener.heard)
    for loop, heard in by_loop.items():
        call_in(loop, heard)


def call_in(loop: asyncio.AbstractEventLoop, calls: list[Callable[[], None]]) -> None:
    """Make some calls in an event loop, unless it is closed: then nobody is left in it whom they could concern."""

    def make() -> None:
        for call in calls:
            call()

    try:
        loop.call_soon_threadsafe(make)
    except RuntimeError:
        if not loop.is_closed():
            raise
