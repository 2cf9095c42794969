"""Welcomes: joining a group, and choosing between two branches of one that we were welcomed into."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..crypto import CryptoProvider, crypto
from ..errors import EpochError, ValidationError
from ..federation.branches import history_of, parting, wins
from ..federation.identity import VerifiedIdentity
from ..federation.ordering import OrderingReceipt
from ..mls import OwnKeyPackage, Welcome, find_key_package, join
from ..mls.joining import open_welcome
from ..mls.tree_math import LeafIndex
from . import forks
from .agreeing import check_agreed
from .events import EpochChanged, Event, GroupJoined, GroupReinitialized
from .members import names, verified_members
from .ordered import check_welcomed
from .reinitialization import join_anew
from .state import FORK_SECONDS, ClientState, GroupState, SpentKeyPackage


@dataclass(frozen=True)
class Joined:
    """A Welcome that was accepted."""

    state: ClientState
    group_id: bytes
    event: Event | None


def welcomed(
    provider: CryptoProvider,
    state: ClientState,
    welcome: Welcome,
    receipt: OrderingReceipt | None,
    now: int,
) -> Joined:
    """Join the group of a Welcome, or follow it to another branch of a group that we are in.

    Args:
        receipt: of the commit that has added us, if a service orders them.

    Raises:
        ValidationError: code `not-for-us`; `already-joined`: it leads nowhere that the group would go; or a rule of the
            engine, or of the group's agreement; `no-receipt`, `bad-receipt`.
        EpochError: code `early-welcome`: into a later epoch of a group that we are in, whose commits are ordered.
        VerificationError, DecodeError: from the engine.
    """
    own = _key_package(state, welcome)
    anew = join_anew(provider, state, welcome, own, now)
    if anew is not None:
        state, old_id = anew
        group_id = state.group(old_id).successor
        return Joined(_used(state, own, None), group_id, GroupReinitialized(old_id, group_id))
    suite = crypto(provider, welcome.cipher_suite)
    group = join(suite, welcome, own, now=now)
    info = open_welcome(suite, welcome, own).group_info
    identities = verified_members(provider, group, {})
    check_agreed(group, identities)
    history = history_of(info.extensions, group.epoch, group.context.confirmed_transcript_hash)
    joined = GroupState(group, identities, history=history, inbox_epoch=group.epoch)
    group_id = group.group_id
    if any(spent.own is own and spent.group_id != group_id for spent in state.spent):
        raise _not_for_us()
    present = state.groups.get(group_id)
    if joined.ordered_by_service:
        if present is not None:
            _refuse_ordered(present, joined)
        joined = check_welcomed(provider, joined, receipt)
        return Joined(_used(state, own, None).with_group(joined), group_id, GroupJoined(group_id))
    joined = replace(joined, open_until=now + FORK_SECONDS)
    before = state.departed.get(group_id) if present is None else present
    if before is not None and _is_earlier(before, joined):
        # It came late, and we are further on; but where we are now may turn out to be of a branch that lost.
        after = forks.filled(before, group, identities, group.own_leaf, now)
        used = _used(state, own, (group_id, now))
        state = used.with_departed(after) if present is None else used.with_group(after)
        return Joined(state, group_id, None)
    if before is not None:
        if present is not None:
            _check_wins(before, joined, identities[LeafIndex(info.signer)])
        elif wins(before.history, joined.history):
            raise _already_joined()
        joined = forks.moved(before, joined, present=present is not None, now=now)
    event: Event = GroupJoined(group_id)
    if present is not None:
        event = EpochChanged(
            group_id=group_id,
            epoch=group.epoch,
            added=names(identities.values(), present.identities.values()),
            removed=names(present.identities.values(), identities.values()),
        )
    return Joined(_used(state, own, (group_id, now)).with_group(joined), group_id, event)


def _key_package(state: ClientState, welcome: Welcome) -> OwnKeyPackage:
    candidates = [package for key_set in state.key_sets for package in key_set.packages]
    candidates += [(spent.ref, spent.own) for spent in state.spent]
    own = find_key_package(welcome, candidates)
    if own is None:
        raise _not_for_us()
    return own


def _used(state: ClientState, own: OwnKeyPackage, kept: tuple[bytes, int] | None) -> ClientState:
    """The state without the set that a KeyPackage is of; it is `kept` for a second Welcome to a group of that id, since now."""
    spent = []
    unused = []
    for key_set in state.key_sets:
        used = next((ref for ref, package in key_set.packages if package is own), None)
        # The other packages of the set were handed out with this one, so none of them will be used.
        if used is None or key_set.last_resort:
            unused.append(key_set)
        elif kept is not None:
            spent.append(SpentKeyPackage(used, own, *kept))
    return replace(state, key_sets=tuple(unused), spent=(*state.spent, *spent))


def _refuse_ordered(present: GroupState, joined: GroupState) -> None:
    # Anybody can make a Welcome into a group of that id, so ours is not given up for it. But it may be that we were
    # removed and added again by two people, and the removal is still on its way.
    if joined.group.epoch > present.group.epoch:
        raise EpochError(
            "a Welcome into a later epoch of a group that this client is in", code="early-welcome"
        )
    raise _already_joined()


def _check_wins(before: GroupState, joined: GroupState, inviter: VerifiedIdentity) -> None:
    """Whether a Welcome into a group that we are in leads to where the group has gone without us.

    Anybody can make a Welcome into a group of that id. Only a member is believed, whom we know, or who shows by the group's
    history that it is one: no service sees transcript hashes where members order commits. Such a one could as well win
    by a commit of its own, while the epoch where the branches part is open.
    """
    shared = parting(before.history, joined.history)
    first = before.line[0].group.epoch if before.line else before.group.epoch
    if before.open_until is None and (shared is None or shared < first):
        raise _already_joined()
    known = [*before.identities.values(), *(who for past in before.line for who in past.identities.values())]
    is_known = any(
        (who.identity, who.identity_key) == (inviter.identity, inviter.identity_key) for who in known
    )
    shows = shared is not None and before.history[shared] != b""
    if before.ordered_by_service or not (is_known or shows) or not wins(joined.history, before.history):
        raise _already_joined()


def _is_earlier(before: GroupState, joined: GroupState) -> bool:
    """Whether a Welcome leads to an epoch that we have come past without its state."""
    epoch = joined.group.epoch
    return (
        before.open_until is not None
        and before.history.get(epoch) == joined.history[epoch] != b""
        and epoch + 1 in before.history
        and forks.past_state(before, epoch) is None
    )


def _not_for_us() -> ValidationError:
    return ValidationError(
        "a Welcome for keys that this client does not have, or has used already", code="not-for-us"
    )


def _already_joined() -> ValidationError:
    return ValidationError("a Welcome into a group that this client is in", code="already-joined")
