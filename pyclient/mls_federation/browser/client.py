"""A client for Python that runs in a page: in PyScript, a notebook, or a worker of the page's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ..client import BackgroundFailure, Client, Event, Storage, new_client
from ..errors import MLSError
from ..storage import MemoryStorage
from .ports import browser_ports
from .provider import choose_provider
from .transport import BrowserTransport

# The event loop itself refers to its tasks only weakly.
_receiving: set[asyncio.Task[None]] = set()


async def connect(
    identity: str,
    services: Mapping[str, str],
    on_event: Callable[[Event], None],
    *,
    crypto: str = "auto",
    storage: Storage | None = None,
) -> Client:
    """A new client of `identity`, registered, and receiving until `Client.close`.

    The page must have registered the JavaScript modules that this package imports: `install` of `mls-federation/python.js` does.

    Args:
        identity: an address, `name@domain`.
        services: the address of the delivery service of each domain.
        on_event: is told what happens.
        crypto: `auto`, `pyca` or `webjs`; see `choose_provider`.
        storage: where its state is kept; by default in memory.

    Raises:
        UsageError: see `choose_provider`.
        MLSError: what `Client.set_delivery_service` and `Client.register` raise.
    """
    ports = browser_ports(
        BrowserTransport(), choose_provider(crypto), MemoryStorage() if storage is None else storage
    )
    client = new_client(ports, identity, on_event)
    for domain, url in services.items():
        await client.set_delivery_service(domain, url)
    await client.register()
    task = asyncio.ensure_future(_receive(client, on_event))
    _receiving.add(task)
    task.add_done_callback(_receiving.discard)
    return client


async def _receive(client: Client, on_event: Callable[[Event], None]) -> None:
    try:
        await client.run()
    except MLSError as error:
        on_event(BackgroundFailure(error))
