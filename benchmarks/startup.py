"""How long a visitor waits: from navigation to the first usable call of the API, and what is transferred for it.

    python3 -m dev.environment && .venv/bin/python benchmarks/startup.py --write

Each run has a new browser profile: a first visit, which lasts until the snapshot for the next one is made, then the browser is closed
and opened again on the same profile for a second one. WebKit has its second visit in the same session. Wire's core-crypto and
ts-mls take turns with ours. The servers run on this machine, so the times have no network in them; the octets do not depend on that.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Playwright, Request, async_playwright

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dev import chromium, environment, federation, firefox, web_tree, webkit
from dev.browser import chromium_arguments
from dev.environment import Environment
from dev.steps import ROOT, SetupError, run
from tests.browser import webkit as webkit_browser

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
_BEGIN, _END = "<!-- startup.py begin -->", "<!-- startup.py end -->"
_TIMEOUT_MILLISECONDS = 180_000
_CONTESTANTS = HERE / "contestants"
# Below the module's folder, so that they may be kept as what is ours: see `dev.web_server`.
_MADE, _BEFORE = "/mls-federation/contestants", "/mls-federation/before"

Visits = dict[tuple[str, str], list["Visit"]]


@dataclass(frozen=True)
class Visit:
    """One visit: times in milliseconds since navigation, and what came over the network, where that is known."""

    loaded: float
    usable: float
    made: float
    longest_task: float | None
    longest_gap: float
    started_from: str
    requests: int | None = None
    octets: int | None = None


def _visit(startup: Mapping[str, Any], **transferred: int) -> Visit:
    return Visit(
        startup["loaded"],
        startup["usable"],
        startup["made"],
        startup["longestTask"],
        startup["longestGap"],
        startup["startedFrom"],
        **transferred,
    )


async def open_browser(playwright: Playwright, name: str, profile: Path) -> BrowserContext:
    """A browser of its own on a profile that may have been used before."""
    if name == "chromium":
        return await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium.find_or_install(Path(sys.executable)),
            args=chromium_arguments(),
            headless=True,
        )
    return await playwright.firefox.launch_persistent_context(
        profile,
        channel=firefox.CHANNEL,
        executable_path=firefox.find_or_install(),
        headless=True,
        **firefox.CONTEXT_OPTIONS,
    )


async def visit(playwright: Playwright, name: str, profile: Path, url: str) -> Visit:
    """Open the page in a browser of its own and wait until it has made a client or a KeyPackage."""
    context = await open_browser(playwright, name, profile)
    made: list[Request] = []
    context.on("request", lambda request: made.append(request))
    page = context.pages[0]
    page.set_default_timeout(_TIMEOUT_MILLISECONDS)
    await page.goto(url)
    startup = await page.evaluate("window.startup")
    transferred = {}
    if name == "chromium":  # what others tell of sizes is not what came over the network
        sizes = [await request.sizes() for request in made]
        octets = sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)
        transferred = {"requests": len(sizes), "octets": octets}
    await page.evaluate("window.settled")
    await context.close()
    return _visit(startup, **transferred)


def webkit_visits(folder: Path, url: str) -> list[Visit]:
    """A first and a second visit in one session."""
    folder.mkdir()
    visits = []
    with webkit_browser.running(webkit.find_or_install(), folder) as browser:
        for number in ("1", "2"):
            browser.open(f"{url}-{number}")
            browser.wait_until("return window.startup !== undefined")
            browser.run("window.startup.then((times) => { window.times = times })")
            visits.append(_visit(browser.wait_until("return window.times", seconds=180)))
            browser.run("window.settled.then(() => { window.isSettled = true })")
            browser.wait_until("return window.isSettled === true", seconds=180)
    return visits


def prepare_contestants(ready: Environment, folder: Path) -> None:
    """What the other clients' pages load, compressed as ours is."""
    web_tree.npm_packages(ready.node, _CONTESTANTS)
    core_crypto = _CONTESTANTS / "node_modules" / "@wireapp" / "core-crypto" / "dist" / "browser"
    shutil.copy(core_crypto / "corecrypto.js", folder)
    shutil.copy(core_crypto / "autogenerated" / "wasm-bindgen" / "index_bg.wasm", folder)
    command: list[str | Path] = [
        ready.node.program,
        web_tree.WEB / "node_modules" / "esbuild" / "bin" / "esbuild",
        HERE / "page" / "startup_ts_mls.js",
        "--bundle",
        "--format=esm",
        "--platform=browser",
        "--target=es2022",
        "--minify",
        "--log-level=warning",
        f"--outdir={folder}",
    ]
    run(command, failed="esbuild could not bundle ts-mls.")
    jobs = [
        {"file": str(file), "brotli": f"{file}.br", "gzip": f"{file}.gz"} for file in list(folder.iterdir())
    ]
    run(
        [ready.node.program, ROOT / "dev" / "compress.mjs", json.dumps(jobs)],
        failed="Node could not compress the contestants.",
    )


async def measure(runs: int, browsers: Sequence[str], before: Path | None) -> tuple[Visits, Visits]:
    """First and second visits of so many new profiles, by browser and contestant."""
    python = Path(sys.executable)
    ready = environment.prepare(development=True)
    firsts: Visits = {}
    seconds: Visits = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        made = scratch / "contestants"
        made.mkdir()
        prepare_contestants(ready, made)
        mounts = {"/benchmarks": HERE / "page", _MADE: made}
        pages = {
            "ours": "startup.html?",
            "ours, snapshot off": "startup.html?snapshot=off&",
            "core-crypto": f"startup_core_crypto.html?module={_MADE}/&",
            "ts-mls": "startup_ts_mls.html?",
        }
        if before is not None:
            mounts[_BEFORE] = before / "mls-federation"
            pages["ours before"] = f"startup.html?snapshot=off&module={_BEFORE}/index.js&"
        with federation.running(
            python, ready.web_root, scratch / "federation", domains=["a.example"], mounts=mounts
        ) as running:
            async with async_playwright() as playwright:
                for number in range(runs):
                    for browser in browsers:
                        for contestant, page in pages.items():
                            profile = scratch / f"{browser}-{contestant}-{number}"
                            url = f"{running.url}/benchmarks/{page}name={browser}-{number}-{list(pages).index(contestant)}"
                            if browser == "webkit":
                                first, second = await asyncio.to_thread(webkit_visits, profile, url)
                            else:
                                first = await visit(playwright, browser, profile, f"{url}-1")
                                second = await visit(playwright, browser, profile, f"{url}-2")
                            firsts.setdefault((browser, contestant), []).append(first)
                            seconds.setdefault((browser, contestant), []).append(second)
                            shutil.rmtree(profile)
                            print(
                                f"{browser} {contestant} {number + 1}: {first.made:.0f} ms, "
                                f"{second.made:.0f} ms from {second.started_from}",
                                file=sys.stderr,
                            )
    return firsts, seconds


_ROWS = (
    ("loaded, s", "loaded", 1000, 2),
    ("first call answered, s", "usable", 1000, 2),
    ("KeyPackages made, s", "made", 1000, 2),
    ("page's thread: longest task, ms", "longest_task", 1, 0),
    ("page's thread: longest gap of a timer, ms", "longest_gap", 1, 0),
    ("requests", "requests", 1, 0),
    ("transferred, kB", "octets", 1000, 1),
)


def tables(firsts: Visits, seconds: Visits) -> str:
    """Medians, with the range of what was measured, as Markdown: a table for each browser."""
    lines: list[str] = []
    for browser in dict.fromkeys(browser for browser, _ in firsts):
        contestants = [contestant for known, contestant in firsts if known == browser]
        columns = [
            (f"{contestant}: {ordinal}", visits[browser, contestant])
            for contestant in contestants
            for ordinal, visits in (("first", firsts), ("second", seconds))
        ]
        lines += [f"### {browser.capitalize()}", ""]
        lines += [f"| | {' | '.join(title for title, _ in columns)} |", "|---" * (len(columns) + 1) + "|"]
        for title, field, unit, digits in _ROWS:
            cells = [
                _spread([getattr(visit, field) for visit in visits], unit, digits) for _, visits in columns
            ]
            if any(cells):
                lines.append(f"| {title} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _spread(values: Sequence[float | None], unit: int, digits: int) -> str:
    known = [value / unit for value in values if value is not None]
    if not known:
        return ""
    return f"{statistics.median(known):.{digits}f} ({min(known):.{digits}f} to {max(known):.{digits}f})"


def write(section: str) -> None:
    """Put the section into the results' page in place of its last one."""
    text = (
        RESULTS.read_text()
        if RESULTS.exists()
        else "# Results\n\nEach section says how to measure it again.\n"
    )
    block = f"{_BEGIN}\n{section}\n{_END}"
    if _BEGIN in text:
        before, _, rest = text.partition(_BEGIN)
        text = before + block + rest.partition(_END)[2]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    RESULTS.write_text(text)


def _found(browsers: Sequence[str]) -> list[str]:
    """Those of the browsers that this machine has."""
    found = []
    for browser in browsers:
        with contextlib.suppress(SetupError):
            {"firefox": firefox.find_or_install, "webkit": webkit.find_or_install}.get(
                browser, lambda: None
            )()
            found.append(browser)
    return found


def _named(before: Path | None) -> str:
    """A sentence on which commit the contestant of before is."""
    if before is None:
        return ""
    command = ["git", "-C", str(before), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"*Ours before* is commit {commit}. "


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="Measure start-up in browsers.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--browsers", nargs="*", default=["chromium", "firefox", "webkit"])
    parser.add_argument("--before", type=Path, help="build/web of another commit, to be measured too")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    firsts, seconds = asyncio.run(measure(options.runs, _found(options.browsers), options.before))
    measured = tables(firsts, seconds)
    print(measured)
    if options.write:
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        write(
            "## Start-up: from navigation to the first usable call\n\n"
            "`python3 -m dev.environment && .venv/bin/python benchmarks/startup.py --write`\n\n"
            f"{options.runs} new profiles for each column, median (least to most); the second visit is a new browser on the same "
            "profile, in WebKit the same browser. *First call answered* is `setDeliveryService`; *KeyPackages made* is "
            "`createClient` for ours, which also publishes them and opens the inbox, and one KeyPackage for the others, which run on "
            f"the page's own thread. {_named(options.before)}A longest task is told by Chromium alone. "
            f"Servers on the same machine ({machine}; load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after, "
            f"the benchmark's own included).\n\n{measured}"
        )


if __name__ == "__main__":
    main()
