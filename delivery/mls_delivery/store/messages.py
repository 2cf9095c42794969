"""Inboxes: one for each client, filled in sequence and emptied by acknowledgement."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from mls_federation.federation.binding import Notice, RecipientStatus

from .accounts import check_active, clients, identities
from .announcements import announce
from .key_sets import clients_named
from .schema import Prepared, metadata

ARRIVED = "message-arrived"
"""Channel: there is something new in the inbox of the client (its key in the store)."""
OPENED = "inbox-opened"
"""Channel: the client's inbox was opened anew, or is gone."""

# A client without a row has an inbox that nothing has come into. What waits in it is counted, since sequences have gaps where a
# message has expired. `opening` is that of the latest connection.
inboxes = Table(
    "inboxes",
    metadata,
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), primary_key=True),
    Column("last_sequence", BigInteger, nullable=False),
    Column("acknowledged", BigInteger, nullable=False),
    Column("waiting_messages", BigInteger, nullable=False, default=0),
    Column("waiting_octets", BigInteger, nullable=False, default=0),
    Column("opening", LargeBinary),
)

# What has no `message_id` is a notice: `message` is a `Notice`.
messages = Table(
    "messages",
    metadata,
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("message_id", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("relayed_by", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    PrimaryKeyConstraint("client", "sequence"),
)

# What each inbox has had, so that a sender who got no answer may send again.
received = Table(
    "received",
    metadata,
    Column("client", ForeignKey(clients.c.id, ondelete="CASCADE"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("client", "fingerprint"),
    Index(None, "received_at"),
)

# How long an inbox remembers what it had. A sender that tries again does so within days.
_MEMORY_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class InboxState:
    """Up to where an inbox was filled and acknowledged."""

    last_sequence: int
    acknowledged: int


@dataclass(frozen=True)
class Room:
    """What an inbox may hold.

    Attributes:
        messages: at most.
        octets: of messages; one that is larger than that is still taken by an inbox that is empty.
    """

    messages: int
    octets: int


@dataclass(frozen=True)
class Submitted:
    """What became of a message.

    Attributes:
        statuses: for each recipient, in their order.
        inboxes: into how many it was put.
    """

    statuses: tuple[RecipientStatus, ...]
    inboxes: int


@dataclass(frozen=True)
class Expired:
    """A message that nobody had taken in time."""

    message_id: bytes
    identity: bytes


@dataclass(frozen=True)
class Message:
    """A message in an inbox; without a `message_id`, it is an encoded `Notice`.

    Attributes:
        relayed_by: the domain whose service brought it; empty if its sender did.
    """

    sequence: int
    message_id: bytes
    received_at: int
    relayed_by: str
    message: bytes


_INBOXES_OF = Prepared(
    select(
        clients.c.id,
        inboxes.c.last_sequence,
        inboxes.c.waiting_messages,
        inboxes.c.waiting_octets,
        received.c.received_at,
    )
    .select_from(
        identities.join(clients)
        .outerjoin(inboxes)
        .outerjoin(
            received,
            and_(received.c.client == clients.c.id, received.c.fingerprint == bindparam("fingerprint")),
        )
    )
    .where(identities.c.identity == bindparam("identity"))
)
_PUT = Prepared(insert(messages).values({column: bindparam(column.name) for column in messages.c}))
_COUNT = Prepared(
    text(
        "INSERT INTO inboxes (client, last_sequence, acknowledged, waiting_messages, waiting_octets)"
        " VALUES (:client, :sequence, 0, 1, :octets)"
        " ON CONFLICT (client) DO UPDATE SET last_sequence = excluded.last_sequence,"
        " waiting_messages = inboxes.waiting_messages + 1,"
        " waiting_octets = inboxes.waiting_octets + excluded.waiting_octets"
    )
)
_REMEMBER = Prepared(
    text(
        "INSERT INTO received (client, fingerprint, received_at) VALUES (:client, :fingerprint, :received_at)"
        " ON CONFLICT (client, fingerprint) DO UPDATE SET received_at = excluded.received_at"
    )
)


def submit(
    connection: Connection,
    recipients: Sequence[bytes],
    message_id: bytes,
    message: bytes,
    now: int,
    room: Room,
    named: frozenset[bytes] | None = None,
    relayed_by: str = "",
) -> Submitted:
    """Put a message into the inbox of every client of each recipient, or of those whose KeyPackages are named.

    Recipients of whom no client is named are unknown, like those whom nobody knows. An inbox that has had the same message under the
    same id does not get it again, and one that has no room for it does not get it.
    """
    fingerprint = hashlib.sha256(message_id + message).digest()
    chosen = None if named is None else clients_named(connection, named, now)
    statuses: dict[bytes, RecipientStatus] = {}
    rows: list[dict[str, object]] = []
    for recipient in dict.fromkeys(recipients):
        found = _INBOXES_OF.run(connection, identity=recipient, fingerprint=fingerprint).all()
        if chosen is not None:
            found = [row for row in found if row[0] in chosen]
        statuses[recipient] = RecipientStatus.accepted if found else RecipientStatus.unknown
        for client, last_sequence, waiting, octets, had_at in found:
            if had_at is not None and had_at >= now - _MEMORY_SECONDS:
                continue
            if waiting and (waiting >= room.messages or octets + len(message) > room.octets):
                statuses[recipient] = RecipientStatus.inbox_full
                continue
            rows.append(
                {
                    "client": client,
                    "sequence": (last_sequence or 0) + 1,
                    "message_id": message_id,
                    "received_at": now,
                    "relayed_by": relayed_by,
                    "message": message,
                    "fingerprint": fingerprint,
                    "octets": len(message),
                }
            )
            announce(connection, ARRIVED, str(client))
    if rows:
        for statement in (_PUT, _COUNT, _REMEMBER):
            statement.run_for_each(connection, rows)
    return Submitted(tuple(statuses[recipient] for recipient in recipients), len(rows))


def put_notice(connection: Connection, client: int, notice: Notice, now: int) -> None:
    """Put a notice into the inbox of a client, be it full or not: there are no more of them than it sent messages."""
    last_sequence = connection.scalar(select(inboxes.c.last_sequence).where(inboxes.c.client == client))
    sequence, octets = (last_sequence or 0) + 1, notice.encode()
    _PUT.run(
        connection,
        client=client,
        sequence=sequence,
        message_id=b"",
        received_at=now,
        relayed_by="",
        message=octets,
    )
    _COUNT.run(connection, client=client, sequence=sequence, octets=len(octets))
    announce(connection, ARRIVED, str(client))


def open_inbox(connection: Connection, client: int, opening: bytes, now: int) -> InboxState:
    """Open a client's inbox in place of whoever has it open; returns where it stands.

    Args:
        opening: 16 random octets, by which `is_open` knows this opening.

    Raises:
        Refused: code `unauthorized`: the client is no more.
    """
    check_active(connection, client)
    # Here, because it is seldom enough: nobody has to wait for it who submits.
    connection.execute(delete(received).where(received.c.received_at < now - _MEMORY_SECONDS))
    announce(connection, OPENED, str(client))
    row = connection.execute(
        select(inboxes.c.last_sequence, inboxes.c.acknowledged).where(inboxes.c.client == client)
    ).one_or_none()
    if row is None:
        connection.execute(
            insert(inboxes).values(client=client, last_sequence=0, acknowledged=0, opening=opening)
        )
        return InboxState(0, 0)
    connection.execute(update(inboxes).where(inboxes.c.client == client).values(opening=opening))
    return InboxState(*row)


def is_open(connection: Connection, client: int, opening: bytes) -> bool:
    """Whether a client's inbox is there and was not opened again since."""
    latest = connection.scalar(select(inboxes.c.opening).where(inboxes.c.client == client))
    return latest == opening


# The driver brings all rows of an answer at once, so how many those are is settled in the database.
_up_to = (
    select(
        messages.c.sequence,
        func.sum(func.length(messages.c.message)).over(order_by=messages.c.sequence).label("octets"),
        func.length(messages.c.message).label("own"),
    )
    .where(messages.c.client == bindparam("client"), messages.c.sequence > bindparam("after"))
    .order_by(messages.c.sequence)
    .limit(bindparam("most"))
    .subquery()
)
_READ = Prepared(
    select(
        messages.c.sequence,
        messages.c.message_id,
        messages.c.received_at,
        messages.c.relayed_by,
        messages.c.message,
    )
    .where(
        messages.c.client == bindparam("client"),
        messages.c.sequence > bindparam("after"),
        messages.c.sequence
        <= select(func.max(_up_to.c.sequence))
        .where(_up_to.c.octets - _up_to.c.own < bindparam("max_octets"))
        .scalar_subquery(),
    )
    .order_by(messages.c.sequence)
)
_MOST_READ = 1000


def read_inbox(connection: Connection, client: int, after: int, max_octets: int) -> list[Message]:
    """Messages with a sequence above `after`, in order: those before which less than `max_octets` come, but not too many."""
    rows = _READ.run(connection, client=client, after=after, max_octets=max_octets, most=_MOST_READ)
    return [Message(*row) for row in rows]


_FORGET = Prepared(
    delete(messages)
    .where(messages.c.client == bindparam("of"), messages.c.sequence <= bindparam("cursor"))
    .returning(func.length(messages.c.message))
)
_FORGOTTEN = Prepared(
    update(inboxes)
    .where(inboxes.c.client == bindparam("of"), inboxes.c.acknowledged < bindparam("cursor"))
    .values(
        acknowledged=bindparam("cursor"),
        waiting_messages=inboxes.c.waiting_messages - bindparam("messages"),
        waiting_octets=inboxes.c.waiting_octets - bindparam("octets"),
    )
)


def acknowledge(connection: Connection, client: int, cursor: int) -> None:
    """Forget the client's messages up to and with `cursor`."""
    gone = [octets for (octets,) in _FORGET.run(connection, of=client, cursor=cursor)]
    _FORGOTTEN.run(connection, of=client, cursor=cursor, messages=len(gone), octets=sum(gone))


def waiting(connection: Connection) -> int:
    """How many messages all inboxes have."""
    return int(connection.scalar(select(func.sum(inboxes.c.waiting_messages))) or 0)


def with_expired(connection: Connection, before: int, most: int) -> list[int]:
    """Up to `most` clients whose inboxes begin with a message that came before a time."""
    oldest = (
        select(messages.c.received_at)
        .where(messages.c.client == inboxes.c.client)
        .order_by(messages.c.sequence)
        .limit(1)
        .scalar_subquery()
    )
    query = select(inboxes.c.client).where(inboxes.c.waiting_messages > 0, oldest < before).limit(most)
    return list(connection.scalars(query))


def expire(connection: Connection, client: int, before: int) -> list[Expired]:
    """Take what came before a time out of a client's inbox; returns it. The sequences of the others stay."""
    identity = connection.scalar(
        select(identities.c.identity).select_from(clients.join(identities)).where(clients.c.id == client)
    )
    gone = connection.execute(
        delete(messages)
        .where(messages.c.client == client, messages.c.received_at < before)
        .returning(messages.c.message_id, func.length(messages.c.message))
    ).all()
    connection.execute(
        update(inboxes)
        .where(inboxes.c.client == client)
        .values(
            waiting_messages=inboxes.c.waiting_messages - len(gone),
            waiting_octets=inboxes.c.waiting_octets - sum(octets for _, octets in gone),
        )
    )
    return [Expired(message_id, identity or b"") for message_id, _ in gone]
