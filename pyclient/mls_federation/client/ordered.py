"""Groups whose commits a delivery service orders: what becomes of our commits and of others', by its receipts.

A commit is made and kept; `ordering` brings it to the service; and it is applied once the service's receipt is there. Nobody
applies a commit without its receipt, so all who follow the receipts are in the same epoch (docs/protocol.md, section 15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..crypto import CryptoProvider, crypto
from ..errors import EpochError, RemoteError, ValidationError
from ..federation.group_agreement import agreement_of
from ..federation.identity import VerifiedIdentity, verify_leaf_identity
from ..federation.ordering import (
    CommitRequest,
    GroupInfoResponse,
    OrderingReceipt,
    RegisterGroupRequest,
    commit_hash,
    verify_receipt,
)
from ..mls import (
    CommitMessage,
    Group,
    GroupInfo,
    PendingCommit,
    decode_message,
    group_info,
    join_by_external_commit,
    mls_message,
)
from ..mls.credentials import basic_credential
from ..mls.epoch import past_epoch
from ..mls.ratchet_tree import decode_tree
from ..mls.tree_math import LeafIndex
from .account import new_key_package
from .events import OrderingFault
from .members import verified_members
from .state import HISTORY_EPOCHS, ClientState, GroupState, Intent, OwnCommit


def own_commit(pending: PendingCommit, intent: Intent, *, rejoins: bool = False) -> OwnCommit:
    """What is kept of a commit until the service has ordered it."""
    return OwnCommit(
        group=pending.group,
        message=pending.message,
        welcome=pending.welcome,
        added=pending.added,
        removed=tuple(leaf for leaf, _ in pending.removed),
        intent=intent,
        rejoins=rejoins,
    )


# -- what the service is sent


def registration(known: GroupState, *, in_session: bool) -> RegisterGroupRequest:
    """Asks the service to order the group's commits from the present epoch on.

    Args:
        in_session: whether we have a session there, by which we may have groups ordered; else the receipt of who ordered until
            now says so.
    """
    receipt = None if in_session else known.receipts.get(known.group.epoch)
    return RegisterGroupRequest(
        group_info=mls_message(group_info(known.group, with_external_pub=True)).encode(),
        # Only who ordered before can have signed a receipt for an epoch that names another service.
        moved_by=receipt if receipt is not None and receipt.domain != known.agreement.domain else None,
    )


def commit_request(pending: OwnCommit) -> CommitRequest:
    """Asks the service to order our commit."""
    info = group_info(pending.group, with_tree=False, with_external_pub=True)
    return CommitRequest(commit=pending.message, group_info=mls_message(info).encode())


# -- receipts


def check_receipt(
    provider: CryptoProvider, known: GroupState, message: bytes, receipt: OrderingReceipt | None
) -> OrderingReceipt:
    """The receipt of a commit that begins the next epoch.

    Raises:
        ValidationError: code `no-receipt`.
        VerificationError: code `bad-receipt`.
        EpochError: code `future-epoch`; `wrong-epoch`: the epoch is over.
    """
    if receipt is None:
        raise ValidationError("a commit that the service of the group has not ordered", code="no-receipt")
    agreement = known.agreement
    if (receipt.domain, receipt.group_id, receipt.commit_hash) != (
        agreement.domain,
        known.group.group_id,
        commit_hash(message),
    ):
        raise ValidationError("a receipt of another commit, group or service", code="bad-receipt")
    verify_receipt(provider, agreement.signing_key, receipt)
    if receipt.epoch > known.group.epoch + 1:
        raise EpochError(
            f"a commit that begins epoch {receipt.epoch}; the group is in epoch {known.group.epoch}",
            code="future-epoch",
        )
    if receipt.epoch <= known.group.epoch:
        raise EpochError(
            f"a commit that began epoch {receipt.epoch}; the group is in epoch {known.group.epoch}"
        )
    return receipt


def check_rejoined(provider: CryptoProvider, pending: OwnCommit, receipt: OrderingReceipt) -> None:
    """Whether a receipt is of the commit by which we come back.

    Raises:
        ValidationError, VerificationError: code `bad-receipt`.
    """
    agreement = agreement_of(pending.group.context.extensions)
    context = pending.group.context
    named = (receipt.domain, receipt.group_id, receipt.epoch, receipt.commit_hash)
    if named != (agreement.domain, context.group_id, context.epoch, commit_hash(pending.message)):
        raise ValidationError("a receipt of another commit, group or service", code="bad-receipt")
    verify_receipt(provider, agreement.signing_key, receipt)


def check_confirmed(receipt: OrderingReceipt, confirmed_transcript_hash: bytes) -> None:
    """Whether a receipt is of the epoch that a commit has led to.

    Raises:
        ValidationError: code `bad-receipt`.
    """
    if receipt.confirmed_transcript_hash != confirmed_transcript_hash:
        raise ValidationError(
            "a receipt whose commit leads to another epoch than it says", code="bad-receipt"
        )


def check_welcomed(
    provider: CryptoProvider, joined: GroupState, receipt: OrderingReceipt | None
) -> GroupState:
    """A group that we were welcomed to, with the receipt of the commit that has added us.

    Raises:
        ValidationError: code `no-receipt`, `bad-receipt`.
        VerificationError: code `bad-receipt`.
    """
    if receipt is None:
        raise ValidationError(
            "a Welcome of a commit that the service of the group has not ordered", code="no-receipt"
        )
    agreement, context = joined.agreement, joined.group.context
    if (receipt.domain, receipt.group_id, receipt.epoch) != (
        agreement.domain,
        context.group_id,
        context.epoch,
    ):
        raise ValidationError("a receipt of another epoch, group or service", code="bad-receipt")
    check_confirmed(receipt, context.confirmed_transcript_hash)
    verify_receipt(provider, agreement.signing_key, receipt)
    return replace(joined, registered=True, receipts={receipt.epoch: receipt})


def fault(
    provider: CryptoProvider, known: GroupState, receipt: OrderingReceipt | None
) -> OrderingFault | None:
    """What a receipt shows of the service that has signed another one for the same epoch."""
    ours = None if receipt is None else known.receipts.get(receipt.epoch)
    if receipt is None or ours is None or ours.commit_hash == receipt.commit_hash:
        return None
    agreement = known.agreement
    if not ours.domain == receipt.domain == agreement.domain or receipt.group_id != known.group.group_id:
        return None
    try:
        verify_receipt(provider, agreement.signing_key, receipt)
    except RemoteError:
        return None
    error = ValidationError(
        f"the service of {receipt.domain.decode('ascii', 'replace')} has ordered two commits for epoch {receipt.epoch}",
        code="ordering-equivocation",
    )
    return OrderingFault(known.group.group_id, error, (ours, receipt))


def with_receipt(known: GroupState, before: GroupState, receipt: OrderingReceipt) -> GroupState:
    """The group in the epoch that a receipt begins."""
    receipts = {**before.receipts, receipt.epoch: receipt}
    same = (known.agreement.domain, known.agreement.signing_key) == (
        before.agreement.domain,
        before.agreement.signing_key,
    )
    return replace(
        known,
        receipts={epoch: receipts[epoch] for epoch in sorted(receipts)[-HISTORY_EPOCHS:]},
        # Whoever ordered until now has ordered this commit, too; the next ones are for somebody else.
        registered=same,
        pending=None,
        intents=known.intents if before.pending is None else (*known.intents, before.pending.intent),
    )


# -- epochs


def check_external(
    known: GroupState, received: CommitMessage, after: Mapping[LeafIndex, VerifiedIdentity]
) -> None:
    """A member comes back by an external commit, in the place of its own leaf and no other.

    Raises:
        ValidationError: code `not-a-rejoin`.
    """
    gone = [known.identities[leaf] for leaf, _ in received.removed]
    who = after[received.sender]
    if [(one.identity, one.identity_key) for one in gone] != [(who.identity, who.identity_key)]:
        raise ValidationError(
            "an external commit that does not bring a member back in the place of its own leaf",
            code="not-a-rejoin",
        )


def applied(provider: CryptoProvider, known: GroupState, pending: OwnCommit) -> GroupState:
    """The group in the epoch of our own commit."""
    if pending.rejoins:
        group = pending.group
        identities = verified_members(provider, group, {})
        return replace(
            known,
            group=group,
            identities=identities,
            past_identities={},
            history={group.epoch: group.context.confirmed_transcript_hash},
            lost=False,
            stuck_since=None,
            inbox_epoch=group.epoch,
        )
    before = known.group
    kept = {
        member.leaf_index: (member.leaf_node, known.identities[member.leaf_index])
        for member in before.members
        if member.leaf_index not in pending.removed
    }
    identities = verified_members(provider, pending.group, kept)
    return known.in_epoch(_reading_on(pending.group, known), identities)


def _reading_on(group: Group, known: GroupState) -> Group:
    """`group`, with the keys of messages as they are after what came since its commit was made."""
    ended = group.past_epochs[-1].ended if group.past_epochs else None
    past_epochs = (*known.group.past_epochs, past_epoch(known.group, ended))
    return replace(group, past_epochs=past_epochs[-known.retention.epochs :])


# -- coming back


def rejoining(
    provider: CryptoProvider, state: ClientState, group_id: bytes, answer: GroupInfoResponse, now: int
) -> ClientState:
    """Make the commit by which we come back into a group that has gone on without us; it is to be ordered.

    Raises:
        ValidationError: code `not-a-member`: we have no leaf there any more; `bad-receipt`, or a rule of the engine.
        VerificationError, DecodeError, UnsupportedError: from the engine.
    """
    known = state.group(group_id)
    info = decode_message(answer.group_info)
    if not isinstance(info, GroupInfo) or info.group_context.group_id != group_id:
        raise ValidationError("an answer that is not the group's", code="bad-answer")
    suite = crypto(provider, info.group_context.cipher_suite)
    tree = decode_tree(answer.ratchet_tree)
    account = state.account
    name = basic_credential(account.identity.encode("utf-8"))
    ours = [
        leaf
        for leaf, node in tree.members()
        if node.credential == name
        and verify_leaf_identity(provider, info.group_context.cipher_suite, node).identity_key
        == account.identity_key.public_key
    ]
    if len(ours) != 1:
        raise ValidationError("the group has no leaf of ours any more", code="not-a-member")
    own = new_key_package(provider, account, info.group_context.cipher_suite, now)
    pending = join_by_external_commit(suite, info, own, now=now, tree=tree, replacing=ours[0])
    commit = own_commit(pending, Intent(), rejoins=True)
    return state.with_group(replace(known, pending=commit))
