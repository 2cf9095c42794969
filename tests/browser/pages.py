"""Pages for the browser tests: the demo as a visitor has it, and an empty page that holds the module alone."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from dev.federation import Federation
from dev.steps import ROOT

# Starting Pyodide takes several seconds, and a good many on a machine that has other things to do.
expect.set_options(timeout=90_000)

in_chromium_and_firefox = pytest.mark.parametrize("browser", ["chromium", "firefox"], indirect=True)
in_chromium_and_seldom_in_firefox = pytest.mark.parametrize(
    "browser", ["chromium", pytest.param("firefox", marks=pytest.mark.long)], indirect=True
)

# The web server of the tests has this folder too.
SERVED = Path(__file__).with_name("served")
SERVED_AT = "/browser-tests"
# Modules of which only others of ours make use, which are served in what uses them.
SOURCES = ROOT / "web" / "src"
SOURCES_AT = "/module-sources"
# The module's API in a page of its own; what it offers to tests is said there.
MODULE_PATH = f"{SERVED_AT}/module.html"
# To make a snapshot costs as much as a start, and few tests look at one: a page's thread is idle when it is told so.
BUSY_UNTIL_TOLD = """{
    const { requestIdleCallback } = window;
    window.requestIdleCallback = (callback) => void (window.isIdle && requestIdleCallback(callback));
}"""
# Loads, and waits until a snapshot for the next visit was made or could not be.
_FIRST_VISIT = """
    window.mls = await MLSFederation.load({ crypto: "webjs" });
    const startedFrom = mls.startedFrom;
    const outcome = await new Promise((resolve) =>
        mls.addEventListener("snapshot", ({ detail }) => resolve(detail), { once: true }));
    mls.dispose();
    return { startedFrom, outcome };
"""


def unique_name(name: str) -> str:
    """A name that no other test of the session uses: an identity can be claimed once."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def addresses(federation: Federation) -> dict[str, str]:
    """The base address of each domain's delivery service."""
    return {domain: service.url for domain, service in federation.services.items()}


async def open_module(context: BrowserContext) -> Page:
    """An empty page of our origin with the module imported and nothing loaded."""
    page = await context.new_page()
    await page.goto(MODULE_PATH)
    await page.wait_for_function("window.MLSFederation !== undefined")
    return page


async def first_visit(context: BrowserContext) -> None:
    """Have a snapshot made."""
    page = await open_module(context)
    await page.evaluate("window.isIdle = true")
    made = await page.evaluate(f"async () => {{ {_FIRST_VISIT} }}")
    assert made == {"startedFrom": "files", "outcome": {"kept": True}}
    await page.close()


async def open_module_client(
    context: BrowserContext, federation: Federation, name: str, domain: str
) -> tuple[Page, str]:
    """A page with a client in `window.client`, its events in `window.seen`; and the client's address."""
    page = await open_module(context)
    identity = f"{unique_name(name)}@{domain}"
    await page.evaluate(
        """async ([services, identity]) => {
            window.mls = await MLSFederation.load({ crypto: "webjs", snapshot: false });
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
            window.client = await mls.createClient({ identity });
            watch(client);
        }""",
        [addresses(federation), identity],
    )
    return page, identity


async def wait_for_event(page: Page, name: str, **detail: Any) -> dict[str, Any]:
    """The detail of the first event `name` of the page's client that has these members; removes it."""
    handle = await page.wait_for_function("([name, wanted]) => taken(name, wanted)", arg=[name, detail])
    found: dict[str, Any] = await handle.json_value()
    return found


async def caught(page: Page, call: str, arg: Any = None) -> dict[str, Any]:
    """What a call in the page threw: its class as `type`, and for an `MLSError` `code`, `message` and `details`."""
    thrown: dict[str, Any] | None = await page.evaluate(f"(arg) => caught(() => {call})", arg)
    assert thrown is not None, f"{call} threw nothing"
    return thrown


async def open_demo(
    context: BrowserContext, name: str, domain: str, *, fanout: str | None = None
) -> tuple[Page, str]:
    """The demo with keys made for `name` at `domain`; and the address."""
    page = await context.new_page()
    unique = unique_name(name)
    await page.goto(f"/?name={unique}&service={domain}")
    if fanout is not None:
        await page.check(f'input[name="fanout"][value="{fanout}"]')
    await page.get_by_role("button", name="Make my keys").click()
    await expect(page.locator("#identity")).to_have_text(f"{unique}@{domain}")
    return page, f"{unique}@{domain}"


async def invite(page: Page, identity: str) -> None:
    """Fetch the keys of an identity in the demo, and start a group with it or add it."""
    await page.fill("#peer", identity)
    await page.click("#fetch")
    await page.get_by_test_id("invite").click()
    await expect(page.locator(f'#members [data-identity="{identity}"]')).to_be_visible()


async def shown_srtp_keys(page: Page, profile: str) -> dict[str, tuple[str, str]]:
    """The revealed keys of the demo: key and salt of each sender, in hexadecimal."""
    await page.select_option("#srtp-profile", profile)
    await expect(page.locator(f'#srtp-keys[data-profile="{profile}"]')).to_be_visible()
    rows = await page.eval_on_selector_all(
        "#srtp-keys > li",
        """(rows) => rows.map((row) => [row.dataset.identity,
            ...["key", "salt"].map((name) => row.querySelector(`[data-secret=${name}]`).textContent.replaceAll(" ", ""))])""",
    )
    return {identity: (key, salt) for identity, key, salt in rows}


def as_json(services: Mapping[str, str]) -> str:
    """A mapping as it is written in `/federation.json`."""
    return json.dumps({"domains": dict(services)})
