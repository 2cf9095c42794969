"""How Chromium is started for tests and benchmarks, and what counts as a fault of a page."""

import os
import sys
from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, ConsoleMessage, WebError


def chromium_arguments() -> list[str]:
    """Command-line arguments for a headless Chromium that keeps to itself."""
    arguments = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    # Chromium's sandbox refuses to run as root, which is who one is in most containers.
    if sys.platform != "win32" and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return arguments


@dataclass
class PageFaults:
    """Uncaught errors and console errors of every page and worker of the contexts that are watched.

    An error status or refused connection of a delivery service is no fault: the browser reports each on the console,
    whatever the page makes of it.
    """

    own_origin: str
    seen: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Note the faults of all pages of a context from now on."""
        context.on("weberror", self._uncaught)
        context.on("console", self._console)

    def _uncaught(self, error: WebError) -> None:
        self.seen.append(f"uncaught: {error.error.stack or error.error.message}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        address = message.location.get("url", "")
        foreign = not address.startswith(self.own_origin)
        if foreign and message.text.startswith("Failed to load resource"):
            return
        self.seen.append(f"console: {message.text} ({address})")
