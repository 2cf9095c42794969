"""Who is listening: the open inboxes of this process, and how they are told that there is something to do.

Nothing is passed on here but the fact itself. What there is to deliver, an inbox reads from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Listener:
    """One open inbox.

    Attributes:
        news: set when messages or keys may have changed.
        replaced: set when the same client has opened another inbox.
        ended: set when nothing more will come of this one.
    """

    news: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    keys_taken: bool = True


class Inboxes:
    """The open inboxes, at most one for each client. Clients go by their key in the store."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}

    @asynccontextmanager
    async def open(self, client: int) -> AsyncIterator[Listener]:
        """Listen for a client, in place of whoever did before, and who has ended when this begins."""
        previous = self._listeners.get(client)
        listener = self._listeners[client] = Listener()
        try:
            if previous is not None:
                previous.replaced.set()
                await previous.ended.wait()
            yield listener
        finally:
            listener.ended.set()
            if self._listeners.get(client) is listener:
                del self._listeners[client]

    def message_arrived(self, client: int) -> None:
        """A message was stored for a client."""
        if listener := self._listeners.get(client):
            listener.news.set()

    def keys_taken(self, client: int) -> None:
        """A key set of a client was handed out."""
        if listener := self._listeners.get(client):
            listener.keys_taken = True
            listener.news.set()
