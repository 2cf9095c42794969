"""Identities, their clients and sessions, and whose store this is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
)

from .errors import StoreError
from .schema import Key, metadata

# One row.
service = Table(
    "service",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("signing_key", LargeBinary, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    Column("id", Key, primary_key=True),
    Column("identity", LargeBinary, nullable=False, unique=True),
    Column("credential", LargeBinary, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Key, primary_key=True),
    Column("identity", ForeignKey(identities.c.id), nullable=False),
    Column("client_id", LargeBinary, nullable=False),
    UniqueConstraint("identity", "client_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("client", ForeignKey(clients.c.id), primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("expires", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Client:
    """A client with a session.

    Attributes:
        key: its key in the store.
        identity: whose client it is.
        client_id: its own choice, 16 octets.
        credential: the encoded credential that claimed the identity.
    """

    key: int
    identity: bytes
    client_id: bytes
    credential: bytes


class SessionOutcome(Enum):
    """What became of a request for a session."""

    opened = "opened"
    claimed_by_another = "claimed by another"
    too_many_clients = "too many clients"


def signing_key(connection: Connection, domain: str, fresh: bytes) -> bytes:
    """The service's private signing key (secret): the one kept, else `fresh`, which is kept from now on.

    Raises:
        StoreError: the store is that of another domain.
    """
    row = connection.execute(select(service.c.domain, service.c.signing_key)).one_or_none()
    if row is None:
        connection.execute(insert(service).values(domain=domain, signing_key=fresh))
        return fresh
    if row.domain != domain:
        raise StoreError(f"The database is that of {row.domain}, not of {domain}.")
    key: bytes = row.signing_key
    return key


def open_session(
    connection: Connection,
    *,
    identity: bytes,
    credential: bytes,
    client_id: bytes,
    token_hash: bytes,
    now: int,
    expires: int,
    max_clients: int,
) -> SessionOutcome:
    """Claim the identity if nobody has, add the client if it is new, and replace its session."""
    owner = _claim(connection, identity, credential, now)
    if owner is None:
        return SessionOutcome.claimed_by_another
    client = _add_client(connection, owner, client_id, max_clients)
    if client is None:
        return SessionOutcome.too_many_clients
    connection.execute(delete(sessions).where((sessions.c.client == client) | (sessions.c.expires <= now)))
    connection.execute(insert(sessions).values(client=client, token_hash=token_hash, expires=expires))
    return SessionOutcome.opened


def client_of(connection: Connection, token_hash: bytes, now: int) -> Client | None:
    """Whose session a token is; None if it is nobody's or has ended."""
    row = connection.execute(
        select(clients.c.id, identities.c.identity, clients.c.client_id, identities.c.credential)
        .select_from(sessions.join(clients).join(identities))
        .where(sessions.c.token_hash == token_hash, sessions.c.expires > now)
    ).one_or_none()
    return None if row is None else Client(*row)


def _claim(connection: Connection, identity: bytes, credential: bytes, now: int) -> int | None:
    """The identity's key in the store, if it is this credential's or nobody's until now."""
    row = connection.execute(
        select(identities.c.id, identities.c.credential).where(identities.c.identity == identity)
    ).one_or_none()
    if row is None:
        claim = insert(identities).values(identity=identity, credential=credential, claimed_at=now)
        return _new_key(connection.execute(claim).inserted_primary_key)
    return int(row.id) if row.credential == credential else None


def _add_client(connection: Connection, identity: int, client_id: bytes, max_clients: int) -> int | None:
    """The client's key in the store; None if it is new and the identity has no room for it."""
    key = connection.scalar(
        select(clients.c.id).where(clients.c.identity == identity, clients.c.client_id == client_id)
    )
    if key is not None:
        return int(key)
    count = connection.scalar(select(func.count()).where(clients.c.identity == identity))
    if count is not None and count >= max_clients:
        return None
    added = insert(clients).values(identity=identity, client_id=client_id)
    return _new_key(connection.execute(added).inserted_primary_key)


def _new_key(row: Any) -> int:
    return int(row[0])
