"""Challenges: proof that a session request is fresh and meant for this service.

A challenge carries its own end and a MAC under a key that never leaves the process, so that handing one out costs no
memory, whoever asks how often. Only challenges that opened a session are remembered, until they would have ended anyway.

     0                   8                  16                                   32
    +-------------------+-------------------+-------------------------------------+
    | random            | end (Unix seconds)| HMAC-SHA-256, its first 16 octets   |
    +-------------------+-------------------+-------------------------------------+
"""

from __future__ import annotations

import hashlib
import hmac

from .refusals import Refused

_HEAD_SIZE = 16
_MAC_SIZE = 16


class Challenges:
    """The challenges of one service.

    Args:
        key: 32 random octets. Secret.
        lifetime: seconds for which a challenge is good.
    """

    def __init__(self, key: bytes, lifetime: int) -> None:
        self._key = key
        self._lifetime = lifetime
        self._redeemed: dict[bytes, int] = {}  # in order of redemption, each with its end

    def issue(self, entropy: bytes, now: int) -> bytes:
        """A new challenge.

        Args:
            entropy: 8 random octets.
            now: Unix seconds.
        """
        head = entropy + (now + self._lifetime).to_bytes(8, "big")
        return head + self._mac(head)

    def check(self, challenge: bytes, now: int) -> None:
        """Return if a session may be opened with it.

        Raises:
            Refused: code `bad-challenge`.
        """
        head, mac = challenge[:_HEAD_SIZE], challenge[_HEAD_SIZE:]
        if not hmac.compare_digest(mac, self._mac(head)):
            raise Refused("bad-challenge", "The challenge is not one of this service's. Ask for a new one.")
        if now >= _end_of(challenge):
            raise Refused("bad-challenge", "The challenge has expired. Ask for a new one.")
        if challenge in self._redeemed:
            raise Refused("bad-challenge", "The challenge was already used. Ask for a new one.")

    def redeem(self, challenge: bytes, now: int) -> None:
        """Use up a challenge that was checked."""
        for old in [old for old, end in self._redeemed.items() if end <= now]:
            del self._redeemed[old]
        self._redeemed[challenge] = _end_of(challenge)

    def _mac(self, head: bytes) -> bytes:
        return hmac.digest(self._key, head, hashlib.sha256)[:_MAC_SIZE]


def _end_of(challenge: bytes) -> int:
    return int.from_bytes(challenge[8:_HEAD_SIZE], "big")
