"""A Welcome finds the clients that it is for, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mls_delivery.config import Federation
from mls_federation.crypto import CryptoProvider, HPKECiphertext, crypto
from mls_federation.federation import binding
from mls_federation.federation.manifest import build_key_set
from mls_federation.mls.framing import mls_message
from mls_federation.mls.key_package import KeyPackage
from mls_federation.mls.welcome import EncryptedGroupSecrets, Welcome
from tests.delivery.peer import relay_request, running_peer
from tests.delivery.support import (
    MESSAGE,
    SUITE_1,
    SUITE_3,
    Clock,
    Device,
    Running,
    checked,
    enveloped,
    fetch,
    refusal,
    running_service,
    submit,
)

_SEALED = HPKECiphertext(kem_output=b"sealed", ciphertext=b"for one")


def _refs(provider: CryptoProvider, key_set: binding.KeySet) -> list[bytes]:
    packages = [KeyPackage.decode(package) for package in key_set.key_packages]
    return [
        crypto(provider, package.cipher_suite).ref_hash("MLS 1.0 KeyPackage Reference", package.encode())
        for package in packages
    ]


def _welcome(*refs: bytes) -> bytes:
    secrets = tuple(EncryptedGroupSecrets(new_member=ref, encrypted_group_secrets=_SEALED) for ref in refs)
    welcome = Welcome(cipher_suite=SUITE_1, secrets=secrets, encrypted_group_info=b"sealed for all")
    return mls_message(welcome).encode()


def _first(device: Device) -> bytes:
    """The first message in a device's inbox, which everybody has got one after the Welcome."""
    with device.inbox() as inbox:
        inbox.ready()
        return inbox.delivery().message


def test_only_the_clients_that_are_named_get_it(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    laptop = Device.registered(provider, service)
    phone = Device.registered(provider, service, by=laptop)
    carol = Device.registered(provider, service, "carol@b.example")
    dave = Device.registered(provider, service, "dave@b.example")
    sets = {device.client_id: device.key_set(clock.now, SUITE_1, SUITE_3) for device in (phone, carol, dave)}
    for device in (phone, carol, dave):
        device.publish(sets[device.client_id])
    laptop.publish(laptop.key_set(clock.now))
    # One handed out before, one by the second of its suites; dave's is named too, but he is no recipient.
    fetch(service, "carol@b.example")
    welcome = _welcome(
        _refs(provider, sets[phone.client_id])[0],
        _refs(provider, sets[carol.client_id])[1],
        _refs(provider, sets[dave.client_id])[0],
    )
    assert submit(service, "bob@b.example", "carol@b.example", message=welcome) == [0, 0]
    assert submit(service, "bob@b.example", "carol@b.example", "dave@b.example") == [0, 0, 0]
    assert [_first(device) for device in (phone, carol)] == [welcome] * 2
    assert [_first(device) for device in (laptop, dave)] == [MESSAGE] * 2


def test_a_recipient_of_whom_no_client_is_named_is_unknown(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    bob = Device.registered(provider, service)
    carol = Device.registered(provider, service, "carol@b.example")
    key_set = carol.key_set(clock.now)
    carol.publish(key_set)
    bob.publish(bob.key_set(clock.now))
    welcome = _welcome(bytes(32), *_refs(provider, key_set))
    assert submit(service, "bob@b.example", "carol@b.example", message=welcome) == [1, 0]
    assert submit(service, "bob@b.example", "carol@b.example", message=_welcome()) == [1, 1]
    assert submit(service, "bob@b.example") == [0]
    assert _first(bob) == MESSAGE


def test_a_key_package_is_known_until_it_expires(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    bob = Device.registered(provider, service)
    last, next_one = bob.key_set(clock.now, last_resort=True), bob.key_set(clock.now, last_resort=True)
    bob.publish(last)
    bob.publish(next_one)  # in the place of the other, for which a Welcome may be under way
    clock.now += 1000
    assert submit(service, "bob@b.example", message=_welcome(*_refs(provider, last))) == [0]
    clock.now += 1
    assert submit(service, "bob@b.example", message=_welcome(*_refs(provider, next_one))) == [1]


def test_a_key_package_may_be_in_two_sets(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    bob = Device.registered(provider, service)
    packages = [bob.key_package(SUITE_1, clock.now), bob.key_package(SUITE_3, clock.now)]
    for some in (packages, packages[:1]):
        bob.publish(build_key_set(provider, bob.credential, bob.key, some, last_resort=False))
    (ref,) = _refs(
        provider, build_key_set(provider, bob.credential, bob.key, packages[:1], last_resort=False)
    )
    assert submit(service, "bob@b.example", message=_welcome(ref)) == [0]


def test_a_welcome_for_more_than_one_query_can_ask_for(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    bob = Device.registered(provider, service)
    key_set = bob.key_set(clock.now)
    bob.publish(key_set)
    others = [number.to_bytes(32, "big") for number in range(1500)]
    assert submit(service, "bob@b.example", message=_welcome(*others, *_refs(provider, key_set))) == [0]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_welcome_that_cannot_be_read_is_for_nobody(
    provider: CryptoProvider, service: Running, cut: int
) -> None:
    bob = Device.registered(provider, service)
    request = binding.SubmitRequest(
        message_id=bytes(16), recipients=(bob.identity,), message=enveloped(_welcome(bytes(32))[:-cut])
    )
    assert refusal(service.post("/v1/messages", request)) == (400, "malformed")


def test_whichever_way_it_comes(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> None:
    """By the service of somebody's own domain, or by that of another."""
    with running_peer("a.example", clock) as peer:
        federation = Federation(peers={"a.example": peer.url})
        database = tmp_path / "b.sqlite3"
        with running_service(provider, database, clock=clock, federation=federation) as service:
            laptop = Device.registered(provider, service)
            phone = Device.registered(provider, service, by=laptop)
            sets = [phone.key_set(clock.now) for _ in range(2)]
            phone.publish(*sets)
            by_peer, by_own = [_welcome(*_refs(provider, key_set)) for key_set in sets]

            relayed = relay_request("bob@b.example", message=by_peer)
            checked(peer.relay(service, relayed))
            outgoing = binding.SubmitRequest(
                message_id=bytes(16), recipients=(b"bob@b.example",), message=enveloped(by_own)
            )
            headers = {**laptop.authorization, "Content-Type": binding.MEDIA_TYPE}
            checked(service.request("POST", "/v1/outgoing", outgoing, headers))
            assert submit(service, "bob@b.example") == [0]
            with phone.inbox() as inbox:
                inbox.ready()
                assert [inbox.delivery().message for _ in range(3)] == [by_peer, by_own, MESSAGE]
            assert _first(laptop) == MESSAGE
