"""Keys for one use come once."""

from __future__ import annotations

import pytest

from mls_federation.client.handed_out import with_handed_out
from mls_federation.client.state import ClientState
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import ValidationError
from tests.support.network import NOW, Peer


@pytest.fixture
def alice(provider: CryptoProvider) -> ClientState:
    return Peer(provider, "alice@a.example").state


@pytest.fixture
def bob(provider: CryptoProvider) -> Peer:
    return Peer(provider, "bob@b.example")


def test_each_set_is_taken_once(alice: ClientState, bob: Peer) -> None:
    first, second = bob.bundle(), bob.bundle()
    after = with_handed_out(with_handed_out(alice, [first], NOW), [second], NOW)
    for again in (first, second):
        with pytest.raises(ValidationError) as caught:
            with_handed_out(after, [again], NOW)
        assert caught.value.code == "keys-handed-out-twice"
        assert "bob@b.example" in caught.value.message


def test_a_set_is_not_two_clients(alice: ClientState, bob: Peer) -> None:
    bundle = bob.bundle()
    with pytest.raises(ValidationError):
        with_handed_out(alice, [bundle, bundle], NOW)


def test_a_last_resort_may_come_again(alice: ClientState, bob: Peer) -> None:
    bob.publish(last_resort=True)
    for _ in range(2):
        assert with_handed_out(alice, [bob.bundle()], NOW) is alice


def test_what_has_expired_is_forgotten(alice: ClientState, bob: Peer) -> None:
    after = with_handed_out(alice, [bob.bundle()], NOW)
    [first] = after.handed_out
    [second] = with_handed_out(after, [bob.bundle()], first.until + 1).handed_out
    assert second != first
