"""What is believed of an identity's devices before they are added to a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mls_federation.client.account import Account, new_account
from mls_federation.client.log import check_fetched
from mls_federation.client.results import FetchedKeys
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import ValidationError
from mls_federation.federation.devices import DeviceEvent, devices_of, revoke_event
from tests.support.devices import another_device, claim_of
from tests.support.network import Peer

BOB = "bob@b.example"


def check(provider: CryptoProvider, chain: Sequence[DeviceEvent], *accounts: Account) -> None:
    """Look at the keys of these clients as at those that were fetched."""
    bundles = tuple(Peer(provider, BOB, account).bundle() for account in accounts)
    check_fetched(devices_of(provider, chain), BOB, FetchedKeys(bundles))


def refused(provider: CryptoProvider, chain: Sequence[DeviceEvent], *accounts: Account) -> str:
    with pytest.raises(ValidationError) as caught:
        check(provider, chain, *accounts)
    return caught.value.code


def test_keys_of_devices_that_are_there(provider: CryptoProvider) -> None:
    phone = new_account(provider, BOB)
    laptop = another_device(provider, phone)
    claim = claim_of(provider, phone)
    check(provider, [claim], phone)
    check(provider, [claim, *laptop.lineage], phone, laptop)


def test_keys_of_others(provider: CryptoProvider) -> None:
    phone, stranger = new_account(provider, BOB), new_account(provider, BOB)
    laptop = another_device(provider, phone)
    chain = [claim_of(provider, phone), *laptop.lineage]
    assert refused(provider, chain, phone, stranger) == "not-in-log"
    # The one's key under the other's client_id.
    assert refused(provider, chain, phone, replace(laptop, client_id=phone.client_id)) == "not-in-log"
    gone = revoke_event(
        provider, devices_of(provider, chain), laptop.client_id, phone.credential, phone.identity_key
    )
    assert refused(provider, [*chain, gone], phone, laptop) == "revoked-device"
    assert refused(provider, chain, phone) == "device-left-out"


def test_a_device_that_does_not_show_who_admitted_it(provider: CryptoProvider) -> None:
    """Once it was added alone, no other device of the person could be."""
    phone = new_account(provider, BOB)
    laptop = another_device(provider, phone)
    chain = [claim_of(provider, phone), *laptop.lineage]
    assert refused(provider, chain, phone, replace(laptop, lineage=())) == "bad-lineage"
