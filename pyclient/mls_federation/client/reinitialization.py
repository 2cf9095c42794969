"""Beginning a group anew with another cipher suite, because somebody is to come who lacks the group's (RFC 9420 §11.2).

    1. the best suite that all members and the newcomers support; a fresh KeyPackage of each for it
    2. a commit with a ReInit: the old group is at its end          kept with it: `Anew`, the KeyPackages
    3. the new group with the same members, and their Welcome       one change of state, as soon as the commit stands
    4. a commit that adds the newcomers: they cannot know the PSK of the old group, by which the members know the new one

Whoever commits the ReInit makes the new group. All that it needs is stored before, so that it goes on after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..errors import StateError, ValidationError
from ..federation.group_agreement import with_agreement
from ..federation.identity import VerifiedIdentity, verify_leaf_identity
from ..federation.manifest import VerifiedBundle
from ..federation.negotiation import Support, best_common_suite, bundle_support, leaf_support, new_agreement
from ..mls import Group, KeyPackage, OwnKeyPackage, Welcome, join, reinitialize
from ..mls.nodes import ProtocolVersion
from ..mls.proposals import ReInit
from ..mls.tree_math import LeafIndex
from .account import new_key_package
from .agreeing import check_agreed
from .members import verified_members
from .session import GROUP_ID_SIZE, put_out
from .state import Anew, ClientState, GroupState, Intent

# A Welcome says under encryption which group it comes out of.
_OF_ANOTHER_GROUP = ("unknown-psk", "wrong-resumption")


def suite_for_all(known: GroupState, newcomers: Sequence[VerifiedBundle]) -> CipherSuite:
    """The best suite that all members and the newcomers support, by their leaves and manifests.

    Raises:
        NoCommonSuite: there is none; it says who supports what.
    """
    members = [
        leaf_support(member.leaf_node, known.identities[member.leaf_index]) for member in known.group.members
    ]
    return best_common_suite([*members, *map(bundle_support, newcomers)])


def plan(
    provider: CryptoProvider,
    known: GroupState,
    suite: CipherSuite,
    members: Iterable[VerifiedBundle],
    newcomers: Iterable[VerifiedBundle],
) -> Anew:
    """What a group is to begin anew as, with a KeyPackage for each member but ourselves.

    Args:
        members: bundles of all identities in the group, chosen for `suite`; those of clients that are not in it do not count.
        newcomers: bundles of those who are to be added, likewise.

    Raises:
        StateError: code `needs-ordering-service`: a commit of another could take the place of ours, when the new group is
            there already; `group-ended`: it has begun anew.
        ValidationError: code `keys-missing`: a member has no keys for the suite; the message names it. Or `no-common-version`.
    """
    group = known.group
    if not known.ordered_by_service:
        raise StateError(
            "a group whose members order its commits cannot begin anew: another commit might win over the one that ends it",
            code="needs-ordering-service",
        )
    if group.reinit is not None:
        raise StateError("the group has begun anew as another", code="group-ended")
    packages, clients = _fresh(provider, known, suite, members)
    before = known.agreement
    agreement = new_agreement(
        clients,
        suite,
        ordering=before.ordering,
        domain=before.domain.decode("ascii"),
        signing_key=before.signing_key,
    )
    begins = ReInit(
        group_id=provider.random(GROUP_ID_SIZE),
        version=ProtocolVersion.mls10,
        cipher_suite=suite,
        extensions=with_agreement(group.context.extensions, agreement),
    )
    return Anew(begins, packages, tuple(bundle.key_package for bundle in newcomers))


def planned_again(
    provider: CryptoProvider,
    known: GroupState,
    members: Iterable[VerifiedBundle],
    newcomers: Iterable[VerifiedBundle],
) -> Anew:
    """The plan of a group that `has_begun`, with fresh KeyPackages: those that it had could not be used any more.

    Raises:
        ValidationError: code `keys-missing`.
    """
    assert known.anew is not None  # it has begun
    packages, _ = _fresh(provider, known, known.anew.begins.cipher_suite, members)
    return Anew(known.anew.begins, packages, tuple(bundle.key_package for bundle in newcomers))


def _fresh(
    provider: CryptoProvider, known: GroupState, suite: CipherSuite, members: Iterable[VerifiedBundle]
) -> tuple[tuple[KeyPackage, ...], list[Support]]:
    """A KeyPackage of each member but ourselves, and what everybody supports."""
    by_client = {(bundle.identity, bundle.identity_key): bundle.key_package for bundle in members}
    packages, clients = [], []
    for member in known.group.members:
        who = known.identities[member.leaf_index]
        if member.leaf_index == known.group.own_leaf:
            clients.append(leaf_support(member.leaf_node, who))
            continue
        package = by_client.get((who.identity, who.identity_key))
        if package is None:
            raise ValidationError(
                f"a client of {who.identity} has no keys for cipher suite 0x{suite:04x} at its delivery service",
                code="keys-missing",
            )
        packages.append(package)
        fresh = verify_leaf_identity(provider, suite, package.leaf_node)
        clients.append(leaf_support(package.leaf_node, fresh))
    return tuple(packages), clients


def has_begun(known: GroupState) -> bool:
    """Whether our ReInit has ended a group, and the new one is to be made by us."""
    return known.anew is not None and known.group.reinit == known.anew.begins


def begin_anew(provider: CryptoProvider, state: ClientState, group_id: bytes, now: int) -> ClientState:
    """Make the new group of the same members, in its epoch 1, and welcome them. The newcomers are to be added next.

    Args:
        group_id: of the old group, which `has_begun`.

    Raises:
        ValidationError, VerificationError: a KeyPackage is not valid any more, or the members do not agree.
    """
    known = state.group(group_id)
    anew = known.anew
    assert anew is not None  # it has begun
    own = new_key_package(provider, state.account, anew.begins.cipher_suite, now)
    pending = reinitialize(provider, known.group, own, anew.members, now=now)
    assert pending.welcome is not None or not anew.members
    group = pending.group
    identities = verified_members(provider, group, {})
    check_agreed(group, identities)
    begun = _group_state(state, group, identities)
    if anew.newcomers:
        begun = replace(begun, intents=(Intent(added=anew.newcomers),))
    state = state.with_group(replace(known, anew=None, successor=group.group_id)).with_group(begun)
    if pending.welcome is not None:
        state = put_out(provider, state, begun.addresses, pending.welcome)
    return state


def join_anew(
    provider: CryptoProvider, state: ClientState, welcome: Welcome, own: OwnKeyPackage, now: int
) -> tuple[ClientState, bytes] | None:
    """Join the group as which one of ours begins anew.

    Returns:
        The state, and the id of the old group; None if the Welcome comes out of none of our groups that have ended.

    Raises:
        ValidationError, VerificationError, DecodeError: it does, and something is wrong with it.
    """
    suite = crypto(provider, welcome.cipher_suite)
    for group_id, known in state.groups.items():
        if known.group.reinit is None or known.successor:
            continue
        try:
            group = join(suite, welcome, own, now=now, old=known.group)
        except ValidationError as error:
            if error.code in _OF_ANOTHER_GROUP:
                continue
            raise
        identities = verified_members(provider, group, {})
        check_agreed(group, identities)
        old = replace(known, anew=None, successor=group.group_id)
        return state.with_group(old).with_group(_group_state(state, group, identities)), group_id
    return None


def current(state: ClientState, group_id: bytes) -> bytes:
    """The group that a group has become, if it has begun anew; else itself."""
    known = state.groups.get(group_id)
    while known is not None and known.successor in state.groups:
        group_id = known.successor
        known = state.groups[group_id]
    return group_id


def _group_state(
    state: ClientState, group: Group, identities: Mapping[LeafIndex, VerifiedIdentity]
) -> GroupState:
    begun = GroupState(
        group,
        identities,
        history={group.epoch: group.context.confirmed_transcript_hash},
        inbox_epoch=group.epoch,
    )
    # Any member whose own service is to order can tell it of the group, and nobody else can.
    ours = begun.agreement.domain.decode("ascii") == state.account.domain
    return replace(begun, registered=not ours)
