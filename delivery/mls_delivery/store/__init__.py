"""What the service keeps, and how: a `Store` that runs plain functions in transactions, and topics made of such functions.

    accounts    identities, their clients, sessions, the service's signing key
    challenges  those for sessions that were used
    devices     the events that say which clients an identity has
    key_sets    published keys, each handed out once
    messages    inboxes
    peers       other domains: pinned keys, nonces, whose turn it is to speak to them
    relay       messages on their way to other domains, and notices
    log         the append-only log of device events
    groups      groups whose commits are ordered here

**A topic** is a module here with its tables (`Table("…", metadata, …)`, `metadata` of `schema.py`) and plain synchronous
functions whose first argument is a SQLAlchemy `Connection`. It owns the dataclasses that these take and give. It is
listed below, so that its tables are known before a store is opened. Nothing else than a topic knows its tables; a
topic that needs another's refers to it as `accounts.clients`, and topics never import each other in a ring.

    await store.write(messages.submit, recipients, message_id, message, now, room)
    await store.read(key_sets.available, client.key, now)

Each such call is one transaction: it happened entirely and is durable when it returns, or, if the function raised,
not at all, and the error comes out of the call. Writers are one at a time, on every database and however many processes
share it, so a function that reads and then writes needs no lock and no retry. Readers see one committed moment.
A function must touch nothing but its connection: no awaiting, no clock, no network, no state of the process.

**Several topics in one transaction** are a function that calls theirs:

    def admit(connection: Connection, event: DeviceEvent) -> IdentityHistory:
        devices.add(connection, event)
        return log.append(connection, event)

    await store.write(admit, event)

**To wake somebody** when a transaction has come about, call `announce(connection, channel, key)` in it; whoever
listens, `with store.listening(channel, key, callback):`, is called in its own event loop, in every process that shares the
database. An announcement says only that there is something to look for in the store: it may come when there is nothing, or once
for several, but never too early, and never not at all.

**Portable**: keys are `schema.Key`, times and sequences `BigInteger`, octets `LargeBinary`, names `Text`. What SQLite and PostgreSQL
do differently is in `sqlite.py` and `postgresql.py`, behind `database.Database`. A statement that is run for every message is
made once, as `schema.Prepared`. Tests that take the fixture `database_url`, or `service`, run on both.

**Tables change** with a migration (`migrations/`). Until the first release there is one, which is made anew from the tables:
run `python -m dev.initial_migration` after each change to them, else a test fails.
"""

from . import accounts, challenges, devices, groups, key_sets, log, messages, peers, relay
from .announcements import announce
from .errors import StoreError
from .store import Store, open_store

__all__ = [
    "Store",
    "StoreError",
    "accounts",
    "announce",
    "challenges",
    "devices",
    "groups",
    "key_sets",
    "log",
    "messages",
    "open_store",
    "peers",
    "relay",
]
