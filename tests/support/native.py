"""Members who take part in calls by `examples/native_participant`, and what they see and hear."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from examples.native_participant.frames import Media
from examples.native_participant.participant import Participant, Peer, in_call
from examples.native_participant.sources import Picture, Tone
from mls_federation.client import ConnectionChanged, Event, GroupJoined
from mls_federation.io import connected_client
from tests.support.services import Person, unique

# Y, U and V; and how far from its colour a picture may be after VP8.
COLOURS = {"alice": (60, 200, 90), "bob": (150, 80, 200), "carol": (200, 120, 60)}
_NEAR = 12


class Someone(Person):
    """A client in a call, and what it has decoded."""

    def __init__(self, name: str) -> None:
        super().__init__(unique(name, f"{name[0]}.example"))
        self.name = name
        self.participant: Participant | None = None
        self.pictures: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        self.sound: dict[str, int] = defaultdict(int)
        self.tasks: list[asyncio.Task[None]] = []
        self._ended: dict[str, int] = defaultdict(int)
        self._changed = asyncio.Condition()

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        if self.participant is not None:
            self.participant.handle(event)

    def on_track(self, peer: Peer, track: MediaStreamTrack) -> None:
        self.tasks.append(asyncio.create_task(self._take(peer.identity, track)))

    async def _take(self, identity: str, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                async with self._changed:
                    self._ended[identity] += 1
                    self._changed.notify_all()
                return
            async with self._changed:
                if track.kind == "video":
                    self.pictures[identity].append(
                        tuple(
                            sorted(plane_octets)[len(plane_octets) // 2]
                            for plane_octets in map(bytes, frame.planes)
                        )
                    )
                elif any(bytes(frame.planes[0])):
                    self.sound[identity] += 1
                self._changed.notify_all()

    async def receives(self, identity: str, more: int = 15) -> list[tuple[int, ...]]:
        """Wait until so many more pictures of somebody have come, and sound; the middle values of their planes."""
        pictures, sound = self.pictures[identity], self.sound[identity]
        before = len(pictures)
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(
                lambda: len(pictures) >= before + more and self.sound[identity] >= sound + more
            )
        return pictures[before:]

    async def sees(self, other: Someone, more: int = 15) -> None:
        """The same, of one of us; all pictures are that person's."""
        colour = COLOURS[other.name]
        assert all(
            abs(value - expected) < _NEAR
            for picture in await self.receives(other.identity, more)
            for value, expected in zip(picture, colour, strict=True)
        )

    async def loses(self, identity: str) -> None:
        """Wait until the connection to somebody is closed, and they are not in the call any more: either may be first."""
        async with asyncio.timeout(60):
            async with self._changed:
                await self._changed.wait_for(lambda: self._ended[identity] == 2)
            while identity in {peer.identity for peer in self.call.peers.values()}:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)

    @property
    def call(self) -> Participant:
        assert self.participant is not None
        return self.participant

    def count(self, identity: str, media: Media = "video") -> tuple[int, dict[str, int]]:
        """How many frames of somebody were opened and refused."""
        [peer] = [peer for peer in self.call.peers.values() if peer.identity == identity]
        received = peer.received[media]
        return received.opened, dict(received.refused)


@asynccontextmanager
async def connected(services: Mapping[str, str], name: str) -> AsyncIterator[Someone]:
    """Somebody who is in no group yet."""
    someone = Someone(name)
    async with connected_client(someone.identity, services, someone.on_event) as client:
        someone._client = client
        await someone.told(ConnectionChanged, state="connected")
        yield someone


@asynccontextmanager
async def people(services: Mapping[str, str], *names: str) -> AsyncIterator[tuple[list[Someone], bytes]]:
    """All in one group, which the first of them has begun; and its id."""
    async with AsyncExitStack() as stack:
        first, *others = [await stack.enter_async_context(connected(services, name)) for name in names]
        group_id = (await first.client.create_group()).group_id
        for other in others:
            await first.client.add(group_id, other.identity)
            await other.told(GroupJoined, group_id=group_id)
        yield [first, *others], group_id


@asynccontextmanager
async def joined(someone: Someone, group_id: bytes) -> AsyncIterator[Participant]:
    """Somebody in the call."""
    sources = Tone(), Picture(COLOURS[someone.name])
    async with in_call(someone.client, group_id, *sources, on_track=someone.on_track) as participant:
        someone.participant = participant
        yield participant
        someone.participant = None
    for task in someone.tasks:
        task.cancel()
