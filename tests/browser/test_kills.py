"""A tab that is killed in the middle of anything loses nothing that was acknowledged, and never uses a key twice."""

import asyncio
import contextlib
import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from dev.federation import Federation
from mls_federation.client import Client, Event, MessageReceived, MessageRefused
from mls_federation.io import connected_client
from tests.browser.conftest import NewContext
from tests.browser.pages import addresses, first_visit, open_module, open_module_client, unique_name

# Between the time at which a tab is ready and its end.
_LONGEST_LIFE_SECONDS = 1.5
_PAUSE_SECONDS = 0.05
# Without anything that arrives.
_PATIENCE_SECONDS = 60.0


async def _kill(context: BrowserContext, page: Page) -> None:
    """End the process of a tab at once, as a crash does."""
    crashed = asyncio.get_running_loop().create_future()
    page.once("crash", lambda _: crashed.set_result(None))
    devtools = await context.new_cdp_session(page)
    # There is nobody left to answer.
    killing = asyncio.ensure_future(devtools.send("Page.crash"))
    await crashed
    killing.cancel()
    with contextlib.suppress(asyncio.CancelledError, PlaywrightError):
        await killing
    await page.close()


async def _talk(page: Page) -> None:
    """Have the page send numbered messages until it ends, and say which ones its client has acknowledged."""
    await page.evaluate(
        """() => void (async () => {
            for (;;) {
                const text = await nextText();
                const { deliveries } = await group.send(text);
                await acknowledged(text, deliveries.map((one) => one.status));
            }
        })()"""
    )


# In the turn in which the page gets its client. What her client refuses is told, too: nothing of Bob's may be.
_LISTEN = """
    client.addEventListener("message", (event) =>
        event.waitUntil(keepText(event.detail.number, event.detail.text)));
    client.addEventListener("error", ({ detail }) => {
        if (detail.details.refused) void noteRefusal(`${detail.code}: ${detail.message}`);
    });
"""


async def _exchange(
    new_context: NewContext, federation: Federation, folder: Path, *, seed: int, kills: int
) -> None:
    chance = random.Random(seed)
    context = await new_context()
    texts = (f"alice {number}" for number in itertools.count())
    sent: list[str] = []
    acknowledged: list[str] = []
    taken: dict[int, str] = {}
    refused: list[str] = []
    heard: list[Event] = []

    def next_text(_: Any) -> str:
        sent.append(next(texts))
        return sent[-1]

    def acknowledge(_: Any, text: str, statuses: list[str]) -> None:
        assert set(statuses) <= {"accepted", "relayed", "pending"}, statuses
        acknowledged.append(text)

    def take(_: Any, number: int, text: str) -> None:
        # The same message has the same number, however often it is told.
        assert taken.setdefault(number, text) == text

    await context.expose_binding("nextText", next_text)
    await context.expose_binding("acknowledged", acknowledge)
    await context.expose_binding("keepText", take)
    await context.expose_binding("noteRefusal", lambda _, error: refused.append(error))

    async def bob_talks(bob: Client, group_id: bytes, said: list[str]) -> None:
        for number in itertools.count():
            said.append(f"bob {number}")
            await bob.send(group_id, said[-1].encode())
            await asyncio.sleep(_PAUSE_SECONDS)

    # Each start after a kill is from the snapshot, which is the same each time: nothing that is random may be in it.
    await first_visit(context)
    page, _ = await open_module_client(context, federation, "alice", "a.example")
    bob_name = f"{unique_name('bob')}@b.example"
    async with connected_client(bob_name, addresses(federation), heard.append, storage=folder / "bob") as bob:
        await page.evaluate(
            "async (bob) => { window.group = await client.createGroup(); await group.add(bob); }", bob_name
        )
        while not bob.groups:  # noqa: ASYNC110 - a client has events, and this is the last of several
            await asyncio.sleep(_PAUSE_SECONDS)
        said: list[str] = []
        talking = asyncio.create_task(bob_talks(bob, bob.groups[0], said))
        await page.evaluate(f"() => {{ {_LISTEN} }}")
        for _ in range(kills):
            await _talk(page)
            if chance.random() < 0.3:
                # In the middle of a commit, too.
                await page.evaluate("() => void group.update()")
            await asyncio.sleep(chance.uniform(0, _LONGEST_LIFE_SECONDS))
            await _kill(context, page)
            page = await _open_listening(context, federation)
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking
        last = f"the end of {seed}"
        await page.evaluate("(text) => group.send(text)", last)

        def arrived() -> list[str]:
            return [event.data.decode() for event in heard if isinstance(event, MessageReceived)]

        def missing() -> list[str]:
            return sorted(({last} - set(arrived())) | (set(said[:-1]) - set(taken.values())))

        # What waited for her while she was mostly away may be thousands of messages.
        progress, since = (0, 0), time.monotonic()
        while missing():
            if progress != (progress := (len(taken), len(heard))):
                since = time.monotonic()
            assert time.monotonic() < since + _PATIENCE_SECONDS, (
                f"{missing()} of {len(said)}; {len(taken)} taken, {len(heard)} heard; refused: {refused}"
            )
            await asyncio.sleep(_PAUSE_SECONDS)

    assert len(acknowledged) > kills
    assert set(acknowledged) <= set(arrived())
    assert len(arrived()) == len(set(arrived()))
    # In the order in which she sent them; what she was killed before keeping was never sent.
    order = {text: place for place, text in enumerate([*sent, last])}
    assert [order[text] for text in arrived()] == sorted(order[text] for text in arrived())
    # A generation that is used twice is refused at the second use.
    assert [event for event in heard if isinstance(event, MessageRefused)] == []
    assert refused == []
    assert sorted(taken) == list(range(1, len(taken) + 1))
    told = [taken[number] for number in sorted(taken)]
    assert told == said[: len(told)]
    print(f"seed {seed}: {kills} kills, {len(acknowledged)} of {len(sent)} acknowledged, {len(taken)} taken")


async def _open_listening(context: BrowserContext, federation: Federation) -> Page:
    """A page that listens in the turn in which it gets its client."""
    page = await open_module(context)
    started_from = await page.evaluate(
        """async (services) => {
            window.mls = await MLSFederation.load({ crypto: "webjs" });
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
            const [kept] = await mls.accounts();
            window.client = await mls.openClient(kept.account);"""
        + _LISTEN
        + """[window.group] = client.groups;
            return mls.startedFrom;
        }""",
        addresses(federation),
    )
    assert started_from == "snapshot"
    return page


async def test_a_tab_that_is_killed_a_few_times(
    new_context: NewContext, federation: Federation, tmp_path: Path
) -> None:
    await _exchange(new_context, federation, tmp_path, seed=1, kills=3)


@pytest.mark.long
async def test_a_tab_that_is_killed_two_hundred_times(
    new_context: NewContext, federation: Federation, tmp_path: Path
) -> None:
    await _exchange(new_context, federation, tmp_path, seed=2, kills=200)
