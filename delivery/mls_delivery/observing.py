"""Counting and logging of requests, around everything else. Who made them is not looked at."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mls_federation.federation.binding import WELL_KNOWN_PATH

from .context import ENDPOINTS
from .logs import log_event
from .metrics import Metrics

_NAMES = {path: name for name, path in ENDPOINTS.items()} | {WELL_KNOWN_PATH: "description"}


def endpoint_name(path: str) -> str:
    """The end point that a path belongs to; "other" if it is none of ours, so that nobody can invent labels."""
    if path in _NAMES:
        return _NAMES[path]
    return next((name for known, name in _NAMES.items() if path.startswith(f"{known}/")), "other")


class Observed:
    """An application whose requests are counted. Inboxes are counted where they are served."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        endpoint = endpoint_name(scope["path"])
        status = 500  # unless it gets as far as an answer

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, note)
        finally:
            seconds = time.perf_counter() - began
            self._metrics.requests.labels(endpoint, str(status)).inc()
            self._metrics.request_seconds.labels(endpoint).observe(seconds)
            log_event(logging.DEBUG, "request", endpoint=endpoint, status=status, seconds=round(seconds, 6))
