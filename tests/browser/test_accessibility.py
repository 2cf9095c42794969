"""Every page in every state: nothing that axe-core finds, in light and dark, on a desktop and on a phone; and all by keyboard."""

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from playwright.async_api import Page, expect

from dev.federation import Federation
from dev.steps import BUILD
from dev.web_tree import CHECKS
from tests.browser.conftest import NewContext
from tests.browser.journeys import JOURNEYS, WITH_ERRORS, Journey, Surroundings
from tests.browser.keyboard import seen, tab_to
from tests.browser.pages import in_chromium_and_seldom_in_firefox, open_demo, unique_name

_AXE = CHECKS / "node_modules" / "axe-core" / "axe.min.js"
_SCREENSHOTS = BUILD / "screenshots" / "states"
_SIZES = {"desktop": (1280, 900), "phone": (360, 780)}
Look: TypeAlias = tuple[Literal["light", "dark"], str]
_LOOKS: list[Look] = [("light", "desktop"), ("dark", "phone")]
_OTHER_LOOKS: list[Look] = [("light", "phone"), ("dark", "desktop")]

# axe's rules that are off here, each with the reason; all others are on, also its experimental ones and its best practices.
_OFF = {
    "color-contrast-enhanced": "7 to 1 is WCAG's level AAA; we keep to 4.5 to 1, which is level AA",
}


def _journeys() -> list[Any]:
    return [
        pytest.param(
            journey,
            id=journey.__name__,
            marks=[pytest.mark.expects_page_errors] if journey in WITH_ERRORS else [],
        )
        for journeys in JOURNEYS.values()
        for journey in journeys
    ]


def test_every_page_has_a_journey(web_root: Path) -> None:
    served = {
        file.relative_to(web_root).as_posix(): file.read_bytes()
        for file in web_root.rglob("*.html")
        if "pyodide" not in file.parts
    }
    assert set(JOURNEYS) <= set(served)
    with_journey = {served[path] for path in JOURNEYS}
    assert [path for path, content in served.items() if content not in with_journey] == []


@pytest.mark.parametrize(
    "looks", [_LOOKS, pytest.param(_OTHER_LOOKS, marks=pytest.mark.long)], ids=["looks", "other-looks"]
)
@pytest.mark.parametrize("journey", _journeys())
async def test_axe_finds_nothing(
    new_context: NewContext, federation: Federation, journey: Journey, looks: list[Look], tmp_path: Path
) -> None:
    found: list[str] = []
    async for state, page in journey(Surroundings(new_context, federation, tmp_path)):
        for scheme, device in looks:
            width, height = _SIZES[device]
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.set_viewport_size({"width": width, "height": height})
            found += [f"{state}, {scheme}, {device}: {violation}" for violation in await _violations(page)]
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, state
            await _picture(page, f"{journey.__name__}-{state}-{scheme}-{device}")
    if found:
        pytest.fail("axe found:\n" + "\n".join(found), pytrace=False)


async def test_axe_would_find_something(new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto("/demo/self-test.html")
    await page.evaluate("document.documentElement.removeAttribute('lang')")
    await page.add_style_tag(content=".quiet { color: #aaa !important; background: #fff !important }")

    found = "\n".join(await _violations(page))

    assert "html-has-lang" in found
    assert "color-contrast" in found


async def _violations(page: Page) -> list[str]:
    """What axe finds wrong, as lines for people."""
    if not await page.evaluate("'axe' in window"):
        # Evaluated, not loaded by the page, which would have to allow it.
        await page.evaluate(_AXE.read_text(encoding="utf-8"))
    lines: list[str] = await page.evaluate(
        """async (off) => {
            const rules = Object.fromEntries(
                axe.getRules().map(({ ruleId }) => [ruleId, { enabled: !off.includes(ruleId) }]),
            );
            const { violations } = await axe.run(document, { rules, resultTypes: ["violations"] });
            return violations.flatMap(({ id, help, nodes }) =>
                nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target}: ${failureSummary}`));
        }""",
        list(_OFF),
    )
    return lines


async def _picture(page: Page, name: str) -> None:
    _SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = re.sub(r"[^\w]+", "-", name)
    # A video that was out of sight is black in a picture of the whole page.
    await page.evaluate(
        """() => {
            scrollTo(0, 0);
            return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        }"""
    )
    await page.screenshot(path=_SCREENSHOTS / f"{file}.png", full_page=True)


@in_chromium_and_seldom_in_firefox
async def test_the_first_call_by_keyboard(new_context: NewContext, federation: Federation) -> None:
    bob, bob_name = await open_demo(await new_context(), "bob", "b.example")
    page = await (await new_context()).new_page()
    await page.goto("/")
    name = unique_name("keys")

    # Who one is, at which service, and how messages travel.
    await expect(page.locator("#name")).to_be_focused()
    await page.keyboard.type(name)
    await tab_to(page, page.locator("#service"))
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#service")).to_have_value("b.example")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("#service")).to_have_value("a.example")
    await tab_to(page, page.locator('input[name="fanout"][value="client"]'))
    await page.keyboard.press("ArrowDown")
    await expect(page.locator('input[name="fanout"][value="server"]')).to_be_checked()
    await seen(page)
    await tab_to(page, page.locator("#identity-create"), "Shift+Tab")
    await page.keyboard.press("Enter")

    # The other person's keys, and a group of which the members order the changes.
    await expect(page.locator("#peer")).to_be_focused()
    await page.keyboard.type(bob_name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("bundle")).to_be_visible()
    await seen(page)
    await tab_to(page, page.locator('input[name="ordering"][value="service"]'))
    await page.keyboard.press("ArrowDown")
    await expect(page.locator('input[name="ordering"][value="members"]')).to_be_checked()
    await tab_to(page, page.get_by_test_id("invite"), "Shift+Tab")
    await page.keyboard.press("Enter")

    await expect(page.locator("#message")).to_be_focused()
    await page.keyboard.type("typed")
    await page.keyboard.press("Enter")
    await expect(bob.locator(f'#messages li.other[data-from="{name}@a.example"]')).to_contain_text("typed")
    await expect(page.locator("#message")).to_have_value("")
    await expect(page.locator("#message")).to_be_focused()
    await seen(page)

    # Keys: renewed, shown, for another profile.
    await tab_to(page, page.locator("#update"))
    await page.keyboard.press("Space")
    await expect(page.locator("#epoch")).to_have_text("2")
    await tab_to(page, page.locator("#srtp-profile"))
    await page.keyboard.press("ArrowDown")
    await expect(page.locator('#srtp-keys[data-profile="AEAD_AES_128_GCM"]')).to_be_visible()
    await tab_to(page, page.locator("#reveal"))
    await page.keyboard.press("Space")
    await expect(page.locator("[data-secret=key]").first).not_to_contain_text("•")
    await seen(page)

    # A change by another member leaves the focus where it is, also on what is drawn anew.
    remove = page.get_by_role("button", name=f"Remove {bob_name}")
    await tab_to(page, remove, "Shift+Tab")
    await bob.click("#update")
    await expect(page.locator("#epoch")).to_have_text("3")
    await expect(remove).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#members > li")).to_have_count(1)
    await seen(page)


@in_chromium_and_seldom_in_firefox
async def test_who_is_removed_keeps_the_focus(new_context: NewContext, federation: Federation) -> None:
    alice, _ = await open_demo(await new_context(), "alice", "a.example")
    bob, bob_name = await open_demo(await new_context(), "bob", "b.example")
    await alice.fill("#peer", bob_name)
    await alice.keyboard.press("Enter")
    await alice.get_by_test_id("invite").click()
    await expect(bob.locator("#group")).to_be_visible()
    await bob.focus("#message")
    await bob.keyboard.type("I was just about to")

    await alice.get_by_role("button", name=f"Remove {bob_name}").click()
    await expect(bob.locator("#messages")).to_contain_text("You were removed from this group.")

    await seen(bob)
