"""Joining by a Welcome (§12.4.3.1): each check, by the code of its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as replace_dataclass

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto
from mls_federation.errors import MLSError, RemoteError
from mls_federation.mls import Group, OwnKeyPackage, Welcome, add, commit, decode_message, join, mls_message
from mls_federation.mls.epoch import combined_psk_secret
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.group_context import GroupContext
from mls_federation.mls.joining import OpenedWelcome, find_key_package, open_welcome
from mls_federation.mls.key_package import key_package_ref
from mls_federation.mls.nodes import LeafNode, ParentNode, ProtocolVersion
from mls_federation.mls.psk import (
    ExternalPSK,
    PreSharedKeyID,
    PSKType,
    ResumptionPSK,
    ResumptionPSKUsage,
)
from mls_federation.mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from mls_federation.mls.tree_hashes import tree_hash
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, node_of
from mls_federation.mls.welcome import GroupInfo, GroupSecrets, PathSecret
from tests.support.forge import forge_welcome
from tests.support.pair import NOW, Party, altered_key_package, new_client

SUITE_3 = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
EVE = node_of(LeafIndex(4))


@dataclass(frozen=True)
class Invitation:
    """An honest Welcome, opened, from which others are forged."""

    crypto: Crypto
    inviter: Group
    own: OwnKeyPackage
    welcome: Welcome
    opened: OpenedWelcome

    @property
    def tree(self) -> RatchetTree:
        return self.inviter.tree.copy()

    def with_info(self, info: GroupInfo) -> Welcome:
        return forge_welcome(self.inviter, self.own, self.opened, info=info)

    def with_context(self, **changes: object) -> Welcome:
        info = self.opened.group_info
        return self.with_info(replace(info, group_context=replace(info.group_context, **changes)))

    def with_secrets(self, **changes: object) -> Welcome:
        secrets: GroupSecrets = replace(self.opened.group_secrets, **changes)
        return forge_welcome(self.inviter, self.own, self.opened, group_secrets=secrets)

    def with_tree(self, tree: RatchetTree) -> Welcome:
        """A Welcome into a group with this tree, whose hash fits."""
        info = self.opened.group_info
        context: GroupContext = replace(info.group_context, tree_hash=tree_hash(self.crypto, tree))
        extension = Extension(extension_type=ExtensionType.ratchet_tree, extension_data=encode_tree(tree))
        return self.with_info(replace(info, group_context=context, extensions=(extension,)))

    def with_node(self, node: NodeIndex, value: LeafNode | ParentNode | None) -> Welcome:
        tree = self.tree
        tree.set_node(node, value)
        return self.with_tree(tree)


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat", "dan")


@pytest.fixture
def invitation(party: Party) -> Invitation:
    """Cat invites Eve to a group of four, in which every parent is filled."""
    return invite(party, path=True)


@pytest.fixture
def loose_invitation(party: Party) -> Invitation:
    """As before, but no parent hash covers Eve's half of the tree."""
    return invite(party, path=False)


def invite(party: Party, *, path: bool) -> Invitation:
    for name in ("ann", "ben", "cat"):
        party.commit(name)
    own = party.client("eve").key_package()
    pending = commit(party.groups["cat"], [add(own.key_package)], now=NOW, path=path)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    return Invitation(party.crypto, pending.group, own, welcome, open_welcome(party.crypto, welcome, own))


def refuse(invitation: Invitation, welcome: Welcome, code: str, tree: RatchetTree | None = None) -> None:
    with pytest.raises(MLSError) as caught:
        join(invitation.crypto, welcome, invitation.own, now=NOW, tree=tree)
    assert caught.value.code == code


def test_the_honest_welcome(invitation: Invitation) -> None:
    group = join(invitation.crypto, invitation.welcome, invitation.own, now=NOW)
    assert group.epoch_authenticator == invitation.inviter.epoch_authenticator
    assert group.own_leaf == 4
    forged_as_it_was = forge_welcome(invitation.inviter, invitation.own, invitation.opened)
    join(invitation.crypto, forged_as_it_was, invitation.own, now=NOW)


@pytest.mark.rule("12.4.3.1-02", "12.4.3.1-05")
def test_every_octet_counts(invitation: Invitation) -> None:
    octets = mls_message(invitation.welcome).encode()
    step = max(1, len(octets) // 400)
    for place in range(0, len(octets), step):
        changed = octets[:place] + bytes([octets[place] ^ 1 << place % 8]) + octets[place + 1 :]
        with pytest.raises(RemoteError):
            join_encoded(invitation, changed)


def join_encoded(invitation: Invitation, octets: bytes) -> Group:
    message = decode_message(octets)
    if not isinstance(message, Welcome):
        raise RemoteError("another message")
    return join(invitation.crypto, message, invitation.own, now=NOW)


# -- for whom


@pytest.mark.rule("12.4.3.1-01", "12.4.3.1-06")
def test_another_suite(invitation: Invitation) -> None:
    refuse(invitation, replace(invitation.welcome, cipher_suite=SUITE_3), "wrong-cipher-suite")
    refuse(invitation, invitation.with_context(cipher_suite=SUITE_3), "wrong-cipher-suite")


@pytest.mark.rule("12.4.3.1-06")
def test_another_version(invitation: Invitation) -> None:
    refuse(invitation, invitation.with_context(version=ProtocolVersion(2)), "unsupported-version")


@pytest.mark.rule("12.4.3.1-01")
def test_another_client(invitation: Invitation) -> None:
    stranger = new_client(invitation.crypto, "stranger").key_package()
    with pytest.raises(MLSError) as caught:
        join(invitation.crypto, invitation.welcome, stranger, now=NOW)
    assert caught.value.code == "not-for-us"
    refuse(invitation, replace(invitation.welcome, secrets=()), "not-for-us")
    ref = key_package_ref(invitation.crypto, stranger.key_package)
    assert find_key_package(invitation.welcome, [(ref, stranger)]) is None


@pytest.mark.rule("12.4.3.1-02")
def test_keys_that_are_not_those_of_the_key_package(invitation: Invitation) -> None:
    other = new_client(invitation.crypto, "other").key_package()
    wrong = replace_dataclass(invitation.own, init_key=other.init_key)
    with pytest.raises(MLSError) as caught:
        join(invitation.crypto, invitation.welcome, wrong, now=NOW)
    assert caught.value.code == "decryption-failed"


# -- the secrets


@pytest.mark.rule("12.4.3.1-14", "8-01")
def test_another_joiner_secret(invitation: Invitation) -> None:
    # The GroupInfo is sealed anew under it, so that only the confirmation tag tells.
    refuse(invitation, invitation.with_secrets(joiner_secret=bytes(32)), "bad-confirmation-tag")


@pytest.mark.rule("12.4.3.1-13")
def test_another_path_secret(invitation: Invitation) -> None:
    wrong = PathSecret(path_secret=bytes(32))
    refuse(invitation, invitation.with_secrets(path_secret=wrong), "wrong-path-key")


def test_a_path_secret_for_a_path_that_is_blank(loose_invitation: Invitation) -> None:
    secret = PathSecret(path_secret=bytes(32))
    refuse(loose_invitation, loose_invitation.with_secrets(path_secret=secret), "wrong-path-key")


@pytest.mark.rule("12.4.3.1-03", "12.1.4-02")
def test_psks(invitation: Invitation) -> None:
    unknown = PreSharedKeyID(psktype=PSKType.external, psk=ExternalPSK(psk_id=b"?"), psk_nonce=bytes(32))
    refuse(invitation, invitation.with_secrets(psks=(unknown,)), "unknown-psk")
    short = replace(unknown, psk_nonce=bytes(31))
    refuse(invitation, invitation.with_secrets(psks=(short,)), "bad-psk-nonce")
    refuse(invitation, invitation.with_secrets(psks=(unknown, unknown)), "duplicate-psk")


@pytest.mark.rule("11.2-03")
@pytest.mark.parametrize("usage", [ResumptionPSKUsage.reinit, ResumptionPSKUsage.branch])
def test_a_group_that_says_to_come_out_of_another(invitation: Invitation, usage: ResumptionPSKUsage) -> None:
    # We have the PSK that it names, but were not told that the group is to come out of that one.
    psk = ResumptionPSK(usage=usage, psk_group_id=b"old", psk_epoch=1)
    psk_id = PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=bytes(32))
    opened = replace_dataclass(
        invitation.opened, psk_secret=combined_psk_secret(invitation.crypto, [psk_id], lambda _: b"psk")
    )
    secrets = replace(opened.group_secrets, psks=(psk_id,))
    welcome = forge_welcome(invitation.inviter, invitation.own, opened, group_secrets=secrets)
    with pytest.raises(MLSError) as caught:
        join(invitation.crypto, welcome, invitation.own, now=NOW, psks=lambda _: b"psk")
    assert caught.value.code == "wrong-resumption"


# -- the GroupInfo


@pytest.mark.rule("12.4.3.1-14")
def test_another_confirmation_tag(invitation: Invitation) -> None:
    info = replace(invitation.opened.group_info, confirmation_tag=bytes(32))
    refuse(invitation, invitation.with_info(info), "bad-confirmation-tag")


@pytest.mark.rule("12.4.3.1-14")
def test_another_transcript(invitation: Invitation) -> None:
    refuse(invitation, invitation.with_context(confirmed_transcript_hash=bytes(32)), "bad-confirmation-tag")


@pytest.mark.rule("12.4.3-04")
@pytest.mark.parametrize("signer", [0, 1, 3])
def test_signed_by_another(invitation: Invitation, signer: int) -> None:
    info = replace(invitation.opened.group_info, signer=signer)
    refuse(invitation, invitation.with_info(info), "bad-signature")


@pytest.mark.rule("12.4.3-04")
@pytest.mark.parametrize("signer", [5, 8, 2**32 - 1])
def test_signed_by_nobody(invitation: Invitation, signer: int) -> None:
    info = replace(invitation.opened.group_info, signer=signer)
    refuse(invitation, invitation.with_info(info), "not-a-member")


@pytest.mark.rule("13.4-03")
def test_extensions_twice(invitation: Invitation) -> None:
    info = invitation.opened.group_info
    refuse(
        invitation, invitation.with_info(replace(info, extensions=info.extensions * 2)), "duplicate-extension"
    )
    extension = Extension(extension_type=ExtensionType(0xF000), extension_data=b"")
    refuse(invitation, invitation.with_context(extensions=(extension, extension)), "duplicate-extension")


@pytest.mark.rule("12.4.3-02")
def test_a_group_extension_that_we_do_not_know(invitation: Invitation) -> None:
    extension = Extension(extension_type=ExtensionType(0xF000), extension_data=b"")
    refuse(invitation, invitation.with_context(extensions=(extension,)), "unsupported-extension")


# -- the tree


@pytest.mark.rule("12.4.3.1-07", "12.4.3.3-04")
def test_the_tree_may_come_another_way(invitation: Invitation) -> None:
    bare = invitation.with_info(replace(invitation.opened.group_info, extensions=()))
    refuse(invitation, bare, "no-tree")
    group = join(
        invitation.crypto, bare, invitation.own, now=NOW, tree=decode_tree(encode_tree(invitation.tree))
    )
    assert group.epoch_authenticator == invitation.inviter.epoch_authenticator
    another = invitation.tree
    another.set_node(node_of(LeafIndex(0)), None)
    refuse(invitation, bare, "wrong-tree-hash", another)


@pytest.mark.rule("12.4.3.1-07")
def test_another_tree_hash(invitation: Invitation) -> None:
    refuse(invitation, invitation.with_context(tree_hash=bytes(32)), "wrong-tree-hash")


@pytest.mark.rule("12.4.3.3-02")
@pytest.mark.parametrize(
    ("data", "code"), [(b"", "malformed"), (b"\x00", "malformed-tree"), (b"\x01\x00", "malformed-tree")]
)
def test_a_tree_that_is_none(invitation: Invitation, data: bytes, code: str) -> None:
    extension = Extension(extension_type=ExtensionType.ratchet_tree, extension_data=data)
    info = replace(invitation.opened.group_info, extensions=(extension,))
    refuse(invitation, invitation.with_info(info), code)


@pytest.mark.rule("12.4.3.1-12")
def test_a_tree_without_us(loose_invitation: Invitation) -> None:
    # In our place stands another client, with everything else in order.
    other = new_client(loose_invitation.crypto, "other").key_package()
    refuse(loose_invitation, loose_invitation.with_node(EVE, other.key_package.leaf_node), "not-in-tree")


@pytest.mark.rule("7.3-12", "7.3-13", "12.4.3.1-08", "16.7-01")
def test_leaves_that_share_a_key(party: Party, loose_invitation: Invitation) -> None:
    beside = node_of(LeafIndex(5))
    again = party.client("eve").key_package().key_package.leaf_node
    refuse(loose_invitation, loose_invitation.with_node(beside, again), "duplicate-signature-key")

    client = party.client("other")
    other = client.key_package()
    copied = replace(
        other.key_package.leaf_node, encryption_key=loose_invitation.own.encryption_key.public_key
    )
    leaf = altered_key_package(client, other, copied).key_package.leaf_node
    refuse(loose_invitation, loose_invitation.with_node(beside, leaf), "duplicate-encryption-key")


@pytest.mark.rule("7.3-01", "12.4.3.1-08")
def test_a_leaf_with_a_bad_signature(loose_invitation: Invitation) -> None:
    leaf = replace(loose_invitation.own.key_package.leaf_node, signature=bytes(64))
    refuse(loose_invitation, loose_invitation.with_node(EVE, leaf), "bad-signature")


def change_parent(node: int, **changes: object) -> Callable[[Invitation], Welcome]:
    def forged(invitation: Invitation) -> Welcome:
        parent = invitation.tree.parent_at(NodeIndex(node))
        assert parent is not None
        return invitation.with_node(NodeIndex(node), replace(parent, **changes))

    return forged


def a_member_twice(invitation: Invitation) -> Welcome:
    return invitation.with_node(node_of(LeafIndex(3)), invitation.tree.member(LeafIndex(0)))


def leaf_in_anothers_place(invitation: Invitation) -> Welcome:
    tree = invitation.tree
    ann, ben = tree.member(LeafIndex(0)), tree.member(LeafIndex(1))
    tree.set_node(node_of(LeafIndex(0)), ben)
    tree.set_node(node_of(LeafIndex(1)), ann)
    return invitation.with_tree(tree)


TREES: dict[str, tuple[str, Callable[[Invitation], Welcome]]] = {
    "another parent hash": ("bad-parent-hash", change_parent(1, parent_hash=bytes(32))),
    "another key in a parent": ("bad-parent-hash", change_parent(3, encryption_key=bytes(32))),
    "an unmerged leaf that is none": ("bad-unmerged-leaves", change_parent(3, unmerged_leaves=(5,))),
    "an unmerged leaf outside the tree": (
        "bad-unmerged-leaves",
        change_parent(3, unmerged_leaves=(2**32 - 1,)),
    ),
    "unmerged leaves twice": ("bad-unmerged-leaves", change_parent(3, unmerged_leaves=(0, 0))),
    "unmerged leaves in disorder": ("bad-unmerged-leaves", change_parent(3, unmerged_leaves=(1, 0))),
    "an unmerged leaf that a parent between does not have": (
        "bad-unmerged-leaves",
        change_parent(3, unmerged_leaves=(0,)),
    ),
    "an unmerged leaf that was merged": ("bad-parent-hash", change_parent(1, unmerged_leaves=(0, 1))),
    "a leaf in another's place": ("bad-parent-hash", leaf_in_anothers_place),
    "a member twice": ("bad-parent-hash", a_member_twice),
}


# Which rules of tests/spec/rules.toml each shows.
TREE_RULES = {
    "another parent hash": ("7.9.2-01",),
    "another key in a parent": ("7.9.2-01",),
    "an unmerged leaf that is none": ("12.4.3.1-09",),
    "an unmerged leaf outside the tree": ("12.4.3.1-09",),
    "an unmerged leaf that a parent between does not have": ("12.4.3.1-10",),
    "an unmerged leaf that was merged": ("7.9.2-01",),
}


@pytest.mark.parametrize(
    ("code", "forged"),
    [
        pytest.param(code, forged, marks=pytest.mark.rule(*TREE_RULES.get(name, ())), id=name)
        for name, (code, forged) in TREES.items()
    ],
)
def test_trees(invitation: Invitation, code: str, forged: Callable[[Invitation], Welcome]) -> None:
    refuse(invitation, forged(invitation), code)


@pytest.mark.rule("7.3-07")
def test_leaves_outside_their_lifetime(invitation: Invitation) -> None:
    with pytest.raises(MLSError) as caught:
        join(invitation.crypto, invitation.welcome, invitation.own, now=NOW + 400 * 86400)
    assert caught.value.code == "outside-lifetime"
    join(invitation.crypto, invitation.welcome, invitation.own, now=None)
