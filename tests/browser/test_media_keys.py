"""Media keys of a page and of a Python client in one group: the same on both sides, from epoch to epoch, and on native end points."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pylibsrtp
import pytest
from playwright.async_api import Page

from dev.federation import Federation
from mls_federation.client import Client, EpochChanged, Event, GroupJoined
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.io import connected_client
from mls_federation.media import FrameReceiver, FrameSender, SrtpKeys, SrtpProfile, libsrtp_policy
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    addresses,
    in_chromium_and_firefox,
    open_module,
    open_module_client,
    unique_name,
    wait_for_event,
)

PROVIDER = PycaProvider()

# Frames of the page's, by a sender that has a context of its own; and what it makes of others'.
_MODULES = """async () => {
    window.sframe = await import("/mls-federation/sframe.js");
    window.media = await import("/mls-federation/media-keys.js");
    window.sender = async () =>
        new sframe.FrameSender(await media.sendingKey(await group.exportSFrameKeys(), await group.reserveSFrameContext()));
    window.open = async (octets) => {
        const keys = await group.exportSFrameKeys();
        const receiver = new sframe.FrameReceiver({ find: (keyId) => media.receivingKey(keys, keyId) });
        const { frame, keyId } = await receiver.unprotect(unhex(octets));
        return [hex(frame), media.senderOf(keys, keyId).identity];
    };
}"""


@dataclass
class Both:
    """A page, and a Python client in its group."""

    page: Page
    page_name: str
    client: Client
    client_name: str
    group_id: bytes
    events: asyncio.Queue[Event]

    async def heard(self, kind: type[Event]) -> Event:
        """What the Python client is told next of a kind."""
        async with asyncio.timeout(60):
            while not isinstance(event := await self.events.get(), kind):
                pass
            return event

    async def update(self) -> None:
        """The page begins an epoch, and both are in it."""
        await self.page.evaluate("() => group.update()")
        await self.heard(EpochChanged)


@asynccontextmanager
async def in_one_group(new_context: NewContext, federation: Federation) -> AsyncIterator[Both]:
    page, page_name = await open_module_client(await new_context(), federation, "page", "a.example")
    await page.evaluate(_MODULES)
    name = f"{unique_name('native')}@b.example"
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with connected_client(name, addresses(federation), events.put_nowait) as client:
        await page.evaluate(
            "async (name) => { window.group = await client.createGroup(); await group.add(name); }", name
        )
        both = Both(page, page_name, client, name, b"", events)
        joined = await both.heard(GroupJoined)
        assert isinstance(joined, GroupJoined)
        both.group_id = joined.group_id
        yield both


async def exported(page: Page) -> dict[str, Any]:
    keys: dict[str, Any] = await page.evaluate("async () => plain(await group.exportSFrameKeys())")
    return keys


@in_chromium_and_firefox
async def test_sframe_keys_and_frames_of_a_page_and_of_python(
    new_context: NewContext, federation: Federation
) -> None:
    async with in_one_group(new_context, federation) as both:
        page, client = both.page, both.client
        base_keys = set()
        for epoch in (1, 2, 3):
            keys = client.export_sframe_keys(both.group_id)
            shown = await exported(page)
            assert shown == {
                "epoch": {"bigint": str(epoch)},
                "cipherSuite": keys.cipher_suite.name,
                "baseKey": {"hex": keys.base_key.hex()},
                "epochBits": 8,
                "senderBits": 1,
                "senders": [
                    {
                        "leafIndex": leaf,
                        "identity": identity,
                        "self": leaf == 0,
                        "keyId": {"bigint": str(leaf << 8 | epoch)},
                    }
                    for leaf, identity in enumerate([both.page_name, both.client_name])
                ],
            }
            assert [sender.key_id for sender in keys.senders] == [epoch, 256 + epoch]
            base_keys.add(keys.base_key)

            protected = await page.evaluate(
                "async () => { const from = await sender(); return [hex(await from.protect(Uint8Array.of(1, 2))), hex(await from.protect(Uint8Array.of(3)))] }"
            )
            receiver = FrameReceiver(PROVIDER, find=keys.receiving_key)
            received = [receiver.unprotect(bytes.fromhex(octets)) for octets in protected]
            assert [(frame, counter) for frame, _, counter in received] == [(b"\1\2", 0), (b"\3", 1)]
            # Each sender of the page's has another context.
            assert {key_id for _, key_id, _ in received} == {keys.key_id(0, epoch - 1)}

            context = await client.reserve_sframe_context(both.group_id)
            assert context == epoch - 1
            frame = FrameSender(PROVIDER, keys.sending_key(context)).protect(b"\4\5")
            assert await page.evaluate("(octets) => open(octets)", frame.hex()) == ["0405", both.client_name]
            # Its own are not opened, nor those of an epoch that is no more.
            own = await page.evaluate("(octets) => caught(() => open(octets))", protected[0])
            assert own["code"] == "unknown-key"
            await both.update()
            later = await page.evaluate("(octets) => caught(() => open(octets))", frame.hex())
            assert later["code"] == "unknown-key"
        assert len(base_keys) == 3


@in_chromium_and_firefox
async def test_no_context_comes_twice(new_context: NewContext, federation: Federation) -> None:
    """Not in a page that is closed at once, nor in two tabs of one client at the same time."""
    context = await new_context()
    page, _ = await open_module_client(context, federation, "alice", "a.example")
    reserve = (
        "async () => plain(await Promise.all([group.reserveSFrameContext(), group.reserveSFrameContext()]))"
    )
    await page.evaluate("async () => { window.group = await client.createGroup(); }")
    given = [await page.evaluate(reserve)]
    tabs: list[Page] = []
    for _ in range(2):
        tab = await open_module(context)
        await tab.evaluate(
            """async (services) => {
                window.mls = await MLSFederation.load({ crypto: "webjs", snapshot: false });
                for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
                const [kept] = await mls.accounts();
                window.client = await mls.openClient(kept.account);
                [window.group] = client.groups;
            }""",
            addresses(federation),
        )
        if not tabs:
            given += await asyncio.gather(*(one.evaluate(reserve) for one in (page, tab)))
            await page.close()
        tabs.append(tab)
        given.append(await tab.evaluate(reserve))
    contexts = [int(one["bigint"]) for pair in given for one in pair]
    assert len(set(contexts)) == len(contexts) == 10
    assert contexts[:2] == [0, 1]


async def test_keys_are_followed_and_erased(new_context: NewContext, federation: Federation) -> None:
    alice, _ = await open_module_client(await new_context(), federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    await alice.evaluate(
        "async (bob) => { window.group = await client.createGroup(); await group.add(bob); }", bob_name
    )
    await wait_for_event(bob, "group")
    follow = """async (overlap) => {
        const { MediaKeys } = await import("/mls-federation/media-keys.js");
        window.keys = new MediaKeys(group, { overlap, srtp: ["AEAD_AES_128_GCM"] });
        window.told = [];
        window.held = [];
        keys.addEventListener("keys", ({ detail }) => (told.push(`keys ${detail.epoch}`), held.push(detail)));
        keys.addEventListener("erased", ({ detail }) => told.push(`erased ${detail.epoch}`));
        keys.addEventListener("error", ({ detail }) => told.push(`error ${detail.code}`));
    }"""
    zeros = """held.map(({ baseKey, srtp }) =>
        [baseKey, ...srtp.AEAD_AES_128_GCM.flatMap(({ key, salt }) => [key, salt])].map((octets) => octets.every((one) => one === 0)))"""
    # He keeps the earlier epochs' keys; she has an overlap that is over at once.
    await bob.evaluate(follow, 3_600_000)
    await alice.evaluate(follow, 0)
    for page in (alice, bob):
        await page.wait_for_function("told.length === 1")
    for epoch in (2, 3):
        await alice.evaluate("() => group.update()")
        await bob.wait_for_function(f"told.at(-1) === 'keys {epoch}'")
    await alice.wait_for_function("told.length === 5")
    assert await alice.evaluate("told") == ["keys 1", "keys 2", "erased 1", "keys 3", "erased 2"]
    assert await bob.evaluate("told") == ["keys 1", "keys 2", "keys 3"]
    assert await alice.evaluate(zeros) == [[True] * 5, [True] * 5, [False] * 5]
    assert await bob.evaluate(zeros) == [[False] * 5] * 3
    assert await bob.evaluate(
        "held.every((one, place) => keys.keysOf(BigInt(place + 1)) === one && keys.current === held[2])"
    )
    assert await bob.evaluate("keys.keysOf(4n) === undefined && keys.keysOf(257n) === held[0]")
    assert [await page.evaluate("hex(keys.current.baseKey)") for page in (alice, bob)] == [
        (await exported(alice))["baseKey"]["hex"]
    ] * 2

    # Who is removed has none of them any more.
    await alice.evaluate("(bob) => group.remove(bob)", bob_name)
    await bob.wait_for_function("told.length === 6")
    assert sorted(await bob.evaluate("told.slice(3)")) == ["erased 1", "erased 2", "erased 3"]
    assert await bob.evaluate(zeros) == [[True] * 5] * 3
    await alice.wait_for_function("told.at(-1) === 'erased 3'")
    await alice.evaluate("() => { keys.close(); keys.close(); }")
    assert await alice.evaluate("told.slice(5)") == ["keys 4", "erased 3", "erased 4"]
    assert await alice.evaluate("keys.current === undefined")


def rtp_packet(sequence: int) -> bytes:
    """An RTP packet (RFC 3550 §5.1) of payload type 96."""
    return (
        struct.pack("!BBHII", 0x80, 96, sequence, 160 * sequence, 0x1234ABCD) + b"a frame of somebody's voice"
    )


async def of_page(both: Both, profile: SrtpProfile) -> list[SrtpKeys]:
    """The SRTP keys as the page exports them."""
    shown = await both.page.evaluate(
        "async (profile) => plain(await group.exportSrtpKeys({ profile }))", profile.name
    )
    return [
        SrtpKeys(
            leaf_index=one["leafIndex"],
            epoch=int(one["mki"]["hex"], 16),
            profile=profile,
            mki=bytes.fromhex(one["mki"]["hex"]),
            master_key=bytes.fromhex(one["key"]["hex"]),
            master_salt=bytes.fromhex(one["salt"]["hex"]),
        )
        for one in shown
    ]


async def test_srtp_keys_of_a_page_on_libsrtp(new_context: NewContext, federation: Federation) -> None:
    """What is protected by a page's keys, a Python member's open, and nobody else's."""
    stranger_events: asyncio.Queue[Event] = asyncio.Queue()
    async with (
        in_one_group(new_context, federation) as both,
        connected_client(
            f"{unique_name('stranger')}@c.example", addresses(federation), stranger_events.put_nowait
        ) as stranger,
    ):
        elsewhere = (await stranger.create_group(group_id=both.group_id)).group_id
        past = {profile: await of_page(both, profile) for profile in SrtpProfile}
        await both.update()
        for profile in SrtpProfile:
            by_page = await of_page(both, profile)
            by_python = both.client.export_srtp_keys(both.group_id, profile)
            assert by_page == list(by_python)
            for leaf in (0, 1):
                sending = pylibsrtp.Session(libsrtp_policy(by_page[leaf], "outbound"))
                packets = [sending.protect(rtp_packet(sequence)) for sequence in (1, 2, 3)]
                receiving = pylibsrtp.Session(libsrtp_policy(by_python[leaf], "inbound"))
                assert [receiving.unprotect(packet) for packet in packets] == [
                    rtp_packet(sequence) for sequence in (1, 2, 3)
                ]
                [others] = stranger.export_srtp_keys(elsewhere, profile)
                for wrong in (past[profile][leaf], by_python[1 - leaf], others):
                    with pytest.raises(pylibsrtp.Error):
                        pylibsrtp.Session(libsrtp_policy(wrong, "inbound")).unprotect(packets[0])


async def test_wrong_calls(new_context: NewContext, federation: Federation) -> None:
    page, _ = await open_module_client(await new_context(), federation, "alice", "a.example")
    await page.evaluate(_MODULES)
    codes = await page.evaluate(
        """async () => {
            window.group = await client.createGroup();
            const keys = await group.exportSFrameKeys();
            const own = keys.senders[0].keyId;
            const calls = [
                () => media.keyIdOf(keys, 1), () => media.keyIdOf(keys, -1), () => media.keyIdOf(keys, 0, 1n << 56n),
                () => media.keyIdOf(keys, 0, -1n), () => media.sendingKey(keys, 1n << 56n),
                () => media.sendingKey({ ...keys, senders: [] }, 0n), () => new media.MediaKeys(group, { overlap: -1 }),
            ];
            const found = await Promise.all([media.receivingKey(keys, own), media.receivingKey(keys, own + 1n), media.receivingKey(undefined, own)]);
            const thrown = await Promise.all(calls.map((call) => caught(async () => call())));
            await client.close();
            thrown.push(await caught(() => group.exportSFrameKeys()), await caught(() => group.reserveSFrameContext()));
            return [...thrown.map((one) => one?.code), ...found.map((one) => one === undefined)];
        }"""
    )
    assert codes == [*["bad-argument"] * 7, "closed", "closed", True, True, True]
