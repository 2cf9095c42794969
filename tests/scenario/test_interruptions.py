"""Services that are killed and started again, connections that break: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from mls_federation.client import (
    BackgroundFailure,
    Client,
    Connection,
    ConnectionChanged,
    EpochChanged,
    GroupJoined,
    LogFault,
    MessageReceived,
    MessageRefused,
    Ports,
    new_client,
)
from mls_federation.client.state import ClientState
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import StateError, StorageError, TransportError, ValidationError
from mls_federation.io import HttpTransport
from mls_federation.io.concurrency import gather
from mls_federation.storage import MemoryStorage
from tests.support.services import PATIENCE, Person, Service, person, proxy_before, services_running, unique


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """Services of this module alone, which its tests may kill."""
    with services_running(tmp_path_factory.mktemp("services"), ("a.example", "b.example")) as services:
        yield services


@pytest.fixture
def services(processes: dict[str, Service]) -> dict[str, Service]:
    """The same, all running, whatever the test before has done."""
    for service in processes.values():
        if not service.is_running:
            service.start()
    return processes


def addresses_of(services: Mapping[str, Service]) -> dict[str, str]:
    return {domain: service.url for domain, service in services.items()}


class RareStorage(MemoryStorage):
    """A storage that fails as often as a test says.

    Attributes:
        failures: how many of the next times.
    """

    failures = 0

    async def save(self, state: ClientState) -> None:
        """Keep `state`, perhaps."""
        if self.failures > 0:
            self.failures -= 1
            raise StorageError("the disk is full")
        await super().save(state)


class SlowTransport(HttpTransport):
    """Its connections take as long as a test says.

    Attributes:
        begun: set when somebody connects.
        goes_on: set by the test when they may.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def connect(self, url: str) -> Connection:
        """Open a WebSocket, once it may."""
        self.begun.set()
        await self.goes_on.wait()
        return await super().connect(url)


@contextlib.asynccontextmanager
async def offline_person(
    identity: str, addresses: Mapping[str, str], storage: RareStorage, through: HttpTransport | None = None
) -> AsyncIterator[Person]:
    """Somebody whose state is in `storage`, from which it goes on; not connected until `connected` says so."""
    somebody = Person(identity)
    async with through or HttpTransport() as transport:
        ports = Ports(
            transport=transport,
            storage=storage,
            provider=PycaProvider(),
            now=lambda: int(time.time()),
            sleep=asyncio.sleep,
            new_lock=asyncio.Lock,
            new_event=asyncio.Event,
            gather=gather,
        )
        is_new = storage.state is None
        if storage.state is None:
            somebody._client = new_client(ports, identity, somebody.on_event)
        else:
            somebody._client = Client(storage.state, ports, somebody.on_event)
        for domain, url in addresses.items():
            await somebody.client.set_delivery_service(domain, url)
        if is_new:
            await somebody.client.register()
        yield somebody


@contextlib.asynccontextmanager
async def connected(somebody: Person) -> AsyncIterator[None]:
    """Receive, until the context ends."""
    receiving = asyncio.create_task(somebody.client.run())
    await somebody.told(ConnectionChanged, state="connected")
    try:
        yield
    finally:
        await somebody.client.close()
        receiving.cancel()
        await asyncio.wait([receiving])


async def friends(alice: Person, bob: Person) -> bytes:
    """A group of two."""
    group_id = (await alice.client.create_group(ordering="members")).group_id
    await alice.client.add(group_id, bob.identity)
    await bob.told(GroupJoined, group_id=group_id)
    return group_id


def waiting(somebody: Person) -> int:
    """How many messages no service has taken yet."""
    return len(somebody.client.waiting)


def messages(somebody: Person, after: int = 0) -> list[bytes]:
    """Those that came and nobody has looked at yet; only those with a number above `after`, as an application has it."""
    return [
        event.data for event in somebody.events if isinstance(event, MessageReceived) and event.number > after
    ]


async def test_a_service_that_is_killed_while_messages_wait_for_it(services: dict[str, Service]) -> None:
    addresses = addresses_of(services)
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        person(unique("bob", "b.example"), addresses) as bob,
    ):
        group_id = await friends(alice, bob)
        services["b.example"].kill()
        await bob.told(ConnectionChanged, state="disconnected")

        for number in range(3):
            sent = await alice.client.send(group_id, b"%d" % number)
            assert [(bob.identity, "pending")] == [(each.identity, each.status) for each in sent.deliveries]
            failure = await alice.told(BackgroundFailure)
            assert (TransportError, "unreachable") == (type(failure.error), failure.error.code)
            assert "b.example" in failure.error.message
        await alice.client.update(group_id)
        assert waiting(alice) == 4
        with pytest.raises(TransportError) as caught:
            await alice.client.fetch_key_bundles(bob.identity)
        assert caught.value.code == "unreachable"

        services["b.example"].start()
        await bob.told(ConnectionChanged, state="connected")
        await alice.client.send(group_id, b"3")

        await bob.told(MessageReceived, data=b"3")
        await alice.client.flush()
        assert waiting(alice) == 0
        assert messages(bob) == [b"0", b"1", b"2"]
        await bob.told(EpochChanged, epoch=2)
        await bob.client.send(group_id, b"back again")
        await alice.told(MessageReceived, data=b"back again")
        assert [event for event in bob.events if isinstance(event, MessageRefused)] == []


async def test_our_own_service_is_killed(services: dict[str, Service]) -> None:
    """We can send to others meanwhile, and what they send to us comes when it is back."""
    addresses = addresses_of(services)
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        person(unique("bob", "b.example"), addresses) as bob,
    ):
        group_id = await friends(alice, bob)
        services["b.example"].kill()
        await bob.told(ConnectionChanged, state="disconnected")
        await bob.client.send(group_id, b"from bob")
        await alice.told(MessageReceived, data=b"from bob")
        assert (await alice.client.send(group_id, b"to bob")).deliveries[0].status == "pending"

        services["b.example"].start()
        await bob.told(ConnectionChanged, state="connected")
        await bob.told(MessageReceived, data=b"to bob")  # nobody had to ask for it


async def test_who_stops_receiving_while_connecting_has_stopped(services: dict[str, Service]) -> None:
    transport = SlowTransport()
    async with offline_person(
        unique("alice", "a.example"), addresses_of(services), RareStorage(), transport
    ) as alice:
        receiving = asyncio.create_task(alice.client.run())
        await transport.begun.wait()

        await alice.client.close()
        transport.goes_on.set()

        await asyncio.wait_for(receiving, PATIENCE)
        states = [event.state for event in alice.events if isinstance(event, ConnectionChanged)]
        assert states == ["connecting", "disconnected"]


async def test_what_waits_goes_out_when_the_connection_is_back(services: dict[str, Service]) -> None:
    """Nobody has to ask for it: the network was away, for everybody, and comes back."""
    addresses = addresses_of(services)
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        person(unique("bob", "b.example"), addresses) as bob,
    ):
        group_id = await friends(alice, bob)
        for service in services.values():
            service.kill()
        assert (await alice.client.send(group_id, b"later")).deliveries[0].status == "pending"
        services["b.example"].start()
        services["a.example"].start()
        await bob.told(MessageReceived, data=b"later")
        assert await alice.client.flush() == ()


async def test_the_inbox_goes_on_where_it_was(services: dict[str, Service]) -> None:
    """Bob is away; messages come; his service is killed with them; he comes back from what his storage has."""
    addresses = addresses_of(services)
    storage = RareStorage()
    async with person(unique("alice", "a.example"), addresses) as alice:
        async with offline_person(unique("bob", "b.example"), addresses, storage) as bob, connected(bob):
            name = bob.identity
            group_id = await friends(alice, bob)
            await alice.client.send(group_id, b"before")
            seen = (await bob.told(MessageReceived, data=b"before")).number
        for number in range(5):
            sent = await alice.client.send(group_id, b"%d" % number)
            assert sent.deliveries[0].status == "accepted"
            if number == 2:
                await alice.client.update(group_id)
        services["b.example"].kill()
        services["b.example"].start()

        async with offline_person(name, addresses, storage) as bob, connected(bob):
            await bob.told(MessageReceived, data=b"4")
            assert messages(bob, after=seen) == [b"0", b"1", b"2", b"3"]
            await bob.client.send(group_id, b"read it all")
            await alice.told(MessageReceived, data=b"read it all")
            assert [event for event in bob.events if isinstance(event, MessageRefused)] == []


async def test_what_was_not_acknowledged_is_shown_once(services: dict[str, Service]) -> None:
    """The service has it still, and the client has it already."""
    addresses = addresses_of(services)
    async with (
        proxy_before(addresses["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses) as alice,
        person(unique("bob", "b.example"), {**addresses, "b.example": proxy.url}) as bob,
    ):
        group_id = await friends(alice, bob)
        proxy.acknowledged = False
        await alice.client.send(group_id, b"once")
        await bob.told(MessageReceived, data=b"once")
        services["b.example"].kill()
        await bob.told(ConnectionChanged, state="disconnected")
        services["b.example"].start()

        await bob.told(ConnectionChanged, state="connected")
        await alice.client.send(group_id, b"and again")
        await bob.told(MessageReceived, data=b"and again")
        assert [event for event in bob.events if isinstance(event, MessageReceived | MessageRefused)] == []


async def test_a_storage_that_fails_while_a_message_arrives(services: dict[str, Service]) -> None:
    addresses = addresses_of(services)
    storage = RareStorage()
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        offline_person(unique("bob", "b.example"), addresses, storage) as bob,
        connected(bob),
    ):
        group_id = await friends(alice, bob)
        storage.failures = 1
        await alice.client.send(group_id, b"hello")

        failure = await bob.told(BackgroundFailure)
        assert (StorageError, "storage-failed") == (type(failure.error), failure.error.code)
        await bob.told(ConnectionChanged, state="connected")
        await bob.told(MessageReceived, data=b"hello")
        await bob.client.send(group_id, b"got it")
        await alice.told(MessageReceived, data=b"got it")
        assert [event for event in bob.events if isinstance(event, MessageReceived | MessageRefused)] == []


async def test_a_second_connection_replaces_the_first(services: dict[str, Service]) -> None:
    addresses = addresses_of(services)
    storage = RareStorage()
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        offline_person(unique("bob", "b.example"), addresses, storage) as first,
    ):
        receiving = asyncio.create_task(first.client.run())
        group_id = await friends(alice, first)
        async with offline_person(first.identity, addresses, storage) as second, connected(second):
            with pytest.raises(StateError) as caught:
                await receiving
            assert caught.value.code == "replaced"

            await alice.client.send(group_id, b"hello")
            await second.told(MessageReceived, data=b"hello")
            assert messages(first) == []


async def test_a_session_that_has_ended_is_opened_anew(services: dict[str, Service]) -> None:
    """As when it expires, or the service forgets it: the client proves again who it is."""
    addresses = addresses_of(services)
    storage = RareStorage()
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        offline_person(unique("bob", "b.example"), addresses, storage) as bob,
    ):
        bob.client._core._token = bytes(32)
        async with connected(bob):
            group_id = await friends(alice, bob)
            await alice.client.send(group_id, b"hello")
            await bob.told(MessageReceived, data=b"hello")


async def test_a_service_that_has_lost_its_database(services: dict[str, Service]) -> None:
    """It counts from the beginning again, and the client claims its name again, and the group goes on.

    But it has a new signing key and an empty log, as somebody would have who took its place: that is noticed.
    """
    addresses = addresses_of(services)
    async with (
        person(unique("alice", "a.example"), addresses) as alice,
        person(unique("bob", "b.example"), addresses) as bob,
    ):
        group_id = await friends(alice, bob)
        services["b.example"].kill()
        services["b.example"].lose_database()
        await bob.told(ConnectionChanged, state="disconnected")
        services["b.example"].start()

        await bob.told(ConnectionChanged, state="connected")
        await alice.client.send(group_id, b"hello")
        await bob.told(MessageReceived, data=b"hello")

        # With its database, the service has lost its key and its log. What it says of anybody is not believed any more,
        # until those who know better say so.
        fault = await bob.told(LogFault, domain="b.example")
        assert fault.error.code == "pinned-key-changed"
        await bob.client.clear_log_fault("b.example")
        await bob.client.register()
        with pytest.raises(ValidationError) as caught:
            await alice.client.fetch_key_bundles(bob.identity)
        assert caught.value.code == "pinned-key-changed"
        with pytest.raises(StateError) as stopped:
            await alice.client.fetch_key_bundles(bob.identity)
        assert stopped.value.code == "log-fault"
        await alice.client.clear_log_fault("b.example")
        assert [bob.identity] == [
            bundle.identity for bundle in (await alice.client.fetch_key_bundles(bob.identity)).bundles
        ]
