"""A delivery service whose operator is dishonest: it can change its database, sign what it likes, and answer as it likes."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from starlette.responses import Response

from mls_delivery.app import application
from mls_delivery.context import DeliveryService, delivery_service
from mls_delivery.device_routes import identity_history
from mls_delivery.log_routes import signed_head
from mls_delivery.service import Limits
from mls_delivery.store import devices, log, open_store
from mls_federation.codec import replace
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation.devices import DeviceEvent
from mls_federation.federation.log import IdentityHistory, KeyResponse, LoggedEvent
from tests.support.services import Proxy, proxy_before, serving


@dataclass
class Operator:
    """The operator of c.example.

    Attributes:
        service: a real one.
        proxy: before it, so that answers can be changed. `url` is what people are told.
    """

    service: DeliveryService
    proxy: Proxy
    database: Path

    @property
    def url(self) -> str:
        """The address that people use."""
        return self.proxy.url

    async def change(self, work: Callable[[Connection], object]) -> None:
        """Do something to the database."""
        await self.service.store.write(work)

    async def history(self, identity: str) -> IdentityHistory:
        """The history of an identity as an honest service would show it now."""
        found = await self.service.store.read(devices.history, identity.encode())
        return identity_history(self.service, found)

    async def logged(self, *events: DeviceEvent) -> IdentityHistory:
        """A history of some events, which are put at the end of the log: every proof in it is right."""

        def work(connection: Connection) -> tuple[list[int], list[tuple[bytes, ...]], log.Head]:
            numbers = [log.append(connection, event.encode(), int(time.time())) for event in events]
            head = log.head(connection)
            return numbers, log.inclusion_paths(connection, numbers, head.size), head

        numbers, paths, head = await self.service.store.write(work)
        entries = tuple(
            LoggedEvent(event=event, index=number, inclusion_path=path)
            for event, number, path in zip(events, numbers, paths, strict=True)
        )
        return IdentityHistory(events=entries, head=signed_head(self.service, head))

    def show(self, change: Callable[[IdentityHistory], IdentityHistory]) -> None:
        """Change every history that is asked for, with keys or without."""

        def keys(answer: KeyResponse) -> KeyResponse:
            return replace(answer, history=change(answer.history))

        self.answer_keys(keys, change)

    def answer_keys(
        self,
        keys: Callable[[KeyResponse], KeyResponse],
        histories: Callable[[IdentityHistory], IdentityHistory] = lambda history: history,
    ) -> None:
        """Change every answer to who asks for keys, or for a history."""

        def changed(path: str, response: Response) -> Response:
            body = bytes(response.body)
            if response.status_code != 200:
                return response
            if path == "/v1/bundles":
                body = keys(KeyResponse.decode(body)).encode()
            elif path == "/v1/history":
                body = histories(IdentityHistory.decode(body)).encode()
            return Response(body, media_type=response.media_type)

        self.proxy.change = changed


@contextlib.asynccontextmanager
async def operator(database: Path) -> AsyncIterator[Operator]:
    """A service of c.example with its database in a file."""
    service = await delivery_service(
        domain="c.example",
        provider=PycaProvider(),
        store=open_store(f"sqlite:///{database.as_posix()}"),
        clock=lambda: int(time.time()),
        allowed_origins=(),
        limits=Limits(),
    )
    try:
        async with serving(application(service)) as url, proxy_before(url) as proxy:
            yield Operator(service, proxy, database)
    finally:
        await service.sign_in.close()
        await service.store.close()


@contextlib.asynccontextmanager
async def second_face(first: Operator, folder: Path) -> AsyncIterator[Operator]:
    """A second service of the same domain, with the same key and so far the same log: from now on they differ."""
    database = folder / "second.sqlite3"
    with (
        contextlib.closing(sqlite3.connect(first.database)) as source,
        contextlib.closing(sqlite3.connect(database)) as copy,
    ):
        source.backup(copy)
    async with operator(database) as second:
        yield second
