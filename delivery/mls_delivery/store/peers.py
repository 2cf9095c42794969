"""Other domains' services: the keys that they were first seen with, what they have asked, and whose turn it is to speak to them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from .announcements import announce
from .schema import metadata

HEARD_OF = "peer-heard-of"
"""Channel, with an empty key: there is something for a domain, or a domain that did not answer has spoken."""

# A row for each domain that was ever spoken with. `signing_key` is empty until it is seen. `queued` and `queued_octets` are
# how much waits for it, `failures` how often in a row it was not reached, and `not_before` when it is tried again. One process
# at a time speaks to it: `holder`, until `held_until`.
peers = Table(
    "peers",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("signing_key", LargeBinary),
    Column("queued", BigInteger, nullable=False, default=0),
    Column("queued_octets", BigInteger, nullable=False, default=0),
    Column("failures", BigInteger, nullable=False, default=0),
    Column("not_before", BigInteger, nullable=False, default=0),
    Column("holder", LargeBinary),
    Column("held_until", BigInteger, nullable=False, default=0),
)

# Of requests that were accepted, until they would be refused for their age.
nonces = Table(
    "nonces",
    metadata,
    Column("domain", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("domain", "nonce"),
)


@dataclass(frozen=True)
class Turn:
    """Whether it is ours to speak to a domain.

    Attributes:
        ours: whether it is, or may be had.
        until: to when it is ours already.
        not_before: if it is not, when to ask again.
    """

    ours: bool
    until: int = 0
    not_before: int = 0


def add(connection: Connection, domain: str) -> None:
    """See that there is a row for a domain."""
    if connection.scalar(select(peers.c.domain).where(peers.c.domain == domain)) is None:
        connection.execute(insert(peers).values(domain=domain))


def pinned_key(connection: Connection, domain: str) -> bytes | None:
    """The signing key that a domain was first seen with; None if it was not seen yet, or that was forgotten."""
    return connection.scalar(select(peers.c.signing_key).where(peers.c.domain == domain))


def pin(connection: Connection, domain: str, key: bytes) -> bytes:
    """Keep a domain's key, unless there is one already; returns the one that is kept."""
    add(connection, domain)
    before = pinned_key(connection, domain)
    if before is not None:
        return before
    connection.execute(update(peers).where(peers.c.domain == domain).values(signing_key=key))
    return key


def forget_key(connection: Connection, domain: str) -> bool:
    """Take whatever key a domain shows next; returns whether one was known. What waits for the domain is tried at once."""
    known = pinned_key(connection, domain) is not None
    if known:
        connection.execute(
            update(peers).where(peers.c.domain == domain).values(signing_key=None, failures=0, not_before=0)
        )
        announce(connection, HEARD_OF, "")
    return known


def accept_request(connection: Connection, domain: str, nonce: str, until: int, now: int) -> bool:
    """Note a signed request of a domain; returns whether its nonce is new.

    A domain that speaks is there, so what waits for it is tried at once.

    Args:
        until: the second from which the request would be refused for its age.
    """
    connection.execute(delete(nonces).where(nonces.c.until <= now))
    this = (nonces.c.domain == domain, nonces.c.nonce == nonce)
    if connection.scalar(select(nonces.c.until).where(*this)) is not None:
        return False
    connection.execute(insert(nonces).values(domain=domain, nonce=nonce, until=until))
    waited = update(peers).where(peers.c.domain == domain, peers.c.failures > 0)
    if connection.execute(waited.values(failures=0, not_before=0)).rowcount:
        announce(connection, HEARD_OF, "")
    return True


def turn_of(connection: Connection, domain: str, holder: bytes, now: int) -> Turn:
    """Whether a process has the turn to speak to a domain, or might take it."""
    row = connection.execute(
        select(peers.c.holder, peers.c.held_until, peers.c.not_before).where(peers.c.domain == domain)
    ).one_or_none()
    if row is None:
        return Turn(True)
    if row.not_before > now:
        return Turn(False, not_before=row.not_before)
    if row.held_until > now and row.holder != holder:
        return Turn(False, not_before=row.held_until)
    return Turn(True, row.held_until if row.holder == holder else 0)


def take_turn(connection: Connection, domain: str, holder: bytes, now: int, until: int) -> Turn:
    """Ask to be the only one who speaks to a domain; who has the turn already gets it prolonged."""
    turn = turn_of(connection, domain, holder, now)
    if not turn.ours:
        return turn
    add(connection, domain)
    connection.execute(update(peers).where(peers.c.domain == domain).values(holder=holder, held_until=until))
    return Turn(True, until)


def end_turn(connection: Connection, domain: str, holder: bytes) -> None:
    """Let others speak to a domain, if it was our turn."""
    connection.execute(
        update(peers)
        .where(peers.c.domain == domain, peers.c.holder == holder)
        .values(holder=None, held_until=0)
    )


def reached(connection: Connection, domain: str) -> None:
    """Note that a domain has answered."""
    connection.execute(
        update(peers).where(peers.c.domain == domain, peers.c.failures > 0).values(failures=0, not_before=0)
    )


def failures(connection: Connection, domain: str) -> int:
    """How often in a row a domain was not reached."""
    return connection.scalar(select(peers.c.failures).where(peers.c.domain == domain)) or 0


def not_reached(connection: Connection, domain: str, holder: bytes, not_before: int) -> None:
    """Note that a domain has not answered, and give up the turn."""
    connection.execute(
        update(peers)
        .where(peers.c.domain == domain, peers.c.holder == holder)
        .values(failures=peers.c.failures + 1, not_before=not_before, holder=None, held_until=0)
    )
