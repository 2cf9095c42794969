"""A static web server for `build/web` and `/federation.json`, for development: `python -m dev.web_server`."""

import argparse
import json
import mimetypes
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A machine's own table may lack these or call them otherwise; browsers insist on them.
_CONTENT_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".whl": "application/octet-stream",
}


class _Headers:
    """Adds headers to every response of the application it wraps."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def application(web_root: Path, domains: dict[str, str], mounts: dict[str, Path]) -> Starlette:
    """The web server as an ASGI application.

    Args:
        web_root: the folder served at `/`.
        domains: base address of each domain's delivery service, served as `/federation.json`.
        mounts: more folders, by the path that they are served at.
    """
    for suffix, content_type in _CONTENT_TYPES.items():
        mimetypes.add_type(content_type, suffix)

    async def federation(_: Request) -> Response:
        return JSONResponse({"domains": domains})

    routes: list[BaseRoute] = [Route("/federation.json", federation)]
    routes += [Mount(path, StaticFiles(directory=folder)) for path, folder in mounts.items()]
    routes.append(Mount("/", StaticFiles(directory=web_root, html=True)))
    # Files change while somebody works on them: a browser may keep them, and asks each time whether they are current.
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Starlette(routes=routes, middleware=[Middleware(_Headers, headers=headers)])


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="Serve the page and the list of delivery services.")
    parser.add_argument("--root", type=Path, required=True, help="the folder to serve")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--domains", type=json.loads, default={}, help="JSON object: domain to base address")
    parser.add_argument("--mounts", type=json.loads, default={}, help="JSON object: path to one more folder")
    options = parser.parse_args()
    mounts = {path: Path(folder) for path, folder in options.mounts.items()}
    app = application(options.root, options.domains, mounts)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
