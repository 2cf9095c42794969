"""Reading messages of a group: application data, proposals and commits (§6, §12.1, §12.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..crypto import KeyPair
from ..errors import EpochError, UnsupportedError, ValidationError
from . import key_schedule
from .commit import Commit, UpdatePath
from .epoch import (
    PSKLookup,
    combined_psk_secret,
    enter,
    no_psks,
    provisional_context,
    transition,
    with_resumption,
)
from .framing import (
    AuthenticatedContent,
    ContentType,
    PrivateMessage,
    PublicMessage,
    Sender,
    decode_message,
    proposal_ref,
)
from .group import Group, ReceivedProposal
from .nodes import LeafNode, LeafNodeSource, check_capabilities, check_leaf_node, signed_leaf
from .proposal_list import (
    Applied,
    SentProposal,
    apply_proposals,
    check_members,
    check_replacement,
    path_required,
)
from .proposals import Proposal
from .protection import Unprotected, open_sender_data, unprotect_private, unprotect_public
from .tree_math import LeafIndex, NodeIndex, node_of
from .treekem import decrypt_path, merge_path


@dataclass(frozen=True)
class ApplicationMessage:
    """Data from a member. `group` is the state after it; the key it was sealed with is gone from there."""

    group: Group
    sender: LeafIndex
    epoch: int
    generation: int
    data: bytes
    authenticated_data: bytes


@dataclass(frozen=True)
class ProposalMessage:
    """A proposal, which `group` now knows, so that a commit can refer to it."""

    group: Group
    sender: LeafIndex
    proposal: Proposal
    proposal_ref: bytes


@dataclass(frozen=True)
class CommitMessage:
    """A commit; `group` is in the new epoch.

    Attributes:
        added: the new members' leaves.
        removed: the leaves of those who are gone, with what stood there.
        updated: the leaves of those who renewed their keys, the committer's among them if it did.
    """

    group: Group
    sender: LeafIndex
    added: tuple[LeafIndex, ...]
    removed: tuple[tuple[LeafIndex, LeafNode], ...]
    updated: tuple[LeafIndex, ...]


@dataclass(frozen=True)
class RemovedMessage:
    """A commit by which we are no longer a member. The group's state is to be deleted (§12.4.2)."""

    sender: LeafIndex
    epoch: int


Received: TypeAlias = ApplicationMessage | ProposalMessage | CommitMessage | RemovedMessage


def receive(group: Group, data: bytes, *, now: int | None, psks: PSKLookup = no_psks) -> Received:
    """Read one message of the group.

    Args:
        data: an encoded MLSMessage.
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        psks: finds the PSKs that a commit names.

    Raises:
        DecodeError: it is malformed.
        UnsupportedError: it is no message of a group, or has a proposal that is not supported.
        EpochError: `wrong-group`, `wrong-epoch`: another epoch's; `future-epoch`: a later one's, so the commits between
            are missing; `own-message`: our own, echoed; `replayed`.
        ValidationError: it breaks a rule; the code names it.
        VerificationError: it does not authenticate.
    """
    message = decode_message(data)
    if isinstance(message, PublicMessage):
        return _receive_public(group, message, now, psks)
    if isinstance(message, PrivateMessage):
        return _receive_private(group, message, now, psks)
    raise UnsupportedError("a message that is not for the members of a group", code="unexpected-message")


def _receive_public(group: Group, message: PublicMessage, now: int | None, psks: PSKLookup) -> Received:
    _check_not_future(group, message.content.group_id, message.content.epoch)
    authenticated = unprotect_public(
        group.crypto, group.secrets.membership_key, message, group.context, group.signature_key_of
    )
    if _leaf(authenticated.content.sender) == group.own_leaf:
        raise _own_message()
    return _receive_handshake(group, authenticated, now, psks)


def _receive_private(group: Group, message: PrivateMessage, now: int | None, psks: PSKLookup) -> Received:
    _check_not_future(group, message.group_id, message.epoch)
    if message.epoch != group.epoch:
        return _receive_late(group, message)
    if open_sender_data(group.crypto, group.secrets, message, group.context).leaf_index == group.own_leaf:
        raise _own_message()
    opened = unprotect_private(
        group.crypto, group.secrets, group.secret_tree, message, group.context, group.signature_key_of
    )
    after = replace(group, secret_tree=opened.secret_tree)
    if opened.message.content.content_type == ContentType.application:
        return _application_message(after, opened)
    return _receive_handshake(after, opened.message, now, psks)


def _receive_late(group: Group, message: PrivateMessage) -> ApplicationMessage:
    """An application message of an epoch that has ended (§15.3)."""
    past = next((past for past in group.past_epochs if past.context.epoch == message.epoch), None)
    if past is None or message.content_type != ContentType.application:
        raise EpochError(
            f"a message of epoch {message.epoch}, which has ended; the group is in epoch {group.epoch}",
            section="6",
        )

    def signature_key_of(sender: Sender) -> bytes:
        key = past.signature_keys.get(_leaf(sender))
        if key is None:
            raise ValidationError("there was no member at that leaf", code="not-a-member")
        return key

    if open_sender_data(group.crypto, past.secrets, message, past.context).leaf_index == group.own_leaf:
        raise _own_message()
    opened = unprotect_private(
        group.crypto, past.secrets, past.secret_tree, message, past.context, signature_key_of
    )
    spent = replace(past, secret_tree=opened.secret_tree)
    kept = tuple(spent if epoch is past else epoch for epoch in group.past_epochs)
    return _application_message(replace(group, past_epochs=kept), opened)


def _application_message(after: Group, opened: Unprotected) -> ApplicationMessage:
    content = opened.message.content
    assert isinstance(content.content, bytes)  # its content_type says so
    return ApplicationMessage(
        group=after,
        sender=_leaf(content.sender),
        epoch=content.epoch,
        generation=opened.generation,
        data=content.content,
        authenticated_data=content.authenticated_data,
    )


def _receive_handshake(
    group: Group, message: AuthenticatedContent, now: int | None, psks: PSKLookup
) -> Received:
    sender = _leaf(message.content.sender)
    if isinstance(message.content.content, Proposal):
        ref = proposal_ref(group.crypto, message)
        received = ReceivedProposal(message.content.content, message.content.sender)
        after = replace(group, proposals={**group.proposals, ref: received})
        return ProposalMessage(after, sender, message.content.content, ref)
    return _apply_commit(group, sender, message, now, psks)


def _apply_commit(
    group: Group, committer: LeafIndex, message: AuthenticatedContent, now: int | None, psks: PSKLookup
) -> CommitMessage | RemovedMessage:
    """Processing a Commit (§12.4.2)."""
    crypto = group.crypto
    body = message.content.content
    assert isinstance(body, Commit)  # the other content types were dealt with before
    proposals = _resolve(group, body, message.content.sender)
    applied = apply_proposals(crypto, group.context, group.tree, committer, proposals, now)
    if body.path is None and path_required(proposals):
        raise ValidationError(
            "a commit without the path that it needs", code="path-missing", section="12.4.2"
        )
    if any(index == group.own_leaf for index, _ in applied.removed):
        return RemovedMessage(committer, group.epoch + 1)

    private_keys, signature_key = _own_keys(group, body)
    commit_secret = bytes(crypto.Nh)
    if body.path is not None:
        _check_path(group, committer, body.path, applied, now)
        merge_path(crypto, applied.tree, committer, body.path)
    provisional = provisional_context(crypto, group.context, applied.tree, applied.extensions)
    if body.path is not None:
        path_keys, commit_secret = decrypt_path(
            crypto,
            applied.tree,
            committer,
            body.path,
            provisional.encode(),
            frozenset(index for index, _ in applied.added),
            group.own_leaf,
            {**group.private_keys, **private_keys},
        )
        private_keys |= path_keys
    reached = transition(
        group,
        provisional,
        message.wire_format,
        message.content,
        message.auth.signature,
        commit_secret,
        combined_psk_secret(crypto, applied.psks, with_resumption(group, psks)),
    )
    key_schedule.verify_confirmation_tag(
        crypto,
        reached.secrets.confirmation_key,
        reached.context.confirmed_transcript_hash,
        message.auth.confirmation_tag,
    )
    updated = (*applied.updated, committer) if body.path is not None else applied.updated
    return CommitMessage(
        group=enter(group, reached, applied.tree, private_keys, signature_key),
        sender=committer,
        added=tuple(index for index, _ in applied.added),
        removed=applied.removed,
        updated=updated,
    )


def _resolve(group: Group, body: Commit, committer: Sender) -> list[SentProposal]:
    """The proposals of a commit, those by reference looked up."""
    proposals = []
    for item in body.proposals:
        if isinstance(item.proposal_or_ref, Proposal):
            proposals.append(SentProposal(item.proposal_or_ref, committer))
            continue
        received = group.proposals.get(item.proposal_or_ref)
        if received is None:
            raise ValidationError(
                "a commit refers to a proposal that was not received", code="unknown-proposal", section="12.4"
            )
        proposals.append(SentProposal(received.proposal, received.sender))
    return proposals


def _own_keys(group: Group, body: Commit) -> tuple[dict[NodeIndex, KeyPair], bytes]:
    """The keys of our leaf in the new epoch, if the commit has an Update of ours; and our signature key."""
    for item in body.proposals:
        if isinstance(item.proposal_or_ref, bytes) and item.proposal_or_ref in group.own_updates:
            update = group.own_updates[item.proposal_or_ref]
            return {node_of(group.own_leaf): update.encryption_key}, update.signature_key
    return {}, group.signature_key


def _check_path(
    group: Group, committer: LeafIndex, path: UpdatePath, applied: Applied, now: int | None
) -> None:
    """The checks of an update path that need no secrets (§12.4.2)."""
    crypto, leaf = group.crypto, path.leaf_node
    check_replacement(group.tree.member(committer), leaf, LeafNodeSource.commit)
    check_leaf_node(leaf, group.cipher_suite, now)
    check_capabilities(leaf, applied.extensions)
    crypto.verify_all([signed_leaf(leaf, group.group_id, committer)])
    new_keys = [leaf.encryption_key, *(node.encryption_key for node in path.nodes)]
    if len(set(new_keys)) != len(new_keys) or not applied.tree.encryption_keys().isdisjoint(new_keys):
        raise ValidationError(
            "an update path with a key that is in use", code="duplicate-encryption-key", section="12.4.2"
        )
    renewed = applied.tree.copy()
    renewed.set_node(node_of(committer), leaf)
    check_members(renewed)


def _check_not_future(group: Group, group_id: bytes, epoch: int) -> None:
    if group_id != group.group_id:
        raise EpochError("a message for another group", code="wrong-group", section="6")
    if epoch > group.epoch:
        raise EpochError(
            f"a message of epoch {epoch}; the group is in epoch {group.epoch}",
            code="future-epoch",
            section="6",
        )


def _leaf(sender: Sender) -> LeafIndex:
    assert sender.index is not None  # signature_key_of admits members only
    return LeafIndex(sender.index)


def _own_message() -> EpochError:
    return EpochError("our own message", code="own-message")


__all__ = [
    "ApplicationMessage",
    "CommitMessage",
    "ProposalMessage",
    "Received",
    "RemovedMessage",
    "receive",
]
