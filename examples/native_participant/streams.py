"""Media between PyAV, SFrame and aiortc.

Sending: aiortc encodes frames that a track gives it, and packs packets that it gives it as they are. Our tracks give packets alone:
what PyAV has encoded and SFrame has protected. No frame that could be sent in the clear ever gets to aiortc.

Receiving: aiortc has no encoded transforms. What its receiver has put together from packets it puts into a queue, from which a thread
takes it to decode it. That queue is ours here, and opens the frames on their way. It is a private attribute of aiortc's, so its
version is pinned, and `open_frames` refuses to go on if it is not there.
"""

from __future__ import annotations

import asyncio
import fractions
import queue
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import av
from aiortc import MediaStreamTrack, RTCRtpReceiver, RTCRtpSender
from aiortc.mediastreams import MediaStreamError

from mls_federation.errors import MLSError

from .frames import Media

_VIDEO_TIME_BASE = fractions.Fraction(1, 90_000)
_AUDIO_TIME_BASE = fractions.Fraction(1, 48_000)
_AUDIO_SAMPLES = 960  # 20 ms
_BITRATES: dict[Media, int] = {"audio": 64_000, "video": 500_000}
# Packets that wait for a connection that does not take them; older ones are let fall.
_WAITING = 60
# Seconds between two requests for a key frame.
_KEY_FRAME_PAUSE = 0.5
# Private attributes of aiortc's.
_DECODER_QUEUE: Final = "_RTCRtpReceiver__decoder_queue"
_ASKED_FOR_KEY_FRAME: Final = "_send_keyframe"

Protect = Callable[[Media, bytes], bytes]


class Broadcast:
    """Encodes and protects the frames of a source once, for all connections.

    Args:
        source: gives frames, not packets.
        protect: is given what was encoded, and returns what is sent; if it raises `MLSError`, nothing is.
    """

    def __init__(self, source: MediaStreamTrack, protect: Protect) -> None:
        self.media: Media = "audio" if source.kind == "audio" else "video"
        self._source = source
        self._protect = protect
        self._tracks: set[PacketTrack] = set()
        self._encoder: _Encoder = _AudioEncoder() if self.media == "audio" else _VideoEncoder()
        self.sent = 0

    def track(self) -> PacketTrack:
        """A track for one more connection."""
        made = PacketTrack(self.media, self._tracks.discard)
        self._tracks.add(made)
        self.force_key_frame()
        return made

    def force_key_frame(self) -> None:
        """The next frame is to be one that is decoded without earlier ones."""
        self._encoder.force_key_frame = True

    async def run(self) -> None:
        """Until the source ends, or this is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                frame = await self._source.recv()
            except MediaStreamError:
                return
            if not self._tracks:
                continue
            for encoded, pts, time_base in await loop.run_in_executor(None, self._encoder.encode, frame):
                try:
                    protected = self._protect(self.media, encoded)
                except MLSError:
                    # There are no keys (yet). A decoder has to begin with a key frame.
                    self.force_key_frame()
                    continue
                self.sent += 1
                for track in self._tracks:
                    packet = av.Packet(protected)
                    packet.pts, packet.time_base = pts, time_base
                    track.put(packet)


class PacketTrack(MediaStreamTrack):
    """What one connection sends: protected packets."""

    def __init__(self, media: Media, on_stop: Callable[[PacketTrack], None]) -> None:
        self.kind = media
        super().__init__()
        self._packets: asyncio.Queue[av.Packet[Any] | None] = asyncio.Queue(_WAITING)
        self._on_stop = on_stop

    def put(self, packet: av.Packet[Any] | None) -> None:
        """Have a packet sent."""
        if self._packets.full():
            self._packets.get_nowait()
        self._packets.put_nowait(packet)

    async def recv(self) -> av.Packet[Any]:
        """The next packet, when there is one."""
        packet = await self._packets.get() if self.readyState == "live" else None
        if packet is None:
            raise MediaStreamError
        return packet

    def stop(self) -> None:
        """Send nothing any more."""
        if self.readyState == "live":
            super().stop()
            self._on_stop(self)
            self.put(None)


class _Encoder(Protocol):
    force_key_frame: bool

    def encode(self, frame: Any) -> list[tuple[bytes, int, fractions.Fraction]]: ...


class _VideoEncoder:
    """VP8, as aiortc sets it up for calls."""

    def __init__(self) -> None:
        self.force_key_frame = False
        self._codec: Any = None

    def encode(self, frame: av.VideoFrame) -> list[tuple[bytes, int, fractions.Fraction]]:
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        size = frame.width, frame.height
        if self._codec is None or (self._codec.width, self._codec.height) != size:
            self._codec = _vp8(*size)
        frame.pict_type = (
            av.video.frame.PictureType.I if self.force_key_frame else av.video.frame.PictureType.NONE
        )
        self.force_key_frame = False
        pts = _converted(frame.pts, frame.time_base, _VIDEO_TIME_BASE)
        return [(bytes(packet), pts, _VIDEO_TIME_BASE) for packet in self._codec.encode(frame)]


def _vp8(width: int, height: int) -> Any:
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate, codec.gop_size = _BITRATES["video"], 3000
    codec.options = {"cpu-used": "-6", "deadline": "realtime", "lag-in-frames": "0", "static-thresh": "1"}
    return codec


class _AudioEncoder:
    """Opus, in frames of 20 ms. Each frame is decoded by itself."""

    def __init__(self) -> None:
        self.force_key_frame = False
        self._codec: Any = av.CodecContext.create("libopus", "w")
        self._codec.bit_rate, self._codec.format, self._codec.layout = _BITRATES["audio"], "s16", "stereo"
        self._codec.sample_rate, self._codec.time_base = 48_000, _AUDIO_TIME_BASE
        self._codec.options = {"application": "voip"}
        self._resampler = av.AudioResampler(
            format="s16", layout="stereo", rate=48_000, frame_size=_AUDIO_SAMPLES
        )
        self._pts = 0

    def encode(self, frame: av.AudioFrame) -> list[tuple[bytes, int, fractions.Fraction]]:
        encoded = []
        for resampled in self._resampler.resample(frame):
            for packet in self._codec.encode(resampled):
                encoded.append((bytes(packet), self._pts, _AUDIO_TIME_BASE))
                self._pts += _AUDIO_SAMPLES
        return encoded


def _converted(pts: int | None, time_base: Any, to: fractions.Fraction) -> int:
    return int((pts or 0) * fractions.Fraction(time_base.numerator, time_base.denominator) / to)


# -- aiortc


def ask_for_key_frames(sender: RTCRtpSender, force_key_frame: Callable[[], None]) -> None:
    """Have a broadcast make a key frame when the other end asks for one. aiortc does so only for frames that it encodes itself."""
    if not callable(getattr(sender, _ASKED_FOR_KEY_FRAME, None)):
        raise NotImplementedError("this version of aiortc does not say when a key frame is asked for")
    setattr(sender, _ASKED_FOR_KEY_FRAME, force_key_frame)


class Opened:
    """What has become of the frames of one receiver.

    Attributes:
        opened: how many were.
        refused: how many were not, by the code of the reason.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.refused: dict[str, int] = {}


def open_frames(
    receiver: RTCRtpReceiver, media: Media, opening: Callable[[Media, str, bytes], bytes]
) -> Opened:
    """Have every frame that a receiver gets opened before it is decoded. To be called before anything is received.

    Args:
        opening: is given the medium, the codec's name and the frame as it came; what it returns is decoded, and if it raises
            `MLSError`, nothing is.
    """
    if not isinstance(getattr(receiver, _DECODER_QUEUE, None), queue.Queue):
        raise NotImplementedError(
            "this version of aiortc has its decoder's queue elsewhere; nothing is received"
        )
    counts = Opened()
    setattr(receiver, _DECODER_QUEUE, _OpeningQueue(receiver, media, opening, counts))
    return counts


class _OpeningQueue(queue.Queue[Any]):
    def __init__(
        self,
        receiver: RTCRtpReceiver,
        media: Media,
        opening: Callable[[Media, str, bytes], bytes],
        counts: Opened,
    ) -> None:
        super().__init__()
        self._receiver = receiver
        self._media = media
        self._opening = opening
        self._counts = counts
        self._asked = -_KEY_FRAME_PAUSE
        self._requests: set[asyncio.Task[None]] = set()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None:
            codec, encoded = item
            try:
                encoded.data = self._opening(self._media, codec.name, encoded.data)
            except MLSError as error:
                self._counts.refused[error.code] = self._counts.refused.get(error.code, 0) + 1
                self._ask_for_key_frame()
                return
            self._counts.opened += 1
        super().put(item, block, timeout)

    def _ask_for_key_frame(self) -> None:
        """What comes next may need what was let fall."""
        if self._media != "video" or time.monotonic() - self._asked < _KEY_FRAME_PAUSE:
            return
        self._asked = time.monotonic()
        for source in self._receiver.getSynchronizationSources():
            request = asyncio.ensure_future(self._receiver._send_rtcp_pli(source.source))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
