"""SFrame keys from a group (RFC 9605 §5.2)."""

from __future__ import annotations

import pytest

from mls_federation.client import ClientState
from mls_federation.client.state_codec import (
    PartKind,
    decode_state,
    encode_part,
    encode_state,
    parts_of,
    state_of,
)
from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import MLSError, UnknownKeyError, UsageError
from mls_federation.media import (
    FrameReceiver,
    FrameSender,
    SFrameCipherSuite,
    SFrameKey,
    SFrameKeys,
    SFrameSender,
    decode_header,
    export_sframe_keys,
)
from mls_federation.mls import export_secret
from mls_federation.mls.tree_math import LeafIndex
from tests.support.network import Peer, deliver, group_of
from tests.support.pair import Party


def keys_of(peer: Peer, group_id: bytes) -> SFrameKeys:
    return export_sframe_keys(peer.group(group_id).group)


@pytest.fixture
def call(provider: CryptoProvider) -> tuple[list[Peer], bytes]:
    """Three members."""
    members = [Peer(provider, f"{name}@{name[0]}.example") for name in ("alice", "bob", "carol")]
    return members, group_of(*members)


def test_they_are_exported_as_the_rfc_says(call: tuple[list[Peer], bytes]) -> None:
    """A second implementation finds them by this rule alone."""
    members, group_id = call
    for own, member in enumerate(members):
        keys = keys_of(member, group_id)
        assert keys.base_key == export_secret(
            members[0].group(group_id).group, "SFrame 1.0 Base Key", b"", 16
        )
        assert (keys.epoch, keys.sender_bits) == (1, 2)
        assert keys.cipher_suite is SFrameCipherSuite.AES_128_GCM_SHA256_128
        assert keys.senders == tuple(
            SFrameSender(LeafIndex(leaf), leaf == own, leaf << 8 | 1) for leaf in range(3)
        )


def test_the_figure_of_the_rfc() -> None:
    """§5.2's example of key ids, with our 8 bits for its 4."""
    keys = SFrameKeys(
        epoch=16,
        cipher_suite=SFrameCipherSuite.AES_128_GCM_SHA256_128,
        base_key=bytes(16),
        sender_bits=6,
        senders=(SFrameSender(LeafIndex(2), is_self=True, key_id=0x210),),
    )
    # There, 0x820 and 0xc20: context, index 2 in 6 bits, epoch 16 modulo 16 in 4.
    assert [keys.key_id(2, context) for context in (0, 2, 3)] == [0x210, 0x8210, 0xC210]


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        (CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519, "AES_128_GCM_SHA256_128"),
        (CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256, "AES_128_GCM_SHA256_128"),
        (CipherSuite.MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448, "AES_256_GCM_SHA512_128"),
        (CipherSuite.MLS_256_DHKEMP384_AES256GCM_SHA384_P384, "AES_256_GCM_SHA512_128"),
        (CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521, "AES_256_GCM_SHA512_128"),
        (CipherSuite.MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448, "AES_256_GCM_SHA512_128"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_every_suite_has_one_of_its_strength(
    provider: CryptoProvider, suite: CipherSuite, expected: str
) -> None:
    party = Party(crypto(provider, suite), "alice")
    keys = export_sframe_keys(party.groups["alice"])
    assert keys.cipher_suite.name == expected
    assert len(keys.base_key) == keys.cipher_suite.Nk
    # A group of one needs no bits for its sender.
    assert (keys.sender_bits, keys.senders[0].key_id, keys.key_id(0, 3)) == (0, 0, 3 << 8)


def test_blank_leaves_count(provider: CryptoProvider, call: tuple[list[Peer], bytes]) -> None:
    """Five members of whom two go: the last one's leaf is 4, for which two bits are too few."""
    members, group_id = call
    alice = members[0]
    more = [Peer(provider, f"{name}@{name[0]}.example") for name in ("dave", "erin")]
    alice.add(group_id, *more)
    deliver(alice, *members[1:], *more)
    for gone in ("bob@b.example", "carol@c.example"):
        alice.remove(group_id, gone)
        deliver(alice, *members[1:], *more)
    keys = keys_of(more[-1], group_id)
    assert (keys.sender_bits, [sender.leaf_index for sender in keys.senders]) == (3, [0, 3, 4])
    assert keys.senders == tuple(
        SFrameSender(sender.leaf_index, sender.leaf_index == 4, sender.key_id)
        for sender in keys_of(alice, group_id).senders
    )
    # When the last one goes, too, the tree becomes narrower.
    alice.remove(group_id, "erin@e.example")
    deliver(alice, *members[1:], *more)
    assert keys_of(alice, group_id).sender_bits == keys_of(more[0], group_id).sender_bits == 2


def test_key_ids_say_who_sends(call: tuple[list[Peer], bytes]) -> None:
    members, group_id = call
    keys = keys_of(members[1], group_id)
    for context in (0, 1, 2**20, 2**54 - 1):
        for sender in keys.senders:
            key_id = keys.key_id(sender.leaf_index, context)
            assert keys.sender_of(key_id) == sender
            assert key_id >> 10 == context
            if sender.is_self:
                with pytest.raises(UnknownKeyError):
                    keys.receiving_key(key_id)
            else:
                assert keys.receiving_key(key_id).key_id == key_id
    for context in (-1, 2**54):
        with pytest.raises(UsageError):
            keys.sending_key(context)
    with pytest.raises(UsageError):
        keys.key_id(3)
    # Of another epoch, and of a leaf on which nobody is.
    for key_id in (0x0102, 0x0301):
        with pytest.raises(UnknownKeyError):
            keys.receiving_key(key_id)


def test_nothing_is_the_same_in_two_epochs_contexts_or_leaves(call: tuple[list[Peer], bytes]) -> None:
    members, group_id = call
    made: list[SFrameKey] = []
    for _ in range(3):
        for member in members:
            keys = keys_of(member, group_id)
            made += [keys.sending_key(context) for context in range(4)]
        members[0].renew(group_id)
        deliver(members[0], *members[1:])
    assert len({key.key_id for key in made}) == len({key.key for key in made}) == 36
    assert len({key.salt for key in made}) == 36


def test_frames_of_each_member_reach_each_other(
    call: tuple[list[Peer], bytes], provider: CryptoProvider
) -> None:
    """Through somebody who forwards and has no keys: it sees headers, and mixes the frames of all."""
    members, group_id = call
    senders = [FrameSender(provider, keys_of(member, group_id).sending_key(0)) for member in members]
    forwarded = [
        sender.protect(b"frame %d of %d" % (number, leaf))
        for number in range(5)
        for leaf, sender in enumerate(senders)
    ]
    # What it may know: whose frame it is, and in which order they were made.
    assert [decode_header(frame)[:2] for frame in forwarded] == [
        (leaf << 8 | 1, number) for number in range(5) for leaf in range(3)
    ]
    assert not any(b"frame" in frame for frame in forwarded)
    for own, member in enumerate(members):
        keys = keys_of(member, group_id)
        receiver = FrameReceiver(provider, find=keys.receiving_key)
        opened = []
        for place, octets in enumerate([*forwarded[::-1], b"\xff" + bytes(30), *forwarded[:6]]):
            try:
                received = receiver.unprotect(octets)
            except MLSError as error:
                # Its own come back; it made something up; it repeats what was there.
                assert error.code in {"unknown-key", "bad-frame", "replayed-frame"}
                assert place >= 15 or error.code == "unknown-key"
                continue
            leaf = keys.sender_of(received.key_id).leaf_index
            opened.append((leaf, received.counter))
            assert received.frame == b"frame %d of %d" % (received.counter, leaf)
        assert sorted(opened) == [(leaf, number) for leaf in range(3) if leaf != own for number in range(5)]


def test_who_was_removed_opens_nothing_more(call: tuple[list[Peer], bytes], provider: CryptoProvider) -> None:
    (alice, bob, carol), group_id = call
    before = keys_of(bob, group_id)
    alice.remove(group_id, "bob@b.example")
    deliver(alice, bob, carol)
    protected = FrameSender(provider, keys_of(alice, group_id).sending_key(0)).protect(b"without him")
    assert FrameReceiver(provider, find=keys_of(carol, group_id).receiving_key).unprotect(protected).frame
    with pytest.raises(UnknownKeyError):
        FrameReceiver(provider, find=before.receiving_key).unprotect(protected)
    # Nor with his base key under the id that is in the header.
    forced = FrameReceiver(provider)
    header = decode_header(protected)
    forced.set(SFrameKey(before.cipher_suite, header.key_id, before.base_key, bytes(12)))
    with pytest.raises(MLSError) as caught:
        forced.unprotect(protected)
    assert caught.value.code == "not-authentic"


def test_secrets_are_not_shown(call: tuple[list[Peer], bytes]) -> None:
    members, group_id = call
    keys = keys_of(members[0], group_id)
    assert keys.base_key.hex() not in repr(keys)
    assert repr(keys.base_key)[2:-1] not in repr(keys)


# -- contexts


def test_a_context_is_given_once(provider: CryptoProvider, call: tuple[list[Peer], bytes]) -> None:
    members, group_id = call
    state, given = members[0].state, []
    for _ in range(4):
        state, context = state.reserving_sframe_context(group_id)
        given.append(context)
        state = decode_state(provider, encode_state(state))
    state, other = state.reserving_sframe_context(b"another group")
    assert (given, other) == ([0, 1, 2, 3], 0)


def test_contexts_survive_leaving_the_group(call: tuple[list[Peer], bytes]) -> None:
    """An epoch that is gone back to has the keys that it had."""
    (alice, bob, carol), group_id = call
    bob.state, first = bob.state.reserving_sframe_context(group_id)
    alice.remove(group_id, "bob@b.example")
    deliver(alice, bob, carol)
    assert group_id not in bob.state.groups
    alice.add(group_id, bob)
    deliver(alice, bob, carol)
    bob.state, second = bob.state.reserving_sframe_context(group_id)
    assert (first, second) == (0, 1)


def test_states_from_before_there_were_contexts(provider: CryptoProvider) -> None:
    state = ClientState(account=Peer(provider, "alice@a.example").state.account)
    parts = {kind: [encode_part(kind, part) for part in some] for kind, some in parts_of(state).items()}
    del parts[PartKind.sframe_contexts]
    loaded = state_of(provider, parts)
    assert loaded.sframe_contexts == ()
    assert loaded.reserving_sframe_context(b"a group")[1] == 0
