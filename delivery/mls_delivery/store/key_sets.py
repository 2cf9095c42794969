"""Published key sets, each handed out once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from ..refusals import Refused
from .accounts import check_active, clients, identities
from .announcements import announce
from .schema import Key, metadata

TAKEN = "key-sets-taken"
"""Channel: a key set of the client (its key in the store) was handed out."""

# `content` is emptied when a set has been handed out; the row stays until it expires, so that the set cannot come back.
key_sets = Table(
    "key_sets",
    metadata,
    Column("id", Key, primary_key=True),
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), nullable=False),
    Column("user_init_key_id", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("suites", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("last_resort", Boolean, nullable=False),
    Column("content", LargeBinary),
    UniqueConstraint("client", "user_init_key_id"),
)

# Whose each published KeyPackage is, until it expires, so that a Welcome finds its client.
key_package_refs = Table(
    "key_package_refs",
    metadata,
    Column("ref", LargeBinary, nullable=False),
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), nullable=False),
    Column("expires", BigInteger, nullable=False),
    PrimaryKeyConstraint("ref", "client"),
    Index(None, "client", "expires"),
)

# A KeyPackage may be in several sets.
_NAME = text(
    "INSERT INTO key_package_refs (ref, client, expires) VALUES (:ref, :client, :expires) ON CONFLICT DO NOTHING"
)
# How many parameters a query has at most.
_BATCH = 500


@dataclass(frozen=True)
class NewKeySet:
    """A key set to be kept.

    Attributes:
        user_init_key_id: unique for its client.
        suites: its cipher suites, packed as in the seed's messages.
        expires: the second from which it must not be handed out any more.
        last_resort: handed out when no other is left, and kept.
        content: the encoded `KeySet`.
        refs: the KeyPackageRef of each of its KeyPackages, and the second from which that is not valid any more.
    """

    user_init_key_id: bytes
    suites: bytes
    expires: int
    last_resort: bool
    content: bytes
    refs: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True)
class TakenKeySet:
    """A key set that was handed out."""

    content: bytes
    last_resort: bool


@dataclass(frozen=True)
class Taken:
    """What a client had.

    Attributes:
        key_set: what was handed out of it, if one fitted.
        passed_over: the packed suites of those that did not, if none did.
    """

    client_id: bytes
    key_set: TakenKeySet | None
    passed_over: tuple[bytes, ...]


def publish(
    connection: Connection, client: int, new: Sequence[NewKeySet], now: int, max_key_sets: int
) -> int:
    """Keep key sets; returns how many the client has now, without the last resort.

    A key set that was published before, even if it has been handed out since, is passed over.
    A last resort replaces the one before.

    Raises:
        Refused: `unauthorized`, `key-set-conflict` or `too-many-key-sets`.
    """
    check_active(connection, client)
    # A set that has expired cannot be published again (service.check_key_set), so there is no need to remember it.
    for table in (key_sets, key_package_refs):
        connection.execute(delete(table).where(table.c.client == client, table.c.expires <= now))
    for key_set in new:
        digest = hashlib.sha256(key_set.content).digest()
        known = connection.scalar(
            select(key_sets.c.digest).where(
                key_sets.c.client == client, key_sets.c.user_init_key_id == key_set.user_init_key_id
            )
        )
        if known is not None:
            if known != digest:
                raise Refused(
                    "key-set-conflict",
                    "Another key set with the same user_init_key_id was published before.",
                    user_init_key_id=key_set.user_init_key_id.hex(),
                )
            continue
        if key_set.last_resort:
            # Emptied, not deleted: an old last resort must not come back either.
            connection.execute(
                update(key_sets)
                .where(key_sets.c.client == client, key_sets.c.last_resort)
                .values(content=None)
            )
        connection.execute(
            insert(key_sets).values(
                client=client,
                user_init_key_id=key_set.user_init_key_id,
                digest=digest,
                suites=key_set.suites,
                expires=key_set.expires,
                last_resort=key_set.last_resort,
                content=key_set.content,
            )
        )
        connection.execute(
            _NAME, [{"ref": ref, "client": client, "expires": expires} for ref, expires in key_set.refs]
        )
    count = available(connection, client, now)
    if count > max_key_sets:
        raise Refused(
            "too-many-key-sets",
            f"A client may have {max_key_sets} key sets waiting; these would make {count}. Publish fewer.",
            limit=max_key_sets,
        )
    return count


def available(connection: Connection, client: int, now: int) -> int:
    """How many key sets the client has, without the last resort."""
    count = connection.scalar(
        select(func.count()).where(
            key_sets.c.client == client,
            key_sets.c.content.is_not(None),
            key_sets.c.last_resort.is_(False),
            key_sets.c.expires > now,
        )
    )
    return int(count or 0)


def clients_named(connection: Connection, refs: Iterable[bytes], now: int) -> set[int]:
    """The clients that have published one of these KeyPackages, by their keys in the store."""
    wanted = list(refs)
    found: set[int] = set()
    for start in range(0, len(wanted), _BATCH):
        found.update(
            connection.scalars(
                select(key_package_refs.c.client).where(
                    key_package_refs.c.ref.in_(wanted[start : start + _BATCH]),
                    key_package_refs.c.expires > now,
                )
            )
        )
    return found


def take(
    connection: Connection,
    identity: bytes,
    suits: Callable[[bytes], bool],
    now: int,
    *,
    sparing: bool = False,
) -> tuple[Taken, ...]:
    """Hand out, for each client of an identity, the oldest key set whose packed suites suit, else its last resort.

    No two calls get the same key set, unless it is the last resort.

    Args:
        sparing: hand out last resorts alone.

    Returns:
        What each client had; nothing if the identity is unknown.
    """
    owners = connection.execute(
        select(clients.c.id, clients.c.client_id)
        .select_from(clients.join(identities))
        .where(identities.c.identity == identity)
        .order_by(clients.c.id)
    ).all()
    return tuple(_take(connection, owner.id, owner.client_id, suits, now, sparing) for owner in owners)


def _take(
    connection: Connection,
    client: int,
    client_id: bytes,
    suits: Callable[[bytes], bool],
    now: int,
    sparing: bool,
) -> Taken:
    offers = connection.execute(
        select(key_sets.c.id, key_sets.c.suites, key_sets.c.last_resort)
        .where(key_sets.c.client == client, key_sets.c.content.is_not(None), key_sets.c.expires > now)
        .order_by(key_sets.c.last_resort, key_sets.c.id)
    ).all()
    for offer in offers:
        if (sparing and not offer.last_resort) or not suits(offer.suites):
            continue
        content: bytes = connection.execute(
            select(key_sets.c.content).where(key_sets.c.id == offer.id)
        ).scalar_one()
        if not offer.last_resort:
            connection.execute(update(key_sets).where(key_sets.c.id == offer.id).values(content=None))
        announce(connection, TAKEN, str(client))
        return Taken(client_id, TakenKeySet(content, offer.last_resort), ())
    passed_over = {offer.suites for offer in offers if not suits(offer.suites)}
    return Taken(client_id, None, tuple(sorted(passed_over)))
