"""A group goes from one ordering service to another: by a commit that the old one orders, and a receipt that the new one checks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mls_delivery.config import Federation, Policy
from mls_federation.codec import replace
from mls_federation.crypto import CryptoProvider, SignatureScheme, generate_signature_key
from mls_federation.federation.group_agreement import ordered_by_service, with_agreement
from mls_federation.federation.ordering import (
    MissedCommits,
    OrderingReceipt,
    OrderingReceiptTBS,
    RegisterGroupResponse,
    sign_receipt,
)
from mls_federation.mls import change_extensions
from tests.delivery.ordered import OrderedParty, request_for, signing_key_of
from tests.delivery.support import Clock, Running, checked, refusal, running_service


class Moving:
    """A group that a.example orders until now, and b.example, which knows where a.example is."""

    def __init__(self, party: OrderedParty, new: Running) -> None:
        self.party, self.old, self.new = party, party.service, new
        self.new_key = signing_key_of(new)

    def leave(self, by: str) -> OrderingReceipt:
        """Hand the group over; the receipt of the commit that does it."""
        agreement = ordered_by_service(self.party.agreed(), self.new.domain, self.new_key)
        change = change_extensions(with_agreement((), agreement))
        return self.party.accept(by, self.party.commit(by, change))

    def arrive(self, by: str, receipt: OrderingReceipt) -> tuple[int, str] | int:
        """Register the group at the new service: the epoch, or how it refuses."""
        self.party.service, self.party.key = self.new, self.new_key
        answer = self.party.ask_to_register(by, moved_by=receipt)
        return RegisterGroupResponse.decode(answer.content).epoch if answer.is_success else refusal(answer)


@contextlib.contextmanager
def _moving(
    provider: CryptoProvider, folder: Path, clock: Clock, policy: Policy = Policy.open
) -> Iterator[Moving]:
    with running_service(provider, folder / "a.sqlite3", clock=clock, domain="a.example") as old:
        federation = Federation(policy, frozenset({"a.example"}), {"a.example": old.url})
        with running_service(provider, folder / "b.sqlite3", clock=clock, federation=federation) as new:
            yield Moving(OrderedParty(provider, old, clock, "ann", "ben"), new)


@pytest.fixture
def moving(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> Iterator[Moving]:
    with _moving(provider, tmp_path, clock) as made:
        yield made


def test_a_group_is_handed_over_and_goes_on(moving: Moving) -> None:
    receipt = moving.leave("ann")
    assert moving.arrive("ben", receipt) == 2
    assert moving.arrive("ann", receipt) == 2
    party = moving.party
    assert party.renew("ann").domain == b"b.example"
    assert party.renew("ben").epoch == 4
    assert party.group_info("ann").receipt == party.missed(3).commits[-1].receipt


def test_the_receipt_of_the_commit_that_moved_it_is_given_to_who_comes_back(moving: Moving) -> None:
    receipt = moving.leave("ann")
    moving.arrive("ben", receipt)
    assert moving.party.group_info("ann").receipt == receipt


def test_the_old_service_says_where_it_went(moving: Moving) -> None:
    late = moving.party.commit("ben")
    receipt = moving.leave("ann")
    party = moving.party
    answer = party.ask(request_for(party.commit("ben")))
    assert refusal(answer) == (409, "group-moved")
    assert answer.json()["domain"] == "b.example"
    missed = party.submit(request_for(late))
    assert isinstance(missed, MissedCommits)
    assert [item.receipt for item in missed.commits] == [receipt]


def test_a_group_comes_back(moving: Moving) -> None:
    party, old_key = moving.party, moving.party.key
    moving.arrive("ben", moving.leave("ann"))
    party.renew("ben")
    agreement = ordered_by_service(party.agreed(), "a.example", old_key)
    receipt = party.accept("ben", party.commit("ben", change_extensions(with_agreement((), agreement))))
    # a.example would have to find b.example, which nobody has told it: so a member of its own registers the group.
    party.service, party.key = moving.old, old_key
    assert refusal(party.ask_to_register("ann", moved_by=receipt))[1] == "peer-unreachable"
    assert RegisterGroupResponse.decode(checked(party.ask_to_register("ann"))).epoch == 4
    assert party.renew("ann").epoch == 5
    assert [item.receipt.epoch for item in party.missed(1).commits] == [2]
    assert [item.receipt.epoch for item in party.missed(4).commits] == [5]


# -- receipts that are none


def _changed(
    provider: CryptoProvider, receipt: OrderingReceipt, key: bytes, **changes: object
) -> OrderingReceipt:
    fields = {name: getattr(receipt, name) for name in OrderingReceiptTBS._fields} | changes
    return sign_receipt(provider, key, OrderingReceiptTBS(**fields))


def test_a_receipt_that_the_old_service_did_not_sign(moving: Moving, provider: CryptoProvider) -> None:
    receipt = moving.leave("ann")
    mallory = generate_signature_key(provider, SignatureScheme.ed25519)
    forged = _changed(provider, receipt, mallory.private_key)
    moving.party.service = moving.new
    answer = moving.party.ask_to_register("ben", moved_by=forged)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), "bad-receipt")


def test_a_receipt_of_another_epoch(moving: Moving) -> None:
    moving.party.renew("ben")
    earlier = moving.party.missed(1).commits[0].receipt
    moving.leave("ann")
    moving.party.service = moving.new
    answer = moving.party.ask_to_register("ben", moved_by=earlier)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), "wrong-receipt")


def test_a_receipt_that_hands_the_group_to_somebody_else(moving: Moving) -> None:
    party = moving.party
    agreement = ordered_by_service(party.agreed(), "c.example", bytes(32))
    receipt = party.accept("ann", party.commit("ann", change_extensions(with_agreement((), agreement))))
    party.service = moving.new
    answer = party.ask_to_register("ben", moved_by=receipt)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), "wrong-service")


@pytest.mark.parametrize("domain", [b"nowhere.example", b"not a domain", b"\xff", b""])
def test_a_receipt_of_a_service_that_nobody_finds(
    moving: Moving, provider: CryptoProvider, domain: bytes
) -> None:
    receipt = moving.leave("ann")
    moving.party.service = moving.new
    elsewhere = replace(receipt, domain=domain)
    status, code = refusal(moving.party.ask_to_register("ben", moved_by=elsewhere))
    assert (status, code) in ((502, "peer-unreachable"), (400, "invalid-group"))


def test_a_group_of_a_domain_that_may_not_speak(
    provider: CryptoProvider, tmp_path: Path, clock: Clock
) -> None:
    with _moving(provider, tmp_path, clock, Policy.deny) as moving:
        assert moving.arrive("ben", moving.leave("ann")) == (403, "peer-not-allowed")


def test_nobody_takes_a_group_that_was_not_handed_over(moving: Moving) -> None:
    """A GroupInfo that names the old service does not do, whatever the receipt."""
    moving.party.renew("ann")
    receipt = moving.party.missed(1).commits[0].receipt
    moving.party.service = moving.new
    answer = moving.party.ask_to_register("ann", moved_by=receipt)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), "wrong-service")
