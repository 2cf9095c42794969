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
    bindparam,
    delete,
    insert,
    select,
)

from ..refusals import Refused
from .errors import StoreError
from .schema import Key, Prepared, metadata

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
    Column("claimed_at", BigInteger, nullable=False),
)

# Those that are active: what belongs to a client goes with it. The key of one that is gone is never another's, because somebody
# may still hold it: SQLite would give the highest one again.
clients = Table(
    "clients",
    metadata,
    Column("id", Key, primary_key=True),
    Column("identity", ForeignKey(identities.c.id), nullable=False),
    Column("client_id", LargeBinary, nullable=False),
    Column("credential", LargeBinary, nullable=False),
    UniqueConstraint("identity", "client_id"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), primary_key=True),
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
        credential: its encoded identity credential.
    """

    key: int
    identity: bytes
    client_id: bytes
    credential: bytes


class SessionOutcome(Enum):
    """What became of a request for a session."""

    opened = "opened"
    unknown_identity = "unknown identity"
    not_a_device = "not a device"


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
) -> SessionOutcome:
    """Open a session for a client that is active, in place of the one that it has."""
    owner = identity_key(connection, identity)
    if owner is None:
        return SessionOutcome.unknown_identity
    client = connection.scalar(
        select(clients.c.id).where(
            clients.c.identity == owner, clients.c.client_id == client_id, clients.c.credential == credential
        )
    )
    if client is None:
        return SessionOutcome.not_a_device
    connection.execute(delete(sessions).where((sessions.c.client == client) | (sessions.c.expires <= now)))
    connection.execute(insert(sessions).values(client=client, token_hash=token_hash, expires=expires))
    return SessionOutcome.opened


_CLIENT_OF = Prepared(
    select(clients.c.id, identities.c.identity, clients.c.client_id, clients.c.credential)
    .select_from(sessions.join(clients).join(identities))
    .where(sessions.c.token_hash == bindparam("token_hash"), sessions.c.expires > bindparam("now"))
)


def client_of(connection: Connection, token_hash: bytes, now: int) -> Client | None:
    """Whose session a token is; None if it is nobody's or has ended."""
    row = _CLIENT_OF.run(connection, token_hash=token_hash, now=now).one_or_none()
    return None if row is None else Client(*row)


def check_active(connection: Connection, client: int) -> None:
    """Return if a client is there still: it may have been revoked since its session was looked up.

    Raises:
        Refused: code `unauthorized`.
    """
    if not is_active(connection, client):
        raise Refused("unauthorized", "This device was revoked.")


def is_active(connection: Connection, client: int) -> bool:
    """Whether a client was not revoked."""
    return connection.scalar(select(clients.c.id).where(clients.c.id == client)) is not None


# -- for the topic `devices`, which says who may


def identity_key(connection: Connection, identity: bytes) -> int | None:
    """The key of an identity in the store; None if nobody has claimed it."""
    key = connection.scalar(select(identities.c.id).where(identities.c.identity == identity))
    return None if key is None else int(key)


def add_identity(connection: Connection, identity: bytes, now: int) -> int:
    """An identity that is claimed now; returns its key in the store."""
    claim = insert(identities).values(identity=identity, claimed_at=now)
    return _new_key(connection.execute(claim).inserted_primary_key)


def add_client(connection: Connection, identity: int, client_id: bytes, credential: bytes) -> None:
    """A client that is active from now on."""
    connection.execute(insert(clients).values(identity=identity, client_id=client_id, credential=credential))


def remove_client(connection: Connection, identity: int, client_id: bytes) -> int:
    """Remove a client with all that it has; returns the key that it had in the store."""
    its = (clients.c.identity == identity, clients.c.client_id == client_id)
    key = connection.execute(select(clients.c.id).where(*its)).scalar_one()
    connection.execute(delete(clients).where(*its))
    return int(key)


def _new_key(row: Any) -> int:
    return int(row[0])
