"""Publishing key sets, and fetching them: each is handed out once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from mls_delivery.service import Limits
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, SignatureScheme, generate_signature_key
from mls_federation.federation import binding, log, seed
from mls_federation.federation.identity import LONGEST_LIFETIME
from mls_federation.federation.manifest import build_key_set, verify_bundle
from tests.delivery.support import (
    SUITE_1,
    SUITE_2,
    SUITE_3,
    Clock,
    Device,
    Running,
    bundles_in,
    checked,
    fetch,
    key_request,
    refusal,
    running_service,
)


def _ids(bundles: tuple[binding.KeyBundle, ...]) -> list[bytes]:
    return [bundle.bundle.user_init_key.user_init_key_id for bundle in bundles]


def _fetch_refusal(service: Running, identity: str, *suites: CipherSuite) -> tuple[int, str]:
    request = key_request(identity, *suites or (SUITE_1,))
    return refusal(service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST))


def test_a_fetched_bundle_is_what_was_published(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    key_set = device.key_set(clock.now, SUITE_1, SUITE_2, SUITE_3)
    assert device.publish(key_set) == 1
    (bundle,) = fetch(service, "bob@b.example", SUITE_3, SUITE_2)
    assert bundle.client_id == device.client_id
    assert bundle.bundle == seed.UserInitKeyBundle(
        identity=b"bob@b.example", user_init_key=key_set.user_init_key
    )
    assert (bundle.chosen, bundle.key_package) == (SUITE_3, key_set.key_packages[2])
    assert bundle.last_resort == binding.Boolean.false
    verified = verify_bundle(provider, "bob@b.example", bundle, wanted=(SUITE_3, SUITE_2), now=clock.now)
    assert verified.cipher_suites == (SUITE_1, SUITE_2, SUITE_3)
    assert verified.refs == bundle.refs


def test_sets_are_handed_out_in_order_and_once(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    key_sets = [device.key_set(clock.now) for _ in range(3)]
    assert device.publish(*key_sets) == 3
    fetched = [_ids(fetch(service, "bob@b.example")) for _ in key_sets]
    assert fetched == [[key_set.user_init_key.user_init_key_id] for key_set in key_sets]
    assert _fetch_refusal(service, "bob@b.example") == (409, "keys-exhausted")
    assert device.publish() == 0


@pytest.fixture
def unsparing(provider: CryptoProvider, database_url: str, clock: Clock) -> Iterator[Running]:
    """A service that does not mind how often somebody's keys are fetched."""
    limits = Limits(key_sets_per_minute=0)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        yield service


def test_fifty_fetches_at_once_get_twenty_sets_and_then_the_last_resort(
    provider: CryptoProvider, unsparing: Running, clock: Clock
) -> None:
    device = Device.registered(provider, unsparing)
    device.publish(*(device.key_set(clock.now) for _ in range(20)))
    last = device.key_set(clock.now, last_resort=True)
    device.publish(last)
    ids = _fetched_at_once(unsparing, 50)
    assert len(ids) == 50
    assert ids.count(last.user_init_key.user_init_key_id) == 30
    assert len(set(ids)) == 21


def test_without_a_last_resort_those_who_come_too_late_get_nothing(
    provider: CryptoProvider, unsparing: Running, clock: Clock
) -> None:
    device = Device.registered(provider, unsparing)
    device.publish(*(device.key_set(clock.now) for _ in range(20)))
    ids = _fetched_at_once(unsparing, 30)
    assert (len(ids), len(set(ids))) == (20, 20)
    assert _fetch_refusal(unsparing, "bob@b.example") == (409, "keys-exhausted")


def _fetched_at_once(service: Running, count: int) -> list[bytes]:
    """The ids of the sets that requests at the same time get, in both ways."""
    body = key_request("bob@b.example", SUITE_1).encode()

    async def fetch_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = service.url + "/v1/bundles"
            kinds = [binding.MEDIA_TYPE_KEY_REQUEST, seed.MEDIA_TYPE_REQUEST] * (count // 2)
            return await asyncio.gather(
                *(client.post(url, content=body, headers={"Content-Type": kind}) for kind in kinds)
            )

    ids = []
    for response in asyncio.run(fetch_all()):
        if response.status_code != 200:
            assert refusal(response) == (409, "keys-exhausted")
        elif response.headers["content-type"] == seed.MEDIA_TYPE_RESPONSE:
            (bundle,) = seed.GetUserInitKeyResponse.decode(response.content).user_init_keys
            ids.append(bundle.user_init_key.user_init_key_id)
        else:
            ids += _ids(bundles_in(response.content))
    return ids


def test_who_is_drained_keeps_keys_for_one_use(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    limits = Limits(key_sets_per_minute=3)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        bob = Device.registered(provider, service)
        bob.publish(*(bob.key_set(clock.now) for _ in range(10)), bob.key_set(clock.now, last_resort=True))
        flags = [fetch(service, "bob@b.example")[0].last_resort for _ in range(6)]
        assert flags == [binding.Boolean.false] * 3 + [binding.Boolean.true] * 3
        assert bob.publish() == 7
        clock.now += 20
        assert fetch(service, "bob@b.example")[0].last_resort == binding.Boolean.false
        # Who has no last resort must wait; nobody else has to.
        carol = Device.registered(provider, service, "carol@b.example")
        carol.publish(*(carol.key_set(clock.now) for _ in range(10)))
        for _ in range(3):
            fetch(service, "carol@b.example")
        request = key_request("carol@b.example", SUITE_1)
        response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
        assert refusal(response) == (429, "rate-limited")
        assert response.headers["retry-after"] == "20"
        assert carol.publish() == 7


def test_the_answer_says_what_became_of_each_client(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    laptop = Device.registered(provider, service)
    phone, tablet = (
        Device.registered(provider, service, by=laptop),
        Device.registered(provider, service, by=laptop),
    )
    laptop.publish(laptop.key_set(clock.now, SUITE_1))
    phone.publish(phone.key_set(clock.now, SUITE_3, SUITE_2), phone.key_set(clock.now, SUITE_3))
    request = key_request("bob@b.example", SUITE_1)
    response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
    found = {one.client_id: one for one in log.KeyResponse.decode(checked(response)).clients}
    assert {client_id: one.status for client_id, one in found.items()} == {
        laptop.client_id: binding.KeyStatus.keys,
        phone.client_id: binding.KeyStatus.no_common_suite,
        tablet.client_id: binding.KeyStatus.exhausted,
    }
    assert found[phone.client_id].result == binding.CipherSuites(offered=(SUITE_2, SUITE_3))
    assert found[tablet.client_id].result is None
    # The one who had keys has none now, and the answer is about them all.
    response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
    assert refusal(response) == (409, "no-common-suite")
    assert response.json()["offered_suites"] == [2, 3]


def test_the_last_resort_comes_last_and_stays(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    last = device.key_set(clock.now, last_resort=True)
    assert device.publish(last) == 0
    assert device.publish(device.key_set(clock.now)) == 1
    flags = [fetch(service, "bob@b.example")[0].last_resort for _ in range(3)]
    assert flags == [binding.Boolean.false, binding.Boolean.true, binding.Boolean.true]
    assert _ids(fetch(service, "bob@b.example")) == [last.user_init_key.user_init_key_id]


def test_a_new_last_resort_replaces_the_old_for_good(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    old, new = (device.key_set(clock.now, last_resort=True) for _ in range(2))
    device.publish(old)
    device.publish(new)
    device.publish(old)
    assert _ids(fetch(service, "bob@b.example")) == [new.user_init_key.user_init_key_id]


def test_publishing_again_changes_nothing(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.registered(provider, service)
    key_set = device.key_set(clock.now)
    assert device.publish(key_set, key_set) == 1
    assert device.publish(key_set) == 1
    fetch(service, "bob@b.example")
    assert device.publish(key_set) == 0
    assert _fetch_refusal(service, "bob@b.example") == (409, "keys-exhausted")


def test_a_set_does_not_become_another_under_the_same_id(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    # An ECDSA signature of the same manifest is another each time, and nothing else can differ under one id.
    scheme = SignatureScheme.ecdsa_secp256r1_sha256
    device = Device.new(provider, service, key=generate_signature_key(provider, scheme))
    device.scheme = scheme
    device.claim()
    device.open_session()
    packages = [device.key_package(SUITE_1, clock.now)]
    key_set, other = (
        build_key_set(provider, device.credential, device.key, packages, last_resort=False) for _ in range(2)
    )
    device.publish(key_set)
    response = device.put(device.key_set(clock.now), other)
    assert refusal(response) == (409, "key-set-conflict")
    assert response.json()["user_init_key_id"] == key_set.user_init_key.user_init_key_id.hex()
    assert device.publish() == 1


def test_one_bundle_for_each_client(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    laptop = Device.registered(provider, service)
    phone = Device.registered(provider, service, by=laptop)
    tablet = Device.registered(provider, service, by=laptop)
    laptop.publish(laptop.key_set(clock.now), laptop.key_set(clock.now))
    phone.publish(phone.key_set(clock.now, last_resort=True))
    bundles = fetch(service, "bob@b.example")
    assert [bundle.client_id for bundle in bundles] == [laptop.client_id, phone.client_id]
    assert [bundle.last_resort for bundle in bundles] == [binding.Boolean.false, binding.Boolean.true]
    assert (laptop.publish(), tablet.publish()) == (1, 0)


def test_the_requesters_order_decides_on_the_suite(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    device.publish(*(device.key_set(clock.now, SUITE_1, SUITE_2, SUITE_3) for _ in range(2)))
    unknown = CipherSuite(0x1A1A)
    assert fetch(service, "bob@b.example", unknown, SUITE_2, SUITE_1)[0].chosen == SUITE_2
    assert fetch(service, "bob@b.example", SUITE_3, unknown)[0].chosen == SUITE_3


def test_a_set_without_a_common_suite_is_left_for_others(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    first, second = device.key_set(clock.now, SUITE_3), device.key_set(clock.now, SUITE_1)
    device.publish(first, second)
    assert _ids(fetch(service, "bob@b.example", SUITE_1)) == [second.user_init_key.user_init_key_id]
    assert _ids(fetch(service, "bob@b.example", SUITE_3)) == [first.user_init_key.user_init_key_id]


@pytest.mark.parametrize("suites", [(SUITE_2,), (CipherSuite(0x1A1A),), ()])
def test_no_common_suite(
    provider: CryptoProvider, service: Running, clock: Clock, suites: tuple[CipherSuite, ...]
) -> None:
    device = Device.registered(provider, service)
    device.publish(device.key_set(clock.now, SUITE_1, SUITE_3))
    request = key_request("bob@b.example", *suites)
    response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
    assert refusal(response) == (409, "no-common-suite")
    assert response.json()["offered_suites"] == [1, 3]
    assert device.publish() == 1


def test_each_suite_has_one_code_point(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    """The seed's 0x0000 is RFC 9420's 0x0002, which in the seed's messages stands for nothing."""
    device = Device.registered(provider, service)
    device.publish(device.key_set(clock.now, SUITE_2))
    request = seed.GetUserInitKeyRequest(
        identity=b"bob@b.example", supported_suites=(seed.SeedCipherSuite(0x0002),)
    )
    response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
    assert refusal(response) == (409, "no-common-suite")


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("carol@b.example", (404, "unknown-identity")),
        ("Bob@b.example", (404, "unknown-identity")),
        ("bob@b.example", (409, "keys-exhausted")),
        ("bob@a.example", (421, "wrong-domain")),
        ("bob", (400, "bad-identity")),
        ("", (400, "bad-identity")),
    ],
)
def test_identities_without_bundles(
    provider: CryptoProvider, service: Running, identity: str, expected: tuple[int, str]
) -> None:
    Device.registered(provider, service, "bob@b.example")
    for kind in (binding.MEDIA_TYPE_KEY_REQUEST, seed.MEDIA_TYPE_REQUEST):
        response = service.post("/v1/bundles", key_request(identity, SUITE_1), kind)
        assert refusal(response) == expected


def test_sets_expire(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.registered(provider, service)
    short = device.key_set(clock.now, seconds=100)
    long = build_key_set(
        provider,
        device.credential,
        device.key,
        [
            device.key_package(SUITE_1, clock.now, 300, last_resort=True),
            device.key_package(SUITE_3, clock.now, 200, last_resort=True),
        ],
        last_resort=True,
    )
    device.publish(short, device.key_set(clock.now, seconds=100), long)
    clock.now += 100
    assert _ids(fetch(service, "bob@b.example")) == [short.user_init_key.user_init_key_id]
    clock.now += 1
    assert device.publish() == 0
    assert _ids(fetch(service, "bob@b.example")) == [long.user_init_key.user_init_key_id]
    clock.now += 100
    assert _fetch_refusal(service, "bob@b.example") == (409, "keys-exhausted")
    response = device.put(short)
    assert refusal(response) == (400, "invalid-key-set")
    assert response.json()["reason"] == "outside-lifetime"


def test_no_set_is_good_for_ever(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    device = Device.registered(provider, service)
    assert device.publish(device.key_set(clock.now, seconds=LONGEST_LIFETIME)) == 1
    for seconds in (LONGEST_LIFETIME + 1, 2**64 - 1 - clock.now):
        response = device.put(device.key_set(clock.now, seconds=seconds))
        assert refusal(response) == (400, "invalid-key-set")
        assert response.json()["reason"] == "lifetime-too-long"


def test_a_client_may_have_so_many_sets(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    with running_service(provider, database_url, clock=clock, limits=Limits(key_sets=2)) as service:
        device = Device.registered(provider, service)
        sets = [device.key_set(clock.now) for _ in range(3)]
        response = device.put(*sets)
        assert refusal(response) == (409, "too-many-key-sets")
        assert device.publish() == 0
        assert device.publish(*sets[:2], device.key_set(clock.now, last_resort=True)) == 2
        assert refusal(device.put(sets[2])) == (409, "too-many-key-sets")


def test_a_set_of_somebody_else_is_refused(provider: CryptoProvider, service: Running, clock: Clock) -> None:
    bob = Device.registered(provider, service, "bob@b.example")
    for other in (Device.new(provider, service, "eve@b.example"), Device.new(provider, service)):
        response = bob.put(other.key_set(clock.now))
        assert refusal(response) == (400, "invalid-key-set")
        assert "credential" in response.json()["detail"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("signature", "bad-manifest-signature"),
        ("a suite hidden", "bad-manifest-signature"),
        ("a KeyPackage swapped", "bad-manifest"),
        ("a KeyPackage missing", "bad-manifest"),
        ("KeyPackages in another order", "bad-manifest"),
        ("a KeyPackage cut short", "malformed"),
        ("no suite", "bad-manifest"),
        ("not yet valid", "outside-lifetime"),
    ],
)
def test_sets_that_break_the_manifest_rule(
    provider: CryptoProvider, service: Running, clock: Clock, damage: str, reason: str
) -> None:
    device = Device.registered(provider, service)
    good = device.key_set(clock.now, SUITE_1, SUITE_3)
    manifest, packages = good.user_init_key, good.key_packages
    match damage:
        case "signature":
            broken = replace(good, user_init_key=replace(manifest, signature=bytes(64)))
        case "a suite hidden":
            weaker = replace(
                manifest, cipher_suites=manifest.cipher_suites[:1], init_keys=manifest.init_keys[:1]
            )
            broken = replace(good, user_init_key=weaker, key_packages=packages[:1])
        case "a KeyPackage swapped":
            other = device.key_package(SUITE_3, clock.now).encode()
            broken = replace(good, key_packages=(packages[0], other))
        case "a KeyPackage missing":
            broken = replace(good, key_packages=packages[:1])
        case "KeyPackages in another order":
            broken = replace(good, key_packages=packages[::-1])
        case "a KeyPackage cut short":
            broken = replace(good, key_packages=(packages[0], packages[1][:-1]))
        case "no suite":
            empty = replace(manifest, cipher_suites=())
            broken = replace(good, user_init_key=empty, key_packages=())
        case _:
            broken = device.key_set(clock.now + 1)
    response = device.put(good, broken)
    assert refusal(response) == (400, "invalid-key-set")
    report = response.json()
    assert (report["index"], report["reason"]) == (1, reason)
    assert device.publish() == 0


def test_a_suite_goes_by_the_seeds_code_point_alone(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    good = device.key_set(clock.now, SUITE_2)
    manifest = replace(good.user_init_key, cipher_suites=(seed.SeedCipherSuite(0x0002),))
    signed = manifest.encode()[: -2 - len(manifest.signature)]
    signature = provider.sign(SignatureScheme.ed25519, device.key.private_key, signed)
    response = device.put(replace(good, user_init_key=replace(manifest, signature=signature)))
    assert refusal(response) == (400, "invalid-key-set")
    assert response.json()["reason"] == "bad-manifest"


def test_a_client_of_the_seed_gets_the_seeds_bytes(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    device = Device.registered(provider, service)
    key_set = device.key_set(clock.now, SUITE_1, SUITE_2)
    device.publish(key_set)
    request = bytes.fromhex("000d") + b"bob@b.example" + bytes.fromhex("04 0001 0000")
    response = service.post("/v1/bundles", request, "application/mls-get-user-init-key-request")
    body = checked(response)
    assert response.headers["content-type"] == "application/mls-get-user-init-key-response"
    manifest = key_set.user_init_key.encode()
    bundle = bytes.fromhex("000d") + b"bob@b.example" + manifest
    assert body == len(bundle).to_bytes(4, "big") + bundle
    assert _fetch_refusal(service, "bob@b.example") == (409, "keys-exhausted")
