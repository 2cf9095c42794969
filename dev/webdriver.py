"""A small client of the W3C's WebDriver: what the tests need of it, for a browser that Playwright cannot drive."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

# Starting Pyodide takes several seconds, and a good many on a machine that has other things to do.
_SCRIPT_SECONDS = 90
_POLL_SECONDS = 0.1
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# What a script gives comes back as JSON; what it throws, as text.
_SCRIPT = """
const done = arguments[arguments.length - 1];
(async (...args) => { %s })(...[...arguments].slice(0, -1)).then(
  (value) => done({ value: value ?? null }), (error) => done({ error: `${error}\\n${error?.stack ?? ""}` }));
"""


class WebDriverError(Exception):
    """The driver or the page refused.

    Attributes:
        code: WebDriver's, or `page-error`: a script threw.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class WebDriver:
    """A session with one browser. Calls go to the window that was opened or chosen last."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_SCRIPT_SECONDS + 60, trust_env=False)
        self._path = ""
        made = self._call("POST", "/session", {"capabilities": {}})
        self._path = f"/session/{made['sessionId']}"
        capabilities = made["capabilities"]
        self.version = f"{capabilities['browserName']} {capabilities['browserVersion']}"
        self._call("POST", "/timeouts", {"script": _SCRIPT_SECONDS * 1000})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._call("DELETE", "")
        self._client.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._client.request(method, self._path + path, json=body)
        value = response.json()["value"]
        if response.is_error:
            raise WebDriverError(value["error"], value["message"])
        return value

    def open(self, url: str) -> None:
        """Load a page. In a new window WebKit does not wait until the scripts of the page have run."""
        self._call("POST", "/url", {"url": url})

    def back(self) -> None:
        """Go to the page before this one in the window's history."""
        self._call("POST", "/back", {})

    def new_window(self) -> str:
        """Open an empty window and choose it; its handle."""
        handle: str = self._call("POST", "/window/new", {"type": "window"})["handle"]
        self.choose_window(handle)
        return handle

    def window(self) -> str:
        """The handle of the chosen window."""
        handle: str = self._call("GET", "/window")
        return handle

    def windows(self) -> list[str]:
        """The handles of all windows."""
        handles: list[str] = self._call("GET", "/window/handles")
        return handles

    def choose_window(self, handle: str) -> None:
        """Let the calls that follow go to this window."""
        self._call("POST", "/window", {"handle": handle})

    def close_window(self) -> None:
        """Close the chosen window. Another must be chosen then."""
        self._call("DELETE", "/window")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function with the parameter `args`, and return what it returns.

        Raises:
            WebDriverError: `page-error`, what it threw.
        """
        outcome = self._call("POST", "/execute/async", {"script": _SCRIPT % script, "args": list(arguments)})
        if "error" in outcome:
            raise WebDriverError("page-error", outcome["error"])
        return outcome["value"]

    def wait_until(self, script: str, *arguments: Any, seconds: float = 90) -> Any:
        """Run a script as `run` does, again and again, until it returns anything but false, null or undefined.

        Raises:
            WebDriverError: `page-error`, what it threw.
            TimeoutError: it never did.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.run(script, *arguments)
            if value is not None and value is not False:
                return value
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"after {seconds:.0f} s not yet: {script}")

    def choose_files(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in the input that a CSS selector finds."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        text = "\n".join(str(file) for file in files)
        self._call("POST", f"/element/{found[_ELEMENT]}/value", {"text": text})

    def screenshot(self, file: Path) -> None:
        """Keep a PNG of what the window shows."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))
