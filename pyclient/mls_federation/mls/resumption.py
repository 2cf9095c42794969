"""Groups that come out of other groups: re-initialisation (§11.2) and branching (§11.3)."""

from __future__ import annotations

from collections.abc import Sequence

from ..crypto import Crypto, CryptoProvider, crypto
from ..errors import StateError, UsageError, ValidationError
from .authentication import CredentialCheck, accept_basic
from .committing import PendingCommit, add, commit, pre_shared_key
from .epoch import PSKLookup, with_resumption
from .group import Group, create_group
from .group_context import GroupContext
from .key_package import KeyPackage, OwnKeyPackage
from .proposals import ReInit
from .psk import PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from .ratchet_tree import RatchetTree


def reinitialize(
    provider: CryptoProvider,
    old: Group,
    own: OwnKeyPackage,
    others: Sequence[KeyPackage],
    *,
    now: int | None,
    check_credential: CredentialCheck = accept_basic,
) -> PendingCommit:
    """Begin anew the group that a ReInit has ended, with the same members (§11.2).

    Args:
        old: the group after the commit with the ReInit.
        own: gives our leaf in the new group; it is not to be published.
        others: a fresh KeyPackage of every other member, of the new cipher suite.

    Raises:
        StateError: code `not-ended`: the group was not re-initialised.
        ValidationError: code `wrong-members`: not the members of the old group; or a rule that a KeyPackage breaks.
    """
    if old.reinit is None:
        raise StateError("the group has not been re-initialised", code="not-ended")
    suite_crypto = crypto(provider, old.reinit.cipher_suite)
    group = create_group(suite_crypto, old.reinit.group_id, own, old.reinit.extensions)
    pending = _resume(suite_crypto, group, old, others, ResumptionPSKUsage.reinit, now, check_credential)
    check_same_members(old.tree, pending.group.tree)
    return pending


def branch(
    old: Group,
    group_id: bytes,
    own: OwnKeyPackage,
    others: Sequence[KeyPackage],
    *,
    now: int | None,
    check_credential: CredentialCheck = accept_basic,
) -> PendingCommit:
    """A new group of some members of `old`, with the same parameters (§11.3).

    Args:
        own: gives our leaf in the new group; it is not to be published.
        others: a fresh KeyPackage of each member who is to be in it.

    Raises:
        UsageError: `group_id` is that of the old group.
        ValidationError: code `wrong-members`: somebody is not a member of the old group; or a rule of a KeyPackage.
    """
    if group_id == old.group_id:
        raise UsageError("a branch needs a group id of its own")
    group = create_group(old.crypto, group_id, own, old.context.extensions)
    pending = _resume(old.crypto, group, old, others, ResumptionPSKUsage.branch, now, check_credential)
    check_some_members(old.tree, pending.group.tree)
    return pending


def check_resumed(old: Group, context: GroupContext, tree: RatchetTree, usage: ResumptionPSKUsage) -> None:
    """Whether the group that a Welcome leads into is what it says to have come from `old` (§12.4.3.1).

    Raises:
        ValidationError: code `wrong-resumption`, `wrong-members`.
    """
    if context.epoch != 1:
        raise _wrong("its epoch is not 1")
    if usage == ResumptionPSKUsage.reinit:
        new = ReInit(
            group_id=context.group_id,
            version=context.version,
            cipher_suite=context.cipher_suite,
            extensions=context.extensions,
        )
        if old.reinit != new:
            raise _wrong("it is not what the old group's ReInit says")
        check_same_members(old.tree, tree)
    else:
        if (context.version, context.cipher_suite) != (old.context.version, old.context.cipher_suite):
            raise _wrong("a branch has the version and cipher suite of the group that it comes from")
        check_some_members(old.tree, tree)


def check_same_members(old: RatchetTree, new: RatchetTree) -> None:
    """All members of the old group are in the new one, by their credentials.

    Raises:
        ValidationError: code `wrong-members`.
    """
    if not _credentials(old) <= _credentials(new):
        raise ValidationError(
            "a member of the old group is not in the new one", code="wrong-members", section="11.2"
        )


def check_some_members(old: RatchetTree, new: RatchetTree) -> None:
    """All members of the new group are in the old one, by their credentials.

    Raises:
        ValidationError: code `wrong-members`.
    """
    if not _credentials(new) <= _credentials(old):
        raise ValidationError(
            "a member of the new group is not in the old one", code="wrong-members", section="11.3"
        )


def _resume(
    suite_crypto: Crypto,
    group: Group,
    old: Group,
    others: Sequence[KeyPackage],
    usage: ResumptionPSKUsage,
    now: int | None,
    check_credential: CredentialCheck,
) -> PendingCommit:
    """The first commit of a group that comes out of another."""
    psk = ResumptionPSK(usage=usage, psk_group_id=old.group_id, psk_epoch=old.epoch)
    psk_id = PreSharedKeyID(
        psktype=PSKType.resumption, psk=psk, psk_nonce=suite_crypto.random(suite_crypto.Nh)
    )
    proposals = [pre_shared_key(psk_id), *(add(package) for package in others)]
    return commit(
        group, proposals, now=now, psks=psk_of(old), resuming=usage, check_credential=check_credential
    )


def psk_of(old: Group) -> PSKLookup:
    """A lookup of the resumption PSKs of a group."""
    return with_resumption(old, lambda _: None)


def _credentials(tree: RatchetTree) -> set[bytes]:
    return {leaf.credential.encode() for _, leaf in tree.members()}


def _wrong(reason: str) -> ValidationError:
    return ValidationError(
        f"a group that says to come out of another: {reason}", code="wrong-resumption", section="12.4.3.1"
    )
