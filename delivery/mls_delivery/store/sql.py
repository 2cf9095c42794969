"""The store on SQLAlchemy Core: SQLite, one file.

All writing happens in one thread, one transaction after the other: SQLite allows no more, and so nothing here can
interleave. Readers have threads of their own and see what is committed (write-ahead log). `synchronous=FULL` makes
a commit outlive a power cut, which is what "accepted" promises to a sender.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mls_federation.federation.binding import RecipientStatus

from ..refusals import Refused
from . import tables
from .port import (
    Client,
    InboxState,
    Message,
    NewKeySet,
    SessionOutcome,
    Submission,
    TakenKeySet,
    TakenKeySets,
)

T = TypeVar("T")

_READERS = 4
# How long an inbox remembers what it had. A sender that tries again does so within days.
_MEMORY_SECONDS = 30 * 24 * 3600


class StoreError(Exception):
    """The store cannot be used; the message says why, for the operator."""


def open_store(url: str) -> SQLStore:
    """Open the store at a database URL such as `sqlite:////var/lib/mls/a.sqlite3`; make it if it is not there.

    Raises:
        StoreError: it cannot be opened, or it is none of this version.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError(
            f"{url!r} is not a database URL; one looks like sqlite:///folder/file.sqlite3."
        ) from None
    if address.get_backend_name() != "sqlite" or not address.database or ":memory:" in address.database:
        raise StoreError("Only SQLite files are supported: sqlite:///folder/file.sqlite3.")
    writer = _engine(address, "BEGIN IMMEDIATE")
    try:
        with writer.begin() as connection:
            _prepare(connection)
    except SQLAlchemyError as fault:
        writer.dispose()
        raise StoreError(f"The database {address.database} cannot be opened: {_cause(fault)}.") from fault
    except StoreError:
        writer.dispose()
        raise
    return SQLStore(writer, _engine(address, "BEGIN"))


def _engine(address: URL, begin: str) -> Engine:
    # Parameters are ciphertexts and hashes at best; error messages, which get logged, go without them.
    engine = create_engine(address, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _prepare(connection: Connection) -> None:
    present = set(inspect(connection).get_table_names())
    if not present:
        tables.metadata.create_all(connection)
    elif present != set(tables.metadata.tables):
        raise StoreError("The database holds something else than a delivery service of this version.")
    schema = connection.scalar(select(tables.service.c.schema))
    if schema not in (None, tables.SCHEMA):
        raise StoreError(
            f"The database has layout {schema}; this version of the service reads {tables.SCHEMA}."
        )


def _cause(fault: SQLAlchemyError) -> str:
    return str(getattr(fault, "orig", None) or fault)


class SQLStore:
    """`Store` on a database. See the port for what each call promises."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._write_thread = ThreadPoolExecutor(1, "store-writer")
        self._read_threads = ThreadPoolExecutor(_READERS, "store-reader")

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._write_thread, partial(_transaction, self._writer, work)
        )

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._read_threads, partial(_transaction, self._reader, work)
        )

    async def signing_key(self, domain: str, fresh: bytes) -> bytes:
        return await self._write(partial(_signing_key, domain=domain, fresh=fresh))

    async def open_session(
        self,
        *,
        identity: bytes,
        credential: bytes,
        client_id: bytes,
        token_hash: bytes,
        now: int,
        expires: int,
        max_clients: int,
    ) -> SessionOutcome:
        def work(connection: Connection) -> SessionOutcome:
            owner = _claim(connection, identity, credential, now)
            if owner is None:
                return SessionOutcome.claimed_by_another
            client = _add_client(connection, owner, client_id, max_clients)
            if client is None:
                return SessionOutcome.too_many_clients
            sessions = tables.sessions
            connection.execute(
                delete(sessions).where((sessions.c.client == client) | (sessions.c.expires <= now))
            )
            connection.execute(insert(sessions).values(client=client, token_hash=token_hash, expires=expires))
            return SessionOutcome.opened

        return await self._write(work)

    async def client_of(self, token_hash: bytes, now: int) -> Client | None:
        sessions, clients, identities = tables.sessions.c, tables.clients.c, tables.identities.c
        query = (
            select(clients.id, identities.identity, clients.client_id, identities.credential)
            .select_from(tables.sessions.join(tables.clients).join(tables.identities))
            .where(sessions.token_hash == token_hash, sessions.expires > now)
        )
        row = await self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else Client(*row)

    async def publish(
        self, client: Client, key_sets: Sequence[NewKeySet], now: int, max_key_sets: int
    ) -> int:
        return await self._write(
            partial(_publish, client=client.key, key_sets=key_sets, now=now, max_key_sets=max_key_sets)
        )

    async def available(self, client: Client, now: int) -> int:
        return await self._read(partial(_available, client=client.key, now=now))

    async def take_key_sets(
        self, identity: bytes, suits: Callable[[bytes], bool], now: int
    ) -> TakenKeySets | None:
        return await self._write(partial(_take_key_sets, identity=identity, suits=suits, now=now))

    async def submit(
        self, recipients: Sequence[bytes], message_id: bytes, message: bytes, now: int, capacity: int
    ) -> list[Submission]:
        def work(connection: Connection) -> list[Submission]:
            return [
                _submit(connection, recipient, message_id, message, now, capacity) for recipient in recipients
            ]

        return await self._write(work)

    async def inbox_state(self, client: Client) -> InboxState:
        clients = tables.clients.c
        query = select(clients.last_sequence, clients.acknowledged).where(clients.id == client.key)
        return InboxState(*await self._read(lambda connection: connection.execute(query).one()))

    async def read_inbox(self, client: Client, after: int, max_octets: int) -> list[Message]:
        messages = tables.messages.c
        query = (
            select(messages.sequence, messages.message_id, messages.received_at, messages.message)
            .where(messages.client == client.key, messages.sequence > after)
            .order_by(messages.sequence)
        )

        def work(connection: Connection) -> list[Message]:
            found: list[Message] = []
            octets = 0
            with connection.execute(query) as rows:
                for row in rows:
                    found.append(Message(*row))
                    octets += len(found[-1].message)
                    if octets >= max_octets:
                        break
            return found

        return await self._read(work)

    async def acknowledge(self, client: Client, cursor: int) -> None:
        messages, clients = tables.messages, tables.clients

        def work(connection: Connection) -> None:
            connection.execute(
                delete(messages).where(messages.c.client == client.key, messages.c.sequence <= cursor)
            )
            connection.execute(
                update(clients)
                .where(clients.c.id == client.key, clients.c.acknowledged < cursor)
                .values(acknowledged=cursor)
            )

        await self._write(work)

    async def waiting_messages(self) -> int:
        query = select(func.count()).select_from(tables.messages)
        return await self._read(lambda connection: int(connection.scalar(query) or 0))

    async def close(self) -> None:
        def finish() -> None:
            self._write_thread.shutdown()
            self._read_threads.shutdown()
            self._reader.dispose()
            self._writer.dispose()

        await asyncio.to_thread(finish)


def _transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _signing_key(connection: Connection, domain: str, fresh: bytes) -> bytes:
    row = connection.execute(select(tables.service.c.domain, tables.service.c.signing_key)).one_or_none()
    if row is None:
        connection.execute(
            insert(tables.service).values(schema=tables.SCHEMA, domain=domain, signing_key=fresh)
        )
        return fresh
    if row.domain != domain:
        raise StoreError(f"The database is that of {row.domain}, not of {domain}.")
    key: bytes = row.signing_key
    return key


def _claim(connection: Connection, identity: bytes, credential: bytes, now: int) -> int | None:
    """The identity's key in the store, if it is this credential's or nobody's until now."""
    identities = tables.identities
    row = connection.execute(
        select(identities.c.id, identities.c.credential).where(identities.c.identity == identity)
    ).one_or_none()
    if row is None:
        claim = insert(identities).values(identity=identity, credential=credential, claimed_at=now)
        return _new_key(connection.execute(claim).inserted_primary_key)
    return int(row.id) if row.credential == credential else None


def _add_client(connection: Connection, identity: int, client_id: bytes, max_clients: int) -> int | None:
    """The client's key in the store; None if it is new and the identity has no room for it."""
    clients = tables.clients
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


def _publish(
    connection: Connection, client: int, key_sets: Iterable[NewKeySet], now: int, max_key_sets: int
) -> int:
    table = tables.key_sets
    # A set that has expired cannot be published again (service.check_key_set), so there is no need to remember it.
    connection.execute(delete(table).where(table.c.client == client, table.c.expires <= now))
    for key_set in key_sets:
        digest = hashlib.sha256(key_set.content).digest()
        known = connection.scalar(
            select(table.c.digest).where(
                table.c.client == client, table.c.user_init_key_id == key_set.user_init_key_id
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
                update(table).where(table.c.client == client, table.c.last_resort).values(content=None)
            )
        connection.execute(
            insert(table).values(
                client=client,
                user_init_key_id=key_set.user_init_key_id,
                digest=digest,
                suites=key_set.suites,
                expires=key_set.expires,
                last_resort=key_set.last_resort,
                content=key_set.content,
            )
        )
    count = _available(connection, client, now)
    if count > max_key_sets:
        raise Refused(
            "too-many-key-sets",
            f"A client may have {max_key_sets} key sets waiting; these would make {count}. Publish fewer.",
            limit=max_key_sets,
        )
    return count


def _available(connection: Connection, client: int, now: int) -> int:
    table = tables.key_sets
    count = connection.scalar(
        select(func.count()).where(
            table.c.client == client,
            table.c.content.is_not(None),
            table.c.last_resort.is_(False),
            table.c.expires > now,
        )
    )
    return int(count or 0)


def _take_key_sets(
    connection: Connection, identity: bytes, suits: Callable[[bytes], bool], now: int
) -> TakenKeySets | None:
    clients = connection.execute(
        select(tables.clients.c.id, tables.clients.c.client_id)
        .select_from(tables.clients.join(tables.identities))
        .where(tables.identities.c.identity == identity)
        .order_by(tables.clients.c.id)
    ).all()
    if not clients:
        return None
    taken: list[TakenKeySet] = []
    passed_over: set[bytes] = set()
    for client in clients:
        found = _take_key_set(connection, client.id, suits, now, passed_over)
        if found is not None:
            taken.append(TakenKeySet(client.id, client.client_id, *found))
    return TakenKeySets(tuple(taken), tuple(sorted(passed_over)))


def _take_key_set(
    connection: Connection, client: int, suits: Callable[[bytes], bool], now: int, passed_over: set[bytes]
) -> tuple[bytes, bool] | None:
    table = tables.key_sets
    offers = connection.execute(
        select(table.c.id, table.c.suites, table.c.last_resort)
        .where(table.c.client == client, table.c.content.is_not(None), table.c.expires > now)
        .order_by(table.c.last_resort, table.c.id)
    ).all()
    for offer in offers:
        if suits(offer.suites):
            content: bytes = connection.execute(
                select(table.c.content).where(table.c.id == offer.id)
            ).scalar_one()
            if not offer.last_resort:
                connection.execute(update(table).where(table.c.id == offer.id).values(content=None))
            return content, offer.last_resort
        passed_over.add(offer.suites)
    return None


def _submit(
    connection: Connection, recipient: bytes, message_id: bytes, message: bytes, now: int, capacity: int
) -> Submission:
    clients = tables.clients.c
    found = connection.execute(
        select(clients.id, clients.last_sequence, clients.acknowledged)
        .select_from(tables.clients.join(tables.identities))
        .where(tables.identities.c.identity == recipient)
    ).all()
    if not found:
        return Submission(RecipientStatus.unknown, ())
    fingerprint = hashlib.sha256(message_id + message).digest()
    status = RecipientStatus.accepted
    filled = []
    for client in found:
        if _had(connection, client.id, fingerprint, now):
            continue
        # Sequences have no gaps and an acknowledgement deletes from the front, so this is the number of messages.
        if client.last_sequence - client.acknowledged >= capacity:
            status = RecipientStatus.inbox_full
            continue
        sequence = client.last_sequence + 1
        connection.execute(
            insert(tables.messages).values(
                client=client.id, sequence=sequence, message_id=message_id, received_at=now, message=message
            )
        )
        connection.execute(
            insert(tables.received).values(client=client.id, fingerprint=fingerprint, received_at=now)
        )
        connection.execute(
            update(tables.clients).where(clients.id == client.id).values(last_sequence=sequence)
        )
        filled.append(client.id)
    return Submission(status, tuple(filled))


def _had(connection: Connection, client: int, fingerprint: bytes, now: int) -> bool:
    table = tables.received
    connection.execute(
        delete(table).where(table.c.client == client, table.c.received_at < now - _MEMORY_SECONDS)
    )
    seen = select(table.c.received_at).where(table.c.client == client, table.c.fingerprint == fingerprint)
    return connection.scalar(seen) is not None
