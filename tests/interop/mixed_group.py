"""A group of members that run different implementations. Whatever is sent reaches everybody; after it all must agree."""

from __future__ import annotations

from collections.abc import Sequence

from tests.interop.member import Add, Committed, ExternalPSK, Member, Proposed, Remove

GROUP_ID = b"a mixed group"


class MixedGroup:
    """The members, by name.

    Attributes:
        members: those who are in the group.
    """

    def __init__(self, creator: Member, *others: Member) -> None:
        creator.create(GROUP_ID)
        self.members = {creator.name: creator}
        if others:
            self.add(creator, *others)

    def others(self, *members: Member) -> list[Member]:
        """All but these."""
        return [other for other in self.members.values() if other not in members]

    def add(self, by: Member, *joining: Member, public: bool = False) -> None:
        """Add clients by one commit."""
        self.commit(by, *(Add(member.key_package()) for member in joining), joining=joining, public=public)

    def remove(self, by: Member, *leaving: Member, public: bool = False) -> None:
        """Remove members by one commit."""
        self.commit(by, *(Remove(member.leaf) for member in leaving), leaving=leaving, public=public)

    def commit(
        self,
        by: Member,
        *proposals: Proposed,
        joining: Sequence[Member] = (),
        leaving: Sequence[Member] = (),
        public: bool = False,
    ) -> None:
        """Commit `proposals` and all that were sent before.

        Args:
            joining: whom the commit adds.
            leaving: whom it removes.
        """
        made = by.commit(*proposals, public=public)
        self._deliver(by, made, leaving)
        assert (made.welcome is not None) == bool(joining)
        stranded = [member.name for member in joining if not self._welcome(member, made)]
        self.assert_agreement(*stranded)
        if stranded:
            leaves = {name: leaf for leaf, name in by.view().members}
            self.commit(by, *(Remove(leaves[name]) for name in stranded))

    def _welcome(self, member: Member, made: Committed) -> bool:
        """Let somebody join; False if it could not, and is to be removed again."""
        assert made.welcome is not None
        member.join(made.welcome)
        self.members[member.name] = member
        return True

    def _deliver(self, by: Member, made: Committed, leaving: Sequence[Member]) -> None:
        for member in self.others(by):
            received = member.receive(made.message)
            assert received.kind == ("removed" if member in leaving else "commit")
        for member in leaving:
            del self.members[member.name]

    def propose(self, by: Member, proposal: Proposed, *, public: bool = False) -> None:
        """Send a proposal to everybody."""
        self._deliver_proposal(by, by.propose(proposal, public=public))

    def propose_update(self, by: Member, *, public: bool = False) -> None:
        """Send an Update of the sender's leaf to everybody."""
        self._deliver_proposal(by, by.propose_update(public=public))

    def _deliver_proposal(self, by: Member, message: bytes) -> None:
        for member in self.others(by):
            assert member.receive(message).kind == "proposal"

    def join_from_outside(self, joining: Member, shown_by: Member, *, resync: bool = False) -> None:
        """Somebody joins by an external commit to what a member shows."""
        info = shown_by.group_info()
        if resync:
            del self.members[joining.name]
        message = joining.join_from_outside(info, resync=resync)
        for member in self.members.values():
            assert member.receive(message).kind == "commit"
        self.members[joining.name] = joining
        self.assert_agreement()

    def talk(self, by: Member, *said: bytes) -> None:
        """Send application messages, which everybody reads in the reverse order."""
        messages = [by.send(data) for data in said]
        for member in self.others(by):
            for message, data in zip(reversed(messages), reversed(said), strict=True):
                received = member.receive(message)
                assert (received.kind, received.data) == ("application", data)

    def everybody_talks(self) -> None:
        """Each member sends, and all others read it."""
        for member in list(self.members.values()):
            self.talk(member, f"from {member.name}".encode(), b"")

    def share_psk(self, psk: ExternalPSK, *also: Member) -> None:
        """Let all members, and others, learn an external PSK."""
        for member in [*self.members.values(), *also]:
            member.learn_psk(psk)

    def assert_agreement(self, *absent: str) -> None:
        """All members see one group, and derive the same secrets.

        Args:
            absent: members of the group that are not among `members`.
        """
        some, *others = self.members.values()
        view = some.view()
        present = {(member.leaf, member.name) for member in self.members.values()}
        assert {name for _, name in set(view.members) - present} == set(absent)
        assert len(view.members) == len(present) + len(absent)
        label, context = "interop", view.epoch.to_bytes(8, "big")
        exported = some.exported(label, context, 32)
        for other in others:
            assert other.view() == view
            assert other.exported(label, context, 32) == exported
