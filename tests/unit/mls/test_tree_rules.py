"""What who joins holds against GroupInfo and tree (§12.4.3, §7.9.2), beyond `test_joining`, and followers likewise."""

from __future__ import annotations

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import MLSError
from mls_federation.mls import (
    GroupInfo,
    OwnKeyPackage,
    Welcome,
    add,
    commit,
    decode_message,
    follow,
    group_info,
    join,
    join_by_external_commit,
)
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.nodes import LeafNodeSource, ParentNode, sign_leaf_node
from mls_federation.mls.ratchet_tree import RatchetTree, encode_tree, new_tree
from mls_federation.mls.tree_hashes import fill_path, tree_hash, verify_parent_hashes
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, node_of
from mls_federation.mls.welcome import sign_group_info
from tests.support.forge import forge_welcome
from tests.support.pair import GROUP_ID, NOW, Party

NAMES = ("ann", "ben", "cat", "dan")


def forged_tree(party: Party, keys: list[bytes], owns: dict[str, OwnKeyPackage] | None = None) -> RatchetTree:
    """A tree of four in which Ann has committed, with these keys on her path, well signed and hashed."""
    owns = owns or {name: party.client(name).key_package() for name in NAMES}
    tree = new_tree(owns["ann"].key_package.leaf_node)
    for name in NAMES[1:]:
        tree.add_leaf(owns[name].key_package.leaf_node)
    leaf = replace(
        tree.member(LeafIndex(0)),
        encryption_key=party.crypto.generate_key_pair().public_key,
        leaf_node_source=LeafNodeSource.commit,
        source=fill_path(party.crypto, tree, tree.filtered_direct_path(LeafIndex(0)), keys),
    )
    signature_key = party.client("ann").signature_key.private_key
    signed = sign_leaf_node(party.crypto, signature_key, leaf, GROUP_ID, LeafIndex(0))
    tree.set_node(node_of(LeafIndex(0)), signed)
    verify_parent_hashes(party.crypto, tree)
    return tree


def info_of(party: Party, tree: RatchetTree) -> GroupInfo:
    """A GroupInfo of Ann's with this tree."""
    ann = party.groups["ann"]
    info = group_info(ann, with_external_pub=True)
    kept = [item for item in info.extensions if item.extension_type == ExtensionType.external_pub]
    extension = Extension(extension_type=ExtensionType.ratchet_tree, extension_data=encode_tree(tree))
    return sign_group_info(
        party.crypto,
        party.client("ann").signature_key.private_key,
        replace(
            info,
            group_context=replace(info.group_context, tree_hash=tree_hash(party.crypto, tree)),
            extensions=(*kept, extension),
        ),
    )


def refused(party: Party, info: GroupInfo, code: str) -> None:
    """By who joins by Welcome or by itself, and by a follower."""
    own = party.client("new").key_package()
    pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    forged = forge_welcome(pending.group, own, open_welcome(party.crypto, welcome, own), info=info)
    for join_in in (
        lambda: join(party.crypto, forged, own, now=NOW),
        lambda: join_by_external_commit(party.crypto, info, own, now=NOW),
        lambda: follow(party.crypto, info, now=NOW),
    ):
        with pytest.raises(MLSError) as caught:
            join_in()
        assert caught.value.code == code


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann")


@pytest.mark.rule("12.4.3.1-11", "16.7-01")
def test_a_parents_key_in_another_node(party: Party) -> None:
    one, other = (party.crypto.generate_key_pair().public_key for _ in range(2))
    follow(party.crypto, info_of(party, forged_tree(party, [one, other])), now=NOW)
    refused(party, info_of(party, forged_tree(party, [one, one])), "duplicate-encryption-key")
    # A parent that has the key of a leaf below it, or beside it.
    for name in ("ben", "dan"):
        owns = {name: party.client(name).key_package() for name in NAMES}
        key = owns[name].key_package.leaf_node.encryption_key
        refused(party, info_of(party, forged_tree(party, [one, key], owns)), "duplicate-encryption-key")


@pytest.mark.rule("7.9.2-01")
def test_a_parent_that_no_leaf_was_signed_with(party: Party) -> None:
    one, other = (party.crypto.generate_key_pair().public_key for _ in range(2))
    tree = forged_tree(party, [one, other])
    stray = ParentNode(
        encryption_key=party.crypto.generate_key_pair().public_key, parent_hash=b"", unmerged_leaves=()
    )
    tree.set_node(NodeIndex(5), stray)
    refused(party, info_of(party, tree), "bad-parent-hash")


@pytest.mark.rule("12.4.3.1-09", "12.4.3.1-10", "7.1-02")
@pytest.mark.parametrize("unmerged", [(1, 0), (0, 0), (2,), (7,), (2**32 - 1,)])
def test_unmerged_leaves_that_are_none(party: Party, unmerged: tuple[int, ...]) -> None:
    one, other = (party.crypto.generate_key_pair().public_key for _ in range(2))
    tree = forged_tree(party, [one, other])
    below = tree.parent_at(NodeIndex(1))
    assert below is not None
    tree.set_node(NodeIndex(1), replace(below, unmerged_leaves=unmerged))
    refused(party, info_of(party, tree), "bad-unmerged-leaves")


@pytest.mark.rule("12.4.3.1-09")
def test_a_blank_leaf_that_is_said_to_be_unmerged(party: Party) -> None:
    one, other = (party.crypto.generate_key_pair().public_key for _ in range(2))
    tree = forged_tree(party, [one, other])
    tree.set_node(node_of(LeafIndex(3)), None)
    top = tree.parent_at(tree.root)
    assert top is not None
    tree.set_node(tree.root, replace(top, unmerged_leaves=(3,)))
    refused(party, info_of(party, tree), "bad-unmerged-leaves")


@pytest.mark.rule("12.4.3-01", "13.5-02")
@pytest.mark.parametrize("unknown", [0x0A0A, 0x1234, 0xFFFF])
def test_unknown_extensions_of_a_group_info(party: Party, unknown: int) -> None:
    extension = Extension(extension_type=ExtensionType(unknown), extension_data=b"whatever")
    ann = party.groups["ann"]
    info = group_info(ann, with_external_pub=True, grease=False)
    info = sign_group_info(
        party.crypto, ann.signature_key, replace(info, extensions=(extension, *info.extensions))
    )
    assert follow(party.crypto, info, now=NOW).context == ann.context
    join_by_external_commit(party.crypto, info, party.client("ben").key_package(), now=NOW)
    own = party.client("cat").key_package()
    pending = commit(ann, [add(own.key_package)], now=NOW, grease=False)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    opened = open_welcome(party.crypto, welcome, own)
    info = replace(opened.group_info, extensions=(*opened.group_info.extensions, extension))
    group = join(party.crypto, forge_welcome(pending.group, own, opened, info=info), own, now=NOW)
    assert group.epoch_authenticator == pending.group.epoch_authenticator


@pytest.mark.rule("12.4.3-04")
def test_a_group_info_that_nobody_signed(party: Party) -> None:
    info = group_info(party.groups["ann"], with_external_pub=True)
    for changes, code in (
        ({"signature": bytes(64)}, "bad-signature"),
        ({"signer": 1}, "not-a-member"),
        ({"signer": 2**32 - 1}, "not-a-member"),
    ):
        changed = replace(info, **changes)
        with pytest.raises(MLSError) as caught:
            follow(party.crypto, changed, now=NOW)
        assert caught.value.code == code
        with pytest.raises(MLSError) as caught:
            join_by_external_commit(party.crypto, changed, party.client("ben").key_package(), now=NOW)
        assert caught.value.code == code


@pytest.mark.rule("12.4.3.3-04", "12.4.3.1-07")
def test_another_tree_than_the_groups(party: Party) -> None:
    one, other = (party.crypto.generate_key_pair().public_key for _ in range(2))
    another = forged_tree(party, [one, other])
    bare = group_info(party.groups["ann"], with_tree=False, with_external_pub=True)
    own = party.client("new").key_package()
    join_by_external_commit(party.crypto, bare, own, now=NOW, tree=party.groups["ann"].tree)
    for join_in in (
        lambda: join_by_external_commit(party.crypto, bare, own, now=NOW, tree=another),
        lambda: follow(party.crypto, bare, now=NOW, tree=another),
    ):
        with pytest.raises(MLSError) as caught:
            join_in()
        # It is signed by Ann's new leaf, which has the same key: only the hash tells.
        assert caught.value.code == "wrong-tree-hash"
