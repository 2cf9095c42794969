"""What an open inbox listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .store import Store, key_sets, messages


@dataclass(eq=False)
class Listener:
    """One open inbox.

    Attributes:
        news: set when messages or keys may have changed.
        opened: set when the client may have opened another inbox.
        keys_taken: whether keys may have been handed out since it was last false.
    """

    news: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    keys_taken: bool = True

    def on_taken(self) -> None:
        """Key sets of the client were handed out."""
        self.keys_taken = True
        self.news.set()


@contextmanager
def listening(store: Store, client: int) -> Iterator[Listener]:
    """Listen for a client. It goes by its key in the store."""
    listener = Listener()
    with (
        store.listening(messages.ARRIVED, str(client), listener.news.set),
        store.listening(messages.OPENED, str(client), listener.opened.set),
        store.listening(key_sets.TAKEN, str(client), listener.on_taken),
    ):
        yield listener
