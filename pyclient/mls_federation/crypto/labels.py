"""The labelled functions of RFC 9420: every use of a key names what it is for (§5.1.2, §5.1.3, §5.2, §8, §9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..codec import Struct, opaque, prefixed, uint16
from ..errors import UsageError, ValidationError
from . import hpke, kdf
from .curves import KEM_ORDERS, SIGNATURE_ORDERS, candidate, is_montgomery_key, scalar_size
from .provider import CryptoProvider, SignedMessage
from .suites import SignatureScheme, SuiteParameters, parameters

_PREFIX = b"MLS 1.0 "


class SignContent(Struct):
    """What a signature is made over (§5.1.2)."""

    label: opaque
    content: opaque


class EncryptContext(Struct):
    """The HPKE `info` of a labelled encryption (§5.1.3)."""

    label: opaque
    context: opaque


class RefHashInput(Struct):
    """What a reference is the hash of (§5.2)."""

    label: opaque
    value: opaque


class KDFLabel(Struct):
    """The HKDF `info` of a labelled derivation (§8)."""

    length: uint16
    label: opaque
    context: opaque


class HPKECiphertext(Struct):
    """A message sealed to an HPKE public key (§7.6)."""

    kem_output: opaque
    ciphertext: opaque


@dataclass(frozen=True)
class Crypto:
    """A cipher suite in the hands of a provider: all that the engine calls.

    Attributes:
        provider: who does the arithmetic.
        suite: which algorithms.
    """

    provider: CryptoProvider
    suite: SuiteParameters

    @property
    def Nh(self) -> int:  # noqa: N802 - the RFC's own symbol
        """Octets of the hash and of each secret."""
        return self.suite.Nh

    def random(self, length: int) -> bytes:
        """`length` random octets."""
        return self.provider.random(length)

    def hash(self, data: bytes) -> bytes:
        """Hash (§5.1)."""
        return kdf.digest(self.suite.hash, data)

    def mac(self, key: bytes, data: bytes) -> bytes:
        """MAC (§5.1): HMAC with the suite's hash."""
        return kdf.mac(self.suite.hash, key, data)

    def extract(self, salt: bytes, ikm: bytes) -> bytes:
        """KDF.Extract (§5.1). Secret."""
        return kdf.extract(self.suite.hash, salt, ikm)

    def expand_with_label(self, secret: bytes, label: str | bytes, context: bytes, length: int) -> bytes:
        """Derive `length` octets bound to a label and context (ExpandWithLabel, §8).

        Args:
            secret: KDF.Nh octets. Secret.
            label: ASCII, or an application's own octets, without the "MLS 1.0 " prefix.
            context: any octets.
            length: octets wanted, 0 to 65535.

        Returns:
            `length` octets. Secret.

        Raises:
            UsageError: `length` does not fit a uint16, or the KDF cannot give that much.
        """
        # The octets of a KDFLabel: every message takes five of these, so no struct is built for them.
        info = _kdf_label(length, label) + (prefixed(context) if context else b"\x00")
        return kdf.expand(self.suite.hash, secret, info, length)

    def derive_secret(self, secret: bytes, label: str | bytes) -> bytes:
        """A further secret of Nh octets (DeriveSecret, §8). Secret."""
        return self.expand_with_label(secret, label, b"", self.suite.Nh)

    def derive_tree_secret(self, secret: bytes, label: str, generation: int, length: int) -> bytes:
        """A secret bound to a generation (DeriveTreeSecret, §9). Secret."""
        return self.expand_with_label(secret, label, generation.to_bytes(4, "big"), length)

    def ref_hash(self, label: str, value: bytes) -> bytes:
        """The reference by which `value` is named (RefHash, §5.2).

        Args:
            label: the whole label, such as "MLS 1.0 KeyPackage Reference".
        """
        return self.hash(RefHashInput(label=_ascii(label), value=value).encode())

    def sign_with_label(self, private_key: bytes, label: str, content: bytes) -> bytes:
        """Sign `content` for one purpose (SignWithLabel, §5.1.2)."""
        return self.provider.sign(self.suite.signature_scheme, private_key, sign_content(label, content))

    def verify_with_label(self, public_key: bytes, label: str, content: bytes, signature: bytes) -> None:
        """Check a signature made by `sign_with_label` (VerifyWithLabel, §5.1.2).

        Raises:
            VerificationError: it does not fit.
        """
        self.provider.verify(self.suite.signature_scheme, public_key, sign_content(label, content), signature)

    def verify_all(self, signed: list[SignedMessage]) -> None:
        """Check many signatures at once; the messages are `sign_content`s.

        Raises:
            VerificationError: one of them does not fit.
        """
        self.provider.verify_all(self.suite.signature_scheme, signed)

    def encrypt_with_label(
        self, public_key: bytes, label: str, context: bytes, plaintext: bytes
    ) -> HPKECiphertext:
        """Encrypt to a public key for one purpose (EncryptWithLabel, §5.1.3).

        Raises:
            ValidationError: code `invalid-public-key`.
        """
        return self.encrypt_all_with_label(label, context, [(public_key, plaintext)])[0]

    def encrypt_all_with_label(
        self, label: str, context: bytes, messages: Sequence[tuple[bytes, bytes]]
    ) -> list[HPKECiphertext]:
        """EncryptWithLabel for many, with one label and context.

        Args:
            messages: for each a public key, and the plaintext.

        Raises:
            ValidationError: code `invalid-public-key`: one of the keys is none.
        """
        info = _prefixed_label(label) + prefixed(context)  # an EncryptContext
        return [
            HPKECiphertext(kem_output=kem_output, ciphertext=ciphertext)
            for kem_output, ciphertext in hpke.seal_all(self.provider, self.suite, info, b"", messages)
        ]

    def decrypt_with_label(
        self, key_pair: hpke.KeyPair, label: str, context: bytes, ciphertext: HPKECiphertext
    ) -> bytes:
        """Decrypt what `encrypt_with_label` made (DecryptWithLabel, §5.1.3). Secret.

        Raises:
            VerificationError: it does not authenticate.
            ValidationError: code `invalid-public-key`: the encapsulated key is none.
        """
        info = _prefixed_label(label) + prefixed(context)  # an EncryptContext
        return hpke.open_(
            self.provider, self.suite, ciphertext.kem_output, key_pair, info, b"", ciphertext.ciphertext
        )

    def aead_seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Encrypt with the suite's AEAD."""
        return self.provider.aead_seal(self.suite.aead, key, nonce, aad, plaintext)

    def aead_open(self, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """Decrypt with the suite's AEAD.

        Raises:
            VerificationError: it does not authenticate.
        """
        return self.provider.aead_open(self.suite.aead, key, nonce, aad, ciphertext)

    def derive_key_pair(self, secret: bytes) -> hpke.KeyPair:
        """The HPKE key pair that a secret determines (KEM.DeriveKeyPair)."""
        return hpke.derive_key_pair(self.provider, self.suite.kem, secret)

    def generate_key_pair(self) -> hpke.KeyPair:
        """A fresh HPKE key pair."""
        return hpke.generate_key_pair(self.provider, self.suite.kem)

    def check_public_key(self, public_key: bytes) -> None:
        """Whether something can be sealed to an HPKE public key (RFC 9180 §7.1.4).

        Raises:
            ValidationError: code `invalid-public-key`.
        """
        kem = self.suite.kem
        if kem in KEM_ORDERS:
            # What comes out is not used, so any private key does; this one is valid for every KEM.
            self.provider.dh(kem, b"\x01" * kem.Nsk, public_key)
        elif not is_montgomery_key(kem, public_key):
            raise ValidationError("a public key that no secret can be shared with", code="invalid-public-key")

    def generate_signature_key(self) -> hpke.KeyPair:
        """A fresh signature key pair of the suite's scheme."""
        return generate_signature_key(self.provider, self.suite.signature_scheme)


def crypto(provider: CryptoProvider, cipher_suite: int) -> Crypto:
    """`cipher_suite` in the hands of `provider`.

    Raises:
        UnsupportedError: the suite is unknown.
    """
    return Crypto(provider, parameters(cipher_suite))


def sign_content(label: str, content: bytes) -> bytes:
    """The octets that SignWithLabel signs: a SignContent."""
    return _prefixed_label(label) + prefixed(content)


def generate_signature_key(provider: CryptoProvider, scheme: SignatureScheme) -> hpke.KeyPair:
    """A fresh key pair for `scheme`.

    Raises:
        UsageError: the scheme is unknown.
    """
    order = SIGNATURE_ORDERS.get(scheme)
    if order is not None:
        private_key = None
        while private_key is None:
            private_key = candidate(provider.random(scalar_size(order)), order)
    elif scheme == SignatureScheme.ed25519:
        private_key = provider.random(32)
    elif scheme == SignatureScheme.ed448:
        private_key = provider.random(57)
    else:
        raise UsageError(f"signature scheme 0x{scheme:04x} is not one that we know")
    return hpke.KeyPair(
        private_key=private_key, public_key=provider.signature_public_key(scheme, private_key)
    )


@lru_cache(maxsize=256)
def _kdf_label(length: int, label: str | bytes) -> bytes:
    """A KDFLabel up to its context."""
    if not 0 <= length <= 0xFFFF:
        raise UsageError(f"a KDFLabel cannot ask for {length} octets")
    return length.to_bytes(2, "big") + _prefixed_label(label)


@lru_cache(maxsize=256)
def _prefixed_label(label: str | bytes) -> bytes:
    return prefixed(_PREFIX + _ascii(label))


def _ascii(label: str | bytes) -> bytes:
    if isinstance(label, bytes):
        return label
    try:
        return label.encode("ascii")
    except UnicodeEncodeError:
        raise UsageError("a label is ASCII") from None
