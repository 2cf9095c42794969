"""Making proposals and commits (§12.1, §12.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..codec import replace as replace_fields
from ..crypto import CipherSuite
from ..errors import RemoteError, UsageError
from .authentication import CredentialCheck, LeafPolicy, SuccessorCheck, accept_basic, same_identity
from .commit import Commit, ProposalOrRef, by_reference, by_value
from .epoch import (
    PSKLookup,
    Transition,
    combined_psk_secret,
    enter,
    no_psks,
    provisional_context,
    transition,
    with_resumption,
)
from .extensions import Extension
from .framing import (
    AuthenticatedContent,
    ContentType,
    FramedContentAuthData,
    PrivateMessage,
    PublicMessage,
    WireFormat,
    member,
    mls_message,
    proposal_ref,
    sign_content,
)
from .group import Group, OwnUpdate, ReceivedProposal, Sent, check_open, group_info
from .key_package import KeyPackage, key_package_ref, verify_key_package
from .key_schedule import welcome_secret
from .nodes import LeafNode, LeafNodeSource, ProtocolVersion, sign_leaf_node
from .padding import DEFAULT_PADDING, Padding
from .proposal_list import Applied, SentProposal, apply_proposals, path_required
from .proposals import (
    Add,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
    proposal,
)
from .protection import authenticate, framed_content, protect_private, protect_public
from .psk import PreSharedKeyID, ResumptionPSKUsage
from .retention import DEFAULT_RETENTION, Retention, forget
from .tree_math import LeafIndex
from .treekem import NewPath, encrypt_path, path_secret_for, renew_path
from .welcome import EncryptedGroupSecrets, GroupSecrets, PathSecret, Welcome, encrypt_group_info


@dataclass(frozen=True)
class PendingCommit:
    """A commit of ours. It takes effect when the group's state becomes `group`; until then nothing has changed.

    Attributes:
        group: the group in the new epoch.
        sent_from: the group in the old epoch, less the key that the commit was encrypted with: the state to go on
            from if the commit is not accepted. None if we are to join by the commit.
        message: the commit, for the members of the old epoch. An encoded MLSMessage.
        welcome: for the new members; None if there are none. An encoded MLSMessage.
        added: the new members' leaves.
        removed: the leaves of those who are gone, with what stood there.
    """

    group: Group
    sent_from: Group | None
    message: bytes
    welcome: bytes | None
    added: tuple[LeafIndex, ...]
    removed: tuple[tuple[LeafIndex, LeafNode], ...]


def add(key_package: KeyPackage) -> Proposal:
    """A proposal to add a client."""
    return proposal(Add(key_package=key_package))


def remove(leaf: LeafIndex) -> Proposal:
    """A proposal to remove a member."""
    return proposal(Remove(removed=leaf))


def pre_shared_key(psk_id: PreSharedKeyID) -> Proposal:
    """A proposal to use a PSK."""
    return proposal(PreSharedKey(psk=psk_id))


def change_extensions(extensions: Sequence[Extension]) -> Proposal:
    """A proposal to replace all extensions of the GroupContext."""
    return proposal(GroupContextExtensions(extensions=tuple(extensions)))


def reinit(group_id: bytes, cipher_suite: CipherSuite, extensions: Sequence[Extension] = ()) -> Proposal:
    """A proposal to end the group and begin anew (`resumption.reinitialize`). It is committed alone."""
    body = ReInit(
        group_id=group_id,
        version=ProtocolVersion.mls10,
        cipher_suite=cipher_suite,
        extensions=tuple(extensions),
    )
    return proposal(body)


def propose(
    group: Group,
    body: Proposal,
    *,
    wire_format: WireFormat = WireFormat.mls_private_message,
    now: int | None = None,
    check_credential: CredentialCheck = accept_basic,
    padding: Padding = DEFAULT_PADDING,
) -> Sent:
    """Send a proposal for somebody, perhaps ourselves, to commit (§12.1).

    Args:
        now: Unix seconds, for the lifetime of a client that we propose to add; None leaves it unchecked.
        check_credential: asks the application whether that client's credential is whose it says.
        padding: how much is added to a PrivateMessage to hide its size.

    Raises:
        StateError: code `group-ended`.
        UnsupportedError, ValidationError, VerificationError: §10.1: the KeyPackage of an Add is not valid.
    """
    if isinstance(body.proposal, Add):
        verify_key_package(group.crypto, body.proposal.key_package, now, check_credential)
    return _propose(group, body, None, wire_format, padding)


def propose_update(
    group: Group,
    *,
    wire_format: WireFormat = WireFormat.mls_private_message,
    padding: Padding = DEFAULT_PADDING,
) -> Sent:
    """Propose a fresh encryption key for our leaf; somebody else must commit it (§12.1.2).

    Args:
        padding: how much is added to a PrivateMessage to hide its size.
    """
    keys = group.crypto.generate_key_pair()
    renewed = replace_fields(
        group.own_leaf_node,
        encryption_key=keys.public_key,
        leaf_node_source=LeafNodeSource.update,
        source=None,
    )
    signed = sign_leaf_node(group.crypto, group.signature_key, renewed, group.group_id, group.own_leaf)
    update = proposal(Update(leaf_node=signed))
    return _propose(group, update, OwnUpdate(keys, group.signature_key), wire_format, padding)


def commit(
    group: Group,
    proposals: Sequence[Proposal] = (),
    *,
    now: int | None,
    path: bool = True,
    psks: PSKLookup = no_psks,
    wire_format: WireFormat = WireFormat.mls_private_message,
    resuming: ResumptionPSKUsage | None = None,
    check_credential: CredentialCheck = accept_basic,
    check_successor: SuccessorCheck = same_identity,
    retention: Retention = DEFAULT_RETENTION,
    grease: bool = True,
    padding: Padding = DEFAULT_PADDING,
    info_extensions: Sequence[Extension] = (),
) -> PendingCommit:
    """Commit `proposals`, and all that were received in this epoch and can be committed with them (§12.4.1).

    Received proposals that are not valid, alone or beside the others, are left out: they end with the epoch.

    Args:
        now: Unix seconds, for lifetimes and retention; None leaves them unchecked.
        path: renew our own keys too, even where the proposals do not call for it.
        psks: finds the PSKs that the proposals name.
        check_credential: asks the application whether a credential is whose it says.
        check_successor: asks it whether a member may take on a credential, and who joins may replace a member.
        resuming: for the first commit of a group that re-initialises or branches off another (`resumption`).
        retention: how long the keys of past epochs are kept.
        grease: put an extension without meaning into the GroupInfo of the Welcome, which others must ignore (§13.5).
        padding: how much is added to a PrivateMessage to hide its size.
        info_extensions: more extensions for the GroupInfo of the Welcome.

    Raises:
        StateError: code `group-ended`: the group is to begin anew.
        ValidationError: the proposals are not valid together; the code names the rule.
        UsageError: one of them is an Update: those are proposed, and committed by others.
    """
    check_open(group)
    group = forget(group, now, retention)
    crypto, committer = group.crypto, group.own_leaf
    if any(isinstance(body.proposal, Update) for body in proposals):
        raise UsageError("an Update is for others to commit; to renew our own keys, commit with a path")
    own = [SentProposal(body, member(committer)) for body in proposals]
    received, applied, psk_secret = _select(
        group,
        own,
        _candidates(group, proposals),
        LeafPolicy(now, check_credential, check_successor),
        psks,
        resuming,
    )
    listed: list[ProposalOrRef] = [by_reference(ref) for ref, _ in received]
    listed += [by_value(body) for body in proposals]
    sent = [SentProposal(item.proposal, item.sender) for _, item in received] + own

    new_path = None
    if path or path_required(sent):
        new_path = renew_path(
            crypto,
            applied.tree,
            committer,
            applied.tree.member(committer),
            group.signature_key,
            group.group_id,
        )
    provisional = provisional_context(crypto, group.context, applied.tree, applied.extensions)
    update_path = None
    if new_path is not None:
        new_leaves = frozenset(index for index, _ in applied.added)
        update_path = encrypt_path(
            crypto, applied.tree, committer, new_path, provisional.encode(), new_leaves
        )

    content = framed_content(
        group.context,
        member(committer),
        ContentType.commit,
        Commit(proposals=tuple(listed), path=update_path),
        b"",
    )
    signature = sign_content(crypto, group.signature_key, wire_format, content, group.context)
    reached = transition(
        crypto,
        group.interim_transcript_hash,
        group.secrets.init_secret,
        provisional,
        wire_format,
        content,
        signature,
        bytes(crypto.Nh) if new_path is None else new_path.commit_secret,
        psk_secret,
    )
    auth = FramedContentAuthData(
        content_type=ContentType.commit, signature=signature, confirmation_tag=reached.confirmation_tag
    )
    sent_from, message = _protect(
        group, AuthenticatedContent(wire_format=wire_format, content=content, auth=auth), padding
    )
    private_keys = {} if new_path is None else new_path.private_keys
    after = enter(
        sent_from, reached, applied.tree, private_keys, group.signature_key, applied.reinit, now, retention
    )
    return PendingCommit(
        group=after,
        sent_from=sent_from,
        message=message,
        welcome=_welcome(after, reached, psk_secret, applied, new_path, grease, info_extensions)
        if applied.added
        else None,
        added=tuple(index for index, _ in applied.added),
        removed=applied.removed,
    )


def _propose(
    group: Group,
    body: Proposal,
    own_update: OwnUpdate | None,
    wire_format: WireFormat,
    padding: Padding,
) -> Sent:
    check_open(group)
    content = framed_content(group.context, member(group.own_leaf), ContentType.proposal, body, b"")
    signed = authenticate(group.crypto, group.signature_key, wire_format, content, group.context)
    after, message = _protect(group, signed, padding)
    ref = proposal_ref(group.crypto, signed)
    after = replace(
        after,
        proposals={**group.proposals, ref: ReceivedProposal(body, content.sender)},
        own_updates=group.own_updates if own_update is None else {**group.own_updates, ref: own_update},
    )
    return Sent(after, message)


def _protect(group: Group, signed: AuthenticatedContent, padding: Padding) -> tuple[Group, bytes]:
    message: PublicMessage | PrivateMessage
    if signed.wire_format == WireFormat.mls_public_message:
        message = protect_public(group.crypto, group.secrets.membership_key, signed, group.context)
        return group, mls_message(message).encode()
    tree, message = protect_private(group.crypto, group.secrets, group.secret_tree, signed, padding)
    return replace(group, secret_tree=tree), mls_message(message).encode()


def _select(
    group: Group,
    own: Sequence[SentProposal],
    candidates: Sequence[tuple[bytes, ReceivedProposal]],
    policy: LeafPolicy,
    psks: PSKLookup,
    resuming: ResumptionPSKUsage | None,
) -> tuple[Sequence[tuple[bytes, ReceivedProposal]], Applied, bytes]:
    """The candidates to commit beside `own`, what all of them do together, and their `psk_secret`.

    One member's invalid proposal must not keep the others from committing at all (§12.2).
    """

    def apply(received: Sequence[tuple[bytes, ReceivedProposal]]) -> tuple[Applied, bytes]:
        sent = [SentProposal(item.proposal, item.sender) for _, item in received]
        applied = apply_proposals(
            group.crypto, group.context, group.tree, group.own_leaf, [*sent, *own], policy, resuming
        )
        return applied, combined_psk_secret(group.crypto, applied.psks, with_resumption(group, psks))

    def with_valid(
        valid: list[tuple[bytes, ReceivedProposal]], others: Sequence[tuple[bytes, ReceivedProposal]]
    ) -> list[tuple[bytes, ReceivedProposal]]:
        """`valid`, and those of the others that are valid beside them. By halves: a few bad ones among many cost little."""
        try:
            apply([*valid, *others])
        except RemoteError:
            if len(others) < 2:
                return valid
            middle = len(others) // 2
            return with_valid(with_valid(valid, others[:middle]), others[middle:])
        return [*valid, *others]

    try:
        return candidates, *apply(candidates)
    except RemoteError:
        valid = with_valid([], candidates)
        return valid, *apply(valid)


def _candidates(group: Group, proposals: Sequence[Proposal]) -> list[tuple[bytes, ReceivedProposal]]:
    """The received proposals that the list alone does not rule out of our commit of `proposals`.

    §12.2: not our own Updates, no Remove of ourselves, and for each leaf one change: a Remove before an Update, a later
    one before an earlier.
    """
    ours = {body.proposal.removed for body in proposals if isinstance(body.proposal, Remove)}
    chosen: dict[int, bytes] = {}
    for ref, received in group.proposals.items():
        target = _target(received)
        if target is None or target == group.own_leaf or target in ours:
            continue
        before = chosen.get(target)
        if before is None or not isinstance(group.proposals[before].proposal.proposal, Remove):
            chosen[target] = ref
    candidates = [
        (ref, received)
        for ref, received in group.proposals.items()
        if _target(received) is None or ref in chosen.values()
    ]
    # §12.2: a ReInit goes alone, and after the others: it can be sent again in the next epoch.
    return sorted(candidates, key=lambda item: isinstance(item[1].proposal.proposal, ReInit))


def _target(received: ReceivedProposal) -> int | None:
    """The leaf that an Update or Remove changes."""
    match received.proposal.proposal:
        case Remove(removed=leaf):
            return leaf
        case Update():
            return received.sender.index
    return None


def _welcome(
    after: Group,
    reached: Transition,
    psk_secret: bytes,
    applied: Applied,
    path: NewPath | None,
    grease: bool,
    info_extensions: Sequence[Extension],
) -> bytes:
    """The Welcome for all who were added (§12.4.3.1)."""
    crypto = after.crypto
    secret = welcome_secret(crypto, reached.joiner_secret, psk_secret)
    encrypted_info = encrypt_group_info(
        crypto, secret, group_info(after, grease=grease, more=info_extensions)
    )
    messages = []
    for index, package in applied.added:
        path_secret = None
        if path is not None:
            path_secret = PathSecret(path_secret=path_secret_for(path, after.own_leaf, index))
        group_secrets = GroupSecrets(
            joiner_secret=reached.joiner_secret, path_secret=path_secret, psks=applied.psks
        )
        messages.append((package.init_key, group_secrets.encode()))
    sealed = crypto.encrypt_all_with_label("Welcome", encrypted_info, messages)
    welcome = Welcome(
        cipher_suite=crypto.suite.cipher_suite,
        secrets=tuple(
            EncryptedGroupSecrets(
                new_member=key_package_ref(crypto, package), encrypted_group_secrets=ciphertext
            )
            for (_, package), ciphertext in zip(applied.added, sealed, strict=True)
        ),
        encrypted_group_info=encrypted_info,
    )
    return mls_message(welcome).encode()


__all__ = [
    "PendingCommit",
    "add",
    "change_extensions",
    "commit",
    "pre_shared_key",
    "propose",
    "propose_update",
    "reinit",
    "remove",
]
