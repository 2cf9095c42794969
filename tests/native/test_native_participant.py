"""The participant of `examples/native_participant`: several in one group, over delivery services, on real connections."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiortc import RTCDtlsTransport, RTCPeerConnection

from examples.native_participant.frames import Media, OwnFrames, PeerFrames, clear_size
from examples.native_participant.signals import described, is_signal, read_signal, say
from examples.native_participant.streams import ask_for_key_frames, open_frames
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import MLSError
from mls_federation.media import EpochMediaKeys, MediaKeys, SFrameCipherSuite, SFrameKeys, SFrameSender
from mls_federation.mls.tree_math import LeafIndex
from tests.support.native import joined, people
from tests.support.services import Addresses

PROVIDER = PycaProvider()


class Wire:
    """What is given to DTLS transports to be sent, and what was encoded, by the participant's frames."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.packets: list[bytes] = []
        self.frames: list[tuple[Media, bytes]] = []
        send, protect = RTCDtlsTransport._send_rtp, OwnFrames.protect

        async def sent(transport: RTCDtlsTransport, packet: bytes) -> None:
            self.packets.append(packet)
            await send(transport, packet)

        def protected(own: OwnFrames, media: Media, frame: bytes) -> bytes:
            self.frames.append((media, frame))
            return protect(own, media, frame)

        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", sent)
        monkeypatch.setattr(OwnFrames, "protect", protected)

    def leaked(self) -> list[bytes]:
        """Pieces of frames that were sent as they are, but for the octets that stay clear."""
        sent = b"\0".join(self.packets)
        pieces = [
            frame[start : start + 12]
            for media, frame in self.frames
            for start in range(clear_size(media, frame), len(frame) - 12, 50)
        ]
        assert len(pieces) > 200
        # What repeats by itself, such as silence, shows nothing.
        return [piece for piece in pieces if len(set(piece)) > 6 and piece in sent]


async def test_each_decodes_what_the_others_send(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three, through two changes of epoch, and nothing of any frame is ever sent in the clear."""
    wire = Wire(monkeypatch)
    async with (
        people(addresses.by_domain, "alice", "bob", "carol") as ((alice, bob, carol), group_id),
        joined(alice, group_id),
        joined(bob, group_id),
    ):
        await asyncio.gather(alice.sees(bob), bob.sees(alice))
        async with joined(carol, group_id):
            everybody = alice, bob, carol
            pairs = [(one, other) for one in everybody for other in everybody if one is not other]
            await asyncio.gather(*(one.sees(other) for one, other in pairs))
            key_ids = {one.call.own_frames.key_id for one in everybody}
            for committer in (alice, bob):
                await committer.client.update(group_id)
                committer.call.follow()
                for one, other in pairs:
                    # They go over to the new key when others have it, too.
                    while one.call.own_frames.key_id in key_ids:
                        await other.sees(one, more=1)
                await asyncio.gather(*(one.sees(other) for one, other in pairs))
                key_ids |= {one.call.own_frames.key_id for one in everybody}
            assert len(key_ids) == 9
            assert all(
                set(one.count(other.identity, media)[1]) <= {"unknown-key"}
                for one, other in pairs
                for media in ("audio", "video")
            )
        # She has left: nobody is connected to her any more.
        await asyncio.gather(alice.loses(carol.identity), bob.loses(carol.identity))
        await asyncio.gather(alice.sees(bob), bob.sees(alice))
    assert wire.leaked() == []
    # The search would find what is sent as it is.
    wire.packets = [frame for _, frame in wire.frames]
    assert len(wire.leaked()) > 100


async def test_whoever_was_removed_sees_nothing_more(addresses: Addresses) -> None:
    async with (
        people(addresses.by_domain, "alice", "bob", "carol") as ((alice, bob, carol), group_id),
        joined(alice, group_id),
        joined(carol, group_id),
        joined(bob, group_id),
    ):
        await asyncio.gather(alice.sees(bob), bob.sees(alice), carol.sees(bob), bob.sees(carol))
        before = bob.call
        await alice.client.remove(group_id, bob.identity)
        alice.call.follow()
        await asyncio.gather(alice.sees(carol), carol.sees(alice))
        assert bob.identity not in {peer.identity for peer in alice.call.peers.values()}
        assert before.media_keys.current.sframe.epoch == alice.call.media_keys.current.sframe.epoch - 1


async def test_a_wrong_key_never_yields_a_frame(addresses: Addresses) -> None:
    """On real packets: what is decoded is what was authentic, and nothing else."""
    async with (
        people(addresses.by_domain, "alice", "bob") as ((alice, bob), group_id),
        joined(alice, group_id),
        joined(bob, group_id),
    ):
        await asyncio.gather(alice.sees(bob), bob.sees(alice))
        right = bob.call.media_keys
        keys = right.current.sframe
        wrong = replace(keys, base_key=bytes(len(keys.base_key)))
        bob.call._use(MediaKeys(EpochMediaKeys(wrong)))
        # What the decoder had before it is at its end when the first frame was refused.
        while not bob.count(alice.identity)[1]:
            await alice.sees(bob, more=1)
        opened, decoded = bob.count(alice.identity)[0], len(bob.pictures[alice.identity])
        while bob.count(alice.identity)[1].get("not-authentic", 0) < 15:
            await alice.sees(bob, more=1)
        assert bob.count(alice.identity)[0] == opened
        assert len(bob.pictures[alice.identity]) <= decoded + 3
        still = len(bob.pictures[alice.identity])
        await alice.sees(bob)
        assert len(bob.pictures[alice.identity]) == still
        assert bob.count(alice.identity, "audio")[1]["not-authentic"] > 0
        # With the right key, a key frame is asked for, and pictures come again.
        bob.call._use(right)
        await bob.sees(alice)


# -- frames


def keys_of(own: int, base_key: bytes = b"sixteen octets..") -> SFrameKeys:
    senders = tuple(SFrameSender(LeafIndex(leaf), leaf == own, leaf << 8 | 1) for leaf in (0, 1, 2))
    return SFrameKeys(1, SFrameCipherSuite.AES_128_GCM_SHA256_128, base_key, 2, senders)


KEY_FRAME = bytes.fromhex("10020 09d012a a0007800".replace(" ", "")) + b"a key frame"
FRAME = bytes.fromhex("310200") + b"another frame"
SOUND = b"\xfc" + b"sound"


def test_what_stays_clear() -> None:
    own = OwnFrames(PROVIDER, 3)
    with pytest.raises(MLSError) as caught:
        own.protect("audio", SOUND)
    assert caught.value.code == "no-keys"
    own.use(keys_of(0))
    peer = PeerFrames(PROVIDER, lambda: MediaKeys(EpochMediaKeys(keys_of(1))), 0)
    given: list[tuple[Media, str, bytes, int]] = [
        ("video", "VP8", KEY_FRAME, 10),
        ("video", "VP8", FRAME, 3),
        ("audio", "opus", SOUND, 1),
    ]
    for media, codec, frame, size in given:
        protected = own.protect(media, frame)
        assert protected[:size] == frame[:size]
        assert frame[size:] not in protected
        assert peer.open(media, codec, protected) == frame
        with pytest.raises(MLSError) as caught:
            peer.open(media, codec, protected)
        assert caught.value.code == "replayed-frame"
        for place in range(len(protected)):
            changed = protected[:place] + bytes([protected[place] ^ 1]) + protected[place + 1 :]
            with pytest.raises(MLSError):
                peer.open(media, codec, changed)
        with pytest.raises(MLSError) as caught:
            peer.open(media, codec, frame)
        assert caught.value.code in {"bad-frame", "unknown-key", "not-authentic", "wrong-sender"}
    for other in ("H264", "VP9", "PCMU"):
        with pytest.raises(MLSError) as caught:
            peer.open("video", other, FRAME)
        assert caught.value.code == "unsupported-codec"
    for media, frame in (("video", b""), ("video", KEY_FRAME[:9]), ("video", FRAME[:2]), ("audio", b"")):
        with pytest.raises(MLSError) as caught:
            own.protect(media, frame)
        assert caught.value.code == "bad-frame"


def test_a_connection_carries_one_members_frames() -> None:
    by_zero, by_two = OwnFrames(PROVIDER, 0), OwnFrames(PROVIDER, 0)
    by_zero.use(keys_of(0))
    by_two.use(keys_of(2))
    peer = PeerFrames(PROVIDER, lambda: MediaKeys(EpochMediaKeys(keys_of(1))), 0)
    assert peer.open("audio", "opus", by_zero.protect("audio", SOUND)) == SOUND
    with pytest.raises(MLSError) as caught:
        peer.open("audio", "opus", by_two.protect("audio", SOUND))
    assert caught.value.code == "wrong-sender"


def test_counters_go_on_when_an_epoch_comes_again() -> None:
    """A group can come back to a branch that it had left, and its key with it."""
    own = OwnFrames(PROVIDER, 0)
    frames = []
    for base_key in (b"sixteen octets..", b"another branch..", b"sixteen octets.."):
        for _ in range(2):
            own.use(keys_of(0, base_key))
            frames += [own.protect("audio", SOUND) for _ in range(3)]
    assert len(set(frames)) == 18


async def test_where_aiortc_is_another() -> None:
    """What the participant needs of aiortc's inside is looked for; without it nothing is sent or received."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    try:
        for hook in (
            lambda: open_frames(object(), "video", lambda *_: b""),  # type: ignore[arg-type]
            lambda: ask_for_key_frames(object(), lambda: None),  # type: ignore[arg-type]
        ):
            with pytest.raises(NotImplementedError):
                hook()
        open_frames(transceiver.receiver, "video", lambda *_: b"")
    finally:
        await connection.close()


# -- signals


def test_signals() -> None:
    assert read_signal(say("join", "0123456789abcdef", audio=True)) is not None
    read = read_signal(say("offer", "0123456789abcdef", to=2, peer="fedcba9876543210", description="v=0"))
    assert read is not None
    assert (read.kind, read.to, read.peer, read.description) == ("offer", 2, "fedcba9876543210", "v=0")
    line = "candidate:1 1 UDP 2122252543 192.0.2.2 50000 typ host"
    candidates = [{"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}, {"candidate": "nonsense"}, 7]
    read = read_signal(say("candidates", "0123456789abcdef", to=2, peer="x", candidates=candidates))
    assert read is not None
    assert [(one.ip, one.port, one.sdpMid) for one in read.candidates] == [("192.0.2.2", 50000, "0")]
    for useless in (
        b"hello",
        b"{",
        b"[]",
        b'{"call": 2, "kind": "join", "session": "0123456789abcdef"}',
        say("join", "short"),
        say("dance", "0123456789abcdef"),
        say("offer", "0123456789abcdef", description="v=0"),
        say("answer", "0123456789abcdef", to=2, peer="x", description=7),
        say("join", "0123456789abcdef", padding="x" * 60_000),
    ):
        assert read_signal(useless) is None
    assert is_signal(b'{"call": 2}')
    assert not is_signal(b'{"call" is a word')


async def test_descriptions_of_other_media() -> None:
    connection = RTCPeerConnection()
    try:
        for kind in ("audio", "video"):
            connection.addTransceiver(kind)
        await connection.setLocalDescription(await connection.createOffer())
        sdp = connection.localDescription.sdp
    finally:
        await connection.close()
    assert described("offer", sdp).sdp == sdp
    video = sdp.index("m=video")
    payload_type = sdp[video:].split()[3]
    for changed, code in (
        (sdp[:video], "bad-description"),
        (sdp + sdp[video:], "bad-description"),
        (sdp.replace(f"a=rtpmap:{payload_type} VP8/", f"a=rtpmap:{payload_type} H264/"), "unsupported-codec"),
        (sdp.replace("opus/48000", "G722/8000"), "unsupported-codec"),
    ):
        with pytest.raises(MLSError) as caught:
            described("offer", changed)
        assert caught.value.code == code
