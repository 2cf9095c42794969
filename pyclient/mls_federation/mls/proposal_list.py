"""Lists of proposals: which are valid (§12.2), and what they do to the tree and the context (§12.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..crypto import Crypto
from ..errors import ValidationError
from .authentication import LeafPolicy
from .extensions import Extension, ProposalType, check_extensions_unique
from .framing import Sender, SenderType
from .group_context import GroupContext
from .key_package import KeyPackage, check_key_package
from .nodes import LeafNode, LeafNodeSource, check_capabilities, check_leaf_node, signed_leaf
from .proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
)
from .psk import PreSharedKeyID, ResumptionPSK, ResumptionPSKUsage, check_psk_ids
from .ratchet_tree import RatchetTree
from .senders import check_external_senders
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
        external_init: the `kem_output` of a commit from outside.
        reinit: what the group is to begin anew as.
    """

    tree: RatchetTree
    extensions: tuple[Extension, ...]
    added: tuple[tuple[LeafIndex, KeyPackage], ...]
    removed: tuple[tuple[LeafIndex, LeafNode], ...]
    updated: tuple[LeafIndex, ...]
    psks: tuple[PreSharedKeyID, ...]
    external_init: bytes | None
    reinit: ReInit | None


def path_required(proposals: Sequence[SentProposal]) -> bool:
    """Whether a commit of these proposals must have an update path (§12.4)."""
    return not proposals or any(sent.proposal.proposal_type not in _PATH_NOT_REQUIRED for sent in proposals)


def apply_proposals(
    crypto: Crypto,
    context: GroupContext,
    tree: RatchetTree,
    committer: LeafIndex | None,
    proposals: Sequence[SentProposal],
    policy: LeafPolicy,
    resuming: ResumptionPSKUsage | None = None,
) -> Applied:
    """Check a list of proposals and apply it to a copy of the tree (§12.2, §12.3).

    Args:
        committer: the member who commits them; None for somebody who joins by the commit.
        policy: what leaves are judged by.
        resuming: the usage of resumption PSK that the group's first commit may have, if it re-initialises or branches
            off another group.

    Raises:
        ValidationError: the code names the rule that is broken.
        VerificationError: a signature in a KeyPackage or leaf does not fit.
    """
    if committer is None:
        _check_external_list(proposals)
    elif not proposals:
        return Applied(tree.copy(), context.extensions, (), (), (), (), None, None)
    else:
        _check_list(committer, proposals)
    _check_common(crypto, context, proposals, resuming)
    extensions = context.extensions
    for change in _of(GroupContextExtensions, proposals):
        check_extensions_unique(change.extensions)
        check_external_senders(change.extensions, policy)
        extensions = change.extensions
    after = tree.copy()

    updated = []
    for sent in proposals:
        if isinstance(sent.proposal.proposal, Update):
            index = _member_index(sent.sender)
            _check_update(crypto, context, tree, index, sent.proposal.proposal.leaf_node, policy)
            after.update_leaf(index, sent.proposal.proposal.leaf_node)
            updated.append(index)
    removed = []
    for remove in _of(Remove, proposals):
        index = LeafIndex(remove.removed)
        removed.append((index, after.member(index)))
    for index, _ in removed:
        after.remove_leaf(index)
    added, signed = [], []
    for add in _of(Add, proposals):
        package = add.key_package
        signed += check_key_package(crypto, package, policy)
        added.append((after.add_leaf(package.leaf_node), package))
    crypto.verify_all(signed)

    changed = [after.member(index) for index in updated] + [package.leaf_node for _, package in added]
    everybody = extensions is not context.extensions
    for leaf in (leaf for _, leaf in after.members()) if everybody else changed:
        check_capabilities(leaf, extensions)
    if changed:
        after.index.check()
    for index in updated:
        check_successors([tree.member(index)], after.member(index), policy)
    return Applied(
        tree=after,
        extensions=extensions,
        added=tuple(added),
        removed=tuple(removed),
        updated=tuple(updated),
        psks=tuple(proposal.psk for proposal in _of(PreSharedKey, proposals)),
        external_init=next((init.kem_output for init in _of(ExternalInit, proposals)), None),
        reinit=next(iter(_of(ReInit, proposals)), None),
    )


def check_replacement(replaced: Sequence[LeafNode], new: LeafNode, source: LeafNodeSource) -> None:
    """§7.3: what a member may put in the place of its leaf; somebody who joins anew replaces at most one.

    Raises:
        ValidationError: code `wrong-leaf-source`, `key-reuse`.
    """
    if new.leaf_node_source != source:
        raise ValidationError(
            f"a leaf whose source is not `{source.name}`", code="wrong-leaf-source", section="7.3"
        )
    if any(new.encryption_key == old.encryption_key for old in replaced):
        raise ValidationError("a new leaf that keeps its old key", code="key-reuse", section="7.3")


def check_successors(replaced: Sequence[LeafNode], new: LeafNode, policy: LeafPolicy) -> None:
    """§5.3.1, §12.2: whether the application lets a leaf replace others; asked when all else is in order.

    Raises:
        ValidationError: code `not-a-successor`.
    """
    for old in replaced:
        policy.check_successor(old.credential, new.credential)


def _check_list(committer: LeafIndex, proposals: Sequence[SentProposal]) -> None:
    """What a member may commit (§12.2)."""
    if any(isinstance(sent.proposal.proposal, ExternalInit) for sent in proposals):
        raise ValidationError(
            "a member's commit with an ExternalInit", code="external-init-by-member", section="12.2"
        )
    updates = [_member_index(sent.sender) for sent in proposals if isinstance(sent.proposal.proposal, Update)]
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
    if len(list(_of(GroupContextExtensions, proposals))) > 1:
        raise ValidationError(
            "two GroupContextExtensions proposals", code="duplicate-group-context-extensions", section="12.2"
        )
    if len(proposals) > 1 and any(_of(ReInit, proposals)):
        raise ValidationError(
            "a ReInit together with other proposals", code="reinit-not-alone", section="12.2"
        )


def _check_external_list(proposals: Sequence[SentProposal]) -> None:
    """What somebody may commit who joins by it (§12.2)."""
    kinds = [type(sent.proposal.proposal) for sent in proposals]
    if kinds.count(ExternalInit) != 1:
        raise ValidationError(
            "an external commit needs one ExternalInit", code="external-init-missing", section="12.2"
        )
    if kinds.count(Remove) > 1 or not set(kinds) <= {ExternalInit, Remove, PreSharedKey}:
        raise ValidationError(
            "an external commit with proposals that it may not have",
            code="external-commit-proposals",
            section="12.2",
        )


def _check_common(
    crypto: Crypto,
    context: GroupContext,
    proposals: Sequence[SentProposal],
    resuming: ResumptionPSKUsage | None,
) -> None:
    """Rules for the proposals of any commit (§12.1.4, §12.1.5, §12.2)."""
    psks = [proposal.psk for proposal in _of(PreSharedKey, proposals)]
    check_psk_ids(crypto, psks)
    for psk_id in psks:
        usage = psk_id.psk.usage if isinstance(psk_id.psk, ResumptionPSK) else None
        if usage not in (None, ResumptionPSKUsage.application, resuming):
            raise ValidationError(
                "a PSK for re-initialising or branching, in a commit that does neither",
                code="bad-psk-usage",
                section="12.1.4",
            )
    for reinit in _of(ReInit, proposals):
        if reinit.version < context.version:
            raise ValidationError("a ReInit to an older version", code="reinit-version", section="12.1.5")
        check_extensions_unique(reinit.extensions)


def _check_distinct(items: Sequence[object], message: str, code: str) -> None:
    if len(set(items)) != len(items):
        raise ValidationError(message, code=code, section="12.2")


def _check_update(
    crypto: Crypto,
    context: GroupContext,
    tree: RatchetTree,
    index: LeafIndex,
    leaf: LeafNode,
    policy: LeafPolicy,
) -> None:
    """§12.1.2."""
    check_replacement([tree.member(index)], leaf, LeafNodeSource.update)
    check_leaf_node(leaf, context.cipher_suite, policy)
    # In the tree, such a key would keep everybody else from committing.
    crypto.check_public_key(leaf.encryption_key)
    crypto.verify_all([signed_leaf(leaf, context.group_id, index)])


def _member_index(sender: Sender) -> LeafIndex:
    if sender.sender_type != SenderType.member or sender.index is None:
        raise ValidationError("an Update from outside the group", code="unknown-sender", section="12.1.8")
    return LeafIndex(sender.index)


def _of(kind: type[P], proposals: Iterable[SentProposal]) -> Iterable[P]:
    return (sent.proposal.proposal for sent in proposals if isinstance(sent.proposal.proposal, kind))
