"""ts-mls in the page whose worker runs these tests."""

from __future__ import annotations

import importlib

from pyodide.ffi import run_sync


class PagePeer:
    """The page, asked through the JavaScript module that `tests/pyodide/worker.js` registers."""

    def __init__(self) -> None:
        self._page = importlib.import_module("test_page")

    def exchange(self, line: str) -> str:
        """The answer to a request."""
        # ts-mls is asynchronous and the tests are not: the worker's stack is put aside until the page has answered.
        answer: str = run_sync(self._page.ask(line))
        return answer
