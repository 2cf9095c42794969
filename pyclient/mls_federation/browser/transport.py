"""The transport port on the browser's own `fetch` and `WebSocket` (`web/src/network.js`).

A request or a frame crosses into JavaScript once. What fails comes back as a value and is raised here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from ..client.ports import Connection, ConnectionEnded, Response
from ..errors import TransportError

# The `AbortSignal` of the page's call that is being answered. Requests that the client makes by itself have none.
abort_signal: ContextVar[Any] = ContextVar("abort_signal", default=None)

_TIMEOUT_MILLISECONDS = 20_000
_MAX_FRAME_OCTETS = 4 * 1024 * 1024


class BrowserTransport:
    """`Transport` in a page's worker."""

    def __init__(self) -> None:
        self._network = importlib.import_module("mls_network")

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Response:
        answer = await self._network.request(
            method,
            url,
            _to_object(dict(headers)),
            # A request with GET must have no body at all.
            _to_js(body) if body or method != "GET" else None,
            abort_signal.get(),
            _to_object({"timeout": _TIMEOUT_MILLISECONDS, "maxOctets": limit}),
        )
        _raise_failure(url, answer)
        return Response(answer.status, answer.headers.to_py(), answer.body.to_bytes())

    async def connect(self, url: str) -> Connection:
        limits = _to_object({"timeout": _TIMEOUT_MILLISECONDS, "maxOctets": _MAX_FRAME_OCTETS})
        opened = await self._network.connect(url, limits)
        _raise_failure(url, opened)
        return BrowserConnection(opened)


class BrowserConnection:
    """`Connection` on a WebSocket of the browser.

    Args:
        socket: a `Socket` of `web/src/network.js`.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def send(self, frame: bytes) -> None:
        _raise_ended(self._socket.send(_to_js(frame)))

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        _raise_ended(message)
        octets: bytes = message.to_bytes()
        return octets

    async def close(self) -> None:
        self._socket.close()


def _raise_failure(url: str, answer: Any) -> None:
    failure = getattr(answer, "failure", None)
    if failure is None:
        return
    # Scheme and host, without what a path or query may tell.
    service = "/".join(url.split("/", 3)[:3])
    match failure.kind:
        case "too-large":
            raise TransportError(
                f"The answer of {service} is larger than this client accepts.", code="response-too-large"
            )
        case "aborted":
            raise TransportError(f"The request to {service} was given up.", code="aborted")
        case "blocked":
            raise TransportError(failure.reason, code="blocked-by-policy")
        case _:
            raise TransportError(
                f"{service} cannot be reached: {failure.reason}. "
                "Check the address and your connection, then try again."
            )


def _raise_ended(answer: Any) -> None:
    failure = getattr(answer, "failure", None)
    if failure is not None:
        raise ConnectionEnded(failure.code, failure.reason)


def _to_js(value: Any) -> Any:
    from pyodide.ffi import to_js  # noqa: PLC0415

    return to_js(value)


def _to_object(value: dict[str, Any]) -> Any:
    import js  # noqa: PLC0415
    from pyodide.ffi import to_js  # noqa: PLC0415

    return to_js(value, dict_converter=js.Object.fromEntries)
