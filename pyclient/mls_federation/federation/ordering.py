"""Who says in which order commits come: the messages of an ordering delivery service (docs/protocol.md).

A group may name a delivery service that orders its commits. It accepts one commit for each epoch and signs a receipt for it;
members apply a commit only with its receipt.
"""

from __future__ import annotations

import hashlib

from ..codec import ClosedEnum8, Opt, Struct, Vec, opaque, select, uint64
from ..crypto import CryptoProvider, SignatureScheme
from ..errors import VerificationError
from .binding import federation_sign_content
from .seed import Credential

RECEIPT_LABEL = "OrderingReceipt"
GROUP_INFO_LABEL = "GroupInfo"


class OrderingReceiptTBS(Struct):
    """What a receipt's signature covers, under the label "OrderingReceipt".

    `epoch` is the one that the commit begins, and `confirmed_transcript_hash` is of that epoch.
    """

    domain: opaque
    group_id: opaque
    epoch: uint64
    commit_hash: opaque
    confirmed_transcript_hash: opaque
    accepted_at: uint64


class OrderingReceipt(Struct):
    """A delivery service's word that a commit, and no other, begins an epoch."""

    domain: opaque
    group_id: opaque
    epoch: uint64
    commit_hash: opaque
    confirmed_transcript_hash: opaque
    accepted_at: uint64
    signature: opaque


class OrderedCommit(Struct):
    """A commit, an MLSMessage, and its receipt."""

    commit: opaque
    receipt: OrderingReceipt


class RegisterGroupRequest(Struct):
    """Asks a delivery service to order a group's commits from the epoch of a GroupInfo on."""

    group_info: opaque
    moved_by: Opt[OrderingReceipt]


class RegisterGroupResponse(Struct):
    """The epoch in which the group is."""

    epoch: uint64


class CommitRequest(Struct):
    """A commit to be ordered, and the GroupInfo of the epoch that it begins."""

    commit: opaque
    group_info: opaque


class MissedCommits(Struct):
    """The epoch that a group is in, and the commits from an earlier epoch on, as far as they are kept and fit."""

    current_epoch: uint64
    commits: Vec[OrderedCommit]


class CommitStatus(ClosedEnum8):
    """What became of a commit."""

    accepted = 0
    wrong_epoch = 1


class CommitResponse(Struct):
    """A receipt, or what the committer has missed."""

    status: CommitStatus
    result: OrderingReceipt | MissedCommits = select(
        "status", {CommitStatus.accepted: OrderingReceipt, CommitStatus.wrong_epoch: MissedCommits}
    )


class MissedRequest(Struct):
    """Asks for the commits of a group from an epoch on: the first is the one that ends `epoch`."""

    group_id: opaque
    epoch: uint64


class GroupInfoRequestTBS(Struct):
    """What the signature of a GroupInfoRequest covers, under the label "GroupInfo"."""

    domain: opaque
    group_id: opaque
    credential: Credential
    time: uint64


class GroupInfoRequest(Struct):
    """Asks for what a member needs that lost the thread, to come back by an external commit."""

    group_id: opaque
    credential: Credential
    time: uint64
    signature: opaque


class GroupInfoResponse(Struct):
    """A GroupInfo (MLSMessage), its ratchet tree, and the receipt of the commit that began the epoch, if one did."""

    group_info: opaque
    ratchet_tree: opaque
    receipt: Opt[OrderingReceipt]


def commit_hash(commit: bytes) -> bytes:
    """By which a receipt names a commit: SHA-256 of its MLSMessage."""
    return hashlib.sha256(commit).digest()


def receipt_sign_content(receipt: OrderingReceipt | OrderingReceiptTBS) -> bytes:
    """The octets that a receipt is signed over."""
    tbs = OrderingReceiptTBS(
        domain=receipt.domain,
        group_id=receipt.group_id,
        epoch=receipt.epoch,
        commit_hash=receipt.commit_hash,
        confirmed_transcript_hash=receipt.confirmed_transcript_hash,
        accepted_at=receipt.accepted_at,
    )
    return federation_sign_content(RECEIPT_LABEL, tbs.encode())


def sign_receipt(provider: CryptoProvider, signing_key: bytes, tbs: OrderingReceiptTBS) -> OrderingReceipt:
    """A receipt, signed by a delivery service's private key."""
    signature = provider.sign(SignatureScheme.ed25519, signing_key, receipt_sign_content(tbs))
    return OrderingReceipt(
        domain=tbs.domain,
        group_id=tbs.group_id,
        epoch=tbs.epoch,
        commit_hash=tbs.commit_hash,
        confirmed_transcript_hash=tbs.confirmed_transcript_hash,
        accepted_at=tbs.accepted_at,
        signature=signature,
    )


def verify_receipt(provider: CryptoProvider, signing_key: bytes, receipt: OrderingReceipt) -> None:
    """Return if the holder of `signing_key` signed a receipt.

    Raises:
        VerificationError: code `bad-receipt`.
    """
    try:
        provider.verify(
            SignatureScheme.ed25519, signing_key, receipt_sign_content(receipt), receipt.signature
        )
    except VerificationError:
        raise VerificationError(
            "a receipt that the ordering service did not sign", code="bad-receipt"
        ) from None


def group_info_sign_content(domain: str, group_id: bytes, credential: Credential, time: int) -> bytes:
    """The octets that a GroupInfoRequest to the delivery service of `domain` is signed over."""
    tbs = GroupInfoRequestTBS(
        domain=domain.encode("ascii"), group_id=group_id, credential=credential, time=time
    )
    return federation_sign_content(GROUP_INFO_LABEL, tbs.encode())
