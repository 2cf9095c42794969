"""Our devices: we claim our identity or wait to be admitted, admit others, and revoke those that are gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ServiceError, StateError, ValidationError
from ..federation.credentials import basic_identity
from ..federation.devices import (
    DeviceEvent,
    DeviceRequest,
    Devices,
    admit_event,
    claim_event,
    device_request,
    read_request,
    request_text,
    revoke_event,
)
from .core import Core
from .delivery_service import add_device_event
from .log import accept_history, fetch_devices, keep_lineage
from .members import leaves_of
from .state import GroupState

# How often an event is made anew because another device's came first.
_ATTEMPTS = 8


@dataclass(frozen=True)
class DeviceDetails:
    """A device of ours, for showing.

    Attributes:
        client_id: names it.
        identity_key: its public key.
        is_self: whether it is this one.
        is_active: whether it may speak for the identity; else it was revoked.
    """

    client_id: bytes
    identity_key: bytes
    is_self: bool
    is_active: bool


async def register(core: Core, sign_in_token: str | None) -> None:
    """Open a session, claim the identity for that if nobody has, and learn who has admitted us.

    Args:
        sign_in_token: what the operator's sign-in has given us, if the service has one. Secret.

    Raises:
        StateError, ServiceError, TransportError: as `session_token`.
    """
    await session_token(core, sign_in_token)
    own = (await fetch_own_devices(core)).device_of(core.state.account.credential)
    await keep_lineage(core, own)


async def session_token(core: Core, sign_in_token: str | None = None) -> bytes:
    """The token of our session, for which the identity is claimed if nobody has, or the service has forgotten. Secret.

    Raises:
        StateError: code `not-admitted`: the identity has other devices, and they have not admitted this one;
            `device-revoked`: one of them has revoked it.
        ServiceError: code `claim-refused`: the operator's sign-in does not give it to us; and others.
        TransportError: code `unreachable`.
    """
    account = core.state.account
    try:
        return await core.session_token()
    except ServiceError as error:
        if error.code == "not-a-device":
            raise await _why_not(core) from None
        # Who was admitted by another device waits for that one.
        if error.code != "unknown-identity" or account.lineage:
            raise
    event = claim_event(core.ports.provider, account.client_id, account.credential, account.identity_key)
    try:
        await add_device_event(core.ports.transport, core.own_service, event, sign_in_token)
    except ServiceError as error:
        if error.code == "identity-claimed":
            raise await _why_not(core) from None  # Somebody was faster than we.
        raise
    return await core.session_token()


def own_request(core: Core) -> str:
    """What another device of ours needs to admit this one, as text."""
    account = core.state.account
    return request_text(
        device_request(core.ports.provider, account.client_id, account.credential, account.identity_key)
    )


async def fetch_own_devices(core: Core) -> Devices:
    """The chain of our identity, verified.

    Raises:
        ServiceError, TransportError, ValidationError, VerificationError: as `fetch_devices`.
    """
    return await fetch_devices(core, core.state.account.identity)


async def identity_key_of(core: Core, identity: str, client_id: bytes) -> bytes:
    """The identity key that a device of somebody has or had.

    Raises:
        StateError: code `not-a-device`: they never had such a device; `unknown-domain`.
        ServiceError, TransportError, ValidationError, VerificationError: as `fetch_devices`.
    """
    devices = await fetch_devices(core, identity)
    device = devices.active.get(client_id) or devices.revoked.get(client_id)
    if device is None:
        raise StateError(f"{identity} has no such device", code="not-a-device")
    return basic_identity(device.credential).public_key


async def check_missing(core: Core, known: GroupState, identity: str) -> None:
    """Return if an identity has an active device that is not in a group.

    Raises:
        StateError: code `already-member`: it has none; `unknown-domain`.
        ServiceError, TransportError, ValidationError, VerificationError: as `fetch_devices`.
    """
    devices = await fetch_devices(core, identity)
    keys = [basic_identity(device.credential).public_key for device in devices.active.values()]
    if all(leaves_of(known, identity, key) for key in keys):
        raise StateError(f"all devices of {identity} are in this group already", code="already-member")


async def list_devices(core: Core) -> tuple[DeviceDetails, ...]:
    """All devices that our identity has, in the order in which they came, and then those that it had."""
    devices = await fetch_own_devices(core)
    own = core.state.account.client_id
    return tuple(
        DeviceDetails(
            client_id=client_id,
            identity_key=basic_identity(device.credential).public_key,
            is_self=client_id == own,
            is_active=is_active,
        )
        for known, is_active in ((devices.active, True), (devices.revoked, False))
        for client_id, device in known.items()
    )


async def admit(core: Core, text: str) -> bytes:
    """Admit the device that a request is from; returns its client_id. A device that is active already is left so.

    Raises:
        ValidationError: code `bad-device-request`; `wrong-identity`: it is not for our identity.
        VerificationError: code `bad-signature`.
        StateError: code `not-a-device`: this device was revoked.
        ServiceError: code `too-many-clients`, `revoked-device` among others.
    """
    provider = core.ports.provider
    request: DeviceRequest = read_request(provider, text)
    account = core.state.account
    wanted = request.device
    if wanted.identity != account.identity.encode("utf-8"):
        raise ValidationError(
            f"this request is for {wanted.identity.decode('utf-8')}, not for {account.identity}",
            code="wrong-identity",
        )

    def event(devices: Devices) -> DeviceEvent | None:
        known = devices.active.get(wanted.client_id)
        if known is not None and known.credential == wanted.credential:
            return None
        return admit_event(provider, devices, request, account.credential, account.identity_key)

    await _change(core, event)
    return wanted.client_id


async def revoke(core: Core, client_id: bytes) -> tuple[bytes, ...]:
    """Revoke a device of ours, which may be this one. One that was revoked before is left so.

    Returns:
        The groups of ours that it is still a member of.

    Raises:
        StateError: code `not-a-device`: there is no such device, or this one was revoked.
        ServiceError: code `last-device` among others.
    """
    account = core.state.account

    def event(devices: Devices) -> DeviceEvent | None:
        if client_id in devices.revoked:
            return None
        return revoke_event(core.ports.provider, devices, client_id, account.credential, account.identity_key)

    devices = await _change(core, event)
    key = basic_identity(devices.revoked[client_id].credential).public_key
    return tuple(
        group_id for group_id, known in core.state.groups.items() if leaves_of(known, account.identity, key)
    )


async def _change(core: Core, event_after: Callable[[Devices], DeviceEvent | None]) -> Devices:
    """Put an event at the end of our chain. If another device's comes first, it is made anew, to follow that one.

    Returns:
        The chain after it.
    """
    attempts = _ATTEMPTS
    while True:
        devices = await fetch_own_devices(core)
        event = event_after(devices)
        if event is None:
            return devices
        attempts -= 1
        before = core.state.logs
        try:
            history = await add_device_event(core.ports.transport, core.own_service, event)
        except ServiceError as error:
            if error.code != "stale-event" or attempts == 0:
                raise
        else:
            return await accept_history(core, core.state.account.identity, history, before)


async def _why_not(core: Core) -> StateError:
    """Why we are no device of our identity, and what to do about it."""
    account = core.state.account
    devices = await fetch_own_devices(core)
    if any(device.credential == account.credential for device in devices.revoked.values()):
        return StateError(
            f"another device of {account.identity} has revoked this one; begin anew as a new device",
            code="device-revoked",
        )
    return StateError(
        f"{account.identity} belongs to other devices. If they are yours, let one of them admit this one by its device"
        " request; else choose another name.",
        code="not-admitted",
    )
