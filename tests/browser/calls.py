"""Browsers with a fake camera and microphone, and pages with a client that can be in a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Playwright

from dev import firefox
from dev.browser import PageFaults, chromium_arguments
from dev.federation import Federation
from tests.browser.pages import SERVED_AT, addresses, unique_name

CALL_PATH = f"{SERVED_AT}/call.html"
TIMEOUT_MILLISECONDS = 120_000

_FAKE_MEDIA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
FIREFOX_PREFERENCES: dict[str, str | float | bool] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
}


@dataclass(frozen=True)
class Caller:
    """A page with a client in `window.client`, and from some time on its group in `window.group` and its call in `window.call`."""

    page: Page
    identity: str

    async def do(self, script: str, arg: Any = None) -> Any:
        """What the body of an async function of `arg` returns in the page."""
        return await self.page.evaluate(f"async (arg) => {{ {script} }}", arg)

    async def until(self, condition: str, arg: Any = None) -> Any:
        """What an expression with `arg` gives in the page, once that is true; it may `await`."""
        poll = f"""for (;;) {{
            const found = ({condition});
            if (found) return found;
            await new Promise((resolve) => setTimeout(resolve, 50));
        }}"""
        try:
            async with asyncio.timeout(TIMEOUT_MILLISECONDS / 1000):
                return await self.do(poll, arg)
        except TimeoutError:
            raise AssertionError(
                f"It did not come to pass: {condition} ({arg}). {await self.do(_STATE)}"
            ) from None

    async def happened(self, name: str) -> list[dict[str, Any]]:
        """The call's events of that name so far."""
        found: list[dict[str, Any]] = await self.do(
            "return happened.filter(({ name }) => name === arg);", name
        )
        return found

    async def received(self, other: "Caller") -> dict[str, int]:
        """What the browser has counted of another's video: packets, and frames that were decoded."""
        counted: dict[str, int] = await self.do("return received(participant(arg));", other.identity)
        return counted

    async def sees(self, other: "Caller", frames: int = 10) -> None:
        """Wait until so many more frames of another's were decoded."""
        start = (await self.received(other))["decoded"]
        await self.until(
            "(await received(participant(arg[0]))).decoded >= arg[1]", [other.identity, start + frames]
        )


_STATE = """return JSON.stringify(
    { happened, participants: window.call?.participants }, (_, value) => typeof value === "bigint" ? String(value) : value
);"""


@asynccontextmanager
async def chromium_with_media(playwright: Playwright, program: Path) -> AsyncIterator[Browser]:
    """A Chromium with a camera and a microphone that are not there."""
    running = await playwright.chromium.launch(
        executable_path=program, args=[*chromium_arguments(), *_FAKE_MEDIA]
    )
    try:
        yield running
    finally:
        await running.close()


@asynccontextmanager
async def firefox_with_media(playwright: Playwright, program: Path) -> AsyncIterator[Browser]:
    """A Firefox with a camera and a microphone that are not there."""
    running = await playwright.firefox.launch(
        channel=firefox.CHANNEL, executable_path=program, firefox_user_prefs=FIREFOX_PREFERENCES
    )
    try:
        yield running
    finally:
        await running.close()


async def call_context(
    browser: Browser, federation: Federation, faults: PageFaults | None = None
) -> BrowserContext:
    """A visitor with storage of its own; `faults` notes what goes wrong in its pages."""
    usual = firefox.CONTEXT_OPTIONS if browser.browser_type.name == "firefox" else {}
    context = await browser.new_context(base_url=federation.url, **usual)
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    if faults is not None:
        faults.watch(context)
    return context


async def open_call_page(context: BrowserContext, *, fault: str | None = None) -> Page:
    """The page of a call with nothing loaded; `fault`: as it says there."""
    page = await context.new_page()
    await page.goto(CALL_PATH if fault is None else f"{CALL_PATH}?fault={fault}")
    await page.wait_for_function("window.Call !== undefined")
    return page


async def open_caller(
    context: BrowserContext, federation: Federation, name: str, domain: str, *, fault: str | None = None
) -> Caller:
    """A page with a client that is in no group yet."""
    page = await open_call_page(context, fault=fault)
    caller = Caller(page, f"{unique_name(name)}@{domain}")
    await caller.do(
        """window.mls = await MLSFederation.load({ crypto: "webjs", snapshot: false });
        for (const [domain, url] of Object.entries(arg[0])) await mls.setDeliveryService(domain, url);
        window.client = await mls.createClient({ identity: arg[1] });
        client.addEventListener("group", ({ detail }) => { note("group"); window.group = detail.group; });""",
        [addresses(federation), caller.identity],
    )
    return caller


async def in_one_group(first: Caller, *others: Caller) -> None:
    """Have the first one make a group with the others, in this order of leaves."""
    await first.do("window.group = await client.createGroup();")
    for other in others:
        # It may be in an earlier one.
        await other.do("window.group = undefined;")
        await first.do("await group.add(arg);", other.identity)
        await other.until("window.group !== undefined")


async def all_verified(*callers: Caller) -> None:
    """Wait until each of them decrypts what all the others send."""
    for caller in callers:
        await caller.until(
            "arg.every((identity) => participant(identity)?.state === 'verified')",
            [other.identity for other in callers if other is not caller],
        )
