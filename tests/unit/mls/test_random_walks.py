"""Random histories of a group: after each step all members agree, and can talk."""

import random

import pytest

from mls_federation.crypto import Crypto
from mls_federation.mls import WireFormat, add, decode_group, encode_group, remove
from mls_federation.mls.padding import fixed_padding
from tests.support.pair import Party

STEPS = 25
MOST_MEMBERS = 9


@pytest.mark.rule("7.2-08", "7.5-01", "7.5-02", "7.5-07", "8.2-01", "12.4.1-05")
@pytest.mark.parametrize("seed", range(6))
def test_random_walk(suite_1: Crypto, seed: int) -> None:
    chance = random.Random(seed)
    walk = Walk(Party(suite_1, "member 0"), chance)
    steps = [walk.add, walk.add, walk.remove, walk.renew, walk.propose_and_commit, walk.talk, walk.restart]
    for _ in range(STEPS):
        chance.choice(steps)()


class Walk:
    """Steps of a random history."""

    def __init__(self, party: Party, chance: random.Random) -> None:
        self.party = party
        self.chance = chance
        self.names = (f"member {number}" for number in range(1, 1000))

    def somebody(self, *others: str) -> str:
        return self.chance.choice([name for name in self.party.groups if name not in others])

    def wire_format(self) -> WireFormat:
        return self.chance.choice([WireFormat.mls_private_message, WireFormat.mls_public_message])

    def add(self) -> None:
        room = MOST_MEMBERS - len(self.party.groups)
        if room > 0:
            names = [next(self.names) for _ in range(self.chance.randint(1, min(3, room)))]
            self.party.add(self.somebody(), *names, path=self.chance.random() < 0.5)

    def remove(self) -> None:
        by = self.somebody()
        others = [name for name in self.party.groups if name != by]
        if others:
            self.party.remove(by, *self.chance.sample(others, self.chance.randint(1, min(3, len(others)))))

    def renew(self) -> None:
        self.party.commit(self.somebody(), wire_format=self.wire_format())

    def propose_and_commit(self) -> None:
        party, committer = self.party, self.somebody()
        joining = {}
        others = [name for name in party.groups if name != committer]
        self.chance.shuffle(others)
        for name in others[:3]:
            if self.chance.random() < 0.5:
                party.propose_update(name, self.wire_format())
        if len(others) > 4:
            party.propose(self.somebody(), remove(party.leaf(others[4])), self.wire_format())
        if len(party.groups) < MOST_MEMBERS:
            name = next(self.names)
            joining[name] = party.client(name).key_package()
            party.propose(self.somebody(), add(joining[name].key_package), self.wire_format())
        party.commit(committer, joining=joining, wire_format=self.wire_format())

    def talk(self) -> None:
        sender = self.somebody()
        messages = [
            self.party.send(sender, bytes([number]), padding=fixed_padding(number)) for number in range(4)
        ]
        self.chance.shuffle(messages)
        for name in self.party.groups:
            if name != sender:
                assert {self.party.read(name, message).data[0] for message in messages} == {0, 1, 2, 3}

    def restart(self) -> None:
        name, provider = self.somebody(), self.party.crypto.provider
        self.party.groups[name] = decode_group(provider, encode_group(self.party.groups[name]))
