"""Messages on their way to other domains, and who is to be told if they do not arrive.

A message that a client hands to its own service has a row for each recipient. A row *waits* until the recipient's service
has taken the message or it is given up; the octets are kept once, until no row waits. The rows stay a while longer, so that
handing over the same message again does nothing, and so that a notice finds its way back to the client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from mls_federation.federation.binding import Notice, NoticeReason, RecipientStatus
from mls_federation.federation.relay import RelayedMessage

from . import messages, peers
from .accounts import clients
from .announcements import announce
from .messages import Room
from .schema import Key, metadata

# What clients of ours have handed over. `message` is empty when no row waits any more. A client may be gone before its messages.
relay_messages = Table(
    "relay_messages",
    metadata,
    Column("id", Key, primary_key=True),
    Column("sender", ForeignKey(clients.c.id, ondelete="SET NULL")),
    Column("message_id", LargeBinary, nullable=False, index=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("message", LargeBinary),
    Column("expires", BigInteger, nullable=False),
    Column("forgotten_at", BigInteger, nullable=False, index=True),
    Index(None, "sender", "fingerprint"),
)

# In the order in which they were accepted. `told` is whether the sender had a notice.
relay_outbox = Table(
    "relay_outbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("message", ForeignKey(relay_messages.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("domain", Text, nullable=False),
    Column("recipient", LargeBinary, nullable=False),
    Column("waits", Boolean, nullable=False),
    Column("told", Boolean, nullable=False, default=False),
    Index(None, "domain", "waits", "id"),
)

# Recipients whose inbox was full: nothing is sent to them before that time, so that everything arrives in order.
relay_held = Table(
    "relay_held",
    metadata,
    Column("domain", Text, nullable=False),
    Column("recipient", LargeBinary, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    PrimaryKeyConstraint("domain", "recipient"),
)

# Which domains relayed a message to us, for notices.
relay_origins = Table(
    "relay_origins",
    metadata,
    Column("message_id", LargeBinary, nullable=False),
    Column("domain", Text, nullable=False),
    Column("forgotten_at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("message_id", "domain"),
)

# On their way to other domains.
relay_notices = Table(
    "relay_notices",
    metadata,
    Column("id", Key, primary_key=True),
    Column("domain", Text, nullable=False, index=True),
    Column("notice", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

# How long it is known who sent what: longer than a message may wait anywhere.
MEMORY_SECONDS = 60 * 24 * 3600
# Seconds before a recipient whose inbox was full is tried again: at first, and at most.
_FIRST_HOLD = 1
_LONGEST_HOLD = 60


@dataclass(frozen=True)
class Bounds:
    """What a queue may hold.

    Attributes:
        rows: messages for one domain, each counted once for every recipient.
        octets: of messages for one domain, each counted once.
        seconds: for which a message may wait.
        room: of an inbox of ours.
    """

    rows: int
    octets: int
    seconds: int
    room: Room


@dataclass(frozen=True)
class Arrived:
    """A message that another domain has relayed to us.

    Attributes:
        named: as for `messages.submit`.
        flooded: recipients who have had more messages than they may, this one and those after it.
    """

    message: RelayedMessage
    named: frozenset[bytes] | None = None
    flooded: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Waiting:
    """A message that waits for a domain, and the rows that it stands for."""

    rows: tuple[int, ...]
    message: RelayedMessage


@dataclass(frozen=True)
class Batch:
    """What is next to be sent to a domain.

    Attributes:
        notices: by their keys.
        held_until: if there is nothing, when a recipient who is held is due; None if nobody is.
    """

    messages: tuple[Waiting, ...]
    notices: tuple[tuple[int, Notice], ...]
    held_until: int | None


# -- from our clients


def take_on(
    connection: Connection,
    sender: int,
    message_id: bytes,
    message: bytes,
    recipients: Sequence[tuple[bytes, str]],
    own_domain: str,
    refused: Collection[str],
    now: int,
    bounds: Bounds,
    named: frozenset[bytes] | None = None,
) -> list[RecipientStatus]:
    """Take on a message of a client of ours, for identities of any domain.

    Args:
        sender: the client's key.
        recipients: identities, each with its domain.
        refused: domains that are not spoken with.
        named: as for `messages.submit`.

    Returns:
        For each recipient, what became of the message; taking on the same again changes nothing.
    """
    known = _known_message(connection, sender, message_id, message, now, bounds.seconds)
    statuses = []
    for recipient, domain in recipients:
        if domain in refused:
            statuses.append(RecipientStatus.refused)
        elif domain == own_domain:
            statuses.append(
                _deliver_here(connection, known, recipient, domain, message_id, message, now, bounds, named)
            )
        else:
            statuses.append(_queue(connection, known, recipient, domain, message, bounds))
    if RecipientStatus.relayed in statuses:
        announce(connection, peers.HEARD_OF, "")
    return statuses


def _known_message(
    connection: Connection, sender: int, message_id: bytes, message: bytes, now: int, seconds: int
) -> int:
    """The row of a message, a new one if there is none."""
    fingerprint = hashlib.sha256(message_id + message).digest()
    known = connection.scalar(
        select(relay_messages.c.id).where(
            relay_messages.c.sender == sender, relay_messages.c.fingerprint == fingerprint
        )
    )
    if known is not None:
        return int(known)
    added = insert(relay_messages).values(
        sender=sender,
        message_id=message_id,
        fingerprint=fingerprint,
        octets=len(message),
        expires=now + seconds,
        forgotten_at=now + seconds + MEMORY_SECONDS,
    )
    return int(connection.execute(added).inserted_primary_key[0])  # type: ignore[index]


def _row(connection: Connection, message: int, recipient: bytes) -> int | None:
    return connection.scalar(
        select(relay_outbox.c.id).where(
            relay_outbox.c.message == message, relay_outbox.c.recipient == recipient
        )
    )


def _deliver_here(
    connection: Connection,
    known: int,
    recipient: bytes,
    domain: str,
    message_id: bytes,
    message: bytes,
    now: int,
    bounds: Bounds,
    named: frozenset[bytes] | None,
) -> RecipientStatus:
    (status,) = messages.submit(
        connection, [recipient], message_id, message, now, bounds.room, named
    ).statuses
    if status is not RecipientStatus.unknown and _row(connection, known, recipient) is None:
        connection.execute(
            insert(relay_outbox).values(message=known, domain=domain, recipient=recipient, waits=False)
        )
    return status


def _queue(
    connection: Connection, known: int, recipient: bytes, domain: str, message: bytes, bounds: Bounds
) -> RecipientStatus:
    if _row(connection, known, recipient) is not None:
        return RecipientStatus.relayed
    peers.add(connection, domain)
    queue = connection.execute(
        select(peers.peers.c.queued, peers.peers.c.queued_octets).where(peers.peers.c.domain == domain)
    ).one()
    octets = 0 if _waits_for(connection, known, domain) else len(message)
    if queue.queued >= bounds.rows or queue.queued_octets + octets > bounds.octets:
        return RecipientStatus.queue_full
    connection.execute(update(relay_messages).where(relay_messages.c.id == known).values(message=message))
    connection.execute(
        insert(relay_outbox).values(message=known, domain=domain, recipient=recipient, waits=True)
    )
    _count(connection, domain, 1, octets)
    return RecipientStatus.relayed


def _waits_for(connection: Connection, message: int, domain: str) -> bool:
    waits = select(relay_outbox.c.id).where(
        relay_outbox.c.message == message, relay_outbox.c.domain == domain, relay_outbox.c.waits
    )
    return connection.scalar(waits.limit(1)) is not None


def _count(connection: Connection, domain: str, rows: int, octets: int) -> None:
    table = peers.peers
    connection.execute(
        update(table)
        .where(table.c.domain == domain)
        .values(queued=table.c.queued + rows, queued_octets=table.c.queued_octets + octets)
    )


# -- to other domains


def waiting(connection: Connection) -> int:
    """How many messages wait for other domains, each counted once for every recipient."""
    return int(connection.scalar(select(func.sum(peers.peers.c.queued))) or 0)


def waiting_domains(connection: Connection) -> list[str]:
    """The domains for which something waits, be it due or not."""
    queued = select(peers.peers.c.domain).where(peers.peers.c.queued > 0)
    return list(connection.scalars(queued.union(select(relay_notices.c.domain))))


def next_batch(connection: Connection, domain: str, now: int, max_messages: int, max_octets: int) -> Batch:
    """What is next for a domain: at least one message if one is due, then as many as fit."""
    held = exists().where(
        relay_held.c.domain == relay_outbox.c.domain,
        relay_held.c.recipient == relay_outbox.c.recipient,
        relay_held.c.not_before > now,
    )
    query = (
        select(relay_outbox.c.id, relay_outbox.c.recipient, relay_messages.c.id, relay_messages.c.octets)
        .select_from(relay_outbox.join(relay_messages))
        .where(relay_outbox.c.domain == domain, relay_outbox.c.waits, ~held)
        .order_by(relay_outbox.c.id)
        .limit(_MAX_ROWS)
    )
    chosen: dict[int, tuple[list[int], list[bytes]]] = {}
    octets = 0
    with connection.execute(query) as rows:
        for row, recipient, message, size in rows:
            size = len(recipient) + (0 if message in chosen else size + _STRUCT_OCTETS)
            if chosen and (
                octets + size > max_octets or (message not in chosen and len(chosen) >= max_messages)
            ):
                break
            octets += size
            of_message = chosen.setdefault(message, ([], []))
            of_message[0].append(row)
            of_message[1].append(recipient)
    notices = connection.execute(
        select(relay_notices.c.id, relay_notices.c.notice)
        .where(relay_notices.c.domain == domain)
        .order_by(relay_notices.c.id)
        .limit(_MAX_NOTICES)
    )
    found = tuple((key, Notice.decode(notice)) for key, notice in notices)
    due = select(func.min(relay_held.c.not_before)).where(
        relay_held.c.domain == domain, relay_held.c.not_before > now
    )
    return Batch(
        tuple(_waiting(connection, message, *of_message) for message, of_message in chosen.items()),
        found,
        connection.scalar(due),
    )


# What the struct of a relayed message adds to its octets and its recipients', at most; and notices in one request.
_STRUCT_OCTETS = 64
_MAX_NOTICES = 100
# Rows that are looked at for one request: some databases' drivers fetch all that there are.
_MAX_ROWS = 2000


def _waiting(connection: Connection, message: int, rows: list[int], recipients: list[bytes]) -> Waiting:
    content = connection.execute(
        select(relay_messages.c.message_id, relay_messages.c.message).where(relay_messages.c.id == message)
    ).one()
    relayed = RelayedMessage(
        message_id=content.message_id, recipients=tuple(recipients), message=content.message
    )
    return Waiting(tuple(rows), relayed)


def settle(
    connection: Connection,
    domain: str,
    statuses: Iterable[tuple[int, RecipientStatus]],
    notices: Sequence[int],
    now: int,
) -> None:
    """Note what a domain has answered.

    Args:
        statuses: of rows.
        notices: the keys of those that it has taken.
    """
    for row, status in statuses:
        if status in (RecipientStatus.inbox_full, RecipientStatus.queue_full):
            _hold(connection, row, now)
        elif status is RecipientStatus.unknown:
            _give_up(connection, row, NoticeReason.unknown, now)
        elif status is RecipientStatus.refused:
            _give_up(connection, row, NoticeReason.refused, now)
        else:
            _done(connection, row)
    connection.execute(delete(relay_notices).where(relay_notices.c.id.in_(notices)))
    peers.reached(connection, domain)


def _hold(connection: Connection, row: int, now: int) -> None:
    this = connection.execute(
        select(relay_outbox.c.domain, relay_outbox.c.recipient).where(relay_outbox.c.id == row)
    ).one()
    where = (relay_held.c.domain == this.domain, relay_held.c.recipient == this.recipient)
    held = connection.execute(
        select(relay_held.c.failures, relay_held.c.not_before).where(*where)
    ).one_or_none()
    if held is None:
        connection.execute(
            insert(relay_held).values(
                domain=this.domain, recipient=this.recipient, failures=1, not_before=now + _FIRST_HOLD
            )
        )
    elif held.not_before <= now:  # else another message of the same request has said so already
        pause = min(_FIRST_HOLD << min(held.failures, 16), _LONGEST_HOLD)
        connection.execute(
            update(relay_held).where(*where).values(failures=held.failures + 1, not_before=now + pause)
        )


def _give_up(connection: Connection, row: int, reason: NoticeReason, now: int) -> None:
    _done(connection, row)
    _tell_sender(connection, row, reason, now)


def _done(connection: Connection, row: int) -> None:
    """A row does not wait any more."""
    this = connection.execute(
        select(
            relay_outbox.c.domain, relay_outbox.c.recipient, relay_outbox.c.message, relay_messages.c.octets
        )
        .select_from(relay_outbox.join(relay_messages))
        .where(relay_outbox.c.id == row, relay_outbox.c.waits)
    ).one_or_none()
    if this is None:
        return  # Settled already, by whoever had the turn before.
    connection.execute(update(relay_outbox).where(relay_outbox.c.id == row).values(waits=False))
    connection.execute(
        delete(relay_held).where(relay_held.c.domain == this.domain, relay_held.c.recipient == this.recipient)
    )
    last = not _waits_for(connection, this.message, this.domain)
    _count(connection, this.domain, -1, -this.octets if last else 0)
    if last:
        anywhere = exists().where(relay_outbox.c.message == this.message, relay_outbox.c.waits)
        connection.execute(
            update(relay_messages).where(relay_messages.c.id == this.message, ~anywhere).values(message=None)
        )


def _tell_sender(connection: Connection, row: int, reason: NoticeReason, now: int) -> None:
    """Put a notice into the inbox of the client whose message did not arrive, once."""
    this = connection.execute(
        select(relay_messages.c.sender, relay_messages.c.message_id, relay_outbox.c.recipient)
        .select_from(relay_outbox.join(relay_messages))
        .where(relay_outbox.c.id == row, relay_outbox.c.told.is_(False))
    ).one_or_none()
    if this is None:
        return
    connection.execute(update(relay_outbox).where(relay_outbox.c.id == row).values(told=True))
    if this.sender is not None:
        notice = Notice(message_id=this.message_id, identity=this.recipient, reason=reason)
        messages.put_notice(connection, this.sender, notice, now)


def expire(connection: Connection, now: int) -> None:
    """Give up what has waited for too long, and forget who sent what when that does not matter any more."""
    late = connection.scalars(
        select(relay_outbox.c.id)
        .select_from(relay_outbox.join(relay_messages))
        .where(relay_outbox.c.waits, relay_messages.c.expires <= now)
        .order_by(relay_outbox.c.id)
    ).all()
    for row in late:
        _give_up(connection, row, NoticeReason.expired, now)
    connection.execute(delete(relay_notices).where(relay_notices.c.expires <= now))
    connection.execute(delete(relay_origins).where(relay_origins.c.forgotten_at <= now))
    gone = select(relay_messages.c.id).where(relay_messages.c.forgotten_at <= now)
    connection.execute(delete(relay_outbox).where(relay_outbox.c.message.in_(gone)))
    connection.execute(delete(relay_messages).where(relay_messages.c.forgotten_at <= now))


# -- from other domains


def receive(
    connection: Connection,
    domain: str,
    relayed: Sequence[Arrived],
    notices: Iterable[Notice],
    now: int,
    room: Room,
) -> list[list[RecipientStatus]]:
    """Put what another domain has relayed into inboxes; returns a status for each recipient of each message."""
    # A later message must not overtake one that found an inbox full, should there be room a moment later.
    full: set[bytes] = set()
    results = []
    for arrived in relayed:
        message, statuses = arrived.message, []
        full |= arrived.flooded
        for recipient in message.recipients:
            status = RecipientStatus.inbox_full
            if recipient not in full:
                (status,) = messages.submit(
                    connection,
                    [recipient],
                    message.message_id,
                    message.message,
                    now,
                    room,
                    arrived.named,
                    relayed_by=domain,
                ).statuses
            if status is RecipientStatus.inbox_full:
                full.add(recipient)
            statuses.append(status)
        if RecipientStatus.accepted in statuses:
            _note_origin(connection, message.message_id, domain, now)
        results.append(statuses)
    for notice in notices:
        for row in _rows_for(connection, notice.message_id, notice.identity, domain):
            _give_up(connection, row, NoticeReason(notice.reason), now)
    return results


def _note_origin(connection: Connection, message_id: bytes, domain: str, now: int) -> None:
    this = (relay_origins.c.message_id == message_id, relay_origins.c.domain == domain)
    if connection.scalar(select(relay_origins.c.domain).where(*this)) is None:
        connection.execute(
            insert(relay_origins).values(
                message_id=message_id, domain=domain, forgotten_at=now + MEMORY_SECONDS
            )
        )


def _rows_for(connection: Connection, message_id: bytes, recipient: bytes, domain: str) -> Sequence[int]:
    """What clients of ours have sent under this id to a recipient of that domain."""
    return connection.scalars(
        select(relay_outbox.c.id)
        .select_from(relay_outbox.join(relay_messages))
        .where(
            relay_messages.c.message_id == message_id,
            relay_outbox.c.recipient == recipient,
            relay_outbox.c.domain == domain,
        )
    ).all()


def undelivered(
    connection: Connection,
    message_id: bytes,
    recipient: bytes,
    own_domain: str,
    reason: NoticeReason,
    now: int,
    seconds: int,
) -> None:
    """A message that we had accepted for a recipient of ours will not be delivered: tell whoever it came from, if we know.

    Args:
        seconds: for which a notice to another domain may wait.
    """
    for row in _rows_for(connection, message_id, recipient, own_domain):
        _tell_sender(connection, row, reason, now)
    notice = Notice(message_id=message_id, identity=recipient, reason=reason).encode()
    origins = connection.scalars(
        select(relay_origins.c.domain).where(relay_origins.c.message_id == message_id)
    ).all()
    for domain in origins:
        connection.execute(insert(relay_notices).values(domain=domain, notice=notice, expires=now + seconds))
        announce(connection, peers.HEARD_OF, "")
