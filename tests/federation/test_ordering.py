"""A group whose commits a delivery service orders, with real services of three domains."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from starlette.responses import HTMLResponse, Response

from mls_federation.client import (
    BackgroundFailure,
    EpochChanged,
    GroupJoined,
    MessageReceived,
    MessageRefused,
    ThreadLost,
)
from mls_federation.federation.ordering import CommitResponse, MissedCommits
from tests.support.services import Person, Proxy, Service, person, proxy_before, services_running, unique

DOMAINS = ("a.example", "b.example", "c.example")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[dict[str, Service]]:
    with services_running(tmp_path, DOMAINS) as services:
        yield services


@contextlib.asynccontextmanager
async def three(
    services: dict[str, Service], ordering: Literal["service", "members"] = "service", **changed: str
) -> AsyncIterator[tuple[bytes, Person, Person, Person]]:
    """One person of each domain in a group that the first one's service orders, or they themselves.

    Args:
        changed: other addresses of services, by the first letter of their domain.
    """
    urls = {domain: service.url for domain, service in services.items()}
    urls |= {f"{letter}.example": url for letter, url in changed.items()}
    async with contextlib.AsyncExitStack() as stack:
        alice, bob, carol = [
            await stack.enter_async_context(person(unique(name, domain), urls))
            for name, domain in zip(("alice", "bob", "carol"), DOMAINS, strict=True)
        ]
        group_id = (await alice.client.create_group(ordering=ordering)).group_id
        for other in (bob, carol):
            await alice.client.add(group_id, other.identity)
            await other.told(GroupJoined)
        await agreed(group_id, alice, bob, carol)
        yield group_id, alice, bob, carol


async def agreed(group_id: bytes, *people: Person) -> int:
    """Wait until all are in one epoch with nothing pending, and have one safety number; the epoch."""
    async with asyncio.timeout(60):
        while True:
            details = [somebody.client.group_details(group_id) for somebody in people]
            settled = not any(somebody.client.is_behind(group_id) for somebody in people)
            if settled and len({(detail.epoch, detail.safety_number) for detail in details}) == 1:
                return details[0].epoch
            await asyncio.sleep(0.05)


async def all_hear(group_id: bytes, people: Sequence[Person]) -> None:
    """Each says something, and the others read it."""
    for speaker in people:
        await speaker.client.send(group_id, speaker.identity.encode())
        for listener in people:
            if listener is not speaker:
                await listener.told(MessageReceived, sender=speaker.identity, data=speaker.identity.encode())


async def test_commits_at_the_same_time_all_find_their_place(running: dict[str, Service]) -> None:
    async with three(running) as (group_id, *people):
        before = people[0].client.group_details(group_id).epoch
        for _ in range(3):
            await asyncio.gather(*(somebody.client.update(group_id) for somebody in people))
        assert await agreed(group_id, *people) == before + 9
        await all_hear(group_id, people)
        assert not any(isinstance(event, MessageRefused) and not event.held for event in people[0].events)


async def test_a_service_that_is_killed_before_it_answers(running: dict[str, Service]) -> None:
    """The commit was accepted; the same receipt comes when it is asked again."""
    async with (
        proxy_before(running["a.example"].url) as proxy,
        three(running, a=proxy.url) as (group_id, alice, bob, carol),
    ):
        before = await agreed(group_id, alice, bob, carol)
        answered = losing_answers(proxy, "/v1/commits")
        sent = await bob.client.update(group_id)
        assert sent.deliveries == ()
        running["a.example"].kill()
        answered.clear()
        proxy.change = lambda _, response: response
        running["a.example"].start()
        assert await agreed(group_id, alice, bob, carol) == before + 1
        await all_hear(group_id, (alice, bob, carol))


def losing_answers(proxy: Proxy, path: str) -> list[Response]:
    """Let answers of an end point get lost on their way, though the service has given them."""
    lost: list[Response] = []

    def change(asked: str, response: Response) -> Response:
        if asked != path:
            return response
        lost.append(response)
        return HTMLResponse("<h1>Bad gateway</h1>", 502)

    proxy.change = change
    return lost


async def test_a_commit_that_was_ordered_and_reaches_nobody(running: dict[str, Service]) -> None:
    """Its maker is cut off between receipt and fanout. The others ask the service when they notice."""
    async with (
        proxy_before(running["c.example"].url) as proxy,
        three(running) as (group_id, alice, bob, carol),
    ):
        before = await agreed(group_id, alice, bob, carol)
        await bob.client.set_delivery_service("c.example", proxy.url)
        proxy.answer = HTMLResponse("<h1>Bad gateway</h1>", 502)
        await bob.client.update(group_id)
        # What carol commits next was made from an epoch that is over.
        await carol.client.update(group_id)
        assert await agreed(group_id, alice, carol) == before + 2
        proxy.answer = None
        await bob.client.flush()
        assert await agreed(group_id, alice, bob, carol) == before + 2


async def test_commits_that_somebody_withholds_are_asked_for(running: dict[str, Service]) -> None:
    """All that carol gets is a message of an epoch that she does not know."""
    async with (
        proxy_before(running["c.example"].url) as proxy,
        three(running) as (group_id, alice, bob, carol),
    ):
        before = await agreed(group_id, alice, bob, carol)
        await alice.client.set_delivery_service("c.example", proxy.url)
        proxy.answer = Response(status_code=502)
        await alice.client.update(group_id)
        await bob.told(EpochChanged, epoch=before + 1)
        await bob.client.send(group_id, b"of the epoch that carol lacks")
        await carol.told(MessageReceived, data=b"of the epoch that carol lacks")
        assert await agreed(group_id, alice, bob, carol) == before + 1


async def test_the_service_is_away_for_a_while(running: dict[str, Service]) -> None:
    """The commit waits, messages go on; and nobody else's commit is lost either."""
    async with three(running) as (group_id, alice, bob, carol):
        before = await agreed(group_id, alice, bob, carol)
        running["a.example"].kill()
        await bob.client.update(group_id)
        await bob.told(BackgroundFailure)
        await bob.client.send(group_id, b"meanwhile")
        await carol.told(MessageReceived, data=b"meanwhile")
        running["a.example"].start()
        assert await agreed(group_id, alice, bob, carol) == before + 1
        await all_hear(group_id, (alice, bob, carol))


async def test_ordering_is_handed_over(running: dict[str, Service]) -> None:
    async with three(running) as (group_id, *people):
        await agreed(group_id, *people)
        await people[2].client.move_ordering(group_id, "c.example")
        await agreed(group_id, *people)
        running["a.example"].stop()
        before = people[1].client.group_details(group_id).epoch
        await asyncio.gather(people[1].client.update(group_id), people[2].client.update(group_id))
        assert await agreed(group_id, *people[1:]) == before + 2
        running["a.example"].start()
        assert await agreed(group_id, *people) == before + 2


async def test_who_lost_the_thread_comes_back(running: dict[str, Service]) -> None:
    """The service says that what carol has missed is gone."""
    async with (
        proxy_before(running["a.example"].url) as proxy,
        three(running, a=proxy.url) as (group_id, alice, bob, carol),
    ):
        before = await agreed(group_id, alice, bob, carol)

        def forgetful(path: str, response: Response) -> Response:
            if path == "/v1/commits" and response.status_code == 200:
                answer = CommitResponse.decode(response.body)
                if isinstance(answer.result, MissedCommits):
                    gone = MissedCommits(current_epoch=answer.result.current_epoch, commits=())
                    body = CommitResponse(status=answer.status, result=gone).encode()
                    return Response(body, media_type=response.media_type)
            return response

        proxy.change = forgetful
        running["c.example"].kill()
        await alice.client.update(group_id)
        await carol.client.update(group_id)
        await carol.told(ThreadLost)
        proxy.change = lambda _, response: response
        running["c.example"].start()
        assert await agreed(group_id, alice, bob, carol) > before + 1
        assert len(alice.client.group_details(group_id).members) == 3
        await all_hear(group_id, (alice, bob, carol))


async def test_coming_back_by_hand(running: dict[str, Service]) -> None:
    async with three(running) as (group_id, alice, bob, carol):
        before = await agreed(group_id, alice, bob, carol)
        await carol.client.rejoin(group_id)
        assert await agreed(group_id, alice, bob, carol) == before + 1
        await all_hear(group_id, (alice, bob, carol))


async def test_members_that_order_commits_themselves_converge(running: dict[str, Service]) -> None:
    """All commit at once, again and again, and say something meanwhile: nobody's commit or message is lost."""
    urls = {domain: service.url for domain, service in running.items()}
    async with (
        three(running, "members") as (group_id, *people),
        person(unique("dave", "a.example"), urls) as dave,
    ):
        for number in range(3):
            work = [somebody.client.update(group_id) for somebody in people]
            work += [somebody.client.send(group_id, b"%d" % number) for somebody in people]
            await asyncio.gather(*work)
        await asyncio.gather(people[0].client.add(group_id, dave.identity), people[1].client.update(group_id))
        await dave.told(GroupJoined)
        await agreed(group_id, *people, dave)
        for listener in people:
            for speaker in people:
                if speaker is not listener:
                    for number in range(3):
                        await listener.told(MessageReceived, sender=speaker.identity, data=b"%d" % number)
        assert not any(isinstance(event, MessageReceived) for somebody in people for event in somebody.events)
        await all_hear(group_id, [*people, dave])
