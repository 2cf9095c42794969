"""Reading messages of a group: application data, proposals and commits (§6, §12.1, §12.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..crypto import KeyPair
from ..errors import EpochError, UnsupportedError, ValidationError
from . import key_schedule
from .authentication import CredentialCheck, LeafPolicy, SuccessorCheck, accept_basic, same_identity
from .commit import Commit
from .commit_checks import check_commit
from .epoch import PSKLookup, combined_psk_secret, enter, no_psks, transition, with_resumption
from .framing import (
    AuthenticatedContent,
    ContentType,
    PrivateMessage,
    PublicMessage,
    Sender,
    decode_message,
    member,
    proposal_ref,
)
from .group import Group, PastEpoch, ReceivedProposal, check_room
from .nodes import LeafNode
from .proposals import Proposal
from .protection import Unprotected, open_sender_data, unprotect_private, unprotect_public
from .retention import DEFAULT_RETENTION, Retention, forget
from .senders import signature_key_for
from .transcript import confirmed_by
from .tree_math import LeafIndex, NodeIndex, node_of
from .treekem import decrypt_path


@dataclass(frozen=True)
class ApplicationMessage:
    """Data from a member. `group` is the state after it; the key it was sealed with is gone from there."""

    group: Group
    sender: LeafIndex
    epoch: int
    generation: int
    data: bytes = field(repr=False)
    authenticated_data: bytes


@dataclass(frozen=True)
class ProposalMessage:
    """A proposal, which `group` now knows, so that a commit can refer to it."""

    group: Group
    sender: Sender
    proposal: Proposal
    proposal_ref: bytes


@dataclass(frozen=True)
class CommitMessage:
    """A commit; `group` is in the new epoch.

    Attributes:
        sender: the committer's leaf in the new epoch.
        added: the new members' leaves, the committer's among them if it joined by this commit.
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
    """A commit by which we are no longer a member. The group's state is to be deleted (§12.4.2).

    Attributes:
        epoch: the one that the commit begins.
        confirmed_transcript_hash: of that epoch. Nothing that we can check confirms it but the committer's signature.
    """

    sender: LeafIndex
    epoch: int
    confirmed_transcript_hash: bytes


Received: TypeAlias = ApplicationMessage | ProposalMessage | CommitMessage | RemovedMessage


def receive(
    group: Group,
    data: bytes,
    *,
    now: int | None,
    psks: PSKLookup = no_psks,
    check_credential: CredentialCheck = accept_basic,
    check_successor: SuccessorCheck = same_identity,
    retention: Retention = DEFAULT_RETENTION,
) -> Received:
    """Read one message of the group.

    Args:
        data: an encoded MLSMessage.
        now: Unix seconds, for lifetimes and retention; None leaves them unchecked.
        psks: finds the PSKs that a commit names.
        check_credential: asks the application whether a credential is whose it says.
        check_successor: asks it whether a member may take on a credential, and who joins may replace a member.
        retention: how long the keys of past epochs are kept.

    Raises:
        DecodeError: it is malformed.
        UnsupportedError: it is no message of a group, or has a proposal that is not supported.
        EpochError: `wrong-group`, `wrong-epoch`: another epoch's; `future-epoch`: a later one's, so the commits between
            are missing; `epoch-forgotten`: an application message that came too late; `own-message`: our own, echoed;
            `replayed`.
        ValidationError: it breaks a rule; the code names it.
        VerificationError: it does not authenticate.
    """
    message, policy = decode_message(data), LeafPolicy(now, check_credential, check_successor)
    group = forget(group, now, retention)
    if isinstance(message, PublicMessage):
        return _receive_public(group, message, policy, psks, retention)
    if isinstance(message, PrivateMessage):
        return _receive_private(group, message, policy, psks, retention)
    raise UnsupportedError("a message that is not for the members of a group", code="unexpected-message")


def _receive_public(
    group: Group, message: PublicMessage, policy: LeafPolicy, psks: PSKLookup, retention: Retention
) -> Received:
    _check_not_future(group, message.content.group_id, message.content.epoch)

    def signature_key_of(_: Sender) -> bytes:
        return signature_key_for(group.tree, group.context, message.content)

    authenticated = unprotect_public(
        group.crypto, group.secrets.membership_key, message, group.context, signature_key_of
    )
    if authenticated.content.sender == member(group.own_leaf):
        raise _own_message()
    return _receive_handshake(group, authenticated, policy, psks, retention)


def _receive_private(
    group: Group, message: PrivateMessage, policy: LeafPolicy, psks: PSKLookup, retention: Retention
) -> Received:
    _check_not_future(group, message.group_id, message.epoch)
    if message.epoch != group.epoch:
        return _receive_late(group, message)

    def signature_key_of(sender: Sender) -> bytes:
        leaf = _leaf(sender)
        if leaf == group.own_leaf:
            raise _own_message()
        return group.tree.member(leaf).signature_key

    opened = unprotect_private(
        group.crypto, group.secrets, group.secret_tree, message, group.context, signature_key_of
    )
    after = replace(group, secret_tree=opened.secret_tree)
    if opened.message.content.content_type == ContentType.application:
        return _application_message(after, opened)
    return _receive_handshake(after, opened.message, policy, psks, retention)


def _receive_late(group: Group, message: PrivateMessage) -> ApplicationMessage:
    """An application message of an epoch that has ended (§15.3)."""
    past = next((past for past in group.past_epochs if past.context.epoch == message.epoch), None)
    if past is None and message.content_type == ContentType.application:
        raise EpochError(
            f"a message of epoch {message.epoch}, whose keys are not kept; the group is in epoch {group.epoch}",
            code="epoch-forgotten",
            section="9.2",
        )
    if past is None or message.content_type != ContentType.application:
        # A commit of ours comes back late too: it ended its epoch here when it was made.
        if past is not None and _is_own(group, message, past):
            raise _own_message()
        raise EpochError(
            f"a message of epoch {message.epoch}, which has ended; the group is in epoch {group.epoch}",
            section="6",
        )

    def signature_key_of(sender: Sender) -> bytes:
        leaf = _leaf(sender)
        if leaf == group.own_leaf:
            raise _own_message()
        key = past.signature_keys.get(leaf)
        if key is None:
            raise ValidationError("there was no member at that leaf", code="not-a-member")
        return key

    opened = unprotect_private(
        group.crypto, past.secrets, past.secret_tree, message, past.context, signature_key_of
    )
    spent = replace(past, secret_tree=opened.secret_tree)
    kept = tuple(spent if epoch is past else epoch for epoch in group.past_epochs)
    return _application_message(replace(group, past_epochs=kept), opened)


def _is_own(group: Group, message: PrivateMessage, past: PastEpoch) -> bool:
    """Whether a message of an epoch that has ended is ours."""
    return open_sender_data(group.crypto, past.secrets, message, past.context).leaf_index == group.own_leaf


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
    group: Group, message: AuthenticatedContent, policy: LeafPolicy, psks: PSKLookup, retention: Retention
) -> Received:
    if isinstance(message.content.content, Proposal):
        check_room(group.proposals)
        ref = proposal_ref(group.crypto, message)
        received = ReceivedProposal(message.content.content, message.content.sender)
        after = replace(group, proposals={**group.proposals, ref: received})
        return ProposalMessage(after, message.content.sender, message.content.content, ref)
    return _apply_commit(group, message, policy, psks, retention)


def _apply_commit(
    group: Group, message: AuthenticatedContent, policy: LeafPolicy, psks: PSKLookup, retention: Retention
) -> CommitMessage | RemovedMessage:
    """Processing a Commit (§12.4.2)."""
    crypto = group.crypto
    checked = check_commit(group, message, policy)
    applied, path = checked.applied, checked.commit.path
    if any(index == group.own_leaf for index, _ in applied.removed):
        confirmed = confirmed_by(crypto, group.interim_transcript_hash, message)
        return RemovedMessage(checked.committer, group.epoch + 1, confirmed)
    private_keys, signature_key = _own_keys(group, checked.commit)
    commit_secret = bytes(crypto.Nh)
    if path is not None:
        path_keys, commit_secret = decrypt_path(
            crypto,
            applied.tree,
            checked.committer,
            path,
            checked.provisional.encode(),
            frozenset(index for index, _ in applied.added),
            group.own_leaf,
            {**group.private_keys, **private_keys},
        )
        private_keys |= path_keys
    init_secret = group.secrets.init_secret
    if applied.external_init is not None:
        keys = key_schedule.external_key_pair(crypto, group.secrets.external_secret)
        init_secret = key_schedule.received_init_secret(crypto, keys, applied.external_init)
    reached = transition(
        crypto,
        group.interim_transcript_hash,
        init_secret,
        checked.provisional,
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
    added = tuple(index for index, _ in applied.added)
    from_outside = applied.external_init is not None
    return CommitMessage(
        group=enter(
            group,
            reached,
            applied.tree,
            private_keys,
            signature_key,
            applied.reinit,
            policy.now,
            retention,
        ),
        sender=checked.committer,
        added=(*added, checked.committer) if from_outside else added,
        removed=applied.removed,
        updated=(*applied.updated, checked.committer)
        if path is not None and not from_outside
        else applied.updated,
    )


def _own_keys(group: Group, body: Commit) -> tuple[dict[NodeIndex, KeyPair], bytes]:
    """The keys of our leaf in the new epoch, if the commit has an Update of ours; and our signature key."""
    for item in body.proposals:
        if isinstance(item.proposal_or_ref, bytes) and item.proposal_or_ref in group.own_updates:
            update = group.own_updates[item.proposal_or_ref]
            return {node_of(group.own_leaf): update.encryption_key}, update.signature_key
    return {}, group.signature_key


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
    assert sender.index is not None  # only members send private messages
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
