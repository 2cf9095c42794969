"""Running the service: its two listeners, and its end.

At the end, the service stops to accept connections, closes the inboxes with 1012, lets requests in progress finish for a
while, and closes the store, which finishes what it is writing. Nothing that was answered is lost, now or at a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from .app import application
from .config import Address
from .context import DeliveryService
from .operations import operations

# Below what service managers wait before they kill: 10 seconds and more.
_ENDING_SECONDS = 6
# A hello or an acknowledgement is much smaller.
_MAX_CLIENT_FRAME = 4096


class ListenError(Exception):
    """An address cannot be listened on; the message says why, for the operator."""


class Ending:
    """Whether somebody has asked for the end, and who has to hear of it."""

    def __init__(self) -> None:
        self._begun = False
        self._server: uvicorn.Server | None = None

    def begin(self) -> None:
        """End. Asked a second time, do not wait for requests in progress."""
        if self._server is not None:
            self._server.force_exit = self._begun
            self._server.should_exit = True
        self._begun = True

    def applies_to(self, server: uvicorn.Server) -> None:
        """End this server, now or later."""
        self._server = server
        server.should_exit = self._begun


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: there are two servers in this process, and one `Ending`."""
        yield


def listen(address: Address) -> socket.socket:
    """A socket that listens.

    Raises:
        ListenError: it cannot.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as fault:
        raise ListenError(f"It cannot listen on {address}: {fault.strerror}.") from fault


async def serve(
    service: DeliveryService, listening: socket.socket, operating: socket.socket | None, ending: Ending
) -> None:
    """Serve clients on one socket, and the operator on another if there is one, until the end; then close the store."""
    server = _server(application(service), lifespan="on")
    ending.applies_to(server)
    if operating is None:
        await server.serve(sockets=[listening])
        return
    operators = _server(operations(service), lifespan="off")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(operators.serve(sockets=[operating]))
        await server.serve(sockets=[listening])
        operators.should_exit = True


def _server(app: ASGIApp, lifespan: str) -> _Server:
    config = uvicorn.Config(
        app,
        lifespan="on" if lifespan == "on" else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # see sources.py
        ws="websockets-sansio",
        ws_max_size=_MAX_CLIENT_FRAME,
        ws_per_message_deflate=False,  # ciphertext does not shrink
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )
    return _Server(config)
