"""What a client remembers of logs, and what it makes of heads that other members tell it of."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mls_federation.client.events import LogFault
from mls_federation.client.log_state import (
    MAX_TOLD,
    MAX_UNPROVEN,
    Fault,
    Logs,
    after_telling,
    heads_to_tell,
    hear,
)
from mls_federation.crypto import CryptoProvider, SignatureScheme
from mls_federation.errors import StateError, ValidationError
from mls_federation.federation.log import ChainTip, SignedTreeHead, TreeHead, sign_tree_head

MEMBERS = {"a.example", "b.example"}


class Service:
    """A delivery service that signs whatever it is told to."""

    def __init__(self, provider: CryptoProvider, domain: str, number: int) -> None:
        self.provider = provider
        self.domain = domain
        self.private_key = bytes([number]) * 32
        self.public_key = provider.signature_public_key(SignatureScheme.ed25519, self.private_key)

    def head(
        self, size: int, root: int = 1, timestamp: int | None = None, domain: str = ""
    ) -> SignedTreeHead:
        head = TreeHead(
            domain=(domain or self.domain).encode(),
            tree_size=size,
            timestamp=size if timestamp is None else timestamp,
            root_hash=bytes([root]) * 32,
        )
        return sign_tree_head(self.provider, self.private_key, head)


@pytest.fixture
def a(provider: CryptoProvider) -> Service:
    return Service(provider, "a.example", 1)


@pytest.fixture
def b(provider: CryptoProvider) -> Service:
    return Service(provider, "b.example", 2)


@pytest.fixture
def logs(a: Service, b: Service) -> Logs:
    """We know a head of a.example, and have met b.example."""
    return Logs(pins={"a.example": a.public_key, "b.example": b.public_key}, heads={"a.example": a.head(5)})


def test_a_pin(logs: Logs, a: Service, b: Service) -> None:
    assert logs.pinned("a.example", a.public_key) is logs
    assert Logs().pinned("a.example", a.public_key).pins == {"a.example": a.public_key}
    with pytest.raises(ValidationError) as caught:
        logs.pinned("a.example", b.public_key)
    assert caught.value.code == "pinned-key-changed"


def test_the_larger_head_is_kept(logs: Logs, a: Service) -> None:
    assert logs.with_head(a.head(4)) is logs
    assert logs.with_head(a.head(6)).heads["a.example"] == a.head(6)


def test_the_longer_chain_is_kept() -> None:
    longer, shorter = ChainTip(3, b"3"), ChainTip(2, b"2")
    logs = Logs().with_chain("bob@b.example", shorter).with_chain("bob@b.example", longer)
    assert logs.with_chain("bob@b.example", shorter).chains == {"bob@b.example": longer}


def test_a_fault_stops_until_it_is_cleared(logs: Logs, a: Service) -> None:
    logs.check("a.example")
    evidence = (a.head(5), a.head(5, root=2))
    found = logs.with_fault("a.example", "log-forked", evidence)
    assert found.faults == {"a.example": Fault("log-forked", evidence)}
    with pytest.raises(StateError) as caught:
        found.check("a.example")
    assert caught.value.code == "log-fault"
    found.check("b.example")
    assert found.with_fault("a.example", "log-rewritten", ()) is found
    found.forgotten("a.example").check("a.example")


def test_a_domain_is_forgotten_entirely(logs: Logs, a: Service, b: Service) -> None:
    full = Logs(
        pins={"a.example": a.public_key, "b.example": b.public_key},
        heads={"a.example": a.head(5), "b.example": b.head(1)},
        unproven=(a.head(6), b.head(2)),
        faults={"a.example": Fault("log-forked", ()), "b.example": Fault("log-forked", ())},
        chains={"x@a.example": ChainTip(1, b""), "y@b.example": ChainTip(1, b"")},
    )
    rest = Logs(
        pins={"b.example": b.public_key},
        heads={"b.example": b.head(1)},
        unproven=(b.head(2),),
        faults={"b.example": Fault("log-forked", ())},
        chains={"y@b.example": ChainTip(1, b"")},
    )
    assert full.forgotten("a.example") == rest


# -- telling


def test_a_head_is_told_once(logs: Logs, a: Service) -> None:
    told: Mapping[str, int] = {}
    assert heads_to_tell(logs, told, MEMBERS) == (a.head(5),)
    told = after_telling(told, heads_to_tell(logs, told, MEMBERS))
    assert heads_to_tell(logs, told, MEMBERS) == ()
    assert heads_to_tell(logs.with_head(a.head(6)), told, MEMBERS) == (a.head(6),)


def test_what_another_has_told_is_not_told_again(logs: Logs, a: Service) -> None:
    assert heads_to_tell(logs, after_telling({}, [a.head(5)]), MEMBERS) == ()
    assert heads_to_tell(logs, after_telling({}, [a.head(4)]), MEMBERS) == (a.head(5),)


def test_other_domains_are_none_of_the_groups_business(logs: Logs) -> None:
    assert heads_to_tell(logs, {}, {"b.example"}) == ()


# -- hearing


def heard(provider: CryptoProvider, logs: Logs, *heads: SignedTreeHead) -> tuple[Logs, list[LogFault]]:
    after, _, faults = hear(provider, logs, MEMBERS, heads)
    return after, list(faults)


def test_the_same_head(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    assert heard(provider, logs, a.head(5)) == (logs, [])
    assert hear(provider, logs, MEMBERS, [a.head(5)])[1] == (a.head(5),)


def test_the_first_head(provider: CryptoProvider, logs: Logs, b: Service) -> None:
    after, faults = heard(provider, logs, b.head(3))
    assert (after.heads["b.example"], faults, after.unproven) == (b.head(3), [], ())


def test_another_size_waits(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    after, faults = heard(provider, logs, a.head(4), a.head(9))
    assert (after.heads["a.example"], after.unproven, faults) == (a.head(5), (a.head(4), a.head(9)), [])
    assert heard(provider, after, a.head(9)) == (after, [])
    assert after.settled(a.head(4)).unproven == (a.head(9),)


def test_another_root_of_the_same_size(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    after, [fault] = heard(provider, logs, a.head(5, root=2))
    assert (fault.domain, fault.error.code) == ("a.example", "log-forked")
    assert fault.evidence == (a.head(5), a.head(5, root=2))
    assert after.faults["a.example"] == Fault("log-forked", fault.evidence)
    assert after.heads == logs.heads
    assert heard(provider, after, a.head(5, root=3)) == (after, [])


def test_two_heads_that_wait_contradict_each_other(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    after, [fault] = heard(provider, logs, a.head(9), a.head(9, root=2))
    assert fault.evidence == (a.head(9), a.head(9, root=2))
    assert after.faults["a.example"].code == "log-forked"


def test_a_log_whose_time_runs_backwards(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    after, [fault] = heard(provider, logs, a.head(9, timestamp=4))
    assert fault.error.code == after.faults["a.example"].code == "bad-tree-head"


def test_a_head_that_the_service_did_not_sign(
    provider: CryptoProvider, logs: Logs, a: Service, b: Service
) -> None:
    """A member may have made it up: it is told, and stops nothing."""
    forged = b.head(5, root=2, domain="a.example")
    after, [fault] = heard(provider, logs, forged)
    assert (fault.error.code, fault.evidence, after) == ("bad-tree-head", (forged,), logs)


def test_heads_that_are_passed_over(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    strangers = Service(provider, "c.example", 3)
    odd = a.head(9, domain="a.example/")
    assert heard(provider, logs, strangers.head(3), odd) == (logs, [])
    assert hear(provider, logs, {"b.example"}, [a.head(5, root=2)]) == (logs, (), ())
    assert hear(provider, replace_pins(logs), MEMBERS, [a.head(5, root=2)]) == (replace_pins(logs), (), ())


def replace_pins(logs: Logs) -> Logs:
    return Logs(heads=logs.heads)


def test_a_member_cannot_fill_our_memory(provider: CryptoProvider, logs: Logs, a: Service) -> None:
    after, _ = heard(provider, logs, *(a.head(size) for size in range(6, 80)))
    assert len(after.unproven) == MAX_UNPROVEN
    _, counted, _ = hear(provider, logs, MEMBERS, [a.head(6)] * 80)
    assert len(counted) == MAX_TOLD
