"""A client that runs on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from ..client import BackgroundFailure, Client, ClientState, Event, Ports, Storage
from ..client.account import new_account
from ..crypto.pyca import PycaProvider
from ..errors import MLSError, UsageError
from ..storage import MemoryStorage
from ..storage.sqlite import SqliteStorage
from .concurrency import gather
from .transport import HttpTransport


@asynccontextmanager
async def connected_client(
    identity: str,
    services: Mapping[str, str],
    on_event: Callable[[Event], None],
    *,
    storage: str | Path | None = None,
) -> AsyncIterator[Client]:
    """A client of `identity`, registered and receiving, until the context ends.

    Args:
        services: the address of the delivery service of each domain.
        on_event: is told what happens.
        storage: the file in which the client's state is kept. If there is one in it, the client goes on from there; if not,
            or if no file is given, it is a new client.

    Raises:
        StorageError: see `SqliteStorage`.
        UsageError: code `other-identity`: the file has the state of another identity.
        MLSError: what `Client.set_delivery_service` and `Client.register` raise; and at the end of the context, why
            receiving had ended before.
    """
    provider = PycaProvider()
    async with HttpTransport() as transport:
        with contextlib.ExitStack() as closing:
            kept: Storage = MemoryStorage()
            state = None
            if storage is not None:
                kept = file = closing.enter_context(SqliteStorage(storage))
                state = file.load(provider)
            if state is None:
                state = ClientState(new_account(provider, identity))
                # The identity key is kept before the identity is claimed with it, or nobody could claim it again.
                await kept.save(state)
            elif state.account.identity != identity:
                raise UsageError(f"the file has the state of {state.account.identity}", code="other-identity")
            ports = Ports(
                transport=transport,
                storage=kept,
                provider=provider,
                now=lambda: int(time.time()),
                sleep=asyncio.sleep,
                new_lock=asyncio.Lock,
                new_event=asyncio.Event,
                gather=gather,
            )
            client = Client(state, ports, on_event)
            for domain, url in services.items():
                await client.set_delivery_service(domain, url)
            if not any(own.unconfirmed is None for own in state.key_sets):
                # Else it is registered: receiving opens a session, and our service says when it has few keys left.
                await client.register()
            async with _receiving(client, on_event):
                yield client


@asynccontextmanager
async def _receiving(client: Client, on_event: Callable[[Event], None]) -> AsyncIterator[None]:
    receiving = asyncio.create_task(_receive(client, on_event))
    try:
        yield
    finally:
        await client.close()
        receiving.cancel()
        await asyncio.wait([receiving])
        if not receiving.cancelled() and receiving.exception() is not None:
            await receiving  # raises why receiving had ended


async def _receive(client: Client, on_event: Callable[[Event], None]) -> None:
    """Receive; if that ends by itself, the application is told at once, not only when it leaves the context."""
    try:
        await client.run()
    except MLSError as error:
        on_event(BackgroundFailure(error))
        raise
