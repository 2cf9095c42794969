"""The conference of the demo, through its page alone: three people on three delivery services."""

import re
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest
from playwright.async_api import Browser, Page, expect

from dev.browser import PageFaults
from dev.federation import Federation
from tests.browser.call_pages import (
    Guest,
    ask_to_be_let_in,
    let_in,
    moves,
    see_each_other,
    start_room,
)
from tests.browser.calls import call_context

Trio: TypeAlias = tuple[Guest, Guest, Guest]


@pytest.fixture(scope="module")
async def trio(chromium_running: Browser, federation_running: Federation) -> AsyncIterator[Trio]:
    """Alice, whose room it is, Bob and Carol, each of another domain and browser, in one call. A test leaves them so."""
    faults = PageFaults(federation_running.url)
    contexts = [await call_context(chromium_running, federation_running, faults) for _ in range(3)]
    alice = await start_room(contexts[0], "alice", "a.example")
    link = await alice.link()
    bob = await ask_to_be_let_in(contexts[1], link, "bob", "b.example")
    carol = await ask_to_be_let_in(contexts[2], link, "carol", "c.example")
    for guest in (bob, carol):
        await let_in(alice, guest)
    await see_each_other(alice, bob, carol)
    yield alice, bob, carol
    for context in contexts:
        await context.close()
    if faults.seen:
        pytest.fail("The pages reported errors:\n" + "\n".join(faults.seen))


async def test_all_see_each_other_and_the_same_safety_number(trio: Trio) -> None:
    alice, bob, carol = trio
    await see_each_other(*trio)
    for guest in trio:
        await expect(guest.page.locator("#tiles > li")).to_have_count(3)
        await expect(guest.tile(guest)).to_contain_text("you")
        assert await guest.tile(guest).locator("video").evaluate("(video) => video.muted")
        assert await guest.link() == await alice.link()
    numbers = [await _safety_rows(guest) for guest in trio]
    assert numbers[0] == numbers[1] == numbers[2]
    assert len(numbers[0]) == 6
    for digits, *names in numbers[0]:
        assert re.fullmatch(r"\d{5}", digits)
        assert len(names) == 3
    for guest in (bob, carol):
        await expect(guest.page.get_by_label("Address of whom to let in")).to_be_hidden()
        await expect(guest.page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(0)


async def test_the_pictures_say_all_that_the_digits_say(trio: Trio) -> None:
    alice, _, _ = trio
    distinct = await alice.page.evaluate(
        """async () => {
            const { picturesOf } = await import("/demo/call/safety-number.js");
            const said = (number) => picturesOf(String(number).padStart(5, "0")).map(([, name]) => name).join();
            return new Set(Array.from({ length: 100_000 }, (_, number) => said(number))).size;
        }"""
    )
    assert distinct == 100_000


async def test_sound_and_picture_go_off_and_on(trio: Trio) -> None:
    alice, bob, carol = trio
    await bob.press("Mute")
    await bob.press("Stop camera")
    for guest in (alice, carol):
        await expect(guest.tile(bob)).to_have_attribute("data-audio", "false")
        await expect(guest.tile(bob)).to_have_attribute("data-video", "false")
        await expect(guest.tile(bob).get_by_text("Muted")).to_have_count(1)
        await expect(guest.tile(bob).locator("video")).to_be_hidden()
    await bob.press("Unmute")
    await bob.press("Start camera")
    for guest in (alice, carol):
        await expect(guest.tile(bob)).to_have_attribute("data-audio", "true")
        await expect(guest.tile(bob).locator("video")).to_be_visible()
        await moves(guest, bob)


async def test_chat(trio: Trio) -> None:
    alice, bob, carol = trio
    await bob.say("Can you see my clock?")
    for guest in (alice, carol):
        said = guest.page.locator(f'#messages [data-from="{bob.identity}"]')
        await expect(said.last).to_contain_text("Can you see my clock?")
    # What the call says to itself is not for people.
    for guest in trio:
        await expect(guest.page.locator("#messages")).not_to_contain_text("session")


async def test_renewed_keys(trio: Trio) -> None:
    alice, bob, _ = trio
    before = await _epoch(alice)
    numbers = await _safety_rows(alice)
    await bob.press("Renew keys")
    for guest in trio:
        await expect(guest.page.locator("#epoch")).to_have_text(str(before + 1))
        await expect(guest.page.locator("#own-key-id")).to_contain_text(f"of epoch {before + 1}")
        await expect(guest.page.locator("#safety-number")).to_have_attribute("data-epoch", str(before + 1))
    renewed = [await _safety_rows(guest) for guest in trio]
    assert renewed[0] == renewed[1] == renewed[2] != numbers
    await see_each_other(*trio)


async def test_what_the_panel_shows(trio: Trio) -> None:
    alice, bob, carol = trio
    page = alice.page
    await page.get_by_text("How it is encrypted").click()
    await expect(page.locator("#sframe-suite")).to_contain_text("AES_128_GCM_SHA256_128")
    await expect(page.locator("#member-count")).to_have_text("3")
    own = await page.locator("#own-key-id").inner_text()
    for leaf, other, domain in ((1, bob, "b.example"), (2, carol, "c.example")):
        row = page.locator(f'#frames [data-identity="{other.identity}"]')
        cells = row.locator("td")
        opened = await _number(page, other, 3)
        await page.wait_for_function(
            "([id, before]) => Number(document.querySelector(`#frames [data-identity='${id}']`).cells[4].textContent"
            ".replaceAll(',', '')) > before",
            arg=[other.identity, opened],
        )
        await expect(cells.nth(0)).to_have_text(str(leaf))
        await expect(cells.nth(5)).to_have_text(re.compile(r"a\.example|b\.example|c\.example"))
        # The key id that one says to send by is the one that the other's frames come by (RFC 9605 section 4.4.3).
        key_id = await cells.nth(1).inner_text()
        await expect(other.page.locator("#own-key-id")).to_contain_text(key_id)
        assert key_id not in own
        assert domain in other.identity
    tree = page.locator("#tree")
    for guest in trio:
        await expect(tree.locator("svg desc").first).to_contain_text(guest.identity)
    await page.get_by_text("How it is encrypted").click()


async def test_a_reload_goes_on_in_the_room(trio: Trio) -> None:
    alice, bob, carol = trio
    await bob.press("Mute")
    await bob.page.reload()
    for guest in (alice, carol):
        await expect(guest.page.locator("#messages")).to_contain_text(
            f"{bob.identity} is being connected to anew."
        )
    await see_each_other(*trio)
    # A page that nobody has touched yet may make no sound.
    await bob.press("Turn the sound on")
    await expect(bob.page.locator("#blocked")).to_be_hidden()
    for other in (alice, carol):
        assert not await bob.tile(other).locator("video").evaluate("(video) => video.muted")
    # As it was, muted.
    await bob.press("Unmute")
    await expect(alice.tile(bob)).to_have_attribute("data-audio", "true")


async def test_a_tab_that_was_suspended_comes_back(trio: Trio) -> None:
    alice, bob, carol = trio
    # As a browser tells it to a page that it had frozen.
    await carol.page.evaluate("document.dispatchEvent(new Event('resume'))")
    await expect(carol.page.locator("#messages")).to_contain_text("This tab was asleep.")
    for guest in (alice, bob):
        words = f"{carol.identity} is being connected to anew."
        await expect(guest.page.locator("#messages")).to_contain_text(words)
    await see_each_other(*trio)


async def test_who_is_removed_sees_why_and_can_come_back(trio: Trio) -> None:
    alice, bob, carol = trio
    await alice.press(f"Remove {carol.identity}")
    await alice.press("Cancel")
    await expect(alice.page.get_by_role("dialog")).to_be_hidden()
    await expect(alice.member(carol)).to_be_visible()

    await alice.press(f"Remove {carol.identity}")
    await alice.press("Remove")
    await expect(carol.page.get_by_role("heading", name="You were removed")).to_be_visible()
    await expect(carol.page.locator("#ended-text")).to_contain_text("The host has removed you")
    for guest in (alice, bob):
        await expect(guest.tile(carol)).to_have_count(0)
        await expect(guest.member(carol)).to_have_count(0)
    await see_each_other(alice, bob)

    await carol.press("Ask to be let in again")
    await expect(carol.page.get_by_label("Your address")).to_have_value(carol.identity)
    await let_in(alice, carol)
    await see_each_other(*trio)


async def test_who_leaves_can_come_back(trio: Trio) -> None:
    alice, bob, carol = trio
    await carol.press("Leave")
    await expect(carol.page.get_by_role("heading", name="You have left")).to_be_visible()
    for guest in (alice, bob):
        await expect(guest.tile(carol)).to_have_count(0)
        await expect(guest.member(carol)).to_contain_text("not in the call")
    await carol.press("Join again")
    await see_each_other(*trio)


async def _safety_rows(guest: Guest) -> list[list[str]]:
    """The rows of the safety number: five digits, and the names of the pictures."""
    rows: list[list[str]] = await guest.page.locator("#safety-number > li").evaluate_all(
        "(rows) => rows.map((row) => [...row.querySelectorAll('.digits, .name')].map((one) => one.textContent))"
    )
    return rows


async def _epoch(guest: Guest) -> int:
    return int(await guest.page.locator("#epoch").text_content() or "")


async def _number(page: Page, other: Guest, column: int) -> int:
    cell = page.locator(f'#frames [data-identity="{other.identity}"] td').nth(column)
    return int((await cell.inner_text()).replace(",", ""))
