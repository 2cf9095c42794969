"""How long a visitor waits: from navigation to the first usable call of the API, and what is transferred for it.

    python3 -m dev.environment && .venv/bin/python benchmarks/startup.py --write

Each run has a new browser profile: a first visit, then the browser is closed and opened again on the same profile for a
second one. The servers run on this machine, so the times have no network in them; the octets do not depend on that.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserType, Request, async_playwright

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dev import chromium, environment, federation
from dev.browser import chromium_arguments

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
_BEGIN, _END = "<!-- startup.py begin -->", "<!-- startup.py end -->"
_TIMEOUT_MILLISECONDS = 120_000


@dataclass(frozen=True)
class Visit:
    """One visit: times in milliseconds since navigation, and what came over the network."""

    loaded: float
    usable: float
    registered: float
    requests: int
    octets: int


async def visit(chromium_type: BrowserType, program: Path, profile: Path, url: str) -> Visit:
    """Open the page in a browser of its own and wait until it has registered a client."""
    context = await chromium_type.launch_persistent_context(
        profile, executable_path=program, args=chromium_arguments(), headless=True
    )
    made: list[Request] = []
    context.on("request", lambda request: made.append(request))
    page = context.pages[0]
    page.set_default_timeout(_TIMEOUT_MILLISECONDS)
    await page.goto(url)
    times: dict[str, float] = await page.evaluate("window.startup")
    sizes = [await request.sizes() for request in made]
    await context.close()
    octets = sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)
    return Visit(**times, requests=len(sizes), octets=octets)


async def measure(runs: int) -> tuple[list[Visit], list[Visit]]:
    """First and second visits of so many new profiles."""
    python = Path(sys.executable)
    ready = environment.prepare(development=True)
    program = chromium.find_or_install(python)
    firsts, seconds = [], []
    with tempfile.TemporaryDirectory() as scratch:
        mounts = {"/benchmarks": HERE / "page"}
        logs = Path(scratch) / "federation"
        with federation.running(
            python, ready.web_root, logs, domains=["a.example"], mounts=mounts
        ) as running:
            async with async_playwright() as playwright:
                for run in range(runs):
                    profile = Path(scratch) / f"profile-{run}"
                    page = f"{running.url}/benchmarks/startup.html?name=visitor"
                    firsts.append(await visit(playwright.chromium, program, profile, f"{page}-{run}-1"))
                    seconds.append(await visit(playwright.chromium, program, profile, f"{page}-{run}-2"))
                    print(
                        f"run {run + 1}: {firsts[-1].usable:.0f} ms, {seconds[-1].usable:.0f} ms",
                        file=sys.stderr,
                    )
    return firsts, seconds


def table(firsts: Sequence[Visit], seconds: Sequence[Visit]) -> str:
    """Medians, with the range of what was measured, as Markdown."""
    rows = [
        ("`MLSFederation.load()` done, s", "loaded", 1000, 2),
        ("first call answered (`setDeliveryService`), s", "usable", 1000, 2),
        ("client made (`createClient`: keys published, inbox open), s", "registered", 1000, 2),
        ("requests", "requests", 1, 0),
        ("transferred, kB", "octets", 1000, 1),
    ]
    lines = ["| median of runs (least to most) | first visit | second visit |", "|---|---|---|"]
    for title, field, unit, digits in rows:
        cells = [
            _spread([getattr(visit, field) / unit for visit in visits], digits)
            for visits in (firsts, seconds)
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


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


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="Measure start-up in Chromium.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    options = parser.parse_args()
    firsts, seconds = asyncio.run(measure(options.runs))
    measured = table(firsts, seconds)
    print(measured)
    if options.write:
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        write(
            "## Start-up: from navigation to the first usable call\n\n"
            "`python3 -m dev.environment && .venv/bin/python benchmarks/startup.py --write`\n\n"
            f"Headless Chromium, {options.runs} new profiles; the second visit is a new browser on the same profile. "
            f"Servers on the same machine ({machine}), nothing compressed.\n\n{measured}"
        )


if __name__ == "__main__":
    main()
