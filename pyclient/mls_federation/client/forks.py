"""Groups whose members order commits themselves: past states that can be gone back to (docs/protocol.md, ADR 0010).

Each commit that ends an epoch has a place in a tree whose branches are the commits of one epoch. Of those the one with the
smallest confirmed transcript hash wins. We keep the states of the latest epochs whole, follow the winning branch, and when a
commit arrives that wins over one that we have followed, go back to where they part, and forward from there.

What we had done on the branch that lost is done again: commits as `Intent`s, application data under its payload's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..federation.branches import parting
from ..federation.identity import VerifiedIdentity
from ..mls import Group, KeyPackage
from ..mls.epoch import past_epoch
from ..mls.tree_math import LeafIndex
from .state import FORK_EPOCHS, GroupState, Intent, PastState


def past_state(known: GroupState, epoch: int) -> PastState | None:
    """The state of an epoch of the past that is kept."""
    return next((past for past in known.line if past.group.epoch == epoch), None)


def leave(
    known: GroupState,
    successor: bytes,
    committer: LeafIndex,
    now: int,
    *,
    intent: Intent | None = None,
    left: int | None = None,
) -> tuple[PastState, ...]:
    """The past states that are kept once the epoch of `known` has ended.

    Args:
        successor: the confirmed transcript hash of the epoch that follows.
        committer: whose commit ended the epoch.
        intent: what it was for, if it was ours.
        left: when it ended first, if it has ended before.
    """
    others = {leaf: node.signature_key for leaf, node in known.group.tree.members()}
    own = others.pop(known.group.own_leaf)
    heard = others.pop(committer, own)
    past = PastState(
        # The engine's own past epochs are those of the present state: they are kept once.
        group=replace(known.group, past_epochs=()),
        identities=known.identities,
        successor=successor,
        intent=intent,
        left=now if left is None else left,
        unheard=frozenset(others.values()),
    )
    return _hearing((*known.line, past), heard, known.group.epoch)[-FORK_EPOCHS:]


def advance(
    known: GroupState,
    group: Group,
    identities: Mapping[LeafIndex, VerifiedIdentity],
    committer: LeafIndex,
    now: int,
    *,
    intent: Intent | None = None,
    left: int | None = None,
) -> GroupState:
    """The group in the epoch that a commit has begun; the one before is kept, if members order commits."""
    after = known.in_epoch(group, identities)
    if known.ordered_by_service:
        return after
    successor = group.context.confirmed_transcript_hash
    return _settled(
        replace(after, line=leave(known, successor, committer, now, intent=intent, left=left)), now
    )


def heard(known: GroupState, signature_key: bytes, epoch: int, now: int) -> GroupState:
    """Note that a member was in an epoch: it has made its commit, if any, of each epoch before.

    A past state in which everybody could commit, and has either lost or not tried, is given up before its time.
    """
    if not known.line:
        return known
    return _settled(replace(known, line=_hearing(known.line, signature_key, epoch)), now)


def _hearing(line: tuple[PastState, ...], signature_key: bytes, epoch: int) -> tuple[PastState, ...]:
    return tuple(
        replace(past, unheard=past.unheard - {signature_key})
        if past.group.epoch < epoch and signature_key in past.unheard
        else past
        for past in line
    )


def _settled(known: GroupState, now: int) -> GroupState:
    """Without the past states that nobody can part from any more."""
    if known.open_until is not None and now <= known.open_until:
        return known  # A newcomer does not know who may still part from the group before it came.
    line = known.line
    while line and not line[0].unheard:
        line = line[1:]
    if len(line) == len(known.line):
        return known
    return replace(known, line=line).without_settled(now)


def restored(known: GroupState, past: PastState) -> GroupState:
    """The group as it was in an epoch of the past, with all that we have done since to be done again."""
    epoch = past.group.epoch
    # They have fewer keys of messages than when the epoch ended: what was read since is not read again.
    kept = {item.context.epoch: item for item in known.group.past_epochs}
    group = replace(past.group, past_epochs=tuple(kept[item] for item in sorted(kept) if item < epoch))
    if epoch in kept:
        group = replace(group, secret_tree=kept[epoch].secret_tree)
    undone = [later.intent for later in known.line if later.group.epoch >= epoch and later.intent]
    return replace(
        known,
        group=group,
        identities=past.identities,
        past_identities={item: who for item, who in known.past_identities.items() if item < epoch},
        line=tuple(earlier for earlier in known.line if earlier.group.epoch < epoch),
        history={item: name for item, name in known.history.items() if item <= epoch},
        sent=tuple(data for data in known.sent if data.epoch <= epoch),
        again=known.again + tuple(data for data in known.sent if data.epoch > epoch),
        intents=(*known.intents, *undone),
    )


def joined(intents: Sequence[Intent]) -> Intent:
    """What one commit is for that does what several were for, one after the other."""
    added: dict[bytes, KeyPackage] = {}
    removed: dict[bytes, None] = {}
    for intent in intents:
        for key in intent.removed:
            added.pop(key, None)
            removed[key] = None
        for package in intent.added:
            added[package.leaf_node.signature_key] = package
    services = [intent.ordered_by for intent in intents if intent.ordered_by]
    begins = [intent.begins for intent in intents if intent.begins]
    return Intent(
        tuple(added.values()),
        tuple(removed),
        services[-1] if services else None,
        begins[-1] if begins else None,
    )


def fulfilled(known: GroupState, intent: Intent) -> GroupState:
    """Note what has been done without us, as long as it may be undone."""
    if not known.line:
        return known
    last = known.line[-1]
    intent = intent if last.intent is None else joined([last.intent, intent])
    return replace(known, line=(*known.line[:-1], replace(last, intent=intent)))


def has_gap(known: GroupState, past: PastState) -> bool:
    """Whether we came past an epoch by a Welcome, without the commit that began it: its messages cannot be read yet."""
    epoch = past.group.epoch + 1
    read = {item.context.epoch for item in known.group.past_epochs}
    return epoch < known.group.epoch and epoch not in read and epoch + 1 in known.history


def filled(
    known: GroupState,
    group: Group,
    identities: Mapping[LeafIndex, VerifiedIdentity],
    committer: LeafIndex,
    now: int,
) -> GroupState:
    """The group with an epoch that we came past, as the commit has it that began it."""
    epoch = group.epoch
    successor = known.history[epoch + 1]
    line = leave(replace(known, group=group, identities=identities, line=()), successor, committer, now)
    later = [past for past in known.line if past.group.epoch > epoch]
    earlier = [past for past in known.line if past.group.epoch < epoch]
    past_epochs = sorted(
        [*known.group.past_epochs, past_epoch(group, now)], key=lambda past: past.context.epoch
    )
    return replace(
        known,
        group=replace(known.group, past_epochs=tuple(past_epochs)),
        past_identities={**known.past_identities, epoch: identities},
        line=(*earlier, *line, *later),
    )


def moved(before: GroupState, joined: GroupState, *, present: bool, now: int) -> GroupState:
    """The group as a Welcome has it, with what the state that it takes the place of still serves for.

    Args:
        present: whether we were in the group; else a commit had removed us.
    """
    common = parting(before.history, joined.history)
    shared = -1 if common is None else common
    line = tuple(
        replace(past, successor=joined.history[past.group.epoch + 1])
        for past in before.line
        if past.group.epoch <= shared and past.group.epoch + 1 in joined.history
    )
    undone = [past.intent for past in before.line if past.group.epoch >= shared and past.intent]
    past_epochs = tuple(item for item in before.group.past_epochs if item.context.epoch <= shared)
    past_identities = {item: who for item, who in before.past_identities.items() if item <= shared}
    if before.group.epoch <= shared and before.group.epoch + 1 in joined.history:
        past_epochs = (*past_epochs, past_epoch(before.group, now))
        past_identities[before.group.epoch] = before.identities
        if present:
            # We were removed and added again, and the removal is still on its way.
            successor = joined.history[before.group.epoch + 1]
            line = leave(replace(before, line=line), successor, before.group.own_leaf, now)
    return replace(
        joined,
        group=replace(joined.group, past_epochs=past_epochs),
        past_identities=past_identities,
        held=before.held,
        line=line,
        sent=tuple(data for data in before.sent if data.epoch <= shared),
        again=before.again + tuple(data for data in before.sent if data.epoch > shared),
        intents=(*before.intents, *undone),
        shown=before.shown,
    )
