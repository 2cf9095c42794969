"""The store: runs plain functions in transactions, and tells listeners what came about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from . import database
from .announcements import Listeners
from .database import StoreError
from .schema import metadata
from .writing import Writer

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 4


def open_store(url: str) -> Store:
    """Open the store at a database URL such as `sqlite:////var/lib/mls/a.sqlite3`; make it if it is not there.

    Raises:
        StoreError: it cannot be opened, or it is none of this version.
    """
    address = database.address_of(url)
    writer = database.writing_engine(address)
    try:
        with writer.begin() as connection:
            _prepare(connection)
    except SQLAlchemyError as fault:
        writer.dispose()
        raise StoreError(
            f"The database {address.database} cannot be opened: {database.cause(fault)}."
        ) from fault
    except StoreError:
        writer.dispose()
        raise
    return Store(writer, database.reading_engine(address))


def _prepare(connection: Connection) -> None:
    present = set(inspect(connection).get_table_names())
    if not present:
        metadata.create_all(connection)
    elif present != set(metadata.tables):
        raise StoreError("The database holds something else than a delivery service of this version.")


class Store:
    """A database of the service. See the package for how it is used."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._write_engine = writer
        self._read_engine = reader
        self._listeners = Listeners()
        self._writer = Writer(writer, lambda _connection, _made: None, self._listeners.tell)
        self._read_threads = ThreadPoolExecutor(_READERS, "store-reader")

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, …)` in a transaction that may write; returns once what it did is durable.

        Raises:
            Exception: whatever the work raised; nothing was changed.
        """

        return await self._writer.write(lambda connection: work(connection, *args, **kwargs))

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, …)` in a transaction that only reads."""

        def transaction() -> T:
            with self._read_engine.begin() as connection:
                return work(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._read_threads, transaction)

    def listening(self, channel: str, key: str, heard: Callable[[], None]) -> AbstractContextManager[None]:
        """Inside this, `heard` is called in the running event loop after each announcement to `key` on `channel`."""
        return self._listeners.listening(channel, key, heard)

    async def close(self) -> None:
        """Release files and threads; calls in progress are finished first."""

        def finish() -> None:
            self._writer.close()
            self._read_threads.shutdown()
            self._read_engine.dispose()
            self._write_engine.dispose()

        await asyncio.to_thread(finish)
