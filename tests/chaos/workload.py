"""What the people of a run do in a group: they talk, renew keys, remove each other and add each other again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from .processes import ClientProcess, Killed, Line, Refused
from .record import Record

# So many messages of a group may be under way at a time. Clients keep 100 that come too early.
_UNDER_WAY = 40
# A member who is so many epochs behind can still be read, and can still read the others.
_EPOCHS_APART = 2
_POLL_SECONDS = 0.2
# So many members want to commit at the same time.
_COMMITTERS = 2
# One in so many commits is a removal, and the next adds who was removed.
_REMOVALS = 5


@dataclass
class Group:
    """A group and what is to happen in it.

    Attributes:
        members: who is in it, but for the time between removal and addition.
        messages: how many are to be sent.
        commits: how many are to be made.
    """

    group_id: str
    title: str
    members: Sequence[str]
    messages: int
    commits: int
    sent: int = 0
    first_epoch: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0

    @property
    def present(self) -> list[str]:
        """Who is a member now."""
        return [member for member in self.members if member not in self.absent]

    @property
    def committed(self) -> int:
        """How many commits there were since the beginning."""
        return max(self.epochs.values()) - self.first_epoch

    @property
    def is_done(self) -> bool:
        """Whether all has happened that is to happen."""
        return self.sent >= self.messages and self.committed >= self.commits


class Workload:
    """The life of a group."""

    def __init__(
        self, group: Group, clients: Mapping[str, ClientProcess], record: Record, chance: random.Random
    ) -> None:
        self.group = group
        self._clients = clients
        self._record = record
        self._chance = chance
        group.open.set()

    async def run(self) -> None:
        """Let it all happen."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.group.members:
                tasks.create_task(self._talk(member))
            for number in range(_COMMITTERS):
                tasks.create_task(self._commit_all(removes=number == 0))

    # -- talking

    async def _talk(self, member: str) -> None:
        group = self.group
        while group.sent < group.messages:
            async with self._turn():
                turn = not (
                    member in group.absent or self._ahead_of_commits() or group.sent >= group.messages
                )
                if turn:
                    await self._say_something(member)
            if not turn:
                await self._record.until_news(_POLL_SECONDS)
            while self._record.under_way(group.group_id) >= _UNDER_WAY:
                await self._record.until_news(_POLL_SECONDS)

    def _ahead_of_commits(self) -> bool:
        """Whether so much was said that it is time for a commit first."""
        group = self.group
        due = group.commits * group.sent // max(1, group.messages)
        return group.committed + 2 < due

    async def _say_something(self, member: str) -> None:
        group = self.group
        others = [other for other in group.present if other != member]
        text, message = self._record.new_message(group.group_id, member, others)
        group.sent += 1
        try:
            answer = await self._clients[member].ask("send", group=group.group_id, data=text)
        except Killed:
            group.sent -= 1
        except Refused as refusal:
            # As when the service is away that is to say whether a commit of this member came first. It is not sent, then.
            group.sent -= 1
            message.fate = "refused"
            self._record.failures[refusal.code] += 1
            await asyncio.sleep(_POLL_SECONDS)
        else:
            self._record.sent(message, answer)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """What may not happen while members come and go."""
        while not self.group.open.is_set():
            await self.group.open.wait()
        self.group.busy += 1
        try:
            yield
        finally:
            self.group.busy -= 1
            self._record.news.set()

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nothing else happens in the group, and nothing is under way."""
        group = self.group
        group.open.clear()
        try:
            while group.busy or self._record.under_way(group.group_id):
                await self._record.until_news(_POLL_SECONDS)
            yield
        finally:
            group.open.set()

    # -- commits

    async def _commit_all(self, removes: bool) -> None:
        """Make commits until there have been enough; others do the same at the same time.

        Args:
            removes: whether to remove members, too, and add them again.
        """
        group = self.group
        while group.committed < group.commits:
            due = group.commits * (group.sent + 1) // max(1, group.messages)
            if (group.committed >= due and group.sent < group.messages) or not self._all_are_near():
                await self._record.until_news(_POLL_SECONDS)
            elif removes and not self._chance.randrange(_REMOVALS):
                await self._remove_and_add()
            else:
                async with self._turn():
                    await self._commit(self._chance.choice(self.group.present), "update")

    def _all_are_near(self) -> bool:
        group = self.group
        return max(group.epochs.values()) - min(group.epochs[who] for who in group.present) < _EPOCHS_APART

    async def _commit(self, member: str, do: str, **arguments: object) -> None:
        """One commit, which may fail, or may be made without anybody knowing."""
        group_id = self.group.group_id
        try:
            status = await self._clients[member].ask(do, group=group_id, **arguments)
        except Killed:
            return
        except Refused as refusal:
            self._record.failures[refusal.code] += 1
            await self._record.until_news(_POLL_SECONDS)
        else:
            self.note_epoch(member, status["epoch"])

    async def _remove_and_add(self) -> None:
        group = self.group
        committer, leaver = self._chance.sample(group.members, 2)
        async with self._alone():
            await self.settle()
            group.absent.add(leaver)
            while leaver in (await self._status(committer))["members"]:
                await self._commit(committer, "remove", identity=leaver)
            await self.settle()
            while not await self._is_out(leaver):
                await self._record.until_news(_POLL_SECONDS)
            while leaver not in (await self._status(committer))["members"]:
                await self._commit(committer, "add", identity=leaver)
            group.absent.remove(leaver)
            await self.settle()

    async def settle(self) -> None:
        """Wait until all who are there have the same view."""
        while True:
            views = [await self._status_or_none(member) for member in self.group.present]
            if views[0] is not None and all(view == views[0] for view in views):
                return
            await self._record.until_news(_POLL_SECONDS)

    async def _is_out(self, member: str) -> bool:
        return await self._status_or_none(member) is None

    async def _status(self, member: str) -> Line:
        status = await self._status_or_none(member)
        assert status is not None, f"{member} is not in {self.group.title}"
        return status

    async def _status_or_none(self, member: str) -> Line | None:
        """A member's view of the group, however often it is killed meanwhile; None if it is not in it."""
        while True:
            with contextlib.suppress(Killed):
                groups = (await self._clients[member].ask("status"))["groups"]
                found: Line | None = groups.get(self.group.group_id)
                if found is not None:
                    self.note_epoch(member, found["epoch"])
                return found

    def note_epoch(self, member: str, epoch: int) -> None:
        """A member has come to an epoch."""
        self.group.epochs[member] = epoch

    # -- the end

    async def agreement(self) -> list[str]:
        """In what the members do not agree, in lines; nothing if they are one group."""
        group = self.group
        views = {member: await self._status_or_none(member) for member in group.members}
        first = views[group.members[0]]
        wrong = [
            f"{group.title}: {member} has {view}, {group.members[0]} has {first}"
            for member, view in views.items()
            if view != first
        ]
        if first is None or first["members"] != sorted(group.present):
            wrong.append(f"{group.title}: its members are not {sorted(group.present)}, but {first}")
        return wrong
