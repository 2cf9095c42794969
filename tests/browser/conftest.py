"""A real federation and a real Chromium for the browser tests.

The tests are `async def`; they and the session's fixtures share one event loop.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from dev import chromium, environment, federation
from dev.browser import PageFaults, chromium_arguments
from dev.federation import Federation

# Starting Pyodide takes several seconds, and a good many on a machine that has other things to do.
_TIMEOUT_MILLISECONDS = 90_000

NewContext = Callable[..., Awaitable[BrowserContext]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def web_root() -> Path:
    """The served tree, up to date with the sources."""
    return environment.prepare(development=True).web_root


@pytest.fixture(scope="session")
def federation_running(web_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Three delivery services and the web server, as processes of their own, for the whole session."""
    folder = tmp_path_factory.mktemp("federation")
    with federation.running(Path(sys.executable), web_root, folder) as running:
        yield running


@pytest.fixture(name="federation")
def checked_federation(federation_running: Federation) -> Iterator[Federation]:
    """The session's federation; a process that ends during a test fails that test."""
    federation_running.check_alive()
    yield federation_running
    federation_running.check_alive()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One headless Chromium for the whole session."""
    named = os.environ.get("MLS_CHROMIUM")
    program = Path(named) if named else chromium.find_or_install(Path(sys.executable))
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        yield running
        await running.close()


@pytest.fixture
def page_faults(federation: Federation, request: pytest.FixtureRequest) -> Iterator[PageFaults]:
    """What went wrong in pages; fails the test at its end unless it is marked `expects_page_errors`."""
    faults = PageFaults(federation.url)
    yield faults
    if faults.seen and request.node.get_closest_marker("expects_page_errors") is None:
        pytest.fail("The page reported errors:\n" + "\n".join(faults.seen))


@pytest.fixture
async def new_context(
    browser: Browser, federation: Federation, page_faults: PageFaults
) -> AsyncIterator[NewContext]:
    """Make browser contexts (each a visitor with storage of its own) with `await new_context(**options)`.

    The page's address is the contexts' base: `await page.goto("/")`.
    """
    contexts: list[BrowserContext] = []

    async def make(**options: Any) -> BrowserContext:
        context = await browser.new_context(**{"base_url": federation.url, **options})
        context.set_default_timeout(_TIMEOUT_MILLISECONDS)
        page_faults.watch(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        await context.close()
