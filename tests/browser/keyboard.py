"""Going through a page by keyboard, where the focus must be seen at each stop."""

import pytest
from playwright.async_api import Locator, Page


async def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until the target has the focus, which must be seen at each stop."""
    for _ in range(40):
        await page.keyboard.press(key)
        await seen(page)
        if await target.evaluate("(element) => element === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {target}")


async def seen(page: Page) -> None:
    """The focus is on something, has an outline, and is within the window, with nothing before it."""
    lost = await page.evaluate(
        """() => {
            const focused = document.activeElement;
            if (focused === null || focused === document.body) return "nothing has the focus";
            const { outlineStyle, outlineWidth } = getComputedStyle(focused);
            if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) return `no outline: ${focused.outerHTML}`;
            const { left, right, top, bottom } = focused.getBoundingClientRect();
            const [x, y] = [(Math.max(left, 0) + Math.min(right, innerWidth)) / 2,
                            (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2];
            const there = document.elementFromPoint(x, y);
            if (there === null || !(focused.contains(there) || there.contains(focused) || there.closest("label")?.control === focused))
                return `not to be seen: ${focused.outerHTML}`;
            return null;
        }"""
    )
    assert lost is None, lost
