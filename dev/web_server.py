"""A static web server for `build/web` and `/federation.json`, for development: `python -m dev.web_server`."""

import argparse
import json
import mimetypes
import os
import re
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dev.web_tree import MODULE

# A machine's own table may lack these or call them otherwise; browsers insist on them.
_CONTENT_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".whl": "application/octet-stream",
}


# Of the forms that a file may have beside it, in the order in which they are chosen.
_ENCODINGS = {"br": ".br", "gzip": ".gz"}

# Files change while somebody works on them: a browser may keep them, and asks each time whether they are current.
_REVALIDATED = "no-cache"
# What is in a folder of the module is named by its content.
_IMMUTABLE = "public, max-age=31536000, immutable"


class _CompressedFiles(StaticFiles):
    """Static files that are sent compressed where a compressed form lies beside them and the browser takes it."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        forms = {
            encoding: Path(f"{os.fspath(full_path)}{suffix}")
            for encoding, suffix in _ENCODINGS.items()
            if Path(f"{os.fspath(full_path)}{suffix}").is_file()
        }
        accepted = _accepted(Headers(scope=scope).get("accept-encoding", ""))
        chosen = next((encoding for encoding in forms if encoding in accepted), None)
        if chosen is None:
            response = super().file_response(full_path, stat_result, scope, status_code)
        else:
            form = forms[chosen]
            response = super().file_response(form, form.stat(), scope, status_code)
            response.headers["Content-Encoding"] = chosen
            if "content-type" in response.headers:  # an answer of 304 has none
                response.headers["Content-Type"] = FileResponse(full_path).headers["content-type"]
        if forms:
            response.headers["Vary"] = "Accept-Encoding"
        path = scope["path"].removeprefix(f"/{MODULE}/")
        immutable = path != scope["path"] and "/" in path
        response.headers["Cache-Control"] = _IMMUTABLE if immutable else _REVALIDATED
        return response


def _accepted(header: str) -> set[str]:
    """The encodings that a value of Accept-Encoding names and does not refuse (RFC 9110 §12.5.3)."""
    accepted = set()
    for item in header.split(","):
        encoding, _, weight = item.partition(";")
        if re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight, re.IGNORECASE) is None:
            accepted.add(encoding.strip().lower())
    return accepted


class _Headers:
    """Adds headers to every response of the application it wraps."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
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
    routes += [Mount(path, _CompressedFiles(directory=folder)) for path, folder in mounts.items()]
    routes.append(Mount("/", _CompressedFiles(directory=web_root, html=True)))
    headers = {"Cache-Control": _REVALIDATED, "X-Content-Type-Options": "nosniff"}
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
