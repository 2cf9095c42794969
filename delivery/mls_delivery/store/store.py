"""The store: runs plain functions in transactions, and tells listeners what came about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from .announcements import Listeners
from .database import Database, cause, database_at
from .errors import StoreError
from .migrations import migrate
from .writing import Writer

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 4


def open_store(url: str) -> Store:
    """Open the store at a database URL such as `sqlite:////var/lib/mls/a.sqlite3`; make what is missing.

    Raises:
        StoreError: it cannot be opened, or it is none of this version or an earlier one.
    """
    database = database_at(url)
    try:
        with database.writer.begin() as connection:
            migrate(connection)
    except SQLAlchemyError as fault:
        database.close()
        raise StoreError(f"The database cannot be opened: {cause(fault)}.") from fault
    except StoreError:
        database.close()
        raise
    return Store(database)


class Store:
    """A database of the service. See the package for how it is used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners = Listeners()
        database.listen(self._listeners)
        self._writer = Writer(database)
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
            with self._database.reader.begin() as connection:
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
            self._database.close()

        await asyncio.to_thread(finish)
