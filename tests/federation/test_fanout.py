"""Client fanout and server fanout, alone and mixed, between three delivery services that are processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mls_federation.client import DeliveryFailed, Fanout, GroupJoined, MessageReceived, Sent
from mls_federation.errors import ServiceError, StateError
from tests.support.services import Person, Service, person, services_running, unique, unregistered

pytestmark = pytest.mark.anyio

DOMAINS = ("a.example", "b.example", "c.example")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """Of three domains that know each other's addresses."""
    with services_running(tmp_path_factory.mktemp("fanout")) as running:
        yield running


@pytest.fixture(autouse=True)
def all_services_run(services: dict[str, Service]) -> None:
    """Whatever the test before has done to them."""
    for service in services.values():
        if not service.is_running:
            service.start()


@asynccontextmanager
async def people(
    services: Mapping[str, Service], modes: Mapping[str, Fanout]
) -> AsyncIterator[dict[str, Person]]:
    """Somebody of each domain named, who sends by that fanout; in server fanout they know their own service alone."""
    async with AsyncExitStack() as stack:
        found = {}
        for domain, mode in modes.items():
            known = {
                name: service.url
                for name, service in services.items()
                if mode is Fanout.client or name == domain
            }
            somebody = await stack.enter_async_context(person(unique("somebody", domain), known))
            await somebody.client.set_fanout(mode)
            found[domain] = somebody
        yield found


async def group_of(creator: Person, *others: Person) -> bytes:
    """A group that one makes, and the others are added to, one by one."""
    group_id = (await creator.client.create_group(ordering="members")).group_id
    for other in others:
        await creator.client.add(group_id, other.identity)
        await other.told(GroupJoined)
    return group_id


def ways(sent: Sent) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What became of a message, by the recipient's domain."""
    return {each.identity.partition("@")[2]: (each.status, each.via) for each in sent.deliveries}


@pytest.mark.parametrize(
    "modes",
    [
        (Fanout.client, Fanout.client, Fanout.client),
        (Fanout.server, Fanout.server, Fanout.server),
        (Fanout.server, Fanout.client, Fanout.server),
    ],
    ids=["client", "server", "mixed"],
)
async def test_a_group_over_three_domains(services: dict[str, Service], modes: tuple[Fanout, ...]) -> None:
    async with people(services, dict(zip(DOMAINS, modes, strict=True))) as them:
        everybody = list(them.values())
        group_id = await group_of(*everybody)
        for sender, mode in zip(everybody, modes, strict=True):
            own = sender.identity.partition("@")[2]
            for number in range(3):
                sent = await sender.client.send(group_id, f"{own} {number}".encode())
                assert ways(sent) == {
                    other: ("accepted", (other,)) if mode is Fanout.client else ("relayed", (own, other))
                    for other in DOMAINS
                    if other != own
                }
        for somebody in everybody:
            for other in everybody:
                if other is somebody:
                    continue
                for number in range(3):
                    domain = other.identity.partition("@")[2]
                    await somebody.told(MessageReceived, data=f"{domain} {number}".encode())
            assert [event for event in somebody.events if isinstance(event, MessageReceived)] == []


async def test_messages_come_in_order(services: dict[str, Service]) -> None:
    async with people(services, dict.fromkeys(DOMAINS[:2], Fanout.server)) as them:
        alice, bob = them.values()
        group_id = await group_of(alice, bob)
        sent = [b"%d" % number for number in range(30)]
        for data in sent:
            await alice.client.send(group_id, data)
        await bob.told(MessageReceived, data=sent[-1])
        received = [event.data for event in bob.events if isinstance(event, MessageReceived)]
        assert received == sent[:-1]


async def test_in_server_fanout_nobody_needs_another_address(services: dict[str, Service]) -> None:
    async with people(services, {"a.example": Fanout.server, "b.example": Fanout.client}) as them:
        alice, bob = them.values()
        (bundle,) = (await alice.client.fetch_key_bundles(bob.identity)).bundles
        assert bundle.identity == bob.identity
        await alice.client.set_fanout(Fanout.client)
        with pytest.raises(StateError) as caught:
            await alice.client.fetch_key_bundles(bob.identity)
        assert caught.value.code == "unknown-domain"


async def test_an_error_of_the_other_domain_comes_through(services: dict[str, Service]) -> None:
    async with people(services, {"a.example": Fanout.server}) as them:
        (alice,) = them.values()
        with pytest.raises(ServiceError) as caught:
            await alice.client.fetch_key_bundles("nobody@b.example")
        assert (caught.value.code, caught.value.status) == ("unknown-identity", 404)
        with pytest.raises(ServiceError) as caught:
            await alice.client.fetch_key_bundles("nobody@nowhere.invalid")
        assert (caught.value.code, caught.value.status) == ("peer-unreachable", 502)


async def test_the_other_service_is_away_and_comes_back(services: dict[str, Service]) -> None:
    async with people(services, dict.fromkeys(DOMAINS, Fanout.server)) as them:
        alice, bob, carol = them.values()
        group_id = await group_of(alice, bob, carol)
        services["b.example"].kill()
        for number in range(5):
            sent = await alice.client.send(group_id, b"%d" % number)
            assert {status for status, _ in ways(sent).values()} == {"relayed"}
        await carol.told(MessageReceived, data=b"4")  # b.example holds up nobody else
        services["b.example"].start()
        await bob.told(MessageReceived, data=b"4")
        assert [event.data for event in bob.events if isinstance(event, MessageReceived)] == [
            b"0",
            b"1",
            b"2",
            b"3",
        ]


async def test_the_sending_service_is_killed_after_it_has_accepted(services: dict[str, Service]) -> None:
    async with people(services, dict.fromkeys(DOMAINS[:2], Fanout.server)) as them:
        alice, bob = them.values()
        group_id = await group_of(alice, bob)
        services["b.example"].kill()
        for number in range(3):
            sent = await alice.client.send(group_id, b"%d" % number)
            assert ways(sent) == {"b.example": ("relayed", ("a.example", "b.example"))}
        services["a.example"].kill()
        services["b.example"].start()
        services["a.example"].start()
        await bob.told(MessageReceived, data=b"2")
        assert [event.data for event in bob.events if isinstance(event, MessageReceived)] == [b"0", b"1"]


async def test_our_own_service_is_away(services: dict[str, Service]) -> None:
    async with people(services, dict.fromkeys(DOMAINS[:2], Fanout.server)) as them:
        alice, bob = them.values()
        group_id = await group_of(alice, bob)
        services["a.example"].kill()
        assert ways(await alice.client.send(group_id, b"later")) == {"b.example": ("pending", ())}
        services["a.example"].start()
        await bob.told(MessageReceived, data=b"later")


async def test_the_fanout_is_changed_while_messages_wait(services: dict[str, Service]) -> None:
    async with people(services, dict.fromkeys(DOMAINS[:2], Fanout.client)) as them:
        alice, bob = them.values()
        group_id = await group_of(alice, bob)
        services["b.example"].kill()
        assert ways(await alice.client.send(group_id, b"later")) == {"b.example": ("pending", ())}
        await alice.client.set_fanout(Fanout.server)
        (delivery,) = await alice.client.flush() or [None]
        assert delivery is None or delivery.status == "relayed"
        services["b.example"].start()
        await bob.told(MessageReceived, data=b"later")
        assert alice.client.waiting == ()


@pytest.fixture
def narrow_services(tmp_path: Path) -> Iterator[dict[str, Service]]:
    """Of two domains, where an inbox holds three messages."""
    config = tmp_path / "limits.toml"
    config.write_text("[limits]\ninbox_messages = 3\n")
    services = {domain: Service(domain, tmp_path, "--config", str(config)) for domain in DOMAINS[:2]}
    for domain, other in (DOMAINS[:2], DOMAINS[1::-1]):
        services[domain].options.append(f"--peer={other}={services[other].url}")
    try:
        for service in services.values():
            service.start()
        yield services
    finally:
        for service in services.values():
            service.stop()


@pytest.mark.parametrize("mode", Fanout)
async def test_a_full_inbox_holds_up_only_its_owner_and_loses_nothing(
    narrow_services: dict[str, Service], mode: Fanout
) -> None:
    urls = {domain: service.url for domain, service in narrow_services.items()}
    async with (
        person(unique("alice", "a.example"), urls) as alice,
        person(unique("carol", "b.example"), urls) as carol,
        unregistered(unique("bob", "b.example"), urls) as bob,
    ):
        await alice.client.set_fanout(mode)
        await bob.client.register()
        group_id = await group_of(alice, carol)
        await alice.client.add(group_id, bob.identity)  # he is not there to read it
        sent = [b"%d" % number for number in range(6)]
        for data in sent:
            await alice.client.send(group_id, data)
        for data in sent:
            await carol.told(MessageReceived, data=data)
        receiving = asyncio.create_task(bob.client.run())
        try:
            await bob.told(MessageReceived, data=sent[-1])
            received = [event.data for event in bob.events if isinstance(event, MessageReceived)]
            assert received == sent[:-1]
            await alice.client.flush()
            assert alice.client.waiting == ()
        finally:
            await bob.client.close()
            receiving.cancel()
            await asyncio.wait([receiving])


async def test_a_sender_is_told_what_another_domain_refuses(
    narrow_services: dict[str, Service], tmp_path: Path
) -> None:
    async with people(narrow_services, dict.fromkeys(DOMAINS[:2], Fanout.server)) as them:
        alice, bob = them.values()
        group_id = await group_of(alice, bob)
        denying = tmp_path / "denying.toml"
        denying.write_text('[federation]\npolicy = "deny"\ndomains = ["a.example"]\n')
        narrow_services["b.example"].stop()
        narrow_services["b.example"].options += ["--config", str(denying)]
        narrow_services["b.example"].start()
        (delivery,) = (await alice.client.send(group_id, b"is anybody there?")).deliveries
        assert (delivery.identity, delivery.status) == (bob.identity, "relayed")
        failed = await alice.told(DeliveryFailed)
        assert failed == DeliveryFailed(delivery.message_id, bob.identity, "refused")
