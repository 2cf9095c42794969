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
from ..errors import MLSError, StateError, UsageError
from ..storage import MemoryStorage
from ..storage.sqlite import SqliteStorage
from .concurrency import gather
from .transport import HttpTransport

# Seconds between looking whether we were admitted.
_ADMISSION_PAUSE = 2.0


@asynccontextmanager
async def connected_client(
    identity: str,
    services: Mapping[str, str],
    on_event: Callable[[Event], None],
    *,
    storage: str | Path | None = None,
    on_not_admitted: Callable[[str], None] | None = None,
) -> AsyncIterator[Client]:
    """A client of `identity`, registered and receiving, until the context ends.

    Args:
        services: the address of the delivery service of each domain.
        on_event: is told what happens.
        storage: the file in which the client's state is kept. If there is one in it, the client goes on from there; if not,
            or if no file is given, it is a new client.
        on_not_admitted: is told the device request if the identity has other devices, one of which is to admit this one; that is
            waited for. Without it, `Client.register` raises `not-admitted`.

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
            if not client.is_registered:
                # Else receiving opens a session, and our service says when it has few keys left.
                await _register(client, on_not_admitted)
            async with _receiving(client, on_event):
                yield client


async def _register(client: Client, on_not_admitted: Callable[[str], None] | None) -> None:
    told = False
    while True:
        try:
            await client.register()
        except StateError as error:
            if error.code != "not-admitted" or on_not_admitted is None:
                raise
        else:
            return
        if not told:
            on_not_admitted(client.device_request())
            told = True
        await asyncio.sleep(_ADMISSION_PAUSE)


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
