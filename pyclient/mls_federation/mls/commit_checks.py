"""What everybody checks of a commit, members and followers without secrets alike (§12.4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..crypto import Crypto
from ..errors import ValidationError
from .authentication import LeafPolicy
from .commit import Commit, UpdatePath
from .epoch import provisional_context
from .framing import AuthenticatedContent, Sender, SenderType
from .group import ReceivedProposal
from .group_context import GroupContext
from .nodes import LeafNodeSource, check_capabilities, check_leaf_node, signed_leaf
from .proposal_list import (
    Applied,
    SentProposal,
    apply_proposals,
    check_replacement,
    check_successors,
    path_required,
)
from .proposals import Proposal
from .ratchet_tree import RatchetTree
from .tree_math import LeafIndex, node_of
from .treekem import check_ciphertexts, merge_path


class GroupView(Protocol):
    """The public part of a group's state."""

    @property
    def crypto(self) -> Crypto: ...
    @property
    def context(self) -> GroupContext: ...
    @property
    def tree(self) -> RatchetTree: ...
    @property
    def proposals(self) -> Mapping[bytes, ReceivedProposal]: ...


@dataclass(frozen=True)
class CheckedCommit:
    """A commit whose public part is valid, and the tree and context that it leads to.

    Attributes:
        commit: itself.
        committer: its sender's leaf in the new epoch.
        applied: what its proposals did; the path is merged into `applied.tree`.
        provisional: the new context, with the old transcript hash.
    """

    commit: Commit
    committer: LeafIndex
    applied: Applied
    provisional: GroupContext


def check_commit(view: GroupView, message: AuthenticatedContent, policy: LeafPolicy) -> CheckedCommit:
    """Check a commit as far as it can be without secrets.

    Args:
        message: with its signature verified.
        policy: what leaves are judged by.

    Raises:
        ValidationError: the code names the rule that is broken.
        VerificationError: a signature in a KeyPackage or leaf does not fit.
    """
    crypto, body, sender = view.crypto, message.content.content, message.content.sender
    if not isinstance(body, Commit):
        raise ValidationError("an epoch begins with a commit", code="not-a-commit", section="12.4")
    from_outside = sender.sender_type == SenderType.new_member_commit
    if not from_outside and (sender.sender_type != SenderType.member or sender.index is None):
        raise ValidationError(
            "only members and new members commit", code="sender-not-allowed", section="12.4"
        )
    proposals = _resolve(view, body, sender)
    member = None if from_outside or sender.index is None else LeafIndex(sender.index)
    applied = apply_proposals(crypto, view.context, view.tree, member, proposals, policy)
    if body.path is None and (from_outside or path_required(proposals)):
        raise ValidationError(
            "a commit without the path that it needs", code="path-missing", section="12.4.2"
        )
    committer = applied.tree.leftmost_blank_leaf() if member is None else member
    if body.path is not None:
        _check_path(view, member, committer, body.path, applied, policy)
        merge_path(crypto, applied.tree, committer, body.path)
        check_ciphertexts(applied.tree, committer, body.path, frozenset(index for index, _ in applied.added))
    provisional = provisional_context(crypto, view.context, applied.tree, applied.extensions)
    return CheckedCommit(body, committer, applied, provisional)


def _resolve(view: GroupView, body: Commit, committer: Sender) -> list[SentProposal]:
    """The proposals of a commit, those by reference looked up."""
    proposals = []
    for item in body.proposals:
        if isinstance(item.proposal_or_ref, Proposal):
            proposals.append(SentProposal(item.proposal_or_ref, committer))
            continue
        if committer.sender_type == SenderType.new_member_commit:
            raise ValidationError(
                "an external commit refers to a proposal",
                code="external-commit-proposals",
                section="12.4.3.2",
            )
        received = view.proposals.get(item.proposal_or_ref)
        if received is None:
            raise ValidationError(
                "a commit refers to a proposal that was not received", code="unknown-proposal", section="12.4"
            )
        proposals.append(SentProposal(received.proposal, received.sender))
    return proposals


def _check_path(
    view: GroupView,
    member: LeafIndex | None,
    committer: LeafIndex,
    path: UpdatePath,
    applied: Applied,
    policy: LeafPolicy,
) -> None:
    """The checks of an update path before it is merged; its leaf is put into the tree."""
    crypto, leaf = view.crypto, path.leaf_node
    replaced = [view.tree.member(member)] if member is not None else [old for _, old in applied.removed]
    check_replacement(replaced, leaf, LeafNodeSource.commit)
    check_leaf_node(leaf, view.context.cipher_suite, policy)
    check_capabilities(leaf, applied.extensions)
    crypto.verify_all([signed_leaf(leaf, view.context.group_id, committer)])
    new_keys = [leaf.encryption_key, *(node.encryption_key for node in path.nodes)]
    in_use = applied.tree.index.encryption_keys
    if len(set(new_keys)) != len(new_keys) or any(public_key in in_use for public_key in new_keys):
        raise ValidationError(
            "an update path with a key that is in use", code="duplicate-encryption-key", section="12.4.2"
        )
    for public_key in new_keys:
        crypto.check_public_key(public_key)
    applied.tree.set_node(node_of(committer), leaf)
    applied.tree.index.check()
    check_successors(replaced, leaf, policy)
