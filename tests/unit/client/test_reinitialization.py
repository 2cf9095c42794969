"""A group begins anew in another cipher suite, so that somebody can come who lacks the one it had (RFC 9420 §11.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mls_federation.client import session
from mls_federation.client.events import (
    BackgroundFailure,
    GroupJoined,
    GroupReinitialized,
    MessageReceived,
    MessageRefused,
)
from mls_federation.client.reinitialization import (
    begin_anew,
    current,
    has_begun,
    plan,
    planned_again,
    suite_for_all,
)
from mls_federation.client.state_codec import decode_state, encode_state
from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.errors import StateError, ValidationError
from mls_federation.federation.negotiation import NoCommonSuite
from mls_federation.mls import WireFormat, propose_update
from tests.support.network import NOW, Orderer, Peer, deliver, envelopes_for, messages_for, of_type

FIRST = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
THIRD = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


class Federation:
    """Ann, Ben and Cyd in a group that a service orders."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.provider = provider
        self.ann, self.ben, self.cyd = (Peer(provider, f"{name}@a.example") for name in ("ann", "ben", "cyd"))
        self.orderer = Orderer(provider)
        self.group_id = self.ann.begin(FIRST, ordered_by=self.orderer.ordered_by)
        self.ann.add(self.group_id, self.ben, self.cyd)
        self.orderer.order(self.ann, self.group_id)
        deliver(self.ann, self.ben, self.cyd)

    @property
    def members(self) -> tuple[Peer, Peer, Peer]:
        return self.ann, self.ben, self.cyd

    def end(self, *newcomers: Peer) -> None:
        """Ann ends the group, to begin it anew."""
        self.propose_to_end(*newcomers)
        self.orderer.order(self.ann, self.group_id)

    def propose_to_end(self, *newcomers: Peer, suite: CipherSuite = THIRD) -> None:
        """Ann's commit is made, and not ordered yet."""
        anew = plan(
            self.provider,
            self.ann.group(self.group_id),
            suite,
            [peer.bundle(suite) for peer in (self.ben, self.cyd)],
            [peer.bundle(suite) for peer in newcomers],
        )
        self.ann.state = session.end_group(self.provider, self.ann.state, self.group_id, anew, NOW)

    def begin(self) -> bytes:
        """Ann has made the new group; its id."""
        new_id = self.ann.group(self.group_id).successor
        assert GroupReinitialized(self.group_id, new_id) in self.ann.events
        return new_id


@pytest.fixture
def federation(provider: CryptoProvider) -> Federation:
    return Federation(provider)


def test_all_members_come_along_and_can_talk(federation: Federation) -> None:
    federation.end()
    new_id = federation.begin()
    deliver(federation.ann, federation.ben, federation.cyd)
    for peer in (federation.ben, federation.cyd):
        assert of_type(peer.events, GroupReinitialized) == [GroupReinitialized(federation.group_id, new_id)]
        assert of_type(peer.events, MessageRefused) == []
    authenticators = {peer.group(new_id).group.epoch_authenticator for peer in federation.members}
    assert len(authenticators) == 1
    for peer in federation.members:
        assert current(peer.state, federation.group_id) == new_id
        group = peer.group(new_id)
        assert (group.group.cipher_suite, group.group.epoch) == (THIRD, 1)
        assert group.agreement.passed_over == (FIRST,)
        assert (group.agreement.domain, group.agreement.signing_key) == (
            b"a.example",
            federation.orderer.keys.public_key,
        )
    federation.cyd.send(new_id, b"hello again")
    deliver(federation.cyd, federation.ann, federation.ben)
    assert [event.data for event in of_type(federation.ben.events, MessageReceived)] == [b"hello again"]


def test_the_newcomer_is_added_after_the_members(federation: Federation, provider: CryptoProvider) -> None:
    dan = Peer(provider, "dan@a.example")
    federation.end(dan)
    new_id = federation.begin()
    assert session.must_repeat(federation.ann.group(new_id))
    federation.ann.repeat(new_id)
    federation.orderer.order(federation.ann, new_id)
    deliver(federation.ann, federation.ben, federation.cyd, dan)
    assert of_type(dan.events, GroupJoined) == [GroupJoined(new_id)]
    everybody = (*federation.members, dan)
    assert len({peer.group(new_id).group.epoch_authenticator for peer in everybody}) == 1


def test_nothing_more_is_sent_in_the_old_group(federation: Federation) -> None:
    federation.end()
    deliver(federation.ann, federation.ben, federation.cyd)
    for peer in federation.members:
        with pytest.raises(StateError) as refused:
            peer.send(federation.group_id, b"too late")
        assert refused.value.code == "group-ended"


def test_what_was_sent_before_the_end_is_still_read(federation: Federation) -> None:
    federation.ben.send(federation.group_id, b"just before")
    federation.end()
    federation.begin()
    deliver(federation.ann, federation.cyd)
    deliver(federation.ben, federation.cyd)
    assert [event.data for event in of_type(federation.cyd.events, MessageReceived)] == [b"just before"]


def test_a_welcome_that_comes_before_the_end(federation: Federation) -> None:
    federation.end()
    new_id = federation.begin()
    end, welcome = envelopes_for(federation.ann.post(), federation.ben.identity)
    federation.ben.take_envelope(welcome)
    assert new_id not in federation.ben.state.groups
    federation.ben.take_envelope(end)
    assert of_type(federation.ben.events, GroupReinitialized) == [
        GroupReinitialized(federation.group_id, new_id)
    ]


def test_a_crash_while_the_end_is_being_ordered(federation: Federation, provider: CryptoProvider) -> None:
    federation.propose_to_end()
    federation.ann.state = decode_state(provider, encode_state(federation.ann.state))
    federation.orderer.order(federation.ann, federation.group_id)
    new_id = federation.begin()
    federation.ann.state = decode_state(provider, encode_state(federation.ann.state))
    assert not has_begun(federation.ann.group(federation.group_id))
    deliver(federation.ann, federation.ben, federation.cyd)
    assert current(federation.ben.state, federation.group_id) == new_id


def test_keys_that_cannot_be_used_any_more(federation: Federation, provider: CryptoProvider) -> None:
    federation.propose_to_end()
    ann, group_id = federation.ann, federation.group_id
    known = ann.group(group_id)
    assert known.anew is not None
    # One of them is gone: the group has ended, and cannot begin yet.
    broken = replace(known.anew, members=known.anew.members[:1])
    ann.state = ann.state.with_group(replace(known, anew=broken))
    events = federation.orderer.order(ann, group_id)
    (failure,) = of_type(events, BackgroundFailure)
    assert failure.error.code == "wrong-members"
    assert has_begun(ann.group(group_id))
    bundles = [peer.bundle(THIRD) for peer in (federation.ben, federation.cyd)]
    anew = planned_again(provider, ann.group(group_id), bundles, [])
    ann.state = ann.state.with_group(replace(ann.group(group_id), anew=anew))
    ann.state = begin_anew(provider, ann.state, group_id, NOW)
    deliver(ann, federation.ben, federation.cyd)
    new_id = current(ann.state, group_id)
    assert len({peer.group(new_id).group.epoch_authenticator for peer in federation.members}) == 1


def test_another_commit_comes_first(federation: Federation) -> None:
    federation.propose_to_end()
    ann, ben, group_id = federation.ann, federation.ben, federation.group_id
    ben.renew(group_id)
    federation.orderer.order(ben, group_id)
    federation.orderer.order(ann, group_id)
    assert ann.group(group_id).group.epoch == 2
    ann.repeat(group_id)
    federation.orderer.order(ann, group_id)
    deliver(ben, federation.cyd)
    deliver(ann, ben, federation.cyd)
    assert current(federation.cyd.state, group_id) == federation.begin()


def test_somebody_comes_first(federation: Federation, provider: CryptoProvider) -> None:
    """The plan does not have them, so it is given up."""
    federation.propose_to_end()
    ann, ben, group_id = federation.ann, federation.ben, federation.group_id
    ben.add(group_id, Peer(provider, "eve@a.example"))
    federation.orderer.order(ben, group_id)
    federation.orderer.order(ann, group_id)
    ann.repeat(group_id)
    assert ann.group(group_id).pending is None
    assert ann.group(group_id).group.reinit is None


def test_a_proposal_by_itself_is_refused(federation: Federation) -> None:
    """Our next commit would have to refer to it, and the service would not order that."""
    ben = federation.ben.group(federation.group_id).group
    sent = propose_update(ben, wire_format=WireFormat.mls_public_message)
    (event,) = federation.ann.take(sent.message)
    assert isinstance(event, MessageRefused)
    assert event.error.code == "proposal-alone"
    federation.ann.renew(federation.group_id)
    federation.orderer.order(federation.ann, federation.group_id)


def test_who_joins_anew_needs_the_old_group(federation: Federation, provider: CryptoProvider) -> None:
    """A Welcome that comes out of a group is for its members: somebody else cannot be lured into it."""
    federation.end()
    federation.begin()
    _, welcome = messages_for(federation.ann.post(), federation.ben.identity)
    ben = federation.ben
    ben.state = ben.state.without_group(federation.group_id)
    (event,) = ben.take(welcome)
    assert isinstance(event, MessageRefused)
    assert event.error.code == "unknown-psk"


def test_the_best_suite_for_all(federation: Federation, provider: CryptoProvider) -> None:
    dan = Peer(provider, "dan@a.example")
    assert suite_for_all(federation.ann.group(federation.group_id), [dan.bundle(THIRD)]) == FIRST


def test_there_may_be_none(federation: Federation, provider: CryptoProvider) -> None:
    dan = replace(
        Peer(provider, "dan@a.example").bundle(),
        cipher_suites=(CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521,),
    )
    with pytest.raises(NoCommonSuite) as refused:
        suite_for_all(federation.ann.group(federation.group_id), [dan])
    assert [client.identity for client in refused.value.clients] == [
        "ann@a.example",
        "ben@a.example",
        "cyd@a.example",
        "dan@a.example",
    ]


def test_every_member_must_have_keys(federation: Federation, provider: CryptoProvider) -> None:
    with pytest.raises(ValidationError) as refused:
        plan(
            provider,
            federation.ann.group(federation.group_id),
            THIRD,
            [federation.ben.bundle(THIRD)],
            [],
        )
    assert refused.value.code == "keys-missing"
    assert "cyd@a.example" in str(refused.value)


def test_members_that_order_cannot(provider: CryptoProvider) -> None:
    ann = Peer(provider, "ann@a.example")
    group_id = ann.begin()
    with pytest.raises(StateError) as refused:
        plan(provider, ann.group(group_id), THIRD, [], [])
    assert refused.value.code == "needs-ordering-service"


def test_a_plan_is_for_the_members_that_were_there(federation: Federation, provider: CryptoProvider) -> None:
    known = federation.ann.group(federation.group_id)
    bundles = [peer.bundle(THIRD) for peer in (federation.ben, federation.cyd)]
    anew = plan(provider, known, THIRD, bundles, [])
    federation.ann.add(federation.group_id, Peer(provider, "dan@a.example"))
    federation.orderer.order(federation.ann, federation.group_id)
    with pytest.raises(StateError) as refused:
        session.end_group(provider, federation.ann.state, federation.group_id, anew, NOW)
    assert refused.value.code == "members-changed"


def test_a_group_begins_anew_once(federation: Federation, provider: CryptoProvider) -> None:
    federation.end()
    with pytest.raises(StateError) as refused:
        federation.end()
    assert refused.value.code == "group-ended"


def test_a_group_of_ones_own(provider: CryptoProvider) -> None:
    ann = Peer(provider, "ann@a.example")
    orderer = Orderer(provider)
    group_id = ann.begin(FIRST, ordered_by=orderer.ordered_by)
    anew = plan(provider, ann.group(group_id), THIRD, [], [])
    ann.state = session.end_group(provider, ann.state, group_id, anew, NOW)
    orderer.order(ann, group_id)
    assert ann.group(current(ann.state, group_id)).group.cipher_suite == THIRD
