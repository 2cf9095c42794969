"""What it costs to protect a frame with SFrame, beside the bare encryption that it consists of; the two take turns in one run.

    python3 -m dev.environment && .venv/bin/python benchmarks/sframe.py

In browsers this is `sframe.js` in a worker, beside WebCrypto; in Python, `media/sframe.py`, beside `cryptography`. Times have the noise of
the machine in them; the ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from playwright.async_api import async_playwright

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dev import chromium, environment, federation, firefox
from dev.browser import chromium_arguments
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.media import FrameReceiver, FrameSender, SFrameCipherSuite, derive_key

SIZES = (1_000, 50_000)
SUITES = (
    SFrameCipherSuite.AES_128_GCM_SHA256_128,
    SFrameCipherSuite.AES_256_GCM_SHA512_128,
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_80,
)
_PAGE = Path(__file__).resolve().parent / "page"

Rounds = Mapping[str, Sequence[float]]


def report(where: str, suite: SFrameCipherSuite, size: int, rounds: Rounds) -> None:
    """One line for each way to protect, and one for unprotecting."""
    for ours, bare in (
        ("protect", "bareProtect"),
        ("protectReleased", "bareProtect"),
        ("protectInto", "bareProtect"),
        ("unprotect", "bareUnprotect"),
    ):
        if ours not in rounds:
            continue
        ratio = statistics.median(one / other for one, other in zip(rounds[ours], rounds[bare], strict=True))
        print(
            f"{where:18} {suite.name:27} {size:6} octets  {ours:15} {statistics.median(rounds[ours]):7.1f} us, "
            f"bare {statistics.median(rounds[bare]):7.1f} us: {ratio:.2f} times"
        )


def _microseconds(once: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        once()
    return (time.perf_counter() - start) * 1e6 / times


def python_rounds(suite: SFrameCipherSuite, size: int, rounds: int, times: int) -> Rounds:
    """In this process."""
    provider, frame = PycaProvider(), os.urandom(size)
    key = derive_key(suite, os.urandom(16), 0x0301)
    sender = FrameSender(provider, key, 300)
    nonce, header = os.urandom(12), bytes(5)
    if suite.aead is not None:
        bare = AESGCM(key.key)
        sealed = bare.encrypt(nonce, frame, header)

        def bare_protect() -> bytes:
            return bare.encrypt(nonce, frame, header)

        def bare_unprotect() -> bytes:
            return bare.decrypt(nonce, sealed, header)
    else:

        def bare_protect() -> bytes:
            cipher = Cipher(algorithms.AES(key.key[:16]), modes.CTR(nonce + bytes(4)))
            encrypted = cipher.encryptor().update(frame)
            return hmac.new(key.key[16:], encrypted, hashlib.sha256).digest()

        bare_unprotect = bare_protect
    results: dict[str, list[float]] = {
        name: [] for name in ("bareProtect", "protect", "bareUnprotect", "unprotect")
    }
    for _ in range(rounds):
        frames = [sender.protect(frame) for _ in range(times)]
        receiver = FrameReceiver(provider, window=65536)
        receiver.set(key)
        results["bareProtect"].append(_microseconds(bare_protect, times))
        results["protect"].append(_microseconds(lambda: sender.protect(frame), times))
        results["bareUnprotect"].append(_microseconds(bare_unprotect, times))
        results["unprotect"].append(
            _microseconds(lambda left=frames, by=receiver: by.unprotect(left.pop()), times)  # type: ignore[misc]
        )
    return results


async def browsers(names: Sequence[str], rounds: int, times: int) -> None:
    """In a worker of each browser."""
    python = Path(sys.executable)
    ready = environment.prepare(development=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        federation.running(
            python, ready.web_root, Path(scratch), domains=["a.example"], mounts={"/benchmarks": _PAGE}
        ) as running,
    ):
        async with async_playwright() as playwright:
            for name in names:
                browser = await (
                    playwright.chromium.launch(
                        executable_path=chromium.find_or_install(python), args=chromium_arguments()
                    )
                    if name == "chromium"
                    else playwright.firefox.launch(
                        channel=firefox.CHANNEL, executable_path=firefox.find_or_install()
                    )
                )
                page = await browser.new_page()
                await page.goto(f"{running.url}/benchmarks/sframe.html")
                await page.wait_for_function("window.measure !== undefined")
                for suite in SUITES:
                    for size in SIZES:
                        job = {"suite": suite.name, "size": size, "rounds": rounds, "times": times}
                        measured = await page.evaluate("(job) => measure(job)", job)
                        report(f"{name} {browser.version.split('.')[0]}", suite, size, measured)
                await browser.close()


def main() -> int:
    """Print a line for each browser, suite and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--times", type=int, default=200, help="frames in a round")
    parser.add_argument("--browsers", default="chromium,firefox", help="none, or one of them, or both")
    arguments = parser.parse_args()
    for suite in SUITES:
        for size in SIZES:
            report("Python", suite, size, python_rounds(suite, size, arguments.rounds, arguments.times))
    names = [name for name in arguments.browsers.split(",") if name]
    if names:
        asyncio.run(browsers(names, arguments.rounds, arguments.times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
