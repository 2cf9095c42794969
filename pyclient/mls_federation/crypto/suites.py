"""Cipher suites and the algorithms that each consists of (RFC 9420 §17.1, RFC 9180 §7, RFC 8446 §4.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from ..codec import OpenEnum16
from ..errors import UnsupportedError


class CipherSuite(OpenEnum16):
    """The registered MLS cipher suites (§17.1)."""

    MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 = 0x0001
    MLS_128_DHKEMP256_AES128GCM_SHA256_P256 = 0x0002
    MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 = 0x0003
    MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448 = 0x0004
    MLS_256_DHKEMP521_AES256GCM_SHA512_P521 = 0x0005
    MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448 = 0x0006
    MLS_256_DHKEMP384_AES256GCM_SHA384_P384 = 0x0007


class KEM(IntEnum):
    """HPKE key encapsulation mechanisms (RFC 9180 §7.1)."""

    DHKEM_P256_HKDF_SHA256 = 0x0010
    DHKEM_P384_HKDF_SHA384 = 0x0011
    DHKEM_P521_HKDF_SHA512 = 0x0012
    DHKEM_X25519_HKDF_SHA256 = 0x0020
    DHKEM_X448_HKDF_SHA512 = 0x0021

    @property
    def Nsk(self) -> int:  # noqa: N802 - the RFC's own symbol
        """Octets of a private key."""
        return _KEM_SIZES[self][0]

    @property
    def Npk(self) -> int:  # noqa: N802
        """Octets of a public key, and of an encapsulated key."""
        return _KEM_SIZES[self][1]

    @property
    def hash(self) -> str:
        """The hash of the KEM's own KDF, as `hashlib` names it."""
        return _KEM_HASH[self]


class KDF(IntEnum):
    """HPKE key derivation functions (RFC 9180 §7.2)."""

    HKDF_SHA256 = 0x0001
    HKDF_SHA384 = 0x0002
    HKDF_SHA512 = 0x0003

    @property
    def hash(self) -> str:
        """The hash function, as `hashlib` names it."""
        return _KDF_HASH[self][0]

    @property
    def Nh(self) -> int:  # noqa: N802
        """Octets of its output."""
        return _KDF_HASH[self][1]


class AEAD(IntEnum):
    """HPKE AEADs (RFC 9180 §7.3). All have 12-octet nonces and 16-octet tags."""

    AES_128_GCM = 0x0001
    AES_256_GCM = 0x0002
    ChaCha20Poly1305 = 0x0003

    @property
    def Nk(self) -> int:  # noqa: N802
        """Octets of a key."""
        return 16 if self is AEAD.AES_128_GCM else 32

    @property
    def Nn(self) -> int:  # noqa: N802
        """Octets of a nonce."""
        return 12


class SignatureScheme(OpenEnum16):
    """TLS signature schemes (RFC 8446 §4.2.3), as MLS cipher suites and the federation's `Credential` name them."""

    ecdsa_secp256r1_sha256 = 0x0403
    ecdsa_secp384r1_sha384 = 0x0503
    ecdsa_secp521r1_sha512 = 0x0603
    ed25519 = 0x0807
    ed448 = 0x0808


@dataclass(frozen=True)
class SuiteParameters:
    """What a cipher suite is made of."""

    cipher_suite: CipherSuite
    kem: KEM
    kdf: KDF
    aead: AEAD
    signature_scheme: SignatureScheme

    # Cached: each derived secret asks for these three.

    @cached_property
    def hash(self) -> str:
        """The suite's hash function, as `hashlib` names it."""
        return self.kdf.hash

    @cached_property
    def Nh(self) -> int:  # noqa: N802
        """Octets of the hash and of every secret of the key schedule."""
        return self.kdf.Nh

    @cached_property
    def hpke_suite_id(self) -> bytes:
        """The `suite_id` of RFC 9180 §5.1."""
        return b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (self.kem, self.kdf, self.aead))


_KEM_SIZES = {
    KEM.DHKEM_P256_HKDF_SHA256: (32, 65),
    KEM.DHKEM_P384_HKDF_SHA384: (48, 97),
    KEM.DHKEM_P521_HKDF_SHA512: (66, 133),
    KEM.DHKEM_X25519_HKDF_SHA256: (32, 32),
    KEM.DHKEM_X448_HKDF_SHA512: (56, 56),
}
_KEM_HASH = {
    KEM.DHKEM_P256_HKDF_SHA256: "sha256",
    KEM.DHKEM_P384_HKDF_SHA384: "sha384",
    KEM.DHKEM_P521_HKDF_SHA512: "sha512",
    KEM.DHKEM_X25519_HKDF_SHA256: "sha256",
    KEM.DHKEM_X448_HKDF_SHA512: "sha512",
}
_KDF_HASH = {
    KDF.HKDF_SHA256: ("sha256", 32),
    KDF.HKDF_SHA384: ("sha384", 48),
    KDF.HKDF_SHA512: ("sha512", 64),
}


def _suite(
    cipher_suite: CipherSuite, kem: KEM, kdf: KDF, aead: AEAD, signature_scheme: SignatureScheme
) -> tuple[CipherSuite, SuiteParameters]:
    return cipher_suite, SuiteParameters(cipher_suite, kem, kdf, aead, signature_scheme)


_SUITES: dict[int, SuiteParameters] = dict(
    [
        _suite(
            CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            KEM.DHKEM_X25519_HKDF_SHA256,
            KDF.HKDF_SHA256,
            AEAD.AES_128_GCM,
            SignatureScheme.ed25519,
        ),
        _suite(
            CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
            KEM.DHKEM_P256_HKDF_SHA256,
            KDF.HKDF_SHA256,
            AEAD.AES_128_GCM,
            SignatureScheme.ecdsa_secp256r1_sha256,
        ),
        _suite(
            CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
            KEM.DHKEM_X25519_HKDF_SHA256,
            KDF.HKDF_SHA256,
            AEAD.ChaCha20Poly1305,
            SignatureScheme.ed25519,
        ),
        _suite(
            CipherSuite.MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448,
            KEM.DHKEM_X448_HKDF_SHA512,
            KDF.HKDF_SHA512,
            AEAD.AES_256_GCM,
            SignatureScheme.ed448,
        ),
        _suite(
            CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
            KEM.DHKEM_P521_HKDF_SHA512,
            KDF.HKDF_SHA512,
            AEAD.AES_256_GCM,
            SignatureScheme.ecdsa_secp521r1_sha512,
        ),
        _suite(
            CipherSuite.MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448,
            KEM.DHKEM_X448_HKDF_SHA512,
            KDF.HKDF_SHA512,
            AEAD.ChaCha20Poly1305,
            SignatureScheme.ed448,
        ),
        _suite(
            CipherSuite.MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
            KEM.DHKEM_P384_HKDF_SHA384,
            KDF.HKDF_SHA384,
            AEAD.AES_256_GCM,
            SignatureScheme.ecdsa_secp384r1_sha384,
        ),
    ]
)


def parameters(cipher_suite: int) -> SuiteParameters:
    """The algorithms of a registered cipher suite.

    Raises:
        UnsupportedError: it is none of the seven.
    """
    found = _SUITES.get(cipher_suite)
    if found is None:
        raise UnsupportedError(
            f"cipher suite 0x{cipher_suite:04x} is not one that we know", code="unknown-cipher-suite"
        )
    return found
