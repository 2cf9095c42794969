"""Groups whose commits a service orders: a commit is applied with its receipt, by its maker too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mls_federation.client import ordered, session
from mls_federation.client.accepting import accept_missed, accept_receipt
from mls_federation.client.events import (
    EpochChanged,
    Event,
    GroupJoined,
    MessageReceived,
    MessageRefused,
    OrderingFault,
    ThreadLost,
)
from mls_federation.client.state import RETENTION
from mls_federation.client.state_codec import decode_state, encode_state
from mls_federation.codec import replace as replace_fields
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import RemoteError, StateError, UnsupportedError
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.ordering import GroupInfoResponse, MissedCommits, OrderingReceipt
from mls_federation.mls import PublicMessage, decode_message, group_info, mls_message
from mls_federation.mls.ratchet_tree import encode_tree
from tests.support.network import NOW, Orderer, Peer, deliver, message_of, of_type


@pytest.fixture
def orderer(provider: CryptoProvider) -> Orderer:
    return Orderer(provider)


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
def group_id(orderer: Orderer, alice: Peer, bob: Peer, carol: Peer) -> bytes:
    """A group of the three."""
    made = alice.begin(ordered_by=orderer.ordered_by)
    alice.add(made, bob, carol)
    orderer.order(alice, made)
    deliver(alice, bob, carol)
    return made


def envelopes(sender: Peer, receiver: Peer) -> list[Envelope]:
    """What a client has sent to another."""
    return [
        Envelope.decode(outgoing.message)
        for outgoing in sender.post()
        if receiver.identity in outgoing.recipients
    ]


def refused(events: Sequence[Event]) -> tuple[str, bool]:
    [event] = of_type(events, MessageRefused)
    return event.error.code, event.held


def agree(group_id: bytes, *peers: Peer) -> bool:
    return len({peer.group(group_id).group.epoch_authenticator for peer in peers}) == 1


def test_a_commit_is_applied_when_it_is_ordered(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    assert agree(group_id, alice, bob, carol)
    assert of_type(bob.events, GroupJoined)
    bob.renew(group_id)
    assert bob.post() == ()
    assert bob.group(group_id).group.epoch == 1
    assert orderer.order(bob, group_id) == [EpochChanged(group_id, 2, (), ())]
    assert bob.group(group_id).pending is None
    deliver(bob, alice, carol)
    assert agree(group_id, alice, bob, carol)
    assert alice.group(group_id).group.epoch == 2


def test_commits_travel_as_public_messages(orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer) -> None:
    """Or the service could not check what it orders."""
    alice.renew(group_id)
    orderer.order(alice, group_id)
    [outgoing, *_] = alice.post()
    assert isinstance(decode_message(message_of(outgoing)), PublicMessage)


def test_what_is_said_while_a_commit_waits_arrives(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    alice.renew(group_id)
    alice.send(group_id, b"in the old epoch")
    bob.send(group_id, b"heard while it waits")
    deliver(bob, alice, carol)
    orderer.order(alice, group_id)
    alice.send(group_id, b"in the new one")
    late = alice.post()
    for outgoing in [*late[2:], *late[:2]]:  # the commit overtakes what was said before
        for peer in (bob, carol):
            if peer.identity in outgoing.recipients:
                peer.take_envelope(outgoing.message)
    for peer in (bob, carol):
        said = {event.data for event in of_type(peer.events, MessageReceived)}
        assert {b"in the old epoch", b"in the new one"} <= said
    # A message that was read while the commit waited is not read again.
    before = len(alice.events)
    again = [event for event in alice.events[:before] if isinstance(event, MessageReceived)]
    assert len(again) == 1


def test_who_comes_second_follows_and_commits_again(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer, provider: CryptoProvider
) -> None:
    dave = Peer(provider, "dave@d.example")
    alice.renew(group_id)
    bob.add(group_id, dave)
    orderer.order(alice, group_id)
    assert of_type(orderer.order(bob, group_id), EpochChanged)
    assert session.must_repeat(bob.group(group_id))
    bob.repeat(group_id)
    orderer.order(bob, group_id)
    deliver(alice, bob, carol)
    deliver(bob, alice, carol, dave)
    assert agree(group_id, alice, bob, carol, dave)


def test_an_intent_that_somebody_else_has_fulfilled_is_given_up(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    alice.remove(group_id, carol.identity)
    bob.remove(group_id, carol.identity)
    orderer.order(alice, group_id)
    orderer.order(bob, group_id)
    bob.repeat(group_id)
    assert bob.group(group_id).pending is None
    assert not session.must_repeat(bob.group(group_id))


def test_one_commit_at_a_time(orderer: Orderer, group_id: bytes, alice: Peer) -> None:
    alice.renew(group_id)
    before = alice.state
    with pytest.raises(StateError) as caught:
        alice.renew(group_id)
    assert caught.value.code == "commit-pending"
    assert alice.state == before


def test_a_commit_outlives_a_restart(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    """The service gives the same receipt again, however often it is asked."""
    alice.remove(group_id, carol.identity)
    pending = alice.group(group_id).pending
    assert pending is not None
    receipt = orderer.receipt_of(pending)
    alice.state = decode_state(provider, encode_state(alice.state))
    again = alice.group(group_id).pending
    assert again is not None
    assert ordered.commit_request(again).commit == pending.message
    accepted = accept_receipt(provider, alice.state, group_id, receipt, NOW)
    alice.state = accepted.state
    deliver(alice, bob, carol)
    assert agree(group_id, alice, bob)
    assert group_id not in carol.state.groups


def test_our_own_commit_may_come_back_before_its_answer(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    """We were killed before the answer arrived, and somebody has asked for what it missed and sends it on."""
    alice.renew(group_id)
    pending = alice.group(group_id).pending
    assert pending is not None
    receipt = orderer.receipt_of(pending)
    echo = Envelope(message=pending.message, receipt=receipt).encode()
    assert alice.take_envelope(echo) == [EpochChanged(group_id, 2, (), ())]
    assert alice.take_envelope(echo) == []
    deliver(alice, bob)
    assert agree(group_id, alice, bob)


def test_commits_in_the_opposite_order(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    for _ in range(2):
        alice.renew(group_id)
        orderer.order(alice, group_id)
    first, second = envelopes(alice, bob)
    assert refused(bob.take_envelope(second.encode())) == ("future-epoch", True)
    assert bob.group(group_id).stuck_since == NOW
    assert len(of_type(bob.take_envelope(first.encode()), EpochChanged)) == 2
    assert agree(group_id, alice, bob)
    assert bob.group(group_id).stuck_since is None


def test_a_commit_that_was_withheld_is_asked_for(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    alice.renew(group_id)
    orderer.order(alice, group_id)
    alice.send(group_id, b"early")
    [_, early] = envelopes(alice, bob)
    assert refused(bob.take_envelope(early.encode())) == ("future-epoch", True)
    missed = orderer.missed(bob, group_id)
    accepted = accept_missed(provider, bob.state, group_id, missed, NOW)
    assert [type(event) for event in accepted.events] == [EpochChanged, MessageReceived]
    bob.state = accepted.state
    assert agree(group_id, alice, bob)


def test_what_was_said_between_commits_that_were_asked_for_is_read(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    """Bob commits before he has taken what came while he was away."""
    sent = 2 * RETENTION.epochs
    for number in range(sent):
        alice.send(group_id, str(number).encode())
        alice.renew(group_id)
        orderer.order(alice, group_id)
    bob.renew(group_id)
    orderer.order(bob, group_id)
    assert bob.group(group_id).group.epoch == 1 + sent
    alice.send(group_id, str(sent).encode())

    for envelope in envelopes(alice, bob):
        bob.take_envelope(envelope.encode())

    assert of_type(bob.events, MessageRefused) == []
    assert [event.data for event in of_type(bob.events, MessageReceived)] == [
        str(number).encode() for number in range(sent + 1)
    ]
    assert len(bob.group(group_id).group.past_epochs) == RETENTION.epochs


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"domain": b"b.example"}, "bad-receipt"),
        ({"group_id": b"another"}, "bad-receipt"),
        ({"epoch": 3}, "bad-receipt"),
        ({"commit_hash": bytes(32)}, "bad-receipt"),
        ({"confirmed_transcript_hash": bytes(32)}, "bad-receipt"),
        ({"signature": bytes(64)}, "bad-receipt"),
        (None, "no-receipt"),
    ],
)
def test_a_commit_without_a_good_receipt(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, change: dict[str, object] | None, code: str
) -> None:
    alice.renew(group_id)
    orderer.order(alice, group_id)
    [good] = envelopes(alice, bob)
    assert good.receipt is not None
    bad = None if change is None else replace_fields(good.receipt, **change)
    before = bob.group(group_id)
    assert refused(bob.take_envelope(replace_fields(good, receipt=bad).encode())) == (code, False)
    assert bob.group(group_id) == before
    bob.take_envelope(good.encode())
    assert agree(group_id, alice, bob)


def test_a_receipt_of_another_service(
    provider: CryptoProvider, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    """It says that it is the one, and has another key."""
    alice.renew(group_id)
    pending = alice.group(group_id).pending
    assert pending is not None
    receipt = Orderer(provider).receipt_of(pending)
    with pytest.raises(RemoteError) as caught:
        accept_receipt(provider, alice.state, group_id, receipt, NOW)
    assert caught.value.code == "bad-receipt"
    forged = Envelope(message=pending.message, receipt=receipt).encode()
    assert refused(bob.take_envelope(forged)) == ("bad-receipt", False)


def test_a_signed_receipt_for_an_epoch_that_the_commit_does_not_lead_to(
    orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    alice.renew(group_id)
    pending = alice.group(group_id).pending
    assert pending is not None
    receipt = orderer.receipt(pending.message, group_id, 2, bytes(32))
    forged = Envelope(message=pending.message, receipt=receipt).encode()
    assert refused(bob.take_envelope(forged)) == ("bad-receipt", False)


def test_a_service_that_orders_two_commits_for_one_epoch(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    receipts: list[OrderingReceipt] = []
    for peer in (alice, bob):
        peer.renew(group_id)
        pending = peer.group(group_id).pending
        assert pending is not None
        receipts.append(orderer.receipt_of(pending))
        peer.state = accept_receipt(provider, peer.state, group_id, receipts[-1], NOW).state
    [first], [second] = envelopes(alice, carol), envelopes(bob, carol)
    carol.take_envelope(first.encode())
    [fault] = carol.take_envelope(second.encode())
    assert isinstance(fault, OrderingFault)
    assert (fault.group_id, fault.error.code) == (group_id, "ordering-equivocation")
    assert fault.evidence == (receipts[0], receipts[1])
    # What it has signed for others does not count, nor what it has not signed.
    forged = replace_fields(second, receipt=replace_fields(receipts[1], signature=bytes(64)))
    assert refused(carol.take_envelope(forged.encode()))[0] in ("bad-receipt", "wrong-epoch")


def test_a_welcome_needs_the_receipt_of_its_commit(
    provider: CryptoProvider, orderer: Orderer, alice: Peer, bob: Peer
) -> None:
    group_id = alice.begin(ordered_by=orderer.ordered_by)
    alice.add(group_id, bob)
    orderer.order(alice, group_id)
    [good] = envelopes(alice, bob)
    assert good.receipt is not None
    for receipt, code in (
        (None, "no-receipt"),
        (replace_fields(good.receipt, epoch=2), "bad-receipt"),
        (replace_fields(good.receipt, signature=bytes(64)), "bad-receipt"),
        (replace_fields(good.receipt, confirmed_transcript_hash=bytes(32)), "bad-receipt"),
    ):
        before = bob.state
        assert refused(bob.take_envelope(replace_fields(good, receipt=receipt).encode())) == (code, False)
        assert bob.state == replace(before, cursor=bob.state.cursor)
    assert bob.take_envelope(good.encode()) == [GroupJoined(group_id)]


# -- handing over


def test_another_service_takes_over(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    other = Orderer(provider, "b.example")
    alice.state = session.move_ordering(provider, alice.state, group_id, *other.ordered_by, NOW)
    orderer.order(alice, group_id)
    deliver(alice, bob, carol)
    for peer in (alice, bob, carol):
        known = peer.group(group_id)
        assert known.agreement.domain == b"b.example"
        assert not known.registered
        moved_by = ordered.registration(known, in_session=False).moved_by
        assert moved_by is not None
        assert (moved_by.domain, moved_by.epoch) == (b"a.example", 2)
        assert ordered.registration(known, in_session=True).moved_by is None

    bob.renew(group_id)
    pending = bob.group(group_id).pending
    assert pending is not None
    with pytest.raises(RemoteError) as caught:
        accept_receipt(provider, bob.state, group_id, orderer.receipt_of(pending), NOW)
    assert caught.value.code == "bad-receipt"
    other.order(bob, group_id)
    deliver(bob, alice, carol)
    assert agree(group_id, alice, bob, carol)


def test_who_orders_among_themselves_do_not_hand_over(provider: CryptoProvider, alice: Peer) -> None:
    group_id = alice.begin()
    with pytest.raises(StateError) as caught:
        session.move_ordering(provider, alice.state, group_id, "b.example", bytes(32), NOW)
    assert caught.value.code == "not-ordered"


# -- coming back


def answer(peer: Peer, group_id: bytes) -> GroupInfoResponse:
    """What the service has, by which a member comes back."""
    known = peer.group(group_id)
    info = group_info(known.group, with_tree=False, with_external_pub=True)
    return GroupInfoResponse(
        group_info=mls_message(info).encode(),
        ratchet_tree=encode_tree(known.group.tree),
        receipt=known.receipts.get(known.group.epoch),
    )


def test_a_member_that_lost_the_thread_comes_back(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    for _ in range(3):
        alice.renew(group_id)
        orderer.order(alice, group_id)
    deliver(alice, carol)
    gone = MissedCommits(current_epoch=4, commits=())
    accepted = accept_missed(provider, bob.state, group_id, gone, NOW)
    assert accepted.events == (ThreadLost(group_id),)
    assert accepted.state.group(group_id).lost

    bob.state = ordered.rejoining(provider, accepted.state, group_id, answer(alice, group_id), NOW)
    orderer.order(bob, group_id)
    assert not bob.group(group_id).lost
    deliver(bob, alice, carol)
    assert agree(group_id, alice, bob, carol)
    assert len(alice.group(group_id).identities) == 3
    carol.send(group_id, b"welcome back")
    deliver(carol, alice, bob)
    assert of_type(bob.events, MessageReceived)[-1].data == b"welcome back"


def test_nobody_comes_back_in_the_place_of_another(
    provider: CryptoProvider, orderer: Orderer, group_id: bytes, alice: Peer, bob: Peer, carol: Peer
) -> None:
    """What the service must refuse, the members refuse too."""
    mallory = Peer(provider, "mallory@a.example")
    mallory.state = mallory.state.with_group(alice.group(group_id))
    with pytest.raises(RemoteError) as caught:
        ordered.rejoining(provider, mallory.state, group_id, answer(alice, group_id), NOW)
    assert caught.value.code == "not-a-member"


def test_an_answer_that_is_no_group_info(
    provider: CryptoProvider, group_id: bytes, alice: Peer, bob: Peer
) -> None:
    good = answer(alice, group_id)
    package = mls_message(alice.bundle().key_package).encode()
    for info in (package, answer_of_another_group(alice)):
        with pytest.raises((RemoteError, UnsupportedError)) as caught:
            ordered.rejoining(provider, bob.state, group_id, replace_fields(good, group_info=info), NOW)
        assert caught.value.code == "bad-answer"


def answer_of_another_group(peer: Peer) -> bytes:
    other = peer.begin()
    return mls_message(group_info(peer.group(other).group, with_external_pub=True)).encode()
