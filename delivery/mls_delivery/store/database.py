"""The databases, and all in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError


class StoreError(Exception):
    """The store cannot be used; the message says why, for the operator."""


def address_of(url: str) -> URL:
    """A database URL, understood.

    Raises:
        StoreError: it is none that a store can be at.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError(
            f"{url!r} is not a database URL; one looks like sqlite:///folder/file.sqlite3."
        ) from None
    if address.get_backend_name() != "sqlite" or not address.database or ":memory:" in address.database:
        raise StoreError("Only SQLite files are supported: sqlite:///folder/file.sqlite3.")
    return address


def writing_engine(address: URL) -> Engine:
    """Connections whose transactions wait until no other writes."""
    return _sqlite(address, "BEGIN IMMEDIATE")


def reading_engine(address: URL) -> Engine:
    """Connections whose transactions see one committed moment."""
    return _sqlite(address, "BEGIN")


def _sqlite(address: URL, begin: str) -> Engine:
    # Parameters are ciphertexts and hashes at best; error messages, which get logged, go without them.
    engine = create_engine(address, hide_parameters=True, paramstyle="named")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        # Readers see what is committed while another writes (write-ahead log), and a commit outlives a power cut.
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Prepared:
    """A statement that is run for every message. To put it together each time takes longer than to run it.

    Args:
        statement: each value that it needs is a `bindparam` of its own name.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[str, str] = {}

    def run(self, connection: Connection, **values: object) -> CursorResult[*tuple[Any, ...]]:
        """Run it once."""
        return connection.exec_driver_sql(self._text(connection.dialect), values)

    def run_for_each(self, connection: Connection, rows: Sequence[dict[str, object]]) -> None:
        """Run it for each of some rows, at least one."""
        connection.exec_driver_sql(self._text(connection.dialect), list(rows))

    def _text(self, dialect: Dialect) -> str:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = str(self._statement.compile(dialect=dialect))
        return text


def cause(fault: SQLAlchemyError) -> str:
    """What the database itself said."""
    return str(getattr(fault, "orig", None) or fault)
