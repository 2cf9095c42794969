"""Numbers and lists as large as the wire lets them be: refused like any other fault, and at no great cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto, CryptoProvider, SignatureScheme
from mls_federation.crypto.provider import SignedMessage
from mls_federation.errors import ValidationError
from mls_federation.mls import (
    Group,
    ProposalMessage,
    add,
    commit,
    follow,
    group_info,
    join_by_external_commit,
    observe,
    propose_to_be_added,
    receive,
    verify_key_package,
)
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, RequiredCapabilities
from mls_federation.mls.nodes import Capabilities, LeafNode, LeafNodeSource, ParentNode, check_capabilities
from mls_federation.mls.ratchet_tree import RatchetTree
from mls_federation.mls.tree_hashes import check_unmerged_leaves, verify_parent_hashes
from tests.support.forge import forge_commit
from tests.support.growth import assert_no_more_than_linear
from tests.support.pair import NOW, Party, altered_key_package, new_client


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "eve", "ben")


def in_last_epoch(group: Group) -> Group:
    """Whoever founds a group can say that it is in this epoch."""
    return dataclasses.replace(group, context=replace(group.context, epoch=2**64 - 1))


def refused(code: str, action: Callable[[], object]) -> None:
    with pytest.raises(ValidationError) as caught:
        action()
    assert caught.value.code == code


def test_no_epoch_comes_after_the_last(party: Party) -> None:
    ann, eve = (in_last_epoch(party.groups[name]) for name in ("ann", "eve"))
    package = party.client("dan").key_package()
    forged = forge_commit(eve, [add(package.key_package)])
    info = group_info(eve, with_external_pub=True)
    public = follow(party.crypto, info, now=NOW)
    for action in (
        lambda: receive(ann, forged, now=NOW),
        lambda: observe(public, forged, now=NOW),
        lambda: commit(ann, now=NOW),
        lambda: join_by_external_commit(party.crypto, info, package, now=NOW),
    ):
        refused("last-epoch", action)


def test_long_lists_of_capabilities_are_not_compared_entry_by_entry(suite_1: Crypto) -> None:
    client = new_client(suite_1, "ann")
    modest = client.key_package()

    def verification(size: int) -> Callable[[], object]:
        types = [ExtensionType(number) for number in range(0x1000, 0x1000 + size)]
        listed = (ExtensionType(0xF000),) * (2 * size) + tuple(types)
        capabilities = replace(client.capabilities, extensions=listed)
        extensions = tuple(Extension(extension_type=kind, extension_data=b"") for kind in types)
        leaf = replace(modest.key_package.leaf_node, capabilities=capabilities, extensions=extensions)
        own = altered_key_package(client, modest, leaf)
        return lambda: verify_key_package(suite_1, own.key_package, NOW)

    assert_no_more_than_linear(verification, 4000)


class Counting:
    """A provider that counts the signatures that it verifies; all else goes to the real one."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.provider = provider
        self.verified = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        self.verified += len(messages)
        self.provider.verify_all(scheme, messages)


def test_a_bad_proposal_among_many_does_not_have_all_verified_for_each(party: Party) -> None:
    """Anybody who knows the group's id and epoch can propose to be added (§12.1.8), as often as is remembered."""
    ann, twice = party.groups["ann"], new_client(party.crypto, "twice")
    newcomers = [new_client(party.crypto, f"newcomer {number}") for number in range(40)]
    for client in (*newcomers[:20], twice, *newcomers[20:], twice):
        asked = propose_to_be_added(party.crypto, ann.group_id, ann.epoch, client.key_package())
        received = receive(ann, asked, now=NOW)
        assert isinstance(received, ProposalMessage)
        ann = received.group
    counting = Counting(party.crypto.provider)
    provider: Any = counting
    pending = commit(
        dataclasses.replace(ann, crypto=dataclasses.replace(ann.crypto, provider=provider)), now=NOW
    )
    assert len(pending.added) == 41
    # Two signatures in each KeyPackage; one proposal at a time it would be 41 * 42, and more.
    assert counting.verified < 2 * 41 * 16


def small_leaf() -> LeafNode:
    """As small as a leaf can be."""
    return LeafNode(
        encryption_key=b"",
        signature_key=b"",
        credential=basic_credential(b""),
        capabilities=Capabilities(versions=(), cipher_suites=(), extensions=(), proposals=(), credentials=()),
        leaf_node_source=LeafNodeSource.commit,
        source=b"",
        extensions=(),
        signature=b"",
    )


def test_a_tree_whose_leaves_are_nearly_all_unmerged_costs_no_more_for_each(suite_1: Crypto) -> None:
    """Whoever sends a Welcome makes up its tree, and leaf signatures are the last that is verified."""

    def check(leaves: int) -> Callable[[], object]:
        nodes: list[LeafNode | ParentNode | None] = [small_leaf(), None] * leaves
        nodes[leaves - 1] = ParentNode(
            encryption_key=b"", parent_hash=b"", unmerged_leaves=tuple(range(1, leaves))
        )

        def action() -> None:
            tree = RatchetTree(nodes[:-1])
            check_unmerged_leaves(tree)
            refused("bad-parent-hash", lambda: verify_parent_hashes(suite_1, tree))

        return action

    assert_no_more_than_linear(check, 1024)


def test_long_lists_of_required_capabilities_are_read_once(suite_1: Crypto) -> None:
    leaf = new_client(suite_1, "ann").key_package().key_package.leaf_node

    def check(size: int) -> Callable[[], object]:
        """Of a group with as many members as the list has entries."""
        required = RequiredCapabilities(
            extension_types=(ExtensionType.application_id,) * size, proposal_types=(), credential_types=()
        )
        extension = Extension(
            extension_type=ExtensionType.required_capabilities, extension_data=required.encode()
        )

        def action() -> None:
            for _ in range(size):
                check_capabilities(leaf, [extension])

        return action

    assert_no_more_than_linear(check, 500)
