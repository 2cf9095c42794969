"""Who is in a group, and who may change that: the rules on identities that RFC 9420 leaves to the application.

Members keep them, and so does a delivery service that orders commits: a commit that it accepts and that members refuse would
leave the group without a way on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ..crypto import CipherSuite, CryptoProvider
from ..errors import ValidationError
from ..mls.public_group import Followed
from ..mls.ratchet_tree import RatchetTree
from ..mls.tree_math import LeafIndex
from .identity import VerifiedIdentity, verify_leaf_identity

# Of all leaves of a group, each verified.
Members: TypeAlias = Mapping[LeafIndex, VerifiedIdentity]


def verify_members(provider: CryptoProvider, suite: CipherSuite, tree: RatchetTree) -> Members:
    """The members of a tree, each leaf verified.

    Raises:
        ValidationError, VerificationError, DecodeError: a leaf's identity extension is missing or wrong;
            code `identity-conflict`: two members have one name, but are not devices of one identity.
    """
    events: set[bytes] = set()  # devices of one identity share the beginning of their lineage
    members = {index: verify_leaf_identity(provider, suite, leaf, events) for index, leaf in tree.members()}
    check_one_root_each(members.values())
    return members


def members_after(
    provider: CryptoProvider, suite: CipherSuite, before: Members, followed: Followed
) -> Members:
    """The members after a commit; leaves that it did not change are not verified again.

    Raises:
        ValidationError, VerificationError, DecodeError: a leaf's identity extension is missing or wrong;
            code `identity-conflict`; `identity-changed`: a member has taken on another identity; `not-a-rejoin`: somebody
            who joins by an external commit does not take the place of exactly one former leaf of its own.
    """
    tree = followed.group.tree
    events: set[bytes] = set()
    came = {
        leaf: verify_leaf_identity(provider, suite, tree.member(leaf), events)
        for leaf in (*followed.added, *followed.updated)
    }
    for leaf in followed.updated:
        if leaf not in followed.added and not same_client(before[leaf], came[leaf]):
            raise ValidationError("a member has taken on another identity", code="identity-changed")
    if followed.from_outside and followed.committer is not None:
        check_rejoin(came[followed.committer], [before[leaf] for leaf in followed.removed])
    gone = set(followed.removed)
    after = {leaf: who for leaf, who in before.items() if leaf not in gone} | came
    check_one_root_each(after.values())
    return after


def check_rejoin(joiner: VerifiedIdentity, removed: Iterable[VerifiedIdentity]) -> None:
    """An external commit is for a member that lost the thread: it takes the place of its own former leaf, and does no more.

    Raises:
        ValidationError: code `not-a-rejoin`.
    """
    if [same_client(joiner, who) for who in removed] != [True]:
        raise ValidationError(
            "an external commit that does not replace exactly one leaf, of who makes it", code="not-a-rejoin"
        )


def check_one_root_each(members: Iterable[VerifiedIdentity]) -> None:
    """A name belongs to the device that claimed it, and to those that it admitted, directly or not.

    Raises:
        ValidationError: code `identity-conflict`.
    """
    roots: dict[str, bytes] = {}
    for who in members:
        if roots.setdefault(who.identity, who.root_key) != who.root_key:
            raise ValidationError(
                f"two members say that they are {who.identity}, and are not devices of one identity",
                code="identity-conflict",
            )


def same_client(one: VerifiedIdentity, other: VerifiedIdentity) -> bool:
    """Whether two leaves are of one client. A key may vouch for any name, so neither of the two is enough."""
    return _who(one) == _who(other)


def _who(member: VerifiedIdentity) -> tuple[str, bytes, bytes]:
    return member.identity, member.identity_key, member.root_key
