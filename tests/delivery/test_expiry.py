"""Messages that nobody takes do not wait for ever, and what is in an inbox is counted rightly whatever went out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select

from mls_delivery.context import DeliveryService, delivery_service
from mls_delivery.service import Limits
from mls_delivery.store import accounts, messages, open_store
from mls_delivery.store.messages import Expired, Room
from mls_delivery.upkeep import expire_messages
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import InboxDelivery, RecipientStatus
from tests.delivery.support import MESSAGE, Clock, Device, running_service, submit

_BOB, _CAROL = b"bob@b.example", b"carol@b.example"
_SECONDS = Limits().message_seconds


@pytest.fixture
async def service(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> AsyncIterator[DeliveryService]:
    """A service without its end points, with two people of one client each."""
    store = open_store(database_url)
    service = await delivery_service(
        domain="b.example",
        provider=provider,
        store=store,
        clock=clock,
        allowed_origins=(),
        limits=Limits(inbox_messages=3, inbox_octets=100),
    )
    for number, identity in enumerate((_BOB, _CAROL), 1):
        await store.write(_add, identity, bytes([number]) * 16, clock.now)
    yield service
    await store.close()


def _add(connection: Connection, identity: bytes, client_id: bytes, now: int) -> None:
    accounts.add_client(connection, accounts.add_identity(connection, identity, now), client_id, identity)


async def _put(service: DeliveryService, number: int, *recipients: bytes, octets: int = 10) -> list[int]:
    submitted = await service.store.write(
        messages.submit,
        recipients or (_BOB,),
        bytes([number]) * 16,
        bytes([number]) * octets,
        service.clock(),
        Room(service.limits.inbox_messages, service.limits.inbox_octets),
    )
    assert submitted.inboxes == submitted.statuses.count(RecipientStatus.accepted)
    return [int(status) for status in submitted.statuses]


async def _key(service: DeliveryService, number: int) -> int:
    """The key in the store of bob's client, 1, or carol's, 2."""
    clients = accounts.clients.c
    query = select(clients.id).where(clients.client_id == bytes([number]) * 16)
    return await service.store.read(lambda connection: int(connection.execute(query).scalar_one()))


async def _sequences(service: DeliveryService, number: int = 1) -> list[int]:
    client = await _key(service, number)
    return [message.sequence for message in await service.store.read(messages.read_inbox, client, 0, 10**6)]


async def _acknowledge(service: DeliveryService, cursor: int) -> None:
    await service.store.write(messages.acknowledge, await _key(service, 1), cursor)


async def test_old_messages_go_and_the_sequences_of_others_stay(
    service: DeliveryService, clock: Clock
) -> None:
    await _put(service, 1, _BOB, _CAROL)
    clock.now += 10
    await _put(service, 2)
    clock.now += _SECONDS - 10
    await expire_messages(service)
    assert await _sequences(service) == [1, 2]
    clock.now += 1
    await expire_messages(service)
    assert (await _sequences(service), await _sequences(service, 2)) == ([2], [])
    assert service.metrics.messages_expired._value.get() == 2
    assert await _put(service, 3) == [0]
    assert await _sequences(service) == [2, 3]
    clock.now += 10**9
    await expire_messages(service)
    assert await _sequences(service) == []
    assert await service.store.read(messages.waiting) == 0


async def test_what_expires_is_known_by_name(service: DeliveryService, clock: Clock) -> None:
    await _put(service, 1, _BOB, _CAROL)
    await _put(service, 2)
    client = await _key(service, 1)
    found = await service.store.write(messages.expire, client, clock.now + 1)
    assert found == [Expired(b"\x01" * 16, _BOB), Expired(b"\x02" * 16, _BOB)]
    assert await service.store.write(messages.expire, client, clock.now + 1) == []


async def test_more_inboxes_than_one_look_finds(
    service: DeliveryService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mls_delivery.upkeep._INBOXES", 1)
    await _put(service, 1, _BOB, _CAROL)
    clock.now += _SECONDS + 1
    await expire_messages(service)
    assert (await _sequences(service), await _sequences(service, 2)) == ([], [])


async def test_an_inbox_counts_messages(service: DeliveryService, clock: Clock) -> None:
    assert [(await _put(service, number))[0] for number in range(1, 6)] == [0, 0, 0, 2, 2]
    # Taken from the front, and expired: either makes room.
    await _acknowledge(service, 1)
    assert [(await _put(service, number))[0] for number in (4, 5)] == [0, 2]
    clock.now += _SECONDS + 1
    await expire_messages(service)
    assert [(await _put(service, number))[0] for number in range(6, 10)] == [0, 0, 0, 2]
    assert await _sequences(service) == [5, 6, 7]
    await _acknowledge(service, 6)
    assert await service.store.read(messages.waiting) == 1


async def test_an_inbox_counts_octets(service: DeliveryService, clock: Clock) -> None:
    assert await _put(service, 1, octets=60) == [0]
    assert await _put(service, 2, octets=41) == [2]
    assert await _put(service, 3, octets=40) == [0]
    assert await _put(service, 4, octets=1) == [2]
    await _acknowledge(service, 1)
    assert await _put(service, 2, octets=60) == [0]
    clock.now += _SECONDS + 1
    await expire_messages(service)
    # An inbox that is empty takes what would never fit otherwise.
    assert await _put(service, 5, octets=101) == [0]
    assert await _put(service, 6, octets=1) == [2]


def test_a_service_expires_messages_by_itself(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_service(provider, database_url, clock=clock) as running:
        bob = Device.registered(provider, running)
        for number in range(3):
            submit(running, "bob@b.example", message=MESSAGE + b"%d" % number)
    clock.now += _SECONDS + 1
    with running_service(provider, database_url, clock=clock) as running:
        bob.service = running
        bob.open_session()
        submit(running, "bob@b.example", message=MESSAGE + b"new")
        first = _first_delivery(bob)
        # It looks for old messages as soon as it runs, but does not let anybody wait for that.
        for _ in range(1000):
            if first.sequence == 4:
                break
            first = _first_delivery(bob)
        assert (first.sequence, first.message) == (4, MESSAGE + b"new")


def _first_delivery(device: Device) -> InboxDelivery:
    with device.inbox() as inbox:
        inbox.ready()
        return inbox.delivery()


def test_nobody_gets_more_than_anybody_reads(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    limits = Limits(inbox_messages_per_minute=2)
    with running_service(provider, database_url, clock=clock, limits=limits) as running:
        bob = Device.registered(provider, running)
        Device.registered(provider, running, "carol@b.example")
        assert submit(running, "bob@b.example", message_id=b"1" * 16) == [0]
        assert submit(running, "bob@b.example", message_id=b"2" * 16) == [0]
        third = {"message": MESSAGE + b"3", "message_id": b"3" * 16}
        assert submit(running, "bob@b.example", "carol@b.example", **third) == [2, 0]
        clock.now += 30
        assert submit(running, "bob@b.example", "carol@b.example", **third) == [0, 0]
        with bob.inbox() as inbox:
            inbox.ready()
            assert [inbox.delivery().message_id[:1] for _ in range(3)] == [b"1", b"2", b"3"]
