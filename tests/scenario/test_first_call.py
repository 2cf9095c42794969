"""The first call: people on three delivery services fetch each other's keys, talk, and have keys for their media."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mls_federation.client import EpochChanged, GroupJoined, MessageReceived, MessageRefused, RemovedFromGroup
from mls_federation.client.account import PREFERRED_SUITES
from mls_federation.client.delivery_service import find_service, submit
from mls_federation.client.state import Outgoing
from mls_federation.crypto import CipherSuite
from mls_federation.errors import EpochError, StateError
from mls_federation.federation.binding import RecipientStatus
from mls_federation.io import HttpTransport
from mls_federation.media import SrtpProfile
from tests.support.services import Addresses, Person, person, proxy_before, unique


async def invited(host: Person, group_id: bytes, guest: Person) -> None:
    """Add somebody, and wait until they are in."""
    sent = await host.client.add(group_id, guest.identity)
    assert {"accepted"} == {delivery.status for delivery in sent.deliveries}
    await guest.told(GroupJoined, group_id=group_id)


async def test_the_whole_first_call(addresses: Addresses) -> None:
    services = addresses.by_domain
    async with (
        person(unique("alice", "a.example"), services) as alice,
        person(unique("bob", "b.example"), services) as bob,
        person(unique("carol", "c.example"), services) as carol,
    ):
        [bundle] = (await alice.client.fetch_key_bundles(bob.identity)).bundles
        assert bob.identity == bundle.identity
        assert bob.client.account.identity_key.public_key == bundle.identity_key
        assert bob.client.account.client_id == bundle.client_id
        assert bundle.cipher_suites == PREFERRED_SUITES

        group_id = (await alice.client.create_group()).group_id
        await invited(alice, group_id, bob)
        await bob.client.send(group_id, "salut \N{WAVING HAND SIGN}".encode())
        heard = await alice.told(MessageReceived)
        assert (bob.identity, "salut \N{WAVING HAND SIGN}".encode(), 1) == (
            heard.sender,
            heard.data,
            heard.epoch,
        )

        await invited(bob, group_id, carol)
        assert (carol.identity,) == (await alice.told(EpochChanged, epoch=2)).added
        sent = await carol.client.send(group_id, b"and me")
        assert {alice.identity: "accepted", bob.identity: "accepted"} == {
            delivery.identity: delivery.status for delivery in sent.deliveries
        }
        for listener in (alice, bob):
            assert (await listener.told(MessageReceived, sender=carol.identity)).data == b"and me"

        assert_all_agree(group_id, alice, bob, carol)

        await carol.client.update(group_id)
        for listener in (alice, bob):
            await listener.told(EpochChanged, epoch=3, added=(), removed=())
        assert_all_agree(group_id, alice, bob, carol)

        await alice.client.remove(group_id, bob.identity)
        assert (bob.identity,) == (await carol.told(EpochChanged, epoch=4)).removed
        await bob.told(RemovedFromGroup, group_id=group_id)
        assert_all_agree(group_id, alice, carol)
        with pytest.raises(StateError) as caught:
            await bob.client.send(group_id, b"am I still here?")
        assert caught.value.code == "no-such-group"


def assert_all_agree(group_id: bytes, *members: Person) -> None:
    """On the group, its members, the safety number, and on every sender's keys."""
    seen = [member.client.group_details(group_id) for member in members]
    for details in seen:
        for name in ("group_id", "epoch", "cipher_suite", "safety_number"):
            assert getattr(seen[0], name) == getattr(details, name)
        assert sorted(member.identity for member in members) == sorted(
            shown.identity for shown in details.members
        )
        assert [replace(shown, is_self=False) for shown in seen[0].members] == [
            replace(shown, is_self=False) for shown in details.members
        ]
    for member, details in zip(members, seen, strict=True):
        assert [member.identity] == [shown.identity for shown in details.members if shown.is_self]

    every_key = set()
    for profile in SrtpProfile:
        exported = [member.client.export_srtp_keys(group_id, profile) for member in members]
        assert [exported[0]] * len(members) == exported
        assert [shown.leaf_index for shown in seen[0].members] == [keys.leaf_index for keys in exported[0]]
        every_key |= {keys.master_key[:16] for keys in exported[0]}
    assert 3 * len(members) == len(every_key)
    secrets = {member.client.export_secret(group_id, "test", b"context", 32) for member in members}
    assert len(secrets) == 1


@pytest.mark.parametrize("suite", PREFERRED_SUITES, ids=lambda suite: suite.name)
async def test_every_cipher_suite(addresses: Addresses, suite: CipherSuite) -> None:
    services = addresses.by_domain
    async with (
        person(unique("alice", "a.example"), services) as alice,
        person(unique("bob", "b.example"), services) as bob,
    ):
        # Keys that were fetched for another suite are not used: fresh ones are fetched.
        await alice.client.fetch_key_bundles(bob.identity, PREFERRED_SUITES[::-1])
        details = await alice.client.create_group(suite)
        await invited(alice, details.group_id, bob)
        await bob.client.send(details.group_id, b"hello")
        assert bob.identity == (await alice.told(MessageReceived, data=b"hello")).sender
        assert suite == bob.client.group_details(details.group_id).cipher_suite
        assert_all_agree(details.group_id, alice, bob)


async def test_two_on_one_service(addresses: Addresses) -> None:
    services = {"a.example": addresses.by_domain["a.example"]}
    async with (
        person(unique("alice", "a.example"), services) as alice,
        person(unique("albert", "a.example"), services) as albert,
    ):
        group_id = (await alice.client.create_group()).group_id
        await invited(alice, group_id, albert)
        await albert.client.send(group_id, b"neighbour")
        await alice.told(MessageReceived, data=b"neighbour", sender=albert.identity)


async def test_one_person_invited_twice_at_once(addresses: Addresses) -> None:
    """As by an impatient finger: one of the two fails, and there is one leaf."""
    services = addresses.by_domain
    async with (
        person(unique("alice", "a.example"), services) as alice,
        person(unique("bob", "b.example"), services) as bob,
    ):
        group_id = (await alice.client.create_group()).group_id
        outcomes = await asyncio.gather(
            *(alice.client.add(group_id, bob.identity) for _ in range(2)), return_exceptions=True
        )
        [failure] = [outcome for outcome in outcomes if isinstance(outcome, StateError)]
        assert failure.code == "already-member"
        await bob.told(GroupJoined)
        assert len(alice.client.group_details(group_id).members) == 2
        await bob.client.send(group_id, b"only one of me")
        await alice.told(MessageReceived, data=b"only one of me")


async def test_many_messages_arrive_in_order(addresses: Addresses) -> None:
    services = addresses.by_domain
    async with (
        person(unique("alice", "a.example"), services) as alice,
        person(unique("bob", "b.example"), services) as bob,
    ):
        group_id = (await alice.client.create_group()).group_id
        await invited(alice, group_id, bob)
        for number in range(30):
            await alice.client.send(group_id, b"%d" % number)
            if number % 10 == 9:
                await alice.client.update(group_id)
        await bob.told(MessageReceived, data=b"29")
        assert [b"%d" % number for number in range(29)] == [
            event.data for event in bob.events if isinstance(event, MessageReceived)
        ]
        assert [event for event in bob.events if isinstance(event, MessageRefused)] == []


async def test_somebody_outside_cannot_read_what_is_handed_to_them(addresses: Addresses) -> None:
    """Eve has an inbox and gets the very octets that bob's service got; she is told so, and goes on."""
    services = addresses.by_domain
    async with (
        proxy_before(services["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), services) as bob,
        person(unique("eve", "c.example"), services) as eve,
        HttpTransport() as transport,
    ):
        group_id = (await alice.client.create_group()).group_id
        await invited(alice, group_id, bob)
        await alice.client.send(group_id, b"for bob alone")
        await bob.told(MessageReceived, data=b"for bob alone")
        overheard = proxy.messages[-2:]
        assert all(b"for bob alone" not in message for message in overheard)

        hers = await find_service(transport, "c.example", services["c.example"])
        statuses = []
        for number, message in enumerate(overheard):
            outgoing = Outgoing(b"overheard %06d" % number, "c.example", (eve.identity,), message)
            statuses += [result.status for result in await submit(transport, hers, outgoing)]
        # The Welcome names none of her clients.
        assert statuses == [RecipientStatus.unknown, RecipientStatus.accepted]

        refused = await eve.told(MessageRefused)
        assert (EpochError, "unknown-group", group_id) == (
            type(refused.error),
            refused.error.code,
            refused.group_id,
        )
        assert eve.client.groups == ()
        with pytest.raises(StateError):
            eve.client.export_srtp_keys(group_id, SrtpProfile.AEAD_AES_128_GCM)
        assert [event for event in eve.events if isinstance(event, MessageReceived)] == []

        await invited(alice, group_id, eve)
        await bob.told(EpochChanged, epoch=2)
        await bob.client.send(group_id, b"welcome eve")
        await eve.told(MessageReceived, data=b"welcome eve")
