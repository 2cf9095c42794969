"""Two commits in one epoch, where members order commits themselves: the smaller transcript hash wins, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mls_federation.client import session
from mls_federation.client.accepting import accept
from mls_federation.client.events import (
    EpochChanged,
    GroupJoined,
    MessageNotDelivered,
    MessageReceived,
    MessageRefused,
    RemovedFromGroup,
    ThreadLost,
)
from mls_federation.client.payload import payload
from mls_federation.client.state import FORK_EPOCHS, FORK_SECONDS
from mls_federation.client.state_codec import decode_state, encode_state
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import StateError
from mls_federation.federation.branches import history_extension, history_of, parting, wins
from mls_federation.federation.group_agreement import agreement_of, ordered_by_service, with_agreement
from mls_federation.mls import change_extensions, commit, send_application_data
from tests.support.network import (
    NOW,
    Orderer,
    Peer,
    deliver,
    enveloped,
    group_of,
    messages_for,
    of_type,
)


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
    return Peer(provider, "dave@d.example")


def name(peer: Peer, group_id: bytes) -> bytes:
    return peer.group(group_id).group.context.confirmed_transcript_hash


def both_commit(group_id: bytes, one: Peer, other: Peer) -> tuple[Peer, Peer]:
    """Both begin an epoch with fresh keys; the winner and the loser."""
    for peer in (one, other):
        peer.renew(group_id)
    first, second = sorted((one, other), key=lambda peer: name(peer, group_id))
    return first, second


def agree(group_id: bytes, *peers: Peer) -> bool:
    return len({peer.group(group_id).group.epoch_authenticator for peer in peers}) == 1


def heard(peer: Peer) -> list[bytes]:
    return [event.data for event in of_type(peer.events, MessageReceived)]


def test_whichever_comes_first_the_smaller_one_wins(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    winner, loser = both_commit(group_id, alice, bob)
    before = carol.state
    [best], [worst] = (messages_for(peer.post(), carol.identity) for peer in (winner, loser))
    for messages in ([best, worst], [worst, best], [worst, best, worst, best]):
        carol.state = before
        for message in messages:
            carol.take(message)
        assert name(carol, group_id) == name(winner, group_id)
    loser.take(best)
    winner.take(worst)
    assert agree(group_id, alice, bob, carol)


def test_the_application_is_told_what_it_comes_to(alice: Peer, bob: Peer, carol: Peer, dave: Peer) -> None:
    """A member who was added by the commit that lost goes, until they are added again."""
    group_id = group_of(alice, bob, carol)
    while True:
        beginning = alice.state, bob.state, dave.state
        alice.add(group_id, dave)
        bob.renew(group_id)
        if name(bob, group_id) < name(alice, group_id):
            break
        alice.state, bob.state, dave.state = beginning
    outbox = alice.post()
    [added] = messages_for(outbox, carol.identity)
    [welcome] = messages_for(outbox, dave.identity)
    dave.take(welcome)
    [renewal] = messages_for(bob.post(), carol.identity)
    assert carol.take(added) == [EpochChanged(group_id, 2, ("dave@d.example",), ())]
    assert carol.take(renewal) == [EpochChanged(group_id, 2, (), ("dave@d.example",))]

    alice.take(renewal)
    assert session.must_repeat(alice.group(group_id))
    alice.repeat(group_id)
    assert not session.must_repeat(alice.group(group_id))
    deliver(alice, bob, carol, dave)
    assert agree(group_id, alice, bob, carol, dave)
    assert len(of_type(dave.events, GroupJoined)) == 1
    assert dave.state.key_sets == ()


def test_what_was_said_on_the_branch_that_lost_is_said_again_and_shown_once(
    alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob, carol)
    winner, loser = both_commit(group_id, alice, bob)
    loser.send(group_id, b"important")
    deliver(loser, carol)
    assert heard(carol) == [b"important"]
    deliver(winner, loser, carol)
    loser.state = decode_state(loser.provider, encode_state(loser.state))
    loser.repeat(group_id)
    deliver(loser, winner, carol)
    assert heard(carol) == heard(winner) == [b"important"]
    assert agree(group_id, alice, bob, carol)


def test_who_is_removed_by_the_commit_that_wins_reports_what_it_said(
    alice: Peer, bob: Peer, carol: Peer
) -> None:
    group_id = group_of(alice, bob, carol)
    while True:
        beginning = alice.state, bob.state
        alice.remove(group_id, bob.identity)
        bob.renew(group_id)
        if name(alice, group_id) < name(bob, group_id):
            break
        alice.state, bob.state = beginning
    bob.send(group_id, b"nobody may have read this")
    [removal] = messages_for(alice.post(), bob.identity)
    events = bob.take(removal)
    assert events == [
        RemovedFromGroup(group_id),
        MessageNotDelivered(group_id, b"nobody may have read this"),
    ]
    assert group_id not in bob.state.groups


def test_who_was_removed_by_a_commit_that_loses_comes_back(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    while True:
        beginning = alice.state, carol.state
        alice.remove(group_id, bob.identity)
        carol.renew(group_id)
        if name(carol, group_id) < name(alice, group_id):
            break
        alice.state, carol.state = beginning
    deliver(alice, bob)
    assert group_id not in bob.state.groups
    with pytest.raises(StateError):
        bob.send(group_id, b"too early")
    bob.state = decode_state(bob.provider, encode_state(bob.state))
    [renewal] = messages_for(carol.post(), bob.identity)
    assert bob.take(renewal) == [GroupJoined(group_id)]
    assert agree(group_id, bob, carol)
    alice.take(renewal)
    alice.repeat(group_id)
    deliver(alice, bob, carol)
    assert group_id not in bob.state.groups
    assert agree(group_id, alice, carol)


def test_an_intent_is_given_up_when_somebody_else_has_done_it(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    for peer in (alice, bob):
        peer.remove(group_id, carol.identity)
    winner, loser = sorted((alice, bob), key=lambda peer: name(peer, group_id))
    deliver(winner, loser)
    loser.post()
    loser.repeat(group_id)
    assert loser.post() == ()
    assert agree(group_id, alice, bob)


def test_commits_of_a_branch_that_is_not_known_wait_for_it(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    winner, loser = both_commit(group_id, alice, bob)
    winner.renew(group_id)
    first, second = messages_for(winner.post(), carol.identity)
    deliver(loser, carol)
    [event] = carol.take(second)
    assert isinstance(event, MessageRefused)
    assert event.held
    assert carol.group(group_id).stuck_since == NOW
    carol.take(first)
    assert agree(group_id, winner, carol)
    assert carol.group(group_id).held == ()
    assert carol.group(group_id).stuck_since is None


def test_what_is_said_again_is_said_before_what_is_new(alice: Peer, bob: Peer, carol: Peer) -> None:
    """However long the loser waits with saying it again: everybody reads it in the order in which it was said."""
    group_id = group_of(alice, bob, carol)
    winner, loser = both_commit(group_id, alice, bob)
    for number in range(3):
        loser.send(group_id, b"%d" % number)
    loser.post()  # gets lost on the way, as far as the others are concerned
    deliver(winner, loser, carol)
    loser.send(group_id, b"new")
    assert not loser.group(group_id).again
    deliver(loser, winner, carol)
    for reader in (winner, carol):
        assert heard(reader) == [b"0", b"1", b"2", b"new"]


def test_a_message_of_a_replayed_epoch_is_not_shown_again(alice: Peer, bob: Peer, carol: Peer) -> None:
    """Going back must not bring back the keys of what was read."""
    group_id = group_of(alice, bob, carol)
    alice.send(group_id, b"before the fork")
    [message] = messages_for(alice.post(), carol.identity)
    winner, loser = both_commit(group_id, alice, bob)
    deliver(loser, carol)
    carol.take(message)
    deliver(winner, carol)
    [event] = carol.take(message)
    assert isinstance(event, MessageRefused)
    assert event.error.code == "replayed"
    assert heard(carol) == [b"before the fork"]


# -- what is kept


def test_an_epoch_is_closed_when_everybody_was_heard_after_it(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    alice.renew(group_id)
    deliver(alice, bob, carol)
    assert [past.group.epoch for past in alice.group(group_id).line] == [1]
    for peer in (bob, carol):
        peer.send(group_id, b"I am here")
        deliver(peer, alice)
    assert alice.group(group_id).line == ()
    assert alice.group(group_id).sent == ()


def test_the_window_is_bounded_in_epochs_and_time(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    for _ in range(FORK_EPOCHS + 2):
        alice.renew(group_id)
    alice.send(group_id, b"something")
    assert len(alice.group(group_id).line) == FORK_EPOCHS
    kept = alice.state.forgetting(NOW + FORK_SECONDS)
    assert len(kept.group(group_id).line) == FORK_EPOCHS
    gone = alice.state.forgetting(NOW + FORK_SECONDS + 1)
    assert gone.group(group_id).line == ()
    assert gone.group(group_id).sent == ()
    # A commit that comes then has lost, whatever its hash.
    bob.renew(group_id)
    [late] = messages_for(bob.post(), alice.identity)
    accepted = accept(alice.provider, gone, 100, enveloped(late), NOW + FORK_SECONDS + 1)
    assert [event.error.code for event in of_type(accepted.events, MessageRefused)] == ["wrong-epoch"]


def test_what_may_be_undone_is_forgotten_with_the_window(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    alice.remove(group_id, bob.identity)
    deliver(alice, bob)
    assert list(bob.state.departed) == [group_id]
    assert bob.state.spent
    after = bob.state.forgetting(NOW + FORK_SECONDS + 1)
    assert after.departed == {}
    assert after.spent == ()


def test_who_cannot_get_to_the_branch_of_the_others_is_told(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    alice.renew(group_id)
    alice.renew(group_id)
    [_, second] = messages_for(alice.post(), carol.identity)
    carol.take(second)
    accepted = accept(carol.provider, carol.state, 100, b"", NOW + FORK_SECONDS)
    assert of_type(accepted.events, ThreadLost) == []
    later = NOW + FORK_SECONDS + 1
    accepted = accept(carol.provider, carol.state, 100, b"", later)
    assert of_type(accepted.events, ThreadLost) == [ThreadLost(group_id)]
    assert accepted.state.group(group_id).held == ()
    accepted = accept(carol.provider, accepted.state, 101, b"", later)
    assert of_type(accepted.events, ThreadLost) == []


# -- payloads


def test_nobody_takes_the_id_of_anothers_payload(alice: Peer, bob: Peer, carol: Peer) -> None:
    group_id = group_of(alice, bob, carol)
    taken = bytes(16)
    for peer, data in ((bob, b"spoof"), (alice, b"real"), (alice, b"again")):
        known = peer.group(group_id)
        sent = send_application_data(known.group, payload(taken, data, ()))
        peer.state = peer.state.with_group(replace(known, group=sent.group))
        carol.take(sent.message)
    assert heard(carol) == [b"spoof", b"real"]


@pytest.mark.parametrize(("octets", "code"), [(b"", "malformed"), (b"\x01a\x00\x00", "bad-payload-id")])
def test_application_data_that_is_no_payload(alice: Peer, bob: Peer, octets: bytes, code: str) -> None:
    group_id = group_of(alice, bob)
    sent = send_application_data(alice.group(group_id).group, octets)
    [event] = bob.take(sent.message)
    assert isinstance(event, MessageRefused)
    assert (event.error.code, event.held) == (code, False)


# -- rules


def test_no_service_takes_over_from_members(provider: CryptoProvider, alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    group = alice.group(group_id).group
    agreement = ordered_by_service(agreement_of(group.context.extensions), *Orderer(provider).ordered_by)
    changed = change_extensions(with_agreement(group.context.extensions, agreement))
    [event] = bob.take(commit(group, [changed], now=NOW).message)
    assert isinstance(event, MessageRefused)
    assert event.error.code == "ordering-changed"


def test_histories() -> None:
    ours = {3: b"c", 4: b"d", 5: b"e"}
    assert parting(ours, {4: b"d", 5: b"a"}) == 4
    assert parting(ours, {7: b"x"}) is None
    assert wins({4: b"d", 5: b"a"}, ours)
    assert not wins({4: b"d", 5: b"f", 6: b"a"}, ours)
    assert wins({5: b"e", 6: b"f"}, ours)
    assert not wins({3: b"c", 4: b"d"}, ours)
    assert history_of([history_extension({3: b"c", 4: b"d"})], 5, b"e") == ours
