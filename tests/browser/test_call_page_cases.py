"""The conference of the demo, through its page: tabs of one browser, a camera, the keyboard, and what can go wrong."""

import re

from playwright.async_api import Browser, Page, expect

from dev.browser import PageFaults
from dev.federation import Federation
from tests.browser.call_pages import (
    CONFERENCE,
    Guest,
    ask_to_be_let_in,
    fill_in,
    let_in,
    moves,
    see_each_other,
    start_room,
)
from tests.browser.calls import call_context
from tests.browser.conftest import NewContext
from tests.browser.keyboard import seen, tab_to
from tests.browser.pages import unique_name


async def test_tabs_of_one_browser(new_context: NewContext) -> None:
    context = await new_context()
    alice = await start_room(context, "alice", "a.example")
    bob = await ask_to_be_let_in(context, await alice.link(), "bob", "b.example")
    carol = await ask_to_be_let_in(context, await alice.link(), "carol", "c.example")
    await expect(alice.page.get_by_role("button", name=f"Let {carol.identity} in")).to_be_visible()
    await carol.press("Do not wait")
    await expect(alice.page.get_by_role("button", name=f"Let {carol.identity} in")).to_be_hidden()
    # The host's page hears of who waits also when it comes later.
    await alice.page.reload()
    await alice.press(f"Let {bob.identity} in")
    await see_each_other(alice, bob)
    await expect(alice.page.locator("#knocks")).to_be_hidden()

    # Two tabs under one name would take the place of each other.
    again = await context.new_page()
    await again.goto(CONFERENCE)
    await expect(again.locator("#kept-list button")).to_have_count(3)
    await again.get_by_role("button", name=bob.identity).click()
    await again.get_by_label("Test picture and tone").check()
    await again.get_by_role("button", name="Start a room").click()
    await _problem(again, "open-elsewhere", "in another tab of this browser")


async def test_a_camera(
    chromium_with_camera: Browser, federation: Federation, page_faults: PageFaults
) -> None:
    source = "Camera and microphone"
    contexts = [await call_context(chromium_with_camera, federation, page_faults) for _ in range(2)]
    alice = await start_room(contexts[0], "alice", "a.example", source)
    bob = await ask_to_be_let_in(contexts[1], await alice.link(), "bob", "b.example", source)
    await let_in(alice, bob)
    await see_each_other(alice, bob)
    await expect(alice.tile(alice)).to_have_class(re.compile("mirrored"))
    await expect(alice.tile(bob)).not_to_have_class(re.compile("mirrored"))
    # The lamp goes out.
    track = await alice.page.evaluate_handle(
        "document.querySelector('.own video').srcObject.getVideoTracks()[0]"
    )
    await alice.press("Stop camera")
    await expect(bob.tile(alice)).to_have_attribute("data-video", "false")
    assert await track.evaluate("(track) => track.readyState") == "ended"
    await alice.press("Start camera")
    await moves(bob, alice)
    for context in contexts:
        await context.close()


async def test_chromium_and_firefox(
    new_context: NewContext, firefox_with_camera: Browser, federation: Federation, page_faults: PageFaults
) -> None:
    alice = await start_room(await new_context(), "alice", "a.example")
    context = await call_context(firefox_with_camera, federation, page_faults)
    bob = await ask_to_be_let_in(context, await alice.link(), "bob", "b.example")
    await let_in(alice, bob)
    await see_each_other(alice, bob)
    await bob.press("Renew keys")
    await expect(alice.page.locator("#epoch")).to_have_text("2")
    await see_each_other(alice, bob)
    await context.close()


async def test_no_camera(new_context: NewContext) -> None:
    context = await new_context()
    page = await context.new_page()
    await page.goto(CONFERENCE)
    await fill_in(page, unique_name("alice"), "a.example", "Camera and microphone")
    await page.get_by_role("button", name="Start a room").click()
    # As a browser says it that has no camera, or none for this page.
    await _problem(page, re.compile("NotFoundError|NotAllowedError"), "take the test picture and tone")
    await page.get_by_label("Test picture and tone").check()
    await page.get_by_role("button", name="Start a room").click()
    await expect(page.get_by_label("Link to this room")).to_be_visible()


async def test_a_service_that_does_not_answer(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    await context.route(f"{federation.services['b.example'].url}/**", lambda route: route.abort())
    page = await context.new_page()
    await page.goto(CONFERENCE)
    await fill_in(page, unique_name("alice"), "b.example")
    await page.get_by_role("button", name="Start a room").click()
    await _problem(page, "unreachable", "Is that delivery service running?")
    # With another one it works, and the page says who cannot be let in.
    await page.get_by_label("Delivery service").select_option("a.example")
    await page.get_by_role("button", name="Start a room").click()
    await expect(page.get_by_label("Link to this room")).to_be_visible()
    await expect(page.locator("#service-problem")).to_contain_text("b.example")
    # Once it answers, somebody of it can be let in.
    host = Guest(page, f"{await page.get_by_label('Name', exact=True).input_value()}@a.example")
    bob = await ask_to_be_let_in(await new_context(), await host.link(), "bob", "b.example")
    await page.get_by_label("Address of whom to let in").fill(bob.identity)
    await host.press("Let in")
    await expect(page.locator("#invite-error")).to_have_attribute("data-code", "unreachable")
    await context.unroute(f"{federation.services['b.example'].url}/**")
    await let_in(host, bob)
    await see_each_other(host, bob)


async def test_a_name_that_is_taken(new_context: NewContext) -> None:
    alice = await start_room(await new_context(), "alice", "a.example")
    page = await (await new_context()).new_page()
    await page.goto(CONFERENCE)
    await fill_in(page, alice.identity.split("@")[0], "a.example")
    await page.get_by_role("button", name="Start a room").click()
    await _problem(page, "not-admitted", "The name is taken")
    await page.get_by_label("Name", exact=True).fill(unique_name("another"))
    await page.get_by_role("button", name="Start a room").click()
    await expect(page.get_by_label("Link to this room")).to_be_visible()


async def test_who_has_not_asked_to_be_let_in_is_not_found(new_context: NewContext) -> None:
    alice = await start_room(await new_context(), "alice", "a.example")
    await alice.page.get_by_label("Address of whom to let in").fill(f"{unique_name('nobody')}@b.example")
    await alice.press("Let in")
    error = alice.page.locator("#invite-error")
    await expect(error).to_have_attribute("data-code", "unknown-identity")
    await expect(error).to_contain_text("ask to be let in first")


async def test_a_browser_that_cannot_encrypt_frames(new_context: NewContext) -> None:
    context = await new_context()
    await context.add_init_script(
        "delete window.RTCRtpScriptTransform; delete RTCRtpSender.prototype.createEncodedStreams;"
    )
    page = await context.new_page()
    await page.goto(CONFERENCE)
    await fill_in(page, unique_name("alice"), "a.example")
    await page.get_by_role("button", name="Start a room").click()
    await expect(page.get_by_role("heading", name="The call has ended")).to_be_visible()
    await expect(page.locator("#ended-text")).to_have_attribute("data-code", "no-encoded-transforms")
    await expect(page.locator("#ended-text")).to_contain_text("nothing was sent")


async def test_a_browser_that_does_not_encrypt_frames(new_context: NewContext) -> None:
    alice = await start_room(await new_context(), "alice", "a.example")
    context = await new_context()
    # The transform is there for whoever asks, and does nothing.
    await context.add_init_script(
        """Object.defineProperty(RTCRtpSender.prototype, "transform", {
            get() { return this.kept ?? null; },
            set(transform) { this.kept = transform; },
        });"""
    )
    bob = await ask_to_be_let_in(context, await alice.link(), "bob", "b.example")
    await let_in(alice, bob)
    await expect(bob.page.get_by_role("heading", name="The call has ended")).to_be_visible()
    await expect(bob.page.locator("#ended-text")).to_have_attribute("data-code", "unprotected-media")
    await expect(bob.page.locator("#ended-text")).to_contain_text("nothing more is sent")


async def test_by_keyboard(new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto("/")
    await tab_to(page, page.get_by_role("link", name="A conference call"), "Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#enter")).to_be_enabled()
    name = unique_name("keys")
    await tab_to(page, page.get_by_label("Name", exact=True))
    await page.keyboard.type(name)
    await tab_to(page, page.get_by_label("Delivery service"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Delivery service")).to_have_value("b.example")
    await tab_to(page, page.get_by_label("Camera and microphone"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Test picture and tone")).to_be_checked()
    await expect(page.locator("#preview-frame video")).to_be_visible()
    await tab_to(page, page.get_by_role("button", name="Start a room"))
    await page.keyboard.press("Enter")

    mute = page.get_by_role("button", name="Mute", exact=True)
    await expect(mute).to_be_focused()
    host = Guest(page, f"{name}@b.example")
    guest = await ask_to_be_let_in(await new_context(), await host.link(), "guest", "c.example")
    await tab_to(page, page.get_by_role("button", name="Invite", exact=True))
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Address of whom to let in")).to_be_focused()
    await seen(page)
    await page.keyboard.type(guest.identity)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Address of whom to let in")).to_have_value("")
    await see_each_other(host, guest)

    await tab_to(page, page.locator("#microphone"), "Shift+Tab")
    await page.keyboard.press("Space")
    await expect(guest.tile(host)).to_have_attribute("data-audio", "false")
    await tab_to(page, page.get_by_label("Message", exact=True))
    await page.keyboard.type("typed")
    await page.keyboard.press("Enter")
    await expect(guest.page.locator("#messages li.other")).to_contain_text("typed")
    await tab_to(page, page.locator("#insight > summary"))
    await page.keyboard.press("Enter")
    await expect(page.locator("#tree svg").first).to_be_visible()

    remove = page.get_by_role("button", name=f"Remove {guest.identity}")
    await tab_to(page, remove, "Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(remove).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name="Remove", exact=True))
    await page.keyboard.press("Enter")
    await expect(guest.page.get_by_role("heading", name="You were removed")).to_be_visible()
    await expect(page.locator("#people > li")).to_have_count(1)
    await seen(page)
    await expect(guest.page.get_by_role("button", name="Ask to be let in again")).to_be_focused()

    await tab_to(page, page.get_by_role("button", name="Leave", exact=True), "Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Join again")).to_be_focused()


async def _problem(page: Page, code: str | re.Pattern[str], words: str) -> None:
    """Wait for a problem in the first form."""
    problem = page.locator("#lobby-error")
    await expect(problem).to_be_visible()
    await expect(problem).to_have_attribute("data-code", code)
    await expect(problem).to_contain_text(words)
