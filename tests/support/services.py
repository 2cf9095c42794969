"""Delivery services as processes, people who use them, and what may stand between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from mls_federation.client import Client, ConnectionChanged, Event, Ports, new_client
from mls_federation.crypto import CryptoProvider
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation.binding import WELL_KNOWN_PATH, SubmitRequest
from mls_federation.io import HttpTransport, connected_client
from mls_federation.io.concurrency import gather
from mls_federation.storage import MemoryStorage
from tests.support.ending import EndingServer

HOST = "127.0.0.1"
# Long enough for a machine that has much else to do; only a test that fails waits for so long.
PATIENCE = 60.0

T = TypeVar("T")

# Reading the system's certificates, which a client does else, takes longer than most tests.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_numbers = itertools.count(1)


def unique(name: str, domain: str) -> str:
    """An identity that no other test uses."""
    return f"{name}{next(_numbers)}@{domain}"


def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


# -- services


class Service:
    """A delivery service that a test may end and start again, with the same address and database.

    Attributes:
        url: its address, whether it runs or not.
        options: with which it is started, besides those that it was made with.
    """

    def __init__(self, domain: str, folder: Path, *options: str) -> None:
        self.domain = domain
        self.url = f"http://{HOST}:{unused_port()}"
        self.options: list[str] = []
        self._command = [sys.executable, "-m", "mls_delivery", "--domain", domain]
        self._command += ["--port", self.url.rpartition(":")[2]]
        self._database = folder / f"{domain}.sqlite3"
        self._command += ["--database", f"sqlite:///{self._database.as_posix()}", *options]
        self._log = folder / f"{domain}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._popen is not None

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it."""
        with self._log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*self._command, *self.options], stdout=output, stderr=subprocess.STDOUT
            )

    def wait(self) -> None:
        """Return when it answers."""
        assert self._popen is not None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while self._popen.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                opener.open(self.url + WELL_KNOWN_PATH, timeout=PATIENCE).close()
                return
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def lose_database(self) -> None:
        """Delete all that it has stored; it must not run."""
        assert not self.is_running
        for file in self._database.parent.glob(f"{self._database.name}*"):
            file.unlink()

    def stop(self) -> None:
        """End it, if it runs."""
        if self._popen is not None:
            self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        assert self._popen is not None
        self._popen.send_signal(number)
        self._popen.wait(PATIENCE)
        self._popen = None


@contextlib.contextmanager
def services_running(
    folder: Path, domains: Sequence[str] = ("a.example", "b.example", "c.example")
) -> Iterator[dict[str, Service]]:
    """A delivery service for each domain."""
    services = {domain: Service(domain, folder) for domain in domains}
    for service in services.values():
        service.options += _addresses(services.values(), but=service)
    try:
        for service in services.values():
            service.launch()
        for service in services.values():
            service.wait()
        yield services
    finally:
        for service in services.values():
            service.stop()


def _addresses(services: Iterable[Service], *, but: Service) -> list[str]:
    """What tells one service where the others are."""
    return [f"--peer={other.domain}={other.url}" for other in services if other is not but]


# -- people


class Person:
    """A client, and what it was told and nobody has looked at yet."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.events: list[Event] = []
        self._client: Client | None = None
        self._news = asyncio.Event()

    @property
    def client(self) -> Client:
        """The client."""
        assert self._client is not None
        return self._client

    def on_event(self, event: Event) -> None:
        """Note what happened."""
        self.events.append(event)
        self._news.set()

    async def told(self, kind: type[T], **fields: object) -> T:
        """Wait until something of this kind has happened, and take it off the list."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for event in self.events:
                        if isinstance(event, kind) and fields.items() <= vars(event).items():
                            self.events.remove(event)
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.identity} was not told of {kind.__name__} {fields}, but {self.events}"
            ) from None


@contextlib.asynccontextmanager
async def unregistered(
    identity: str, services: Mapping[str, str], provider: CryptoProvider | None = None
) -> AsyncIterator[Person]:
    """Somebody who has done nothing yet, not even registered."""
    async with HttpTransport() as transport:
        somebody = Person(identity)
        ports = Ports(
            transport=transport,
            storage=MemoryStorage(),
            provider=provider or PycaProvider(),
            now=lambda: int(time.time()),
            sleep=asyncio.sleep,
            new_lock=asyncio.Lock,
            new_event=asyncio.Event,
            gather=gather,
        )
        somebody._client = new_client(ports, identity, somebody.on_event)
        for domain, url in services.items():
            await somebody.client.set_delivery_service(domain, url)
        yield somebody


@contextlib.asynccontextmanager
async def person(identity: str, services: Mapping[str, str]) -> AsyncIterator[Person]:
    """Somebody who is registered and connected.

    Args:
        services: addresses by domain.
    """
    somebody = Person(identity)
    async with connected_client(identity, services, somebody.on_event) as client:
        somebody._client = client
        await somebody.told(ConnectionChanged, state="connected")
        yield somebody


# -- between them

Change = Callable[[str, Response], Response]


@dataclass
class Proxy:
    """Stands before a delivery service, sees everything, and changes what its test tells it to.

    Attributes:
        url: where it listens.
        requests: path and body of every request.
        answer: what to answer without asking the service, if it is given, to requests of the path `answer_to`.
        change: is given the path and each response, and returns what the client gets.
        frames: the same for frames from the inbox.
        acknowledged: whether acknowledgements of what the inbox delivered get through.
        left_by_client: how many inboxes the client closed.
    """

    upstream: str
    url: str = ""
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    answer: Response | None = None
    answer_to: str = "/v1/messages"
    acknowledged: bool = True
    left_by_client: int = 0
    change: Change = lambda _, response: response
    frames: Callable[[bytes], bytes] = lambda frame: frame

    @property
    def messages(self) -> list[bytes]:
        """The MLS messages that passed."""
        return [SubmitRequest.decode(body).message for path, body in self.requests if path == "/v1/messages"]

    async def forward(self, request: Request) -> Response:
        """Ask the service, and answer as the test wants it."""
        body = await request.body()
        self.requests.append((request.url.path, body))
        if self.answer is not None and request.url.path == self.answer_to:
            return self.answer
        headers = {
            name: request.headers[name]
            for name in ("content-type", "accept", "authorization")
            if name in request.headers
        }
        async with httpx.AsyncClient(trust_env=False, verify=_NO_TLS, timeout=PATIENCE) as client:
            answer = await client.request(
                request.method, self.upstream + request.url.path, content=body, headers=headers
            )
        kind = answer.headers.get("content-type")
        return self.change(request.url.path, Response(answer.content, answer.status_code, media_type=kind))

    async def forward_inbox(self, socket: WebSocket) -> None:
        """Pass frames on, both ways."""
        await socket.accept()
        async with connect(self.upstream.replace("http", "ws", 1) + socket.url.path, proxy=None) as upstream:

            async def up() -> None:
                try:
                    await upstream.send(await socket.receive_bytes())  # the hello
                    while True:
                        ack = await socket.receive_bytes()
                        if self.acknowledged:
                            await upstream.send(ack)
                except WebSocketDisconnect:
                    self.left_by_client += 1
                await upstream.close()

            rising = asyncio.create_task(up())
            try:
                async for frame in upstream:
                    assert isinstance(frame, bytes)
                    await socket.send_bytes(self.frames(frame))
                await socket.close(upstream.close_code or 1000)
            except (WebSocketDisconnect, websockets.ConnectionClosed):
                pass
            finally:
                rising.cancel()
                await asyncio.wait([rising])


@contextlib.asynccontextmanager
async def proxy_before(upstream: str) -> AsyncIterator[Proxy]:
    """A proxy before the service at `upstream`."""
    proxy = Proxy(upstream)
    methods = ["GET", "POST", "PUT"]
    app = Starlette(
        routes=[
            WebSocketRoute("/v1/inbox", proxy.forward_inbox),
            Route("/{path:path}", proxy.forward, methods=methods),
        ]
    )
    async with serving(app) as url:
        proxy.url = url
        yield proxy


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """An ASGI application, served in this process; its address."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen()
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1
        )
        server = EndingServer(config)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://{HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@dataclass(frozen=True)
class Addresses:
    """Where the services are."""

    by_domain: Mapping[str, str]

    def but(self, **changed: str) -> dict[str, str]:
        """The same, with others for some domains: `but(b=url)` changes b.example."""
        return {**self.by_domain, **{f"{name}.example": url for name, url in changed.items()}}
