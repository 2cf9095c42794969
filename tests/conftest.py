"""What every test shares. The unit and vector tests run on CPython and once more inside Pyodide, in a browser."""

import asyncio
import functools
import gc
import hashlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

IN_BROWSER = sys.platform == "emscripten"

# What the tests share asserts, too, and is to say what it found.
pytest.register_assert_rewrite(
    "tests.support", "tests.browser.calls", "tests.browser.pages", "tests.chaos", "tests.interop"
)

if not IN_BROWSER:
    # A shared machine is slow now and then, which is no fault of the code under test.
    settings.register_profile("cpython", deadline=None)
    settings.load_profile("cpython")


# Several times what any test takes on a busy machine. One that waits for what never comes fails, and the others go on.
_WAITS_FOR_EVER = 600

# What takes longest in one piece: the lane of those that drive browsers, and the one file that runs all inside Pyodide.
_FIRST = ("tests/browser/", "tests/native/", "tests/pyodide/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each `async` test an end of its own: that of pytest-timeout is also the end of the worker.

    And begin with what takes longest, and mix the files.
    """
    items.sort(key=lambda item: (_place(item), _mixed(item.path)))
    for item in items:
        if item.get_closest_marker("long") is not None:
            if config.pluginmanager.hasplugin("timeout"):
                item.add_marker(pytest.mark.timeout(0))
        elif isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _with_an_end(item.obj)


@pytest.hookimpl(optionalhook=True)  # Inside Pyodide there is no xdist.
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling | None":
    """Of tests that run at the same time, browsers do not run beside browsers."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.support.browser_lane import BrowserLaneScheduling

    return BrowserLaneScheduling(config, log)


def _place(item: pytest.Item) -> int:
    return next((place for place, folder in enumerate(_FIRST) if item.nodeid.startswith(folder)), len(_FIRST))


def _mixed(file: Path) -> str:
    return hashlib.sha256(file.name.encode()).hexdigest()


def _with_an_end(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*arguments: object, **fixtures: object) -> None:
        async with asyncio.timeout(_WAITS_FOR_EVER):
            await test(*arguments, **fixtures)

    return limited


@pytest.fixture(scope="session")
def provider() -> CryptoProvider:
    """The provider that the platform has: `pyca` on CPython, `webjs` in a browser."""
    if IN_BROWSER:
        from mls_federation.browser.provider import load_webjs_provider

        return load_webjs_provider()
    from mls_federation.crypto.pyca import PycaProvider

    return PycaProvider()


@pytest.fixture(scope="session")
def suite_1(provider: CryptoProvider) -> Crypto:
    """The cipher suite that every implementation must have (§17.1), where a test needs any one."""
    return crypto(provider, CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519)


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """What a module leaves open is its own failure, not that of whichever test runs when it is collected."""
    yield
    gc.collect()
