"""Further devices of people, without a delivery service to keep the chain."""

from __future__ import annotations

from dataclasses import replace

from mls_federation.client.account import Account, new_account
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.devices import (
    DeviceEvent,
    admit_event,
    claim_event,
    device_request,
    devices_of,
)


def claim_of(provider: CryptoProvider, account: Account) -> DeviceEvent:
    """The event by which an account claims its identity."""
    return claim_event(provider, account.client_id, account.credential, account.identity_key)


def admission(
    provider: CryptoProvider, events: list[DeviceEvent], new: Account, signer: Account
) -> DeviceEvent:
    """The event by which `signer` admits a device, after `events`."""
    request = device_request(provider, new.client_id, new.credential, new.identity_key)
    devices = devices_of(provider, events)
    return admit_event(provider, devices, request, signer.credential, signer.identity_key)


def another_device(provider: CryptoProvider, first: Account) -> Account:
    """A device of its own key, which the one that claimed the identity has admitted."""
    new = new_account(provider, first.identity)
    event = admission(provider, [claim_of(provider, first)], new, first)
    return replace(new, lineage=(event,))
