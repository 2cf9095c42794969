"""A message is stored with the state until the application was told of it, so that no end of the process loses it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mls_federation.client import EpochChanged, Event, MessageReceived
from mls_federation.client.core import Core
from mls_federation.client.state import ClientState
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import StorageError
from mls_federation.storage import MemoryStorage
from tests.support.network import Peer, without_waiting
from tests.unit.client.test_client import FullStorage, ports


class Killed(BaseException):
    """The process ends here."""


def message(data: bytes) -> MessageReceived:
    return MessageReceived(b"group", "alice@a.example", 0, 1, data)


def core(
    provider: CryptoProvider, state: ClientState, storage: MemoryStorage, tell: Callable[[Event], None]
) -> Core:
    return Core(state, ports(provider, storage), tell)


@pytest.mark.parametrize("told", [0, 1, 2])
def test_who_is_killed_while_telling_tells_again(provider: CryptoProvider, told: int) -> None:
    storage = MemoryStorage()
    heard: list[Event] = []

    def until_killed(event: Event) -> None:
        if len(heard) == told:
            raise Killed
        heard.append(event)

    first = core(provider, Peer(provider, "bob@b.example").state, storage, until_killed)
    changed = EpochChanged(b"group", 2, (), ())
    with pytest.raises(Killed):
        without_waiting(
            first.keep_and_tell(first.state, [message(b"one"), changed, message(b"two"), message(b"three")])
        )
    assert storage.state is not None
    again: list[Event] = []
    second = core(provider, storage.state, storage, again.append)
    without_waiting(second.tell_untold())
    assert [(event.data, event.number) for event in again if isinstance(event, MessageReceived)] == [
        (b"one", 1),
        (b"two", 2),
        (b"three", 3),
    ]
    assert len(again) == 3
    # What was heard twice has the same number, by which the application knows.
    assert all(event in again for event in heard if isinstance(event, MessageReceived))


def test_what_was_told_is_not_told_again(provider: CryptoProvider) -> None:
    storage = MemoryStorage()
    heard: list[Event] = []
    first = core(provider, Peer(provider, "bob@b.example").state, storage, heard.append)
    without_waiting(first.keep_and_tell(first.state, [message(b"one")]))
    without_waiting(first.tell_untold())
    without_waiting(first.keep_and_tell(first.state, [message(b"two")]))
    assert storage.state is not None
    second = core(provider, storage.state, storage, heard.append)
    without_waiting(second.tell_untold())
    without_waiting(second.tell_untold())
    without_waiting(second.keep_and_tell(second.state, [message(b"three")]))
    numbers = [event.number for event in heard if isinstance(event, MessageReceived)]
    # The process ended before a state was stored that says that the second was told.
    assert numbers == [1, 2, 2, 3]


def test_nothing_is_told_of_what_could_not_be_stored(provider: CryptoProvider) -> None:
    heard: list[Event] = []
    only = core(provider, Peer(provider, "bob@b.example").state, FullStorage(), heard.append)
    before = only.state
    with pytest.raises(StorageError):
        without_waiting(only.keep_and_tell(only.state, [message(b"one")]))
    assert heard == []
    assert only.state is before
