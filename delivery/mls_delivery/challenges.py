"""Challenges: proof that a session request is fresh and meant for this service.

A challenge carries its own end and a MAC under a key that never leaves the service, so that handing one out costs no
memory, whoever asks how often. Only challenges that were used are remembered, in the store, until they would have ended anyway.

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

    def issue(self, entropy: bytes, now: int) -> bytes:
        """A new challenge.

        Args:
            entropy: 8 random octets.
            now: Unix seconds.
        """
        head = entropy + (now + self._lifetime).to_bytes(8, "big")
        return head + self._mac(head)

    def check(self, challenge: bytes, now: int) -> int:
        """Until when a challenge is good. Whether it was used before is known to the store alone.

        Raises:
            Refused: code `bad-challenge`.
        """
        head, mac = challenge[:_HEAD_SIZE], challenge[_HEAD_SIZE:]
        if not hmac.compare_digest(mac, self._mac(head)):
            raise Refused("bad-challenge", "The challenge is not one of this service's. Ask for a new one.")
        ends = int.from_bytes(head[8:], "big")
        if now >= ends:
            raise Refused("bad-challenge", "The challenge has expired. Ask for a new one.")
        return ends

    def _mac(self, head: bytes) -> bytes:
        return hmac.digest(self._key, head, hashlib.sha256)[:_MAC_SIZE]
