"""HKDF (RFC 5869) and hashing, from the standard library, which every platform that we run on has in C."""

from __future__ import annotations

import hashlib
import hmac

from ..errors import UsageError

# `hashlib.new` looks its algorithm up anew each time.
_HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


def digest(hash_name: str, data: bytes) -> bytes:
    """The hash of `data`; `hash_name` is `sha256`, `sha384` or `sha512`."""
    return _HASHES[hash_name](data).digest()


def mac(hash_name: str, key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104)."""
    return hmac.digest(key, data, hash_name)


def extract(hash_name: str, salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract: a pseudorandom key of the hash's length from input keying material. Secret."""
    return hmac.digest(salt, ikm, hash_name)


def expand(hash_name: str, prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand: `length` octets bound to `info`. Secret.

    Raises:
        UsageError: more than 255 blocks of the hash were asked for, or less than nothing.
    """
    output = block = hmac.digest(prk, info + b"\x01", hash_name)
    if 0 <= length <= len(block):
        return block[:length]
    if not 0 <= length <= 255 * len(block):
        raise UsageError(f"HKDF cannot give {length} octets")
    counter = 2
    while len(output) < length:
        block = hmac.digest(prk, block + info + bytes([counter]), hash_name)
        output += block
        counter += 1
    return output[:length]
