"""What it costs to encrypt the frames of a call: CPU of a call of three in one Chromium, with SFrame and without.

    python3 -m dev.environment && .venv/bin/python benchmarks/call.py

Three pages on three delivery services take turns: a call as `call.js` makes it, and bare connections of the same pages with the same
tracks, which no transform is set on. Counted is the processor time of all processes of the browser, of both ends of all connections,
with the fake cameras, the codecs, and Python idle in each page: the difference is what matters.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, async_playwright

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dev import chromium, environment, federation
from dev.federation import Federation
from tests.browser.calls import (
    Caller,
    all_verified,
    call_context,
    chromium_with_media,
    in_one_group,
    open_caller,
)
from tests.browser.pages import SERVED, SERVED_AT

_DOMAINS = ("a.example", "b.example", "c.example")
_TICKS = os.sysconf("SC_CLK_TCK")
# Bare connections: the one end and the other, each with the description of its peer.
_OFFER = """
window.bare ??= {};
const one = bare[arg.peer] = new RTCPeerConnection();
if (arg.offer !== undefined) await one.setRemoteDescription(arg.offer);
for (const track of local.getTracks()) one.addTrack(track, local);
one.addEventListener("track", ({ track }) => show({ identity: `${arg.peer} ${track.kind}`, stream: new MediaStream([track]) }));
await one.setLocalDescription();
while (one.iceGatheringState !== "complete")
    await new Promise((resolve) => one.addEventListener("icegatheringstatechange", resolve, { once: true }));
return one.localDescription.toJSON();
"""
_DECODED = """
let decoded = 0;
for (const one of connections)
    for (const entry of one.connectionState === "connected" ? (await one.getStats()).values() : [])
        if (entry.type === "inbound-rtp") decoded += entry.framesDecoded ?? 0;
return decoded;
"""


@dataclass(frozen=True)
class Measured:
    """One turn: processor time for each second, and frames of video that were decoded in it, of all six directions."""

    cores: float
    frames: float


async def _measure(browser: Browser, callers: Sequence[Caller], seconds: float) -> Measured:
    session = await browser.new_browser_cdp_session()
    processes = [one["id"] for one in (await session.send("SystemInfo.getProcessInfo"))["processInfo"]]
    await session.detach()
    before, frames, start = _processor_time(processes), await _decoded(callers), time.monotonic()
    await asyncio.sleep(seconds)
    after, lasted = _processor_time(processes), time.monotonic() - start
    return Measured((after - before) / lasted, (await _decoded(callers) - frames) / lasted)


def _processor_time(processes: Sequence[int]) -> float:
    """Seconds, in user and system mode."""
    ticks = 0
    for process in processes:
        # The name in parentheses may have spaces.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


async def _decoded(callers: Sequence[Caller]) -> int:
    return sum([await caller.do(_DECODED) for caller in callers])


async def _encrypted(browser: Browser, callers: Sequence[Caller], seconds: float) -> Measured:
    for caller in callers:
        await caller.do("await startCall(group);")
    await all_verified(*callers)
    measured = await _measure(browser, callers, seconds)
    for caller in callers:
        await caller.do(
            "await call.leave(); document.querySelectorAll('video').forEach((one) => one.remove());"
        )
    return measured


async def _bare(browser: Browser, callers: Sequence[Caller], seconds: float) -> Measured:
    for index, first in enumerate(callers):
        for second in callers[index + 1 :]:
            offer = await first.do(_OFFER, {"peer": second.identity})
            answer = await second.do(_OFFER, {"peer": first.identity, "offer": offer})
            await first.do(
                "await bare[arg.peer].setRemoteDescription(arg.answer);",
                {"peer": second.identity, "answer": answer},
            )
    for caller in callers:
        await caller.until("Object.values(bare).every((one) => one.connectionState === 'connected')")
    measured = await _measure(browser, callers, seconds)
    for caller in callers:
        await caller.do(
            """for (const one of Object.values(bare)) one.close();
            window.bare = {};
            document.querySelectorAll("video").forEach((one) => one.remove());"""
        )
    return measured


async def _run(running: Federation, rounds: int, seconds: float) -> dict[str, list[Measured]]:
    program = Path(os.environ.get("MLS_CHROMIUM") or chromium.find_or_install(Path(sys.executable)))
    measured: dict[str, list[Measured]] = {"with SFrame": [], "without": []}
    async with async_playwright() as playwright, chromium_with_media(playwright, program) as browser:
        callers = []
        for index, domain in enumerate(_DOMAINS):
            context = await call_context(browser, running)
            callers.append(await open_caller(context, running, f"caller-{index}", domain))
            await callers[-1].do("window.local = await camera();")
        await in_one_group(*callers)
        for _ in range(rounds):
            measured["with SFrame"].append(await _encrypted(browser, callers, seconds))
            measured["without"].append(await _bare(browser, callers, seconds))
    return measured


def _report(measured: dict[str, list[Measured]]) -> None:
    print("| call of three | processor cores in use, each round | median | frames decoded a second |")
    print("|---|---|---|---|")
    for name, turns in measured.items():
        each = ", ".join(f"{turn.cores:.2f}" for turn in turns)
        median = statistics.median(turn.cores for turn in turns)
        frames = statistics.median(turn.frames for turn in turns)
        print(f"| {name} | {each} | {median:.2f} | {frames:.0f} |")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="that each turn is measured for")
    arguments = parser.parse_args()
    web_root = environment.prepare(development=True).web_root
    with (
        tempfile.TemporaryDirectory() as folder,
        federation.running(
            Path(sys.executable), web_root, Path(folder), mounts={SERVED_AT: SERVED}
        ) as running,
    ):
        _report(asyncio.run(_run(running, arguments.rounds, arguments.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
