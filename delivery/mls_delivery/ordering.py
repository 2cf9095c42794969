"""The rules of ordering, without any I/O: which groups the service orders, and which commit begins a group's next epoch.

A commit that is accepted and that members cannot apply would leave their group without a way on. So everything about it is
checked that can be checked without the group's secrets: what RFC 9420 says of commits, who the members are and remain, what
they agreed on, and the GroupInfo by which a member that lost the thread comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mls_federation.crypto import CryptoProvider, crypto
from mls_federation.errors import RemoteError, UnsupportedError, ValidationError
from mls_federation.federation.credentials import basic_identity
from mls_federation.federation.group_agreement import GroupAgreement, OrderingRule, agreement_of
from mls_federation.federation.identity import VerifiedIdentity
from mls_federation.federation.membership import Members, members_after, verify_members
from mls_federation.federation.negotiation import check_agreement, leaf_support
from mls_federation.federation.ordering import (
    CommitRequest,
    GroupInfoRequest,
    OrderingReceipt,
    OrderingReceiptTBS,
    commit_hash,
    group_info_sign_content,
    sign_receipt,
    verify_receipt,
)
from mls_federation.federation.seed import Credential
from mls_federation.mls import GroupInfo, PublicGroup, PublicMessage, decode_message, follow, observe
from mls_federation.mls.commit import Commit
from mls_federation.mls.extensions import ExtensionType, ExternalPub, find_extension
from mls_federation.mls.proposals import PreSharedKey, Proposal
from mls_federation.mls.public_group import Followed
from mls_federation.mls.tree_math import LeafIndex
from mls_federation.mls.welcome import verify_group_info

from .refusals import Refused


@dataclass(frozen=True)
class Orderer:
    """The service, as far as it orders.

    Attributes:
        public_key: of its signing key, as groups that it orders name it.
        signing_key: its private half. Secret.
    """

    provider: CryptoProvider
    domain: str
    public_key: bytes
    signing_key: bytes = field(repr=False)


@dataclass(frozen=True)
class OrderedGroup:
    """A group in an epoch.

    Attributes:
        public: what can be known of it without its secrets.
        members: whose its leaves are, each verified when it came.
    """

    public: PublicGroup
    members: Members

    @property
    def agreement(self) -> GroupAgreement:
        """What its members have agreed on."""
        return agreement_of(self.public.context.extensions)


@dataclass(frozen=True)
class Registration:
    """A group that the service is asked to order, in which everything is right.

    Attributes:
        signer: who signed the GroupInfo.
    """

    group: OrderedGroup
    signer: VerifiedIdentity


@dataclass(frozen=True)
class NextEpoch:
    """A group in the epoch that a commit begins.

    Attributes:
        receipt: of the commit.
        moved_to: the domain whose service orders from now on; None if this one does.
        ended: whether the group is to begin anew as another, and no commit may follow.
        grew: whether it has more members.
    """

    group: OrderedGroup
    receipt: OrderingReceipt
    moved_to: str | None
    ended: bool
    grew: bool


def ordered_group(public: PublicGroup) -> OrderedGroup:
    """A group and whose its leaves are.

    Raises:
        RemoteError: as `verify_members`.
    """
    crypto = public.crypto
    return OrderedGroup(public, verify_members(crypto.provider, crypto.suite.cipher_suite, public.tree))


# -- registering


def check_registration(orderer: Orderer, encoded: bytes) -> Registration:
    """Return the group that a GroupInfo describes, if it can be ordered here.

    Args:
        encoded: an MLSMessage with a GroupInfo that has a ratchet tree and an `external_pub`.

    Raises:
        Refused: code `invalid-group`, with the reason.
    """
    with _refusing("invalid-group"):
        info = _read_group_info(encoded)
        suite_crypto = crypto(orderer.provider, info.group_context.cipher_suite)
        # Members may have been in the group for longer than their KeyPackages were good for.
        public = follow(suite_crypto, info, now=None)
        _check_external_pub(public, info)
        group = ordered_group(public)
        _check_agreement(group)
        if _moved_to(orderer, group.agreement) is not None:
            raise ValidationError("the group's agreement names another service", code="wrong-service")
        return Registration(group, group.members[LeafIndex(info.signer)])


def check_registrar(signer: VerifiedIdentity, credential: Credential) -> None:
    """Return if the client that asks, by its session, is the one that signed the GroupInfo.

    Raises:
        Refused: code `not-a-member`.
    """
    basic = basic_identity(credential)
    if (signer.identity.encode("utf-8"), signer.identity_key) != (basic.identity, basic.public_key):
        raise Refused("not-a-member", "The session is not that of the member who signed the GroupInfo.")


def check_handed_over(
    orderer: Orderer, encoded: bytes, receipt: OrderingReceipt, old_key: bytes
) -> Registration:
    """Return the group that a GroupInfo describes, if the service that ordered it until now has handed it over.

    Args:
        encoded: as above, of the epoch that the commit began by which it is handed over.
        receipt: of that commit.
        old_key: the signing key of that service.

    Raises:
        Refused: code `invalid-group`, with the reason.
    """
    with _refusing("invalid-group"):
        verify_receipt(orderer.provider, old_key, receipt)
        context = _read_group_info(encoded).group_context
        of = (receipt.group_id, receipt.epoch, receipt.confirmed_transcript_hash)
        if of != (context.group_id, context.epoch, context.confirmed_transcript_hash):
            raise ValidationError("the receipt is for another group or epoch", code="wrong-receipt")
    return check_registration(orderer, encoded)


# -- commits


def read_commit(encoded: bytes) -> PublicMessage:
    """A commit that was sent as a public message; nothing in it is verified yet.

    Raises:
        Refused: code `invalid-commit`, with the reason.
    """
    with _refusing("invalid-commit"):
        message = decode_message(encoded)
        if not isinstance(message, PublicMessage):
            raise UnsupportedError("only a PublicMessage can be ordered", code="unexpected-message")
        if not isinstance(message.content.content, Commit):
            raise ValidationError("only commits are ordered", code="not-a-commit")
        return message


def check_next_epoch(orderer: Orderer, group: OrderedGroup, request: CommitRequest, now: int) -> NextEpoch:
    """Return what a group becomes by a commit of its present epoch, if every member can follow it there.

    Args:
        now: Unix seconds.

    Raises:
        Refused: code `invalid-commit`, with the reason.
    """
    with _refusing("invalid-commit"):
        _check_self_contained(request.commit)
        followed = observe(group.public, request.commit, now=now)
        after = followed.group
        members = members_after(orderer.provider, after.context.cipher_suite, group.members, followed)
        reached = OrderedGroup(after, members)
        # Who comes back by itself could not mend an agreement that is not right any more, and need not.
        added = followed.added and not followed.from_outside
        if added or after.context.extensions != group.public.context.extensions:
            _check_agreement(reached)
        if reached.agreement.ordering != OrderingRule.service:
            raise ValidationError("the rule by which commits are ordered stays", code="ordering-changed")
        moved_to = _moved_to(orderer, reached.agreement)
        _check_group_info(followed, request.group_info)
    receipt = OrderingReceiptTBS(
        domain=orderer.domain.encode("ascii"),
        group_id=after.context.group_id,
        epoch=after.context.epoch,
        commit_hash=commit_hash(request.commit),
        confirmed_transcript_hash=after.context.confirmed_transcript_hash,
        accepted_at=now,
    )
    return NextEpoch(
        reached,
        sign_receipt(orderer.provider, orderer.signing_key, receipt),
        moved_to,
        followed.reinit is not None,
        len(members) > len(group.members),
    )


def _check_self_contained(encoded: bytes) -> None:
    """Whether everybody can follow a commit who has it and the epoch's keys.

    A proposal that it refers to may have come to nobody but us, and a PSK that it uses may be known to nobody but its committer.
    """
    commit = read_commit(encoded).content.content
    assert isinstance(commit, Commit)  # or it would have been refused
    for item in commit.proposals:
        if not isinstance(item.proposal_or_ref, Proposal):
            raise ValidationError(
                "a commit that refers to a proposal, which members may lack", code="proposal-by-reference"
            )
        if isinstance(item.proposal_or_ref.proposal, PreSharedKey):
            raise ValidationError("a commit with a PSK, which members may lack", code="psk-not-allowed")


def _check_group_info(followed: Followed, encoded: bytes) -> None:
    """Whether a GroupInfo is of the epoch that a commit begins, and by its committer."""
    info, group = _read_group_info(encoded), followed.group
    if find_extension(info.extensions, ExtensionType.ratchet_tree) is not None:
        raise ValidationError("the GroupInfo brings a tree, which is known here", code="unexpected-tree")
    if (
        info.group_context != group.context
        or info.confirmation_tag != followed.confirmation_tag
        or info.signer != followed.committer
    ):
        raise ValidationError(
            "the GroupInfo is not its committer's, of the epoch that the commit begins",
            code="wrong-group-info",
        )
    verify_group_info(group.crypto, group.tree.member(LeafIndex(info.signer)).signature_key, info)
    _check_external_pub(group, info)


def _read_group_info(encoded: bytes) -> GroupInfo:
    info = decode_message(encoded)
    if not isinstance(info, GroupInfo):
        raise UnsupportedError("an MLSMessage that is no GroupInfo", code="unexpected-message")
    return info


def _check_external_pub(group: PublicGroup, info: GroupInfo) -> None:
    """Whether a member that lost the thread could come back by this GroupInfo."""
    data = find_extension(info.extensions, ExtensionType.external_pub)
    if data is None:
        raise ValidationError("the GroupInfo lets nobody come back", code="no-external-pub")
    group.crypto.check_public_key(ExternalPub.decode(data).external_pub)


# -- what both have in common


def check_group_info_request(
    orderer: Orderer, members: Members, request: GroupInfoRequest, now: int, tolerance: int
) -> None:
    """Return if a member asks, and now.

    Args:
        tolerance: seconds by which clocks may differ.

    Raises:
        Refused: codes `not-a-member`, `stale-request`.
        VerificationError: code `bad-signature`.
    """
    basic = basic_identity(request.credential)
    asker = (basic.identity, basic.public_key)
    if all((who.identity.encode("utf-8"), who.identity_key) != asker for who in members.values()):
        raise Refused("not-a-member", "No present member of the group has this credential.")
    if abs(request.time - now) > tolerance:
        raise Refused("stale-request", "The request is too old, or its sender's clock is wrong.", time=now)
    signed = group_info_sign_content(orderer.domain, request.group_id, request.credential, request.time)
    try:
        orderer.provider.verify(basic.algorithm, basic.public_key, signed, request.signature)
    except RemoteError:
        raise Refused("bad-signature", "The credential's key did not sign this request.") from None


def _check_agreement(group: OrderedGroup) -> None:
    context = group.public.context
    clients = [leaf_support(leaf, group.members[index]) for index, leaf in group.public.tree.members()]
    check_agreement(clients, group.agreement, context.cipher_suite)


def _moved_to(orderer: Orderer, agreement: GroupAgreement) -> str | None:
    """Who orders by an agreement, if it is not this service."""
    if agreement.ordering != OrderingRule.service:
        raise ValidationError("the members order the group's commits themselves", code="wrong-service")
    domain = agreement.domain.decode("ascii")
    if domain != orderer.domain:
        return domain
    if agreement.signing_key != orderer.public_key:
        raise ValidationError("the agreement has another key for this service", code="wrong-service")
    return None


@contextmanager
def _refusing(code: str) -> Iterator[None]:
    """Whatever is wrong is refused under one code, with the engine's as the reason."""
    try:
        yield
    except RemoteError as error:
        raise Refused(code, error.message, reason=error.code) from None
