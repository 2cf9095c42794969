"""The provider built on `cryptography` (pyca): OpenSSL's primitives."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import UnsupportedError, UsageError, ValidationError, VerificationError
from .provider import SignedMessage
from .suites import AEAD, KEM, CipherSuite, SignatureScheme, parameters

_Montgomery: TypeAlias = type[x25519.X25519PrivateKey] | type[x448.X448PrivateKey]

_MONTGOMERY_PRIVATE: dict[int, _Montgomery] = {
    KEM.DHKEM_X25519_HKDF_SHA256: x25519.X25519PrivateKey,
    KEM.DHKEM_X448_HKDF_SHA512: x448.X448PrivateKey,
}
_KEM_CURVES: dict[int, ec.EllipticCurve] = {
    KEM.DHKEM_P256_HKDF_SHA256: ec.SECP256R1(),
    KEM.DHKEM_P384_HKDF_SHA384: ec.SECP384R1(),
    KEM.DHKEM_P521_HKDF_SHA512: ec.SECP521R1(),
}
_ECDSA: dict[int, tuple[ec.EllipticCurve, ec.ECDSA]] = {
    SignatureScheme.ecdsa_secp256r1_sha256: (ec.SECP256R1(), ec.ECDSA(hashes.SHA256())),
    SignatureScheme.ecdsa_secp384r1_sha384: (ec.SECP384R1(), ec.ECDSA(hashes.SHA384())),
    SignatureScheme.ecdsa_secp521r1_sha512: (ec.SECP521R1(), ec.ECDSA(hashes.SHA512())),
}


class PycaProvider:
    """`CryptoProvider` on `cryptography`.

    Args:
        random: the source of randomness; for tests only, anything but the operating system's.
    """

    name = "pyca"

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random

    def random(self, length: int) -> bytes:
        return self._random(length)

    def supports(self, cipher_suite: CipherSuite) -> bool:
        # Some builds of OpenSSL lack the 448 curves.
        try:
            probe = parameters(cipher_suite)
            self.dh_public_key(probe.kem, b"\x01" * probe.kem.Nsk)
        except (UnsupportedAlgorithm, UnsupportedError, UsageError):
            return False
        return True

    def aead_seal(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        return _cipher(aead, key, nonce).encrypt(nonce, plaintext, aad)

    def aead_open(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        try:
            return _cipher(aead, key, nonce).decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise VerificationError("decryption failed", code="decryption-failed") from None

    def aes_ctr(self, key: bytes, counter_block: bytes, data: bytes) -> bytes:
        if len(key) not in {16, 32} or len(counter_block) != 16:
            raise UsageError("AES-CTR needs a key of 16 or 32 and a counter block of 16 octets")
        return Cipher(algorithms.AES(key), modes.CTR(counter_block)).encryptor().update(data)

    def dh_public_key(self, kem: KEM, private_key: bytes) -> bytes:
        if kem in _MONTGOMERY_PRIVATE:
            return _montgomery(kem, private_key).public_key().public_bytes_raw()
        return _uncompressed(_scalar(_KEM_CURVES[kem], private_key).public_key())

    def dh(self, kem: KEM, private_key: bytes, public_key: bytes) -> bytes:
        try:
            match kem:
                case KEM.DHKEM_X25519_HKDF_SHA256:
                    own = x25519.X25519PrivateKey.from_private_bytes(_sized(kem, private_key))
                    return own.exchange(x25519.X25519PublicKey.from_public_bytes(public_key))
                case KEM.DHKEM_X448_HKDF_SHA512:
                    own_448 = x448.X448PrivateKey.from_private_bytes(_sized(kem, private_key))
                    return own_448.exchange(x448.X448PublicKey.from_public_bytes(public_key))
                case _:
                    if len(public_key) != kem.Npk:
                        raise ValueError
                    peer = ec.EllipticCurvePublicKey.from_encoded_point(_KEM_CURVES[kem], public_key)
                    return _scalar(_KEM_CURVES[kem], private_key).exchange(ec.ECDH(), peer)
        except ValueError:
            raise _invalid_public_key() from None

    def encapsulate_all(
        self, kem: KEM, private_keys: Sequence[bytes], public_keys: Sequence[bytes]
    ) -> list[tuple[bytes, bytes]]:
        if kem is not KEM.DHKEM_X25519_HKDF_SHA256:
            return [
                (self.dh_public_key(kem, own), self.dh(kem, own, peer))
                for own, peer in zip(private_keys, public_keys, strict=True)
            ]
        # OpenSSL computes the public key when it loads a private one: so that it does it once.
        agreed = []
        for private_key, public_key in zip(private_keys, public_keys, strict=True):
            own = x25519.X25519PrivateKey.from_private_bytes(_sized(kem, private_key))
            try:
                shared = own.exchange(x25519.X25519PublicKey.from_public_bytes(public_key))
            except ValueError:
                raise _invalid_public_key() from None
            agreed.append((own.public_key().public_bytes_raw(), shared))
        return agreed

    def signature_public_key(self, scheme: SignatureScheme, private_key: bytes) -> bytes:
        if scheme in _ECDSA:
            return _uncompressed(_scalar(_ECDSA[scheme][0], private_key).public_key())
        return _edwards(scheme, private_key).public_key().public_bytes_raw()

    def sign(self, scheme: SignatureScheme, private_key: bytes, message: bytes) -> bytes:
        if scheme in _ECDSA:
            curve, algorithm = _ECDSA[scheme]
            return _scalar(curve, private_key).sign(message, algorithm)
        return _edwards(scheme, private_key).sign(message)

    def verify(self, scheme: SignatureScheme, public_key: bytes, message: bytes, signature: bytes) -> None:
        try:
            if scheme == SignatureScheme.ed25519:
                ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
            elif scheme == SignatureScheme.ed448:
                ed448.Ed448PublicKey.from_public_bytes(public_key).verify(signature, message)
            elif scheme in _ECDSA:
                curve, algorithm = _ECDSA[scheme]
                if public_key[:1] != b"\x04":
                    raise ValueError
                ec.EllipticCurvePublicKey.from_encoded_point(curve, public_key).verify(
                    signature, message, algorithm
                )
            else:
                raise ValueError
        except (InvalidSignature, ValueError):
            raise VerificationError("the signature is not valid", code="bad-signature") from None

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        for signed in messages:
            self.verify(scheme, signed.public_key, signed.message, signed.signature)


def _invalid_public_key() -> ValidationError:
    return ValidationError("the peer's public key is no usable point of the curve", code="invalid-public-key")


def _cipher(aead: AEAD, key: bytes, nonce: bytes) -> AESGCM | ChaCha20Poly1305:
    if len(key) != aead.Nk or len(nonce) != aead.Nn:
        raise UsageError(f"{aead.name} needs a key of {aead.Nk} and a nonce of {aead.Nn} octets")
    return ChaCha20Poly1305(key) if aead is AEAD.ChaCha20Poly1305 else AESGCM(key)


def _sized(kem: KEM, private_key: bytes) -> bytes:
    if len(private_key) != kem.Nsk:
        raise UsageError(f"a private key of {kem.name} has {kem.Nsk} octets")
    return private_key


def _montgomery(kem: KEM, private_key: bytes) -> x25519.X25519PrivateKey | x448.X448PrivateKey:
    return _MONTGOMERY_PRIVATE[kem].from_private_bytes(_sized(kem, private_key))


def _scalar(curve: ec.EllipticCurve, private_key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        # A scalar without its leading zeros is the same integer; some implementations store keys so.
        if len(private_key) > (curve.key_size + 7) // 8:
            raise ValueError
        return ec.derive_private_key(int.from_bytes(private_key, "big"), curve)
    except ValueError:
        raise UsageError(f"not a private key of {curve.name}") from None


def _edwards(
    scheme: SignatureScheme, private_key: bytes
) -> ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey:
    try:
        if scheme == SignatureScheme.ed25519:
            return ed25519.Ed25519PrivateKey.from_private_bytes(private_key)
        if scheme == SignatureScheme.ed448:
            return ed448.Ed448PrivateKey.from_private_bytes(private_key)
    except ValueError:
        pass
    raise UsageError(f"not a private key of {scheme.name}")


def _uncompressed(public_key: ec.EllipticCurvePublicKey) -> bytes:
    return public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
