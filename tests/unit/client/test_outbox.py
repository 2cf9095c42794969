"""The outbox's lanes: side by side, each in order, none in another's way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from mls_federation.browser.concurrency import gather
from mls_federation.client import (
    Client,
    Connection,
    DeliveryFailed,
    DeliveryService,
    Event,
    Ports,
    Response,
    Sent,
)
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import TransportError, UsageError
from mls_federation.federation.binding import (
    RecipientResult,
    RecipientStatus,
    ServiceDescription,
    SubmitRequest,
    SubmitResponse,
)
from mls_federation.storage import MemoryStorage
from tests.support.network import NOW, Peer, group_of

pytestmark = [pytest.mark.anyio, pytest.mark.cpython_only]

_PATHS = {
    name: f"/{name}"
    for name in ("challenge", "sessions", "key_sets", "bundles", "messages", "inbox", "outgoing", "proxy")
}
Answer = Callable[[str, SubmitRequest], Awaitable[dict[str, RecipientStatus]]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Network:
    """A transport on which only messages travel.

    Attributes:
        asked: domain and message id of each submission.
        answer: what becomes of one, by recipient; who is not named there has accepted it.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, SubmitRequest]] = []
        self.answer: Answer = self.accept

    async def accept(self, _domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        """Everybody has it."""
        return {}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Response:
        """The answer of the domain that the URL names."""
        domain = url.removeprefix("https://").partition("/")[0]
        assert url.endswith("/messages")
        request = SubmitRequest.decode(body)
        self.asked.append((domain, request))
        statuses = await self.answer(domain, request)
        results = tuple(
            RecipientResult(
                identity=identity, status=statuses.get(identity.decode(), RecipientStatus.accepted)
            )
            for identity in request.recipients
        )
        return Response(200, {}, SubmitResponse(results=results).encode())

    async def connect(self, url: str) -> Connection:
        """There is no inbox."""
        raise TransportError(f"{url} could not be reached")


class Alice:
    """A client in a group with bob, of b.example, and carol and cleo, of c.example."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.network, self.events, self.now = Network(), list[Event](), NOW
        self.failed = asyncio.Event()
        peers = [Peer(provider, name) for name in ("alice@a.example", "bob@b.example")]
        peers += [Peer(provider, name) for name in ("carol@c.example", "cleo@c.example")]
        self.group_id = group_of(*peers)
        ports = Ports(
            transport=self.network,
            storage=MemoryStorage(),
            provider=provider,
            now=lambda: self.now,
            sleep=asyncio.sleep,
            new_lock=asyncio.Lock,
            new_event=asyncio.Event,
            gather=gather,
        )
        self.client = Client(peers[0].state, ports, self.on_event)
        self.client.use_services(
            {
                domain: DeliveryService(
                    f"https://{domain}", ServiceDescription(domain, (1,), bytes(32), _PATHS, {})
                )
                for domain in ("a.example", "b.example", "c.example")
            }
        )

    def on_event(self, event: Event) -> None:
        """Note what happened."""
        self.events.append(event)
        if isinstance(event, DeliveryFailed):
            self.failed.set()

    async def send(self, data: bytes = b"hello") -> Sent:
        """Send to everybody."""
        return await self.client.send(self.group_id, data)


@pytest.fixture
def alice(provider: CryptoProvider) -> Alice:
    return Alice(provider)


def statuses(sent: Sent) -> dict[str, str]:
    """What became of a message, by the recipient's name."""
    return {each.identity.partition("@")[0]: each.status for each in sent.deliveries}


async def test_domains_are_asked_at_the_same_time(alice: Alice) -> None:
    met = {"b.example": asyncio.Event(), "c.example": asyncio.Event()}

    async def wait_for_each_other(domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        met[domain].set()
        for event in met.values():
            await event.wait()  # for ever, if one is asked after the other
        return {}

    alice.network.answer = wait_for_each_other
    async with asyncio.timeout(30):
        sent = await alice.send()
    assert {(each.identity, each.status, each.via) for each in sent.deliveries} == {
        ("bob@b.example", "accepted", ("b.example",)),
        ("carol@c.example", "accepted", ("c.example",)),
        ("cleo@c.example", "accepted", ("c.example",)),
    }


async def test_a_domain_that_is_away_is_not_waited_for_each_time(alice: Alice) -> None:
    async def away(domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        if domain == "b.example":
            raise TransportError("nobody there")
        return {}

    alice.network.answer = away
    for _ in range(4):
        assert statuses(await alice.send()) == {"bob": "pending", "carol": "accepted", "cleo": "accepted"}
    asked = [domain for domain, _ in alice.network.asked]
    assert (asked.count("b.example"), asked.count("c.example")) == (2, 4)
    alice.network.answer = alice.network.accept
    alice.now += 1000
    await alice.send()
    assert alice.client.waiting == ()


async def test_what_is_for_a_full_inbox_waits_in_order(alice: Alice) -> None:
    full = {"carol@c.example": RecipientStatus.inbox_full}

    async def answer(_domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        return full

    alice.network.answer = answer
    first = await alice.send(b"first")
    assert statuses(first) == {"bob": "accepted", "carol": "inbox_full", "cleo": "accepted"}
    second = await alice.send(b"second")
    assert statuses(second) == {"bob": "accepted", "carol": "pending", "cleo": "accepted"}
    assert [entry.recipients for entry in alice.client.waiting] == [("carol@c.example",)] * 2
    full.clear()
    alice.network.asked.clear()
    deliveries = await alice.client.flush()
    assert [each.status for each in deliveries] == ["accepted", "accepted"]
    assert [request.message_id for _, request in alice.network.asked] == [
        first.deliveries[0].message_id,
        second.deliveries[0].message_id,
    ]
    assert alice.client.waiting == ()


async def test_what_fails_later_is_told(alice: Alice) -> None:
    async def away(_domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        raise TransportError("nobody there")

    alice.network.answer = away
    sent = await alice.send()
    assert set(statuses(sent).values()) == {"pending"}

    async def unknown(_domain: str, _request: SubmitRequest) -> dict[str, RecipientStatus]:
        return {"bob@b.example": RecipientStatus.unknown}

    alice.network.answer = unknown
    alice.now += 1000
    running = asyncio.create_task(alice.client.run())
    async with asyncio.timeout(30):
        await alice.failed.wait()
    await alice.client.close()
    running.cancel()
    await asyncio.wait([running])
    failed = [event for event in alice.events if isinstance(event, DeliveryFailed)]
    assert failed == [DeliveryFailed(sent.deliveries[0].message_id, "bob@b.example", "unknown")]


async def test_the_fanout_is_one_of_two(alice: Alice) -> None:
    assert alice.client.fanout.value == "client"
    await alice.client.set_fanout("server")
    assert alice.client.fanout.value == "server"
    with pytest.raises(UsageError, match='"client" or "server"'):
        await alice.client.set_fanout("both")
