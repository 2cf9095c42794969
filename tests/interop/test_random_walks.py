"""Random histories of a group in which half the members run ts-mls: after each operation all agree."""

import random

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls.ratchet_tree import RatchetTree
from tests.interop.clients import Clients, Engine
from tests.interop.member import Add, Committed, ExternalPSK, Member, Remove
from tests.interop.mixed_group import MixedGroup
from tests.interop.ours import OurMember
from tests.interop.ts_mls import TsMls, TsMlsMember, UnmergedLeavesRefused, ts_mls_refuses

OPERATIONS = 40
FEWEST_MEMBERS = 3
MOST_MEMBERS = 8
FEWEST_JOINED = 5


_WALKS = tuple(enumerate((1, 2, 3, 7, 1, 1, 2, 3, 1, 1)))


@pytest.mark.parametrize(
    ("seed", "suite"),
    [*_WALKS[:5], *(pytest.param(*walk, marks=pytest.mark.long) for walk in _WALKS[5:])],
)
def test_random_walk(provider: CryptoProvider, ts_mls: TsMls, seed: int, suite: int) -> None:
    walk = Walk(Clients(crypto(provider, CipherSuite(suite)), ts_mls), random.Random(seed))
    for _ in range(OPERATIONS):
        walk.step()
    walk.group.everybody_talks()
    assert walk.group.joined >= FEWEST_JOINED


class WalkedGroup(MixedGroup):
    """A group that goes on where a client that runs ts-mls refuses to join, but only for the one known reason.

    Attributes:
        joined: how many clients that run ts-mls have joined.
    """

    joined = 0

    def _welcome(self, member: Member, made: Committed) -> bool:
        try:
            super()._welcome(member, made)
        except UnmergedLeavesRefused:
            assert ts_mls_refuses(self.tree)
            return False
        self.joined += isinstance(member, TsMlsMember)
        return True

    def join_from_outside(self, joining: Member, shown_by: Member, *, resync: bool = False) -> None:
        if isinstance(joining, TsMlsMember) and ts_mls_refuses(self.tree):
            with pytest.raises(UnmergedLeavesRefused):
                joining.join_from_outside(shown_by.group_info(), resync=resync)
            return
        super().join_from_outside(joining, shown_by, resync=resync)
        self.joined += isinstance(joining, TsMlsMember)

    @property
    def tree(self) -> RatchetTree:
        """The ratchet tree, as one of our members has it."""
        return next(member for member in self.members.values() if isinstance(member, OurMember)).group.tree


def left_half_is_empty(leaves: set[int]) -> bool:
    """Whether members at these leaves have a blank root, where ts-mls derives other secrets than RFC 9420 says."""
    rightmost = max(leaves)
    return rightmost > 0 and min(leaves) >= 1 << rightmost.bit_length() - 1


class Walk:
    """Steps of a random history, which begins with three members of each engine.

    Which operation, by whom and on whom depends on the seed alone; keys do not.
    """

    def __init__(self, clients: Clients, chance: random.Random) -> None:
        self.clients = clients
        self.chance = chance
        self.numbers = iter(range(10_000))
        engines: list[Engine] = ["ours", "ts-mls"] * 3
        chance.shuffle(engines)
        self.group = WalkedGroup(*(self.new(engine) for engine in engines))

    def step(self) -> None:
        """One operation."""
        operations = [
            self.renew,
            self.propose_and_commit,
            self.propose_and_commit,
            self.talk,
            self.psk,
            self.resync,
        ]
        if len(self.group.members) < MOST_MEMBERS:
            operations += [self.add, self.add, self.join]
        if len(self.group.members) > FEWEST_MEMBERS:
            operations += [self.remove, self.remove]
        for member in self.group.members.values():
            if isinstance(member, OurMember):
                member.path = self.chance.random() < 0.5
        self.chance.choice(operations)()

    def new(self, engine: Engine | None = None) -> Member:
        """A client that was never a member; rather of the engine that fewer members run."""
        if engine is None:
            ours = sum(isinstance(member, OurMember) for member in self.group.members.values())
            engine = "ours" if self.chance.randrange(len(self.group.members)) >= ours else "ts-mls"
        return self.clients.new(engine, f"member {next(self.numbers)}")

    def dispensable(self, staying: Member, number: int) -> list[Member]:
        """Up to so many members of one engine, without whom the group goes on with members of both."""
        engine = self.chance.choice([OurMember, TsMlsMember])
        alike = [member for member in self.group.members.values() if isinstance(member, engine)]
        number = min(number, len(alike) - 1, len(self.group.members) - FEWEST_MEMBERS)
        candidates = [member for member in alike if member is not staying]
        chosen = self.chance.sample(candidates, max(0, min(number, len(candidates))))
        while chosen and left_half_is_empty({member.leaf for member in self.group.others(*chosen)}):
            chosen.pop()
        return chosen

    def somebody(self, *others: Member) -> Member:
        return self.chance.choice(self.group.others(*others))

    def public(self) -> bool:
        return self.chance.random() < 0.5

    def add(self) -> None:
        room = MOST_MEMBERS - len(self.group.members)
        joining = [self.new() for _ in range(self.chance.randint(1, min(3, room)))]
        self.group.add(self.somebody(), *joining, public=self.public())

    def join(self) -> None:
        self.group.join_from_outside(self.new(), self.somebody())

    def resync(self) -> None:
        lost = self.somebody()
        self.group.join_from_outside(lost, self.somebody(lost), resync=True)

    def remove(self) -> None:
        by = self.somebody()
        leaving = self.dispensable(by, self.chance.randint(1, 2))
        if leaving:
            self.group.remove(by, *leaving, public=self.public())

    def renew(self) -> None:
        self.group.commit(self.somebody(), public=self.public())

    def propose_and_commit(self) -> None:
        group, committer = self.group, self.somebody()
        others = group.others(committer)
        self.chance.shuffle(others)
        joining: list[Member] = []
        leaving = self.dispensable(committer, self.chance.randint(0, 1))
        for member in leaving:
            others.remove(member)
            group.propose(self.somebody(), Remove(member.leaf), public=self.public())
        # A client that runs ts-mls cannot leave by a commit that gives its leaf to somebody else.
        if len(group.members) < MOST_MEMBERS and all(isinstance(member, OurMember) for member in leaving):
            joining.append(self.new())
            group.propose(self.somebody(), Add(joining[0].key_package()), public=self.public())
        for member in others[: self.chance.randint(0, 3)]:
            group.propose_update(member, public=self.public())
        group.commit(committer, joining=joining, leaving=leaving, public=self.public())

    def psk(self) -> None:
        psk = ExternalPSK(
            self.chance.randbytes(8), self.chance.randbytes(32), self.chance.randbytes(self.clients.crypto.Nh)
        )
        self.group.share_psk(psk)
        if self.chance.random() < 0.5:
            self.group.commit(self.somebody(), psk, public=self.public())
        else:
            self.group.propose(self.somebody(), psk, public=self.public())
            self.group.commit(self.somebody(), public=self.public())

    def talk(self) -> None:
        self.group.talk(self.somebody(), *(self.chance.randbytes(length) for length in (0, 1, 500)))
