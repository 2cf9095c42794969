"""What a group's members agree on is right whenever somebody joins, and does not get in the way when somebody leaves."""

from __future__ import annotations

from typing import Any, cast

from mls_federation.client.events import EpochChanged, GroupJoined, MessageRefused
from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.network import Peer, deliver, of_type

FIRST = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
THIRD = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


class WithoutTheFirst:
    """Lacks the suite that is the best for the others."""

    def __init__(self, provider: CryptoProvider) -> None:
        self._provider = provider

    def supports(self, cipher_suite: CipherSuite) -> bool:
        """Whether it has a suite."""
        return cipher_suite != FIRST and self._provider.supports(cipher_suite)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def test_when_who_lacked_a_better_suite_leaves(provider: CryptoProvider) -> None:
    old = Peer(cast("CryptoProvider", WithoutTheFirst(provider)), "old@a.example")
    ann, ben, cat = (Peer(provider, f"{name}@a.example") for name in ("ann", "ben", "cat"))
    group_id = old.begin(THIRD)
    old.add(group_id, ann, ben)
    deliver(old, ann, ben)
    assert ann.group(group_id).agreement.passed_over == ()
    ann.remove(group_id, old.identity)
    deliver(ann, ben)
    assert of_type(ben.events, MessageRefused) == []
    # The next one who comes would find a group of less than all can have: so it is said that they know.
    ann.add(group_id, cat)
    deliver(ann, ben, cat)
    assert of_type(cat.events, GroupJoined) == [GroupJoined(group_id)]
    assert cat.group(group_id).agreement.passed_over == (FIRST,)
    assert of_type(ben.events, EpochChanged)[-1].added == (cat.identity,)
