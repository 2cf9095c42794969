"""PostgreSQL: several processes, on several machines, share one database.

Announcements are notifications (NOTIFY), which the server sends with the commit to whoever is connected, us included. A
process whose connection was down has missed some, so once it is back it tells all its listeners.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from .announcements import Announcement, Listeners

_LOG = logging.getLogger(__name__)

# Of the one advisory lock, which is each database's own: who writes has it until its transaction ends.
_WRITER = 0x6D6C735F66656400
_CHANNEL = "mls_delivery"
# A process that stops in the middle of a transaction must not stop all others for ever.
_STALLED_MILLISECONDS = 10_000
# A peer that is gone without a word is noticed within a minute.
_CONNECTING: dict[str, Any] = {
    "application_name": "mls_delivery",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class PostgreSQL:
    """A database on a server."""

    def __init__(self, address: URL) -> None:
        address = address.set(drivername="postgresql+psycopg")
        self.writer = _engine(address, pool_size=1)
        self.reader = _engine(address, pool_size=4)
        event.listen(self.writer, "connect", _configure_writer)
        event.listen(self.writer, "begin", _exclude_writers)
        event.listen(self.reader, "connect", _configure_reader)
        self._address = address
        self._hearing: _Hearing | None = None

    def listen(self, listeners: Listeners) -> None:
        """Listen on a connection for that alone, in a thread."""
        self._hearing = _Hearing(self._address, listeners)

    def committing(self, connection: Connection, announcements: Sequence[Announcement]) -> None:
        """Have them sent with the commit."""
        if announcements:
            connection.exec_driver_sql(
                "SELECT pg_notify(%(channel)s, payload) FROM unnest(%(payloads)s::text[]) AS payload",
                {"channel": _CHANNEL, "payloads": [" ".join(made) for made in announcements]},
            )

    def committed(self, announcements: Sequence[Announcement]) -> None:
        """The server has sent them."""

    def close(self) -> None:
        """Close all connections."""
        if self._hearing is not None:
            self._hearing.close()
        self.reader.dispose()
        self.writer.dispose()


def _engine(address: URL, pool_size: int) -> Engine:
    return create_engine(
        address,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,  # a server that was restarted is found out before a transaction begins
        connect_args=_CONNECTING,
    )


def _configure_writer(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = {_STALLED_MILLISECONDS}")
    # "Accepted" is said of what is on disk, though other users of the server may be content with less.
    setting = connection.execute("SHOW synchronous_commit").fetchone()
    if setting == ("off",):
        connection.execute("SET synchronous_commit = on")
    connection.autocommit = False


def _exclude_writers(connection: Connection) -> None:
    # Each statement after this sees all that was committed before the lock was had (READ COMMITTED).
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")


def _configure_reader(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True


class _Hearing:
    """The thread that hears the server's notifications, and comes back whenever its connection is lost."""

    def __init__(self, address: URL, listeners: Listeners) -> None:
        self._address = address.set(drivername="postgresql").render_as_string(hide_password=False)
        self._listeners = listeners
        # Written to at the end, so that whatever the thread waits for, it wakes up.
        self._ending, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="store-hearing", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and return when that is done."""
        self._end.send(b"\0")
        self._thread.join()
        self._end.close()
        self._ending.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                with psycopg.connect(self._address, autocommit=True, **_CONNECTING) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    pause = _FIRST_PAUSE
                    self._listeners.tell_all()
                    if self._hear(connection):
                        return
            except psycopg.OperationalError as fault:
                _LOG.warning("the database sends no notifications; trying again: %s", str(fault).strip())
            if self._ends_within(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _hear(self, connection: psycopg.Connection[Any]) -> bool:
        """Tell listeners what is heard; True when it is time to end.

        Raises:
            OperationalError: the connection was lost.
        """
        server = connection.pgconn
        with selectors.DefaultSelector() as selector:
            selector.register(self._ending, selectors.EVENT_READ)
            selector.register(server.socket, selectors.EVENT_READ)
            while True:
                if any(ready.fileobj is self._ending for ready, _ in selector.select()):
                    return True
                server.consume_input()
                heard: list[Announcement] = []
                while notification := server.notifies():
                    channel, _, key = notification.extra.decode().partition(" ")
                    heard.append((channel, key))
                self._listeners.tell(heard)

    def _ends_within(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ending, selectors.EVENT_READ)
            return bool(selector.select(seconds))
