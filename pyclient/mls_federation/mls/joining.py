"""Joining a group by a Welcome (§12.4.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..crypto import Crypto, KeyPair
from ..errors import UnsupportedError, ValidationError
from . import key_schedule
from .authentication import CredentialCheck, LeafPolicy, accept_basic
from .epoch import PSKLookup, begin, combined_psk_secret, no_psks, with_resumption
from .extensions import ExtensionType, check_extensions_unique, find_extension
from .group import Group
from .group_context import GroupContext
from .key_package import OwnKeyPackage, key_package_ref
from .nodes import LeafNode, ProtocolVersion, check_capabilities, check_leaf_node, signed_leaf
from .psk import ResumptionPSK, ResumptionPSKUsage, check_psk_ids
from .ratchet_tree import RatchetTree, decode_tree
from .resumption import check_resumed
from .senders import check_external_senders
from .tree_hashes import check_unmerged_leaves, tree_hash, verify_parent_hashes
from .tree_math import LeafIndex, NodeIndex, node_of
from .treekem import keys_from_path_secret
from .welcome import (
    EncryptedGroupSecrets,
    GroupInfo,
    GroupSecrets,
    Welcome,
    decrypt_group_info,
    verify_group_info,
)


@dataclass(frozen=True)
class OpenedWelcome:
    """A Welcome, decrypted. The GroupInfo in it is not verified yet: that takes the tree."""

    group_secrets: GroupSecrets = field(repr=False)
    group_info: GroupInfo
    psk_secret: bytes = field(repr=False)


def find_key_package(
    welcome: Welcome, candidates: Sequence[tuple[bytes, OwnKeyPackage]]
) -> OwnKeyPackage | None:
    """The KeyPackage of ours that a Welcome is for, by its reference; nothing is decrypted for that.

    Args:
        candidates: our unused KeyPackages by their KeyPackageRef.
    """
    named = {secrets.new_member for secrets in welcome.secrets}
    for ref, own in candidates:
        if ref in named:
            return own
    return None


def open_welcome(
    crypto: Crypto, welcome: Welcome, own: OwnKeyPackage, psks: PSKLookup = no_psks
) -> OpenedWelcome:
    """Decrypt a Welcome with the keys of our KeyPackage.

    Raises:
        ValidationError: code `not-for-us`, `wrong-cipher-suite`, `unknown-psk`, `duplicate-psk`, `bad-psk-nonce`,
            `too-many-psks`.
        VerificationError: it does not authenticate.
        DecodeError: what was sealed is malformed.
    """
    package = own.key_package
    if welcome.cipher_suite != package.cipher_suite or crypto.suite.cipher_suite != package.cipher_suite:
        raise ValidationError(
            "a Welcome of another cipher suite than our KeyPackage",
            code="wrong-cipher-suite",
            section="12.4.3.1",
        )
    sealed = _secrets_for(welcome, key_package_ref(crypto, package))
    group_secrets = GroupSecrets.decode(
        crypto.decrypt_with_label(
            own.init_key, "Welcome", welcome.encrypted_group_info, sealed.encrypted_group_secrets
        )
    )
    check_psk_ids(crypto, group_secrets.psks)
    psk_secret = combined_psk_secret(crypto, group_secrets.psks, psks)
    welcome_secret = key_schedule.welcome_secret(crypto, group_secrets.joiner_secret, psk_secret)
    info = decrypt_group_info(crypto, welcome_secret, welcome.encrypted_group_info)
    return OpenedWelcome(group_secrets, info, psk_secret)


def join(
    crypto: Crypto,
    welcome: Welcome,
    own: OwnKeyPackage,
    *,
    now: int | None,
    tree: RatchetTree | None = None,
    psks: PSKLookup = no_psks,
    old: Group | None = None,
    check_credential: CredentialCheck = accept_basic,
) -> Group:
    """Join the group that a Welcome is for. Every check of §12.4.3.1 is made; the KeyPackage is used up.

    Args:
        now: Unix seconds, for the lifetimes of leaves; None leaves them unchecked.
        tree: the ratchet tree, if the Welcome does not bring it.
        psks: finds the PSKs that the Welcome names.
        old: the group that this one is to come out of, by re-initialisation or as a branch.
        check_credential: asks the application whether a credential is whose it says.

    Raises:
        ValidationError: the code names the rule that is broken; `no-tree`: there is no ratchet tree.
        VerificationError: a signature, tag or ciphertext does not authenticate.
        DecodeError: it is malformed.
        UnsupportedError: it asks for what we cannot do.
    """
    opened = open_welcome(crypto, welcome, own, psks if old is None else with_resumption(old, psks))
    info, context = opened.group_info, opened.group_info.group_context
    tree = verified_tree(crypto, info, tree, LeafPolicy(now, check_credential))
    _check_resumption(old, opened, tree)

    own_leaf = _find_leaf(tree, own.key_package.leaf_node)
    private_keys: dict[NodeIndex, KeyPair] = {node_of(own_leaf): own.encryption_key}
    if opened.group_secrets.path_secret is not None:
        private_keys |= keys_from_path_secret(
            crypto, tree, own_leaf, LeafIndex(info.signer), opened.group_secrets.path_secret.path_secret
        )
    secrets = key_schedule.epoch_secrets(
        crypto, opened.group_secrets.joiner_secret, opened.psk_secret, context.encode()
    )
    key_schedule.verify_confirmation_tag(
        crypto, secrets.confirmation_key, context.confirmed_transcript_hash, info.confirmation_tag
    )
    return begin(
        crypto, context, secrets, info.confirmation_tag, tree, own_leaf, private_keys, own.signature_key
    )


def verified_tree(
    crypto: Crypto, info: GroupInfo, tree: RatchetTree | None, policy: LeafPolicy
) -> RatchetTree:
    """The tree of a GroupInfo of our suite, with its signature and the tree verified (§12.4.3).

    Raises:
        UnsupportedError: code `unsupported-version`.
        ValidationError: code `wrong-cipher-suite`, `no-tree`, or a rule that GroupInfo or tree break.
        VerificationError: a signature does not fit.
        DecodeError: the `ratchet_tree` extension is malformed.
    """
    _check_context(crypto, info)
    data = find_extension(info.extensions, ExtensionType.ratchet_tree)
    if data is not None:
        tree = decode_tree(data)
    if tree is None:
        raise ValidationError("no ratchet tree came with the GroupInfo", code="no-tree", section="12.4.3")
    verify_group_info(crypto, tree.member(LeafIndex(info.signer)).signature_key, info)
    verify_tree(crypto, tree, info.group_context, policy)
    return tree


def verify_tree(crypto: Crypto, tree: RatchetTree, context: GroupContext, policy: LeafPolicy) -> None:
    """Whether `tree` is the valid tree of the epoch that `context` describes (§12.4.3.1).

    Raises:
        ValidationError: the code names the rule.
        VerificationError: a leaf's signature does not fit.
    """
    if tree_hash(crypto, tree) != context.tree_hash:
        raise ValidationError(
            "the ratchet tree is not the group's", code="wrong-tree-hash", section="12.4.3.1"
        )
    check_external_senders(context.extensions, policy)
    check_unmerged_leaves(tree)
    verify_parent_hashes(crypto, tree)
    members = list(tree.members())
    for _, leaf in members:
        check_leaf_node(leaf, context.cipher_suite, policy)
        check_capabilities(leaf, context.extensions)
    tree.index.check()
    crypto.verify_all([signed_leaf(leaf, context.group_id, index) for index, leaf in members])


def _check_context(crypto: Crypto, info: GroupInfo) -> None:
    """Whether a GroupInfo is of our suite and version, and its extensions are distinct."""
    context = info.group_context
    if context.version != ProtocolVersion.mls10:
        raise UnsupportedError(
            "a group of another version of MLS", code="unsupported-version", section="12.4.3.1"
        )
    if context.cipher_suite != crypto.suite.cipher_suite:
        raise ValidationError(
            "a GroupInfo of another cipher suite", code="wrong-cipher-suite", section="12.4.3.1"
        )
    check_extensions_unique(context.extensions)
    check_extensions_unique(info.extensions)


def _check_resumption(old: Group | None, opened: OpenedWelcome, tree: RatchetTree) -> None:
    """§12.4.3.1: a group that comes out of another must be what it says; and what it says, it says once."""
    usages = [
        psk_id.psk
        for psk_id in opened.group_secrets.psks
        if isinstance(psk_id.psk, ResumptionPSK) and psk_id.psk.usage != ResumptionPSKUsage.application
    ]
    if len(usages) > 1:
        raise ValidationError(
            "a Welcome that comes out of two groups", code="wrong-resumption", section="12.4.3.1"
        )
    if old is not None and not usages:
        raise ValidationError(
            "a Welcome that does not come out of the group that it is to come out of",
            code="wrong-resumption",
            section="11.2",
        )
    for psk in usages:
        if old is None or (psk.psk_group_id, psk.psk_epoch) != (old.group_id, old.epoch):
            raise ValidationError(
                "a Welcome that comes out of another group than is known",
                code="wrong-resumption",
                section="12.4.3.1",
            )
        check_resumed(old, opened.group_info.group_context, tree, psk.usage)


def _secrets_for(welcome: Welcome, ref: bytes) -> EncryptedGroupSecrets:
    for secrets in welcome.secrets:
        if secrets.new_member == ref:
            return secrets
    raise ValidationError("a Welcome that is not for our KeyPackage", code="not-for-us", section="12.4.3.1")


def _find_leaf(tree: RatchetTree, own: LeafNode) -> LeafIndex:
    octets = own.encode()
    for index, leaf in tree.members():
        if leaf.encode() == octets:
            return index
    raise ValidationError("we are not in the ratchet tree", code="not-in-tree", section="12.4.3.1")
