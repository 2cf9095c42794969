"""Following a group without its secrets: from a GroupInfo and public handshake messages alone.

A delivery service uses it to refuse commits that no member could accept. What it cannot check is what takes secrets: the
membership tag, the confirmation tag, and that path secrets decrypt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..codec import replace as replace_fields
from ..crypto import Crypto
from ..errors import EpochError, UnsupportedError, ValidationError
from .authentication import CredentialCheck, LeafPolicy, SuccessorCheck, accept_basic, same_identity
from .commit_checks import check_commit
from .framing import (
    AuthenticatedContent,
    PublicMessage,
    WireFormat,
    decode_message,
    proposal_ref,
    verify_content,
)
from .group import ReceivedProposal, check_room
from .group_context import GroupContext
from .joining import verified_tree
from .proposals import Proposal, ReInit
from .ratchet_tree import RatchetTree
from .senders import signature_key_for
from .transcript import confirmed_by, interim_transcript_hash
from .tree_math import LeafIndex
from .welcome import GroupInfo


@dataclass(frozen=True)
class PublicGroup:
    """What can be known of a group's epoch without being a member.

    Attributes:
        interim_transcript_hash: what the next commit is added to.
        proposals: public ones, received in this epoch, by ProposalRef.
    """

    crypto: Crypto
    context: GroupContext
    tree: RatchetTree
    interim_transcript_hash: bytes
    proposals: Mapping[bytes, ReceivedProposal] = field(default_factory=dict)


@dataclass(frozen=True)
class Followed:
    """A public message that is valid, and the group after it.

    Attributes:
        added: leaves that came, a joiner's by external commit among them.
        removed: leaves that went.
        updated: leaves that were renewed, the committer's among them if it was.
        committer: whose commit it is, by the leaf in the new epoch; None if it is a proposal.
        from_outside: whether the committer joined by it.
        confirmation_tag: of the commit; empty if it is a proposal.
        reinit: what the group is to begin anew as: no commit may follow (§12.4.2).
    """

    group: PublicGroup
    added: tuple[LeafIndex, ...] = ()
    removed: tuple[LeafIndex, ...] = ()
    updated: tuple[LeafIndex, ...] = ()
    committer: LeafIndex | None = None
    from_outside: bool = False
    confirmation_tag: bytes = b""
    reinit: ReInit | None = None


def follow(
    crypto: Crypto,
    info: GroupInfo,
    *,
    now: int | None,
    tree: RatchetTree | None = None,
    check_credential: CredentialCheck = accept_basic,
) -> PublicGroup:
    """Begin to follow a group.

    Args:
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        tree: the ratchet tree, if the GroupInfo does not bring it.
        check_credential: asks the application whether a credential is whose it says.

    Raises:
        UnsupportedError: code `unsupported-version`.
        ValidationError: code `wrong-cipher-suite`, `no-tree`, or a rule that GroupInfo or tree break.
        VerificationError: a signature does not fit.
        DecodeError: the tree is malformed.
    """
    return PublicGroup(
        crypto=crypto,
        context=info.group_context,
        tree=verified_tree(crypto, info, tree, LeafPolicy(now, check_credential)),
        interim_transcript_hash=interim_transcript_hash(
            crypto, info.group_context.confirmed_transcript_hash, info.confirmation_tag
        ),
    )


def observe(
    group: PublicGroup,
    data: bytes,
    *,
    now: int | None,
    check_credential: CredentialCheck = accept_basic,
    check_successor: SuccessorCheck = same_identity,
) -> Followed:
    """Check one public message, and follow it.

    Args:
        data: an encoded MLSMessage.
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        check_credential: asks the application whether a credential is whose it says.
        check_successor: asks it whether a member may take on a credential, and who joins may replace a member.

    Raises:
        DecodeError: it is malformed.
        UnsupportedError: it is no PublicMessage.
        EpochError: it is for another group or epoch.
        ValidationError: it breaks a rule; the code names it.
        VerificationError: a signature does not fit.
    """
    message = decode_message(data)
    if not isinstance(message, PublicMessage):
        raise UnsupportedError(
            "only public messages can be followed without secrets", code="unexpected-message"
        )
    crypto, content = group.crypto, message.content
    if content.group_id != group.context.group_id:
        raise EpochError("a message for another group", code="wrong-group", section="6")
    if content.epoch != group.context.epoch:
        raise EpochError(
            f"a message of epoch {content.epoch}, where epoch {group.context.epoch} is", section="6"
        )
    if isinstance(content.content, bytes):
        raise ValidationError(
            "application data that was not encrypted", code="public-application", section="6.2"
        )
    authenticated = AuthenticatedContent(
        wire_format=WireFormat.mls_public_message, content=content, auth=message.auth
    )
    key = signature_key_for(group.tree, group.context, content)
    verify_content(crypto, key, authenticated, group.context)
    if isinstance(content.content, Proposal):
        check_room(group.proposals)
        received = ReceivedProposal(content.content, content.sender)
        ref = proposal_ref(crypto, authenticated)
        return Followed(replace(group, proposals={**group.proposals, ref: received}))
    checked = check_commit(group, authenticated, LeafPolicy(now, check_credential, check_successor))
    confirmed = confirmed_by(crypto, group.interim_transcript_hash, authenticated)
    assert message.auth.confirmation_tag is not None  # the codec gives commits one
    after = PublicGroup(
        crypto=crypto,
        context=replace_fields(checked.provisional, confirmed_transcript_hash=confirmed),
        tree=checked.applied.tree,
        interim_transcript_hash=interim_transcript_hash(crypto, confirmed, message.auth.confirmation_tag),
    )
    applied, committer = checked.applied, checked.committer
    added, updated = tuple(index for index, _ in applied.added), applied.updated
    from_outside = content.sender.index is None
    if from_outside:
        added = (*added, committer)
    elif checked.commit.path is not None:
        updated = (*updated, committer)
    return Followed(
        after,
        added,
        tuple(index for index, _ in applied.removed),
        updated,
        committer,
        from_outside,
        message.auth.confirmation_tag,
        applied.reinit,
    )
