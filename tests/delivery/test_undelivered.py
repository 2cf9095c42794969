"""A message that nobody takes out of an inbox in time: whoever it came from is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, Table, func, select

from mls_delivery.context import DeliveryService, delivery_service
from mls_delivery.service import Limits, room
from mls_delivery.store import accounts, messages, open_store, relay
from mls_delivery.upkeep import expire_messages
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import Notice, NoticeReason
from mls_federation.federation.relay import RelayedMessage
from tests.delivery.support import MESSAGE, Clock

_BOB, _CAROL, _ALICE = b"bob@b.example", b"carol@b.example", b"alice@a.example"
_ID = bytes(range(16))
_LIMITS = Limits()
_BOUNDS = relay.Bounds(rows=10, octets=1000, seconds=100, room=room(_LIMITS))


@pytest.fixture
async def service(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> AsyncIterator[DeliveryService]:
    """A service without its end points, with two people of one client each."""
    store = open_store(database_url)
    service = await delivery_service(
        domain="b.example", provider=provider, store=store, clock=clock, allowed_origins=(), limits=_LIMITS
    )
    for number, identity in enumerate((_BOB, _CAROL), 1):
        await store.write(_add, identity, bytes([number]) * 16, clock.now)
    yield service
    await store.close()


def _add(connection: Connection, identity: bytes, client_id: bytes, now: int) -> None:
    accounts.add_client(connection, accounts.add_identity(connection, identity, now), client_id, identity)


async def _key(service: DeliveryService, number: int) -> int:
    clients = accounts.clients.c
    query = select(clients.id).where(clients.client_id == bytes([number]) * 16)
    return await service.store.read(lambda connection: int(connection.execute(query).scalar_one()))


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


async def _notices(service: DeliveryService, number: int) -> list[Notice]:
    """Those in a client's inbox."""
    found = await service.store.read(messages.read_inbox, await _key(service, number), 0, 1 << 20)
    return [Notice.decode(one.message) for one in found if not one.message_id]


@pytest.mark.anyio
async def test_a_sender_of_the_same_domain_is_told(service: DeliveryService, clock: Clock) -> None:
    carol = await _key(service, 2)
    await service.store.write(
        relay.take_on,
        carol,
        _ID,
        MESSAGE,
        [(_BOB, "b.example"), (_CAROL, "b.example")],
        "b.example",
        set(),
        clock.now,
        _BOUNDS,
    )
    clock.now += _LIMITS.message_seconds + 1
    await expire_messages(service)
    # Both were lost, and are in no order to each other.
    assert {notice.identity for notice in await _notices(service, 2)} == {_BOB, _CAROL}
    assert {notice.reason for notice in await _notices(service, 2)} == {NoticeReason.expired}
    assert await _notices(service, 1) == []
    # The notices are as old as they are: they expire, and nobody is told of that.
    clock.now += _LIMITS.message_seconds + 1
    await expire_messages(service)
    assert await _notices(service, 2) == []


@pytest.mark.anyio
async def test_a_domain_that_has_relayed_it_is_told(service: DeliveryService, clock: Clock) -> None:
    relayed = RelayedMessage(message_id=_ID, recipients=(_BOB,), message=MESSAGE)
    for _ in range(2):
        await service.store.write(
            relay.receive, "a.example", [relay.Arrived(relayed)], (), clock.now, room(_LIMITS)
        )
    clock.now += _LIMITS.message_seconds + 1
    await expire_messages(service)
    assert await service.store.read(relay.waiting_domains) == ["a.example"]
    batch = await service.store.read(relay.next_batch, "a.example", clock.now, 10, 1000)
    notice = Notice(message_id=_ID, identity=_BOB, reason=NoticeReason.expired)
    assert [found for _, found in batch.notices] == [notice]
    await service.store.write(relay.settle, "a.example", [], [key for key, _ in batch.notices], clock.now)
    assert await service.store.read(relay.waiting_domains) == []


@pytest.mark.anyio
async def test_who_sent_what_is_forgotten(service: DeliveryService, clock: Clock) -> None:
    bob = await _key(service, 1)
    await service.store.write(
        relay.take_on, bob, _ID, MESSAGE, [(_ALICE, "a.example")], "b.example", set(), clock.now, _BOUNDS
    )
    clock.now += _BOUNDS.seconds + relay.MEMORY_SECONDS
    await service.store.write(relay.expire, clock.now)
    assert await service.store.read(relay.waiting_domains) == []
    for table in (relay.relay_messages, relay.relay_outbox):
        assert await service.store.read(_count, table) == 0
