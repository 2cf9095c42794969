"""What a store needs of a database, and which databases there are. In all else they are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from .announcements import Announcement, Listeners
from .errors import StoreError
from .postgresql import PostgreSQL
from .sqlite import SQLite


class Database(Protocol):
    """A database.

    Attributes:
        writer: its transactions exclude each other, whichever process they are of, and are durable once committed.
        reader: its transactions see one committed moment and cannot write.
    """

    writer: Engine
    reader: Engine

    def listen(self, listeners: Listeners) -> None:
        """From now on, tell listeners what was announced, until `close`."""

    def committing(self, connection: Connection, announcements: Sequence[Announcement]) -> None:
        """A transaction with these announcements is about to be committed."""

    def committed(self, announcements: Sequence[Announcement]) -> None:
        """It was committed."""

    def close(self) -> None:
        """Release what is held; no transaction is under way."""


def database_at(url: str) -> Database:
    """The database of a URL; it may not be there yet.

    Raises:
        StoreError: it is the URL of none that a store can be in.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError(
            f"{_without_password(url)!r} is not a database URL; one looks like sqlite:///folder/file.sqlite3 "
            "or postgresql://user@host/database."
        ) from None
    kind = address.get_backend_name()
    if kind == "sqlite" and address.database and ":memory:" not in address.database:
        return SQLite(address)
    if kind == "postgresql" and address.drivername == kind and address.database:
        return PostgreSQL(address)
    raise StoreError(
        "A store is in an SQLite file, sqlite:///folder/file.sqlite3, "
        "or in a PostgreSQL database, postgresql://user@host/database."
    )


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("@")
    return url if not separator else f"{scheme.partition('://')[0]}://…@{rest}"


def cause(fault: SQLAlchemyError) -> str:
    """What the database itself said."""
    return str(getattr(fault, "orig", None) or fault)
