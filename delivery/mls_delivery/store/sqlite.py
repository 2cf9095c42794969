"""SQLite: one file, one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from .announcements import Announcement, Listeners

# Readers see what is committed while another writes (write-ahead log), and a commit outlives a power cut.
_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000")


class SQLite:
    """A file. Announcements go from the thread that commits straight to the listeners."""

    def __init__(self, address: URL) -> None:
        self.writer = _engine(address, "BEGIN IMMEDIATE")
        self.reader = _engine(address, "BEGIN", "query_only=ON")
        self._listeners: Listeners | None = None

    def listen(self, listeners: Listeners) -> None:
        """Tell listeners."""
        self._listeners = listeners

    def committing(self, connection: Connection, announcements: Sequence[Announcement]) -> None:
        """Nothing is to be done yet."""

    def committed(self, announcements: Sequence[Announcement]) -> None:
        """Tell those whom it concerns."""
        if self._listeners is not None:
            self._listeners.tell(announcements)

    def close(self) -> None:
        """Close the file."""
        self.reader.dispose()
        self.writer.dispose()


def _engine(address: URL, begin: str, *settings: str) -> Engine:
    # Parameters are ciphertexts and hashes at best; error messages, which get logged, go without them.
    engine = create_engine(address, hide_parameters=True, paramstyle="named")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        for setting in (*_SETTINGS, *settings):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
