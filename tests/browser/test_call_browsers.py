"""Calls between browsers, and browsers in which frames cannot be encrypted, or would not be."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from dev.browser import PageFaults
from dev.federation import Federation
from tests.browser.calls import Caller, all_verified, call_context, in_one_group, open_caller


@pytest.fixture(scope="module")
def faults(federation_running: Federation) -> Iterator[PageFaults]:
    """What goes wrong in the pages of this module's tests; they fail at the end."""
    faults = PageFaults(federation_running.url)
    yield faults
    if faults.seen:
        pytest.fail("The pages reported errors:\n" + "\n".join(faults.seen))


@pytest.fixture(scope="module")
async def chromium_caller(
    chromium_with_camera: Browser, federation_running: Federation, faults: PageFaults
) -> AsyncIterator[Caller]:
    """A client in Chromium, for one call after the other."""
    context = await call_context(chromium_with_camera, federation_running, faults)
    yield await open_caller(context, federation_running, "chrome", "a.example")
    await context.close()


@pytest.fixture(scope="module")
async def firefox_caller(
    firefox_with_camera: Browser, federation_running: Federation, faults: PageFaults
) -> AsyncIterator[Caller]:
    """A client in Firefox, for one call after the other."""
    context = await call_context(firefox_with_camera, federation_running, faults)
    yield await open_caller(context, federation_running, "fox", "b.example")
    await context.close()


@pytest.fixture
async def broken_caller(
    request: pytest.FixtureRequest, chromium_with_camera: Browser, federation: Federation, faults: PageFaults
) -> AsyncIterator[Caller]:
    """A client in a Chromium with the fault of the page that a test is parametrized with."""
    context = await call_context(chromium_with_camera, federation, faults)
    yield await open_caller(context, federation, request.param, "b.example", fault=request.param)
    await context.close()


def with_fault(*faults: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("broken_caller", faults, indirect=True)


@pytest.mark.parametrize("first", ["chromium", "firefox"])
async def test_chromium_with_firefox(first: str, chromium_caller: Caller, firefox_caller: Caller) -> None:
    callers = [chromium_caller, firefox_caller]
    errors = [await caller.happened("error") for caller in callers]
    # Who has the smaller leaf offers.
    offering, answering = callers if first == "chromium" else reversed(callers)
    await answering.do("delete window.group;")
    await in_one_group(offering, answering)
    for caller in (answering, offering):
        await caller.do("await startCall(group);")
    await all_verified(offering, answering)
    for caller, other in ((offering, answering), (answering, offering)):
        await caller.sees(other)
        await caller.until("frames.get(arg).length > 5", other.identity)

    # A new epoch, and its keys.
    before = {caller: len(await caller.happened("keys")) for caller in callers}
    await answering.do("await group.update();")
    for caller, other in ((offering, answering), (answering, offering)):
        await caller.until("happened.filter(({ name }) => name === 'keys').length > arg", before[caller])
        await caller.sees(other)

    # Who is removed has ended the call by itself; the other leaves.
    await offering.do("await group.remove(arg);", answering.identity)
    await answering.until("happened.some(({ name, reason }) => name === 'ended' && reason === 'removed')")
    await offering.until("call.participants.length === 0")
    await offering.do("await call.leave();")
    assert [one["reason"] for one in await offering.happened("ended")][-1:] == ["left"]
    assert [await caller.happened("error") for caller in callers] == errors


@with_fault("older")
async def test_an_older_chromium_takes_the_frames_by_their_streams(
    chromium_caller: Caller, broken_caller: Caller
) -> None:
    await in_one_group(chromium_caller, broken_caller)
    for caller in (chromium_caller, broken_caller):
        await caller.do("await startCall(group);")

    await all_verified(chromium_caller, broken_caller)
    await chromium_caller.sees(broken_caller)
    await broken_caller.sees(chromium_caller)
    assert await broken_caller.happened("error") == []
    await broken_caller.do("await call.leave();")
    await chromium_caller.until("call.participants.length === 0")
    await chromium_caller.do("await call.leave();")


@with_fault("removed", "late")
async def test_without_a_transform_in_time_no_media_are_sent(
    chromium_caller: Caller, broken_caller: Caller
) -> None:
    await in_one_group(chromium_caller, broken_caller)
    await chromium_caller.do("await startCall(group, { patience: 5000 });")
    await broken_caller.do("await startCall(group);")

    await broken_caller.until("happened.some(({ name }) => name === 'ended')")

    assert [one["code"] for one in await broken_caller.happened("error")] == ["unprotected-media"]
    assert [one["reason"] for one in await broken_caller.happened("ended")] == ["unprotected-media"]
    sent = await broken_caller.do("return sent;")
    print(f"{broken_caller.identity}: {sent} until the call was stopped")
    assert sent["looks"] > 0
    # What got past was black, and silent.
    assert not sent["enabled"]
    assert await chromium_caller.do("return sent.enabled;")
    assert set(await broken_caller.do("return connections.map((one) => one.connectionState);")) == {"closed"}
    states = [
        one["state"]
        for one in await chromium_caller.happened("state")
        if one["identity"] == broken_caller.identity
    ]
    assert "verified" not in states
    # It ended without a word, so the other one gives up on it after a while.
    await chromium_caller.until("call.participants.length === 0")
    assert (await chromium_caller.happened("participantleft"))[-1]["reason"] == "unreachable"
    await chromium_caller.do("await call.leave();")


@with_fault("codec")
async def test_who_would_send_another_format_is_left_out(
    chromium_caller: Caller, broken_caller: Caller
) -> None:
    await in_one_group(broken_caller, chromium_caller)
    await chromium_caller.do("await startCall(group);")
    await broken_caller.do("await startCall(group);")

    await chromium_caller.until("happened.some(({ code }) => code === 'unsupported-codec')")

    await chromium_caller.until("call.participants.length === 0")
    assert (await chromium_caller.happened("participantleft"))[-1]["reason"] == "unsupported-codec"
    # The call itself goes on, for others.
    assert await chromium_caller.do("return happened.at(-1).name;") != "ended"
    await chromium_caller.do("await call.leave();")


@with_fault("none")
async def test_a_browser_without_encoded_transforms_makes_no_call(broken_caller: Caller) -> None:
    code = await broken_caller.do(
        """window.group = await client.createGroup();
        return startCall(group).then(() => "joined", ({ code }) => code);"""
    )

    assert code == "no-encoded-transforms"
    assert await broken_caller.do("return connections.length;") == 0
