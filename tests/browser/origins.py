"""Web sites of other origins, each with headers of its own, for pages that are embedded in some way."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.ending import EndingServer


@dataclass
class Site:
    """A running web site."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with each answer; may be changed at any time."""
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for, in order."""


@contextlib.contextmanager
def serving(folders: Mapping[str, Path]) -> Iterator[Site]:
    """Serve folders, by path, at an origin of their own until the context ends."""
    files = Starlette(routes=[Mount(path, StaticFiles(directory=folder)) for path, folder in folders.items()])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        site = Site(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = EndingServer(
            uvicorn.Config(
                _observed(files, site), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
            )
        )
        # Whoever connects before it runs waits in the socket's queue.
        thread = threading.Thread(target=server.run, args=([listening],), name=site.url)
        thread.start()
        try:
            yield site
        finally:
            server.should_exit = True
            thread.join()


def _observed(files: Starlette, site: Site) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        site.asked.append(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Else a browser would go on with the headers of an earlier test.
                headers = {"Cache-Control": "no-store", **site.headers}
                added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await files(scope, receive, send_with_headers)

    return application
