"""The devices of an identity: a chain of signed events that says whose keys may speak for it (docs/protocol.md).

Every client (device) has an identity key of its own. The first one claims the identity; each later one is admitted, and each
one that goes is revoked, by a device that is there:

     claim ─────────► admit ──────────► admit ──────────► revoke
     phone, by phone  laptop, by phone  tablet, by laptop phone, by tablet

An event names the one before by its hash, so there is one order, and nothing can be left out of the middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..codec import ClosedEnum8, Struct, opaque, replace, uint32, without_signature
from ..crypto import CryptoProvider, KeyPair
from ..errors import DecodeError, StateError, ValidationError, VerificationError
from .binding import CLIENT_ID_SIZE, federation_sign_content, from_base64url, split_identity, to_base64url
from .credentials import basic_identity
from .seed import Credential

# Events of one identity: a claim, and the coming and going of 127 more devices. A device is admitted only if room is left for
# its revocation.
MAX_EVENTS = 255
# Admissions from the device that claimed to any other: they are in every leaf of that device.
MAX_LINEAGE = 32

_DEVICE_LABEL = "Device"
_EVENT_LABEL = "DeviceEvent"
_HASH_SIZE = 32


class DeviceTBS(Struct):
    """What a device signs to belong to an identity, under the label "Device"."""

    identity: opaque
    client_id: opaque
    credential: Credential


class DeviceRequest(Struct):
    """A new device's wish to be admitted: shown to a device that is there, which signs the event."""

    device: DeviceTBS
    signature: opaque


class DeviceEventType(ClosedEnum8):
    """What an event does."""

    claim = 1
    admit = 2
    revoke = 3


class DeviceEvent(Struct, keep_octets=True):
    """One event. `client_id` and `credential` say which device it is about, `signer` is the device that signed it."""

    identity: opaque
    sequence: uint32
    previous: opaque
    event_type: DeviceEventType
    client_id: opaque
    credential: Credential
    device_signature: opaque
    signer: Credential
    signature: opaque


class DeviceEventTBS(Struct):
    """What `DeviceEvent.signature` covers, under the label "DeviceEvent": every field before it."""

    identity: opaque
    sequence: uint32
    previous: opaque
    event_type: DeviceEventType
    client_id: opaque
    credential: Credential
    device_signature: opaque
    signer: Credential


@dataclass(frozen=True)
class Device:
    """A device of an identity, as its chain has it.

    Attributes:
        client_id: names it among those of the identity.
        credential: its identity key.
        lineage: the admissions that lead from the device that claimed to this one; none for the former.
    """

    client_id: bytes
    credential: Credential
    lineage: tuple[DeviceEvent, ...]


@dataclass(frozen=True)
class Devices:
    """What a chain comes to.

    Attributes:
        identity: whose devices they are.
        root: the credential of the device that claimed; it names the chain, even when that device is revoked.
        active: the devices that may speak for the identity, by client_id.
        revoked: those that may no more, by client_id.
        events: how many events there are; the sequence of the next.
        latest: SHA-256 of the latest event.
    """

    identity: bytes
    root: Credential
    active: Mapping[bytes, Device]
    revoked: Mapping[bytes, Device]
    events: int
    latest: bytes

    def device_of(self, credential: Credential) -> Device:
        """The active device that has a key.

        Raises:
            ValidationError: code `revoked-device`: it was active once; `not-a-device`: it never was.
        """
        for device in self.active.values():
            if device.credential == credential:
                return device
        if any(device.credential == credential for device in self.revoked.values()):
            raise ValidationError("a device that was revoked", code="revoked-device")
        raise ValidationError("no device of this identity", code="not-a-device")


# -- making events


def device_request(
    provider: CryptoProvider, client_id: bytes, credential: Credential, key: KeyPair
) -> DeviceRequest:
    """A new device's request to be admitted to the identity that its credential names."""
    device = DeviceTBS(
        identity=basic_identity(credential).identity, client_id=client_id, credential=credential
    )
    content = federation_sign_content(_DEVICE_LABEL, device.encode())
    signature = provider.sign(basic_identity(credential).algorithm, key.private_key, content)
    return DeviceRequest(device=device, signature=signature)


def claim_event(
    provider: CryptoProvider, client_id: bytes, credential: Credential, key: KeyPair
) -> DeviceEvent:
    """The first event of an identity: a device claims it, by its own key."""
    request = device_request(provider, client_id, credential, key)
    return _signed(provider, None, DeviceEventType.claim, request.device, request.signature, credential, key)


def admit_event(
    provider: CryptoProvider, devices: Devices, request: DeviceRequest, signer: Credential, key: KeyPair
) -> DeviceEvent:
    """The next event of an identity, by which a device that is active admits another.

    Raises:
        StateError: code `not-a-device`: the signer is not active.
    """
    _check_signer(devices, signer)
    return _signed(provider, devices, DeviceEventType.admit, request.device, request.signature, signer, key)


def revoke_event(
    provider: CryptoProvider, devices: Devices, client_id: bytes, signer: Credential, key: KeyPair
) -> DeviceEvent:
    """The next event of an identity, by which a device that is active revokes one, be it itself.

    Raises:
        StateError: code `not-a-device`: the signer, or the one that is to be revoked, is not active.
    """
    _check_signer(devices, signer)
    revoked = devices.active.get(client_id)
    if revoked is None:
        raise StateError("this identity has no such active device", code="not-a-device")
    subject = DeviceTBS(identity=devices.identity, client_id=client_id, credential=revoked.credential)
    return _signed(provider, devices, DeviceEventType.revoke, subject, b"", signer, key)


def _check_signer(devices: Devices, signer: Credential) -> None:
    if all(device.credential != signer for device in devices.active.values()):
        raise StateError("this device may not speak for the identity", code="not-a-device")


def _signed(
    provider: CryptoProvider,
    devices: Devices | None,
    event_type: DeviceEventType,
    subject: DeviceTBS,
    device_signature: bytes,
    signer: Credential,
    key: KeyPair,
) -> DeviceEvent:
    unsigned = DeviceEvent(
        identity=subject.identity,
        sequence=0 if devices is None else devices.events,
        previous=b"" if devices is None else devices.latest,
        event_type=event_type,
        client_id=subject.client_id,
        credential=subject.credential,
        device_signature=device_signature,
        signer=signer,
        signature=b"",
    )
    content = federation_sign_content(_EVENT_LABEL, without_signature(unsigned))
    return replace(
        unsigned, signature=provider.sign(basic_identity(signer).algorithm, key.private_key, content)
    )


# -- requests as text


def request_text(request: DeviceRequest) -> str:
    """A request as base64url, to be typed, sent or shown as a QR code."""
    return to_base64url(request.encode())


def read_request(provider: CryptoProvider, text: str) -> DeviceRequest:
    """The request in a text, signed by the device that it is from.

    Raises:
        ValidationError: code `bad-device-request`: the text is none; or as `verify_event`.
        VerificationError: code `bad-signature`.
    """
    try:
        request = DeviceRequest.decode(from_base64url("".join(text.split())))
    except (ValueError, DecodeError):
        raise ValidationError("this text is no device's request", code="bad-device-request") from None
    _check_subject(request.device)
    _verify(provider, request.device.credential, _DEVICE_LABEL, request.device.encode(), request.signature)
    return request


# -- following a chain


def devices_of(provider: CryptoProvider, events: Sequence[DeviceEvent]) -> Devices:
    """What the whole chain of an identity comes to, with every rule and signature checked.

    Raises:
        ValidationError, VerificationError: see `verify_event` and `with_event`; code `unknown-identity`: there are none.
    """
    devices = None
    for event in events:
        verify_event(provider, event)
        devices = with_event(devices, event)
    if devices is None:
        raise ValidationError("an identity that nobody has claimed", code="unknown-identity")
    return devices


def verify_event(provider: CryptoProvider, event: DeviceEvent) -> None:
    """Return if an event is well formed, and signed by whom it names. Whether those may, its chain says.

    Raises:
        ValidationError: code `bad-identity`; `unsupported-credential`; `wrong-identity`: a credential is for another
            identity; `bad-device-event`: its fields contradict its type.
        VerificationError: code `bad-signature`: the device, or the signer, did not sign it.
    """
    subject = DeviceTBS(identity=event.identity, client_id=event.client_id, credential=event.credential)
    _check_subject(subject)
    signer = basic_identity(event.signer)
    if signer.identity != event.identity:
        raise ValidationError("an event signed for another identity", code="wrong-identity")
    if event.event_type is DeviceEventType.claim:
        if event.sequence != 0 or event.previous or event.signer != event.credential:
            raise _bad_event("a claim is the first event, and by the device itself")
    elif event.sequence == 0 or len(event.previous) != _HASH_SIZE:
        raise _bad_event("it must name the event before")
    if event.event_type is not DeviceEventType.revoke:
        _verify(provider, event.credential, _DEVICE_LABEL, subject.encode(), event.device_signature)
    elif event.device_signature:
        raise _bad_event("who is revoked is not asked")
    _verify(provider, event.signer, _EVENT_LABEL, without_signature(event), event.signature)


def with_event(devices: Devices | None, event: DeviceEvent) -> Devices:
    """What a chain comes to with one event more, of which `verify_event` is content.

    Args:
        devices: what the events before come to; None if there are none.

    Raises:
        ValidationError: code `unknown-identity`: the first event is no claim; `identity-claimed`: a claim, but not the
            first event; `wrong-identity`; `stale-event`: it does not follow the latest event; `not-a-device`: the signer,
            or who is revoked, is no active device; `already-a-device`: who is admitted is active; `revoked-device`: or
            was revoked; `last-device`: nobody would be left; `lineage-too-long`; `too-many-device-events`.
    """
    if devices is None:
        return _claimed(event)
    if event.identity != devices.identity:
        raise ValidationError("an event of another identity", code="wrong-identity")
    if event.event_type is DeviceEventType.claim:
        raise ValidationError("an identity that is claimed already", code="identity-claimed")
    if event.sequence != devices.events or event.previous != devices.latest:
        raise ValidationError("a device event that does not follow the latest one", code="stale-event")
    signer = next((device for device in devices.active.values() if device.credential == event.signer), None)
    if signer is None:
        raise ValidationError("a device event by no active device", code="not-a-device")
    active, revoked = dict(devices.active), dict(devices.revoked)
    if event.event_type is DeviceEventType.admit:
        _check_new(devices, event)
        if len(signer.lineage) == MAX_LINEAGE:
            raise ValidationError("too many admissions, each by the device before", code="lineage-too-long")
        active[event.client_id] = Device(event.client_id, event.credential, (*signer.lineage, event))
    else:
        device = active.pop(event.client_id, None)
        if device is None or device.credential != event.credential:
            raise ValidationError("a device to be revoked that is not active", code="not-a-device")
        if not active:
            raise ValidationError("nobody could speak for the identity any more", code="last-device")
        revoked[event.client_id] = device
    if devices.events + len(active) > MAX_EVENTS:
        raise ValidationError("too many device events of one identity", code="too-many-device-events")
    return Devices(devices.identity, devices.root, active, revoked, devices.events + 1, event_hash(event))


def event_hash(event: DeviceEvent) -> bytes:
    """By which the next event names this one."""
    return hashlib.sha256(event.encode()).digest()


def _claimed(event: DeviceEvent) -> Devices:
    if event.event_type is not DeviceEventType.claim:
        raise ValidationError("an identity that nobody has claimed", code="unknown-identity")
    first = Device(event.client_id, event.credential, ())
    return Devices(event.identity, event.credential, {event.client_id: first}, {}, 1, event_hash(event))


def _check_new(devices: Devices, event: DeviceEvent) -> None:
    """A client_id and a key stand for one device, for ever: whoever has a revoked one must not come back with it."""
    key = basic_identity(event.credential).public_key
    for known, code in ((devices.active, "already-a-device"), (devices.revoked, "revoked-device")):
        for device in known.values():
            if device.client_id == event.client_id or basic_identity(device.credential).public_key == key:
                raise ValidationError("a device to be admitted that was admitted before", code=code)


def _check_subject(subject: DeviceTBS) -> None:
    split_identity(subject.identity)
    if basic_identity(subject.credential).identity != subject.identity:
        raise ValidationError("a device whose credential is for another identity", code="wrong-identity")
    if len(subject.client_id) != CLIENT_ID_SIZE:
        raise _bad_event(f"a client_id has {CLIENT_ID_SIZE} octets")


def _verify(
    provider: CryptoProvider, credential: Credential, label: str, content: bytes, signature: bytes
) -> None:
    basic = basic_identity(credential)
    try:
        provider.verify(basic.algorithm, basic.public_key, federation_sign_content(label, content), signature)
    except VerificationError:
        raise VerificationError("a device did not sign this", code="bad-signature") from None


def _bad_event(reason: str) -> ValidationError:
    return ValidationError(f"a device event that is not valid: {reason}", code="bad-device-event")


# -- the lineage in a leaf


def verify_lineage(
    provider: CryptoProvider, credential: Credential, lineage: Sequence[DeviceEvent], verified: set[bytes]
) -> Credential:
    """The credential of the device that claimed the identity, from which a lineage leads to the device of `credential`.

    It shows that the first device, or one that it admitted, and so on, admitted this one; not whether one of them has been
    revoked since, which only the chain says.

    Args:
        verified: octets of events that were verified before, and are not verified again; those of this lineage are added.

    Raises:
        ValidationError: code `bad-lineage`: these are not such admissions, one after the other; or as `verify_event`.
        VerificationError: code `bad-signature`.
    """
    if len(lineage) > MAX_LINEAGE:
        raise _bad_lineage("there are too many")
    for event in lineage:
        if event.event_type is not DeviceEventType.admit:
            raise _bad_lineage("one is no admission")
        octets = event.encode()
        if octets not in verified:
            verify_event(provider, event)
            verified.add(octets)
    for before, event in pairwise(lineage):
        if event.signer != before.credential or event.sequence <= before.sequence:
            raise _bad_lineage("one does not follow the other")
    if not lineage:
        return credential
    if lineage[-1].credential != credential:
        raise _bad_lineage("they lead to another device")
    root = lineage[0].signer
    keys = [basic_identity(each).public_key for each in (root, *(event.credential for event in lineage))]
    if len(set(keys)) != len(keys):
        raise _bad_lineage("they go in a circle")
    return root


def _bad_lineage(reason: str) -> ValidationError:
    return ValidationError(f"the admissions that a leaf shows are not valid: {reason}", code="bad-lineage")
