"""The tables. Their layout is version `SCHEMA`; a store of another version is refused, never guessed at."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = 1

metadata = MetaData()

# One row.
service = Table(
    "service",
    metadata,
    Column("schema", Integer, nullable=False),
    Column("domain", Text, primary_key=True),
    Column("signing_key", LargeBinary, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("identity", LargeBinary, nullable=False, unique=True),
    Column("credential", LargeBinary, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("identity", ForeignKey(identities.c.id), nullable=False),
    Column("client_id", LargeBinary, nullable=False),
    Column("last_sequence", BigInteger, nullable=False, default=0),
    Column("acknowledged", BigInteger, nullable=False, default=0),
    UniqueConstraint("identity", "client_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("client", ForeignKey(clients.c.id), primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("expires", BigInteger, nullable=False),
)

# `content` is emptied when a set has been handed out; the row stays until it expires, so that the set cannot come back.
key_sets = Table(
    "key_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client", ForeignKey(clients.c.id), nullable=False),
    Column("user_init_key_id", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("suites", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("last_resort", Boolean, nullable=False),
    Column("content", LargeBinary),
    UniqueConstraint("client", "user_init_key_id"),
)

messages = Table(
    "messages",
    metadata,
    Column("client", ForeignKey(clients.c.id), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("message_id", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
    PrimaryKeyConstraint("client", "sequence"),
)

# What each inbox has had, so that a sender who got no answer may send again.
received = Table(
    "received",
    metadata,
    Column("client", ForeignKey(clients.c.id), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("client", "fingerprint"),
    Index("received_by_time", "client", "received_at"),
)
