"""What one client does in one group, as Firefox's `MLSGroupView` does it: a view in, the next view and the page's answer out.

Proposals and commits are PublicMessages, as Firefox sends them, and a commit renews our keys only where its proposals call for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...errors import EpochError, StateError, UnsupportedError, ValidationError
from ...mls import (
    ApplicationMessage,
    CommitMessage,
    Group,
    KeyPackage,
    PendingCommit,
    ProposalMessage,
    PublicMessage,
    RemovedMessage,
    WireFormat,
    add,
    commit,
    decode_message,
    export_secret,
    group_info,
    mls_message,
    propose,
    receive,
    remove,
    send_application_data,
)
from ...mls.framing import AuthenticatedContent, proposal_ref
from ...mls.group import ReceivedProposal, check_room
from ...mls.proposals import Add, Proposal, Remove
from ...mls.tree_math import LeafIndex
from ..shapes import Shape

# What Firefox says of the epoch to a client that is no longer a member.
REMOVED_EPOCH = b"\xff" * 8


@dataclass(frozen=True)
class OwnCommit:
    """A commit of ours that is not applied yet, and the group that it makes."""

    message: bytes
    group: Group = field(repr=False)


@dataclass(frozen=True)
class View:
    """A client's place in a group.

    Attributes:
        client_id: whose it is.
        group: its state. Secret.
        own_commit: what `receive` or `apply_own_commit` makes the group's next epoch; None if there is none.
    """

    client_id: bytes
    group: Group = field(repr=False)
    own_commit: OwnCommit | None = None


def client_id_of(signature_key: bytes) -> bytes:
    """The client identifier that belongs to a public key: its SHA-256, as in Firefox."""
    return hashlib.sha256(signature_key).digest()


def epoch_octets(epoch: int) -> bytes:
    """An epoch as Firefox writes it for a page: little-endian, unlike in messages."""
    return epoch.to_bytes(8, "little")


def check_distinct_credentials(group: Group) -> None:
    """Firefox's members leave a group behind in which two have the same credential, so none is made or entered here.

    Raises:
        ValidationError: code `duplicate-credential`.
    """
    credentials = [member.leaf_node.credential.encode() for member in group.members]
    if len(set(credentials)) < len(credentials):
        raise ValidationError(
            "two members of the group would have the same credential", code="duplicate-credential"
        )


def details(view: View) -> Shape:
    """`MLSGroupDetails`."""
    return {
        "groupEpoch": epoch_octets(view.group.epoch),
        "groupId": view.group.group_id,
        "members": [
            {
                "clientId": client_id_of(member.leaf_node.signature_key),
                "credential": member.leaf_node.credential.encode(),
            }
            for member in view.group.members
        ],
        "type": "group-info",
    }


def inspect(view: View) -> Shape:
    """`MLSInspection`, which Firefox has not."""
    return {
        "epochAuthenticator": view.group.epoch_authenticator,
        "groupInfo": mls_message(group_info(view.group)).encode(),
    }


def add_client(view: View, key_package: bytes, now: int) -> tuple[View, Shape]:
    """Commit to adding a client, and to every proposal of the epoch. `MLSCommitOutput`."""
    return _commit(view, [add(_key_package(key_package))], now)


def remove_client(view: View, client_id: bytes, now: int) -> tuple[View, Shape]:
    """Commit to removing a member, and to every proposal of the epoch. `MLSCommitOutput`."""
    leaf = _leaf_of(view, client_id)
    if leaf == view.group.own_leaf:
        raise StateError(
            "a member cannot commit to its own removal; proposeRemove() asks another to do it",
            code="cannot-remove-self",
        )
    return _commit(view, [remove(leaf)], now)


def remove_all_others(view: View, now: int) -> tuple[View, Shape]:
    """Commit to removing everybody but ourselves. `MLSCommitOutput`."""
    own = view.group.own_leaf
    others = [member.leaf_index for member in view.group.members if member.leaf_index != own]
    return _commit(view, [remove(leaf) for leaf in others], now)


def propose_to_add(view: View, key_package: bytes, now: int) -> tuple[View, Shape]:
    """`MLSProposal`."""
    return _propose(view, add(_key_package(key_package)), now)


def propose_to_remove(view: View, client_id: bytes, now: int) -> tuple[View, Shape]:
    """`MLSProposal`. A member may propose its own removal."""
    return _propose(view, remove(_leaf_of(view, client_id)), now)


def send(view: View, message: bytes) -> tuple[View, Shape]:
    """`MLSBytes`."""
    sent = send_application_data(view.group, message)
    answer = {"content": sent.message, "type": "application-message-ciphertext"}
    return replace(view, group=sent.group), answer


def receive_message(view: View, message: bytes, now: int) -> tuple[View, Shape]:
    """`MLSReceived`, whatever the message is.

    A proposal is committed to at once, together with all others of the epoch; our own commit, and our own proposal, are taken as
    they come back.
    """
    if view.own_commit is not None and message == view.own_commit.message:
        return apply_own_commit(view)
    try:
        received = receive(view.group, message, now=now)
    except EpochError as error:
        if error.code != "own-message":
            raise
        return _commit_to_proposals(view, _with_own_proposal(view.group, message, error), now)
    match received:
        case ApplicationMessage():
            answer: Shape = {
                "content": received.data,
                "groupId": view.group.group_id,
                "type": "application-message-plaintext",
            }
            return replace(view, group=received.group), answer
        case ProposalMessage():
            return _commit_to_proposals(view, received.group, now)
        case CommitMessage():
            check_distinct_credentials(received.group)
            after = View(view.client_id, received.group)
            return after, _processed(view.group.group_id, epoch_octets(received.group.epoch))
        case RemovedMessage():
            # As in Firefox: the page finds out by this epoch, can still read what was sent before, and deletes the view itself.
            return replace(view, own_commit=None), _processed(view.group.group_id, REMOVED_EPOCH)


def apply_own_commit(view: View) -> tuple[View, Shape]:
    """Go on to the epoch that our commit begins. `MLSReceived`.

    Raises:
        StateError: code `no-pending-commit`.
    """
    if view.own_commit is None:
        raise StateError("there is no commit of ours that waits to be applied", code="no-pending-commit")
    after = View(view.client_id, view.own_commit.group)
    return after, _processed(after.group.group_id, epoch_octets(after.group.epoch))


def forget_own_commit(view: View) -> View:
    """Go on without the commit that we made."""
    return replace(view, own_commit=None)


def forget_proposals(view: View) -> View:
    """Go on without the proposals of this epoch, our own too. A commit that we made stays as it is."""
    return replace(view, group=replace(view.group, proposals={}, own_updates={}))


def export(view: View, label: bytes, context: bytes, length: int) -> Shape:
    """`MLSExporterOutput`. Secret."""
    return {
        # Firefox returns the label here, and so must whoever stands in for it; the secret does depend on the context.
        "context": label,
        "groupEpoch": epoch_octets(view.group.epoch),
        "groupId": view.group.group_id,
        "label": label,
        "secret": export_secret(view.group, label, context, length),
        "type": "exporter-output",
    }


def _commit(view: View, proposals: Sequence[Proposal], now: int) -> tuple[View, Shape]:
    if view.own_commit is not None:
        raise StateError(
            "a commit waits to be applied: feed it to receive(), or call applyPendingCommit() or clearPendingCommit()",
            code="commit-pending",
        )
    group = _without_twins(view.group, proposals)
    pending = commit(group, proposals, now=now, path=False, wire_format=WireFormat.mls_public_message)
    check_distinct_credentials(pending.group)
    own_commit = OwnCommit(pending.message, pending.group)
    return replace(view, own_commit=own_commit), _commit_output(view.group.group_id, pending)


def _without_twins(group: Group, proposals: Sequence[Proposal]) -> Group:
    """The group less the proposals to add somebody whose credential a member has who stays, or who is added before."""
    bodies = [*proposals, *(received.proposal for received in group.proposals.values())]
    going = {body.proposal.removed for body in bodies if isinstance(body.proposal, Remove)}
    taken = {
        member.leaf_node.credential.encode() for member in group.members if member.leaf_index not in going
    }
    kept = {}
    for ref, received in group.proposals.items():
        match received.proposal.proposal:
            case Add(key_package=package):
                credential = package.leaf_node.credential.encode()
                if credential in taken:
                    continue
                taken.add(credential)
        kept[ref] = received
    return replace(group, proposals=kept)


def _commit_output(group_id: bytes, pending: PendingCommit) -> Shape:
    output: Shape = {"commit": pending.message, "groupId": group_id, "type": "commit-output"}
    if pending.welcome is not None:
        output["welcome"] = pending.welcome
    return output


def _commit_to_proposals(view: View, group: Group, now: int) -> tuple[View, Shape]:
    after, output = _commit(replace(view, group=group), [], now)
    return after, {"commitOutput": output, "groupId": group.group_id, "type": "commit-output"}


def _propose(view: View, body: Proposal, now: int) -> tuple[View, Shape]:
    check_room(view.group.proposals)
    sent = propose(view.group, body, wire_format=WireFormat.mls_public_message, now=now)
    return replace(view, group=sent.group), {"content": sent.message, "type": "proposal"}


def _with_own_proposal(group: Group, data: bytes, error: EpochError) -> Group:
    """The group with a proposal that we sent and that came back; the engine has verified that it is ours.

    Raises:
        EpochError: `error`, if it is something else of ours.
    """
    message = decode_message(data)
    if not isinstance(message, PublicMessage) or not isinstance(message.content.content, Proposal):
        raise error
    authenticated = AuthenticatedContent(
        wire_format=WireFormat.mls_public_message, content=message.content, auth=message.auth
    )
    ref = proposal_ref(group.crypto, authenticated)
    ours = ReceivedProposal(message.content.content, message.content.sender)
    return replace(group, proposals={**group.proposals, ref: ours})


def _processed(group_id: bytes, epoch: bytes) -> Shape:
    return {"groupEpoch": epoch, "groupId": group_id, "type": "commit-processed"}


def _key_package(data: bytes) -> KeyPackage:
    message = decode_message(data)
    if not isinstance(message, KeyPackage):
        raise UnsupportedError("this message is no KeyPackage", code="unexpected-message")
    return message


def _leaf_of(view: View, client_id: bytes) -> LeafIndex:
    for member in view.group.members:
        if client_id_of(member.leaf_node.signature_key) == client_id:
            return member.leaf_index
    raise ValidationError("no member of the group has this client identifier", code="not-a-member")
