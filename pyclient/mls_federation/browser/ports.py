"""The client's ports in a browser, all of them."""

from __future__ import annotations

import asyncio
import time

from ..client import Ports, Storage
from ..client.ports import Transport
from ..crypto import CryptoProvider
from .concurrency import gather


def browser_ports(transport: Transport, provider: CryptoProvider, storage: Storage) -> Ports:
    """Pyodide's event loop is one of asyncio."""
    return Ports(
        transport=transport,
        storage=storage,
        provider=provider,
        now=lambda: int(time.time()),
        sleep=asyncio.sleep,
        new_lock=asyncio.Lock,
        new_event=asyncio.Event,
        gather=gather,
    )
