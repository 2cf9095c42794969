"""A client that runs on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from ..client import BackgroundFailure, Client, Event, Ports, new_client
from ..crypto.pyca import PycaProvider
from ..errors import MLSError
from ..storage import MemoryStorage
from .transport import HttpTransport


@asynccontextmanager
async def connected_client(
    identity: str, services: Mapping[str, str], on_event: Callable[[Event], None]
) -> AsyncIterator[Client]:
    """A new client of `identity`, registered and receiving, until the context ends.

    Args:
        services: the address of the delivery service of each domain.
        on_event: is told what happens.

    Raises:
        MLSError: what `Client.set_delivery_service` and `Client.register` raise; and at the end of the context, why
            receiving had ended before.
    """
    async with HttpTransport() as transport:
        ports = Ports(
            transport=transport,
            storage=MemoryStorage(),
            provider=PycaProvider(),
            now=lambda: int(time.time()),
            sleep=asyncio.sleep,
            new_lock=asyncio.Lock,
        )
        client = new_client(ports, identity, on_event)
        for domain, url in services.items():
            await client.set_delivery_service(domain, url)
        await client.register()
        receiving = asyncio.create_task(_receive(client, on_event))
        try:
            yield client
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
