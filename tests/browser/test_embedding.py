"""The module in pages of all kinds: under a strict policy, from other origins, isolated or not, on another Pyodide."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from dev import federation
from dev.federation import Federation
from dev.steps import ROOT
from dev.webdriver import WebDriver
from tests.browser.conftest import NewContext
from tests.browser.origins import Site, serving
from tests.browser.pages import (
    SERVED,
    SERVED_AT,
    addresses,
    in_chromium_and_firefox,
    open_module_client,
    unique_name,
)

_PAGE = f"{SERVED_AT}/embedded.html"
_PYODIDE = ROOT / "web" / "node_modules" / "pyodide"
_ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


@pytest.fixture(scope="module")
def page_site(web_root: Path) -> Iterator[Site]:
    """Where the pages are."""
    with serving({SERVED_AT: SERVED, "/": web_root}) as site:
        yield site


@pytest.fixture(scope="module")
def asset_site(web_root: Path) -> Iterator[Site]:
    """Another origin that serves the module and what it loads."""
    with serving({"/assets": web_root / "mls-federation"}) as site:
        yield site


@pytest.fixture(scope="module")
def pyodide_site() -> Iterator[Site]:
    """Another one that serves a Pyodide distribution, as a content delivery network does."""
    with serving({"/pyodide/v314.0.7/full": _PYODIDE}) as site:
        yield site


@pytest.fixture(scope="module")
def federation_running(
    web_root: Path, page_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Federation]:
    """Two delivery services that admit the pages."""
    folder = tmp_path_factory.mktemp("federation")
    domains = ("a.example", "b.example")
    with federation.running(
        Path(sys.executable),
        web_root,
        folder,
        domains=domains,
        mounts={SERVED_AT: SERVED},
        origins=[page_site.url],
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def plain_sites(page_site: Site, asset_site: Site, pyodide_site: Site) -> None:
    """No header is left from another test."""
    for site in (page_site, asset_site, pyodide_site):
        site.headers.clear()
        site.asked.clear()


def policy(**directives: str) -> dict[str, str]:
    """A policy that forbids all but these and the page's own icon."""
    rules = {"default-src": "'none'", "img-src": "data:"}
    rules |= {name.replace("_", "-"): value for name, value in directives.items()}
    return {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items())}


def services_as_sources(running: Federation) -> str:
    """The delivery services as `connect-src` names them: for requests, and for the inbox."""
    urls = addresses(running).values()
    return " ".join([*urls, *(url.replace("http", "ws", 1) for url in urls)])


async def result_of(page: Page, site: Site, **parameters: str) -> dict[str, Any]:
    """What comes of the page, which is told these parameters."""
    await page.goto(f"{site.url}{_PAGE}?{urlencode(parameters)}")
    result = page.locator("#result")
    await expect(result).not_to_be_empty()
    shown: dict[str, Any] = json.loads(await result.inner_text())
    return shown


@in_chromium_and_firefox
async def test_under_a_strict_policy(
    new_context: NewContext, federation: Federation, page_site: Site
) -> None:
    page_site.headers |= policy(
        script_src="'self' 'wasm-unsafe-eval'", connect_src=f"'self' {services_as_sources(federation)}"
    )
    page = await (await new_context()).new_page()

    result = await result_of(page, page_site, name=unique_name("csp"), **addresses(federation))

    assert result == {"crypto": "webjs", "heard": ["hello 0", "hello 1"], "isolated": False}
    (worker,) = page.workers
    assert re.fullmatch(rf"{page_site.url}/mls-federation/[0-9a-f]{{16}}/worker\.js", worker.url)


@in_chromium_and_firefox
async def test_everything_elsewhere_in_an_isolated_page(
    new_context: NewContext, federation: Federation, page_site: Site, asset_site: Site, pyodide_site: Site
) -> None:
    elsewhere = f"{asset_site.url} {pyodide_site.url}"
    page_site.headers |= _ISOLATED | policy(
        script_src=f"'self' {elsewhere} 'wasm-unsafe-eval'",
        worker_src=f"blob: {asset_site.url}",
        connect_src=f"{elsewhere} {services_as_sources(federation)}",
    )
    for site in (asset_site, pyodide_site):
        site.headers["Access-Control-Allow-Origin"] = page_site.url
    page = await (await new_context()).new_page()

    result = await result_of(
        page,
        page_site,
        module=f"{asset_site.url}/assets/index.js",
        pyodide=f"{pyodide_site.url}/pyodide/v314.0.7/full",
        name=unique_name("far"),
        **addresses(federation),
    )

    assert result == {"crypto": "webjs", "heard": ["hello 0", "hello 1"], "isolated": True}
    assert not any(path.startswith("/mls-federation") for path in page_site.asked)
    assert "/pyodide/v314.0.7/full/pyodide.asm.wasm" in pyodide_site.asked
    assert not any(path.startswith("/assets/pyodide") for path in asset_site.asked)
    # npm's lock file names wheels that npm does not carry.
    assert any("cryptography" in path for path in pyodide_site.asked)


_ENOUGH = {"script_src": "'self' 'wasm-unsafe-eval'", "connect_src": "'self'"}


@in_chromium_and_firefox
@pytest.mark.expects_page_errors
async def test_what_a_policy_forbids_is_named(
    new_context: NewContext, federation: Federation, page_site: Site
) -> None:
    page = await (await new_context()).new_page()
    service = addresses(federation)["a.example"]
    for missing, forbidden, directive in (
        ({"script_src": "'self'"}, "wasm-eval", "script-src"),
        ({"worker_src": "'none'"}, page_site.url, "worker-src"),
        ({"connect_src": "'none'"}, page_site.url, "connect-src"),
        ({}, service, "connect-src"),
    ):
        page_site.headers |= policy(**(_ENOUGH | missing))
        result = await result_of(page, page_site, **{"a.example": service})
        assert result["code"] == "blocked-by-policy", missing
        assert forbidden in result["message"], missing
        assert directive in result["message"], missing
        if missing:
            assert result["details"] == {"directive": directive, "blocked": forbidden}


def test_a_policy_in_webkit(webkit: WebDriver, federation: Federation, page_site: Site) -> None:
    """WebKit throws at once where the others tell of an error later."""
    service = addresses(federation)["a.example"]

    def result() -> dict[str, Any]:
        webkit.open(f"{page_site.url}{_PAGE}?{urlencode({'a.example': service})}")
        shown = "return document.getElementById('result').textContent || undefined"
        found: dict[str, Any] = json.loads(webkit.wait_until(shown))
        return found

    page_site.headers |= policy(**(_ENOUGH | {"worker_src": "'none'"}))
    assert result()["code"] == "blocked-by-policy"
    page_site.headers |= policy(**(_ENOUGH | {"script_src": "'self'"}))
    assert result()["details"]["blocked"] == "wasm-eval"
    page_site.headers |= policy(**(_ENOUGH | {"connect_src": f"'self' {services_as_sources(federation)}"}))
    assert result() == {"crypto": "webjs"}


@in_chromium_and_firefox
@pytest.mark.expects_page_errors
async def test_an_origin_that_does_not_admit_the_page_is_named(
    new_context: NewContext, page_site: Site, asset_site: Site
) -> None:
    page = await (await new_context()).new_page()

    result = await result_of(page, page_site, base=f"{asset_site.url}/assets/")

    assert result["code"] == "load-failed"
    assert result["details"]["file"] == f"{asset_site.url}/assets/worker.js"
    assert "CORS" in result["message"]


async def test_another_version_of_pyodide_is_refused(
    new_context: NewContext, page_site: Site, pyodide_site: Site
) -> None:
    context = await new_context()
    page = await context.new_page()
    script = (_PYODIDE / "pyodide.mjs").read_text().replace("314.0.7", "314.1.0")
    pyodide_site.headers["Access-Control-Allow-Origin"] = "*"
    await context.route(
        f"{pyodide_site.url}/**/pyodide.mjs",
        lambda route: route.fulfill(
            body=script, content_type="text/javascript", headers={"Access-Control-Allow-Origin": "*"}
        ),
    )

    result = await result_of(page, page_site, pyodide=f"{pyodide_site.url}/pyodide/v314.0.7/full/")

    assert result["code"] == "wrong-pyodide-version"
    assert result["details"]["found"] == "314.1.0"
    assert result["details"]["needed"] == "314.0.7"


# -- which cryptography


async def test_cryptography_is_taken_where_the_distribution_has_it(
    new_context: NewContext, page_site: Site, pyodide_site: Site
) -> None:
    """The real wheel is not to be had from npm: what is shown is that it is chosen, and that a fault of it is not passed over."""
    wheel = json.loads((_PYODIDE / "pyodide-lock.json").read_text())["packages"]["cryptography"]["file_name"]
    pyodide_site.headers["Access-Control-Allow-Origin"] = "*"
    context = await new_context()
    asked: list[str] = []

    async def serve(route: Route) -> None:
        asked.append(route.request.method)
        await route.fulfill(body=b"no wheel", headers={"Access-Control-Allow-Origin": "*"})

    # What it needs itself is not there either; which is missed first is chance, so the others never get an answer.
    await context.route("**/full/*.whl", lambda _: None)
    await context.route(f"**/{wheel}", serve)

    result = await result_of(
        await context.new_page(), page_site, pyodide=f"{pyodide_site.url}/pyodide/v314.0.7/full"
    )

    assert result["code"] == "load-failed"
    assert wheel in result["details"]["file"]
    assert asked == ["HEAD", "GET"]


async def test_cryptography_is_not_asked_for_where_the_lock_does_not_name_it(
    new_context: NewContext, page_site: Site, pyodide_site: Site
) -> None:
    lock = json.loads((_PYODIDE / "pyodide-lock.json").read_text())
    del lock["packages"]["cryptography"]
    pyodide_site.headers["Access-Control-Allow-Origin"] = "*"
    context = await new_context()
    await context.route(
        "**/full/pyodide-lock.json",
        lambda route: route.fulfill(json=lock, headers={"Access-Control-Allow-Origin": "*"}),
    )

    result = await result_of(
        await context.new_page(), page_site, pyodide=f"{pyodide_site.url}/pyodide/v314.0.7/full"
    )

    assert result == {"crypto": "webjs"}
    assert not any("cryptography" in path for path in pyodide_site.asked)


# -- the end


async def test_disposing_leaves_nothing_behind(new_context: NewContext, federation: Federation) -> None:
    page, _ = await open_module_client(await new_context(), federation, "dee", "a.example")
    (worker,) = page.workers
    ended = asyncio.Event()
    worker.on("close", lambda _: ended.set())
    assert await _open_inboxes(federation, "a.example", wanted=1) == 1

    calls = await page.evaluate(
        """async () => {
            const calls = [client.createGroup(), client.flush(), mls.setDeliveryService("a.example", "http://127.0.0.1:1")];
            const later = Promise.allSettled(calls);
            mls.dispose();
            mls.dispose();
            const settled = await later;
            const after = await client.createGroup().catch((error) => error);
            return [...settled.map(({ reason }) => reason.code), after.code];
        }"""
    )

    assert calls == ["disposed"] * 4
    await ended.wait()
    assert page.workers == []
    assert await _open_inboxes(federation, "a.example", wanted=0) == 0


async def _open_inboxes(running: Federation, domain: str, *, wanted: int) -> float:
    """How many connections a delivery service has; until it is as many as wanted, or half a minute has passed."""
    deadline = time.monotonic() + 30
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            answer = await http.get(f"{running.services[domain].operations}/metrics")
            (found,) = [
                float(line.rpartition(" ")[2])
                for line in answer.text.splitlines()
                if "open_inboxes" in line and not line.startswith("#")
            ]
            if found == wanted or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.05)
