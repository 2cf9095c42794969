"""The provider port: the primitives that a cipher suite is made of. All calls are synchronous.

Hashes, HMAC and HKDF are not part of it: the standard library has them everywhere (`kdf`).

Keys are octets. A private key of X25519 or X448 is what RFC 9180 §7.1 serialises (Nsk octets), of Ed25519 and Ed448 the
seed of RFC 8032, and of the NIST curves, for ECDH and ECDSA alike, the scalar, big-endian, as long as the curve's order
or shorter (its leading zeros may be missing).
Public keys are those of RFC 9420 §5.1.1: the raw encoding of RFC 7748 or RFC 8032, or an uncompressed point.
ECDSA signatures are DER encoded `ECDSA-Sig-Value`s (RFC 9420 §5.1.2, by reference to RFC 8446).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .suites import AEAD, KEM, CipherSuite, SignatureScheme


@dataclass(frozen=True)
class SignedMessage:
    """One signature to verify."""

    public_key: bytes
    message: bytes
    signature: bytes


class CryptoProvider(Protocol):
    """What every provider can do. Any fault in a key, ciphertext or signature is one of the errors named here."""

    @property
    def name(self) -> str:
        """A short name, such as `pyca`."""
        ...

    def supports(self, cipher_suite: CipherSuite) -> bool:
        """Whether every primitive of the suite is there."""
        ...

    def random(self, length: int) -> bytes:
        """`length` octets from a cryptographically secure source. Secret."""
        ...

    def aead_seal(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Encrypt; returns ciphertext with the tag at its end.

        Raises:
            UsageError: the key is not Nk or the nonce not Nn octets.
        """
        ...

    def aead_open(self, aead: AEAD, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """Decrypt and authenticate.

        Raises:
            VerificationError: the tag does not match, or the ciphertext is shorter than a tag.
            UsageError: the key is not Nk or the nonce not Nn octets.
        """
        ...

    def aes_ctr(self, key: bytes, counter_block: bytes, data: bytes) -> bytes:
        """Encrypt or decrypt with AES in counter mode (SP 800-38A §6.5). It authenticates nothing.

        Args:
            key: 16 or 32 octets. Secret.
            counter_block: of the first block: 16 octets, counted up as one number.

        Raises:
            UsageError: the key or the counter block is of another size.
        """
        ...

    def dh_public_key(self, kem: KEM, private_key: bytes) -> bytes:
        """The public key (Npk octets) of a private key (Nsk octets).

        Raises:
            UsageError: it is no private key of this curve.
        """
        ...

    def dh(self, kem: KEM, private_key: bytes, public_key: bytes) -> bytes:
        """Diffie-Hellman: the shared secret of RFC 9180 §4.1 (for NIST curves the x-coordinate).

        Raises:
            ValidationError: code `invalid-public-key`: not a point of the curve, or one that gives an all-zero
                secret (RFC 9180 §7.1.4).
            UsageError: the private key is none of this curve.
        """
        ...

    def encapsulate_all(
        self, kem: KEM, private_keys: Sequence[bytes], public_keys: Sequence[bytes]
    ) -> list[tuple[bytes, bytes]]:
        """The key agreements of many encapsulations in one call (Encap, RFC 9180 §4.1).

        Args:
            private_keys: the sender's ephemeral keys.
            public_keys: the receivers', as many.

        Returns:
            For each pair the ephemeral public key (`enc`), and the shared secret of `dh`.

        Raises:
            ValidationError: code `invalid-public-key`: as `dh`, for any of them.
            UsageError: a private key is none of this curve.
        """
        ...

    def signature_public_key(self, scheme: SignatureScheme, private_key: bytes) -> bytes:
        """The public key of a signature private key.

        Raises:
            UsageError: it is no private key of this scheme.
        """
        ...

    def sign(self, scheme: SignatureScheme, private_key: bytes, message: bytes) -> bytes:
        """Sign `message`; ECDSA hashes it with the scheme's hash first.

        Raises:
            UsageError: it is no private key of this scheme.
        """
        ...

    def verify(self, scheme: SignatureScheme, public_key: bytes, message: bytes, signature: bytes) -> None:
        """Return if the signature is valid; EdDSA as RFC 8032 has it.

        Raises:
            VerificationError: it is not, or the public key is no key of this scheme.
        """
        ...

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        """Verify many signatures in one call.

        Raises:
            VerificationError: any of them is invalid.
        """
        ...
