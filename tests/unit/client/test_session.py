"""The session: what becomes of what arrives, in whatever order, from whomever."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.client import session
from mls_federation.client.accepting import MAX_HELD, MAX_HELD_OCTETS, accept
from mls_federation.client.account import CLOCK_TOLERANCE, KEY_LIFETIME, Account, new_account, new_key_package
from mls_federation.client.events import (
    EpochChanged,
    Event,
    GroupJoined,
    MessageReceived,
    MessageRefused,
    RemovedFromGroup,
)
from mls_federation.client.state import MOST_PAST_EPOCHS, RETENTION, ClientState
from mls_federation.client.state_codec import decode_state, encode_state
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import (
    DecodeError,
    EpochError,
    MLSError,
    RemoteError,
    StateError,
    UnsupportedError,
    ValidationError,
    VerificationError,
)
from mls_federation.federation import devices
from mls_federation.federation.group_agreement import GROUP_AGREEMENT
from mls_federation.federation.identity import identity_extension
from mls_federation.mls import (
    Group,
    KeyPackage,
    MLSMessage,
    PrivateMessage,
    WireFormat,
    add,
    commit,
    create_key_package,
    decode_message,
    group_info,
    join_by_external_commit,
    mls_message,
    propose,
    propose_to_be_added,
    remove,
    send_application_data,
)
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.nodes import Capabilities, Lifetime, ProtocolVersion
from mls_federation.mls.tree_math import node_of
from tests.support.devices import admission, another_device, claim_of
from tests.support.network import NOW, Peer, deliver, enveloped, group_of, message_of, messages_for, of_type

SUITE = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
CHACHA = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


@pytest.fixture
def alice(provider: CryptoProvider) -> Peer:
    return Peer(provider, "alice@a.example")


@pytest.fixture
def bob(provider: CryptoProvider) -> Peer:
    return Peer(provider, "bob@b.example")


@pytest.fixture
def carol(provider: CryptoProvider) -> Peer:
    return Peer(provider, "carol@c.example")


@pytest.fixture
def dave(provider: CryptoProvider) -> Peer:
    return Peer(provider, "dave@b.example")


def sent_by(sender: Peer, group_id: bytes, data: bytes) -> bytes:
    """A message, in transit."""
    sender.send(group_id, data)
    return message_of(sender.post()[-1])


def shown(events: Sequence[Event]) -> list[tuple[str, bytes]]:
    """Who said what."""
    return [(event.sender, event.data) for event in of_type(events, MessageReceived)]


def refusal(events: Sequence[Event]) -> MessageRefused:
    """The only thing that happened."""
    [event] = events
    assert isinstance(event, MessageRefused)
    return event


def assert_refused(peer: Peer, message: bytes, code: str, kind: type[MLSError]) -> None:
    """The message is refused so, for good, and changes nothing but the cursor."""
    before = peer.state
    event = refusal(peer.take(message))
    assert (kind, code) == (type(event.error), event.error.code)
    assert not event.held
    assert before == dataclasses.replace(peer.state, cursor=before.cursor)
    assert peer.state.cursor == before.cursor + 1


# -- the way it should go


def assert_kept(peer: Peer, message: bytes) -> None:
    """Nothing opens it, so it may be of a branch of the group that is not known yet."""
    before = peer.state.groups
    event = refusal(peer.take(message))
    assert (VerificationError, "decryption-failed", True) == (type(event.error), event.error.code, event.held)
    assert before == {
        known: dataclasses.replace(state, held=(), stuck_since=None)
        for known, state in peer.state.groups.items()
    }


def test_two_people_talk(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.send(group_id, b"hello")
    deliver(alice, bob)
    bob.send(group_id, b"hello yourself")
    deliver(bob, alice)

    assert [GroupJoined(group_id)] == bob.events[:1]
    assert shown(bob.events) == [("alice@a.example", b"hello")]
    assert shown(alice.events) == [("bob@b.example", b"hello yourself")]


def test_the_others_are_told_who_came_and_went(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.add(group_id, carol)
    deliver(alice, bob, carol)
    alice.remove(group_id, "carol@c.example")
    deliver(alice, bob, carol)
    bob.renew(group_id)
    deliver(bob, alice)

    assert [
        EpochChanged(group_id, 2, ("carol@c.example",), ()),
        EpochChanged(group_id, 3, (), ("carol@c.example",)),
    ] == of_type(bob.events, EpochChanged)
    assert [EpochChanged(group_id, 4, (), ())] == alice.events
    assert [GroupJoined(group_id), RemovedFromGroup(group_id)] == carol.events
    assert carol.state.groups == {}


def test_a_commit_goes_out_before_the_welcome_and_both_before_what_follows(
    alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob)
    alice.add(group_id, carol)
    alice.send(group_id, b"welcome")

    outbox = alice.post()

    assert [(outgoing.domain,) for outgoing in outbox] == [
        ("b.example",),
        ("c.example",),
        ("b.example",),
        ("c.example",),
    ]
    kinds = [MLSMessage.decode(message_of(outgoing)).wire_format for outgoing in outbox]
    assert kinds == [
        WireFormat.mls_private_message,
        WireFormat.mls_welcome,
        WireFormat.mls_private_message,
        WireFormat.mls_private_message,
    ]


def test_a_message_goes_once_to_each_domain(alice: Peer, bob: Peer, carol: Peer, dave: Peer) -> None:
    group_id = group_of(alice, bob, carol, dave)
    alice.send(group_id, b"all of you")

    outbox = alice.post()

    assert [(outgoing.domain, outgoing.recipients) for outgoing in outbox] == [
        ("b.example", ("bob@b.example", "dave@b.example")),
        ("c.example", ("carol@c.example",)),
    ]
    assert len({outgoing.message for outgoing in outbox}) == 1


def test_those_who_left_get_their_removal_and_nothing_after(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    alice.remove(group_id, "bob@b.example")
    alice.send(group_id, b"he is gone")
    assert len(messages_for(alice.post(), "bob@b.example")) == 1


# -- out of order


def test_a_message_of_an_epoch_to_come_is_kept_and_read_then(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    bob.renew(group_id)
    [renewal] = messages_for(bob.post(), "carol@c.example")
    early = sent_by(bob, group_id, b"early")

    event = refusal(carol.take(early))
    assert (EpochError, "future-epoch", True) == (type(event.error), event.error.code, event.held)

    events = carol.take(renewal)
    assert [EpochChanged, MessageReceived] == [type(event) for event in events]
    assert shown(events) == [("bob@b.example", b"early")]
    assert carol.group(group_id).held == ()


def test_commits_in_the_opposite_order(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    messages = []
    for number in range(4):
        alice.renew(group_id)
        alice.send(group_id, b"%d" % number)
        messages += messages_for(alice.post(), "bob@b.example")

    for message in messages[:0:-1]:
        assert refusal(bob.take(message)).held
    events = bob.take(messages[0])

    assert [event.epoch for event in of_type(events, EpochChanged)] == [2, 3, 4, 5]
    assert {b"0", b"1", b"2", b"3"} == {data for _, data in shown(events)}
    assert len(events) == 8
    assert bob.group(group_id).group.epoch_authenticator == alice.group(group_id).group.epoch_authenticator


def test_messages_before_the_welcome(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, carol)
    alice.add(group_id, bob)
    outbox = alice.post()
    [welcome] = messages_for(outbox, "bob@b.example")
    [addition] = messages_for(outbox, "carol@c.example")
    carol.take(addition)
    carol.renew(group_id)
    [renewal] = messages_for(carol.post(), "bob@b.example")
    early = sent_by(carol, group_id, b"early")

    for message in (early, renewal):
        event = refusal(bob.take(message))
        assert (EpochError, "unknown-group", True) == (type(event.error), event.error.code, event.held)
    events = bob.take(welcome)

    assert [GroupJoined, EpochChanged, MessageReceived] == [type(event) for event in events]
    assert shown(events) == [("carol@c.example", b"early")]
    assert bob.state.strays == ()


def test_strays_of_other_groups_stay_when_a_welcome_comes(alice: Peer, bob: Peer, carol: Peer) -> None:
    first, second = group_of(alice, carol), group_of(carol, alice)
    stray = sent_by(carol, second, b"not yet")
    assert refusal(bob.take(stray)).held

    alice.add(first, bob)
    deliver(alice, bob, carol)

    assert (enveloped(stray),) == bob.state.strays


def test_a_late_message_is_still_read(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    late = sent_by(bob, group_id, b"late")
    for _ in range(3):
        alice.renew(group_id)

    [event] = alice.take(late)

    assert isinstance(event, MessageReceived)
    assert (event.sender, event.epoch, event.data) == ("bob@b.example", 1, b"late")


def test_a_message_that_is_too_late_is_refused(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    late = sent_by(bob, group_id, b"late")
    for _ in range(RETENTION.epochs):
        alice.renew(group_id)
    deliver(alice, bob)
    alice.take(sent_by(bob, group_id, b"in the present epoch"))
    alice.renew(group_id)
    assert_refused(alice, late, "epoch-forgotten", EpochError)


def test_commits_of_our_own_do_not_erase_what_the_messages_in_our_inbox_need(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    waiting = [sent_by(bob, group_id, b"1"), sent_by(bob, group_id, b"2")]
    for _ in range(2 * RETENTION.epochs):
        alice.renew(group_id)
        deliver(alice, bob)
        waiting.append(sent_by(bob, group_id, b"later"))
    # Not even if the client ends in between.
    alice.state = decode_state(alice.provider, encode_state(alice.state))
    read = []
    for message in waiting:
        alice.renew(group_id)
        read += [data for _, data in shown(alice.take(message))]
    assert read == [b"1", b"2"] + [b"later"] * 2 * RETENTION.epochs
    deliver(alice, bob)
    alice.take(sent_by(bob, group_id, b"in the present epoch"))
    alice.renew(group_id)
    assert len(alice.group(group_id).group.past_epochs) == RETENTION.epochs


def test_of_epochs_of_our_own_no_more_than_so_many_are_kept(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    late = sent_by(bob, group_id, b"late")
    for _ in range(MOST_PAST_EPOCHS + 1):
        alice.renew(group_id)
    assert len(alice.group(group_id).group.past_epochs) == MOST_PAST_EPOCHS
    assert len(alice.group(group_id).past_identities) == MOST_PAST_EPOCHS
    assert_refused(alice, late, "epoch-forgotten", EpochError)


def test_a_late_message_of_somebody_whose_leaf_has_another_member_now(
    alice: Peer, bob: Peer, carol: Peer, dave: Peer
) -> None:
    group_id = group_of(alice, bob, carol)
    late = sent_by(bob, group_id, b"these were my last words")
    alice.remove(group_id, "bob@b.example")
    deliver(alice, carol)
    alice.add(group_id, dave)
    deliver(alice, carol, dave)
    [leaf] = [leaf for leaf, who in alice.group(group_id).identities.items() if who.identity == dave.identity]

    for peer in (alice, carol):
        [event] = peer.take(late)
        assert isinstance(event, MessageReceived)
        assert ("bob@b.example", leaf, 1) == (event.sender, event.sender_leaf, event.epoch)
    assert_later(dave, late)


def assert_later(peer: Peer, message: bytes) -> None:
    """The newcomer has none of the keys of before; but it may have been welcomed to a branch that loses."""
    event = refusal(peer.take(message))
    assert (event.error.code, event.held) == ("epoch-forgotten", True)


def test_what_is_kept_is_bounded(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.renew(group_id)
    [renewal] = messages_for(alice.post(), "bob@b.example")
    early = [sent_by(alice, group_id, b"%d" % number) for number in range(MAX_HELD + 1)]

    assert [refusal(bob.take(message)).held for message in early] == [True] * MAX_HELD + [False]
    events = bob.take(renewal)

    assert {b"%d" % number for number in range(MAX_HELD)} == {data for _, data in shown(events)}


def test_of_strays_the_latest_are_kept(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, carol)
    strays = [sent_by(alice, group_id, b"%d" % number) for number in range(MAX_HELD + 2)]
    for stray in strays:
        bob.take(stray)
    assert tuple(map(enveloped, strays[2:])) == bob.state.strays


def test_large_messages_are_kept_up_to_so_many_octets(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.renew(group_id)
    alice.post()
    large = [sent_by(alice, group_id, bytes(MAX_HELD_OCTETS // 4)) for _ in range(5)]

    assert [refusal(bob.take(message)).held for message in large] == [True] * 3 + [False] * 2
    for message in large:
        assert refusal(carol.take(message)).held
    assert tuple(map(enveloped, large[2:])) == carol.state.strays


def test_removed_and_added_again_in_the_opposite_order(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Two people change the group, and what the second did reaches bob first."""
    group_id = group_of(alice, bob, carol)
    alice.remove(group_id, "bob@b.example")
    outbox = alice.post()
    carol.take(messages_for(outbox, "carol@c.example")[0])
    carol.add(group_id, bob)
    [welcome] = messages_for(carol.post(), "bob@b.example")

    [event] = bob.take(welcome)
    assert event == EpochChanged(group_id, 3, (), ())
    assert bob.take(messages_for(outbox, "bob@b.example")[0]) == []

    assert carol.group(group_id).group.epoch_authenticator == bob.group(group_id).group.epoch_authenticator


# -- again


def test_a_replayed_message_is_shown_once(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    message = sent_by(alice, group_id, b"once")
    bob.take(message)
    for _ in range(2):
        assert_refused(bob, message, "replayed", EpochError)


def test_a_replayed_message_of_a_past_epoch(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    message = sent_by(alice, group_id, b"once")
    alice.renew(group_id)
    deliver(alice, bob)
    assert shown(bob.take(message)) == [("alice@a.example", b"once")]
    assert_refused(bob, message, "replayed", EpochError)


def test_an_early_message_that_came_twice_is_shown_once(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.renew(group_id)
    [renewal] = messages_for(alice.post(), "bob@b.example")
    early = sent_by(alice, group_id, b"once")
    for _ in range(2):
        assert refusal(bob.take(early)).held

    events = bob.take(renewal)

    assert shown(events) == [("alice@a.example", b"once")]
    [again] = of_type(events, MessageRefused)
    assert again.error.code == "replayed"


def test_a_replayed_commit(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.renew(group_id)
    [renewal] = messages_for(alice.post(), "bob@b.example")
    bob.take(renewal)
    assert_refused(bob, renewal, "replayed", EpochError)


def test_a_replayed_welcome(alice: Peer, bob: Peer) -> None:
    group_id = alice.begin()
    alice.add(group_id, bob)
    [welcome] = messages_for(alice.post(), "bob@b.example")
    bob.take(welcome)
    assert_refused(bob, welcome, "already-joined", ValidationError)


def test_a_replayed_welcome_to_keys_of_last_resort(alice: Peer, bob: Peer) -> None:
    bob.publish(last_resort=True)
    group_id = alice.begin()
    alice.add(group_id, bob)
    [welcome] = messages_for(alice.post(), "bob@b.example")
    bob.take(welcome)
    alice.send(group_id, b"go on")
    deliver(alice, bob)
    assert_refused(bob, welcome, "already-joined", ValidationError)


def test_last_resort_keys_serve_for_several_groups(alice: Peer, bob: Peer, carol: Peer) -> None:
    bob.publish(last_resort=True)
    first, second = group_of(alice, bob), group_of(carol, bob)
    for friend, group_id in ((alice, first), (carol, second)):
        friend.send(group_id, b"hi")
        deliver(friend, bob)

    assert shown(bob.events) == [("alice@a.example", b"hi"), ("carol@c.example", b"hi")]
    assert [key_set.last_resort for key_set in bob.state.key_sets] == [True]


def test_keys_for_one_use_are_gone_after_it(alice: Peer, bob: Peer) -> None:
    bob.publish()
    bob.publish()
    assert len(bob.state.key_sets) == 2
    group_of(alice, bob)
    assert len(bob.state.key_sets) == 1


# -- our own


def second_client(provider: CryptoProvider, first: Peer) -> Peer:
    """Another client of an identity, with a key of its own, which the first has admitted."""
    return Peer(provider, first.identity, another_device(provider, first.state.account))


def test_what_fanout_brings_back_to_its_sender_is_passed_over(
    provider: CryptoProvider, alice: Peer, bob: Peer
) -> None:
    laptop = second_client(provider, bob)
    group_id = group_of(alice, bob, laptop)
    bob.events.clear()
    bob.send(group_id, b"from my phone")
    bob.renew(group_id)
    bob.send(group_id, b"and again")
    deliver(bob, alice, laptop, bob)

    assert shown(laptop.events) == [("bob@b.example", b"from my phone"), ("bob@b.example", b"and again")]
    assert bob.events == []


def test_all_clients_of_an_identity_come_and_go_together(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    laptop = second_client(provider, bob)
    group_id = group_of(alice, carol)
    alice.add(group_id, bob, laptop)
    deliver(alice, bob, laptop, carol)
    assert [EpochChanged(group_id, 2, ("bob@b.example", "bob@b.example"), ())] == carol.events[1:]

    alice.remove(group_id, "bob@b.example")
    deliver(alice, bob, laptop, carol)
    assert {} == bob.state.groups == laptop.state.groups
    assert sorted(carol.group(group_id).identities) == [0, 1]


def test_the_outbox_is_not_touched_by_what_arrives(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    bob.send(group_id, b"waits")
    waiting = bob.state.outbox
    alice.send(group_id, b"hello")
    alice.renew(group_id)
    deliver(alice, bob)
    assert waiting == bob.state.outbox


# -- malformed, forged, not for us


def test_every_truncation_is_refused(alice: Peer, bob: Peer) -> None:
    group_id = alice.begin()
    alice.add(group_id, bob)
    [welcome] = messages_for(alice.post(), "bob@b.example")
    for length in range(0, len(welcome), 11):
        assert_refused(bob, welcome[:length], "malformed", DecodeError)
    bob.take(welcome)
    message = sent_by(alice, group_id, b"hello")
    for length in range(len(message)):
        assert_refused(bob, message[:length], "malformed", DecodeError)
    assert_refused(bob, message + b"\x00", "malformed", DecodeError)
    assert shown(bob.take(message)) == [("alice@a.example", b"hello")]


@given(octets=st.binary(max_size=300), like_a_message=st.booleans())
def test_whatever_octets_arrive_it_is_an_event(
    provider: CryptoProvider, octets: bytes, like_a_message: bool
) -> None:
    bob = Peer(provider, "bob@b.example")
    # MLS 1.0, and the wire format of one kind of message or another.
    prefix = b"\x00\x01\x00" + bytes([len(octets) % 7]) if like_a_message else b""
    event = refusal(bob.take(prefix + octets))
    assert isinstance(event.error, RemoteError)


def octets_changed(message: bytes, step: int) -> Iterator[bytes]:
    """The message with one bit wrong, at one place after the other."""
    for place in range(0, len(message), step):
        changed = bytearray(message)
        changed[place] ^= 1 << (place % 8)
        yield bytes(changed)


@pytest.mark.parametrize("kind", ["application", "commit", "welcome"])
def test_one_wrong_bit_anywhere_is_refused(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer, kind: str
) -> None:
    """Whatever is wrong, it is an event: nothing that arrives makes the client fail, or changes a group."""
    group_id = group_of(alice, bob)
    receiver = bob
    if kind == "application":
        message = sent_by(alice, group_id, b"hello")
    else:
        alice.add(group_id, carol)
        outbox = alice.post()
        receiver = bob if kind == "commit" else carol
        [message] = messages_for(outbox, receiver.identity)
    before = receiver.state

    for changed in octets_changed(message, 1 if kind == "application" else 9):
        receiver.state = before
        event = refusal(receiver.take(changed))
        assert isinstance(event.error, MLSError)
        assert before.groups == {
            known: dataclasses.replace(state, held=(), stuck_since=None)
            for known, state in receiver.state.groups.items()
        }
        assert before.key_sets == receiver.state.key_sets

    receiver.state = before
    assert not of_type(receiver.take(message), MessageRefused)


def test_a_message_moved_to_another_group(alice: Peer, bob: Peer) -> None:
    first, second = group_of(alice, bob), group_of(alice, bob)
    body = decode_message(sent_by(alice, first, b"hello"))
    assert isinstance(body, PrivateMessage)
    moved = mls_message(replace(body, group_id=second)).encode()
    assert_kept(bob, moved)


def test_a_message_of_a_group_that_we_are_not_in(alice: Peer, bob: Peer, carol: Peer) -> None:
    message = sent_by(alice, group_of(alice, carol), b"not for bob")
    event = refusal(bob.take(message))
    assert (EpochError, "unknown-group", True) == (type(event.error), event.error.code, event.held)
    assert shown(bob.events) == []


def test_somebody_outside_cannot_read_nor_speak(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Eve begins a group of the same id; what she sends there is nothing in ours, and ours nothing in hers."""
    group_id = group_of(alice, bob)
    carol.begin(group_id=group_id)
    carol.renew(group_id)
    hers = send_application_data(carol.group(group_id).group, b"let me in").message
    ours = sent_by(alice, group_id, b"a secret")
    assert carol.group(group_id).group.epoch == bob.group(group_id).group.epoch

    assert_kept(bob, hers)
    assert_kept(carol, ours)


def test_somebody_who_was_removed_cannot_read(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    outside = bob.state
    alice.remove(group_id, "bob@b.example")
    deliver(alice, bob, carol)
    message = sent_by(alice, group_id, b"a secret")
    assert refusal(bob.take(message)).held

    bob.state = outside  # he did not delete his keys
    event = refusal(bob.take(message))
    assert event.error.code == "future-epoch"


def test_what_is_no_message_for_a_client(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    package = mls_message(alice.bundle().key_package).encode()
    info = mls_message(group_info(alice.group(group_id).group)).encode()
    for message in (package, info):
        assert_refused(bob, message, "unexpected-message", UnsupportedError)


def test_a_welcome_for_somebody_else(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = alice.begin()
    alice.add(group_id, bob)
    [welcome] = messages_for(alice.post(), "bob@b.example")
    assert_refused(carol, welcome, "not-for-us", ValidationError)


@pytest.mark.rule("12.4.3-03")
def test_a_welcome_cannot_replace_a_group(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Whoever knows a group's id could else put bob into one of theirs."""
    group_id = group_of(alice, bob)
    ours = bob.group(group_id)
    carol.begin(group_id=group_id)
    carol.add(group_id, bob)
    deliver(carol, bob)

    assert ours.group.epoch_authenticator == bob.group(group_id).group.epoch_authenticator
    alice.send(group_id, b"still here")
    deliver(alice, bob)
    assert shown(bob.events) == [("alice@a.example", b"still here")]


def test_a_group_that_is_in_another_suite_than_the_keys(alice: Peer, bob: Peer) -> None:
    group_id = alice.begin(CHACHA)
    before = alice.state
    with pytest.raises(ValidationError) as caught:
        alice.state = _add_by(alice, group_id, bob, SUITE)
    assert caught.value.code == "wrong-cipher-suite"
    assert before == alice.state


def _add_by(peer: Peer, group_id: bytes, other: Peer, suite: CipherSuite) -> ClientState:

    return session.add_clients(peer.provider, peer.state, group_id, [other.bundle(suite)], NOW)


# -- who is who


def committed(peer: Peer, group: Group, *additions: KeyPackage) -> bytes:
    """A commit that the engine makes as it is told, without the session's care."""
    return commit(group, [add(package) for package in additions], now=NOW).message


def disguised(peer: Peer, group_id: bytes, account: Account) -> Group:
    """A member's group with its own leaf under another name, vouched for by that account's key."""
    group = peer.group(group_id).group
    leaf = replace(
        group.own_leaf_node,
        credential=basic_credential(account.identity.encode()),
        extensions=(
            identity_extension(
                peer.provider,
                account.credential,
                account.identity_key,
                group.cipher_suite,
                group.own_leaf_node.signature_key,
                account.lineage,
            ),
        ),
    )
    tree = group.tree.copy()
    tree.set_node(node_of(group.own_leaf), leaf)
    return dataclasses.replace(group, tree=tree)


@pytest.mark.rule("5.3.1-07")
def test_a_member_keeps_its_identity_key(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob, carol)
    somebody = new_account(provider, "bob@b.example")
    message = committed(bob, disguised(bob, group_id, somebody))
    assert_refused(alice, message, "identity-changed", ValidationError)


def test_a_member_stays_the_device_that_it_is(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob, carol)
    laptop = another_device(provider, bob.state.account)
    message = committed(bob, disguised(bob, group_id, laptop))
    assert_refused(alice, message, "identity-changed", ValidationError)


def test_a_leaf_with_somebody_elses_lineage(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    """Bob says that carol has admitted him; and somebody under carol's name that they are her tablet."""
    group_id = group_of(alice, bob, carol)
    tablet = another_device(provider, carol.state.account)
    borrowed = dataclasses.replace(bob.state.account, lineage=tablet.lineage)
    message = committed(bob, disguised(bob, group_id, borrowed))
    assert_refused(alice, message, "bad-lineage", ValidationError)

    impostor = dataclasses.replace(new_account(provider, carol.identity), lineage=tablet.lineage)
    package = new_key_package(provider, impostor, SUITE, NOW).key_package
    message = committed(bob, bob.group(group_id).group, package)
    assert_refused(alice, message, "bad-lineage", ValidationError)


def test_whoever_joins_verifies_each_admission_once(
    provider: CryptoProvider, alice: Peer, bob: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices that one device has admitted share the beginning of their lineage."""
    laptop = second_client(provider, bob)
    events = [claim_of(provider, bob.state.account), *laptop.state.account.lineage]
    further = []
    for _ in range(4):
        new = new_account(provider, bob.identity)
        event = admission(provider, events, new, laptop.state.account)
        lineage = (*laptop.state.account.lineage, event)
        further.append(Peer(provider, bob.identity, dataclasses.replace(new, lineage=lineage)))
    group_id = alice.begin()
    alice.add(group_id, bob, laptop, *further)
    seen: list[devices.DeviceEvent] = []
    verify_event = devices.verify_event

    def counted(by: CryptoProvider, event: devices.DeviceEvent) -> None:
        seen.append(event)
        verify_event(by, event)

    monkeypatch.setattr(devices, "verify_event", counted)
    deliver(alice, bob)
    assert len(bob.group(group_id).identities) == 7
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.rule("5.3.1-07")
def test_a_member_keeps_its_name(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Bob's own key vouches that he is dave; his leaf stays his."""
    group_id = group_of(alice, bob, carol)
    renamed = dataclasses.replace(bob.state.account, identity="dave@b.example")
    message = committed(bob, disguised(bob, group_id, renamed))
    assert_refused(alice, message, "not-a-successor", ValidationError)


def test_a_member_cannot_drop_its_identity(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    group = bob.group(group_id).group
    tree = group.tree.copy()
    tree.set_node(node_of(group.own_leaf), replace(group.own_leaf_node, extensions=()))
    message = committed(bob, dataclasses.replace(group, tree=tree))
    assert_refused(alice, message, "no-federation-identity", ValidationError)


def plain_key_package(provider: CryptoProvider, identity: str) -> KeyPackage:
    """Of a client that knows RFC 9420 and nothing of the federation."""
    suite = crypto(provider, SUITE)
    return create_key_package(
        suite,
        credential=basic_credential(identity.encode()),
        signature_key=suite.generate_signature_key(),
        capabilities=Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=(SUITE,),
            extensions=(GROUP_AGREEMENT,),
            proposals=(),
            credentials=(CredentialType.basic,),
        ),
        lifetime=Lifetime(not_before=NOW - CLOCK_TOLERANCE, not_after=NOW + KEY_LIFETIME),
    ).key_package


def test_nobody_comes_in_without_a_federation_identity(
    provider: CryptoProvider, alice: Peer, bob: Peer
) -> None:
    group_id = group_of(alice, bob)
    plain = plain_key_package(provider, "carol@c.example")
    message = committed(alice, alice.group(group_id).group, plain)
    assert_refused(bob, message, "no-federation-identity", ValidationError)


def test_a_welcome_into_a_group_with_somebody_unknown(
    provider: CryptoProvider, alice: Peer, bob: Peer
) -> None:
    group_id = alice.begin()
    group = commit(
        alice.group(group_id).group, [add(plain_key_package(provider, "carol@c.example"))], now=NOW
    ).group
    welcome = commit(group, [add(bob.bundle().key_package)], now=NOW).welcome
    assert welcome is not None
    assert_refused(bob, welcome, "no-federation-identity", ValidationError)
    assert len(bob.state.key_sets) == 1


def test_an_added_leaf_that_another_key_vouches_for(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob)
    forged = new_key_package(
        provider,
        Account(
            "carol@c.example",
            carol.state.account.client_id,
            carol.state.account.scheme,
            # The public key of carol's account, and a private key that is not its other half.
            dataclasses.replace(
                carol.state.account.identity_key, private_key=alice.state.account.identity_key.private_key
            ),
        ),
        SUITE,
        NOW,
    )
    message = committed(alice, alice.group(group_id).group, forged.key_package)
    assert_refused(bob, message, "bad-leaf-identity", VerificationError)


def test_a_name_that_is_in_the_group_is_not_taken_by_a_key_that_it_did_not_admit(
    provider: CryptoProvider, alice: Peer, bob: Peer, carol: Peer
) -> None:
    """Two members of one name who are not the same person: nobody could tell whose words are whose."""
    group_id = group_of(alice, bob, carol)
    impostor = new_key_package(provider, new_account(provider, "carol@c.example"), SUITE, NOW)
    message = committed(alice, alice.group(group_id).group, impostor.key_package)
    assert_refused(bob, message, "identity-conflict", ValidationError)


def test_nobody_is_added_under_a_name_that_is_in_the_group(
    provider: CryptoProvider, alice: Peer, bob: Peer
) -> None:
    group_id = group_of(alice, bob)
    before = alice.state
    with pytest.raises(ValidationError) as caught:
        alice.add(group_id, Peer(provider, "bob@b.example"))
    assert caught.value.code == "identity-conflict"
    assert before == alice.state


def test_devices_that_are_missing_are_added(provider: CryptoProvider, alice: Peer, bob: Peer) -> None:
    """As when somebody gets a new device while they are in groups already."""
    laptop, tablet = second_client(provider, bob), second_client(provider, alice)
    group_id = group_of(alice, bob)
    bob.add(group_id, bob, laptop)
    deliver(bob, alice, laptop)
    alice.add(group_id, tablet)
    deliver(alice, bob, laptop, tablet)
    for peer in (alice, bob, laptop, tablet):
        names = [who.identity for _, who in sorted(peer.group(group_id).identities.items())]
        assert names == ["alice@a.example", "bob@b.example", "bob@b.example", "alice@a.example"]
        roots = {(who.identity, who.root_key) for who in peer.group(group_id).identities.values()}
        assert len(roots) == 2

    before = alice.state
    with pytest.raises(StateError) as caught:
        alice.add(group_id, bob, laptop)
    assert caught.value.code == "already-member"
    assert before == dataclasses.replace(alice.state, key_sets=before.key_sets)


def test_two_clients_of_one_name_with_different_keys_are_not_added(
    provider: CryptoProvider, alice: Peer
) -> None:
    """As when a service puts a client of its own beside somebody's."""
    group_id = alice.begin()
    before = alice.state
    with pytest.raises(ValidationError) as caught:
        alice.add(group_id, Peer(provider, "bob@b.example"), Peer(provider, "bob@b.example"))
    assert caught.value.code == "identity-conflict"
    assert before == alice.state


# -- proposals of others


def test_a_proposal_is_kept_for_the_commit_that_names_it(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    leaf = next(
        leaf for leaf, who in bob.group(group_id).identities.items() if who.identity == carol.identity
    )
    sent = propose(bob.group(group_id).group, remove(leaf))
    bob.state = bob.state.with_group(dataclasses.replace(bob.group(group_id), group=sent.group))

    assert alice.take(sent.message) == []
    assert carol.take(sent.message) == []
    alice.renew(group_id)
    deliver(alice, bob, carol)

    assert [EpochChanged(group_id, 2, (), ("carol@c.example",))] == of_type(bob.events, EpochChanged)
    assert RemovedFromGroup(group_id) == carol.events[-1]
    assert {"alice@a.example", "bob@b.example"} == {
        who.identity for who in alice.group(group_id).identities.values()
    }


def test_whom_a_member_proposed_to_add_is_welcomed(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob)
    sent = propose(bob.group(group_id).group, add(carol.bundle().key_package))
    bob.state = bob.state.with_group(dataclasses.replace(bob.group(group_id), group=sent.group))
    alice.take(sent.message)
    alice.renew(group_id)
    deliver(alice, bob, carol)

    assert [EpochChanged(group_id, 2, ("carol@c.example",), ())] == of_type(bob.events, EpochChanged)
    assert carol.events == [GroupJoined(group_id)]


@pytest.mark.rule("12.1.8-04")
def test_nobody_outside_can_propose_to_come_in(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Whoever sees ciphertext pass knows group and epoch: that is enough to propose, and must not be to get in."""
    group_id = group_of(alice, bob)
    group = alice.group(group_id).group
    own = new_key_package(carol.provider, carol.state.account, SUITE, NOW)
    knock = propose_to_be_added(group.crypto, group_id, group.epoch, own)

    assert_refused(alice, knock, "sender-not-allowed", ValidationError)
    alice.send(group_id, b"go on")
    alice.renew(group_id)
    deliver(alice, bob)
    assert [who.identity for who in bob.group(group_id).identities.values()] == [
        "alice@a.example",
        "bob@b.example",
    ]


@pytest.mark.rule("12.2-18")
def test_nobody_removes_another_by_joining(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Even whom a member has shown the group to: an external commit may name any leaf as the one that it replaces."""
    group_id = group_of(alice, bob)
    group = alice.group(group_id).group
    own = new_key_package(carol.provider, carol.state.account, SUITE, NOW)
    info = group_info(group, with_external_pub=True)
    usurped = bob.group(group_id).group.own_leaf
    pending = join_by_external_commit(
        group.crypto, info, own, now=NOW, replacing=usurped, check_successor=lambda *_: None
    )

    for member in (alice, bob):
        assert_refused(member, pending.message, "sender-not-allowed", ValidationError)


# -- commands that cannot be


def test_commands_that_are_refused_change_nothing(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    before = alice.state
    for command, code in (
        (lambda: alice.remove(group_id, "carol@c.example"), "not-a-member"),
        (lambda: alice.remove(group_id, "alice@a.example"), "cannot-remove-self"),
        (lambda: alice.send(b"no such group", b""), "no-such-group"),
        (lambda: alice.renew(b"no such group"), "no-such-group"),
        (lambda: alice.begin(group_id=group_id), "group-exists"),
    ):
        with pytest.raises(StateError) as caught:
            command()
        assert code == caught.value.code
    with pytest.raises(UnsupportedError):
        alice.begin(CipherSuite(0x0A0A))
    assert before == alice.state


def test_a_value_can_be_gone_back_to(alice: Peer, bob: Peer) -> None:
    """A state is a value: the one before a command is as good as it was."""
    group_id = group_of(alice, bob)
    before = alice.state
    alice.renew(group_id)
    alice.send(group_id, b"in an epoch that never was")
    alice.state = before

    alice.renew(group_id)
    alice.send(group_id, b"hello")
    deliver(alice, bob)

    assert shown(bob.events) == [("alice@a.example", b"hello")]


@pytest.mark.rule("2-01")
def test_nothing_secret_is_in_a_states_repr(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    alice.send(group_id, b"a secret that waits in the outbox")
    group = alice.group(group_id).group
    text = repr(alice.state) + repr(alice.group(group_id)) + repr(alice.state.outbox)
    secrets = [
        b"a secret that waits in the outbox",
        group.signature_key,
        alice.state.account.identity_key.private_key,
        *(keys.private_key for keys in group.private_keys.values()),
        *(value for value in dataclasses.asdict(group.secrets).values() if isinstance(value, bytes)),
    ]
    shown_secrets = [
        secret
        for secret in secrets
        if secret not in (b"", group.secrets.epoch_authenticator)
        and (repr(secret)[2:-1] in text or secret.hex() in text)
    ]
    assert shown_secrets == []


def test_application_data_may_be_anything(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    for data in (b"", b"\x00" * 70_000, bytes(range(256))):
        alice.send(group_id, data)
    deliver(alice, bob)
    assert [b"", b"\x00" * 70_000, bytes(range(256))] == [data for _, data in shown(bob.events)]


@pytest.mark.rule("9.1-01")
def test_one_key_is_never_used_twice(alice: Peer, bob: Peer) -> None:
    """Each message of one state after the other is sealed differently, though its data are the same."""
    group_id = group_of(alice, bob)
    messages = [sent_by(alice, group_id, b"the same") for _ in range(20)]
    assert len({message[-24:] for message in messages}) == 20
    assert len(messages_read(bob, messages)) == 20


def messages_read(peer: Peer, messages: Sequence[bytes]) -> list[bytes]:
    """What the peer was shown of them."""
    return [data for message in messages for _, data in shown(peer.take(message))]


def test_a_message_far_ahead_in_its_ratchet_is_bounded(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    group = alice.group(group_id).group
    for _ in range(1001):
        group = send_application_data(group, b"").group
    far = send_application_data(group, b"far").message
    assert_refused(bob, far, "generation-too-far", ValidationError)


def test_keys_of_past_epochs_are_erased_when_their_time_is_over(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob)
    other = group_of(alice, carol)
    late = sent_by(bob, group_id, b"late")
    alice.renew(group_id)
    assert [past.context.epoch for past in alice.group(group_id).group.past_epochs] == [0, 1]
    assert sorted(alice.group(group_id).past_identities) == [0, 1]

    assert RETENTION.seconds is not None
    days = RETENTION.seconds

    # What arrives is of another group, and cannot even be read.
    accepted = accept(alice.provider, alice.state, 100, b"", NOW + days + 1)

    for each in (group_id, other):
        assert accepted.state.group(each).group.past_epochs == ()
        assert accepted.state.group(each).past_identities == {}
    [event] = accept(alice.provider, accepted.state, 101, enveloped(late), NOW).events
    assert isinstance(event, MessageRefused)
    assert event.error.code == "epoch-forgotten"
