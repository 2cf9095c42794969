"""A newcomer lacks the group's cipher suite: the error says so, or the group begins anew in one that all have."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from mls_federation.client import ConnectionChanged, GroupJoined, GroupReinitialized, MessageReceived
from mls_federation.crypto import CipherSuite
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import StateError
from mls_federation.federation.negotiation import NoCommonSuite
from tests.support.services import Person, Service, person, services_running, unique, unregistered

pytestmark = pytest.mark.anyio

FIRST = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
SECOND = CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
THIRD = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


class Only(PycaProvider):
    """Has some of the cipher suites."""

    def __init__(self, *suites: CipherSuite) -> None:
        super().__init__()
        self._suites = suites

    def supports(self, cipher_suite: CipherSuite) -> bool:
        """Whether it has a suite."""
        return cipher_suite in self._suites


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    with services_running(tmp_path_factory.mktemp("reinitialization")) as running:
        yield running


@contextlib.asynccontextmanager
async def limited(domain: str, services: Mapping[str, str], *suites: CipherSuite) -> AsyncIterator[Person]:
    """Somebody who has only some of the cipher suites, registered and connected."""
    async with unregistered(unique("limited", domain), services, Only(*suites)) as somebody:
        await somebody.client.register()
        running = asyncio.create_task(somebody.client.run())
        await somebody.told(ConnectionChanged, state="connected")
        try:
            yield somebody
        finally:
            await somebody.client.close()
            running.cancel()
            await asyncio.wait([running])


@pytest.fixture
def urls(services: dict[str, Service]) -> dict[str, str]:
    return {domain: service.url for domain, service in services.items()}


async def test_a_group_begins_anew_for_a_newcomer(urls: dict[str, str]) -> None:
    async with (
        person(unique("alice", "a.example"), urls) as alice,
        person(unique("bob", "b.example"), urls) as bob,
        limited("c.example", urls, THIRD, SECOND) as carol,
    ):
        old_id = (await alice.client.create_group()).group_id
        await alice.client.add(old_id, bob.identity)
        await bob.told(GroupJoined)
        with pytest.raises(NoCommonSuite) as refused:
            await alice.client.add(old_id, carol.identity)
        assert {client.identity for client in refused.value.clients} == {
            alice.identity,
            bob.identity,
            carol.identity,
        }
        assert "0x0003" in str(refused.value)
        await alice.client.add(old_id, carol.identity, reinit=True)
        new_id = (await bob.told(GroupReinitialized, old_group_id=old_id)).group_id
        assert (await alice.told(GroupReinitialized)).group_id == new_id
        await carol.told(GroupJoined, group_id=new_id)
        assert alice.client.group_details(new_id).cipher_suite == THIRD
        # Who names the old group means the new one.
        await alice.client.send(old_id, b"here we are")
        for somebody in (bob, carol):
            heard = await somebody.told(MessageReceived)
            assert (heard.group_id, heard.data) == (new_id, b"here we are")
        # And everybody can change it.
        await bob.client.update(new_id)
        await carol.client.update(new_id)
        await carol.client.send(new_id, b"so we are")
        assert (await alice.told(MessageReceived)).data == b"so we are"


async def test_a_member_of_another_domain_than_the_service_begins_it_anew(urls: dict[str, str]) -> None:
    """The service learns of the new group from a member of its own."""
    async with (
        person(unique("alice", "a.example"), urls) as alice,
        person(unique("bob", "b.example"), urls) as bob,
        limited("c.example", urls, THIRD) as carol,
    ):
        old_id = (await alice.client.create_group()).group_id
        await alice.client.add(old_id, bob.identity)
        await bob.told(GroupJoined)
        await bob.client.add(old_id, carol.identity, reinit=True)
        new_id = (await alice.told(GroupReinitialized, old_group_id=old_id)).group_id
        await carol.told(GroupJoined, group_id=new_id)
        await carol.client.update(new_id)
        await carol.client.send(new_id, b"hello")
        for somebody in (alice, bob):
            assert (await somebody.told(MessageReceived)).data == b"hello"


async def test_nobody_has_a_suite_in_common(urls: dict[str, str]) -> None:
    async with (
        limited("a.example", urls, FIRST) as alice,
        limited("c.example", urls, SECOND) as carol,
    ):
        group_id = (await alice.client.create_group()).group_id
        for reinit in (False, True):
            with pytest.raises(NoCommonSuite) as refused:
                await alice.client.add(group_id, carol.identity, reinit=reinit)
            assert len(refused.value.clients) == 2
        await alice.client.update(group_id)


async def test_where_members_order_a_group_stays_what_it_is(urls: dict[str, str]) -> None:
    async with (
        person(unique("alice", "a.example"), urls) as alice,
        limited("c.example", urls, SECOND) as carol,
    ):
        group_id = (await alice.client.create_group(ordering="members")).group_id
        with pytest.raises(StateError) as refused:
            await alice.client.add(group_id, carol.identity, reinit=True)
        assert refused.value.code == "needs-ordering-service"
