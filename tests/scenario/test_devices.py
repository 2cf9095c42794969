"""Several devices of one person: admitted by one that is there, in groups together, and gone when they are revoked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response

from mls_federation.client import ConnectionChanged, EpochChanged, GroupJoined, MessageReceived
from mls_federation.errors import MLSError, ServiceError, StateError, ValidationError, VerificationError
from tests.support.services import (
    PATIENCE,
    Addresses,
    Person,
    Proxy,
    person,
    proxy_before,
    unique,
    unregistered,
)


@contextlib.asynccontextmanager
async def receiving(somebody: Person) -> AsyncIterator[asyncio.Task[None]]:
    """Receive, until the context ends."""
    task = asyncio.create_task(somebody.client.run())
    await somebody.told(ConnectionChanged, state="connected")
    try:
        yield task
    finally:
        await somebody.client.close()
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def another_device(
    first: Person, addresses: Addresses, **changed: str
) -> AsyncIterator[tuple[Person, asyncio.Task[None]]]:
    """A device that `first` has admitted, connected; and its receiving."""
    async with unregistered(first.identity, addresses.but(**changed)) as other:
        with pytest.raises(StateError) as caught:
            await other.client.register()
        assert caught.value.code == "not-admitted"
        assert await first.client.admit_device(other.client.device_request()) == client_id(other)
        await other.client.register()
        async with receiving(other) as task:
            yield other, task


def client_id(somebody: Person) -> bytes:
    return somebody.client.account.client_id


async def friends(alice: Person, bob: Person) -> bytes:
    """A group of two."""
    group_id = (await alice.client.create_group(ordering="members")).group_id
    await alice.client.add(group_id, bob.identity)
    await bob.told(GroupJoined, group_id=group_id)
    return group_id


def members(somebody: Person, group_id: bytes) -> list[tuple[str, bytes]]:
    return sorted(
        (member.identity, member.identity_key) for member in somebody.client.group_details(group_id).members
    )


async def test_a_second_device(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        another_device(phone, addresses) as (laptop, _),
    ):
        group_id = await friends(phone, bob)
        # Bob has a group with the device that was there; now he adds those that are missing.
        await bob.client.add(group_id, phone.identity)
        await laptop.told(GroupJoined, group_id=group_id)
        await phone.told(EpochChanged, epoch=2, added=(phone.identity,))
        assert members(laptop, group_id) == members(phone, group_id) == members(bob, group_id)
        assert len({key for _, key in members(bob, group_id)}) == 3

        await bob.client.send(group_id, b"to both")
        for device in (phone, laptop):
            await device.told(MessageReceived, sender=bob.identity, data=b"to both")
        await laptop.client.send(group_id, b"from the laptop")
        for other in (phone, bob):
            await other.told(MessageReceived, sender=phone.identity, data=b"from the laptop")

        for somebody in (bob, phone, laptop):
            with pytest.raises(StateError) as caught:
                await somebody.client.add(group_id, phone.identity)
            assert caught.value.code == "already-member"


async def test_ones_own_new_device_is_added(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(phone, bob)
        async with another_device(phone, addresses) as (laptop, _):
            await phone.client.add(group_id, phone.identity)
            await laptop.told(GroupJoined, group_id=group_id)
            await bob.told(EpochChanged, added=(phone.identity,))
            await laptop.client.send(group_id, b"here I am")
            for other in (phone, bob):
                await other.told(MessageReceived, data=b"here I am")


async def test_both_devices_of_somebody_are_added_at_once(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        another_device(phone, addresses) as (laptop, _),
        another_device(laptop, addresses) as (tablet, _),
    ):
        devices = await tablet.client.devices()
        assert {device.client_id for device in devices if device.is_active} == {
            client_id(device) for device in (phone, laptop, tablet)
        }
        assert [device.client_id for device in devices if device.is_self] == [client_id(tablet)]

        group_id = (await bob.client.create_group(ordering="members")).group_id
        await bob.client.add(group_id, phone.identity)
        for device in (phone, laptop, tablet):
            await device.told(GroupJoined, group_id=group_id)
        assert len(members(bob, group_id)) == 4
        await tablet.client.send(group_id, b"hello")
        for other in (phone, laptop, bob):
            await other.told(MessageReceived, sender=phone.identity, data=b"hello")


async def test_a_device_that_is_revoked(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        another_device(phone, addresses) as (laptop, receiving_laptop),
    ):
        group_id = (await bob.client.create_group(ordering="members")).group_id
        await bob.client.add(group_id, phone.identity)
        for device in (phone, laptop):
            await device.told(GroupJoined, group_id=group_id)

        assert await phone.client.revoke_device(client_id(laptop)) == (group_id,)
        with pytest.raises(StateError) as caught:
            await receiving_laptop
        assert caught.value.code == "device-revoked"
        assert await phone.client.revoke_device(client_id(laptop)) == (group_id,)
        assert [(device.client_id, device.is_active) for device in await phone.client.devices()] == [
            (client_id(phone), True),
            (client_id(laptop), False),
        ]

        # It is a member still, but has no keys to be added by again, and may not come back.
        for refused in (
            laptop.client.register(),
            laptop.client.revoke_device(client_id(phone)),
            laptop.client.admit_device(laptop.client.device_request()),
        ):
            with pytest.raises(StateError) as caught:
                await refused
            assert caught.value.code in ("device-revoked", "not-a-device")
        with pytest.raises(ServiceError) as gone:
            await phone.client.admit_device(laptop.client.device_request())
        assert gone.value.code == "revoked-device"

        # Anybody in the group can remove it.
        await bob.client.remove_device(group_id, phone.identity, client_id(laptop))
        await phone.told(EpochChanged, removed=(phone.identity,))
        assert members(phone, group_id) == members(bob, group_id)
        assert len(members(bob, group_id)) == 2
        with pytest.raises(StateError) as caught:
            await bob.client.remove_device(group_id, phone.identity, client_id(laptop))
        assert caught.value.code == "not-a-member"
        await bob.client.send(group_id, b"only to the phone")
        await phone.told(MessageReceived, data=b"only to the phone")


async def test_a_device_that_was_revoked_while_it_was_away(addresses: Addresses) -> None:
    identity = unique("alice", "a.example")
    async with (
        person(identity, addresses.by_domain) as phone,
        unregistered(identity, addresses.by_domain) as laptop,
    ):
        await phone.client.admit_device(laptop.client.device_request())
        await laptop.client.register()
        assert await phone.client.revoke_device(client_id(laptop)) == ()
        with pytest.raises(StateError) as caught:
            await laptop.client.run()
        assert caught.value.code == "device-revoked"


async def test_the_first_device_goes(addresses: Addresses) -> None:
    """The others go on, and what they show in groups is still traced to it."""
    async with (
        unregistered(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        await phone.client.register()
        async with another_device(phone, addresses) as (laptop, _):
            await _goes(phone, laptop, bob, addresses)


async def _goes(phone: Person, laptop: Person, bob: Person, addresses: Addresses) -> None:
    await laptop.client.revoke_device(client_id(phone))
    with pytest.raises(ServiceError) as caught:
        await laptop.client.revoke_device(client_id(laptop))
    assert caught.value.code == "last-device"
    async with another_device(laptop, addresses) as (tablet, _):
        group_id = await friends(tablet, bob)
        await bob.client.add(group_id, phone.identity)
        await laptop.told(GroupJoined, group_id=group_id)
        assert len(members(bob, group_id)) == 3


async def test_two_devices_admit_at_the_same_time(addresses: Addresses) -> None:
    """One of them comes too late, and does it again by itself."""
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        another_device(phone, addresses) as (laptop, _),
        contextlib.AsyncExitStack() as stack,
    ):
        new = [
            await stack.enter_async_context(unregistered(phone.identity, addresses.by_domain))
            for _ in range(6)
        ]
        hosts = [phone.client, laptop.client]
        await asyncio.gather(
            *(hosts[place % 2].admit_device(one.client.device_request()) for place, one in enumerate(new))
        )
        for one in new:
            await one.client.register()
        assert len(await phone.client.devices()) == 8


async def test_requests_that_are_not_admitted(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        request = bob.client.device_request()
        wrong: list[tuple[str, type[MLSError], str]] = [
            ("", ValidationError, "bad-device-request"),
            ("what is this?", ValidationError, "bad-device-request"),
            (request[:-8], ValidationError, "bad-device-request"),
            (request, ValidationError, "wrong-identity"),
            (request[:-2] + "AA", VerificationError, "bad-signature"),
        ]
        for text, kind, code in wrong:
            with pytest.raises(kind) as caught:
                await phone.client.admit_device(text)
            assert caught.value.code == code
        # One's own: it is there already.
        await phone.client.admit_device(phone.client.device_request())
        assert len(await phone.client.devices()) == 1


async def test_an_answer_that_is_lost(addresses: Addresses) -> None:
    """The service has admitted the device, but nobody hears of it; trying again settles it."""
    async with proxy_before(addresses.by_domain["a.example"]) as proxy:
        identity = unique("alice", "a.example")
        async with (
            person(identity, addresses.but(a=proxy.url)) as phone,
            unregistered(identity, addresses.by_domain) as laptop,
        ):
            request = laptop.client.device_request()
            _lose_next_answer(proxy, "/v1/devices")
            with pytest.raises(ServiceError):
                await phone.client.admit_device(request)
            await phone.client.admit_device(request)
            await laptop.client.register()
            assert len(await phone.client.devices()) == 2


def _lose_next_answer(proxy: Proxy, path: str) -> None:
    """The request goes through; what comes back is a proxy's complaint."""

    def lose(asked: str, response: Response) -> Response:
        if asked != path:
            return response
        proxy.change = lambda _, unchanged: unchanged
        return Response("gone", 502)

    proxy.change = lose


async def test_a_device_that_only_receives_learns_who_has_admitted_it(addresses: Addresses) -> None:
    """It has not registered, but the service says that it has no keys there, so it publishes some: good ones."""
    identity = unique("alice", "a.example")
    published = asyncio.Event()

    def see(path: str, response: Response) -> Response:
        if path == "/v1/key-sets":
            published.set()
        return response

    async with (
        proxy_before(addresses.by_domain["a.example"]) as proxy,
        person(identity, addresses.by_domain) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        unregistered(identity, addresses.but(a=proxy.url)) as laptop,
    ):
        proxy.change = see
        await phone.client.admit_device(laptop.client.device_request())
        async with receiving(laptop), asyncio.timeout(PATIENCE):
            await published.wait()
            group_id = (await bob.client.create_group()).group_id
            await bob.client.add(group_id, identity)
            for device in (phone, laptop):
                await device.told(GroupJoined, group_id=group_id)
            assert len(members(bob, group_id)) == 3
