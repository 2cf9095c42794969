"""A group's state and a KeyPackage's secrets as octets, to be kept between runs.

The encoding is ours, in the presentation language: a version, then the struct. It holds secrets in the clear: whoever stores
it encrypts it. A state is loaded by every later version; `tests/support/states` keeps some of each release.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import (
    Opt,
    Struct,
    Vec,
    decode_vector,
    encode_vector,
    opaque,
    replace,
    uint8,
    uint16,
    uint32,
    uint64,
)
from ..crypto import CryptoProvider, KeyPair, crypto
from ..errors import DecodeError, UnsupportedError
from .framing import Sender
from .group import Group, OwnUpdate, PastEpoch, ReceivedProposal
from .group_context import GroupContext
from .key_package import KeyPackage, OwnKeyPackage
from .key_schedule import EpochSecrets
from .proposals import Proposal, ReInit
from .ratchet_tree import RatchetTree, RatchetTreeNodes, tree_nodes, tree_of
from .secret_tree import HashRatchet, MessageKey, RatchetKind, SecretTree
from .tree_hashes import check_unmerged_leaves
from .tree_math import LeafIndex, NodeIndex

# Version 2 has the time at which a past epoch ended.
_GROUP_VERSIONS = (1, 2)
_KEY_PACKAGE_VERSIONS = (1,)
_KINDS = tuple(RatchetKind)


class StoredNodeKey(Struct):
    """A private key of ours; its public key stands in the tree."""

    node_index: uint32
    key_priv: opaque


class StoredNodeSecret(Struct):
    """A secret of the secret tree."""

    node_index: uint32
    node_secret: opaque


class StoredMessageKey(Struct):
    """The key of a message that has not arrived."""

    generation: uint32
    key_secret: opaque
    nonce_secret: opaque


class StoredRatchet(Struct):
    """A hash ratchet; `kind` is its place in `RatchetKind`."""

    leaf_index: uint32
    kind: uint8
    ratchet_secret: opaque
    generation: uint32
    skipped: Vec[StoredMessageKey]


class StoredSecretTree(Struct):
    """A secret tree."""

    leaf_count: uint32
    node_secrets: Vec[StoredNodeSecret]
    ratchets: Vec[StoredRatchet]


class StoredEpochSecrets(Struct):
    """The secrets of an epoch; those that are forgotten are empty."""

    sender_data_secret: opaque
    encryption_secret: opaque
    exporter_secret: opaque
    external_secret: opaque
    confirmation_key_secret: opaque
    membership_key_secret: opaque
    resumption_psk_secret: opaque
    epoch_authenticator: opaque
    init_secret: opaque


class StoredProposal(Struct):
    """A proposal that was received."""

    proposal_ref: opaque
    proposal: Proposal
    sender: Sender


class StoredOwnUpdate(Struct):
    """The keys of an Update of ours."""

    proposal_ref: opaque
    encryption_key: opaque
    encryption_key_priv: opaque
    signature_key_priv: opaque


class StoredSignatureKey(Struct):
    """A member's public key in an epoch that has ended."""

    leaf_index: uint32
    signature_key: opaque


class StoredPastEpoch(Struct):
    """An epoch that has ended."""

    context: GroupContext
    secrets: StoredEpochSecrets
    secret_tree: StoredSecretTree
    signature_keys: Vec[StoredSignatureKey]
    ended: Opt[uint64]


class StoredPastEpochVersion1(Struct):
    """An epoch that has ended, nobody knows when."""

    context: GroupContext
    secrets: StoredEpochSecrets
    secret_tree: StoredSecretTree
    signature_keys: Vec[StoredSignatureKey]


class StoredGroup(Struct):
    """A member's state in a group."""

    version: uint16
    context: GroupContext
    tree: RatchetTreeNodes
    own_leaf: uint32
    signature_key_priv: opaque
    private_keys: Vec[StoredNodeKey]
    secrets: StoredEpochSecrets
    secret_tree: StoredSecretTree
    interim_transcript_hash: opaque
    confirmation_tag: opaque
    proposals: Vec[StoredProposal]
    own_updates: Vec[StoredOwnUpdate]
    past_epochs: Vec[StoredPastEpoch]
    reinit: Opt[ReInit]


class StoredGroupVersion1(Struct):
    """A member's state in a group, as version 1 had it."""

    version: uint16
    context: GroupContext
    tree: RatchetTreeNodes
    own_leaf: uint32
    signature_key_priv: opaque
    private_keys: Vec[StoredNodeKey]
    secrets: StoredEpochSecrets
    secret_tree: StoredSecretTree
    interim_transcript_hash: opaque
    confirmation_tag: opaque
    proposals: Vec[StoredProposal]
    own_updates: Vec[StoredOwnUpdate]
    past_epochs: Vec[StoredPastEpochVersion1]
    reinit: Opt[ReInit]


class StoredKeyPackage(Struct):
    """A KeyPackage of ours and its private keys."""

    version: uint16
    key_package: KeyPackage
    init_key_priv: opaque
    encryption_key_priv: opaque
    signature_key_priv: opaque


def encode_group(group: Group) -> bytes:
    """A group's whole state. Secret."""
    return _store_group(group, tree_nodes(group.tree), group.past_epochs).encode()


def encode_group_head(group: Group) -> bytes:
    """A group's state without its ratchet tree and its past epochs, which are large and seldom change. Secret.

    Those are encoded by `encode_tree` and `encode_past_epochs`.
    """
    return _store_group(group, RatchetTreeNodes(nodes=()), ()).encode()


def encode_past_epochs(past_epochs: Sequence[PastEpoch]) -> bytes:
    """The past epochs of a group. Secret."""
    return encode_vector(_store_past_epoch(past) for past in past_epochs)


def _store_group(group: Group, tree: RatchetTreeNodes, past_epochs: Sequence[PastEpoch]) -> StoredGroup:
    return StoredGroup(
        version=_GROUP_VERSIONS[-1],
        context=group.context,
        tree=tree,
        own_leaf=group.own_leaf,
        signature_key_priv=group.signature_key,
        private_keys=tuple(
            StoredNodeKey(node_index=node, key_priv=keys.private_key)
            for node, keys in group.private_keys.items()
        ),
        secrets=_store_secrets(group.secrets),
        secret_tree=_store_secret_tree(group.secret_tree),
        interim_transcript_hash=group.interim_transcript_hash,
        confirmation_tag=group.confirmation_tag,
        proposals=tuple(
            StoredProposal(proposal_ref=ref, proposal=received.proposal, sender=received.sender)
            for ref, received in group.proposals.items()
        ),
        own_updates=tuple(
            StoredOwnUpdate(
                proposal_ref=ref,
                encryption_key=update.encryption_key.public_key,
                encryption_key_priv=update.encryption_key.private_key,
                signature_key_priv=update.signature_key,
            )
            for ref, update in group.own_updates.items()
        ),
        past_epochs=tuple(_store_past_epoch(past) for past in past_epochs),
        reinit=group.reinit,
    )


def decode_group(provider: CryptoProvider, data: bytes) -> Group:
    """The group that `encode_group` of this or an earlier version made `data` from.

    Raises:
        UnsupportedError: code `unknown-state-version`: a later version made it; or its cipher suite is not known.
        DecodeError, ValidationError: it is no such state.
    """
    version = checked_version(data, "StoredGroup", _GROUP_VERSIONS)
    return _load_group(
        provider, StoredGroupVersion1.decode(data) if version == 1 else StoredGroup.decode(data)
    )


def decode_group_parts(provider: CryptoProvider, head: bytes, tree: bytes, past_epochs: bytes) -> Group:
    """The group of whose parts `encode_group_head`, `encode_tree` and `encode_past_epochs` made octets.

    Raises:
        UnsupportedError, DecodeError, ValidationError: as `decode_group`.
    """
    checked_version(head, "StoredGroup", _GROUP_VERSIONS[1:])
    stored = replace(
        StoredGroup.decode(head),
        tree=RatchetTreeNodes.decode(tree),
        past_epochs=decode_vector(StoredPastEpoch, past_epochs),
    )
    return _load_group(provider, stored)


def _load_group(provider: CryptoProvider, stored: StoredGroup | StoredGroupVersion1) -> Group:
    tree = tree_of(stored.tree.nodes)
    check_unmerged_leaves(tree)
    return Group(
        crypto=crypto(provider, stored.context.cipher_suite),
        context=stored.context,
        tree=tree,
        own_leaf=LeafIndex(stored.own_leaf),
        signature_key=stored.signature_key_priv,
        private_keys={
            NodeIndex(key.node_index): KeyPair(key.key_priv, _public_key(tree, key.node_index))
            for key in stored.private_keys
        },
        secrets=_load_secrets(stored.secrets),
        secret_tree=_load_secret_tree(stored.secret_tree),
        interim_transcript_hash=stored.interim_transcript_hash,
        confirmation_tag=stored.confirmation_tag,
        proposals={
            item.proposal_ref: ReceivedProposal(item.proposal, item.sender) for item in stored.proposals
        },
        own_updates={
            item.proposal_ref: OwnUpdate(
                KeyPair(item.encryption_key_priv, item.encryption_key), item.signature_key_priv
            )
            for item in stored.own_updates
        },
        past_epochs=tuple(_load_past_epoch(past) for past in stored.past_epochs),
        reinit=stored.reinit,
    )


def encode_key_package(own: OwnKeyPackage) -> bytes:
    """A KeyPackage of ours with its private keys. Secret."""
    return StoredKeyPackage(
        version=_KEY_PACKAGE_VERSIONS[-1],
        key_package=own.key_package,
        init_key_priv=own.init_key.private_key,
        encryption_key_priv=own.encryption_key.private_key,
        signature_key_priv=own.signature_key,
    ).encode()


def decode_key_package(data: bytes) -> OwnKeyPackage:
    """The KeyPackage that `encode_key_package` of this or an earlier version made `data` from.

    Raises:
        UnsupportedError: code `unknown-state-version`.
        DecodeError: it is no such state.
    """
    checked_version(data, "StoredKeyPackage", _KEY_PACKAGE_VERSIONS)
    stored = StoredKeyPackage.decode(data)
    package = stored.key_package
    return OwnKeyPackage(
        key_package=package,
        init_key=KeyPair(stored.init_key_priv, package.init_key),
        encryption_key=KeyPair(stored.encryption_key_priv, package.leaf_node.encryption_key),
        signature_key=stored.signature_key_priv,
    )


def checked_version(data: bytes, struct: str, versions: Sequence[int]) -> int:
    """The version that a stored state begins with.

    Raises:
        UnsupportedError: code `unknown-state-version`.
        DecodeError: it has none.
    """
    if len(data) < 2:
        raise DecodeError("the input ends too early", struct=struct, field="version", offset=0)
    version = int.from_bytes(data[:2], "big")
    if version not in versions:
        raise UnsupportedError(
            f"a state of version {version}, which we do not know", code="unknown-state-version"
        )
    return version


def _public_key(tree: RatchetTree, node: int) -> bytes:
    found = tree.nodes[node] if node < len(tree.nodes) else None
    if found is None:
        raise DecodeError("a key of a blank node", struct="StoredGroup", field="private_keys", offset=0)
    return found.encryption_key


def _store_secrets(secrets: EpochSecrets) -> StoredEpochSecrets:
    return StoredEpochSecrets(
        sender_data_secret=secrets.sender_data_secret,
        encryption_secret=secrets.encryption_secret,
        exporter_secret=secrets.exporter_secret,
        external_secret=secrets.external_secret,
        confirmation_key_secret=secrets.confirmation_key,
        membership_key_secret=secrets.membership_key,
        resumption_psk_secret=secrets.resumption_psk,
        epoch_authenticator=secrets.epoch_authenticator,
        init_secret=secrets.init_secret,
    )


def _load_secrets(stored: StoredEpochSecrets) -> EpochSecrets:
    return EpochSecrets(
        sender_data_secret=stored.sender_data_secret,
        encryption_secret=stored.encryption_secret,
        exporter_secret=stored.exporter_secret,
        external_secret=stored.external_secret,
        confirmation_key=stored.confirmation_key_secret,
        membership_key=stored.membership_key_secret,
        resumption_psk=stored.resumption_psk_secret,
        epoch_authenticator=stored.epoch_authenticator,
        init_secret=stored.init_secret,
    )


def _store_secret_tree(tree: SecretTree) -> StoredSecretTree:
    return StoredSecretTree(
        leaf_count=tree.leaf_count,
        node_secrets=tuple(
            StoredNodeSecret(node_index=node, node_secret=secret)
            for node, secret in tree.node_secrets.items()
        ),
        ratchets=tuple(
            StoredRatchet(
                leaf_index=leaf,
                kind=_KINDS.index(kind),
                ratchet_secret=ratchet.secret,
                generation=ratchet.generation,
                skipped=tuple(
                    StoredMessageKey(generation=generation, key_secret=key.key, nonce_secret=key.nonce)
                    for generation, key in ratchet.skipped.items()
                ),
            )
            for (leaf, kind), ratchet in tree.ratchets.items()
        ),
    )


def _load_secret_tree(stored: StoredSecretTree) -> SecretTree:
    if stored.leaf_count.bit_count() != 1:
        raise DecodeError(
            "no tree has as many leaves", struct="StoredSecretTree", field="leaf_count", offset=0
        )
    ratchets = {}
    for item in stored.ratchets:
        if item.kind >= len(_KINDS):
            raise DecodeError("no such ratchet", struct="StoredRatchet", field="kind", offset=0)
        skipped = {key.generation: MessageKey(key.key_secret, key.nonce_secret) for key in item.skipped}
        ratchets[LeafIndex(item.leaf_index), _KINDS[item.kind]] = HashRatchet(
            item.ratchet_secret, item.generation, skipped
        )
    if any((leaf, kind) not in ratchets for leaf, _ in ratchets for kind in RatchetKind):
        raise DecodeError(
            "one ratchet of a leaf, and not the other", struct="StoredSecretTree", field="ratchets", offset=0
        )
    secrets = {NodeIndex(item.node_index): item.node_secret for item in stored.node_secrets}
    return SecretTree(stored.leaf_count, secrets, ratchets)


def _store_past_epoch(past: PastEpoch) -> StoredPastEpoch:
    return StoredPastEpoch(
        context=past.context,
        secrets=_store_secrets(past.secrets),
        secret_tree=_store_secret_tree(past.secret_tree),
        signature_keys=tuple(
            StoredSignatureKey(leaf_index=leaf, signature_key=key)
            for leaf, key in past.signature_keys.items()
        ),
        ended=past.ended,
    )


def _load_past_epoch(stored: StoredPastEpoch | StoredPastEpochVersion1) -> PastEpoch:
    return PastEpoch(
        context=stored.context,
        secrets=_load_secrets(stored.secrets),
        secret_tree=_load_secret_tree(stored.secret_tree),
        signature_keys={LeafIndex(item.leaf_index): item.signature_key for item in stored.signature_keys},
        ended=stored.ended if isinstance(stored, StoredPastEpoch) else None,
    )
