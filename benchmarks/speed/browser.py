"""Our side and ts-mls in one page of Chromium, each in a worker."""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from dev import chromium
from dev.browser import chromium_arguments
from dev.environment import Environment
from dev.steps import ROOT, run
from dev.web_tree import WEB, release_folder

from .results import OURS

TS_MLS = "ts-mls"
_PAGE = ROOT / "benchmarks" / "page"
_PARTS = ROOT / "benchmarks" / "speed"
_CONTENT_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class WorkerSide:
    """A side that is a worker of a page."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._name = name

    def call(self, name: str, **given: Any) -> Any:
        request = json.dumps({"call": name, **given})
        return json.loads(
            self._page.evaluate("([name, request]) => sides.call(name, request)", [self._name, request])
        )

    def close(self) -> None:
        """It ends with the page."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves several folders, with the headers that isolate a page: without them its clocks are coarse."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **_CONTENT_TYPES}  # noqa: RUF012

    def __init__(self, *arguments: Any, mounts: Mapping[str, Path]) -> None:
        self._mounts = mounts
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        for mount, folder in self._mounts.items():
            if path.startswith(mount):
                self.directory = str(folder)
                return super().translate_path(path.removeprefix(mount))
        return super().translate_path(path)

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Requests are of no interest."""


@contextlib.contextmanager
def sides(ready: Environment) -> Iterator[tuple[dict[str, WorkerSide], str]]:
    """Both, in a page of their own; and what they run on, in words."""
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _bundle(ready, scratch)
        address = stack.enter_context(_serving({"/page/": _PAGE, "/made/": scratch, "/": ready.web_root}))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=chromium.find_or_install(Path(sys.executable)), args=chromium_arguments()
        )
        stack.callback(browser.close)
        page = browser.new_page()
        page.goto(f"{address}/page/engine.html")
        if not page.evaluate("crossOriginIsolated"):
            raise RuntimeError("the page is not isolated, so its clocks are coarse")
        release = release_folder(ready.web_root)
        module = f"{address}/{release.relative_to(ready.web_root).as_posix()}/"
        assets = json.loads((release / "assets.json").read_text())
        jobs = {
            OURS: {
                "script": "/page/engine_worker.js",
                "pyodide": module + assets["pyodide"]["directory"],
                "wheel": module + assets["wheels"][-1],
                "primitives": f"{module}primitives.js",
                "archive": f"{address}/made/parts.zip",
            },
            TS_MLS: {"script": "/made/ts_mls_worker.js"},
        }
        started = [
            page.evaluate("([name, job]) => sides.start(name, job)", [name, job])
            for name, job in jobs.items()
        ]
        yield {name: WorkerSide(page, name) for name in jobs}, f"Chromium {browser.version}, {started[0]}"


def _bundle(ready: Environment, folder: Path) -> None:
    """What the workers fetch: our modules of the benchmark, and ts-mls."""
    with zipfile.ZipFile(folder / "parts.zip", "w") as archive:
        for file in _PARTS.glob("*.py"):
            archive.write(file, file.relative_to(ROOT).as_posix())
    command: list[str | Path] = [ready.node.program, WEB / "node_modules" / "esbuild" / "bin" / "esbuild"]
    command += [_PAGE / "ts_mls_worker.js", "--bundle", "--format=esm", "--platform=browser"]
    command += ["--target=es2022", "--minify", "--log-level=warning", f"--outdir={folder}"]
    run(command, failed="esbuild could not bundle ts-mls.")


@contextlib.contextmanager
def _serving(mounts: Mapping[str, Path]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, mounts=mounts))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
