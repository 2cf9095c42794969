"""Random schedules of a group whose members order commits themselves: who does what when, and what arrives when."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mls_federation.client import session
from mls_federation.client.events import MessageNotDelivered, MessageReceived, RemovedFromGroup
from mls_federation.client.state import ClientState, SentData
from mls_federation.client.state_codec import decode_state, encode_state
from mls_federation.crypto.pyca import PycaProvider
from tests.support.network import Peer, deliver, message_of, of_type


class SeededProvider(PycaProvider):
    """Real cryptography with randomness from a seed, so that a schedule that fails can be run again."""

    def __init__(self) -> None:
        self._chance = random.Random(-1)
        super().__init__(lambda size: self._chance.randbytes(size))

    def seed(self, number: int) -> None:
        """Begin with other randomness."""
        self._chance.seed(number)


# At most so many commits are made of the schedule's own, so that no epoch that may be gone back to is given up for its number.
MAX_COMMITS = 9


@dataclass
class Message:
    """Application data that somebody sent.

    Attributes:
        recipients: the members when it was sent last.
    """

    sender: Peer
    data: bytes
    recipients: frozenset[str]


@dataclass
class World:
    """Some people, and what is on its way to each of them."""

    rng: random.Random
    group_id: bytes
    peers: list[Peer]
    on_the_way: dict[str, list[bytes]] = field(default_factory=dict)
    said: dict[bytes, Message] = field(default_factory=dict)
    inviters: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    added: Counter[str] = field(default_factory=Counter)
    removed: set[str] = field(default_factory=set)
    commits: int = 0
    rounds: int = 0

    @property
    def members(self) -> list[Peer]:
        """Who believes to be in the group."""
        return [peer for peer in self.peers if self.group_id in peer.state.groups]

    def step(self) -> None:
        """Anything happens."""
        peer = self.rng.choice(self.members)
        action = self.rng.choices(
            ["send", "renew", "add", "remove", "repeat", "arrive", "arrive twice", "restart"],
            [4, 2, 2, 2, 3, 12, 2, 1],
        )[0]
        match action:
            case "send":
                self._send(peer)
            case "renew" if self._may_commit():
                peer.renew(self.group_id)
            case "add" if self._may_commit():
                self._add(peer)
            case "remove" if self._may_commit():
                self._remove(peer)
            case "repeat":
                self._repeat(peer)
            case "arrive":
                self._arrive(self.rng.choice(self.peers), stays=False)
            case "arrive twice":
                self._arrive(self.rng.choice(self.peers), stays=True)
            case "restart":
                peer.state = decode_state(peer.provider, encode_state(peer.state))
        self._post(peer)

    def settle(self) -> None:
        """All arrives, and what was undone is done again, until nothing is left to be done."""
        while True:
            waiting = [peer for peer in self.peers if self.on_the_way[peer.identity]]
            if waiting:
                self._arrive(self.rng.choice(waiting), stays=False)
                continue
            undone = [peer for peer in self.members if session.must_repeat(peer.group(self.group_id))]
            if not undone:
                return
            self.rounds += 1
            assert self.rounds < 100, "the same is done again and again"
            peer = self.rng.choice(undone)
            self._repeat(peer)
            self._post(peer)

    def _may_commit(self) -> bool:
        self.commits += 1
        return self.commits <= MAX_COMMITS

    def _send(self, peer: Peer) -> None:
        data = b"%d" % len(self.said)
        again = peer.group(self.group_id).again
        peer.send(self.group_id, data)
        self._sent_again(peer, again)
        self.said[data] = Message(peer, data, self._addresses(peer))

    def _addresses(self, peer: Peer) -> frozenset[str]:
        return frozenset(peer.group(self.group_id).addresses)

    def _add(self, peer: Peer) -> None:
        present = self._addresses(peer) | {peer.identity}
        absent = [other for other in self.peers if other.identity not in present]
        if absent:
            other = self.rng.choice(absent)
            self.inviters[other.identity].add(peer.identity)
            self.added[other.identity] += 1
            peer.add(self.group_id, other)

    def _remove(self, peer: Peer) -> None:
        # The first of all stays, so that there is always somebody who has seen everything.
        others = sorted(self._addresses(peer) - {self.peers[0].identity})
        if others:
            other = self.rng.choice(others)
            self.removed.add(other)
            peer.remove(self.group_id, other)

    def _repeat(self, peer: Peer) -> None:
        again = peer.group(self.group_id).again
        peer.repeat(self.group_id)
        self._sent_again(peer, again)

    def _sent_again(self, peer: Peer, again: Sequence[SentData]) -> None:
        """What was lost with a branch went to those who are members now, before anything else of the peer's."""
        for sent in again:
            self.said[sent.data].recipients = self._addresses(peer)

    def _arrive(self, peer: Peer, *, stays: bool) -> None:
        waiting = self.on_the_way[peer.identity]
        if waiting:
            place = self.rng.randrange(len(waiting))
            peer.take(waiting[place] if stays else waiting.pop(place))

    def _post(self, peer: Peer) -> None:
        for outgoing in peer.post():
            for identity in outgoing.recipients:
                self.on_the_way[identity].append(message_of(outgoing))

    # -- what must be so in the end

    def check(self) -> int:
        """All who are in the group agree, and have what was said there; the number of those who were left behind."""
        tip = self.peers[0].group(self.group_id)
        inside = {who.identity for who in tip.identities.values()}
        left_behind = 0
        for peer in self.peers:
            if peer.identity in inside:
                ours = peer.group(self.group_id)
                assert ours.group.epoch_authenticator == tip.group.epoch_authenticator, peer.identity
                assert ours.group.epoch == tip.group.epoch
            elif self.group_id in peer.state.groups:
                # Whoever added it on a branch that lost has been removed, and nobody else knows that it was to be there.
                wanted = not self.inviters[peer.identity].isdisjoint(inside)
                assert not wanted or peer.identity in self.removed, peer.identity
                left_behind += 1
        for data, message in self.said.items():
            reported = any(
                event.data == data for event in of_type(message.sender.events, MessageNotDelivered)
            )
            for peer in self.peers:
                shown = sum(event.data == data for event in of_type(peer.events, MessageReceived))
                assert shown <= 1, (peer.identity, data)
                # Who came by two Welcomes, and was removed between them, may have taken the later one only.
                has_left = bool(of_type(peer.events, RemovedFromGroup)) or (
                    peer.identity in self.removed and self.added[peer.identity] > 1
                )
                stayed = {peer.identity, message.sender.identity} <= inside and not has_left
                if stayed and peer.identity in message.recipients and not reported:
                    assert shown == 1, (peer.identity, data)
        return left_behind


@dataclass(frozen=True)
class Beginning:
    """A group in its first epoch, to begin schedules from: states are values."""

    group_id: bytes
    states: tuple[ClientState, ...]
    members: int


def beginning(provider: SeededProvider, members: int, newcomers: int) -> Beginning:
    """A group of some, and others who may be added."""
    provider.seed(-members)
    peers = [Peer(provider, f"p{number}@d{number % 3}.example") for number in range(members + newcomers)]
    group_id = peers[0].begin()
    peers[0].add(group_id, *peers[1:members])
    deliver(peers[0], *peers[1:members])
    return Beginning(group_id, tuple(replace(peer.state, cursor=0) for peer in peers), members)


def run(provider: SeededProvider, start: Beginning, seed: int) -> Counter[str]:
    """One schedule, from its seed; what happened in it."""
    rng = random.Random(seed)
    provider.seed(seed)
    peers = [Peer(provider, state.account.identity, state.account) for state in start.states]
    for peer, state in zip(peers, start.states, strict=True):
        peer.state = state
    world = World(rng, start.group_id, peers, {peer.identity: [] for peer in peers})
    for _ in range(rng.randrange(15, 45)):
        world.step()
    world.settle()
    counts = Counter[str]()
    counts["left behind"] = world.check()
    counts["rounds"] = world.rounds
    counts["messages"] = len(world.said)
    counts["epochs"] = peers[0].group(start.group_id).group.epoch
    return counts
