"""Frames of a call without a call: whose keys open them, and what a forwarder without keys can do with them."""

from playwright.async_api import Page

from tests.browser.conftest import NewContext
from tests.browser.pages import open_module

_SETTING = """
    const { OwnFrames, PeerFrames, BaseKeys, clearSize } = await import("/module-sources/call-frames.js");
    const { decodeHeader } = await import("/module-sources/sframe.js");
    const suite = "AES_128_GCM_SHA256_128";
    const keysOf = (epoch, leafIndex, context, seed = Number(epoch)) => ({
        epoch, cipherSuite: suite, baseKey: new Uint8Array(16).fill(seed), epochBits: 8, senderBits: 3, leafIndex, context,
    });
    const sending = async (...args) => {
        const own = new OwnFrames();
        (await own.add(keysOf(...args)))();
        return own;
    };
    const delta = new Uint8Array(200).fill(1);
    const code = (promise) => promise.then(() => "opened", ({ code }) => code);
"""


async def _do(page: Page, script: str) -> object:
    return await page.evaluate(f"async () => {{ {_SETTING} {script} }}")


async def test_a_frame_is_opened_once_and_only_for_its_sender(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    came = await _do(
        page,
        """
        const base = new BaseKeys();
        base.add(keysOf(5n, 0, 0n));
        const frame = await (await sending(5n, 1, 9n)).protect("video", delta);
        const altered = frame.slice();
        altered[1] ^= 1; // of what is clear
        const one = new PeerFrames(base, 1);
        return [
            await code(new PeerFrames(base, 2).open("video", frame, 0)),
            await code(one.open("video", altered, 0)),
            await code(one.open("video", frame, 0)),
            await code(one.open("video", frame, 0)),
            await code(new PeerFrames(base, 1).open("audio", frame.subarray(2), 0)),
            await code(one.open("video", frame.subarray(0, 2), 0)),
            // Another start of the call of the same member has another connection.
            await code(one.open("video", await (await sending(5n, 1, 10n)).protect("video", delta), 0)),
        ];
        """,
    )

    assert came == [
        "wrong-sender",
        "not-authentic",
        "opened",
        "replayed-frame",
        "not-authentic",
        "bad-frame",
        "unknown-key",
    ]


async def test_what_a_packetiser_reads_stays_clear_and_nothing_else(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    sizes = await _do(
        page,
        """
        const own = await sending(1n, 0, 0n);
        const key = new Uint8Array(200).fill(0);
        const sizes = [];
        for (const [media, frame, size] of [["video", key, 10], ["video", delta, 3], ["audio", delta, 1]]) {
            const sealed = await own.protect(media, frame);
            const { size: header } = decodeHeader(sealed.subarray(size));
            sizes.push([clearSize(media, sealed), sealed.length - frame.length - header]);
        }
        return sizes;
        """,
    )

    assert sizes == [[10, 16], [3, 16], [1, 16]]


async def test_frames_wait_for_keys_in_their_order_and_keys_are_erased(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    came = await _do(
        page,
        """
        const base = new BaseKeys();
        const peer = new PeerFrames(base, 1);
        const own = await sending(7n, 1, 0n);
        const order = [];
        const opened = [0, 1, 2].map(async (number) => {
            const frame = await own.protect("video", delta);
            await peer.open("video", frame, 60_000);
            order.push(number);
        });
        const late = await code(peer.open("video", await own.protect("video", delta), 0));
        base.add(keysOf(7n, 0, 0n));
        await Promise.all(opened);
        base.erase(7n);
        peer.erase(7n);
        const after = await code(peer.open("video", await own.protect("video", delta), 0));
        return { late, order, after };
        """,
    )

    assert came == {"late": "unknown-key", "order": [0, 1, 2], "after": "unknown-key"}


async def test_no_counter_of_a_key_is_used_twice(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    ranges = await _do(
        page,
        """
        const own = new OwnFrames();
        const use = async (...args) => { const change = await own.add(keysOf(...args)); change(); };
        await use(1n, 0, 4n);
        await Promise.all([1, 2, 3].map(() => own.protect("audio", delta)));
        await use(1n, 0, 4n); // told again
        await own.protect("audio", delta);
        await use(1n, 0, 4n, 99); // another branch of the group
        await own.protect("audio", delta);
        own.erase(1n);
        await use(2n, 0, 4n);
        await own.protect("audio", delta);
        await use(1n, 0, 4n); // and back
        await own.protect("audio", delta);
        return own.counters.map(({ epoch, first, next }) => `${epoch}: ${first} to ${next}`).sort();
        """,
    )

    assert ranges == ["1: 0 to 1", "1: 0 to 4", "1: 4 to 5", "2: 0 to 1"]


async def test_a_forwarder_without_keys_can_choose_and_pass_on_frames(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    came = await _do(
        page,
        """
        const base = new BaseKeys();
        base.add(keysOf(3n, 9, 0n));
        const senders = await Promise.all([0, 1, 2].map((leaf) => sending(3n, leaf, BigInt(leaf))));
        // It sees what is clear and the header, and so who sends, which frames can be decoded by themselves, and which are missing.
        const forwarded = [];
        for (let number = 0; number < 6; number++)
            for (const [leaf, own] of senders.entries()) {
                const frame = number % 3 === 0 ? new Uint8Array(200) : delta;
                const octets = await own.protect("video", frame);
                const isKeyFrame = (octets[0] & 1) === 0;
                const { keyId } = decodeHeader(octets.subarray(clearSize("video", octets)));
                const sender = Number((keyId >> 8n) & 7n);
                // Of the one it passes on all, of another only what starts anew, of the third nothing.
                if (sender === 0 || (sender === 1 && isKeyFrame)) forwarded.push({ sender, octets });
            }
        const peers = [0, 1, 2].map((leaf) => new PeerFrames(base, leaf));
        const opened = [0, 0, 0];
        for (const { sender, octets } of forwarded) {
            const frame = await peers[sender].open("video", octets, 0);
            if (frame.length === 200) opened[sender]++;
        }
        return opened;
        """,
    )

    assert came == [6, 2, 0]


async def test_what_is_counted_tells_whether_media_are_encrypted(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    verdicts = await page.evaluate(
        """async () => {
            const { isUnprotected } = await import("/module-sources/call-watch.js");
            const sent = (time, made, octets, seen, passed, seenBefore = seen) => ({ time, made, octets, seen, seenBefore, passed });
            return [
                isUnprotected([sent(0, 0, 0, 0, 0)]),
                isUnprotected([sent(0, 50, 4000, 50, 50)]),
                // Something was sent, and nothing encrypted.
                isUnprotected([sent(0, 1, 80, 0, 0)]),
                isUnprotected([sent(0, 1, 80, 1, 0)]),
                // The worker sees no more frames, or too few of them, for long.
                isUnprotected([sent(0, 50, 4000, 50, 50), sent(1000, 90, 9000, 50, 50)]),
                isUnprotected([sent(0, 50, 4000, 50, 50), sent(2000, 90, 9000, 50, 50)]),
                isUnprotected([sent(0, 50, 4000, 50, 50), sent(2000, 90, 9000, 60, 60)]),
                isUnprotected([sent(0, 50, 4000, 50, 50), sent(2000, 90, 9000, 85, 85)]),
                // Nothing is sent, though frames are made.
                isUnprotected([sent(0, 0, 0, 0, 0), sent(2500, 30, 0, 0, 0)]),
                // The page stood still after the report was made, and the worker saw 300 frames until it was asked.
                isUnprotected([sent(0, 50, 4000, 350, 350, 50), sent(2000, 450, 40000, 450, 450, 440)]),
                isUnprotected([sent(0, 50, 4000, 350, 350, 50), sent(2000, 1050, 90000, 450, 450, 440)]),
            ];
        }"""
    )

    assert verdicts == [False, False, True, True, False, True, True, False, True, False, True]


async def test_only_signals_of_use_are_read(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    read = await page.evaluate(
        """async () => {
            const { isSignal, readSignal, requireFormats } = await import("/module-sources/call-signals.js");
            const session = "0123456789abcdef";
            const said = (more) => JSON.stringify({ call: 1, session, ...more });
            const usable = [
                said({ kind: "join", audio: true }),
                said({ kind: "here", to: 3 }),
                said({ kind: "offer", to: 3, peer: session, description: "v=0" }),
                said({ kind: "candidates", to: 3, peer: session, candidates: [{ candidate: "" }, 5] }),
            ];
            const useless = [
                undefined, "hello", "{", "{}", "null", said({ kind: "dance" }), said({ kind: "offer", to: 3, peer: session }),
                said({ kind: "here", to: "3" }), said({ kind: "join", session: "x" }), said({ kind: "join", call: 2 }),
                said({ kind: "offer", to: 3, peer: session, description: "x".repeat(70_000) }),
            ];
            const sdp = (audio, video) =>
                `v=0\\r\\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\\r\\na=rtpmap:111 ${audio}/48000/2\\r\\n` +
                `m=video 9 UDP/TLS/RTP/SAVPF 96 97\\r\\na=rtpmap:96 ${video}/90000\\r\\na=rtpmap:97 VP8/90000\\r\\n`;
            const formats = (description) => {
                try { requireFormats(description); return "fine"; } catch ({ code }) { return code; }
            };
            return {
                usable: usable.map((text) => readSignal(text)?.kind),
                useless: useless.filter((text) => readSignal(text) !== undefined),
                signals: [said({ call: 2 }), said({}), "{}", "[1]"].map(isSignal),
                formats: [
                    sdp("opus", "VP8"), sdp("opus", "H264"), sdp("PCMU", "VP8"), sdp("opus", "VP8").split("m=video")[0],
                    sdp("opus", "VP8") + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\n",
                ].map(formats),
            };
        }"""
    )

    assert read == {
        "usable": ["join", "here", "offer", "candidates"],
        "useless": [],
        "signals": [True, True, False, False],
        "formats": ["fine", "unsupported-codec", "unsupported-codec", "bad-description", "bad-description"],
    }
