"""The provider built on JavaScript libraries: libsodium and noble, called synchronously from Pyodide.

The primitives object comes from `web/src/primitives.js` and is an argument, as is Pyodide's `to_js`: this module imports
nothing that exists only in a browser. A primitive returns None where its input is at fault.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from ..errors import UnsupportedError, UsageError, ValidationError, VerificationError
from .curves import KEM_ORDERS, SIGNATURE_ORDERS, scalar_size
from .provider import SignedMessage
from .suites import AEAD, KEM, CipherSuite, SignatureScheme, parameters

ToJs: TypeAlias = Callable[[Any], Any]


class JsOctets(Protocol):
    """A `Uint8Array` as Python sees it."""

    def to_bytes(self) -> bytes: ...


class JsPrimitives(Protocol):
    """What `web/src/primitives.js` offers; every argument but names of algorithms has passed through `to_js`."""

    def aeadSeal(self, aead: str, key: Any, nonce: Any, aad: Any, text: Any) -> JsOctets | None: ...  # noqa: N802
    def aeadOpen(self, aead: str, key: Any, nonce: Any, aad: Any, text: Any) -> JsOctets | None: ...  # noqa: N802
    def aesCtr(self, key: Any, block: Any, data: Any) -> JsOctets | None: ...  # noqa: N802
    def dhPublicKey(self, kem: str, priv: Any) -> JsOctets | None: ...  # noqa: N802
    def dh(self, kem: str, priv: Any, pub: Any) -> JsOctets | None: ...
    def encapsulateAll(self, kem: str, privs: Any, pubs: Any) -> JsOctets | None: ...  # noqa: N802
    def signaturePublicKey(self, scheme: str, priv: Any) -> JsOctets | None: ...  # noqa: N802
    def sign(self, scheme: str, priv: Any, message: Any) -> JsOctets | None: ...
    def verify(self, scheme: str, pub: Any, message: Any, signature: Any) -> bool | None: ...
    def verifyAll(self, scheme: str, messages: Any) -> bool | None: ...  # noqa: N802


# A client signs with a key for each group, and its identity key.
_REMEMBERED_KEYS = 1000
_EDDSA_SEED_SIZES: dict[int, int] = {SignatureScheme.ed25519: 32, SignatureScheme.ed448: 57}


class WebJSProvider:
    """`CryptoProvider` on libsodium (Curve25519, ChaCha20-Poly1305) and noble (all else).

    Args:
        primitives: what `loadPrimitives()` of `web/src/primitives.js` resolved to.
        to_js: `pyodide.ffi.to_js`.
        random: the source of randomness; for tests only, anything but the operating system's (in a browser:
            `crypto.getRandomValues`).
    """

    name = "webjs"

    def __init__(
        self, primitives: JsPrimitives, to_js: ToJs, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._primitives = primitives
        self._to_js = to_js
        self._random = random
        self._ed25519_public_keys: dict[bytes, bytes] = {}

    def random(self, length: int) -> bytes:
        return self._random(length)

    def supports(self, cipher_suite: CipherSuite) -> bool:
        try:
            parameters(cipher_suite)
        except UnsupportedError:
            return False
        return True

    def aead_seal(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        _check_aead(aead, key, nonce)
        js = self._to_js
        sealed = self._primitives.aeadSeal(aead.name, js(key), js(nonce), js(aad), js(plaintext))
        if sealed is None:
            raise UsageError(f"{aead.name} cannot encrypt this")
        return sealed.to_bytes()

    def aead_open(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        _check_aead(aead, key, nonce)
        js = self._to_js
        opened = self._primitives.aeadOpen(aead.name, js(key), js(nonce), js(aad), js(ciphertext))
        if opened is None:
            raise VerificationError("decryption failed", code="decryption-failed")
        return opened.to_bytes()

    def aes_ctr(self, key: bytes, counter_block: bytes, data: bytes) -> bytes:
        js = self._to_js
        result = self._primitives.aesCtr(js(key), js(counter_block), js(data))
        if result is None:
            raise UsageError("AES-CTR needs a key of 16 or 32 and a counter block of 16 octets")
        return result.to_bytes()

    def dh_public_key(self, kem: KEM, private_key: bytes) -> bytes:
        public_key = self._primitives.dhPublicKey(kem.name, self._to_js(_kem_private(kem, private_key)))
        if public_key is None:
            raise UsageError(f"not a private key of {kem.name}")
        return public_key.to_bytes()

    def dh(self, kem: KEM, private_key: bytes, public_key: bytes) -> bytes:
        js = self._to_js
        shared = self._primitives.dh(kem.name, js(_kem_private(kem, private_key)), js(public_key))
        if shared is None:
            raise _invalid_public_key()
        return shared.to_bytes()

    def encapsulate_all(
        self, kem: KEM, private_keys: Sequence[bytes], public_keys: Sequence[bytes]
    ) -> list[tuple[bytes, bytes]]:
        checked = b"".join([_kem_private(kem, private_key) for private_key in private_keys])
        if any(len(public_key) != kem.Npk for public_key in public_keys):
            raise _invalid_public_key()
        # One crossing into JavaScript: a copy of a few long arrays costs much less than many calls.
        js = self._to_js
        agreed = self._primitives.encapsulateAll(kem.name, js(checked), js(b"".join(public_keys)))
        if agreed is None:
            raise _invalid_public_key()
        octets = agreed.to_bytes()
        size = len(octets) // max(1, len(private_keys))
        return [
            (octets[at : at + kem.Npk], octets[at + kem.Npk : at + size])
            for at in range(0, len(octets), size or 1)
        ]

    def signature_public_key(self, scheme: SignatureScheme, private_key: bytes) -> bytes:
        checked = _signature_private(scheme, private_key)
        public_key = self._primitives.signaturePublicKey(scheme.name, self._to_js(checked))
        if public_key is None:
            raise UsageError(f"not a private key of {scheme.name}")
        return public_key.to_bytes()

    def sign(self, scheme: SignatureScheme, private_key: bytes, message: bytes) -> bytes:
        checked = _signature_private(scheme, private_key)
        if scheme == SignatureScheme.ed25519:
            checked += self._ed25519_public_key(checked)
        signature = self._primitives.sign(scheme.name, self._to_js(checked), self._to_js(message))
        if signature is None:
            raise UsageError(f"not a private key of {scheme.name}")
        return signature.to_bytes()

    def verify(self, scheme: SignatureScheme, public_key: bytes, message: bytes, signature: bytes) -> None:
        js = self._to_js
        name = SignatureScheme(scheme).name
        if self._primitives.verify(name, js(public_key), js(message), js(signature)) is not True:
            raise _bad_signature()

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        # One crossing into JavaScript, however many signatures there are.
        arguments = [[signed.public_key, signed.message, signed.signature] for signed in messages]
        if self._primitives.verifyAll(SignatureScheme(scheme).name, self._to_js(arguments)) is not True:
            raise _bad_signature()

    def _ed25519_public_key(self, seed: bytes) -> bytes:
        """The public key of a seed. libsodium signs with both, and to compute it takes as long as to sign.

        It is remembered by the seed's hash: a seed must not live on here when its owner has forgotten it.
        """
        name = hashlib.sha256(seed).digest()
        known = self._ed25519_public_keys.get(name)
        if known is None:
            if len(self._ed25519_public_keys) >= _REMEMBERED_KEYS:
                self._ed25519_public_keys.clear()
            known = self.signature_public_key(SignatureScheme.ed25519, seed)
            self._ed25519_public_keys[name] = known
        return known


def _bad_signature() -> VerificationError:
    return VerificationError("the signature is not valid", code="bad-signature")


def _invalid_public_key() -> ValidationError:
    return ValidationError("the peer's public key is no usable point of the curve", code="invalid-public-key")


def _check_aead(aead: AEAD, key: bytes, nonce: bytes) -> None:
    if len(key) != aead.Nk or len(nonce) != aead.Nn:
        raise UsageError(f"{aead.name} needs a key of {aead.Nk} and a nonce of {aead.Nn} octets")


def _kem_private(kem: KEM, private_key: bytes) -> bytes:
    order = KEM_ORDERS.get(kem)
    if order is not None:
        return _scalar(order, private_key, kem.name)
    if len(private_key) != kem.Nsk:
        raise UsageError(f"a private key of {kem.name} has {kem.Nsk} octets")
    return private_key


def _signature_private(scheme: SignatureScheme, private_key: bytes) -> bytes:
    order = SIGNATURE_ORDERS.get(scheme)
    if order is not None:
        return _scalar(order, private_key, scheme.name)
    if len(private_key) != _EDDSA_SEED_SIZES.get(scheme):
        raise UsageError(f"not a private key of {scheme.name}")
    return private_key


def _scalar(order: int, private_key: bytes, name: str) -> bytes:
    """A scalar of a NIST curve at its full size: its leading zeros may be missing, and noble wants them."""
    size = scalar_size(order)
    if len(private_key) > size or not 0 < int.from_bytes(private_key, "big") < order:
        raise UsageError(f"not a private key of {name}")
    return private_key.rjust(size, b"\x00")
