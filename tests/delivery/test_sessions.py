"""Opening sessions: who may, and who may not."""

import os
from pathlib import Path

import pytest

from mls_delivery.service import Limits
from mls_federation.codec import replace
from mls_federation.crypto import CryptoProvider, SignatureScheme, generate_signature_key
from mls_federation.federation import binding, seed
from mls_federation.federation.devices import claim_event
from tests.delivery.support import Clock, Device, Running, checked, everything_kept, refusal, running_service


def test_a_session(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.claiming(provider, service)
    opened = device.open_session()
    assert len(opened.token_secret) == 32
    assert opened.expires == clock.now + Limits().session_seconds
    assert device.publish() == 0


def test_a_session_ends(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.registered(provider, service)
    clock.now += Limits().session_seconds - 1
    assert device.put().status_code == 200
    clock.now += 1
    response = device.put()
    assert refusal(response) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_new_session_of_a_client_ends_the_one_before(provider: CryptoProvider, service: Running) -> None:
    device = Device.registered(provider, service)
    before = device.authorization
    device.open_session()
    headers = before | {"Content-Type": binding.MEDIA_TYPE}
    assert refusal(service.request("PUT", "/v1/key-sets", b"\x00", headers)) == (401, "unauthorized")
    assert device.publish() == 0


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer !!", "Basic {}", "Bearer AAAA", "Bearer {}=", "Bearer " + "A" * 43],
)
def test_wrong_tokens(provider: CryptoProvider, service: Running, authorization: str) -> None:
    device = Device.registered(provider, service)
    value = authorization.format(binding.to_base64url(device.token_secret))
    headers = {"Authorization": value, "Content-Type": binding.MEDIA_TYPE}
    assert refusal(service.request("PUT", "/v1/key-sets", b"\x00", headers)) == (401, "unauthorized")


def test_only_the_hash_of_a_token_is_kept(
    provider: CryptoProvider, service: Running, database_url: str
) -> None:
    device = Device.registered(provider, service)
    kept = everything_kept(database_url)
    assert device.client_id in kept
    assert device.token_secret not in kept


def test_nobody_has_a_session_for_an_identity_that_nobody_has(
    provider: CryptoProvider, service: Running
) -> None:
    device = Device.new(provider, service)
    assert refusal(service.post("/v1/sessions", device.session_request())) == (404, "unknown-identity")


def test_only_devices_have_sessions(provider: CryptoProvider, service: Running) -> None:
    owner = Device.registered(provider, service, "bob@b.example")
    other = Device.new(provider, service, "bob@b.example")
    assert refusal(service.post("/v1/sessions", other.session_request())) == (403, "not-a-device")
    # A known client_id with another key, and a known key with another client_id, are no devices either.
    for client_id, key in ((owner.client_id, other.key), (other.client_id, owner.key)):
        mixed = Device(provider, service, owner.identity, key, client_id)
        assert refusal(service.post("/v1/sessions", mixed.session_request())) == (403, "not-a-device")
    owner.admit(other)
    other.open_session()
    owner.open_session()


def test_one_key_may_have_several_identities(provider: CryptoProvider, service: Running) -> None:
    device = Device.registered(provider, service, "bob@b.example")
    other = Device.new(provider, service, "bob.work@b.example", device.key)
    other.claim()
    other.open_session()


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (b"bob", (400, "bad-identity")),
        (b"b ob@b.example", (400, "bad-identity")),
        (b"\xff@b.example", (400, "bad-identity")),
        (b"bob@B.example", (400, "bad-identity")),
        (b"bob@a.example", (421, "wrong-domain")),
        (b"bob@sub.b.example", (421, "wrong-domain")),
    ],
)
def test_identities_that_cannot_have_a_session(
    provider: CryptoProvider, service: Running, identity: bytes, expected: tuple[int, str]
) -> None:
    device = Device.new(provider, service)
    device.identity = identity
    assert refusal(service.post("/v1/sessions", device.session_request())) == expected


def test_a_challenge_is_good_once(provider: CryptoProvider, service: Running) -> None:
    device = Device.claiming(provider, service)
    request = device.session_request()
    assert service.post("/v1/sessions", request).status_code == 200
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-challenge")


def test_a_failed_attempt_does_not_use_up_a_challenge(provider: CryptoProvider, service: Running) -> None:
    device = Device.claiming(provider, service)
    request = device.session_request()
    broken = replace(request, signature=bytes(64))
    assert refusal(service.post("/v1/sessions", broken)) == (403, "bad-signature")
    assert service.post("/v1/sessions", request).status_code == 200


def test_a_challenge_expires(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.claiming(provider, service)
    in_time, too_late = device.session_request(), device.session_request()
    clock.now += 59
    assert service.post("/v1/sessions", in_time).status_code == 200
    clock.now += 1
    assert refusal(service.post("/v1/sessions", too_late)) == (403, "bad-challenge")


@pytest.mark.parametrize("size", [1, 31, 32, 33])
def test_a_challenge_is_the_services_own(provider: CryptoProvider, service: Running, size: int) -> None:
    device = Device.new(provider, service)
    request = device.session_request(challenge=os.urandom(size))
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-challenge")


def test_a_challenge_of_another_service_is_refused(
    provider: CryptoProvider, service: Running, tmp_path: Path, clock: Clock
) -> None:
    with running_service(provider, tmp_path / "other.sqlite3", clock=clock) as other:
        challenge = Device.new(provider, other).challenge()
    request = Device.new(provider, service).session_request(challenge=challenge)
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-challenge")


@pytest.mark.parametrize(
    "change", [{"domain": "a.example"}, {"client_id": bytes(16)}, {"challenge": bytes(32)}]
)
def test_the_signature_covers_everything(
    provider: CryptoProvider, service: Running, change: dict[str, object]
) -> None:
    device = Device.new(provider, service)
    wrong = device.session_request(**change)
    request = replace(device.session_request(), signature=wrong.signature)
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-signature")


def test_the_signature_is_that_of_the_credential(provider: CryptoProvider, service: Running) -> None:
    device, other = Device.new(provider, service), Device.new(provider, service)
    request = replace(device.session_request(), credential=other.credential)
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-signature")


def test_the_credential_is_for_the_same_identity(provider: CryptoProvider, service: Running) -> None:
    other = Device.new(provider, service, "eve@b.example")
    request = Device.new(provider, service).session_request(credential=other.credential)
    assert refusal(service.post("/v1/sessions", request)) == (400, "bad-credential")


def test_certificates_are_not_supported(provider: CryptoProvider, service: Running) -> None:
    credential = seed.Credential(credential_type=seed.CredentialType.x509, credential=b"\x30\x00")
    request = Device.new(provider, service).session_request(credential=credential)
    assert refusal(service.post("/v1/sessions", request)) == (400, "bad-credential")


def test_an_unknown_signature_scheme_is_refused(provider: CryptoProvider, service: Running) -> None:
    device = Device.new(provider, service)
    credential = seed.Credential(
        credential_type=seed.CredentialType.basic,
        credential=seed.BasicCredential(
            identity=device.identity, algorithm=SignatureScheme(0x0A0A), public_key=device.key.public_key
        ),
    )
    request = device.session_request(credential=credential)
    assert refusal(service.post("/v1/sessions", request)) == (403, "bad-signature")


def test_an_identity_key_may_be_of_any_scheme(provider: CryptoProvider, service: Running) -> None:
    key = generate_signature_key(provider, SignatureScheme.ecdsa_secp256r1_sha256)
    device = Device.new(provider, service, key=key)
    credential = seed.Credential(
        credential_type=seed.CredentialType.basic,
        credential=seed.BasicCredential(
            identity=device.identity,
            algorithm=SignatureScheme.ecdsa_secp256r1_sha256,
            public_key=key.public_key,
        ),
    )
    checked(device.send(claim_event(provider, device.client_id, credential, key)))
    fields = {"identity": device.identity, "client_id": device.client_id, "challenge": device.challenge()}
    signed = binding.session_sign_content(domain="b.example", credential=credential, **fields)
    signature = provider.sign(SignatureScheme.ecdsa_secp256r1_sha256, key.private_key, signed)
    request = binding.SessionRequest(credential=credential, signature=signature, **fields)
    assert service.post("/v1/sessions", request).status_code == 200


def test_a_client_id_has_16_octets(provider: CryptoProvider, service: Running) -> None:
    request = Device.new(provider, service).session_request(client_id=bytes(15))
    response = service.post("/v1/sessions", request)
    assert refusal(response) == (400, "malformed")
    assert (response.json()["struct"], response.json()["field"]) == ("SessionRequest", "client_id")
