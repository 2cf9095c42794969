"""Test vectors, verified in a browser: by the module's `selfTest`, and by the page around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from dev.federation import Federation
from dev.steps import BUILD
from dev.webdriver import WebDriver
from mls_federation.vectors import FAMILIES
from tests.browser.conftest import NewContext
from tests.browser.official_vectors import Choice, every_entry, small_entries, write_files
from tests.browser.pages import open_module
from tests.support.own_vectors import FOLDER, own_entries

# Some thousand operations of each kind, in WebAssembly and JavaScript.
_OFFICIAL_MILLISECONDS = 300_000


async def test_the_module_verifies_files(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    wrong = own_entries("psk_secret")
    wrong[2]["psk_secret"] = "00"
    wrong[3]["cipher_suite"] = 0x0A0A
    files = {"any name": json.dumps(wrong), "no vectors": "{}", "right": json.dumps(own_entries("welcome"))}

    results, told = await page.evaluate(
        """async (files) => {
            const mls = await MLSFederation.load();
            const told = [];
            const results = await mls.selfTest(files, { onresult: ({ name }) => told.push(name) });
            return [plain(results), told];
        }""",
        files,
    )

    first, second, third = results
    assert told == list(files)
    assert (first["family"], first["passed"], first["failed"], first["skipped"]) == ("psk_secret", 7, 1, 1)
    (failure,) = first["failures"]
    assert (failure["entry"], failure["fault"]["code"]) == (2, "vector-mismatch")
    assert (second["error"]["code"], second["passed"]) == ("bad-vector", 0)
    assert (third["family"], third["passed"], third["failures"]) == ("welcome", 6, [])


async def test_what_selftest_refuses(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    errors = await page.evaluate(
        """async () => {
            const mls = await MLSFederation.load();
            const aborted = AbortSignal.abort(new MLSError("given-up", "The visitor gave up."));
            return [
                await caught(() => mls.selfTest({ file: 3 })),
                await caught(() => mls.selfTest({ file: "[]" }, { signal: aborted })),
            ];
        }"""
    )
    assert [error["code"] for error in errors] == ["bad-argument", "given-up"]


async def test_the_page_verifies_the_projects_vectors(new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto("/demo/self-test.html")
    await page.get_by_role("button", name="Verify the project’s vectors").click()

    total = sum(len(own_entries(family)) for family in FAMILIES)
    await expect(page.locator("#summary")).to_have_text(
        f"{len(FAMILIES)} files: {total} passed, 0 failed, 0 skipped."
    )
    families = await page.locator("#results .family").all_text_contents()
    assert sorted(families) == sorted(FAMILIES)


long = pytest.mark.long


@pytest.mark.parametrize(
    ("browser", "choice"),
    [
        ("chromium", small_entries),
        ("firefox", small_entries),
        pytest.param("chromium", every_entry, marks=long),
        pytest.param("firefox", every_entry, marks=long),
    ],
    indirect=["browser"],
)
async def test_the_page_verifies_the_official_vectors(
    new_context: NewContext, browser: Browser, choice: Choice, tmp_path: Path
) -> None:
    files = write_files(tmp_path, choice)
    page = await (await new_context()).new_page()
    await page.goto("/demo/self-test.html")

    await page.get_by_label("Files of your own").set_input_files(list(files))

    await expect(page.locator("#summary")).to_have_text(_all_pass(files), timeout=_OFFICIAL_MILLISECONDS)
    assert await page.evaluate(_ROWS) == _rows(files)
    families = await page.locator("#results .family").all_text_contents()
    assert set(families) == set(FAMILIES)
    await page.screenshot(path=_screenshot(browser.browser_type.name), full_page=True)


@pytest.mark.parametrize("choice", [small_entries, pytest.param(every_entry, marks=long)])
def test_the_page_verifies_the_official_vectors_in_webkit(
    webkit: WebDriver, federation: Federation, choice: Choice, tmp_path: Path
) -> None:
    files = write_files(tmp_path, choice)
    webkit.open(f"{federation.url}/demo/self-test.html")

    webkit.wait_until("return !document.getElementById('files').disabled")
    webkit.choose_files("#files", list(files))

    summary = webkit.wait_until(
        """const { textContent } = document.getElementById("summary");
        return textContent.endsWith("skipped.") && textContent;""",
        seconds=_OFFICIAL_MILLISECONDS / 1000,
    )
    assert summary == _all_pass(files)
    assert webkit.run(f"return ({_ROWS})()") == _rows(files)
    webkit.screenshot(_screenshot("webkit"))


_ROWS = """() => Array.from(document.querySelectorAll("#results tr"), (row) => [
    row.querySelector(".mono").textContent,
    ...["passed", "failed", "skipped"].map((kind) => Number(row.querySelector(`.${kind}`).textContent))])"""


def _rows(files: Mapping[Path, int]) -> list[list[str | int]]:
    return [[file.name, count, 0, 0] for file, count in files.items()]


def _all_pass(files: Mapping[Path, int]) -> str:
    return f"{len(files)} files: {sum(files.values())} passed, 0 failed, 0 skipped."


def _screenshot(browser: str) -> Path:
    return BUILD / "screenshots" / f"self-test-{browser}.png"


async def test_the_page_shows_what_is_wrong(new_context: NewContext, tmp_path: Path) -> None:
    entries = own_entries("psk_secret")
    for entry in entries[:6]:
        entry["psk_secret"] = "00"
    wrong, empty = tmp_path / "wrong.json", tmp_path / "empty.json"
    wrong.write_text(json.dumps(entries))
    empty.write_text("[]")
    page = await (await new_context()).new_page()
    await page.goto("/demo/self-test.html")

    await page.get_by_label("Files of your own").set_input_files(
        [wrong, empty, FOLDER / "ours" / "welcome.json"]
    )

    await expect(page.locator("#summary")).to_have_text(
        "3 files: 9 passed, 6 failed, 0 skipped; 1 without vectors."
    )
    reasons = await page.locator("#results .reason").all_text_contents()
    assert len(reasons) == 7
    assert re.fullmatch(
        r"Entry 0: psk_secret: expected 00, computed [0-9a-f]+… \(64 signs\) \(vector-mismatch\)", reasons[0]
    )
    assert reasons[5] == "And 1 more."
    assert reasons[6] == "A vector file is a JSON array of objects, and not empty."
