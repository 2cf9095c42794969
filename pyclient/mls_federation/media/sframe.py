"""SFrame (RFC 9605): frames of media, encrypted from one participant to the others, whoever forwards them.

A protected frame is a header (§4.3) that names the key and counts the frame, the ciphertext, and a tag at its end (§4.4).
Whoever forwards it reads the header and nothing else. Members are not proven apart (§9.2): whoever has the keys to read a
sender's frames could make some.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from ..crypto import AEAD, CryptoProvider
from ..crypto.kdf import expand, extract, mac
from ..errors import StateError, UnknownKeyError, UsageError, ValidationError, VerificationError

_KEY_LABEL = b"SFrame 1.0 Secret key "
_SALT_LABEL = b"SFrame 1.0 Secret salt "
_Nn = 12
_MAX_UINT64 = 2**64 - 1
DEFAULT_WINDOW = 1024
# More would be a counter that nobody reorders so far, and memory for each key.
_MAX_WINDOW = 65536


class SFrameCipherSuite(IntEnum):
    """The cipher suites of RFC 9605 §8.1."""

    AES_128_CTR_HMAC_SHA256_80 = 0x0001
    AES_128_CTR_HMAC_SHA256_64 = 0x0002
    AES_128_CTR_HMAC_SHA256_32 = 0x0003
    AES_128_GCM_SHA256_128 = 0x0004
    AES_256_GCM_SHA512_128 = 0x0005

    # In octets, by the symbols of §4.4.

    @property
    def hash(self) -> str:
        """The hash of HKDF, and of HMAC where there is one, as `hashlib` names it."""
        return "sha512" if self is SFrameCipherSuite.AES_256_GCM_SHA512_128 else "sha256"

    @property
    def aead(self) -> AEAD | None:
        """AES-GCM; None where AES-CTR and HMAC take its place."""
        return _AEADS.get(self)

    @property
    def Nk(self) -> int:  # noqa: N802 - the RFC's own symbol
        """Of the AEAD's key: with AES-CTR, Nka of its own and Nh for HMAC."""
        return 48 if self.aead is None else self.aead.Nk

    @property
    def Nka(self) -> int:  # noqa: N802
        """Of the AES-CTR key; 0 where there is none."""
        return 16 if self.aead is None else 0

    @property
    def Nt(self) -> int:  # noqa: N802
        """Of the tag."""
        return _TAG_SIZES[self]


_AEADS = {
    SFrameCipherSuite.AES_128_GCM_SHA256_128: AEAD.AES_128_GCM,
    SFrameCipherSuite.AES_256_GCM_SHA512_128: AEAD.AES_256_GCM,
}
_TAG_SIZES = {
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_80: 10,
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_64: 8,
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_32: 4,
    SFrameCipherSuite.AES_128_GCM_SHA256_128: 16,
    SFrameCipherSuite.AES_256_GCM_SHA512_128: 16,
}


# -- the header (§4.3)


class SFrameHeader(NamedTuple):
    """What a protected frame says of itself.

    Attributes:
        key_id: KID.
        counter: CTR.
        size: octets of the header.
    """

    key_id: int
    counter: int
    size: int


def encode_header(key_id: int, counter: int) -> bytes:
    """A header.

    Args:
        key_id: KID, 0 to 2^64 - 1.
        counter: CTR, likewise.

    Raises:
        UsageError: one of them is out of range.
    """
    for number, what in ((key_id, "key id"), (counter, "counter")):
        if not 0 <= number <= _MAX_UINT64:
            raise UsageError(f"an SFrame {what} is a number from 0 to 2^64 - 1")
    first, key_octets = _encode_field(key_id)
    second, counter_octets = _encode_field(counter)
    return bytes([first << 4 | second]) + key_octets + counter_octets


def _encode_field(number: int) -> tuple[int, bytes]:
    """Four bits, and what follows: numbers below 8 are in the bits themselves."""
    if number < 8:
        return number, b""
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return 8 | len(octets) - 1, octets


def decode_header(octets: bytes) -> SFrameHeader:
    """The header at the beginning of a protected frame.

    Raises:
        ValidationError: code `bad-frame`: there is none, or a number takes more octets than it needs.
    """
    if not octets:
        raise _bad_frame("it is empty")
    key_id, after_key = _decode_field(octets, octets[0] >> 4, 1)
    counter, size = _decode_field(octets, octets[0] & 15, after_key)
    return SFrameHeader(key_id, counter, size)


def _decode_field(octets: bytes, bits: int, offset: int) -> tuple[int, int]:
    if bits < 8:
        return bits, offset
    end = offset + bits - 7
    if end > len(octets):
        raise _bad_frame("it ends in its header")
    number = int.from_bytes(octets[offset:end], "big")
    # §4.3: the minimum number of octets. Two headers of one frame would be two frames to whoever compares them.
    if number < 8 or octets[offset] == 0:
        raise _bad_frame("a number in its header takes more octets than it needs")
    return number, end


def _bad_frame(reason: str) -> ValidationError:
    return ValidationError(f"this is no SFrame frame: {reason}", code="bad-frame")


# -- keys (§4.4.2)


@dataclass(frozen=True)
class SFrameKey:
    """What the frames of one key id are protected with.

    Attributes:
        cipher_suite: of which suite.
        key_id: KID.
        key: sframe_key, Nk octets. Secret.
        salt: sframe_salt, 12 octets. Secret.
    """

    cipher_suite: SFrameCipherSuite
    key_id: int
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)


def derive_key(cipher_suite: SFrameCipherSuite, base_key: bytes, key_id: int) -> SFrameKey:
    """Key and salt of a key id (§4.4.2).

    Args:
        base_key: what sender and receivers share. Secret.
        key_id: KID, 0 to 2^64 - 1.

    Raises:
        UsageError: the base key is empty, or the key id out of range.
    """
    if not base_key:
        raise UsageError("the base key is empty")
    if not 0 <= key_id <= _MAX_UINT64:
        raise UsageError("an SFrame key id is a number from 0 to 2^64 - 1")
    hash_name = cipher_suite.hash
    secret = extract(hash_name, b"", base_key)
    name = key_id.to_bytes(8, "big") + cipher_suite.to_bytes(2, "big")
    return SFrameKey(
        cipher_suite=cipher_suite,
        key_id=key_id,
        key=expand(hash_name, secret, _KEY_LABEL + name, cipher_suite.Nk),
        salt=expand(hash_name, secret, _SALT_LABEL + name, _Nn),
    )


# -- encryption (§4.4.3, §4.4.4, §4.5)


def _nonce(key: SFrameKey, counter: int) -> bytes:
    return (int.from_bytes(key.salt, "big") ^ counter).to_bytes(_Nn, "big")


def _seal(provider: CryptoProvider, key: SFrameKey, counter: int, aad: bytes, frame: bytes) -> bytes:
    suite, nonce = key.cipher_suite, _nonce(key, counter)
    if suite.aead is not None:
        return provider.aead_seal(suite.aead, key.key, nonce, aad, frame)
    ciphertext = provider.aes_ctr(key.key[: suite.Nka], nonce + bytes(4), frame)
    return ciphertext + _tag(key, nonce, aad, ciphertext)


def _open(provider: CryptoProvider, key: SFrameKey, counter: int, aad: bytes, sealed: bytes) -> bytes:
    suite, nonce = key.cipher_suite, _nonce(key, counter)
    if suite.aead is not None:
        return provider.aead_open(suite.aead, key.key, nonce, aad, sealed)
    ciphertext, tag = sealed[: -suite.Nt], sealed[-suite.Nt :]
    if not hmac.compare_digest(tag, _tag(key, nonce, aad, ciphertext)):
        raise VerificationError("the tag does not match", code="not-authentic")
    return provider.aes_ctr(key.key[: suite.Nka], nonce + bytes(4), ciphertext)


def _tag(key: SFrameKey, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """compute_tag (§4.5.1)."""
    suite = key.cipher_suite
    sizes = b"".join(size.to_bytes(8, "big") for size in (len(aad), len(ciphertext), suite.Nt))
    return mac(suite.hash, key.key[suite.Nka :], sizes + nonce + aad + ciphertext)[: suite.Nt]


class FrameSender:
    """Protects the frames of one key id. There is one of it for a key: two would use a counter twice, and give both frames away.

    Args:
        key: that nobody else sends with.
        first_counter: of the first frame; more than 0 only for a key whose earlier frames all had smaller ones.
    """

    def __init__(self, provider: CryptoProvider, key: SFrameKey, first_counter: int = 0) -> None:
        if not 0 <= first_counter <= _MAX_UINT64:
            raise UsageError("an SFrame counter is a number from 0 to 2^64 - 1")
        self._provider = provider
        self._key = key
        self._counter = first_counter

    @property
    def key_id(self) -> int:
        """KID."""
        return self._key.key_id

    @property
    def counter(self) -> int:
        """CTR of the next frame."""
        return self._counter

    def protect(self, frame: bytes, metadata: bytes = b"") -> bytes:
        """A frame, protected.

        Args:
            metadata: is authenticated with it, and not part of what is returned; the receiver has it from elsewhere.

        Raises:
            StateError: code `counter-exhausted`: there have been 2^64 frames.
        """
        counter = self._counter
        if counter > _MAX_UINT64:
            raise StateError("this key has protected all frames that it can", code="counter-exhausted")
        # Whatever fails from here on, nothing else gets this counter.
        self._counter += 1
        header = encode_header(self._key.key_id, counter)
        return header + _seal(self._provider, self._key, counter, header + metadata, frame)


# -- receiving


class ReceivedFrame(NamedTuple):
    """A frame that is authentic, and new.

    Attributes:
        frame: as it was before it was protected.
        key_id: KID, which says who sent it.
        counter: CTR.
    """

    frame: bytes
    key_id: int
    counter: int


class _Window:
    """Which counters of a key were there: the highest, and those of the `size` below and with it (as RFC 3711 §3.3.2)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._top = -1
        # Bit n: whether the counter n below the highest was there.
        self._seen = 0

    def is_new(self, counter: int) -> bool:
        """Whether it was not there; one that is too far below the highest counts as if it had been."""
        below = self._top - counter
        return below < 0 or (below < self._size and not self._seen >> below & 1)

    def add(self, counter: int) -> None:
        """Take note of one that is new."""
        above = counter - self._top
        if above <= 0:
            self._seen |= 1 << -above
            return
        kept = self._seen << above if above < self._size else 0
        self._seen = kept & ((1 << self._size) - 1) | 1
        self._top = counter


def _find_none(key_id: int) -> SFrameKey:
    raise UnknownKeyError(key_id)


class FrameReceiver:
    """Opens protected frames, by the keys that it has; each frame once.

    Args:
        window: how far the counters of a key may come out of order; a frame that comes after one with a counter larger by
            this or more is refused.
        find: is asked for the key of a key id that was not set, and raises `UnknownKeyError` if there is none. What it gives is
            kept once a frame was authentic under it.
    """

    def __init__(
        self,
        provider: CryptoProvider,
        *,
        window: int = DEFAULT_WINDOW,
        find: Callable[[int], SFrameKey] | None = None,
    ) -> None:
        if not 1 <= window <= _MAX_WINDOW:
            raise UsageError(f"the window is a number from 1 to {_MAX_WINDOW}")
        self._provider = provider
        self._window = window
        self._find = find or _find_none
        self._keys: dict[int, tuple[SFrameKey, _Window]] = {}

    @property
    def key_ids(self) -> tuple[int, ...]:
        """The key ids that it has keys of."""
        return tuple(self._keys)

    def set(self, key: SFrameKey) -> None:
        """Use a key for its key id. What came under another one of that id is forgotten; the same key is no change."""
        known = self._keys.get(key.key_id)
        # Else whoever sets a key again would let all its frames come again.
        if known is None or known[0] != key:
            self._keys[key.key_id] = key, _Window(self._window)

    def delete(self, key_id: int) -> None:
        """Forget a key; nothing happens if there is none."""
        self._keys.pop(key_id, None)

    def has(self, key_id: int) -> bool:
        """Whether there is a key of this id."""
        return key_id in self._keys

    def find_again(self) -> None:
        """Ask `find` for all keys once more: when an epoch ended, or another took its place, some are gone, and some are others."""
        for key_id in self.key_ids:
            try:
                self.set(self._find(key_id))
            except UnknownKeyError:
                self.delete(key_id)

    def unprotect(self, octets: bytes, metadata: bytes = b"") -> ReceivedFrame:
        """The frame in a protected one.

        Args:
            metadata: as it was given to `protect`.

        Raises:
            ValidationError: code `bad-frame`: it is none; `replayed-frame`: it was here before, or is too old to say.
            UnknownKeyError: code `unknown-key`, with the `key_id`.
            VerificationError: code `not-authentic`: it, its header or its metadata are not as they were sent.
        """
        header = decode_header(octets)
        known = self._keys.get(header.key_id)
        if known is None:
            known = self._find(header.key_id), _Window(self._window)
        key, window = known
        sealed = octets[header.size :]
        if len(sealed) < key.cipher_suite.Nt:
            raise _bad_frame("it is shorter than its tag")
        if not window.is_new(header.counter):
            raise ValidationError(
                "this frame was here before, or is older than can be said of it", code="replayed-frame"
            )
        try:
            frame = _open(self._provider, key, header.counter, octets[: header.size] + metadata, sealed)
        except VerificationError:
            raise VerificationError("the frame is not authentic", code="not-authentic") from None
        window.add(header.counter)
        self._keys[header.key_id] = known
        return ReceivedFrame(frame, header.key_id, header.counter)
