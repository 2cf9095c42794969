"""A call of a page and a participant that is no browser (`examples/native_participant`): each decodes what the other sends."""

import os
import sys
from pathlib import Path

import pytest
from playwright.async_api import Playwright

from dev import chromium, firefox
from dev.browser import PageFaults
from dev.federation import Federation
from dev.steps import SetupError
from mls_federation.client import GroupJoined
from tests.browser.calls import Caller, call_context, chromium_with_media, firefox_with_media, open_caller
from tests.browser.pages import addresses
from tests.support.native import Someone, connected, joined


def _program(browser: str) -> Path:
    if browser == "chromium":
        named = os.environ.get("MLS_CHROMIUM")
        return Path(named) if named else chromium.find_or_install(Path(sys.executable))
    try:
        return firefox.find_or_install()
    except SetupError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


async def _in_one_group(page: Caller, native: Someone, *, page_offers: bool) -> bytes:
    """The one with the smaller leaf offers: that is who begins the group."""
    if page_offers:
        await page.do("window.group = await client.createGroup(); await group.add(arg);", native.identity)
        return (await native.told(GroupJoined)).group_id
    group_id = (await native.client.create_group()).group_id
    await native.client.add(group_id, page.identity)
    await page.until("window.group !== undefined")
    return group_id


@pytest.mark.parametrize(
    ("browser", "page_offers"),
    [
        pytest.param("chromium", False, id="chromium-native-offers"),
        pytest.param("firefox", True, id="firefox-page-offers"),
        pytest.param("chromium", True, id="chromium-page-offers", marks=pytest.mark.long),
        pytest.param("firefox", False, id="firefox-native-offers", marks=pytest.mark.long),
    ],
)
async def test_a_page_and_a_native_participant(
    playwright: Playwright, federation: Federation, browser: str, page_offers: bool
) -> None:
    faults = PageFaults(federation.url)
    with_media = chromium_with_media if browser == "chromium" else firefox_with_media
    async with (
        with_media(playwright, _program(browser)) as running,
        connected(addresses(federation), "bob") as native,
    ):
        context = await call_context(running, federation)
        faults.watch(context)
        page = await open_caller(context, federation, "alice", "a.example")
        group_id = await _in_one_group(page, native, page_offers=page_offers)
        async with joined(native, group_id):
            await page.do("await startCall(group);")
            await _see_each_other(page, native)
            await page.do("await group.update();")
            await _see_each_other(page, native)
            await native.client.update(group_id)
            native.call.follow()
            await page.until("happened.some(({ name, epoch }) => name === 'keys' && epoch === '3')")
            await _see_each_other(page, native)
            state = await page.do("return shown(participant(arg));", native.identity)
            assert (state["state"], state["audio"], state["video"]) == ("verified", True, True)
            for media in ("audio", "video"):
                assert set(native.count(page.identity, media)[1]) <= {"unknown-key"}
            refusals = await page.do("return participant(arg).refusals;", native.identity)
            assert set(refusals) <= {"unknown-key"}
            # Who leaves is gone for the other.
            await page.do("await call.leave();")
            await native.loses(page.identity)
        assert await page.do("return happened.filter(({ name }) => name === 'error');") == []
        await context.close()
    assert faults.seen == []


async def _see_each_other(page: Caller, native: Someone) -> None:
    await page.until("participant(arg)?.state === 'verified'", native.identity)
    before = await page.do("return received(participant(arg));", native.identity)
    await page.until(
        """(await received(participant(arg[0]))).decoded > arg[1] + 15
            && (await received(participant(arg[0]), "audio")).samples > 0""",
        [native.identity, before["decoded"]],
    )
    # The fake camera's picture is not of one colour; that it is the page's, its key has shown.
    assert len(await native.receives(page.identity)) >= 15
