"""The safety number: thirty digits that people read to each other to know that nobody stands between them."""

from __future__ import annotations

import hashlib

_LABEL = b"MLS Federation 1.0 Safety Number"
_GROUPS = 6
_DIGITS = 5


def safety_number(epoch_authenticator: bytes) -> str:
    """Six groups of five digits, equal for all who agree on the group's state and history (RFC 9420 §8.7).

    Each group is five octets of a hash, modulo 100,000: about 100 bits in all.
    """
    digest = hashlib.sha256(_LABEL + epoch_authenticator).digest()
    pieces = (digest[5 * place : 5 * place + 5] for place in range(_GROUPS))
    return " ".join(f"{int.from_bytes(piece, 'big') % 10**_DIGITS:0{_DIGITS}d}" for piece in pieces)
