"""Proposals of a member who keeps no rule: none of them keeps the others from committing, sending, or removing it."""

from __future__ import annotations

import dataclasses

import pytest

from mls_federation.client.account import new_account, new_key_package
from mls_federation.client.events import EpochChanged, MessageReceived, MessageRefused
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls import add, create_key_package, propose
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.nodes import LeafNode, LeafNodeSource, sign_leaf_node
from mls_federation.mls.proposals import Proposal, Update, proposal
from tests.support.network import NOW, Peer, deliver, group_of, of_type

SUITE = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519


@pytest.fixture
def peers(provider: CryptoProvider) -> list[Peer]:
    return [Peer(provider, name) for name in ("alice@a.example", "bob@b.example", "carol@c.example")]


def without_identity(provider: CryptoProvider, carol: Peer, group_id: bytes) -> Proposal:
    """A client that knows nothing of the federation."""
    suite = crypto(provider, SUITE)
    leaf = carol.group(group_id).group.own_leaf_node
    return add(
        create_key_package(
            suite,
            credential=basic_credential(b"nobody@c.example"),
            signature_key=suite.generate_signature_key(),
            capabilities=leaf.capabilities,
            lifetime=new_key_package(provider, carol.state.account, SUITE, NOW).key_package.leaf_node.source,  # type: ignore[arg-type]
        ).key_package
    )


def somebody_elses_name(provider: CryptoProvider, carol: Peer, group_id: bytes) -> Proposal:
    """Another client that says that it is bob."""
    impostor = new_account(provider, "bob@b.example")
    return add(new_key_package(provider, impostor, SUITE, NOW).key_package)


def updated(carol: Peer, group_id: bytes, **changes: object) -> Proposal:
    group = carol.group(group_id).group
    leaf: LeafNode = replace(
        group.own_leaf_node,
        encryption_key=group.crypto.generate_key_pair().public_key,
        leaf_node_source=LeafNodeSource.update,
        source=None,
        **changes,
    )
    signed = sign_leaf_node(group.crypto, group.signature_key, leaf, group.group_id, group.own_leaf)
    return proposal(Update(leaf_node=signed))


def update_without_identity(provider: CryptoProvider, carol: Peer, group_id: bytes) -> Proposal:
    return updated(carol, group_id, extensions=())


MAKERS = {
    "no-federation-identity": without_identity,
    "identity-conflict": somebody_elses_name,
    "no-federation-identity in an Update": update_without_identity,
}


@pytest.mark.rule("12.4.1-02")
@pytest.mark.parametrize("case", MAKERS)
def test_a_proposal_that_nobody_could_commit_is_refused(
    provider: CryptoProvider, peers: list[Peer], case: str
) -> None:
    alice, bob, carol = peers
    group_id = group_of(alice, bob, carol)
    body = MAKERS[case](provider, carol, group_id)
    sent = propose(carol.group(group_id).group, body)
    for peer in (alice, bob):
        peer.take(sent.message)
        assert of_type(peer.events, MessageRefused)[-1].error.code == case.split(" ")[0]
    assert_group_goes_on(alice, bob, group_id)


def test_two_proposals_that_contradict_each_other(provider: CryptoProvider, peers: list[Peer]) -> None:
    alice, bob, carol = peers
    group_id = group_of(alice, bob, carol)
    codes = []
    for _ in range(2):
        dave = new_account(provider, "dave@c.example")
        body = add(new_key_package(provider, dave, SUITE, NOW).key_package)
        sent = propose(carol.group(group_id).group, body)
        known = carol.group(group_id)
        carol.state = carol.state.with_group(dataclasses.replace(known, group=sent.group))
        for peer in (alice, bob):
            peer.take(sent.message)
            codes += [event.error.code for event in of_type(peer.events, MessageRefused)]
    assert codes == ["identity-conflict"] * 2
    assert_group_goes_on(alice, bob, group_id)


def assert_group_goes_on(alice: Peer, bob: Peer, group_id: bytes) -> None:
    alice.renew(group_id)
    alice.send(group_id, b"still here")
    deliver(alice, bob)
    assert of_type(bob.events, EpochChanged)
    assert of_type(bob.events, MessageReceived)[-1].data == b"still here"
    bob.remove(group_id, "carol@c.example")
