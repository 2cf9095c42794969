"""Frames of a call under SFrame: on the wire `clear || SFrame`, where the metadata that SFrame authenticates is `clear`.

`clear` is what a packetiser reads of a frame. All streams of a participant share one key and so one counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from mls_federation.crypto import CryptoProvider
from mls_federation.errors import StateError, UnknownKeyError, UnsupportedError, ValidationError
from mls_federation.media import FrameReceiver, FrameSender, MediaKeys, SFrameKey, SFrameKeys, decode_header

Media = Literal["audio", "video"]

# One counter serves all streams of a sender, and sound overtakes video.
_WINDOW = 8192
_CODECS: dict[Media, str] = {"audio": "opus", "video": "vp8"}


def clear_size(media: Media, frame: bytes) -> int:
    """How many octets of a frame stay clear.

    Raises:
        ValidationError: code `bad-frame`: it has fewer.
    """
    # RFC 6386 §9.1: a key frame of VP8 begins with a tag of 3 octets, a start code and the size, another frame with the tag alone.
    size = 1 if media == "audio" else 3
    if media == "video" and frame and not frame[0] & 1:
        size = 10
    if len(frame) < size:
        raise ValidationError("the frame is shorter than its header", code="bad-frame")
    return size


class OwnFrames:
    """Protects our own frames, under one epoch's key after the other.

    Args:
        context: that nobody uses but this start of ours (`Client.reserve_sframe_context`).
    """

    def __init__(self, provider: CryptoProvider, context: int) -> None:
        self._provider = provider
        self._context = context
        self._sender: FrameSender | None = None
        self._used: dict[bytes, int] = {}
        self._name = b""

    @property
    def key_id(self) -> int | None:
        """Under which key the next frame is protected; None if there is none yet."""
        return None if self._sender is None else self._sender.key_id

    def use(self, keys: SFrameKeys) -> None:
        """Protect frames under the key of this epoch from now on."""
        key = keys.sending_key(self._context)
        name = hashlib.sha256(key.key + key.salt).digest()
        if name == self._name:
            return
        if self._sender is not None:
            self._used[self._name] = self._sender.counter
        # A group can come back to a branch that it had left: there, counters go on where they were.
        self._name, self._sender = name, FrameSender(self._provider, key, self._used.get(name, 0))

    def protect(self, media: Media, frame: bytes) -> bytes:
        """What is sent in the place of a frame.

        Raises:
            StateError: code `no-keys`: there are none yet, and nothing may be sent.
        """
        if self._sender is None:
            raise StateError("there are no keys to protect frames with yet", code="no-keys")
        size = clear_size(media, frame)
        return frame[:size] + self._sender.protect(frame[size:], frame[:size])


class PeerFrames:
    """Opens the frames of the one member that is at the other end of a connection, and no other's.

    Args:
        media_keys: tells the keys that there are at present.
        leaf_index: the member's.
    """

    def __init__(
        self, provider: CryptoProvider, media_keys: Callable[[], MediaKeys], leaf_index: int
    ) -> None:
        self._media_keys = media_keys
        self._leaf_index = leaf_index
        self._receiver = FrameReceiver(provider, window=_WINDOW, find=self._find)

    def open(self, media: Media, codec: str, octets: bytes) -> bytes:
        """The frame in what was received.

        Raises:
            UnsupportedError: code `unsupported-codec`.
            ValidationError, UnknownKeyError, VerificationError: as `FrameReceiver.unprotect`; code `wrong-sender`: it is another
                member's.
        """
        if codec.lower() != _CODECS[media]:
            raise UnsupportedError(f"frames of {codec} cannot be decrypted", code="unsupported-codec")
        size = clear_size(media, octets)
        clear, sealed = octets[:size], octets[size:]
        # Every member can make every key of the group: that a frame is this member's, the connection tells.
        if self._sender_of(decode_header(sealed).key_id) != self._leaf_index:
            raise ValidationError(
                "the frame is under a key of another member than the one whose connection this is",
                code="wrong-sender",
            )
        return clear + self._receiver.unprotect(sealed, clear).frame

    def follow(self) -> None:
        """The keys are others now."""
        self._receiver.find_again()

    def _sender_of(self, key_id: int) -> int:
        return self._media_keys().of(key_id).sender_of(key_id).leaf_index

    def _find(self, key_id: int) -> SFrameKey:
        if self._sender_of(key_id) != self._leaf_index:
            raise UnknownKeyError(key_id)
        return self._media_keys().receiving_key(key_id)
