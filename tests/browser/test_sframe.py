"""SFrame in JavaScript: against the RFC's vectors, and against Python's, frame by frame."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.async_api import Page

from dev.federation import Federation
from dev.webdriver import WebDriver
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import MLSError
from mls_federation.media import FrameReceiver, FrameSender, SFrameCipherSuite, derive_key, encode_header
from tests.browser.conftest import NewContext
from tests.browser.pages import MODULE_PATH, SERVED_AT, in_chromium_and_firefox, open_module
from tests.support.sframe_vectors import sframe_vectors

LAST = 2**64 - 1
BOUNDARIES = [
    0,
    7,
    8,
    *(bound for size in range(1, 8) for bound in (2 ** (8 * size) - 1, 2 ** (8 * size))),
    LAST,
]
SUITES = tuple(SFrameCipherSuite)
PROVIDER = PycaProvider()
_TESTED = f"{SERVED_AT}/sframe.js"


async def call(page: Page, function: str, argument: Any) -> Any:
    """What a function of `served/sframe.js` returns."""
    script = "async ([module, name, argument]) => (await import(module))[name](argument)"
    return await page.evaluate(script, [_TESTED, function, argument])


def cases(seed: int, times: int) -> list[dict[str, Any]]:
    """Frames of all suites, of random sizes, empty ones among them, with and without metadata."""
    chance = random.Random(seed)
    sizes = [0, 1, 15, 16, 17, 1000, *(chance.randrange(5000) for _ in range(times))]
    numbers = [*BOUNDARIES, *(chance.getrandbits(64) for _ in BOUNDARIES)]
    return [
        {
            "suite": suite.name,
            "baseKey": chance.randbytes(chance.choice([1, 16, 32, 48, 100])).hex(),
            "keyId": str(chance.choice(numbers)),
            "counter": str(chance.choice(numbers)),
            "frame": chance.randbytes(size).hex(),
            "metadata": chance.randbytes(chance.choice([0, 1, 10, 300])).hex(),
        }
        for suite in SUITES
        for size in sizes
    ]


def protected(case: dict[str, Any]) -> str:
    """As Python does it."""
    key = derive_key(SFrameCipherSuite[case["suite"]], bytes.fromhex(case["baseKey"]), int(case["keyId"]))
    sender = FrameSender(PROVIDER, key, int(case["counter"]))
    return sender.protect(bytes.fromhex(case["frame"]), bytes.fromhex(case["metadata"])).hex()


def opened(case: dict[str, Any], octets: str) -> dict[str, str]:
    """As Python does it."""
    receiver = FrameReceiver(PROVIDER)
    receiver.set(
        derive_key(SFrameCipherSuite[case["suite"]], bytes.fromhex(case["baseKey"]), int(case["keyId"]))
    )
    frame, key_id, counter = receiver.unprotect(bytes.fromhex(octets), bytes.fromhex(case["metadata"]))
    return {"frame": frame.hex(), "keyId": str(key_id), "counter": str(counter)}


def expected(case: dict[str, Any]) -> dict[str, str]:
    return {name: case[name] for name in ("frame", "keyId", "counter")}


@in_chromium_and_firefox
async def test_the_vectors_of_the_rfc(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    headers = sframe_vectors("header")
    assert await call(page, "headers", [[str(one["kid"]), str(one["ctr"])] for one in headers]) == [
        [one["encoded"], str(one["kid"]), str(one["ctr"]), len(one["encoded"]) // 2] for one in headers
    ]
    frames = sframe_vectors("sframe")
    given = [
        {
            "suite": SFrameCipherSuite(one["cipher_suite"]).name,
            "baseKey": one["base_key"],
            "keyId": str(one["kid"]),
            "counter": str(one["ctr"]),
            "frame": one["pt"],
            "metadata": one["metadata"],
        }
        for one in frames
    ]
    assert await call(page, "protectAll", given) == [one["ct"] for one in frames]
    with_octets = [{**case, "octets": one["ct"]} for case, one in zip(given, frames, strict=True)]
    assert await call(page, "unprotectAll", with_octets) == [expected(case) for case in given]


@in_chromium_and_firefox
async def test_frames_between_python_and_javascript(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    given = cases(seed, times=12)
    by_python = [protected(case) for case in given]
    by_javascript = await call(page, "protectAll", given)

    assert by_javascript == by_python
    assert await call(page, "protectAllBehind", given) == [
        case["metadata"] + octets for case, octets in zip(given, by_python, strict=True)
    ]
    assert [opened(case, octets) for case, octets in zip(given, by_javascript, strict=True)] == [
        expected(case) for case in given
    ]
    with_octets = [{**case, "octets": octets} for case, octets in zip(given, by_python, strict=True)]
    assert await call(page, "unprotectAll", with_octets) == [expected(case) for case in given]


def many(suite: SFrameCipherSuite, metadata: str) -> tuple[dict[str, Any], list[str]]:
    """A key, and what to protect with it: many frames at the same time. Shared memory must not mix them up."""
    frames = [bytes([number]).hex() * (1 + 37 * number) for number in range(40)]
    key = {"suite": suite.name, "baseKey": "0011", "keyId": "513", "counter": "250", "metadata": metadata}
    return key, frames


def protected_in_order(key: dict[str, Any], frames: list[str]) -> list[str]:
    """As Python does it."""
    counters = range(int(key["counter"]), int(key["counter"]) + len(frames))
    return [
        protected({**key, "counter": str(counter), "frame": frame})
        for counter, frame in zip(counters, frames, strict=True)
    ]


@in_chromium_and_firefox
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
async def test_frames_at_the_same_time(new_context: NewContext, suite: SFrameCipherSuite) -> None:
    page = await open_module(await new_context())
    for metadata in ("", "0102"):
        key, frames = many(suite, metadata)
        by_python = protected_in_order(key, frames)
        at_once = await call(page, "protectAtOnce", {**key, "frames": frames})
        assert at_once == [f"aaaa{octets}" for octets in by_python]
        assert await call(page, "unprotectAtOnce", {**key, "protectedFrames": by_python}) == frames


def test_frames_between_python_and_webkit(webkit: WebDriver, federation: Federation) -> None:
    webkit.open(f"{federation.url}{MODULE_PATH}")
    given = cases(9605, times=2)
    by_python = [protected(case) for case in given]
    script = "const [module, name, argument] = args; return (await import(module))[name](argument)"
    assert webkit.run(script, _TESTED, "protectAll", given) == by_python
    with_octets = [{**case, "octets": octets} for case, octets in zip(given, by_python, strict=True)]
    assert webkit.run(script, _TESTED, "unprotectAll", with_octets) == [expected(case) for case in given]
    for suite in SUITES:
        key, frames = many(suite, "")
        in_order = protected_in_order(key, frames)
        at_once = webkit.run(script, _TESTED, "protectAtOnce", {**key, "frames": frames})
        assert at_once == [f"aaaa{octets}" for octets in in_order]
        opened_at_once = webkit.run(script, _TESTED, "unprotectAtOnce", {**key, "protectedFrames": in_order})
        assert opened_at_once == frames


async def test_headers_at_all_boundaries(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    pairs = [(key_id, counter) for key_id in BOUNDARIES for counter in BOUNDARIES]
    encoded = [encode_header(*pair) for pair in pairs]
    assert await call(page, "headers", [[str(number) for number in pair] for pair in pairs]) == [
        [octets.hex(), str(key_id), str(counter), len(octets)]
        for octets, (key_id, counter) in zip(encoded, pairs, strict=True)
    ]
    cut = [octets[:end].hex() for octets in encoded for end in range(len(octets))]
    longer = ["8007", "0807", "900008", "9000ff", "0900ff", "ff00" + "ff" * 15]
    assert set(await call(page, "headerCodes", [*cut, *longer])) == {"bad-frame"}
    out_of_range = """async (module) => {
        const { code } = await import(module);
        return Promise.all([[-1n, 0n], [0n, 2n ** 64n], [1, 0n], [0n, "0"]].map((pair) => code(() => sframe.encodeHeader(...pair))));
    }"""
    assert await page.evaluate(out_of_range, _TESTED) == ["bad-argument"] * 4


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
async def test_each_changed_octet_is_refused(new_context: NewContext, suite: SFrameCipherSuite) -> None:
    page = await open_module(await new_context())
    case = {
        "suite": suite.name,
        "baseKey": "00112233",
        "keyId": "4660",
        "counter": "300",
        "frame": b"a frame of media".hex(),
        "metadata": b"metadata".hex(),
    }
    octets = protected(case)
    result = await call(page, "tamper", {**case, "octets": octets})
    assert result["frame"] == case["frame"]
    assert set(result["codes"]["frame"]) <= {"not-authentic", "unknown-key", "bad-frame"}
    assert result["codes"]["frame"].count("not-authentic") >= len(octets) // 2 - 5
    assert set(result["codes"]["metadata"]) == {"not-authentic"}
    assert set(result["codes"]["short"]) <= {"not-authentic", "bad-frame"}


@pytest.mark.parametrize("window", [1, 2, 31, 32, 33, 100])
async def test_replays_and_the_window_as_python_has_it(new_context: NewContext, window: int) -> None:
    page = await open_module(await new_context())
    chance = random.Random(window)
    counters = [chance.randrange(4 * window + 20) for _ in range(300)]
    counters += [2**40, 2**40 - window + 1, 2**40 - window, LAST, LAST - window + 1, LAST - window, LAST]
    key = derive_key(SFrameCipherSuite.AES_128_GCM_SHA256_128, b"base", 5)
    receiver = FrameReceiver(PROVIDER, window=window)
    receiver.set(key)
    by_python = []
    for counter in counters:
        try:
            by_python.append(
                str(receiver.unprotect(FrameSender(PROVIDER, key, counter).protect(b"")).counter)
            )
        except MLSError as error:
            by_python.append(error.code)
    given = {"suite": key.cipher_suite.name, "baseKey": b"base".hex(), "keyId": "5", "window": window}
    digits = [str(counter) for counter in counters]
    assert await call(page, "order", {**given, "counters": digits, "atOnce": False}) == by_python
    assert {"replayed-frame"} < set(by_python)
    # Two of one frame at the same time: one of them is taken.
    twice = await call(page, "order", {**given, "counters": ["7", "7", "7"], "atOnce": True})
    assert sorted(twice) == ["7", "replayed-frame", "replayed-frame"]


async def test_senders_and_receivers(new_context: NewContext) -> None:
    """Counters of calls that do not wait, keys that are found, set and deleted, arguments that are wrong."""
    page = await open_module(await new_context())
    result = await page.evaluate(
        """async (module) => {
            const { code, keyOf, hex } = await import(module);
            const { FrameSender, FrameReceiver, decodeHeader, deriveKey } = sframe;
            const suite = "AES_128_GCM_SHA256_128";
            const key = (keyId, baseKey = "aa") => keyOf({ suite, baseKey, keyId });
            const sender = new FrameSender(await key(1));
            const frames = await Promise.all(Array.from({ length: 20 }, () => sender.protect(new Uint8Array(4))));
            const counters = frames.map((frame) => Number(decodeHeader(frame).counter));
            const own = frames.every((frame) => frame.byteOffset === 0 && frame.buffer.byteLength === frame.length);
            const last = new FrameSender(await key(1), 2n ** 64n - 1n);
            const ends = [await code(() => last.protect(new Uint8Array())), await code(() => last.protect(new Uint8Array()))];

            const asked = [];
            const receiver = new FrameReceiver({
                find: async (keyId) => {
                    asked.push(Number(keyId));
                    return keyId < 1000n ? key(keyId) : undefined;
                },
            });
            const forged = async (keyId) => code(() => receiver.unprotect(Uint8Array.of(keyId << 4, ...new Uint8Array(20))));
            const found = { forged: [await forged(2), await forged(3), await forged(2)], before: receiver.keyIds.length };
            const two = new FrameSender(await key(2));
            const pair = [await two.protect(new Uint8Array(1)), await two.protect(new Uint8Array(2))];
            found.sizes = (await Promise.all(pair.map((one) => receiver.unprotect(one)))).map(({ frame }) => frame.length);
            found.after = receiver.keyIds.map(Number);
            found.again = await code(() => receiver.unprotect(pair[0]));
            const unknown = await new FrameSender(await key(5000)).protect(new Uint8Array());
            found.unknown = await receiver.unprotect(unknown).catch((error) => [error.code, String(error.details.keyId)]);
            // Of those that nobody sends by, some are remembered, but not all.
            for (const keyId of [...Array.from({ length: 151 }, (_, place) => 100 + place), 250, 100]) {
                await code(() => receiver.unprotect(Uint8Array.of(0x80, keyId, ...new Uint8Array(20))));
            }
            found.asked = asked.length;

            const other = await key(2, "bb");
            receiver.set(other);
            const set = [receiver.has(2n), await code(() => receiver.unprotect(pair[0]))];
            receiver.set(other);
            receiver.delete(2n);
            set.push(receiver.has(2n), receiver.keyIds.length);

            const wrong = await Promise.all([
                () => new FrameSender({}), () => new FrameSender(other, 0), () => new FrameReceiver({ window: 0 }),
                () => new FrameReceiver({ window: 1.5 }), () => receiver.set({}), () => two.protect([1]), () => two.protect(pair[0], "x"),
                () => two.protect(pair[0], pair[0], new Uint8Array(two.sizeOf(pair[0].length) - 1)),
                () => receiver.unprotect("x"), () => deriveKey({ cipherSuite: "toString", baseKey: pair[0], keyId: 1n }),
                () => deriveKey({ cipherSuite: suite, baseKey: new Uint8Array(), keyId: 1n }),
                () => deriveKey({ cipherSuite: suite, baseKey: pair[0], keyId: 1 }),
            ].map((call) => code(async () => call())));
            return { counters, own, ends, found, set, wrong, shown: JSON.stringify(other) };
        }""",
        _TESTED,
    )
    assert result["counters"] == list(range(20))
    assert result["own"] is True
    assert result["ends"] == [None, "counter-exhausted"]
    found = result["found"]
    assert (found["forged"], found["before"]) == (["not-authentic"] * 3, 0)
    assert (found["sizes"], found["after"], found["again"]) == ([1, 2], [2], "replayed-frame")
    assert found["unknown"] == ["unknown-key", "5000"]
    # 2 and 3 once each, 5000, and 151; and the first of these again.
    assert found["asked"] == 155
    assert result["set"] == [True, "not-authentic", False, 0]
    assert result["wrong"] == ["bad-argument"] * 12
    assert result["shown"] == "{}"
