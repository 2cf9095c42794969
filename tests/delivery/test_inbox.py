"""The inbox: at least once, in order, resumable, and only for its owner."""

from __future__ import annotations

import contextlib

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mls_delivery.service import Limits
from mls_federation.crypto import CryptoProvider
from mls_federation.federation import binding
from tests.delivery.support import (
    MESSAGE,
    ORIGIN,
    Clock,
    Device,
    Inbox,
    Running,
    fetch,
    open_inbox,
    running_service,
    submit,
    until_acknowledged,
    websocket,
)


def _fill(service: Running, count: int) -> None:
    for number in range(1, count + 1):
        assert submit(service, "bob@b.example", message=MESSAGE + b"%d" % number) == [0]


def _sequences(inbox: Inbox, count: int) -> list[int]:
    return [inbox.delivery().sequence for _ in range(count)]


def test_messages_come_as_they_arrive(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    with bob.inbox() as inbox:
        assert inbox.ready() == 0
        for number in range(1, 4):
            submit(service, "bob@b.example", message=MESSAGE + b"%d" % number)
            delivery = inbox.delivery()
            assert (delivery.sequence, delivery.message) == (number, MESSAGE + b"%d" % number)


def test_what_was_not_acknowledged_comes_again(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 5)
    with bob.inbox() as inbox:
        inbox.ready()
        assert _sequences(inbox, 5) == [1, 2, 3, 4, 5]
        inbox.acknowledge(2)
    assert until_acknowledged(bob) == 2
    for _ in range(2):
        with bob.inbox() as inbox:
            assert inbox.ready() == 2
            assert _sequences(inbox, 3) == [3, 4, 5]


def test_a_client_may_resume_behind_what_it_has(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 4)
    with bob.inbox(cursor=3) as inbox:
        assert inbox.ready() == 0
        assert _sequences(inbox, 1) == [4]
    # Saying so is no acknowledgement.
    with bob.inbox(cursor=0) as inbox:
        inbox.ready()
        assert _sequences(inbox, 4) == [1, 2, 3, 4]


def test_what_was_had_before_can_be_acknowledged(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 2)
    with bob.inbox(cursor=2) as inbox:
        inbox.ready()
        inbox.acknowledge(2)
        inbox.acknowledge(1)
        _fill(service, 1)
        assert _sequences(inbox, 1) == [3]
    with bob.inbox(cursor=0) as inbox:
        assert inbox.ready() == 2
        assert _sequences(inbox, 1) == [3]


def test_sequences_go_on_after_everything_was_acknowledged(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_service(provider, database_url, clock=clock) as service:
        bob = Device.registered(provider, service)
        _fill(service, 2)
        with bob.inbox() as inbox:
            inbox.ready()
            _sequences(inbox, 2)
            inbox.acknowledge(2)
    with running_service(provider, database_url, clock=clock) as service:
        bob.service = service
        with bob.inbox(cursor=2) as inbox:
            assert inbox.ready() == 2
            submit(service, "bob@b.example", message=MESSAGE + b"after")
            assert _sequences(inbox, 1) == [3]


def test_many_messages_in_order(provider: CryptoProvider, service: Running) -> None:
    """More than one batch."""
    bob = Device.registered(provider, service)
    for number in range(1, 31):
        submit(service, "bob@b.example", message=MESSAGE + number.to_bytes(1, "big") * 100_000)
    with bob.inbox() as inbox:
        inbox.ready()
        for number in range(1, 31):
            delivery = inbox.delivery()
            assert delivery.sequence == number
            assert delivery.message[-1] == number


def test_acknowledgements_count_though_the_client_leaves_at_once(
    provider: CryptoProvider, service: Running
) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 50)
    with bob.inbox() as inbox:
        inbox.ready()
        for sequence in range(1, 51):
            assert inbox.delivery().sequence == sequence
            inbox.acknowledge(sequence)
    assert until_acknowledged(bob) == 50


def test_a_second_inbox_of_a_client_closes_the_first(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    with bob.inbox() as first:
        first.ready()
        with bob.inbox() as second:
            second.ready()
            assert first.close_code() == binding.CLOSE_REPLACED
            _fill(service, 1)
            assert _sequences(second, 1) == [1]


def test_two_clients_of_an_identity_listen_side_by_side(provider: CryptoProvider, service: Running) -> None:
    laptop = Device.registered(provider, service)
    phone = Device.registered(provider, service, by=laptop)
    with laptop.inbox() as first, phone.inbox() as second:
        first.ready()
        second.ready()
        _fill(service, 1)
        assert _sequences(first, 1) == _sequences(second, 1) == [1]


@pytest.mark.parametrize("token_secret", [b"", b"\x01" * 32, b"\x01" * 31])
def test_wrong_tokens(provider: CryptoProvider, service: Running, token_secret: bytes) -> None:
    Device.registered(provider, service)
    with open_inbox(service, token_secret) as inbox:
        assert inbox.close_code() == binding.CLOSE_BAD_TOKEN


def test_a_session_that_has_ended(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    bob = Device.registered(provider, service)
    clock.now += Limits().session_seconds
    with bob.inbox() as inbox:
        assert inbox.close_code() == binding.CLOSE_BAD_TOKEN


@pytest.mark.parametrize("cursor", [3, 2**63, 2**64 - 1])
def test_a_cursor_that_the_inbox_never_reached(
    provider: CryptoProvider, service: Running, cursor: int
) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 2)
    with bob.inbox(cursor) as inbox:
        assert inbox.close_code() == binding.CLOSE_BAD_CURSOR


@pytest.mark.parametrize("cursor", [3, 2**64 - 1])
def test_an_acknowledgement_of_what_was_not_delivered(
    provider: CryptoProvider, service: Running, cursor: int
) -> None:
    bob = Device.registered(provider, service)
    _fill(service, 2)
    with bob.inbox() as inbox:
        inbox.ready()
        _sequences(inbox, 2)
        inbox.acknowledge(cursor)
        assert inbox.close_code() == binding.CLOSE_BAD_CURSOR
    with bob.inbox() as inbox:
        inbox.ready()
        assert _sequences(inbox, 2) == [1, 2]


@pytest.mark.parametrize("hello", [b"", b"\x00" * 8, "text", b"\x20" + b"\x01" * 32 + b"\x00" * 9])
def test_malformed_hellos(service: Running, hello: bytes | str) -> None:
    with websocket(service) as connection:
        connection.send(hello)
        assert Inbox(connection).close_code() == binding.CLOSE_MALFORMED


@pytest.mark.parametrize("frame", [b"", b"\x00" * 7, b"\x00" * 9, "text"])
def test_malformed_acknowledgements(provider: CryptoProvider, service: Running, frame: bytes | str) -> None:
    bob = Device.registered(provider, service)
    with bob.inbox() as inbox:
        inbox.ready()
        inbox.connection.send(frame)
        assert inbox.close_code() == binding.CLOSE_MALFORMED


def test_a_hello_that_never_comes(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    limits = Limits(hello_seconds=0)
    with (
        running_service(provider, database_url, clock=clock, limits=limits) as service,
        websocket(service) as connection,
    ):
        assert Inbox(connection).close_code() == binding.CLOSE_MALFORMED


def test_pages_of_other_origins_are_turned_away(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    with pytest.raises(InvalidStatus) as caught:
        websocket(service, origin="http://evil.example")
    assert caught.value.response.status_code == 403
    with websocket(service, origin=ORIGIN) as connection:
        connection.send(binding.InboxHello(token_secret=bob.token_secret, cursor=0).encode())
        assert Inbox(connection).ready() == 0


def test_a_client_hears_when_few_key_sets_are_left(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    limits = Limits(key_count_low=1)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        bob = Device.registered(provider, service)
        bob.publish(*(bob.key_set(clock.now) for _ in range(3)))
        with bob.inbox() as inbox:
            inbox.ready()
            fetch(service, "bob@b.example")
            fetch(service, "bob@b.example")
            assert inbox.frame() == binding.InboxKeyCount(available=1)
            fetch(service, "bob@b.example")
            frame = inbox.frame()
            while frame == binding.InboxKeyCount(available=1):  # it may say so for each fetch
                frame = inbox.frame()
            assert frame == binding.InboxKeyCount(available=0)
        with bob.inbox() as inbox:
            assert inbox.ready() == 0
            assert inbox.frame() == binding.InboxKeyCount(available=0)


def test_a_client_that_goes_away_without_a_word(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    with contextlib.suppress(ConnectionClosed), bob.inbox() as inbox:
        inbox.ready()
        inbox.connection.socket.close()
    _fill(service, 1)
    with bob.inbox() as inbox:
        inbox.ready()
        assert _sequences(inbox, 1) == [1]


def test_a_client_that_does_not_read_holds_nobody_up(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    carol = Device.registered(provider, service, "carol@b.example")
    with bob.inbox() as slow, carol.inbox() as quick:
        slow.ready()
        quick.ready()
        for _ in range(30):
            submit(service, "bob@b.example", message=MESSAGE + bytes(1_000_000))
        submit(service, "carol@b.example")
        assert _sequences(quick, 1) == [1]
        assert _sequences(slow, 30) == list(range(1, 31))
