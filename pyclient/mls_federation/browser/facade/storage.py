"""Where the facade's state is kept: a port, and its adapter for the browser (`web/src/facade-store.js`)."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from ...errors import StorageError
from .state import Part, Place


class FacadeStorage(Protocol):
    """Keeps records of octets. Whoever reads and then writes does both inside one `turn`."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Nobody else has its turn meanwhile, in other tabs either."""
        ...

    async def read(self) -> Sequence[Part]:
        """Everything that is kept. Secret."""
        ...

    async def write(self, writes: Sequence[Part], deletes: Sequence[Place]) -> None:
        """Keep all of it, or nothing.

        Raises:
            StorageError: nothing has changed.
        """
        ...

    async def erase(self) -> None:
        """Forget everything."""
        ...


class BrowserStorage:
    """`FacadeStorage` in the browser's IndexedDB, shared by all tabs of an origin."""

    def __init__(self) -> None:
        self._store = importlib.import_module("mls_facade_store")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        release = await self._store.turn()
        try:
            yield
        finally:
            release()

    async def read(self) -> Sequence[Part]:
        found = await self._store.read()
        _raise_failure(found)
        parts = found.to_py()
        return [(kind, place, bytes(octets)) for kind, place, octets in parts]

    async def write(self, writes: Sequence[Part], deletes: Sequence[Place]) -> None:
        from pyodide.ffi import to_js  # noqa: PLC0415

        written = to_js([list(part) for part in writes], create_pyproxies=False)
        deleted = to_js([list(place) for place in deletes], create_pyproxies=False)
        _raise_failure(await self._store.write(written, deleted))

    async def erase(self) -> None:
        _raise_failure(await self._store.erase())


def _raise_failure(answer: Any) -> None:
    failure = getattr(answer, "failure", None)
    if failure is not None:
        raise StorageError(
            f"The MLS state in this browser cannot be used: {failure.reason}.", code=_CODES[failure.kind]
        )


_CODES = {"refused": "storage-refused", "failed": "storage-failed", "unreadable": "unreadable-state"}
