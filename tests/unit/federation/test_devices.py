"""The chain of an identity's devices: who may speak for it, and nothing of it can be changed, left out or added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.codec import replace, without_signature
from mls_federation.crypto import CryptoProvider, KeyPair, SignatureScheme, generate_signature_key
from mls_federation.errors import MLSError, StateError, ValidationError, VerificationError
from mls_federation.federation import devices as chain
from mls_federation.federation.credentials import identity_credential
from mls_federation.federation.devices import (
    MAX_EVENTS,
    MAX_LINEAGE,
    DeviceEvent,
    DeviceEventType,
    Devices,
    admit_event,
    claim_event,
    device_request,
    devices_of,
    read_request,
    request_text,
    revoke_event,
    verify_event,
    verify_lineage,
    with_event,
)
from mls_federation.federation.seed import Credential, CredentialType

ALICE = "alice@a.example"
EVE = "eve@a.example"


@dataclass(frozen=True)
class Device:
    """A device with its private key."""

    client_id: bytes
    credential: Credential
    key: KeyPair


def new_device(provider: CryptoProvider, number: int, identity: str = ALICE) -> Device:
    key = generate_signature_key(provider, SignatureScheme.ed25519)
    credential = identity_credential(identity, SignatureScheme.ed25519, key.public_key)
    return Device(bytes([number]) * 16, credential, key)


def claimed(provider: CryptoProvider, device: Device) -> DeviceEvent:
    return claim_event(provider, device.client_id, device.credential, device.key)


def admitted(
    provider: CryptoProvider, events: Sequence[DeviceEvent], new: Device, signer: Device
) -> DeviceEvent:
    request = device_request(provider, new.client_id, new.credential, new.key)
    return admit_event(provider, devices_of(provider, events), request, signer.credential, signer.key)


def revoked(
    provider: CryptoProvider, events: Sequence[DeviceEvent], gone: Device, signer: Device
) -> DeviceEvent:
    devices = devices_of(provider, events)
    return revoke_event(provider, devices, gone.client_id, signer.credential, signer.key)


def signed_again(provider: CryptoProvider, event: DeviceEvent, signer: Device) -> DeviceEvent:
    """An event as it would be had its signer meant it, whatever it says."""
    content = without_signature(event)
    label = b"MLS Federation 1.0 DeviceEvent"
    length = (
        len(content).to_bytes(1, "big") if len(content) < 64 else (0x4000 | len(content)).to_bytes(2, "big")
    )
    signature = provider.sign(
        SignatureScheme.ed25519, signer.key.private_key, bytes([len(label)]) + label + length + content
    )
    return replace(event, signature=signature)


@dataclass(frozen=True)
class Story:
    """A phone claims, and admits a laptop, which admits a tablet, which revokes the phone."""

    phone: Device
    laptop: Device
    tablet: Device
    stranger: Device
    events: tuple[DeviceEvent, ...]


@pytest.fixture(scope="module")
def story(provider: CryptoProvider) -> Story:
    phone, laptop, tablet, stranger = (new_device(provider, number) for number in range(1, 5))
    events = [claimed(provider, phone)]
    events.append(admitted(provider, events, laptop, phone))
    events.append(admitted(provider, events, tablet, laptop))
    events.append(revoked(provider, events, phone, tablet))
    return Story(phone, laptop, tablet, stranger, tuple(events))


def refused(provider: CryptoProvider, events: Sequence[DeviceEvent]) -> tuple[type[MLSError], str]:
    with pytest.raises(MLSError) as caught:
        devices_of(provider, events)
    return type(caught.value), caught.value.code


NOT_SIGNED = (VerificationError, "bad-signature")


def invalid(code: str) -> tuple[type[MLSError], str]:
    return ValidationError, code


# -- honest chains


def test_an_honest_chain(provider: CryptoProvider, story: Story) -> None:
    devices = devices_of(provider, story.events)

    assert devices.identity == ALICE.encode()
    assert devices.root == story.phone.credential
    assert set(devices.active) == {story.laptop.client_id, story.tablet.client_id}
    assert set(devices.revoked) == {story.phone.client_id}
    assert devices.events == 4
    assert devices.active[story.tablet.client_id].credential == story.tablet.credential
    assert devices.active[story.tablet.client_id].lineage == story.events[1:3]
    assert devices.revoked[story.phone.client_id].lineage == ()


def test_the_claim_alone(provider: CryptoProvider, story: Story) -> None:
    devices = devices_of(provider, story.events[:1])
    assert (set(devices.active), devices.revoked) == ({story.phone.client_id}, {})


def test_a_device_may_revoke_itself(provider: CryptoProvider, story: Story) -> None:
    events = [*story.events, revoked(provider, story.events, story.tablet, story.tablet)]
    assert set(devices_of(provider, events).active) == {story.laptop.client_id}


def test_what_is_signed(provider: CryptoProvider, story: Story) -> None:
    """Written by hand from docs/protocol.md; another implementation must find the same."""

    def credential(device: Device) -> bytes:
        return b"\x00\x00\x0f" + ALICE.encode() + bytes.fromhex("0807 0020") + device.key.public_key

    def signed(device: Device, label: bytes, content: bytes, signature: bytes) -> None:
        octets = bytes([len(label)]) + label + (0x4000 | len(content)).to_bytes(2, "big") + content
        provider.verify(SignatureScheme.ed25519, device.key.public_key, octets, signature)

    claim, admit = story.events[:2]
    device = b"\x0f" + ALICE.encode() + b"\x10" + story.laptop.client_id + credential(story.laptop)
    signed(story.laptop, b"MLS Federation 1.0 Device", device, admit.device_signature)
    event = b"\x0f" + ALICE.encode() + bytes(3) + b"\x01" + b"\x20" + chain.event_hash(claim) + b"\x02"
    event += b"\x10" + story.laptop.client_id + credential(story.laptop)
    event += b"\x40\x40" + admit.device_signature + credential(story.phone)
    signed(story.phone, b"MLS Federation 1.0 DeviceEvent", event, admit.signature)


# -- forged ones

# What each field may be changed to, so that the event can still be encoded.
_CHANGES: dict[str, Any] = {
    "identity": b"bob@a.example",
    "sequence": 7,
    "previous": b"\x11" * 32,
    "client_id": b"\x99" * 16,
    "device_signature": b"\x22" * 64,
    "signature": b"\x33" * 64,
}


@pytest.mark.parametrize("place", range(4))
def test_no_field_can_be_changed(provider: CryptoProvider, story: Story, place: int) -> None:
    event = story.events[place]
    changes: list[tuple[str, Any]] = list(_CHANGES.items())
    changes += [("event_type", other) for other in DeviceEventType if other is not event.event_type]
    changes += [("credential", story.stranger.credential), ("signer", story.stranger.credential)]
    tried = set()
    for field, value in changes:
        assert getattr(event, field) != value
        events = [*story.events[:place], replace(event, **{field: value})]
        kind, code = refused(provider, events)
        assert (kind, code) in (
            NOT_SIGNED,
            invalid("wrong-identity"),
            invalid("bad-device-event"),
        ), f"{field}: {kind} {code}"
        tried.add(field)
    assert tried == set(DeviceEvent._fields)


def _decoded(provider: CryptoProvider, events: Sequence[DeviceEvent | bytes]) -> Devices:
    return devices_of(
        provider, [DeviceEvent.decode(event) if isinstance(event, bytes) else event for event in events]
    )


@settings(max_examples=300)
@given(data=st.data())
def test_no_octet_can_be_changed(provider: CryptoProvider, story: Story, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(story.events) - 1))
    octets = bytearray(story.events[place].encode())
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MLSError) as caught:
        _decoded(provider, [*story.events[:place], bytes(octets), *story.events[place + 1 :]])
    assert caught.value.code in {
        "malformed",
        "bad-signature",
        "bad-identity",
        "wrong-identity",
        "bad-device-event",
        "unsupported-credential",
    }


@settings(max_examples=100)
@given(data=st.data())
def test_only_the_whole_chain_in_order_is_one(
    provider: CryptoProvider, story: Story, data: st.DataObject
) -> None:
    events = data.draw(st.lists(st.sampled_from(story.events), min_size=1, max_size=6))
    if tuple(events) == story.events[: len(events)]:
        assert devices_of(provider, events).events == len(events)
    else:
        _, code = refused(provider, events)
        assert code in {"unknown-identity", "identity-claimed", "stale-event"}


def test_no_events(provider: CryptoProvider) -> None:
    assert refused(provider, []) == invalid("unknown-identity")


def test_a_second_claim(provider: CryptoProvider, story: Story) -> None:
    assert refused(provider, [*story.events, claimed(provider, story.stranger)]) == invalid(
        "identity-claimed"
    )
    assert refused(provider, [*story.events, story.events[0]]) == invalid("identity-claimed")


def test_an_event_of_another_identity(provider: CryptoProvider, story: Story) -> None:
    eve = new_device(provider, 9, EVE)
    assert refused(provider, [*story.events[:1], claimed(provider, eve)]) == invalid("wrong-identity")
    own = [claimed(provider, eve)]
    own.append(admitted(provider, own, new_device(provider, 10, EVE), eve))
    assert refused(provider, [*story.events[:1], own[1]]) == invalid("wrong-identity")


def test_a_device_of_another_identity_cannot_be_admitted(provider: CryptoProvider, story: Story) -> None:
    eve = new_device(provider, 9, EVE)
    event = admitted(provider, story.events[:1], story.laptop, story.phone)
    taken = replace(event, credential=eve.credential, client_id=eve.client_id)
    assert refused(provider, [story.events[0], signed_again(provider, taken, story.phone)]) == invalid(
        "wrong-identity"
    )


def test_a_stranger_admits(provider: CryptoProvider, story: Story) -> None:
    event = replace(story.events[1], signer=story.stranger.credential)
    assert refused(provider, [story.events[0], signed_again(provider, event, story.stranger)]) == invalid(
        "not-a-device"
    )


def test_a_revoked_device_admits_and_revokes(provider: CryptoProvider, story: Story) -> None:
    latest = chain.event_hash(story.events[-1])
    back = device_request(provider, b"\x07" * 16, story.stranger.credential, story.stranger.key)
    base = replace(
        story.events[1],
        sequence=4,
        previous=latest,
        client_id=back.device.client_id,
        credential=back.device.credential,
        device_signature=back.signature,
        signer=story.phone.credential,
    )
    assert refused(provider, [*story.events, signed_again(provider, base, story.phone)]) == invalid(
        "not-a-device"
    )
    revoke = replace(
        story.events[3],
        sequence=4,
        previous=latest,
        client_id=story.laptop.client_id,
        credential=story.laptop.credential,
        signer=story.phone.credential,
    )
    assert refused(provider, [*story.events, signed_again(provider, revoke, story.phone)]) == invalid(
        "not-a-device"
    )


def test_a_fork(provider: CryptoProvider, story: Story) -> None:
    """Two devices admit at once, or one device tells two stories: only one of them follows."""
    other = admitted(provider, story.events[:2], story.stranger, story.phone)
    assert other.sequence == story.events[2].sequence
    devices_of(provider, [*story.events[:2], other])
    assert refused(provider, [*story.events[:3], other]) == invalid("stale-event")
    assert refused(provider, [*story.events[:2], other, story.events[3]]) == invalid("stale-event")


def test_a_replayed_admission(provider: CryptoProvider, story: Story) -> None:
    assert refused(provider, [*story.events, story.events[1]]) == invalid("stale-event")


@pytest.mark.parametrize(
    ("who", "code"),
    [("phone", "revoked-device"), ("laptop", "already-a-device"), ("tablet", "already-a-device")],
)
@pytest.mark.parametrize("same", ["client_id", "key"])
def test_no_client_id_and_no_key_is_admitted_twice(
    provider: CryptoProvider, story: Story, who: str, same: str, code: str
) -> None:
    known: Device = getattr(story, who)
    again = (
        Device(known.client_id, story.stranger.credential, story.stranger.key)
        if same == "client_id"
        else Device(story.stranger.client_id, known.credential, known.key)
    )
    event = admitted(provider, story.events, again, story.tablet)
    assert refused(provider, [*story.events, event]) == invalid(code)


def test_a_revocation_of_nobody(provider: CryptoProvider, story: Story) -> None:
    with pytest.raises(StateError) as caught:
        revoked(provider, story.events, story.stranger, story.tablet)
    assert caught.value.code == "not-a-device"
    event = revoked(provider, story.events, story.laptop, story.tablet)
    for wrong in (
        replace(event, client_id=b"\x77" * 16),
        replace(event, credential=story.stranger.credential),
        replace(event, client_id=story.tablet.client_id),
    ):
        assert refused(provider, [*story.events, signed_again(provider, wrong, story.tablet)]) == invalid(
            "not-a-device"
        )


def test_the_last_device_stays(provider: CryptoProvider, story: Story) -> None:
    only = story.events[:1]
    event = revoked(provider, only, story.phone, story.phone)
    assert refused(provider, [*only, event]) == invalid("last-device")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_events_whose_fields_contradict_their_type(
    provider: CryptoProvider, story: Story, place: int
) -> None:
    wrong: dict[int, list[dict[str, Any]]] = {
        0: [{"sequence": 1}, {"previous": b"\x00" * 32}, {"signer": story.laptop.credential}],
        1: [{"sequence": 0}, {"previous": b""}, {"previous": b"\x00" * 31}, {"client_id": b"\x02" * 15}],
        3: [{"sequence": 0}, {"previous": b""}, {"device_signature": story.events[0].device_signature}],
    }
    signer = {0: story.phone, 1: story.phone, 3: story.tablet}[place]
    for change in wrong[place]:
        event = replace(story.events[place], **change)
        by = story.laptop if "signer" in change else signer
        expected = invalid("bad-device-event")
        assert refused(provider, [*story.events[:place], signed_again(provider, event, by)]) == expected


def test_x509_credentials(provider: CryptoProvider, story: Story) -> None:
    certificate = Credential(credential_type=CredentialType.x509, credential=b"\x30\x82")
    for field in ("credential", "signer"):
        event = replace(story.events[1], **{field: certificate})
        assert refused(provider, [story.events[0], event]) == invalid("unsupported-credential")


def test_who_is_no_device_can_sign_no_event(provider: CryptoProvider, story: Story) -> None:
    devices = devices_of(provider, story.events)
    request = device_request(
        provider, story.stranger.client_id, story.stranger.credential, story.stranger.key
    )
    for signer in (story.phone, story.stranger):
        with pytest.raises(StateError):
            admit_event(provider, devices, request, signer.credential, signer.key)
        with pytest.raises(StateError):
            revoke_event(provider, devices, story.laptop.client_id, signer.credential, signer.key)


def test_which_device_has_a_key(provider: CryptoProvider, story: Story) -> None:
    devices = devices_of(provider, story.events)
    assert devices.device_of(story.laptop.credential).client_id == story.laptop.client_id
    for device, code in ((story.phone, "revoked-device"), (story.stranger, "not-a-device")):
        with pytest.raises(ValidationError) as caught:
            devices.device_of(device.credential)
        assert caught.value.code == code


# -- limits


def test_every_device_can_still_be_revoked_when_there_are_too_many_events(provider: CryptoProvider) -> None:
    """Without verifying the signatures, which would take long."""
    keep = new_device(provider, 1)
    devices = with_event(None, claimed(provider, keep))
    for number in range(1, MAX_EVENTS // 2 + 1):
        devices = with_event(devices, _coming(provider, devices, number, keep))
        if number % 2:
            devices = with_event(devices, _going(provider, devices, number, keep))
    with pytest.raises(ValidationError) as caught:
        with_event(devices, _coming(provider, devices, 0, keep))
    assert caught.value.code == "too-many-device-events"
    for number in range(2, MAX_EVENTS // 2 + 1, 2):
        devices = with_event(devices, _going(provider, devices, number, keep))
    assert (devices.events, list(devices.active)) == (MAX_EVENTS, [keep.client_id])


def _coming(provider: CryptoProvider, devices: Devices, number: int, signer: Device) -> DeviceEvent:
    new = new_device(provider, 0)
    request = device_request(provider, number.to_bytes(16, "big"), new.credential, new.key)
    return admit_event(provider, devices, request, signer.credential, signer.key)


def _going(provider: CryptoProvider, devices: Devices, number: int, signer: Device) -> DeviceEvent:
    return revoke_event(provider, devices, number.to_bytes(16, "big"), signer.credential, signer.key)


@pytest.fixture(scope="module")
def dynasty(provider: CryptoProvider) -> tuple[Devices, list[Device]]:
    """As many devices as may be, each admitted by the one before."""
    line = [new_device(provider, number) for number in range(MAX_LINEAGE + 1)]
    devices = with_event(None, claimed(provider, line[0]))
    for signer, new in pairwise(line):
        request = device_request(provider, new.client_id, new.credential, new.key)
        devices = with_event(devices, admit_event(provider, devices, request, signer.credential, signer.key))
    return devices, line


def test_a_lineage_has_an_end(provider: CryptoProvider, dynasty: tuple[Devices, list[Device]]) -> None:
    devices, line = dynasty
    last = devices.active[line[-1].client_id]
    assert verify_lineage(provider, last.credential, last.lineage, set()) == line[0].credential

    new = new_device(provider, 99)
    request = device_request(provider, new.client_id, new.credential, new.key)
    by_last = admit_event(provider, devices, request, line[-1].credential, line[-1].key)
    with pytest.raises(ValidationError) as caught:
        with_event(devices, by_last)
    assert caught.value.code == "lineage-too-long"
    with pytest.raises(ValidationError) as caught:
        verify_lineage(provider, new.credential, (*last.lineage, by_last), set())
    assert caught.value.code == "bad-lineage"
    by_first = admit_event(provider, devices, request, line[0].credential, line[0].key)
    assert len(with_event(devices, by_first).active[new.client_id].lineage) == 1


# -- lineages


def test_lineages(provider: CryptoProvider, story: Story) -> None:
    _, first, second, _ = story.events
    root = story.phone.credential
    assert verify_lineage(provider, root, (), set()) == root
    assert verify_lineage(provider, story.laptop.credential, (first,), set()) == root
    assert verify_lineage(provider, story.tablet.credential, (first, second), set()) == root


def test_lineages_that_are_none(provider: CryptoProvider, story: Story) -> None:
    claim, first, second, revoke = story.events
    other = admitted(provider, story.events[:1], story.stranger, story.phone)
    circle = signed_again(
        provider,
        replace(
            second,
            client_id=story.phone.client_id,
            credential=story.phone.credential,
            device_signature=claim.device_signature,
        ),
        story.laptop,
    )
    wrong: list[tuple[Device, tuple[DeviceEvent, ...]]] = [
        (story.laptop, (claim,)),
        (story.laptop, (second,)),
        (story.tablet, (first,)),
        (story.tablet, (second, first)),
        (story.tablet, (claim, first, second)),
        (story.tablet, (other, second)),
        (story.tablet, (first, first, second)),
        (story.stranger, (first, second)),
        (story.phone, (revoke,)),
        (story.phone, (first, circle)),
    ]
    for device, lineage in wrong:
        with pytest.raises(MLSError) as caught:
            verify_lineage(provider, device.credential, lineage, set())
        assert (type(caught.value), caught.value.code) == invalid("bad-lineage")


def test_a_lineage_that_nobody_signed(provider: CryptoProvider, story: Story) -> None:
    _, first, second, _ = story.events
    forged = replace(first, signature=second.signature)
    verified: set[bytes] = set()
    with pytest.raises(VerificationError) as caught:
        verify_lineage(provider, story.laptop.credential, (forged,), verified)
    assert caught.value.code == "bad-signature"
    assert not verified


def test_an_event_is_verified_once(
    provider: CryptoProvider, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first, second, _ = story.events
    seen: list[DeviceEvent] = []

    def counted(by: CryptoProvider, event: DeviceEvent) -> None:
        seen.append(event)
        verify_event(by, event)

    monkeypatch.setattr(chain, "verify_event", counted)
    verified: set[bytes] = set()
    for _ in range(3):
        verify_lineage(provider, story.tablet.credential, (first, second), verified)
        verify_lineage(provider, story.laptop.credential, (first,), verified)
    assert seen == [first, second]


# -- requests


def test_a_request_as_text(provider: CryptoProvider, story: Story) -> None:
    new = story.stranger
    request = device_request(provider, new.client_id, new.credential, new.key)
    text = request_text(request)
    assert text.isascii()
    assert read_request(provider, text) == request
    assert read_request(provider, f" {text[:40]}\n{text[40:]}\n") == request


def test_texts_that_are_no_request(provider: CryptoProvider, story: Story) -> None:
    new = story.stranger
    request = device_request(provider, new.client_id, new.credential, new.key)
    text = request_text(request)
    for wrong in ("", "hello", text[:-4], text + "AAAA", "ü" + text, request_text(request)[1:]):
        with pytest.raises(ValidationError) as caught:
            read_request(provider, wrong)
        assert caught.value.code == "bad-device-request"
    for changed in (
        replace(request, signature=b"\x01" * 64),
        replace(request, device=replace(request.device, client_id=b"\x07" * 16)),
    ):
        with pytest.raises(VerificationError) as forged:
            read_request(provider, request_text(changed))
        assert forged.value.code == "bad-signature"
    stolen = replace(request, device=replace(request.device, identity=EVE.encode()))
    with pytest.raises(ValidationError) as caught:
        read_request(provider, request_text(stolen))
    assert caught.value.code == "wrong-identity"
