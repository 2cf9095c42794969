"""Lists of proposals: which are valid (§12.2), and what they do to the tree and the context (§12.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..crypto import Crypto
from ..errors import UnsupportedError, ValidationError
from .extensions import Extension, ProposalType, check_extensions_unique
from .framing import Sender, SenderType
from .group_context import GroupContext
from .key_package import KeyPackage, verify_key_package
from .nodes import LeafNode, LeafNodeSource, check_capabilities, check_leaf_node, signed_leaf
from .proposals import (
    Add,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    Remove,
    Update,
)
from .psk import PreSharedKeyID, ResumptionPSK, ResumptionPSKUsage
from .ratchet_tree import RatchetTree
from .tree_math import LeafIndex

P = TypeVar("P")

# §12.4: proposals of these types can be committed without an update path.
_PATH_NOT_REQUIRED = frozenset({ProposalType.add, ProposalType.psk, ProposalType.reinit})


@dataclass(frozen=True)
class SentProposal:
    """A proposal of a commit, with who made it: the committer itself, if it stands in the commit by value."""

    proposal: Proposal
    sender: Sender


@dataclass(frozen=True)
class Applied:
    """What a list of proposals did.

    Attributes:
        tree: the tree after them; it may be changed.
        extensions: of the new GroupContext.
        added: the new members, in the order of their proposals.
        removed: the leaves of those who are gone, with what stood there.
        updated: the leaves of those who sent an Update.
        psks: in the order of their proposals.
    """

    tree: RatchetTree
    extensions: tuple[Extension, ...]
    added: tuple[tuple[LeafIndex, KeyPackage], ...]
    removed: tuple[tuple[LeafIndex, LeafNode], ...]
    updated: tuple[LeafIndex, ...]
    psks: tuple[PreSharedKeyID, ...]


def path_required(proposals: Sequence[SentProposal]) -> bool:
    """Whether a commit of these proposals must have an update path (§12.4)."""
    return not proposals or any(sent.proposal.proposal_type not in _PATH_NOT_REQUIRED for sent in proposals)


def apply_proposals(
    crypto: Crypto,
    context: GroupContext,
    tree: RatchetTree,
    committer: LeafIndex,
    proposals: Sequence[SentProposal],
    now: int | None,
) -> Applied:
    """Check a member's list of proposals and apply it to a copy of the tree (§12.2, §12.3).

    Args:
        now: Unix seconds, for lifetimes; None leaves them unchecked.

    Raises:
        ValidationError: the code names the rule that is broken.
        UnsupportedError: a proposal of a type that is not supported.
        VerificationError: a signature in a KeyPackage or leaf does not fit.
    """
    _check_list(committer, proposals)
    extensions = context.extensions
    for change in _of(GroupContextExtensions, proposals):
        check_extensions_unique(change.extensions)
        extensions = change.extensions
    after = tree.copy()

    updated = []
    for sent in proposals:
        if isinstance(sent.proposal.proposal, Update):
            index = _member_index(sent.sender)
            _check_update(crypto, context, tree, index, sent.proposal.proposal.leaf_node, now)
            after.update_leaf(index, sent.proposal.proposal.leaf_node)
            updated.append(index)
    removed = []
    for remove in _of(Remove, proposals):
        index = LeafIndex(remove.removed)
        removed.append((index, after.member(index)))
    for index, _ in sorted(removed, reverse=True, key=lambda pair: pair[0]):
        after.remove_leaf(index)
    added = []
    for add in _of(Add, proposals):
        package = add.key_package
        verify_key_package(crypto, package, now)
        added.append((after.add_leaf(package.leaf_node), package))

    changed = [after.member(index) for index in updated] + [package.leaf_node for _, package in added]
    everybody = extensions is not context.extensions
    for leaf in (leaf for _, leaf in after.members()) if everybody else changed:
        check_capabilities(leaf, extensions)
    if changed:
        check_members(after)
    return Applied(
        tree=after,
        extensions=extensions,
        added=tuple(added),
        removed=tuple(removed),
        updated=tuple(updated),
        psks=tuple(proposal.psk for proposal in _of(PreSharedKey, proposals)),
    )


def check_members(tree: RatchetTree) -> None:
    """§7.3: keys are unique in the tree, and each member knows the credential types of all.

    Raises:
        ValidationError: code `duplicate-signature-key`, `duplicate-encryption-key`, `unsupported-credential`.
    """
    leaves = [leaf for _, leaf in tree.members()]
    if len({leaf.signature_key for leaf in leaves}) != len(leaves):
        raise ValidationError(
            "two members have one signature key", code="duplicate-signature-key", section="7.3"
        )
    nodes = [node for node in tree.nodes if node is not None]
    if len({node.encryption_key for node in nodes}) != len(nodes):
        raise ValidationError(
            "two nodes have one encryption key", code="duplicate-encryption-key", section="7.3"
        )
    in_use = {leaf.credential.credential_type for leaf in leaves}
    if any(not in_use.issubset(leaf.capabilities.credentials) for leaf in leaves):
        raise ValidationError(
            "a member does not support a credential type that another uses",
            code="unsupported-credential",
            section="7.3",
        )


def check_replacement(old: LeafNode, new: LeafNode, source: LeafNodeSource) -> None:
    """§7.3: what a member may put in the place of its leaf.

    Raises:
        ValidationError: code `wrong-leaf-source`, `key-reuse`.
    """
    if new.leaf_node_source != source:
        raise ValidationError(
            f"a leaf whose source is not `{source.name}`", code="wrong-leaf-source", section="7.3"
        )
    if new.encryption_key == old.encryption_key:
        raise ValidationError("a new leaf that keeps its old key", code="key-reuse", section="7.3")


def _check_list(committer: LeafIndex, proposals: Sequence[SentProposal]) -> None:
    """The rules of §12.2 that need the list alone."""
    for sent in proposals:
        if sent.proposal.proposal_type in (ProposalType.reinit, ProposalType.external_init):
            raise UnsupportedError(
                f"a proposal of type {sent.proposal.proposal_type.name}",
                code="unsupported-proposal",
                section="12.2",
            )
    updates = [_member_index(s.sender) for s in proposals if isinstance(s.proposal.proposal, Update)]
    removes = [LeafIndex(remove.removed) for remove in _of(Remove, proposals)]
    if committer in updates:
        raise ValidationError(
            "a commit of the committer's own Update", code="own-update-committed", section="12.2"
        )
    if committer in removes:
        raise ValidationError("a commit that removes its committer", code="committer-removed", section="12.2")
    _check_distinct(updates + removes, "one member is updated or removed twice", "member-changed-twice")
    keys = [add.key_package.leaf_node.signature_key for add in _of(Add, proposals)]
    _check_distinct(keys, "one client is added twice", "duplicate-signature-key")
    psks = [proposal.psk for proposal in _of(PreSharedKey, proposals)]
    _check_distinct(psks, "one PSK is used twice", "duplicate-psk")
    for psk in psks:
        # §12.1.4: the other usages belong to the first commit of a group that replaces or branches off another.
        if isinstance(psk.psk, ResumptionPSK) and psk.psk.usage != ResumptionPSKUsage.application:
            raise ValidationError(
                "a resumption PSK that is for a new group", code="bad-psk-usage", section="12.1.4"
            )
    if len(list(_of(GroupContextExtensions, proposals))) > 1:
        raise ValidationError(
            "two GroupContextExtensions proposals", code="duplicate-group-context-extensions", section="12.2"
        )


def _check_distinct(items: Sequence[object], message: str, code: str) -> None:
    if len(set(items)) != len(items):
        raise ValidationError(message, code=code, section="12.2")


def _check_update(
    crypto: Crypto,
    context: GroupContext,
    tree: RatchetTree,
    index: LeafIndex,
    leaf: LeafNode,
    now: int | None,
) -> None:
    """§12.1.2."""
    check_replacement(tree.member(index), leaf, LeafNodeSource.update)
    check_leaf_node(leaf, context.cipher_suite, now)
    crypto.verify_all([signed_leaf(leaf, context.group_id, index)])


def _member_index(sender: Sender) -> LeafIndex:
    if sender.sender_type != SenderType.member or sender.index is None:
        raise ValidationError("an Update from outside the group", code="unknown-sender", section="12.1.8")
    return LeafIndex(sender.index)


def _of(kind: type[P], proposals: Iterable[SentProposal]) -> Iterable[P]:
    return (sent.proposal.proposal for sent in proposals if isinstance(sent.proposal.proposal, kind))
