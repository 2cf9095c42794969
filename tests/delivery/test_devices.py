"""Devices at the service: who may claim, admit and revoke, and what becomes of who is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from threading import Thread

import httpx
import pytest
from sqlalchemy import Connection

from mls_delivery.service import Limits
from mls_delivery.store import accounts, open_store
from mls_federation.codec import replace, without_signature
from mls_federation.crypto import CryptoProvider, SignatureScheme
from mls_federation.federation import binding, log
from mls_federation.federation.binding import WELL_KNOWN_PATH, ServiceDescription
from mls_federation.federation.devices import (
    DeviceEvent,
    DeviceEventType,
    Devices,
    claim_event,
    event_hash,
)
from mls_federation.federation.seed import Credential, CredentialType
from tests.delivery.support import (
    Clock,
    Device,
    Running,
    checked,
    fetch,
    refusal,
    running_service,
    submit,
    unused_port,
)

BOB = "bob@b.example"


def verified(provider: CryptoProvider, service: Running, response: httpx.Response) -> Devices:
    """What an answer says of Bob's devices, with everything checked that a client checks."""
    description = ServiceDescription.decode(checked(service.request("GET", WELL_KNOWN_PATH)))
    history = log.IdentityHistory.decode(checked(response))
    return log.verify_history(provider, description.signing_key, BOB, history)


def history(service: Running, identity: str = BOB) -> httpx.Response:
    return service.post("/v1/history", log.HistoryRequest(identity=identity.encode()))


def signed_again(device: Device, event: DeviceEvent) -> DeviceEvent:
    """An event as if this device meant it, whatever it says."""
    content = binding.federation_sign_content("DeviceEvent", without_signature(event))
    signature = device.provider.sign(SignatureScheme.ed25519, device.key.private_key, content)
    return replace(event, signature=signature)


@pytest.fixture
def phone(provider: CryptoProvider, service: Running) -> Device:
    """Bob's first device."""
    return Device.registered(provider, service)


# -- as it should be


def test_devices_come_and_go(provider: CryptoProvider, service: Running) -> None:
    phone, laptop, tablet = (Device.new(provider, service) for _ in range(3))
    claimed = verified(provider, service, phone.send(phone.claim_event()))
    assert set(claimed.active) == {phone.client_id}
    phone.admit(laptop)
    admitted = verified(provider, service, laptop.send(laptop.admission(tablet)))
    assert set(admitted.active) == {phone.client_id, laptop.client_id, tablet.client_id}
    revoked = verified(provider, service, tablet.send(tablet.revocation(phone)))
    assert (set(revoked.active), set(revoked.revoked)) == (
        {laptop.client_id, tablet.client_id},
        {phone.client_id},
    )
    assert verified(provider, service, history(service)) == revoked


def test_everything_is_there_after_a_restart(
    provider: CryptoProvider, service: Running, phone: Device, database_url: str, clock: Clock
) -> None:
    laptop = Device.registered(provider, service, by=phone)
    before = verified(provider, service, history(service))
    with running_service(provider, database_url, clock=clock) as again:
        assert verified(provider, again, history(again)) == before
        laptop.service = again
        assert laptop.publish() == 0


def test_histories_are_in_one_log(provider: CryptoProvider, service: Running, phone: Device) -> None:
    Device.registered(provider, service, "carol@b.example")
    phone.admit(Device.new(provider, service))
    found = log.IdentityHistory.decode(checked(history(service)))
    assert [logged.index for logged in found.events] == [0, 2]
    assert found.head.tree_head.tree_size == 3


def test_nobody_has_claimed_it(service: Running) -> None:
    assert refusal(history(service)) == (404, "unknown-identity")
    assert refusal(history(service, "bob@c.example")) == (421, "wrong-domain")
    assert refusal(history(service, "bob")) == (400, "bad-identity")


def test_what_was_answered_is_answered_again(provider: CryptoProvider, service: Running) -> None:
    """The answer may have been lost."""
    phone, laptop = Device.new(provider, service), Device.new(provider, service)
    claim = phone.claim_event()
    first = checked(phone.send(claim))
    assert checked(phone.send(claim)) == first
    admission = phone.admission(laptop)
    second = checked(phone.send(admission))
    assert checked(phone.send(admission)) == second
    assert checked(phone.send(claim)) == second
    laptop.open_session()


def test_messages_and_keys_of_all_devices(
    provider: CryptoProvider, service: Running, phone: Device, clock: Clock
) -> None:
    laptop = Device.registered(provider, service, by=phone)
    for device in (phone, laptop):
        device.publish(device.key_set(clock.now))
    assert {bundle.client_id for bundle in fetch(service, BOB)} == {phone.client_id, laptop.client_id}
    assert submit(service, BOB) == [0]
    for device in (phone, laptop):
        with device.inbox() as inbox:
            inbox.ready()
            assert inbox.delivery().sequence == 1


def test_a_key_set_is_of_its_own_device(
    provider: CryptoProvider, service: Running, phone: Device, clock: Clock
) -> None:
    laptop = Device.registered(provider, service, by=phone)
    assert refusal(laptop.put(phone.key_set(clock.now))) == (400, "invalid-key-set")
    assert laptop.publish(laptop.key_set(clock.now)) == 1


# -- who is revoked


def test_who_is_revoked_loses_everything(
    provider: CryptoProvider, service: Running, phone: Device, clock: Clock
) -> None:
    laptop = Device.registered(provider, service, by=phone)
    laptop.publish(laptop.key_set(clock.now), laptop.key_set(clock.now, last_resort=True))
    phone.publish(phone.key_set(clock.now))
    submit(service, BOB)
    with laptop.inbox() as inbox:
        inbox.ready()
        inbox.delivery()
        phone.revoke(laptop)
        assert inbox.close_code() == binding.CLOSE_REVOKED

    assert refusal(laptop.put()) == (401, "unauthorized")
    assert refusal(service.post("/v1/sessions", laptop.session_request())) == (403, "not-a-device")
    with laptop.inbox() as inbox:
        assert inbox.close_code() == binding.CLOSE_BAD_TOKEN
    assert [bundle.client_id for bundle in fetch(service, BOB)] == [phone.client_id]
    assert submit(service, BOB) == [0]
    # The phone goes on: it still has what came, and gets what comes.
    with phone.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().sequence for _ in range(2)] == [1, 2]


def test_a_new_device_gets_nothing_of_a_revoked_one(
    provider: CryptoProvider, service: Running, phone: Device
) -> None:
    """Though it is the next that the store has."""
    laptop = Device.registered(provider, service, by=phone)
    submit(service, BOB)
    with laptop.inbox() as inbox:
        inbox.ready()
        inbox.delivery()
        phone.revoke(laptop)
        tablet = Device.registered(provider, service, by=phone)
        submit(service, BOB)
        assert inbox.close_code() == binding.CLOSE_REVOKED
    with tablet.inbox() as inbox:
        assert inbox.ready() == 0
        assert inbox.delivery().sequence == 1


def test_a_revoked_device_can_do_nothing(
    provider: CryptoProvider, service: Running, phone: Device, clock: Clock
) -> None:
    laptop = Device.registered(provider, service, by=phone)
    stranger = Device.new(provider, service)
    late = laptop.admission(stranger)
    key_set = laptop.key_set(clock.now)
    phone.revoke(laptop)
    sequence, previous = 3, phone.chain().latest

    assert refusal(laptop.put(key_set)) == (401, "unauthorized")
    assert refusal(laptop.send(late)) == (409, "stale-event")
    admission = signed_again(laptop, replace(late, sequence=sequence, previous=previous))
    assert refusal(laptop.send(admission)) == (403, "not-a-device")
    revocation = replace(
        admission,
        event_type=DeviceEventType.revoke,
        client_id=phone.client_id,
        credential=phone.credential,
        device_signature=b"",
    )
    assert refusal(laptop.send(signed_again(laptop, revocation))) == (403, "not-a-device")


def test_nobody_comes_back(provider: CryptoProvider, service: Running, phone: Device) -> None:
    laptop = Device.registered(provider, service, by=phone)
    admission = phone.chain().active[laptop.client_id].lineage[0]
    phone.revoke(laptop)
    assert refusal(phone.send(phone.admission(laptop))) == (403, "revoked-device")
    # Its first admission is in the chain, and changes nothing.
    assert laptop.client_id in verified(provider, service, phone.send(admission)).revoked
    for client_id, key in ((laptop.client_id, None), (None, laptop.key)):
        again = Device.new(provider, service, key=key)
        again.client_id = client_id or again.client_id
        assert refusal(phone.send(phone.admission(again))) == (403, "revoked-device")
    assert refusal(service.post("/v1/sessions", laptop.session_request())) == (403, "not-a-device")


def test_the_last_one_stays(provider: CryptoProvider, service: Running, phone: Device) -> None:
    assert refusal(phone.send(phone.revocation(phone))) == (403, "last-device")
    assert phone.publish() == 0


# -- who may not


def test_somebody_elses_identity(provider: CryptoProvider, service: Running, phone: Device) -> None:
    eve = Device.new(provider, service)
    assert refusal(eve.send(eve.claim_event())) == (403, "identity-claimed")
    # As a service that she runs herself might let her, on her own.
    own = claim_event(provider, eve.client_id, eve.credential, eve.key)
    admission = replace(phone.admission(eve), signer=eve.credential, sequence=1, previous=event_hash(own))
    assert refusal(eve.send(signed_again(eve, admission))) == (409, "stale-event")
    admission = replace(admission, previous=phone.chain().latest)
    assert refusal(eve.send(signed_again(eve, admission))) == (403, "not-a-device")
    assert refusal(service.post("/v1/sessions", eve.session_request())) == (403, "not-a-device")


def test_a_stranger_cannot_be_taken_in_against_their_will(
    provider: CryptoProvider, service: Running, phone: Device
) -> None:
    """Nobody can put somebody else's key under their own name, and then say that its messages are theirs."""
    carol = Device.registered(provider, service, "carol@b.example")
    other = Device.new(provider, service)
    borrowed = Device(provider, service, phone.identity, carol.key, other.client_id)
    event = replace(phone.admission(other), credential=borrowed.credential)
    assert refusal(phone.send(signed_again(phone, event))) == (403, "bad-signature")
    event = replace(event, credential=carol.credential)
    response = phone.send(signed_again(phone, event))
    assert refusal(response) == (400, "malformed")
    assert response.json()["reason"] == "wrong-identity"


def test_events_that_nobody_signed(provider: CryptoProvider, service: Running, phone: Device) -> None:
    laptop = Device.new(provider, service)
    event = phone.admission(laptop)
    for forged in (
        replace(event, signature=bytes(64)),
        replace(event, device_signature=bytes(64)),
        replace(event, client_id=bytes(16)),
        replace(event, signer=laptop.credential),
    ):
        assert refusal(phone.send(forged)) == (403, "bad-signature")
    claim = Device.new(provider, service, "carol@b.example").claim_event()
    assert refusal(service.post("/v1/devices", replace(claim, signature=bytes(64)))) == (403, "bad-signature")


def test_events_of_the_wrong_form(provider: CryptoProvider, service: Running, phone: Device) -> None:
    event = phone.admission(Device.new(provider, service))
    certificate = Credential(credential_type=CredentialType.x509, credential=b"\x30\x00")
    for wrong, reason in (
        (replace(event, client_id=bytes(15)), "bad-device-event"),
        (replace(event, sequence=0), "bad-device-event"),
        (replace(event, previous=b""), "bad-device-event"),
        (replace(event, credential=certificate), "unsupported-credential"),
    ):
        response = phone.send(wrong)
        assert refusal(response) == (400, "malformed")
        assert response.json()["reason"] == reason
    assert refusal(service.post("/v1/devices", b"\x00")) == (400, "malformed")
    assert refusal(service.post("/v1/devices", event, "text/plain")) == (415, "unsupported-media-type")


def test_the_first_event_is_a_claim(provider: CryptoProvider, service: Running, phone: Device) -> None:
    carol, hers = (Device.new(provider, service, "carol@b.example") for _ in range(2))
    claim = carol.claim_event()
    event = replace(
        claim,
        event_type=DeviceEventType.admit,
        sequence=1,
        previous=event_hash(claim),
        signer=hers.credential,
    )
    assert refusal(carol.send(signed_again(hers, event))) == (404, "unknown-identity")


def test_other_domains(provider: CryptoProvider, service: Running) -> None:
    for identity, expected in (
        ("bob@c.example", (421, "wrong-domain")),
        ("b ob@b.example", (400, "bad-identity")),
    ):
        device = Device.new(provider, service, identity)
        assert refusal(device.send(device.claim_event())) == expected


def test_a_fork(provider: CryptoProvider, service: Running, phone: Device) -> None:
    """A device that says one thing now, and another later."""
    laptop, tablet = Device.new(provider, service), Device.new(provider, service)
    first, second = phone.admission(laptop), phone.admission(tablet)
    checked(phone.send(first))
    assert refusal(phone.send(second)) == (409, "stale-event")
    checked(phone.send(phone.admission(tablet)))


def test_two_devices_at_once(provider: CryptoProvider, service: Running, phone: Device) -> None:
    """One of the two comes first; which one does not matter."""
    laptop = Device.registered(provider, service, by=phone)
    for _ in range(5):
        events = [device.admission(Device.new(provider, service)) for device in (phone, laptop)]
        with ThreadPoolExecutor() as threads:
            answers = list(threads.map(phone.send, events))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        [refused] = [answer for answer in answers if answer.status_code != 200]
        assert refusal(refused) == (409, "stale-event")
    assert phone.chain().events == 7


def test_an_identity_has_a_limited_number_of_clients(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_service(provider, database_url, clock=clock, limits=Limits(clients=2)) as service:
        first = Device.registered(provider, service)
        second = Device.registered(provider, service, by=first)
        third = Device.new(provider, service)
        response = first.send(first.admission(third))
        assert refusal(response) == (403, "too-many-clients")
        assert response.json()["limit"] == 2
        first.revoke(second)
        first.admit(third)
        third.open_session()


def test_a_key_may_be_of_any_scheme(provider: CryptoProvider, service: Running, phone: Device) -> None:
    unknown = replace(phone.claim_event(), credential=_of_scheme(phone, SignatureScheme(0x0A0A)))
    assert refusal(phone.send(replace(unknown, signer=unknown.credential))) == (403, "bad-signature")


def _of_scheme(device: Device, scheme: SignatureScheme) -> Credential:
    basic = device.credential.credential
    assert not isinstance(basic, bytes)
    return replace(device.credential, credential=replace(basic, algorithm=scheme))


# -- the operator's sign-in


class _Operator(ThreadingHTTPServer):
    """An operator's own service: Bob's token is `bob's`; others are answered by what they say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SignInHandler)
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/may-claim"


class _SignInHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Operator)
        body = loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers["Content-Type"], body))
        wanted = f"{body['identity'].partition('@')[0]}'s"
        said = body["token"]
        status = 204 if said == wanted else int(said) if said.isdecimal() else 401
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.path)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def operator() -> Iterator[_Operator]:
    with _Operator() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def claim_with(device: Device, authorization: str) -> httpx.Response:
    headers = {"Content-Type": binding.MEDIA_TYPE, "Authorization": authorization}
    return device.service.request("POST", "/v1/devices", device.claim_event(), headers)


def test_the_operator_says_who_may_claim(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    with (
        operator() as asked,
        running_service(provider, database_url, clock=clock, sign_in_url=asked.url) as service,
    ):
        bob = Device.new(provider, service)
        for no in ("Bearer carol's", "Bearer 403", "Bearer 401", "Bearer", "Basic bob's", "bob's"):
            assert refusal(claim_with(bob, no)) == (403, "claim-refused"), no
        assert refusal(bob.send(bob.claim_event())) == (403, "claim-refused")
        assert refusal(history(service)) == (404, "unknown-identity")

        checked(claim_with(bob, "Bearer bob's"))
        assert asked.asked[-1] == ("application/json", {"identity": BOB, "token": "bob's"})
        # Nobody is asked about what is settled, or is the devices' own business.
        count = len(asked.asked)
        checked(bob.send(bob.claim_event()))
        laptop = Device.new(provider, service)
        bob.admit(laptop)
        laptop.open_session()
        assert len(asked.asked) == count


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_an_operator_who_gives_no_answer(
    provider: CryptoProvider, database_url: str, clock: Clock, status: int
) -> None:
    with (
        operator() as asked,
        running_service(provider, database_url, clock=clock, sign_in_url=asked.url) as service,
    ):
        bob = Device.new(provider, service)
        assert refusal(claim_with(bob, f"Bearer {status}")) == (503, "sign-in-unavailable")


def test_an_operator_who_is_not_there(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    url = f"http://127.0.0.1:{unused_port()}/"
    with running_service(provider, database_url, clock=clock, sign_in_url=url) as service:
        bob = Device.new(provider, service)
        assert refusal(claim_with(bob, "Bearer bob's")) == (503, "sign-in-unavailable")
        assert refusal(history(service)) == (404, "unknown-identity")


def test_the_key_of_a_client_that_is_gone_is_never_anothers(database_url: str) -> None:
    """In the store, connections go by it, and may outlive the client for a moment."""

    def come_and_go(connection: Connection, owner: int, client_id: bytes) -> int:
        accounts.add_client(connection, owner, client_id, b"credential")
        return accounts.remove_client(connection, owner, client_id)

    async def keys() -> list[int]:
        store = open_store(database_url)
        owner = await store.write(accounts.add_identity, BOB.encode(), 0)
        found = [await store.write(come_and_go, owner, bytes([number])) for number in range(3)]
        await store.close()
        return found

    assert len(set(asyncio.run(keys()))) == 3
