"""Python as the page's own program: in PyScript, and in the console."""

import asyncio
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, expect

from dev.federation import Federation
from tests.browser.conftest import NewContext
from tests.browser.pages import in_chromium_and_firefox


def watch_hosts(context: BrowserContext) -> set[str]:
    """The hosts that pages of the context ask for anything."""
    hosts: set[str] = set()
    context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    return hosts


async def open_console(context: BrowserContext) -> Page:
    """The console with its one empty cell."""
    page = await context.new_page()
    await page.goto("/pyscript/console.html")
    await expect(page.get_by_role("textbox")).to_be_focused()
    return page


@in_chromium_and_firefox
async def test_a_group_in_a_pyscript_page(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    hosts = watch_hosts(context)
    page = await context.new_page()

    await page.goto("/pyscript/")
    await expect(page.locator("#state")).to_have_text("Done")

    said = await page.locator("#said li").all_inner_texts()
    assert [line.partition("-")[0] for line in said[:2]] == ["alice", "bob"]
    assert "in one group, at epoch 1" in said[2]
    assert said[3].startswith("Bob reads “Hello from Python”, from alice-")
    assert "await connect(" in await page.locator("#program").inner_text()
    assert hosts - {""} == {"127.0.0.1"}


@pytest.mark.expects_page_errors
async def test_a_pyscript_page_shows_what_goes_wrong(new_context: NewContext) -> None:
    context = await new_context()
    await context.route("**/federation.json", lambda route: route.fulfill(json={"domains": {}}))
    page = await context.new_page()

    await page.goto("/pyscript/")

    await expect(page.locator("#state")).to_have_text("Failed")
    await expect(page.locator("#problem")).to_contain_text("a.example")


@in_chromium_and_firefox
async def test_cells_of_the_console(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    hosts = watch_hosts(context)
    page = await open_console(context)
    cells, outputs = page.locator(".cell"), page.locator(".output")

    # By keyboard alone, while Python loads: what is run waits for it.
    await page.keyboard.type("import asyncio\nprint('out')\nawait asyncio.sleep(0, 6 * 7)")
    await page.keyboard.press("Shift+Enter")
    await expect(cells).to_have_count(2)
    await page.keyboard.type("def divide(by):\nreturn _ / by")  # the second line is indented by the console
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("divide(0)")
    await page.keyboard.press("Control+Enter")
    await expect(cells.nth(2)).to_have_attribute("data-state", "failed")

    assert (await outputs.nth(0).inner_text()).split() == ["out", "42"]
    assert await page.locator(".source").nth(1).input_value() == "def divide(by):\n    return _ / by"
    traceback = await outputs.nth(2).inner_text()
    assert traceback.splitlines()[1].strip() == 'File "<cell 3>", line 1, in <module>'
    assert "return _ / by" in traceback
    assert traceback.splitlines()[-1].startswith("ZeroDivisionError")
    await expect(page.locator(".source").nth(2)).to_be_focused()

    # An example comes last, and runs against the delivery services.
    await page.get_by_role("button", name="A group of two").click()
    for _ in range(4):
        await page.keyboard.press("Shift+Enter")
    await expect(cells.nth(6)).to_have_attribute("data-state", "done")
    assert "MessageReceived" in "".join(await outputs.all_inner_texts())
    assert "Hello, Alice" in "".join(await outputs.all_inner_texts())
    assert hosts - {""} == {"127.0.0.1"}


async def test_a_cell_that_never_ends_can_be_ended(new_context: NewContext) -> None:
    page = await open_console(await new_context())
    await page.keyboard.type("while True: pass")
    await page.keyboard.press("Control+Enter")
    cell = page.locator(".cell")
    await expect(cell).to_have_attribute("data-state", "running")
    [endless] = page.workers
    ended = asyncio.get_running_loop().create_future()
    endless.once("close", lambda worker: ended.set_result(worker))

    # The page's own thread is free all the while.
    await page.get_by_role("button", name="Restart Python").click()
    await expect(cell).to_have_attribute("data-state", "idle")
    await page.locator(".source").fill("'again'")
    await page.get_by_role("button", name="Run", exact=True).click()

    await expect(cell).to_have_attribute("data-state", "done")
    assert await page.locator(".output").inner_text() == "'again'\n"
    # A browser takes its time to stop a thread that does not stop by itself.
    await ended
    assert len(page.workers) == 1


async def test_every_example_runs(new_context: NewContext, federation: Federation) -> None:
    page = await open_console(await new_context())
    buttons = page.locator("#examples button")
    count = await buttons.count()
    for index in range(count):
        await buttons.nth(index).click()
    await page.get_by_role("button", name="Run all").click()

    cells = page.locator(".cell")
    await expect(cells.last).to_have_attribute("data-state", "failed")

    states = await cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.state)")
    assert count >= 4
    # The last one shows an error on purpose.
    assert states == ["done"] * (len(states) - 1) + ["failed"]
    assert "DecodeError" in await page.locator(".output").last.inner_text()
