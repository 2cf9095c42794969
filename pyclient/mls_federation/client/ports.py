"""What the client needs of its surroundings: the network, a place to keep its state, a clock (docs/structure.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..crypto import CryptoProvider
from .state import ClientState


@dataclass(frozen=True)
class Response:
    """An HTTP response, whole.

    Attributes:
        status: such as 200.
        headers: with lower-case names.
        body: never more than the limit that was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionEnded(Exception):
    """A WebSocket is closed.

    Attributes:
        code: the close code of RFC 6455 §7.4; 1006 if the connection broke.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code


class Connection(Protocol):
    """An open WebSocket that carries binary frames."""

    async def send(self, frame: bytes) -> None:
        """Send one frame.

        Raises:
            ConnectionEnded: it is closed.
        """
        ...

    async def receive(self) -> bytes:
        """The next frame.

        Raises:
            ConnectionEnded: it is closed, and every frame before was received.
        """
        ...

    async def close(self) -> None:
        """Close it; does nothing if it is closed already."""
        ...


class Transport(Protocol):
    """The network."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Response:
        """One HTTP request; any status is an answer, not an error. Redirections are not followed.

        Args:
            limit: octets that the response's body may have.

        Raises:
            TransportError: code `unreachable`: no answer came; `response-too-large`; `aborted`: who waits for it gave up.
        """
        ...

    async def connect(self, url: str) -> Connection:
        """Open a WebSocket.

        Args:
            url: `ws:` or `wss:`.

        Raises:
            TransportError: code `unreachable`.
        """
        ...


class Storage(Protocol):
    """Where the client's state is kept."""

    async def save(self, state: ClientState) -> None:
        """Keep `state` in the place of what was kept before: wholly, before it returns, or not at all.

        Raises:
            StorageError: it could not be kept.
        """
        ...


class Flag(Protocol):
    """Something to wait for, such as `asyncio.Event`."""

    def set(self) -> None:
        """Let everybody go on who waits, and who comes from now on."""
        ...

    def clear(self) -> None:
        """Let those who come from now on wait."""
        ...

    async def wait(self) -> object:
        """Return once it is set."""
        ...


class Gather(Protocol):
    """Does works at the same time."""

    async def __call__(self, *works: Coroutine[Any, Any, None]) -> object:
        """Return when all have ended; the first that raises ends the others, and it is raised here."""
        ...


@dataclass(frozen=True)
class Ports:
    """All of them.

    Attributes:
        now: Unix seconds.
        sleep: waits for some seconds.
        new_lock: makes a mutex, such as `asyncio.Lock`.
        new_event: makes a flag that is not set, such as `asyncio.Event`.
        gather: does works at the same time.
    """

    transport: Transport
    storage: Storage
    provider: CryptoProvider
    now: Callable[[], int]
    sleep: Callable[[float], Awaitable[object]]
    new_lock: Callable[[], AbstractAsyncContextManager[Any]]
    new_event: Callable[[], Flag]
    gather: Gather
