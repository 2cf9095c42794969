"""The page on which several implementations hold one group: ours, ts-mls, and the browser's own where it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from dev.steps import BUILD
from mls_federation.crypto import Crypto
from mls_federation.mls.ratchet_tree import encode_tree
from mls_federation.vectors import FAMILIES
from tests.browser.conftest import NewContext
from tests.browser.pages import open_module
from tests.support.own_vectors import own_entries
from tests.support.pair import Party

OURS, TS_MLS, BROWSERS = "mls-federation", "ts-mls", "browser"
ALL_THREE = [OURS, TS_MLS, BROWSERS]

everywhere = pytest.mark.parametrize(
    ("browser", "there"),
    [("chromium", [OURS, TS_MLS]), ("firefox_with_mls", ALL_THREE)],
    indirect=["browser"],
)


async def open_page(new_context: NewContext, **options: Any) -> Page:
    page = await (await new_context(**options)).new_page()
    await page.goto("/demo/interop.html")
    await expect(page.locator("#play")).to_be_enabled()
    await expect(page.locator("#engine")).to_have_attribute("data-state", "connected")
    return page


def screenshot(name: str) -> Path:
    return BUILD / "screenshots" / f"interop-{name}.png"


async def state_of(page: Page, implementation: str) -> str | None:
    return await page.locator(f'[data-implementation="{implementation}"]').get_attribute("data-state")


async def fact(page: Page, implementation: str, name: str) -> str | None:
    return await page.locator(f'[data-implementation="{implementation}"] [data-fact="{name}"]').text_content()


@everywhere
async def test_each_creates_once_and_all_agree_after_each_step(
    new_context: NewContext, browser: Browser, there: list[str]
) -> None:
    page = await open_page(new_context)
    assert [await state_of(page, one) for one in ALL_THREE] == [
        "out" if one in there else "missing" for one in ALL_THREE
    ]

    await page.click("#play-each")

    await expect(page.locator("#played")).to_contain_text("all members agreed after each")
    await expect(page.locator("#group-problem")).to_be_hidden()
    steps = await page.locator(".step-entry").evaluate_all(
        "(steps) => steps.map((step) => [step.dataset.agreed, step.querySelector('h3').textContent])"
    )
    assert {agreed for agreed, _ in steps} == {"true"}
    for one in there:
        assert [f"{one} creates a group", f"{one} says “Back again”"] == [
            what
            for _, what in reversed(steps)
            if what.startswith(f"{one} ") and ("creates" in what or "Back" in what)
        ]
    outcomes = await page.locator(".outcomes li").evaluate_all(
        "(all) => all.map((one) => one.dataset.outcome)"
    )
    assert set(outcomes) == {"good"}
    assert len(outcomes) >= 8 * len(there)
    await the_columns_show_the_same(page, there)
    await page.screenshot(path=screenshot(browser.browser_type.name), full_page=True)


async def the_columns_show_the_same(page: Page, there: list[str]) -> None:
    for name in ("epoch", "exported"):
        assert len({await fact(page, one, name) for one in there}) == 1
    for one in there:
        assert sorted(str(await fact(page, one, "members")).split(", ")) == sorted(there)


@everywhere
async def test_every_message_is_decoded_field_by_field(
    new_context: NewContext, browser: Browser, there: list[str]
) -> None:
    page = await open_page(new_context)
    await page.select_option("#creator", there[-1])
    await page.click("#play")
    await expect(page.locator("#played")).to_contain_text("all members agreed after each")

    await page.locator(".message > details > summary").evaluate_all(
        "(all) => all.forEach((one) => one.click())"
    )

    messages = page.locator(".message")
    count = await messages.count()
    assert count > 8
    await expect(page.locator(".message .decoded")).to_have_count(count)
    kinds = set()
    for message in await messages.all():
        names = await message.locator(
            ".decoded > li > .part > .part-name, .decoded > li > details > summary > .part-name"
        ).all_text_contents()
        assert names[:2] == ["version", "wire_format"]
        kinds.add(names[2])
    assert kinds == {"key_package", "welcome", "public_message", "private_message"}
    encrypted = set(await page.locator(".decoded .encrypted").all_text_contents())
    assert "Encrypted: GroupInfo, for the new members." in encrypted
    assert "Encrypted: PrivateMessageContent, for the members of the group." in encrypted
    await page.screenshot(path=screenshot(f"{browser.browser_type.name}-messages"), full_page=True)


@everywhere
async def test_a_visitor_can_do_each_step_alone(
    new_context: NewContext, browser: Browser, there: list[str]
) -> None:
    page = await open_page(new_context)
    first, second = there[0], there[-1]

    await (
        page.locator(f'[data-implementation="{second}"]').get_by_role("button", name="Create a group").click()
    )
    await expect(page.locator("#standing")).to_have_text("✓ One member, in epoch 0.")
    await page.get_by_role("button", name=f"Add {first}").click()
    await expect(page.locator("#standing")).to_have_text(
        "✓ All 2 agree: epoch 1, the same members, the same secret."
    )
    await page.get_by_label(f"What {first} says").fill("Good morning")
    await page.locator(f'[data-implementation="{first}"]').get_by_role("button", name="Send").click()
    await expect(page.locator(f'[data-implementation="{second}"] .heard')).to_have_text(
        f"{first}: Good morning"
    )
    await (
        page.locator(f'[data-implementation="{first}"]')
        .get_by_role("button", name=f"Remove {second}")
        .click()
    )
    await expect(page.locator("#standing")).to_have_text("✓ One member, in epoch 2.")
    await expect(page.locator(f'[data-implementation="{second}"]')).to_have_attribute("data-state", "out")
    await expect(page.locator("#tree .drawing .node.leaf.full")).to_have_count(1)
    await expect(page.locator("#tree .drawing .node.leaf.blank")).to_have_count(1)


async def test_a_browser_without_mls_says_how_to_get_it(new_context: NewContext) -> None:
    page = await open_page(new_context)
    await expect(page.locator(f'[data-implementation="{BROWSERS}"]')).to_contain_text(
        "dom.origin-trials.mls.state"
    )
    assert await page.locator("#creator option").evaluate_all("(all) => all.map((one) => one.value)") == [
        OURS,
        TS_MLS,
    ]


async def test_octets_of_the_visitors_are_decoded_or_the_error_explained(new_context: NewContext) -> None:
    page = await open_page(new_context)
    (message,) = (entry["mls_welcome"] for entry in own_entries("messages")[:1])
    await page.fill("#octets", message)
    await page.click("#decode")
    await expect(page.locator("#decoded")).to_contain_text("encrypted_group_info")

    for octets, code, words in (
        (message[:-2], "malformed", "ends too early"),
        (message + "00", "malformed", "follow the end"),
        ("", "malformed", "ends too early"),
        ("0001 0009", "malformed", "MLSMessage.message: 9 is not a value it can have (at octet 4)"),
        ("no octets", "", "Hexadecimal octets are needed"),
    ):
        await page.fill("#octets", octets)
        await page.click("#decode")
        problem = page.locator("#decode-problem")
        await expect(problem).to_contain_text(words)
        await expect(problem).to_have_attribute("data-code", code)
        await expect(page.locator("#decoded")).to_be_empty()


async def test_the_page_verifies_the_vectors_that_the_site_serves(new_context: NewContext) -> None:
    page = await open_page(new_context)
    await page.get_by_role("button", name="Verify the project’s vectors").click()
    total = sum(len(own_entries(family)) for family in FAMILIES)
    await expect(page.locator("#summary")).to_have_text(
        f"{len(FAMILIES)} files: {total} passed, 0 failed, 0 skipped."
    )


async def test_the_demo_links_to_the_page(new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto("/")
    await page.get_by_role("link", name="Several implementations in one group").click()
    await expect(page).to_have_title("Interop · mls-federation")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_a_telephone(new_context: NewContext, scheme: Any) -> None:
    page = await open_page(new_context, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    await page.click("#play")
    await expect(page.locator("#played")).to_contain_text("all members agreed after each")
    await page.locator(".message > details > summary").first.click()
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    await page.screenshot(path=screenshot(f"telephone-{scheme}"), full_page=True)


# -- the drawing of the tree


@pytest.fixture(scope="module")
def trees(suite_1: Crypto) -> dict[int, str]:
    """Encoded trees by their number of members; where there is room, with a blank leaf and an unmerged one."""
    made = {}
    for count in (1, 2, 5, 8, 13, 30):
        party = Party(suite_1, *[f"member-{number}" for number in range(count)])
        if count > 2:
            party.commit("member-0")
            party.remove("member-0", "member-1", "member-2")
            party.add("member-0", "newcomer", path=False)
        made[count] = encode_tree(party.groups["member-0"].tree).hex()
    return made


_DRAW = """async (trees) => {
    const { drawnTree } = await import("/demo/ratchet-tree.js");
    window.mls ??= await MLSFederation.load();
    const octets = (digits) => Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
    document.head.innerHTML += `<meta name="color-scheme" content="light dark">
        <link rel="stylesheet" href="/demo/style.css"><link rel="stylesheet" href="/demo/ratchet-tree.css">`;
    for (const [count, digits] of trees) {
        const tree = await mls.ratchetTree(octets(digits));
        const card = document.createElement("section");
        card.className = "card";
        card.append(drawnTree(tree, { title: `A tree of ${count}` }));
        document.body.append(card);
    }
    return Array.from(document.querySelectorAll(".ratchet-tree"), (figure) => ({
        label: figure.querySelector(".drawing > svg").getAttribute("aria-label"),
        shown: Array.from(figure.querySelectorAll(".drawing .node"), (node) => node.querySelector("title").textContent).sort(),
        listed: Array.from(figure.querySelectorAll(".outline li"), (item) => item.firstChild.textContent).sort(),
    }));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_tree_is_drawn_and_told_alike(
    new_context: NewContext, trees: dict[int, str], scheme: Any
) -> None:
    page = await open_module(await new_context(color_scheme=scheme))
    figures = await page.evaluate(_DRAW, list(trees.items()))
    for count, figure in zip(trees, figures, strict=True):
        members = count if count <= 2 else count - 1
        assert figure["label"].startswith(f"A tree of {count}. {members} member")
        assert figure["shown"] == figure["listed"]
        said = [line for line in figure["listed"] if line.startswith("Leaf ") and not line.endswith("blank")]
        assert len(said) == members
        if count > 2:
            assert any(line.endswith("blank") for line in figure["listed"])
            assert any("but not of leaf 1" in line for line in figure["listed"])
    await page.screenshot(path=screenshot(f"trees-{scheme}"), full_page=True)
