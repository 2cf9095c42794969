"""The client on a storage that fails, and without a network: a state that was not kept has never been."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mls_federation.browser.concurrency import gather
from mls_federation.client import BackgroundFailure, Client, Connection, Event, Ports, Response, new_client
from mls_federation.client.state import RETENTION, ClientState
from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.errors import (
    StateError,
    StorageError,
    TransportError,
    UnsupportedError,
    UsageError,
    ValidationError,
)
from mls_federation.mls.ratchet_tree import decode_tree
from mls_federation.storage import MemoryStorage
from tests.support.network import NOW, Peer, group_of, of_type, without_waiting


class Offline:
    """`Transport` where there is no network."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Response:
        """No answer comes."""
        raise TransportError(f"{url} could not be reached")

    async def connect(self, url: str) -> Connection:
        """No answer comes."""
        raise TransportError(f"{url} could not be reached")


class FullStorage(MemoryStorage):
    """A storage with room for so many states and no more.

    Attributes:
        room: how many are left.
    """

    def __init__(self, room: int = 0) -> None:
        super().__init__()
        self.room = room

    async def save(self, state: ClientState) -> None:
        """Keep `state`, if there is room."""
        if self.room == 0:
            raise StorageError("the disk is full")
        self.room -= 1
        await super().save(state)


def client_of(peer: Peer, storage: MemoryStorage, events: list[Event]) -> Client:
    return Client(peer.state, ports(peer.provider, storage), events.append)


def ports(provider: CryptoProvider, storage: MemoryStorage) -> Ports:
    return Ports(
        transport=Offline(),
        storage=storage,
        provider=provider,
        now=lambda: NOW,
        sleep=asyncio.sleep,
        new_lock=asyncio.Lock,
        new_event=asyncio.Event,
        gather=gather,
    )


@pytest.fixture
def alice(provider: CryptoProvider) -> Peer:
    return Peer(provider, "alice@a.example")


@pytest.fixture
def bob(provider: CryptoProvider) -> Peer:
    return Peer(provider, "bob@b.example")


@pytest.mark.rule("6.3.1-03")
def test_a_command_that_was_not_kept_has_not_happened(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    storage, events = FullStorage(), list[Event]()
    client = client_of(alice, storage, events)
    before = client.group_details(group_id)

    for command in (
        client.send(group_id, b"hello"),
        client.update(group_id),
        client.remove(group_id, "bob@b.example"),
        client.create_group(ordering="members"),
    ):
        with pytest.raises(StorageError) as caught:
            without_waiting(command)
        assert caught.value.code == "storage-failed"

    assert before == client.group_details(group_id)
    assert ((group_id,), (), []) == (client.groups, client.waiting, events)
    assert storage.state is None


def test_the_client_goes_on_when_there_is_room_again(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    storage, events = FullStorage(), list[Event]()
    client = client_of(alice, storage, events)
    with pytest.raises(StorageError):
        without_waiting(client.send(group_id, b"hello"))

    storage.room = 1
    sent = without_waiting(client.send(group_id, b"hello"))

    assert [delivery.status for delivery in sent.deliveries] == ["pending"]
    [waiting] = client.waiting
    bob.take_envelope(waiting.message)
    assert bob.events[-1].data == b"hello"  # type: ignore[union-attr]


@pytest.mark.rule("6.3.1-03")
def test_what_is_kept_is_all_that_is_needed_to_go_on(alice: Peer, bob: Peer) -> None:
    """A client that is made again from what its storage has is the same client."""
    group_id = group_of(alice, bob)
    storage, events = FullStorage(room=3), list[Event]()
    client = client_of(alice, storage, events)
    for data in (b"one", b"two"):
        without_waiting(client.send(group_id, data))
    without_waiting(client.update(group_id))
    assert storage.state is not None

    again = Client(storage.state, ports(alice.provider, MemoryStorage()), events.append)
    without_waiting(again.send(group_id, b"three"))

    assert client.group_details(group_id) == again.group_details(group_id)
    for waiting in again.waiting:
        bob.take_envelope(waiting.message)
    assert [event.data for event in bob.events if hasattr(event, "data")] == [b"one", b"two", b"three"]


def test_where_nobody_has_said_where_a_service_is(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    events = list[Event]()
    client = client_of(alice, MemoryStorage(), events)

    sent = without_waiting(client.send(group_id, b"hello"))

    assert [(each.identity, each.status) for each in sent.deliveries] == [("bob@b.example", "pending")]
    assert [failure.error.code for failure in of_type(events, BackgroundFailure)] == ["unknown-domain"]
    for command in (
        client.register(),
        client.fetch_key_bundles("carol@c.example"),
        client.add(group_id, "carol@c.example"),
    ):
        with pytest.raises(StateError) as caught:
            without_waiting(command)
        assert caught.value.code == "unknown-domain"


@pytest.mark.parametrize(
    "identity",
    ["", "alice", "alice@", "@a.example", "al ice@a.example", "alice@A.example", "\ud800@a.example"],
)
def test_names_that_are_no_identities(provider: CryptoProvider, alice: Peer, identity: str) -> None:
    client = client_of(alice, MemoryStorage(), [])
    group_id = without_waiting(client.create_group(ordering="members")).group_id
    for command in (
        lambda: new_client(ports(provider, MemoryStorage()), identity, print),
        lambda: without_waiting(client.fetch_key_bundles(identity)),
        lambda: without_waiting(client.add(group_id, identity)),
        lambda: client.service_of(identity),
    ):
        with pytest.raises(ValidationError) as caught:
            command()
        assert caught.value.code == "bad-identity"


def test_suites_that_are_not_here(alice: Peer) -> None:
    client = client_of(alice, MemoryStorage(), [])
    unknown = CipherSuite(0x0A0A)
    for command in (
        client.create_group(unknown, ordering="members"),
        client.fetch_key_bundles("bob@b.example", [unknown]),
    ):
        with pytest.raises(UnsupportedError) as caught:
            without_waiting(command)
        assert caught.value.code == "unsupported-cipher-suite"
    assert client.groups == ()


def test_an_application_does_not_export_by_labels_of_the_client(alice: Peer) -> None:
    client = client_of(alice, MemoryStorage(), [])
    group_id = without_waiting(client.create_group(ordering="members")).group_id
    assert len(client.export_secret(group_id, "my application", b"", 32)) == 32
    for label in ("MLS Federation 1.0 SRTP", "MLS Federation ", "", "Schlüssel"):
        with pytest.raises(UsageError) as caught:
            client.export_secret(group_id, label, b"", 32)
        assert caught.value.code == "bad-argument"


def test_a_command_erases_keys_of_past_epochs_whose_time_is_over(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    storage, clock = MemoryStorage(), [NOW]
    surroundings = replace(ports(alice.provider, storage), now=lambda: clock[0])
    client = Client(alice.state, surroundings, list[Event]().append)
    assert RETENTION.seconds is not None
    for clock[0], kept in ((NOW + RETENTION.seconds, 1), (NOW + RETENTION.seconds + 1, 0)):
        without_waiting(client.send(group_id, b"something"))
        assert storage.state is not None
        assert len(storage.state.group(group_id).group.past_epochs) == kept


def test_the_ratchet_tree_is_that_of_the_present_epoch(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    client = client_of(alice, MemoryStorage(), [])

    tree = decode_tree(client.export_ratchet_tree(group_id))

    assert tree.nodes == bob.group(group_id).group.tree.nodes
    with pytest.raises(StateError) as caught:
        client.export_ratchet_tree(b"no group")
    assert caught.value.code == "no-such-group"


def test_an_sframe_context_is_kept_before_it_is_told(alice: Peer, bob: Peer) -> None:
    group_id = group_of(alice, bob)
    storage = FullStorage(room=2)
    client = client_of(alice, storage, [])
    assert [without_waiting(client.reserve_sframe_context(group_id)) for _ in range(2)] == [0, 1]
    with pytest.raises(StorageError):
        without_waiting(client.reserve_sframe_context(group_id))

    assert storage.state is not None
    events = list[Event]()
    again = Client(storage.state, ports(alice.provider, MemoryStorage()), events.append)
    assert without_waiting(again.reserve_sframe_context(group_id)) == 2
    assert client.export_sframe_keys(group_id) == again.export_sframe_keys(group_id)
    for command in (again.reserve_sframe_context(b"no group"), client.reserve_sframe_context(b"no group")):
        with pytest.raises(StateError) as caught:
            without_waiting(command)
        assert caught.value.code == "no-such-group"
