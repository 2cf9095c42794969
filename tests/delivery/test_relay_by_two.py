"""One service as two processes: they relay to a domain in turns, and what one took on the other brings if it is killed."""

from __future__ import annotations

import time
from pathlib import Path

from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import SubmitRequest
from mls_federation.federation.envelope import Envelope
from tests.delivery.peer import running_peer
from tests.delivery.support import MESSAGE, Clock, Device, Process, checked, enveloped, service_processes
from tests.delivery.test_relay import Neighbours
from tests.support.postgres import Server


class Now(Clock):
    """The time of day."""

    def __call__(self) -> int:
        return int(time.time())


def hand_over(device: Device, process: Process, number: int) -> None:
    """Hand a message for alice@a.example to one of the processes."""
    request = SubmitRequest(
        message_id=number.to_bytes(16, "big"),
        recipients=(b"alice@a.example",),
        message=enveloped(MESSAGE + b"%d" % number),
    )
    headers = {"Content-Type": "application/mls-federation", **device.authorization}
    checked(process.request("POST", "/v1/outgoing", request, headers))


def taken(both: Neighbours, count: int) -> list[int]:
    """The numbers of so many messages, in the order in which a.example has taken them."""
    found: list[int] = []
    while len(found) < count:
        for message in both.next_request().messages:
            found.append(int(Envelope.decode(message.message).message.removeprefix(MESSAGE)))
    return found


def test_two_processes_relay_in_order(provider: CryptoProvider, postgres: Server, tmp_path: Path) -> None:
    with running_peer("a.example", Now()) as a:
        options = [f"--peer=a.example={a.url}"]
        with service_processes(tmp_path, postgres.url(postgres.fresh()), *options) as processes:
            both = Neighbours(a, processes[0], Device.registered(provider, processes[0]))
            a.answer = both.take
            for number in range(40):
                hand_over(both.bob, processes[number % 2], number)
            assert taken(both, 40) == list(range(40))


def test_what_one_process_took_on_the_other_brings(
    provider: CryptoProvider, postgres: Server, tmp_path: Path
) -> None:
    with running_peer("a.example", Now()) as a:
        options = [f"--peer=a.example={a.url}"]
        with service_processes(tmp_path, postgres.url(postgres.fresh()), *options) as processes:
            both = Neighbours(a, processes[0], Device.registered(provider, processes[0]))
            a.answer = lambda _path, _body: (503, "text/plain", b"")
            for number in range(10):
                hand_over(both.bob, processes[0], number)
            processes[0].kill()
            a.answer = both.take
            assert taken(both, 10) == list(range(10))
