"""WebKitGTK's browser on a virtual screen of its own."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from dev.federation import free_port
from dev.webdriver import WebDriver, WebDriverError
from dev.webkit import WebKit

_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_SCREEN = "1280x1024x24"


@contextlib.contextmanager
def running(webkit: WebKit, folder: Path) -> Iterator[WebDriver]:
    """A browser with one empty window.

    Args:
        folder: where the output of the processes goes.

    Raises:
        WebDriverError: it did not start; the message has the end of its output.
    """
    log = folder / "webkit.log"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        display = stack.enter_context(_virtual_screen(webkit.screen, output.fileno()))
        port = free_port()
        process = subprocess.Popen(
            [webkit.driver, f"--port={port}"],
            env={**os.environ, "DISPLAY": display},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        stack.callback(_end, process)
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, log)
        yield stack.enter_context(WebDriver(url))


@contextlib.contextmanager
def _virtual_screen(program: Path, output: int) -> Iterator[str]:
    """The name of an X display. The server chooses a free number and tells it when it is ready."""
    reading, writing = os.pipe()
    command: list[str | Path] = [
        program,
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        _SCREEN,
        "-nolisten",
        "tcp",
    ]
    try:
        process = subprocess.Popen(command, stdout=output, stderr=output, pass_fds=[writing])
    finally:
        os.close(writing)
    try:
        with os.fdopen(reading, encoding="ascii") as told:
            number = told.readline().strip()
        if not number:
            raise WebDriverError("no-display", f"{program.name} ended with exit code {process.wait()}")
        yield f":{number}"
    finally:
        _end(process)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/status", trust_env=False)
        except httpx.TransportError:  # not listening yet
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise WebDriverError("no-driver", f"WebKit's driver did not start:\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
