"""How each page of `build/web` is brought into each of its states, for what must hold in all of them.

A new page needs an entry in `JOURNEYS`: `test_accessibility.py` fails without.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, Route, expect

from dev.federation import Federation
from tests.browser.call_pages import CONFERENCE, ask_to_be_let_in, let_in, see_each_other, start_room
from tests.browser.conftest import NewContext
from tests.browser.pages import invite, open_demo, unique_name
from tests.support.own_vectors import own_entries


@dataclass(frozen=True)
class Surroundings:
    """What a journey may use."""

    new_context: NewContext
    federation: Federation
    folder: Path


Journey = Callable[[Surroundings], AsyncIterator[tuple[str, Page]]]


async def first_call(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page of the first call, from opening it to being in two groups."""
    bob, bob_name = await open_demo(await around.new_context(), "bob", "b.example")
    context = await around.new_context()
    page = await context.new_page()
    held: list[Route] = []
    await context.route("**/python_stdlib.zip", lambda route: held.append(route))
    await page.goto("/")
    await expect(page.locator("#progress-stage")).to_have_text("Starting Python")
    yield "loading", page
    await held[0].continue_()
    await expect(page.locator("#identity-create")).to_be_enabled()
    yield "loaded", page

    await page.click("#identity-create")
    await expect(page.locator("#identity-error")).to_be_visible()
    await page.click("#directory summary")
    await page.fill("[id='service-url-c.example']", around.federation.services["b.example"].url)
    await page.get_by_test_id("set-service-c.example").click()
    await expect(page.locator("[id='service-error-c.example']")).to_be_visible()
    await page.get_by_test_id("set-service-a.example").click()
    await expect(page.get_by_test_id("service-status-a.example")).not_to_be_empty()
    yield "mistakes in the first form", page

    await page.fill("#name", unique_name("alice"))
    await page.click("#identity-create")
    await expect(page.locator("#them")).to_be_visible()
    await expect(page.locator("#connection")).to_have_text("Connected")
    yield "keys made", page
    await page.fill("#peer", "nobody")
    await page.click("#fetch")
    await expect(page.locator("#peer-error")).to_be_visible()
    yield "no such person", page
    await page.fill("#peer", bob_name)
    await page.click("#fetch")
    await expect(page.get_by_test_id("bundle")).to_be_visible()
    yield "another's keys", page

    await page.get_by_test_id("invite").click()
    await expect(bob.locator("#group")).to_be_visible()
    yield "in a group, as who made it", page
    yield "in a group, as who was added", bob
    await page.fill("#message", "hello")
    await page.click("#send")
    await bob.fill("#message", "hello yourself")
    await bob.click("#send")
    await expect(page.locator("#messages li.other")).to_be_visible()
    await page.fill("#add-identity", bob_name)
    await page.click("#add")
    await expect(page.locator("#members-error")).to_be_visible()
    b_service = f"{around.federation.services['b.example'].url}/**"
    await context.route(b_service, lambda route: route.abort())
    await page.fill("#message", "later")
    await page.click("#send")
    await expect(page.locator("#message-error")).to_be_visible()
    await expect(page.locator("#problems-card")).to_be_visible()
    await page.click("#reveal")
    await expect(page.locator("[data-secret=key]").first).not_to_contain_text("•")
    yield "messages, problems and revealed keys", page
    await context.unroute(b_service)

    carol, _ = await open_demo(await around.new_context(), "carol", "c.example")
    await invite(carol, bob_name)
    await expect(bob.locator("#group-choice")).to_be_visible()
    yield "in two groups", bob
    await carol.get_by_role("button", name=f"Remove {bob_name}").click()
    await expect(bob.locator("#messages")).to_contain_text("You were removed from this group.")
    yield "removed from a group", bob


async def first_call_that_cannot_start(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page of the first call without a part of the client."""
    context = await around.new_context()
    await context.route("**/python_stdlib.zip", lambda route: route.abort())
    page = await context.new_page()
    await page.goto("/")
    await expect(page.locator("#loading-error")).to_be_visible()
    yield "not loaded", page


async def self_test(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page of the self-test, before, during and after one with failures."""
    wrong, empty = around.folder / "wrong.json", around.folder / "empty.json"
    entries = own_entries("psk_secret")
    for entry in entries[:6]:
        entry["psk_secret"] = "00"
    wrong.write_text(json.dumps(entries))
    empty.write_text("[]")
    context = await around.new_context()
    page = await context.new_page()
    await page.goto("/demo/self-test.html")
    await expect(page.locator("#run-ours")).to_be_enabled()
    yield "before", page

    held: list[Route] = []
    await context.route("**/python_stdlib.zip", lambda route: held.append(route))
    await context.route("**/vectors/index.json", lambda route: route.fulfill(body="no list"))
    async with page.expect_request("**/python_stdlib.zip"):
        await page.click("#run-ours")
    await expect(page.locator("#progress")).to_be_visible()
    yield "loading", page
    await held[0].continue_()
    await expect(page.locator("#problem")).to_be_visible()
    yield "the vectors cannot be read", page

    await page.get_by_label("Files of your own").set_input_files([wrong, empty])
    await expect(page.locator("#summary")).to_contain_text("6 failed")
    yield "with failures", page


async def kept_client(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page of the first call for somebody who was here before."""
    page, identity = await open_demo(await around.new_context(), "alice", "a.example")
    await page.goto("/")
    go_on = page.get_by_role("button", name=f"Go on as {identity}")
    await expect(go_on).to_be_visible()
    yield "kept in this browser", page
    await go_on.click()
    await expect(page.locator("#identity")).to_have_text(identity)
    yield "gone on", page


async def interop(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page on which several implementations are in one group, before and after a play, with a message decoded."""
    page = await (await around.new_context()).new_page()
    await page.goto("/demo/interop.html")
    await expect(page.locator("#engine")).to_have_attribute("data-state", "connected")
    await expect(page.locator("#play")).to_be_enabled()
    yield "before", page
    await page.click("#play")
    await expect(page.locator("#played")).to_contain_text("all members agreed after each")
    await page.locator(".message > details > summary").last.click()
    await expect(page.locator(".message .decoded")).to_have_count(1)
    yield "played", page


async def conference(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The page of the conference, from opening it to having left."""
    context = await around.new_context()
    page = await context.new_page()
    held: list[Route] = []
    await context.route("**/python_stdlib.zip", lambda route: held.append(route))
    await page.goto(CONFERENCE)
    await expect(page.locator("#progress")).to_be_visible()
    yield "loading", page
    await held[0].continue_()
    await context.unroute("**/python_stdlib.zip")
    await expect(page.locator("#enter")).to_be_enabled()
    await page.get_by_role("button", name="Start a room").click()
    await expect(page.locator("#lobby-error")).to_be_visible()
    yield "a mistake in the first form", page
    await page.close()

    alice = await start_room(context, "alice", "a.example")
    yield "alone in the room", alice.page
    # Somebody in another tab of the same browser, and somebody in another browser.
    bob = await ask_to_be_let_in(context, await alice.link(), "bob", "b.example")
    yield "at the door", bob.page
    await expect(alice.page.get_by_role("button", name=f"Let {bob.identity} in")).to_be_visible()
    await alice.page.get_by_label("Address of whom to let in").fill("nobody")
    await alice.press("Let in")
    await expect(alice.page.locator("#invite-error")).to_be_visible()
    yield "somebody knocks, and a mistake in an address", alice.page
    await alice.press(f"Let {bob.identity} in")
    carol = await ask_to_be_let_in(await around.new_context(), await alice.link(), "carol", "c.example")
    await let_in(alice, carol)
    await see_each_other(alice, bob, carol)
    await bob.press("Mute")
    await bob.press("Stop camera")
    await expect(alice.tile(bob)).to_have_attribute("data-video", "false")
    await carol.say("Can you see my clock?")
    await alice.say("I can.")
    await alice.page.get_by_text("How it is encrypted").click()
    await expect(alice.page.locator("#tree svg").first).to_be_visible()
    yield "three in the call", alice.page
    yield "without sound and picture", bob.page
    await alice.press(f"Remove {carol.identity}")
    await expect(alice.page.get_by_role("dialog")).to_be_visible()
    yield "removing somebody", alice.page
    await alice.press("Remove")
    await expect(carol.page.get_by_role("heading", name="You were removed")).to_be_visible()
    yield "removed", carol.page
    await bob.press("Leave")
    await expect(bob.page.get_by_role("heading", name="You have left")).to_be_visible()
    yield "left", bob.page


async def pyscript(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The PyScript page, once its program has run."""
    page = await (await around.new_context()).new_page()
    await page.goto("/pyscript/")
    await expect(page.locator("#state")).to_have_text("Done")
    yield "done", page


async def console(around: Surroundings) -> AsyncIterator[tuple[str, Page]]:
    """The Python console, with a cell that has run and one that has failed."""
    page = await (await around.new_context()).new_page()
    await page.goto("/pyscript/console.html")
    await expect(page.get_by_role("textbox")).to_be_focused()
    yield "empty", page
    await page.keyboard.type("6 * 7")
    await page.keyboard.press("Shift+Enter")
    await expect(page.locator(".cell")).to_have_count(2)
    await page.keyboard.type("1 / 0")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".cell").nth(1)).to_have_attribute("data-state", "failed")
    yield "two cells", page


# By path in `build/web`; a page that is served at two paths needs one entry.
JOURNEYS: dict[str, tuple[Journey, ...]] = {
    "index.html": (first_call, first_call_that_cannot_start, kept_client),
    "demo/call.html": (conference,),
    "demo/interop.html": (interop,),
    "demo/self-test.html": (self_test,),
    "pyscript/console.html": (console,),
    "pyscript/index.html": (pyscript,),
}
# In these the page itself asks in vain for a file, which the browser reports as an error.
WITH_ERRORS: frozenset[Journey] = frozenset({first_call_that_cannot_start})
