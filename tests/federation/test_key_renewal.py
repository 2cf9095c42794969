"""A client's keys are replaced long before they expire, and its private keys are erased when no Welcome can come for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mls_delivery.service import Limits
from mls_federation.client import ConnectionChanged, GroupJoined, MessageReceived, Ports, new_client
from mls_federation.client.account import KEY_LIFETIME, KEY_RENEWAL, KEYS_KEPT
from mls_federation.client.keys import KEY_SETS, renew_key_sets
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.io import HttpTransport
from mls_federation.io.concurrency import gather
from mls_federation.storage import MemoryStorage
from tests.delivery.support import Clock, Running, running_service
from tests.support.services import Person, unique


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path: Path, clock: Clock) -> Iterator[Running]:
    """A service whose clock is everybody's."""
    limits = Limits(key_sets_per_minute=0, key_count_low=0)
    with running_service(PycaProvider(), tmp_path / "b.sqlite3", clock=clock, limits=limits) as running:
        yield running


@contextlib.asynccontextmanager
async def _somebody(service: Running, clock: Clock, name: str) -> AsyncIterator[Person]:
    async with HttpTransport() as transport:
        somebody = Person(unique(name, service.domain))
        ports = Ports(
            transport=transport,
            storage=MemoryStorage(),
            provider=PycaProvider(),
            now=clock,
            sleep=asyncio.sleep,
            new_lock=asyncio.Lock,
            new_event=asyncio.Event,
            gather=gather,
        )
        somebody._client = new_client(ports, somebody.identity, somebody.on_event)
        await somebody.client.set_delivery_service(service.domain, service.url)
        await somebody.client.register()
        yield somebody


@contextlib.asynccontextmanager
async def _connected(somebody: Person) -> AsyncIterator[None]:
    running = asyncio.create_task(somebody.client.run())
    await somebody.told(ConnectionChanged, state="connected")
    try:
        yield
    finally:
        await somebody.client.close()
        await running


async def _handed_out(by: Person, somebody: Person, count: int) -> list[tuple[bytes, bool]]:
    """The id of each set that is handed out, and whether it is a last resort."""
    fetched = [(await by.client.fetch_key_bundles(somebody.identity)).bundles[0] for _ in range(count)]
    return [(bundle.user_init_key.user_init_key_id, bundle.last_resort) for bundle in fetched]


async def test_keys_are_renewed_before_they_expire(service: Running, clock: Clock) -> None:
    async with _somebody(service, clock, "alice") as alice, _somebody(service, clock, "bob") as bob:
        core = bob.client._core
        *singles, first = await _handed_out(alice, bob, 4)
        assert [last_resort for _, last_resort in (*singles, first)] == [False, False, False, True]

        clock.now += KEY_RENEWAL - 1
        await renew_key_sets(core)
        assert await _handed_out(alice, bob, 1) == [first]
        clock.now += 1
        await renew_key_sets(core)
        *singles, second = await _handed_out(alice, bob, KEY_SETS + 1)
        assert [last_resort for _, last_resort in (*singles, second)] == [False] * KEY_SETS + [True]
        assert second != first
        # Only when it is due.
        await renew_key_sets(core)
        assert await _handed_out(alice, bob, 1) == [second]
        assert len(core.state.key_sets) == 3 + 1 + KEY_SETS + 1


async def test_connecting_renews_them(service: Running, clock: Clock) -> None:
    async with _somebody(service, clock, "alice") as alice, _somebody(service, clock, "bob") as bob:
        *_, first = await _handed_out(alice, bob, 4)
        clock.now += KEY_RENEWAL
        async with _connected(bob):
            # It begins when it is connected; until it is done, the last resort is the old one.
            handed_out = [first]
            for _ in range(1000):
                if handed_out != [first]:
                    break
                handed_out = await _handed_out(alice, bob, 1)
        assert [last_resort for _, last_resort in handed_out] == [False]


async def test_what_was_replaced_can_still_be_used(service: Running, clock: Clock) -> None:
    """Somebody has fetched the old last resort, and adds bob by it after he has published another."""
    async with _somebody(service, clock, "alice") as alice, _somebody(service, clock, "bob") as bob:
        await _handed_out(alice, bob, 3)
        group_id = (await alice.client.create_group()).group_id
        await alice.client.fetch_key_bundles(bob.identity)
        clock.now += KEY_RENEWAL
        await renew_key_sets(bob.client._core)
        await alice.client.add(group_id, bob.identity)
        async with _connected(bob):
            await bob.told(GroupJoined, group_id=group_id)
            await alice.client.send(group_id, b"hello")
            await bob.told(MessageReceived, data=b"hello")


async def test_private_keys_of_what_expired_are_erased(service: Running, clock: Clock) -> None:
    async with _somebody(service, clock, "bob") as bob:
        state = bob.client._core.state
        assert len(state.key_sets) == 4
        until = clock.now + KEY_LIFETIME + KEYS_KEPT
        assert state.forgetting(until - 1) is state
        assert state.forgetting(until).key_sets == ()
