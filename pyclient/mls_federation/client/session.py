"""The session: what a client does with its groups, from one state to the next. No I/O, no waiting.

Commands give the new state with what is to be sent in its outbox; `accepting` takes what arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..errors import StateError, UnsupportedError, ValidationError
from ..federation.binding import MESSAGE_ID_SIZE, domain_of
from ..federation.manifest import VerifiedBundle
from ..mls import PendingCommit, add, commit, create_group, remove, send_application_data
from ..mls.tree_math import LeafIndex
from .account import new_key_package
from .members import leaves_of, not_in_group, unchanged, verified_members
from .state import ClientState, GroupState, Outgoing

GROUP_ID_SIZE = 16


def start_group(
    provider: CryptoProvider, state: ClientState, suite: CipherSuite, group_id: bytes | None, now: int
) -> tuple[ClientState, bytes]:
    """A new group of ourselves alone.

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
    group = create_group(crypto(provider, suite), group_id, own)
    return state.with_group(GroupState(group, verified_members(provider, group, {}))), group_id


def send(
    provider: CryptoProvider, state: ClientState, group_id: bytes, data: bytes
) -> tuple[ClientState, int]:
    """Encrypt data for a group; returns the state, with the message in its outbox, and the epoch."""
    known = state.group(group_id)
    sent = send_application_data(known.group, data)
    after = state.with_group(replace(known, group=sent.group))
    return put_out(provider, after, known.addresses, sent.message), known.group.epoch


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
    pending = commit(known.group, [add(bundle.key_package) for bundle in missing], now=now)
    return _begin_epoch(provider, state, known, pending)


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
    pending = commit(known.group, [remove(leaf) for leaf in leaves], now=now)
    return _begin_epoch(provider, state, known, pending)


def renew_keys(provider: CryptoProvider, state: ClientState, group_id: bytes, now: int) -> ClientState:
    """Begin a new epoch with fresh keys of ours, which heals a group whose keys were stolen."""
    known = state.group(group_id)
    return _begin_epoch(provider, state, known, commit(known.group, now=now))


def put_out(
    provider: CryptoProvider, state: ClientState, recipients: Iterable[str], message: bytes
) -> ClientState:
    """Put a message into the outbox, once for each domain (client fanout)."""
    by_domain: dict[str, list[str]] = {}
    for identity in recipients:
        by_domain.setdefault(domain_of(identity), []).append(identity)
    message_id = provider.random(MESSAGE_ID_SIZE)
    added = tuple(
        Outgoing(message_id, domain, tuple(identities), message) for domain, identities in by_domain.items()
    )
    return replace(state, outbox=state.outbox + added)


def _begin_epoch(
    provider: CryptoProvider, state: ClientState, known: GroupState, pending: PendingCommit
) -> ClientState:
    """Enter the epoch of our own commit, tell the old members, and welcome the new ones."""
    identities = verified_members(provider, pending.group, unchanged(known, pending.removed))
    after = state.with_group(known.in_epoch(pending.group, identities))
    after = put_out(provider, after, known.addresses, pending.message)
    if pending.welcome is not None:
        newcomers = dict.fromkeys(identities[leaf].identity for leaf in pending.added)
        after = put_out(provider, after, newcomers, pending.welcome)
    return after
