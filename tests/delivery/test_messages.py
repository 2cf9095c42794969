"""Submitting messages."""

import pytest

from mls_delivery.service import Limits
from mls_federation.codec import replace
from mls_federation.crypto import CryptoProvider
from mls_federation.federation import binding
from tests.delivery.support import (
    MESSAGE,
    Clock,
    Device,
    Running,
    enveloped,
    refusal,
    running_service,
    submit,
    until_acknowledged,
)

_ID = bytes(range(16))


def test_a_message_reaches_every_client_of_every_recipient(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    bob = Device.registered(provider, service, "bob@b.example")
    bobs_phone = Device.registered(provider, service, "bob@b.example", bob)
    carol = Device.registered(provider, service, "carol@b.example")
    assert submit(service, "bob@b.example", "carol@b.example", message_id=_ID) == [0, 0]
    for device in (bob, bobs_phone, carol):
        with device.inbox() as inbox:
            assert inbox.ready() == 0
            expected = binding.InboxDelivery(
                sequence=1, message_id=_ID, received_at=clock.now, relayed_by=b"", message=MESSAGE
            )
            assert inbox.delivery() == expected


def test_recipients_that_are_not_there(provider: CryptoProvider, service: Running) -> None:
    Device.registered(provider, service, "bob@b.example")
    statuses = submit(service, "nobody@b.example", "bob@b.example", "bob@a.example", "", "bob@b.example")
    assert statuses == [1, 0, 1, 1, 0]


def test_the_same_message_twice_arrives_once(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    for _ in range(2):
        assert submit(service, "bob@b.example", message_id=_ID) == [0]
    assert submit(service, "bob@b.example", "bob@b.example", message=MESSAGE + b"2") == [0, 0]
    with bob.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().message for _ in range(2)] == [MESSAGE, MESSAGE + b"2"]
        inbox.acknowledge(2)
        assert submit(service, "bob@b.example", message_id=_ID) == [0]
        assert submit(service, "bob@b.example", message=MESSAGE + b"3") == [0]
        assert inbox.delivery().message == MESSAGE + b"3"


def test_an_id_that_somebody_else_used_suppresses_nothing(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    submit(service, "bob@b.example", message_id=_ID, message=MESSAGE + b"first")
    submit(service, "bob@b.example", message_id=_ID, message=MESSAGE + b"other")
    with bob.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().message for _ in range(2)] == [MESSAGE + b"first", MESSAGE + b"other"]


def test_the_memory_of_an_inbox_is_a_month(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    bob = Device.registered(provider, service)
    submit(service, "bob@b.example", message_id=_ID)
    clock.now += 30 * 24 * 3600
    submit(service, "bob@b.example", message_id=_ID)
    clock.now += 1
    submit(service, "bob@b.example", message_id=_ID)
    bob.open_session()
    with bob.inbox() as inbox:
        inbox.ready()
        times = [inbox.delivery().received_at for _ in range(2)]
    assert times == [clock.now - 30 * 24 * 3600 - 1, clock.now]


def test_a_full_inbox(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    limits = Limits(inbox_messages=2)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        bob = Device.registered(provider, service, "bob@b.example")
        phone = Device.registered(provider, service, "bob@b.example", bob)
        Device.registered(provider, service, "carol@b.example")
        assert submit(service, "bob@b.example") == [0]
        with phone.inbox() as inbox:
            inbox.ready()
            assert inbox.delivery().sequence == 1
            inbox.acknowledge(1)
            assert submit(service, "bob@b.example") == [0]
            assert inbox.delivery().sequence == 2
            # The other client is full, this one is not: it gets the message, and the sender gets to know.
            third = {"message": MESSAGE + b"3", "message_id": _ID}
            assert submit(service, "bob@b.example", "carol@b.example", **third) == [2, 0]
            assert inbox.delivery().message == MESSAGE + b"3"
        with bob.inbox() as inbox:
            inbox.ready()
            assert [inbox.delivery().sequence for _ in range(2)] == [1, 2]
            inbox.acknowledge(2)
        assert until_acknowledged(bob) == 2
        assert submit(service, "bob@b.example", **third) == [0]
        with bob.inbox(cursor=2) as inbox:
            inbox.ready()
            assert inbox.delivery().message == MESSAGE + b"3"


@pytest.mark.parametrize(
    ("change", "struct", "field"),
    [
        ({"message_id": bytes(15)}, "SubmitRequest", "message_id"),
        ({"recipients": ()}, "SubmitRequest", "recipients"),
        ({"message": b""}, "Envelope", "message"),
        ({"message": enveloped(MESSAGE)[:-1] + b"\x02"}, "Envelope", "receipt"),
        ({"message": enveloped(MESSAGE)[:-1]}, "Envelope", "receipt"),
        ({"message": enveloped(MESSAGE) + b"\x00"}, "Envelope", "(end)"),
        ({"message": enveloped(b"")}, "MLSMessage", "wire_format"),
        ({"message": enveloped(b"\x00\x01\x00")}, "MLSMessage", "wire_format"),
        ({"message": enveloped(b"\x00\x02\x00\x01")}, "MLSMessage", "version"),
    ],
)
def test_malformed_submissions(service: Running, change: dict[str, bytes], struct: str, field: str) -> None:
    good = binding.SubmitRequest(message_id=_ID, recipients=(b"bob@b.example",), message=enveloped(MESSAGE))
    response = service.post("/v1/messages", replace(good, **change))
    assert refusal(response) == (400, "malformed")
    assert (response.json()["struct"], response.json()["field"]) == (struct, field)


def test_too_many_recipients(service: Running) -> None:
    request = binding.SubmitRequest(
        message_id=_ID, recipients=(b"bob@b.example",) * 257, message=enveloped(MESSAGE)
    )
    response = service.post("/v1/messages", request)
    assert refusal(response) == (400, "too-many-recipients")
    assert response.json()["limit"] == 256


def test_a_message_may_be_nearly_as_large_as_a_body(provider: CryptoProvider, service: Running) -> None:
    bob = Device.registered(provider, service)
    message = MESSAGE + bytes((1 << 20) - 100)
    assert submit(service, "bob@b.example", message=message) == [0]
    with bob.inbox() as inbox:
        inbox.ready()
        assert inbox.delivery().message == message
