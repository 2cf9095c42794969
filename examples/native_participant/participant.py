"""The participant: follows the group, says that it is there, and has a connection to each other participant."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpSender

from mls_federation.client import Client, EpochChanged, Event, MessageReceived, RemovedFromGroup
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import MLSError
from mls_federation.media import EpochMediaKeys, MediaKeys

from .frames import Media, OwnFrames, PeerFrames
from .signals import Signal, described, new_session, read_signal, say
from .streams import Broadcast, Opened, ask_for_key_frames, open_frames

# Seconds after a new epoch when our frames go over to its key; by then, others should have it.
_SWITCH_DELAY = 0.3
_CODECS: dict[Media, tuple[str, ...]] = {"audio": ("audio/opus",), "video": ("video/VP8", "video/rtx")}

logger = logging.getLogger(__name__)


class Peer:
    """Another participant, and the connection to them.

    Attributes:
        leaf_index: the member's.
        identity: `name@domain`, from the authenticated leaf.
        session: their start of the call.
        received: what has become of what they sent.
    """

    def __init__(self, leaf_index: int, identity: str, session: str, frames: PeerFrames) -> None:
        self.leaf_index = leaf_index
        self.identity = identity
        self.session = session
        self.frames = frames
        self.received: dict[Media, Opened] = {}
        self.connection: RTCPeerConnection | None = None


class Participant:
    """Made by `in_call`.

    Attributes:
        peers: the others, by leaf.
        session: this start of ours.
        own_frames: our frames' keys.
        broadcasts: what we send.
    """

    def __init__(
        self,
        client: Client,
        group_id: bytes,
        context: int,
        sources: tuple[MediaStreamTrack, ...],
        ice_servers: list[RTCIceServer],
        on_track: Callable[[Peer, MediaStreamTrack], None],
    ) -> None:
        self._client = client
        self._group_id = group_id
        self._provider = PycaProvider()
        self._configuration = RTCConfiguration(iceServers=ice_servers)
        self._on_track = on_track
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._seats: dict[int, tuple[str, bytes]] = {}
        self._since: dict[int, int] = {}
        self.peers: dict[int, Peer] = {}
        self.session = new_session()
        self.own_frames = OwnFrames(self._provider, context)
        self.broadcasts = {
            broadcast.media: broadcast
            for broadcast in (Broadcast(source, self.own_frames.protect) for source in sources)
        }
        keys = EpochMediaKeys(client.export_sframe_keys(group_id))
        self.media_keys = MediaKeys(keys)
        self.own_frames.use(keys.sframe)
        self._learn_members()

    def handle(self, event: Event) -> None:
        """Is to be given every event of the client."""
        self._events.put_nowait(event)

    def follow(self) -> None:
        """The group may be in another epoch: to be called after a change of our own, of which the client tells no event."""
        self._events.put_nowait(EpochChanged(self._group_id, 0, (), ()))

    async def run(self) -> None:
        """Take part until we are removed from the group, or this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(broadcast.run()) for broadcast in self.broadcasts.values()]
            await self._say("join", audio="audio" in self.broadcasts, video="video" in self.broadcasts)
            while True:
                event = await self._events.get()
                if getattr(event, "group_id", None) != self._group_id:
                    continue
                match event:
                    case MessageReceived():
                        await self._on_message(event)
                    case EpochChanged():
                        await self._on_epoch()
                    case RemovedFromGroup():
                        break
            for task in running:
                task.cancel()

    async def close(self) -> None:
        """Say that we leave, if we can, and end all connections."""
        for timer in self._timers:
            timer.cancel()
        for leaf_index in list(self.peers):
            await self._drop(leaf_index)
        await asyncio.gather(*self._closing)
        if self._group_id in self._client.groups:
            await self._say("leave")

    # -- the group

    def _learn_members(self) -> list[int]:
        """Who is on which leaf now; the leaves that are no longer whose they were."""
        details = self._client.group_details(self._group_id)
        now = {member.leaf_index: (member.identity, member.identity_key) for member in details.members}
        gone = [leaf for leaf, seat in self._seats.items() if now.get(leaf) != seat]
        self._since = {
            int(leaf): self._since.get(leaf, 0) if self._seats.get(leaf) == seat else details.epoch
            for leaf, seat in now.items()
        }
        if not self._seats:
            self._since = dict.fromkeys(self._since, 0)
        self._seats = {int(leaf): seat for leaf, seat in now.items()}
        return gone

    @property
    def _own_leaf(self) -> int:
        return next(sender.leaf_index for sender in self.media_keys.current.sframe.senders if sender.is_self)

    async def _on_epoch(self) -> None:
        keys = EpochMediaKeys(self._client.export_sframe_keys(self._group_id))
        self._use(self.media_keys.following(keys, time.monotonic()))
        self._later(_SWITCH_DELAY, lambda: self._switch(keys))
        for leaf_index in self._learn_members():
            await self._drop(leaf_index)

    def _use(self, keys: MediaKeys) -> None:
        self.media_keys = keys
        for peer in self.peers.values():
            peer.frames.follow()
        if keys.forgets_at is not None:
            self._later(keys.forgets_at - time.monotonic(), self._forget)

    def _forget(self) -> None:
        after = self.media_keys.forgetting(time.monotonic())
        if after is not self.media_keys:
            self._use(after)

    def _switch(self, keys: EpochMediaKeys) -> None:
        if keys is self.media_keys.current:
            self.own_frames.use(keys.sframe)
            for broadcast in self.broadcasts.values():
                broadcast.force_key_frame()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(max(0, seconds), due)
        self._timers.add(timer)

    # -- what participants say

    async def _say(self, kind: str, **members: object) -> None:
        await self._client.send(self._group_id, say(kind, self.session, **members))

    async def _on_message(self, message: MessageReceived) -> None:
        signal = read_signal(message.data)
        seat = self._seats.get(message.sender_leaf)
        # Whose leaf it was then may be somebody else's now.
        if signal is None or seat is None or seat[0] != message.sender:
            return
        leaf = message.sender_leaf
        if message.epoch < self._since[leaf] or leaf == self._own_leaf:
            return
        if signal.to not in {None, self._own_leaf} or signal.peer not in {None, self.session}:
            return
        try:
            await self._on_signal(leaf, message.sender, signal)
        except MLSError as error:
            logger.warning("the connection to %s has ended: %s", message.sender, error)
            await self._drop(leaf)

    async def _on_signal(self, leaf: int, identity: str, signal: Signal) -> None:
        known = self.peers.get(leaf)
        peer = known if known is not None and known.session == signal.session else None
        match signal.kind:
            case "join":
                await self._meet(leaf, identity, signal.session)
                await self._say(
                    "here", to=leaf, audio="audio" in self.broadcasts, video="video" in self.broadcasts
                )
            case "here":
                await self._meet(leaf, identity, signal.session)
            case "offer" if leaf < self._own_leaf:
                await self._answer(await self._meet(leaf, identity, signal.session), signal)
            case "answer" if leaf > self._own_leaf and peer is not None and peer.connection is not None:
                await peer.connection.setRemoteDescription(described("answer", signal.description))
            case "candidates" if peer is not None and peer.connection is not None:
                for candidate in signal.candidates:
                    await peer.connection.addIceCandidate(candidate)
            case "leave" if peer is not None:
                await self._drop(leaf)

    # -- connections

    async def _meet(self, leaf: int, identity: str, session: str) -> Peer:
        known = self.peers.get(leaf)
        if known is not None and known.session == session:
            return known
        await self._drop(leaf)
        frames = PeerFrames(self._provider, lambda: self.media_keys, leaf)
        peer = self.peers[leaf] = Peer(leaf, identity, session, frames)
        if self._own_leaf < leaf:
            connection = self._connect(peer)
            for media in ("audio", "video"):
                connection.addTransceiver(media, direction="sendrecv")
            self._attach(peer, connection)
            await connection.setLocalDescription(await connection.createOffer())
            await self._describe(peer, "offer")
        return peer

    async def _answer(self, peer: Peer, signal: Signal) -> None:
        description = described("offer", signal.description)
        if peer.connection is not None:
            # aiortc cannot restart ICE. Who offers again has lost the connection, and begins another one by joining again.
            return
        connection = self._connect(peer)
        await connection.setRemoteDescription(description)
        self._attach(peer, connection)
        await connection.setLocalDescription(await connection.createAnswer())
        await self._describe(peer, "answer")

    def _connect(self, peer: Peer) -> RTCPeerConnection:
        connection = peer.connection = RTCPeerConnection(self._configuration)
        connection.on("track", lambda track: self._on_track(peer, track))
        return connection

    def _attach(self, peer: Peer, connection: RTCPeerConnection) -> None:
        """Have all that is sent and received go through SFrame, before there is anything."""
        for transceiver in connection.getTransceivers():
            media: Media = "audio" if transceiver.kind == "audio" else "video"
            names = _CODECS[media]
            codecs = RTCRtpSender.getCapabilities(media).codecs
            transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType in names])
            transceiver.direction = "sendrecv"
            peer.received[media] = open_frames(transceiver.receiver, media, peer.frames.open)
            broadcast = self.broadcasts.get(media)
            if broadcast is not None:
                transceiver.sender.replaceTrack(broadcast.track())
                ask_for_key_frames(transceiver.sender, broadcast.force_key_frame)

    async def _describe(self, peer: Peer, kind: str) -> None:
        """Our description, which has all candidates: aiortc gathers them first."""
        assert peer.connection is not None
        sdp = peer.connection.localDescription.sdp
        await self._say(kind, to=peer.leaf_index, peer=peer.session, description=sdp)

    async def _drop(self, leaf: int) -> None:
        peer = self.peers.pop(leaf, None)
        if peer is None or peer.connection is None:
            return
        for sender in peer.connection.getSenders():
            if sender.track is not None:
                sender.track.stop()
        # Not given up when we are: aiortc closes a connection by itself, too, and fails if who waits for that goes away.
        closing = asyncio.create_task(peer.connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)


@asynccontextmanager
async def in_call(
    client: Client,
    group_id: bytes,
    *sources: MediaStreamTrack,
    ice_servers: list[RTCIceServer] | None = None,
    on_track: Callable[[Peer, MediaStreamTrack], None],
) -> AsyncIterator[Participant]:
    """Take part in the call of a group until the context ends. `handle` is to be given the client's events.

    Args:
        sources: what we send: at most one track of sound and one of pictures, which give frames.
        ice_servers: STUN and TURN servers; none by default.
        on_track: is told of what another participant sends, decoded; it has to be received, or it piles up.
    """
    context = await client.reserve_sframe_context(group_id)
    participant = Participant(client, group_id, context, sources, ice_servers or [], on_track)
    running = asyncio.create_task(participant.run())
    try:
        yield participant
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await participant.close()
