"""The store itself: what a transaction promises, and who is woken by one. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from mls_delivery.refusals import Refused
from mls_delivery.store import Store, StoreError, accounts, announce, challenges, messages, open_store
from tests.delivery.support import sqlite_url
from tests.support.postgres import Server

_CHANNEL = "test"
_PATIENCE_SECONDS = 20


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store on a database of its own."""
    async with _opened(database_url) as store:
        yield store


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    """A store at a database, as one process has it."""
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()


def _keep(connection: Connection, name: bytes) -> None:
    """Any change that can be seen."""
    announce(connection, _CHANNEL, name.decode())
    connection.execute(insert(challenges.redeemed_challenges).values(challenge=name, ends=0))


def _kept(connection: Connection) -> set[bytes]:
    return set(connection.scalars(select(challenges.redeemed_challenges.c.challenge)))


def _keep_and_refuse(connection: Connection, name: bytes) -> None:
    _keep(connection, name)
    raise Refused("malformed", "for a test")


@contextlib.asynccontextmanager
async def _writer_held(store: Store) -> AsyncIterator[Callable[[], None]]:
    """Nobody else is served by the writer until what this gives is called: all who come meanwhile wait together."""
    begun, go = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        assert go.wait(_PATIENCE_SECONDS)

    holding = asyncio.ensure_future(store.write(hold))
    assert await asyncio.to_thread(begun.wait, _PATIENCE_SECONDS)
    try:
        yield go.set
    finally:
        go.set()
        await holding


class _Ear:
    """Hears what is announced to a key, and lets a test wait for it."""

    def __init__(self) -> None:
        self.times = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self._news.set()

    async def heard(self) -> None:
        """Return when something was heard since the last time."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self._news.wait()
        self._news.clear()


async def test_what_was_written_is_there(store: Store) -> None:
    await store.write(_keep, b"a")
    assert await store.read(_kept) == {b"a"}


async def test_those_who_wait_share_a_transaction_and_a_refused_one_harms_nobody(store: Store) -> None:
    commits: list[Connection] = []
    noted = commits.append
    event.listen(Engine, "commit", noted)
    try:
        async with _writer_held(store) as let_go:
            works = [
                asyncio.ensure_future(store.write(_keep_and_refuse if name == b"c" else _keep, name))
                for name in (b"a", b"b", b"c", b"d")
            ]
            refused_twice = asyncio.ensure_future(store.write(_keep, b"a"))
            await asyncio.sleep(0)  # now all of them are in the queue
            let_go()
            outcomes = await asyncio.gather(*works, refused_twice, return_exceptions=True)
    finally:
        event.remove(Engine, "commit", noted)
    assert [type(outcome) for outcome in outcomes[:4]] == [type(None), type(None), Refused, type(None)]
    assert isinstance(outcomes[4], DBAPIError)  # the database's own refusal: there is one `a` already
    assert await store.read(_kept) == {b"a", b"b", b"d"}
    assert len(commits) == 2  # of the one that held the writer, and of all others


async def test_if_the_commit_fails_nobody_is_told_that_it_was_done(store: Store) -> None:
    def spoil(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        else:
            # The constraint is looked at with the commit, which therefore fails.
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            connection.execute(insert(messages.inboxes).values(client=404, last_sequence=0, acknowledged=0))

    async with _writer_held(store) as let_go:
        works = [
            asyncio.ensure_future(store.write(_keep, b"a")),
            asyncio.ensure_future(store.write(spoil)),
            asyncio.ensure_future(store.write(_keep_and_refuse, b"b")),
        ]
        await asyncio.sleep(0)
        let_go()
        outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    assert await store.read(_kept) == set()
    # The next one is served, by a connection of its own where that was lost.
    await store.write(_keep, b"c")
    assert await store.read(_kept) == {b"c"}


async def test_who_only_reads_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError):
        await store.read(_keep, b"a")
    assert await store.read(_kept) == set()


async def test_a_reader_sees_one_moment(store: Store) -> None:
    between, done = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> tuple[set[bytes], set[bytes]]:
        before = _kept(connection)
        between.set()
        assert done.wait(_PATIENCE_SECONDS)
        return before, _kept(connection)

    reading = asyncio.ensure_future(store.read(look_twice))
    await asyncio.to_thread(between.wait, _PATIENCE_SECONDS)
    await store.write(_keep, b"a")
    done.set()
    assert await reading == (set(), set())


async def test_writers_of_two_processes_take_turns(store: Store, database_url: str) -> None:
    def count(connection: Connection) -> None:
        ends: int = connection.execute(select(challenges.redeemed_challenges.c.ends)).scalar_one()
        connection.execute(update(challenges.redeemed_challenges).values(ends=ends + 1))

    await store.write(_keep, b"counter")
    async with _opened(database_url) as other:
        await asyncio.gather(*(here.write(count) for here in [store, other] * 50))
    ends = await store.read(
        lambda connection: connection.scalar(select(challenges.redeemed_challenges.c.ends))
    )
    assert ends == 100


async def test_who_listens_finds_what_was_announced(store: Store) -> None:
    found: list[set[bytes]] = []
    ear = _Ear()
    with store.listening(_CHANNEL, "a", ear):
        await store.write(_keep, b"b")
        await store.write(_keep, b"a")
        await ear.heard()
        found.append(await store.read(_kept))
    assert found == [{b"a", b"b"}]


async def test_what_did_not_come_about_is_not_announced(store: Store) -> None:
    refused, done = _Ear(), _Ear()
    with store.listening(_CHANNEL, "a", refused), store.listening(_CHANNEL, "b", done):
        await store.write(_keep, b"b")
        await done.heard()
        before = refused.times
        async with _writer_held(store) as let_go:
            works = [store.write(_keep_and_refuse, b"a"), store.write(_keep, b"c"), store.write(_again)]
            outcomes = asyncio.gather(*works, return_exceptions=True)
            await asyncio.sleep(0)
            let_go()
            await outcomes
        await done.heard()
        assert refused.times == before


def _again(connection: Connection) -> None:
    announce(connection, _CHANNEL, "b")


async def test_who_has_left_is_not_called(store: Store) -> None:
    gone, there = _Ear(), _Ear()
    with store.listening(_CHANNEL, "b", there):
        with store.listening(_CHANNEL, "b", gone):
            await store.write(_again)
            await there.heard()
        times = gone.times
        await store.write(_again)
        await there.heard()
    assert gone.times == times


async def test_an_announcement_reaches_other_processes(postgres: Server, postgres_template: str) -> None:
    with postgres.lent(postgres_template) as name:
        async with _opened(postgres.url(name)) as one, _opened(postgres.url(name)) as other:
            ear, own = _Ear(), _Ear()
            with other.listening(_CHANNEL, "a", ear), one.listening(_CHANNEL, "a", own):
                await one.write(_keep, b"a")
                while b"a" not in await other.read(_kept):
                    await ear.heard()
                await own.heard()


async def test_nothing_is_missed_though_the_connection_is_lost(
    postgres: Server, postgres_template: str
) -> None:
    def tell(connection: Connection) -> None:
        announce(connection, _CHANNEL, "a")

    with postgres.lent(postgres_template) as name:
        async with _opened(postgres.url(name)) as store:
            ear = _Ear()
            with store.listening(_CHANNEL, "a", ear):
                while not postgres.disconnect(name, "LISTEN mls_delivery"):
                    pass  # it has not yet begun to listen
                await ear.heard()  # it is back, and tells everybody, for whatever was missed
                await store.write(tell)
                await ear.heard()


async def test_connections_that_were_lost(postgres: Server, postgres_template: str) -> None:
    """As when the server is started again: the store goes on with new ones."""
    with postgres.lent(postgres_template) as name:
        async with _opened(postgres.url(name)) as store:
            await store.write(_keep, b"a")
            assert await store.read(_kept) == {b"a"}
            assert postgres.disconnect(name) >= 2
            await store.write(_keep, b"b")
            assert await store.read(_kept) == {b"a", b"b"}


@pytest.mark.long
async def test_a_process_that_stalls_does_not_stop_the_others(
    postgres: Server, postgres_template: str
) -> None:
    with postgres.lent(postgres_template) as name:
        async with _opened(postgres.url(name)) as stalled, _opened(postgres.url(name)) as other:
            with pytest.raises(DBAPIError):
                async with _writer_held(stalled):
                    # After ten seconds, which is how long the stalled one is waited for. What it did is undone.
                    await other.write(_keep, b"a")
            await stalled.write(_keep, b"b")
            assert await other.read(_kept) == {b"a", b"b"}


async def test_a_caller_who_goes_away_harms_nobody(store: Store) -> None:
    async with _writer_held(store) as let_go:
        gone = asyncio.ensure_future(store.write(_keep, b"a"))
        there = asyncio.ensure_future(store.write(_keep, b"b"))
        await asyncio.sleep(0)
        gone.cancel()
        let_go()
        await there
    assert b"b" in await store.read(_kept)


async def test_closing_waits_for_who_is_being_served(database_url: str) -> None:
    store = open_store(database_url)
    works = [asyncio.ensure_future(store.write(_keep, b"%d" % number)) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*works)
    with pytest.raises(StoreError, match="closed"):
        await store.write(_keep, b"late")
    async with _opened(database_url) as again:
        assert len(await again.read(_kept)) == 20


def test_a_loop_that_ended_does_not_stop_the_writer(tmp_path: Path) -> None:
    """Somebody waited in it; whoever comes later, in another loop, is served."""
    store = open_store(sqlite_url(tmp_path / "b.sqlite3"))
    go = threading.Event()

    async def leave() -> None:
        works = [
            asyncio.ensure_future(store.write(lambda _: go.wait(_PATIENCE_SECONDS))),
            asyncio.ensure_future(store.write(_keep, b"a")),
        ]
        await asyncio.sleep(0)
        assert not any(work.done() for work in works)

    async def come() -> set[bytes]:
        await store.write(_keep, b"b")
        kept = await store.read(_kept)
        await store.close()
        return kept

    asyncio.run(leave())
    go.set()
    assert asyncio.run(come()) == {b"a", b"b"}


async def test_a_store_belongs_to_one_domain(store: Store) -> None:
    key = await store.write(accounts.signing_key, "b.example", b"one")
    assert await store.write(accounts.signing_key, "b.example", b"two") == key == b"one"
    with pytest.raises(StoreError, match="The database is that of"):
        await store.write(accounts.signing_key, "c.example", b"three")


async def test_a_challenge_is_good_once(store: Store) -> None:
    await store.write(challenges.redeem, b"challenge", 100, 50)
    with pytest.raises(Refused, match="already used"):
        await store.write(challenges.redeem, b"challenge", 100, 99)
    await store.write(challenges.redeem, b"another", 200, 100)
    assert await store.read(_kept) == {b"another"}  # the first is worth nothing any more, used or not


async def test_an_inbox_is_read_in_portions(store: Store) -> None:
    def fill(connection: Connection) -> int:
        owner = accounts.add_identity(connection, b"bob@b.example", 1)
        accounts.add_client(connection, owner, bytes(16), b"credential")
        room = messages.Room(100, 10**9)
        for number in range(5):
            messages.submit(connection, [b"bob@b.example"], bytes([number] * 16), bytes(1000), 1, room)
        return int(connection.execute(select(accounts.clients.c.id)).scalar_one())

    client = await store.write(fill)

    async def read(after: int, max_octets: int) -> list[int]:
        found = await store.read(messages.read_inbox, client, after, max_octets)
        return [message.sequence for message in found]

    assert await read(0, 1) == [1]  # one, however large it is
    assert await read(0, 1000) == [1]
    assert await read(0, 1001) == [1, 2]
    assert await read(2, 2500) == [3, 4, 5]
    assert await read(5, 10**6) == []
    await store.write(messages.acknowledge, client, 2)
    assert await read(0, 10**6) == [3, 4, 5]
