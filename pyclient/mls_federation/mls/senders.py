"""Who may have sent a message, and the key that it is signed with (§6.1, §12.1.8, §12.4.3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import decode_vector
from ..errors import ValidationError
from .authentication import LeafPolicy
from .commit import Commit
from .extensions import Extension, ExtensionType, ExternalSender, ProposalType, find_extension
from .framing import FramedContent, SenderType
from .group_context import GroupContext
from .proposals import Add, Proposal
from .ratchet_tree import RatchetTree
from .tree_math import LeafIndex

# §12.1.8: what a sender that `external_senders` names may propose.
_EXTERNAL_PROPOSALS = frozenset(
    {
        ProposalType.add,
        ProposalType.remove,
        ProposalType.psk,
        ProposalType.reinit,
        ProposalType.group_context_extensions,
    }
)


def signature_key_for(tree: RatchetTree, context: GroupContext, content: FramedContent) -> bytes:
    """The public key that must have signed a message of the epoch that `tree` and `context` describe.

    Raises:
        ValidationError: code `not-a-member`, `unknown-sender`: nobody whom we know; `sender-not-allowed`: somebody who may
            not send such a thing.
        DecodeError: the `external_senders` extension is malformed.
    """
    body = content.content
    match content.sender.sender_type:
        case SenderType.member:
            assert content.sender.index is not None  # the codec gives members an index
            return tree.member(LeafIndex(content.sender.index)).signature_key
        case SenderType.external:
            if not isinstance(body, Proposal) or body.proposal_type not in _EXTERNAL_PROPOSALS:
                raise _not_allowed("an external sender", "12.1.8")
            return _external_sender(context, content.sender.index).signature_key
        case SenderType.new_member_proposal:
            if not isinstance(body, Proposal) or not isinstance(body.proposal, Add):
                raise _not_allowed("a new member who proposes", "12.1.8")
            return body.proposal.key_package.leaf_node.signature_key
        case SenderType.new_member_commit:
            if not isinstance(body, Commit) or body.path is None:
                raise _not_allowed("a new member who commits", "12.4.3.2")
            return body.path.leaf_node.signature_key


def check_external_senders(extensions: Sequence[Extension], policy: LeafPolicy) -> None:
    """§5.3.1: the application validates the credentials of those who may propose from outside, too.

    Raises:
        ValidationError: what the application raises.
        DecodeError: the `external_senders` extension is malformed.
    """
    for sender in external_senders(extensions):
        policy.check_credential(sender.credential, sender.signature_key, policy.now)


def external_senders(extensions: Sequence[Extension]) -> Sequence[ExternalSender]:
    """Those whom the group's extensions name.

    Raises:
        DecodeError: the `external_senders` extension is malformed.
    """
    data = find_extension(extensions, ExtensionType.external_senders)
    return () if data is None else decode_vector(ExternalSender, data)


def _external_sender(context: GroupContext, index: int | None) -> ExternalSender:
    senders = external_senders(context.extensions)
    if index is None or index >= len(senders):
        raise ValidationError(
            "a message of an external sender that the group does not name",
            code="unknown-sender",
            section="12.1.8",
        )
    return senders[index]


def _not_allowed(who: str, section: str) -> ValidationError:
    return ValidationError(f"{who} may not send such a message", code="sender-not-allowed", section=section)
