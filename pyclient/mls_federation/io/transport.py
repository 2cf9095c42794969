"""The transport port on `httpx` and `websockets`."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from typing import Self

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from ..client import Connection, ConnectionEnded, Response
from ..errors import TransportError

_TIMEOUT = 20.0
# Services end idle connections after 5 seconds; a request on one that just ends is lost, and is not made again by itself.
_KEEPALIVE_SECONDS = 2.0
# For the other side's goodbye: nothing depends on it, and somebody waits for the program to end.
_CLOSE_TIMEOUT = 2.0
_MAX_FRAME = 4 << 20
_ABNORMAL_CLOSURE = 1006
_MAX_PORT = 65535


class HttpTransport:
    """`Transport` for CPython. Used as an asynchronous context manager, which closes its connections."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(
            verify=_certificates(),
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE_SECONDS
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Response:
        """One HTTP request."""
        try:
            _check_port(url)
            async with self._http.stream(method, url, headers=dict(headers), content=body) as response:
                received = bytearray()
                async for piece in response.aiter_bytes():
                    received += piece
                    if len(received) > limit:
                        raise TransportError(
                            f"{url} answered with more than {limit} octets", code="response-too-large"
                        )
                return Response(response.status_code, dict(response.headers), bytes(received))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise TransportError(f"{url} could not be reached: {_words(error)}") from error

    async def connect(self, url: str) -> Connection:
        """Open a WebSocket."""
        try:
            return WebSocketConnection(
                await websockets.connect(
                    url,
                    ssl=_certificates() if url.startswith("wss:") else None,
                    max_size=_MAX_FRAME,
                    open_timeout=_TIMEOUT,
                    close_timeout=_CLOSE_TIMEOUT,
                    proxy=None,
                )
            )
        except (OSError, TimeoutError, UnicodeError, websockets.WebSocketException) as error:
            raise TransportError(f"{url} could not be reached: {_words(error)}") from error


class WebSocketConnection:
    """`Connection` on a WebSocket of `websockets`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        try:
            await self._socket.send(frame)
        except websockets.ConnectionClosed as closed:
            raise _ended(closed) from None

    async def receive(self) -> bytes:
        """The next frame."""
        try:
            frame = await self._socket.recv(decode=False)
        except websockets.ConnectionClosed as closed:
            raise _ended(closed) from None
        return frame

    async def close(self) -> None:
        """Close it."""
        await self._socket.close()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The certificates that this system trusts. Reading them takes a good part of a second, so it is done once."""
    return httpx.create_ssl_context(trust_env=False)


def _check_port(url: str) -> None:
    port = httpx.URL(url).port
    if port is not None and port > _MAX_PORT:
        raise httpx.InvalidURL(f"there is no port {port}")


def _words(error: Exception) -> str:
    """What an error says; some say nothing but their name."""
    return str(error) or type(error).__name__


def _ended(closed: websockets.ConnectionClosed) -> ConnectionEnded:
    if closed.rcvd is None:
        return ConnectionEnded(_ABNORMAL_CLOSURE)
    return ConnectionEnded(closed.rcvd.code, closed.rcvd.reason)
