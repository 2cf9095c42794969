"""A picture and a tone that are generated, so that a participant needs no camera."""

from __future__ import annotations

import asyncio
import fractions
import math
import struct
import time

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

_RATE = 48_000
_SAMPLES = 960


class Picture(MediaStreamTrack):
    """One colour, with a bar that wanders.

    Args:
        colour: Y, U and V of most of it.
        size: width and height, even numbers.
        rate: frames in a second.
    """

    kind = "video"

    def __init__(
        self, colour: tuple[int, int, int], size: tuple[int, int] = (160, 120), rate: int = 15
    ) -> None:
        super().__init__()
        self._colour = colour
        self._size = size
        self._rate = rate
        self._number = 0
        self._begun = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        """The next frame, when its time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0, self._begun + self._number / self._rate - time.monotonic()))
        width, height = self._size
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, value in zip(frame.planes, self._colour, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        luma = bytearray(frame.planes[0])
        bar = self._number % height
        stride = frame.planes[0].line_size
        luma[bar * stride : bar * stride + width] = bytes([235]) * width
        frame.planes[0].update(bytes(luma))
        frame.pts, frame.time_base = self._number, fractions.Fraction(1, self._rate)
        self._number += 1
        return frame


class Tone(MediaStreamTrack):
    """A sine.

    Args:
        frequency: in hertz.
    """

    kind = "audio"

    def __init__(self, frequency: float = 440) -> None:
        super().__init__()
        self._frequency = frequency
        self._at = 0
        self._begun = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when their time has come."""
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0, self._begun + self._at / _RATE - time.monotonic()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        step = 2 * math.pi * self._frequency / _RATE
        samples = [int(8000 * math.sin(step * (self._at + place))) for place in range(_SAMPLES)]
        frame.planes[0].update(struct.pack(f"<{_SAMPLES}h", *samples))
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._at, fractions.Fraction(1, _RATE)
        self._at += _SAMPLES
        return frame
