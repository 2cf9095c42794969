"""A real federation and real browsers for the browser tests: Chromium, and where a test says so Firefox or WebKit.

The tests are `async def`; they and the session's fixtures share one event loop.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright

from dev import chromium, environment, federation, firefox, webkit
from dev.browser import PageFaults, chromium_arguments
from dev.federation import Federation
from dev.steps import SetupError
from dev.webdriver import WebDriver
from tests.browser import calls
from tests.browser import webkit as webkit_browser
from tests.browser.pages import BUSY_UNTIL_TOLD, SERVED, SERVED_AT, SOURCES, SOURCES_AT

# Starting Pyodide takes several seconds, and a good many on a machine that has other things to do.
_TIMEOUT_MILLISECONDS = 90_000

NewContext = Callable[..., Awaitable[BrowserContext]]
Found = TypeVar("Found")


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
    mounts = {SERVED_AT: SERVED, SOURCES_AT: SOURCES}
    with federation.running(Path(sys.executable), web_root, folder, mounts=mounts) as running:
        yield running


@pytest.fixture(name="federation")
def checked_federation(federation_running: Federation) -> Iterator[Federation]:
    """The session's federation; a process that ends during a test fails that test."""
    federation_running.check_alive()
    yield federation_running
    federation_running.check_alive()


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """What drives Chromium and Firefox."""
    async with async_playwright() as running:
        yield running


@pytest.fixture(scope="session")
async def chromium_running(playwright: Playwright) -> AsyncIterator[Browser]:
    """One headless Chromium for the whole session."""
    running = await playwright.chromium.launch(executable_path=_chromium_program(), args=chromium_arguments())
    yield running
    await running.close()


@pytest.fixture(scope="session")
async def chromium_with_camera(playwright: Playwright) -> AsyncIterator[Browser]:
    """One headless Chromium with a fake camera and microphone, for the whole session."""
    async with calls.chromium_with_media(playwright, _chromium_program()) as running:
        yield running


@pytest.fixture(scope="session")
async def firefox_with_camera(playwright: Playwright) -> AsyncIterator[Browser]:
    """One headless Firefox with a fake camera and microphone, for the whole session."""
    async with calls.firefox_with_media(playwright, _or_skip(firefox.find_or_install)) as running:
        yield running


@pytest.fixture(scope="session")
async def firefox_running(playwright: Playwright) -> AsyncIterator[Browser]:
    """One headless Firefox for the whole session."""
    program = _or_skip(firefox.find_or_install)
    running = await playwright.firefox.launch(channel=firefox.CHANNEL, executable_path=program)
    yield running
    await running.close()


@pytest.fixture(scope="session")
async def firefox_with_mls_running(playwright: Playwright) -> AsyncIterator[Browser]:
    """One headless Firefox that offers its own MLS to pages, for the whole session."""
    program = _or_skip(firefox.find_or_install)
    running = await playwright.firefox.launch(
        channel=firefox.CHANNEL,
        executable_path=program,
        firefox_user_prefs={"dom.origin-trials.mls.state": 1},
    )
    yield running
    await running.close()


def _chromium_program() -> Path:
    named = os.environ.get("MLS_CHROMIUM")
    return Path(named) if named else chromium.find_or_install(Path(sys.executable))


def _or_skip(find: Callable[[], Found]) -> Found:
    """A browser beside Chromium; without it the test is skipped, and fails where `CI=true`."""
    try:
        return find()
    except SetupError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Browser:
    """Chromium, or what a test is parametrized with, as by `in_chromium_and_firefox`."""
    chosen: Browser = request.getfixturevalue(f"{getattr(request, 'param', 'chromium')}_running")
    return chosen


@pytest.fixture(name="webkit")
def webkit_running(tmp_path: Path) -> Iterator[WebDriver]:
    """A WebKit of the test's own: what pages keep, a snapshot for instance, is kept as long as a browser runs."""
    with webkit_browser.running(_or_skip(webkit.find_or_install), tmp_path) as running:
        yield running


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
        usual = firefox.CONTEXT_OPTIONS if browser.browser_type.name == "firefox" else {}
        context = await browser.new_context(**{"base_url": federation.url, **usual, **options})
        context.set_default_timeout(_TIMEOUT_MILLISECONDS)
        await context.add_init_script(BUSY_UNTIL_TOLD)
        page_faults.watch(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        await context.close()
