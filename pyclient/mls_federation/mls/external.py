"""From outside the group: joining by an external commit (§12.4.3.2), and proposals of non-members (§12.1.8)."""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto import Crypto, KeyPair
from ..errors import ValidationError
from . import key_schedule
from .authentication import CredentialCheck, LeafPolicy, SuccessorCheck, accept_basic, same_identity
from .commit import Commit, by_value
from .committing import PendingCommit
from .epoch import PSKLookup, begin, combined_psk_secret, no_psks, provisional_context, transition
from .extensions import ExtensionType, ExternalPub, find_extension
from .framing import (
    AnyContent,
    ContentType,
    FramedContent,
    FramedContentAuthData,
    PublicMessage,
    Sender,
    SenderType,
    WireFormat,
    mls_message,
    sign_content,
)
from .joining import verified_tree
from .key_package import OwnKeyPackage
from .nodes import LeafNodeSource, check_capabilities, check_leaf_node
from .proposal_list import SentProposal, apply_proposals, check_replacement, check_successors
from .proposals import Add, ExternalInit, PreSharedKey, Proposal, Remove, proposal
from .psk import PreSharedKeyID
from .ratchet_tree import RatchetTree
from .transcript import interim_transcript_hash
from .tree_math import LeafIndex, node_of
from .treekem import encrypt_path, renew_path
from .welcome import GroupInfo

_NEW_MEMBER = Sender(sender_type=SenderType.new_member_commit, index=None)


def join_by_external_commit(
    crypto: Crypto,
    info: GroupInfo,
    own: OwnKeyPackage,
    *,
    now: int | None,
    tree: RatchetTree | None = None,
    replacing: LeafIndex | None = None,
    psk_ids: Sequence[PreSharedKeyID] = (),
    psks: PSKLookup = no_psks,
    check_credential: CredentialCheck = accept_basic,
    check_successor: SuccessorCheck = same_identity,
) -> PendingCommit:
    """Add ourselves to the group that a GroupInfo describes (§12.4.3.2).

    Args:
        info: must have an `external_pub` extension.
        own: gives our leaf's content and signature key; it is not to be published.
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        tree: the ratchet tree, if the GroupInfo does not bring it.
        replacing: our own former leaf, which is removed ("resync"). The members decide by its credential.
        psk_ids: PSKs to use.
        psks: finds them.
        check_credential: asks the application whether a credential is whose it says.
        check_successor: asks it whether our credential may follow that of `replacing`.

    Raises:
        ValidationError: code `no-external-pub`, `no-tree`, or a rule that the group breaks.
        VerificationError: a signature does not fit.
        DecodeError: an extension is malformed.
    """
    context, policy = info.group_context, LeafPolicy(now, check_credential, check_successor)
    tree = verified_tree(crypto, info, tree, policy)
    data = find_extension(info.extensions, ExtensionType.external_pub)
    if data is None:
        raise ValidationError(
            "the group does not let one join by itself", code="no-external-pub", section="12.4.3.2"
        )
    kem_output, init_secret = key_schedule.sent_init_secret(crypto, ExternalPub.decode(data).external_pub)

    proposals = [proposal(ExternalInit(kem_output=kem_output))]
    if replacing is not None:
        proposals.append(proposal(Remove(removed=replacing)))
    proposals += [proposal(PreSharedKey(psk=psk_id)) for psk_id in psk_ids]
    sent = [SentProposal(body, _NEW_MEMBER) for body in proposals]
    applied = apply_proposals(crypto, context, tree, None, sent, policy)
    leaf = own.key_package.leaf_node
    check_leaf_node(leaf, context.cipher_suite, policy)
    check_capabilities(leaf, applied.extensions)
    index = applied.tree.leftmost_blank_leaf()
    applied.tree.set_node(node_of(index), leaf)
    path = renew_path(crypto, applied.tree, index, leaf, own.signature_key, context.group_id)
    replaced = [old for _, old in applied.removed]
    check_replacement(replaced, path.leaf_node, LeafNodeSource.commit)
    applied.tree.index.check()
    check_successors(replaced, path.leaf_node, policy)
    provisional = provisional_context(crypto, context, applied.tree, applied.extensions)
    update_path = encrypt_path(crypto, applied.tree, index, path, provisional.encode(), frozenset())

    body = Commit(proposals=tuple(by_value(item) for item in proposals), path=update_path)
    content = _framed(context.group_id, context.epoch, _NEW_MEMBER, ContentType.commit, body)
    signature = sign_content(crypto, own.signature_key, WireFormat.mls_public_message, content, context)
    reached = transition(
        crypto,
        interim_transcript_hash(crypto, context.confirmed_transcript_hash, info.confirmation_tag),
        init_secret,
        provisional,
        WireFormat.mls_public_message,
        content,
        signature,
        path.commit_secret,
        combined_psk_secret(crypto, applied.psks, psks),
    )
    group = begin(
        crypto,
        reached.context,
        reached.secrets,
        reached.confirmation_tag,
        applied.tree,
        index,
        path.private_keys,
        own.signature_key,
    )
    return PendingCommit(
        group=group,
        sent_from=None,
        message=_public(content, signature, reached.confirmation_tag),
        welcome=None,
        added=(index,),
        removed=applied.removed,
    )


def propose_from_outside(
    crypto: Crypto, group_id: bytes, epoch: int, sender_index: int, signature_key: KeyPair, body: Proposal
) -> bytes:
    """A proposal of a sender that the group's `external_senders` names (§12.1.8). An encoded MLSMessage.

    Args:
        sender_index: our place in `external_senders`.
    """
    sender = Sender(sender_type=SenderType.external, index=sender_index)
    return _signed_proposal(crypto, group_id, epoch, sender, signature_key.private_key, body)


def propose_to_be_added(crypto: Crypto, group_id: bytes, epoch: int, own: OwnKeyPackage) -> bytes:
    """A new member's proposal to be added (§12.1.8). An encoded MLSMessage."""
    sender = Sender(sender_type=SenderType.new_member_proposal, index=None)
    add = proposal(Add(key_package=own.key_package))
    return _signed_proposal(crypto, group_id, epoch, sender, own.signature_key, add)


def _signed_proposal(
    crypto: Crypto, group_id: bytes, epoch: int, sender: Sender, signature_key: bytes, body: Proposal
) -> bytes:
    content = _framed(group_id, epoch, sender, ContentType.proposal, body)
    signature = sign_content(crypto, signature_key, WireFormat.mls_public_message, content, None)
    return _public(content, signature, None)


def _framed(
    group_id: bytes, epoch: int, sender: Sender, content_type: ContentType, body: AnyContent
) -> FramedContent:
    return FramedContent(
        group_id=group_id,
        epoch=epoch,
        sender=sender,
        authenticated_data=b"",
        content_type=content_type,
        content=body,
    )


def _public(content: FramedContent, signature: bytes, confirmation_tag: bytes | None) -> bytes:
    """A PublicMessage from outside: it has no membership tag."""
    auth = FramedContentAuthData(
        content_type=content.content_type, signature=signature, confirmation_tag=confirmation_tag
    )
    return mls_message(PublicMessage(content=content, auth=auth, membership_tag=None)).encode()


__all__ = ["join_by_external_commit", "propose_from_outside", "propose_to_be_added"]
