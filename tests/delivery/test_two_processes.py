"""One service as two processes behind one address, with one PostgreSQL database: whoever asks cannot tell them apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mls_federation.crypto import CryptoProvider
from mls_federation.federation import binding
from tests.delivery.support import (
    MESSAGE,
    Device,
    Process,
    fetch,
    refusal,
    service_processes,
    submit,
)
from tests.support.postgres import Server

Pair = tuple[Process, Process]


@pytest.fixture(scope="module")
def processes(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The two processes. They were started at the same time, on an empty database."""
    folder = tmp_path_factory.mktemp("processes")
    with service_processes(folder, postgres.url(postgres.fresh())) as pair:
        yield pair


def test_they_are_one_service(processes: Pair) -> None:
    one, other = (process.request("GET", binding.WELL_KNOWN_PATH).json() for process in processes)
    assert one == other


def test_a_challenge_of_one_is_answered_at_the_other_and_once(
    provider: CryptoProvider, processes: Pair
) -> None:
    one, other = processes
    device = Device.claiming(provider, one, "challenged@b.example")
    request = device.session_request()
    device.service = other
    device.token_secret = binding.SessionResponse.decode(
        other.post("/v1/sessions", request).content
    ).token_secret
    assert refusal(one.post("/v1/sessions", request)) == (403, "bad-challenge")
    # The session is good at both.
    for process in processes:
        device.service = process
        assert device.publish() == 0


def test_a_message_submitted_at_one_wakes_the_inbox_at_the_other(
    provider: CryptoProvider, processes: Pair
) -> None:
    one, other = processes
    device = Device.registered(provider, one, "waiting@b.example")
    with device.inbox() as inbox:
        inbox.ready()
        for number in range(1, 6):
            submit(other, "waiting@b.example", message=MESSAGE + b"%d" % number)
            delivery = inbox.delivery()
            assert (delivery.sequence, delivery.message) == (number, MESSAGE + b"%d" % number)


def test_an_inbox_at_one_replaces_that_at_the_other(provider: CryptoProvider, processes: Pair) -> None:
    device = Device.registered(provider, processes[0], "moving@b.example")
    with device.inbox() as first:
        first.ready()
        device.service = processes[1]
        with device.inbox() as second:
            second.ready()
            assert first.close_code() == binding.CLOSE_REPLACED
            submit(processes[0], "moving@b.example")
            assert second.delivery().sequence == 1
            device.service = processes[0]
            with device.inbox() as third:
                third.ready()
                assert second.close_code() == binding.CLOSE_REPLACED
                assert third.delivery().sequence == 1


def test_a_client_hears_that_its_keys_are_taken_at_the_other(
    provider: CryptoProvider, processes: Pair
) -> None:
    one, other = processes
    device = Device.registered(provider, one, "keyless@b.example")
    device.publish(device.key_set(int(time.time())))
    with device.inbox() as inbox:
        inbox.ready()
        assert inbox.frame() == binding.InboxKeyCount(available=1)
        fetch(other, "keyless@b.example")
        assert inbox.frame() == binding.InboxKeyCount(available=0)


def test_no_key_set_is_handed_out_at_both(provider: CryptoProvider, processes: Pair) -> None:
    device = Device.registered(provider, processes[0], "popular@b.example")
    now = int(time.time())
    device.publish(*(device.key_set(now) for _ in range(20)))
    with ThreadPoolExecutor(8) as threads:
        fetched = list(
            threads.map(lambda number: fetch(processes[number % 2], "popular@b.example"), range(20))
        )
    ids = {bundle.bundle.user_init_key.user_init_key_id for (bundle,) in fetched}
    assert len(ids) == 20


def test_every_message_has_a_sequence_of_its_own(provider: CryptoProvider, processes: Pair) -> None:
    """Though both fill the same inbox at the same time."""
    device = Device.registered(provider, processes[0], "busy@b.example")
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(
                lambda number: submit(
                    processes[number % 2], "busy@b.example", message=MESSAGE + b"%d" % number
                ),
                range(40),
            )
        )
    assert statuses == [[0]] * 40
    with device.inbox() as inbox:
        inbox.ready()
        deliveries = [inbox.delivery() for _ in range(40)]
    assert [delivery.sequence for delivery in deliveries] == list(range(1, 41))
    assert {delivery.message for delivery in deliveries} == {MESSAGE + b"%d" % number for number in range(40)}


def test_one_goes_on_when_the_other_is_killed(
    provider: CryptoProvider, postgres: Server, postgres_template: str, tmp_path: Path
) -> None:
    with (
        postgres.lent(postgres_template) as name,
        service_processes(tmp_path, postgres.url(name)) as (one, other),
    ):
        device = Device.registered(provider, one)
        with device.inbox() as inbox:
            inbox.ready()
            submit(one, "bob@b.example", message=MESSAGE + b"1")
            one.kill()
        device.service = other
        with device.inbox() as inbox:
            inbox.ready()
            submit(other, "bob@b.example", message=MESSAGE + b"2")
            assert [inbox.delivery().message[-1:] for _ in range(2)] == [b"1", b"2"]
