"""However a network reorders, repeats and delays messages: nothing is lost, and each is shown once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.client.events import MessageReceived, MessageRefused
from mls_federation.client.state import ClientState
from mls_federation.crypto import CryptoProvider
from tests.support.network import Peer, group_of, message_of, of_type

_NAMES = ("alice@a.example", "bob@b.example", "carol@c.example")
# The engine reads messages of so many past epochs (`DEFAULT_RETENTION`).
_COMMITS = 3


@pytest.fixture(scope="module")
def beginning(provider: CryptoProvider) -> tuple[bytes, tuple[ClientState, ...]]:
    """A group of three in its first epoch. States are values, so every example can begin from the same ones."""
    peers = [Peer(provider, name) for name in _NAMES]
    group_id = group_of(*peers)
    return group_id, tuple(replace(peer.state, cursor=0) for peer in peers)


@dataclass
class Network:
    """Three members, and for each what is on its way to it and what has come to it already."""

    group_id: bytes
    peers: list[Peer]
    on_the_way: list[list[bytes]] = field(default_factory=lambda: [[], [], []])
    arrived: list[list[bytes]] = field(default_factory=lambda: [[], [], []])
    said: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    commits: int = 0

    def send(self, sender: int) -> None:
        """Somebody says something new."""
        data = b"%d" % sum(self.said.values())
        self.said[self.peers[sender].identity, data] += 1
        self.peers[sender].send(self.group_id, data)
        self._post(sender)

    def renew(self) -> None:
        """One member alone makes new epochs, so that no two commits are of the same."""
        if self.commits < _COMMITS:
            self.commits += 1
            self.peers[0].renew(self.group_id)
            self._post(0)

    def deliver(self, receiver: int, which: int) -> None:
        """Any message that is on its way arrives."""
        waiting = self.on_the_way[receiver]
        if waiting:
            self._take(receiver, waiting.pop(which % len(waiting)))

    def repeat(self, receiver: int, which: int) -> None:
        """Any message that has arrived does so again, or one that will is seen before its time and then again."""
        messages = self.arrived[receiver] + self.on_the_way[receiver]
        if messages:
            self._take(receiver, messages[which % len(messages)])

    def _take(self, receiver: int, message: bytes) -> None:
        self.arrived[receiver].append(message)
        self.peers[receiver].take(message)

    def _post(self, sender: int) -> None:
        for outgoing in self.peers[sender].post():
            for place, peer in enumerate(self.peers):
                if peer.identity in outgoing.recipients:
                    self.on_the_way[place].append(message_of(outgoing))


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("renew"), st.just(0), st.just(0)),
        st.tuples(st.sampled_from(["deliver", "repeat"]), st.integers(0, 2), st.integers(0, 50)),
    ),
    max_size=40,
)


@given(steps=_STEPS, rest=st.randoms(use_true_random=False))
def test_nothing_is_lost_and_each_message_is_shown_once(
    provider: CryptoProvider,
    beginning: tuple[bytes, tuple[ClientState, ...]],
    steps: list[tuple[str, int, int]],
    rest: random.Random,
) -> None:
    group_id, states = beginning
    peers = [Peer(provider, name, state.account) for name, state in zip(_NAMES, states, strict=True)]
    for peer, state in zip(peers, states, strict=True):
        peer.state = state
    network = Network(group_id, peers)

    for step, who, which in steps:
        match step:
            case "send":
                network.send(who)
            case "renew":
                network.renew()
            case "deliver":
                network.deliver(who, which)
            case _:
                network.repeat(who, which)
    for receiver in range(3):
        while network.on_the_way[receiver]:
            network.deliver(receiver, rest.randrange(1000))

    for peer in peers:
        heard = Counter((event.sender, event.data) for event in of_type(peer.events, MessageReceived))
        assert heard == Counter({who: 1 for who in network.said if who[0] != peer.identity})
        assert peer.group(group_id).held == ()
        # What was refused for good is what had been read, or done, before.
        assert {"replayed", "wrong-epoch"} >= {
            event.error.code for event in of_type(peer.events, MessageRefused) if not event.held
        }
    assert len({peer.group(group_id).group.epoch_authenticator for peer in peers}) == 1
    assert network.commits + 1 == peers[2].group(group_id).group.epoch
