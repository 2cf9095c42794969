"""The session: what a client does with its groups, from one state to the next. No I/O, no waiting.

Commands give the new state with what is to be sent in its outbox; `accepting` takes what arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..errors import RemoteError, StateError, UnsupportedError, ValidationError
from ..federation.binding import MESSAGE_ID_SIZE, domain_of
from ..federation.branches import history_extension
from ..federation.envelope import Envelope
from ..federation.group_agreement import OrderingRule, with_agreement
from ..federation.identity import verify_leaf_identity
from ..federation.manifest import VerifiedBundle
from ..federation.negotiation import new_agreement
from ..federation.ordering import OrderingReceipt
from ..mls import (
    PendingCommit,
    WireFormat,
    add,
    commit,
    create_group,
    remove,
    send_application_data,
)
from ..mls.proposals import Add, Proposal, Remove, proposal
from ..mls.tree_math import LeafIndex
from . import forks
from .account import new_key_package
from .agreeing import renewal, support
from .log_state import after_telling, heads_to_tell
from .members import are_of_others, leaves_of, not_in_group, unchanged, verified_members
from .ordered import own_commit
from .payload import new_payload_id, payload
from .state import Anew, ClientState, GroupState, Intent, Outgoing, SentData

GROUP_ID_SIZE = 16


def start_group(
    provider: CryptoProvider,
    state: ClientState,
    suite: CipherSuite,
    group_id: bytes | None,
    now: int,
    *,
    ordered_by: tuple[str, bytes] | None = None,
) -> tuple[ClientState, bytes]:
    """A new group of ourselves alone.

    Args:
        ordered_by: domain and signing key of the delivery service that orders the commits; None: the members do.

    Returns:
        The state, and the group's id.

    Raises:
        StateError: code `group-exists`.
        UnsupportedError: the provider lacks the suite.
    """
    if group_id is None:
        group_id = provider.random(GROUP_ID_SIZE)
    if group_id in state.groups:
        raise StateError("this client is in a group of that id already", code="group-exists")
    if not provider.supports(suite):
        raise UnsupportedError(
            f"cipher suite {suite.name} is not available here", code="unsupported-cipher-suite"
        )
    own = new_key_package(provider, state.account, suite, now)
    domain, signing_key = ("", b"") if ordered_by is None else ordered_by
    agreement = new_agreement(
        support(provider, suite, [own.key_package.leaf_node]),
        suite,
        ordering=OrderingRule.members if ordered_by is None else OrderingRule.service,
        domain=domain,
        signing_key=signing_key,
    )
    group = create_group(crypto(provider, suite), group_id, own, with_agreement((), agreement))
    known = GroupState(
        group,
        verified_members(provider, group, {}),
        history={group.epoch: group.context.confirmed_transcript_hash},
    )
    return state.with_group(known), group_id


def send(
    provider: CryptoProvider, state: ClientState, group_id: bytes, data: bytes
) -> tuple[ClientState, int]:
    """Encrypt data for a group; returns the state, with the message in its outbox, and the epoch.

    What is to be sent again goes out before, so that everybody reads our messages in the order in which we made them.
    """
    state = _send_again(provider, state, group_id)
    after = _send_payload(provider, state, group_id, new_payload_id(provider), data)
    return after, after.group(group_id).group.epoch


def _send_again(provider: CryptoProvider, state: ClientState, group_id: bytes) -> ClientState:
    known = state.group(group_id)
    state = state.with_group(replace(known, again=()))
    for data in known.again:
        state = _send_payload(provider, state, group_id, data.payload_id, data.data)
    return state


def _send_payload(
    provider: CryptoProvider, state: ClientState, group_id: bytes, payload_id: bytes, data: bytes
) -> ClientState:
    known = state.group(group_id)
    heads = heads_to_tell(state.logs, known.told, (who.domain for who in known.identities.values()))
    sent = send_application_data(known.group, payload(payload_id, data, heads))
    after = replace(known, group=sent.group, told=after_telling(known.told, heads))
    if not known.ordered_by_service:
        after = replace(after, sent=(*known.sent, SentData(payload_id, data, known.group.epoch)))
    return put_out(provider, state.with_group(after), known.addresses, sent.message)


def add_clients(
    provider: CryptoProvider, state: ClientState, group_id: bytes, bundles: Sequence[VerifiedBundle], now: int
) -> ClientState:
    """Add all clients that `bundles` stand for and that are not in the group, in one commit.

    Raises:
        StateError: code `already-member`: all are in the group.
        ValidationError: code `wrong-cipher-suite`: a bundle is not of the group's suite; or a rule of the engine.
    """
    known = state.group(group_id)
    missing = not_in_group(known, bundles)
    if not missing:
        raise StateError("all these clients are in this group already", code="already-member")
    for bundle in missing:
        if bundle.chosen != known.group.cipher_suite:
            raise ValidationError(
                f"the keys of {bundle.identity} are not for the group's cipher suite",
                code="wrong-cipher-suite",
            )
    intent = Intent(added=tuple(bundle.key_package for bundle in missing))
    return _commit(provider, state, known, intent, now)


def remove_identity(
    provider: CryptoProvider, state: ClientState, group_id: bytes, identity: str, now: int
) -> ClientState:
    """Remove all clients of an identity.

    Raises:
        StateError: code `not-a-member`: it has none here; `cannot-remove-self`: it is our own.
    """
    known = state.group(group_id)
    leaves = [leaf for leaf, who in known.identities.items() if who.identity == identity]
    if not leaves:
        raise StateError(f"{identity} is not in this group", code="not-a-member")
    return _remove(provider, state, known, leaves, now)


def remove_device(
    provider: CryptoProvider,
    state: ClientState,
    group_id: bytes,
    identity: str,
    identity_key: bytes,
    now: int,
) -> ClientState:
    """Remove one device of an identity.

    Raises:
        StateError: code `not-a-member`: it is not here; `cannot-remove-self`: it is this one.
    """
    known = state.group(group_id)
    leaves = leaves_of(known, identity, identity_key)
    if not leaves:
        raise StateError(f"this device of {identity} is not in this group", code="not-a-member")
    return _remove(provider, state, known, leaves, now)


def _remove(
    provider: CryptoProvider, state: ClientState, known: GroupState, leaves: Sequence[LeafIndex], now: int
) -> ClientState:
    if known.group.own_leaf in leaves:
        raise StateError(
            "nobody can commit their own removal; ask another member to remove you", code="cannot-remove-self"
        )
    keys = tuple(known.group.tree.member(leaf).signature_key for leaf in leaves)
    return _commit(provider, state, known, Intent(removed=keys), now)


def renew_keys(provider: CryptoProvider, state: ClientState, group_id: bytes, now: int) -> ClientState:
    """Begin a new epoch with fresh keys of ours, which heals a group whose keys were stolen."""
    return _commit(provider, state, state.group(group_id), Intent(), now)


def move_ordering(
    provider: CryptoProvider, state: ClientState, group_id: bytes, domain: str, signing_key: bytes, now: int
) -> ClientState:
    """Hand the ordering of a group's commits over to another service.

    Args:
        signing_key: of that service.

    Raises:
        StateError: code `not-ordered`: the members order the group's commits themselves.
    """
    known = state.group(group_id)
    if not known.ordered_by_service:
        raise StateError("the members of this group order its commits themselves", code="not-ordered")
    return _commit(provider, state, known, Intent(ordered_by=(domain, signing_key)), now)


def end_group(
    provider: CryptoProvider, state: ClientState, group_id: bytes, anew: Anew, now: int
) -> ClientState:
    """End a group that is to begin anew (`reinitialization`).

    Raises:
        StateError: code `members-changed`: somebody has come or gone since it was planned.
    """
    known = replace(state.group(group_id), anew=anew)
    if not are_of_others(provider, known, anew.members):
        raise StateError("somebody has come to the group or left it meanwhile", code="members-changed")
    return _commit(provider, state.with_group(known), known, Intent(begins=anew.begins), now)


def must_repeat(known: GroupState) -> bool:
    """Whether something that we did has been undone by a commit that won, and is to be done again.

    Whoever asks waits a little at random before it calls `repeat`, so that not all members do it at once.
    """
    return bool(known.intents or known.again)


def repeat(provider: CryptoProvider, state: ClientState, group_id: bytes, now: int) -> ClientState:
    """Do again what a commit that won has undone: our commits, as far as they still make sense, and what we sent."""
    known = state.group(group_id)
    state = state.with_group(replace(known, intents=()))
    if known.intents:
        state = _commit_again(provider, state, group_id, known.intents, now)
    return _send_again(provider, state, group_id)


def _commit_again(
    provider: CryptoProvider, state: ClientState, group_id: bytes, intents: Sequence[Intent], now: int
) -> ClientState:
    known = state.group(group_id)
    intent = forks.joined(intents)
    if not _proposals(provider, known, intent) and not intent.ordered_by and Intent() not in intents:
        # Others have done what ours were for; on another branch they may not have.
        return state.with_group(forks.fulfilled(known, intent))
    try:
        return _commit(provider, state, known, intent, now)
    except RemoteError:
        # Somebody's keys have expired meanwhile, or two of them do not go together: one after the other, and not all.
        if len(intents) == 1:
            return state
        for each in intents:
            state = _commit_again(provider, state, group_id, [each], now)
        return state


def _proposals(provider: CryptoProvider, known: GroupState, intent: Intent) -> list[Proposal]:
    """What is left to be proposed for an intent, as the group is now."""
    if intent.begins is not None:
        # Somebody who came meanwhile would not be in the new group: then it is to be planned anew.
        return (
            [proposal(intent.begins)]
            if known.anew is not None and are_of_others(provider, known, known.anew.members)
            else []
        )
    keys = {
        node.signature_key: leaf for leaf, node in known.group.tree.members() if leaf != known.group.own_leaf
    }
    gone = [keys[key] for key in intent.removed if key in keys]
    proposals = [remove(leaf) for leaf in gone]
    present = {(who.identity, who.identity_key) for leaf, who in known.identities.items() if leaf not in gone}
    for package in intent.added:
        who = verify_leaf_identity(provider, known.group.cipher_suite, package.leaf_node)
        if (who.identity, who.identity_key) not in present:
            # We may have added a client twice, by two sets of its keys, on two branches.
            present.add((who.identity, who.identity_key))
            proposals.append(add(package))
    return proposals


def _commit(
    provider: CryptoProvider, state: ClientState, known: GroupState, intent: Intent, now: int
) -> ClientState:
    """Commit what an intent needs, and go into the epoch that this begins; or wait for the service that orders.

    Raises:
        StateError: code `commit-pending`: the service has not ordered the last one yet.
    """
    if known.pending is not None:
        raise StateError(
            "our last commit in this group has not been ordered yet; its service was not reached",
            code="commit-pending",
        )
    proposals = _proposals(provider, known, intent)
    added = [body.proposal.key_package for body in proposals if isinstance(body.proposal, Add)]
    removed = [LeafIndex(body.proposal.removed) for body in proposals if isinstance(body.proposal, Remove)]
    proposals += renewal(provider, known.group, known.identities, added, removed, intent.ordered_by)
    ordered = known.ordered_by_service
    pending = commit(
        known.group,
        proposals,
        now=now,
        wire_format=WireFormat.mls_public_message if ordered else WireFormat.mls_private_message,
        retention=known.retention,
        info_extensions=() if ordered else [history_extension(known.history)],
    )
    if ordered:
        return state.with_group(replace(known, pending=own_commit(pending, intent)))
    return _begin_epoch(provider, state, known, pending, intent, now)


def put_out(
    provider: CryptoProvider,
    state: ClientState,
    recipients: Iterable[str],
    message: bytes,
    receipt: OrderingReceipt | None = None,
) -> ClientState:
    """Put a message into the outbox, once for each domain (client fanout).

    Args:
        receipt: of a commit, or of the commit that a Welcome is of, where a service orders them.
    """
    by_domain: dict[str, list[str]] = {}
    for identity in recipients:
        by_domain.setdefault(domain_of(identity), []).append(identity)
    message_id = provider.random(MESSAGE_ID_SIZE)
    envelope = Envelope(message=message, receipt=receipt).encode()
    added = tuple(
        Outgoing(message_id, domain, tuple(identities), envelope) for domain, identities in by_domain.items()
    )
    return replace(state, outbox=state.outbox + added)


def _begin_epoch(
    provider: CryptoProvider,
    state: ClientState,
    known: GroupState,
    pending: PendingCommit,
    intent: Intent,
    now: int,
) -> ClientState:
    """Enter the epoch of our own commit, tell the old members, and welcome the new ones."""
    identities = verified_members(provider, pending.group, unchanged(known, pending.removed))
    assert pending.sent_from is not None  # only who joins by its commit has no state before
    before = replace(known, group=pending.sent_from)
    after = forks.advance(before, pending.group, identities, known.group.own_leaf, now, intent=intent)
    state = put_out(provider, state.with_group(after), known.addresses, pending.message)
    if pending.welcome is not None:
        newcomers = dict.fromkeys(identities[leaf].identity for leaf in pending.added)
        state = put_out(provider, state, newcomers, pending.welcome)
    return state
