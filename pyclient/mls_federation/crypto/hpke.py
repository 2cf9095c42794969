"""Hybrid public key encryption (RFC 9180), base mode, which is the one that MLS uses.

`setup_base_sender` and `setup_base_receiver` give a `Context` for many messages or for exported secrets;
`seal` and `open_` are the single-shot forms of §6.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import StateError, UsageError
from . import kdf
from .curves import KEM_ORDERS, candidate, scalar_size
from .provider import CryptoProvider
from .suites import KEM, SuiteParameters

_MODE_BASE = b"\x00"
_VERSION = b"HPKE-v1"


@dataclass(frozen=True)
class KeyPair:
    """A key pair of a KEM."""

    private_key: bytes = field(repr=False)
    public_key: bytes


@dataclass
class Context:
    """An encryption context (§5.2). Each call of `seal` or `open_` uses the next nonce."""

    provider: CryptoProvider
    suite: SuiteParameters
    key: bytes = field(repr=False)
    base_nonce: bytes = field(repr=False)
    exporter_secret: bytes = field(repr=False)
    sequence: int = 0

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """Encrypt the next message (ContextS.Seal, §5.2)."""
        ciphertext = self.provider.aead_seal(self.suite.aead, self.key, self._nonce(), aad, plaintext)
        self.sequence += 1
        return ciphertext

    def open_(self, aad: bytes, ciphertext: bytes) -> bytes:
        """Decrypt the next message (ContextR.Open, §5.2); a failure does not advance the sequence.

        Raises:
            VerificationError: it does not authenticate.
        """
        plaintext = self.provider.aead_open(self.suite.aead, self.key, self._nonce(), aad, ciphertext)
        self.sequence += 1
        return plaintext

    def export(self, exporter_context: bytes, length: int) -> bytes:
        """A secret of `length` octets bound to `exporter_context` (Context.Export, §5.3). Secret.

        Raises:
            UsageError: the KDF cannot give that much.
        """
        if not 0 <= length <= 0xFFFF:
            raise UsageError(f"HKDF cannot give {length} octets")
        return _labeled_expand(
            self.suite.hash, self.suite.hpke_suite_id, self.exporter_secret, b"sec", exporter_context, length
        )

    def _nonce(self) -> bytes:
        size = self.suite.aead.Nn
        if self.sequence >= (1 << 8 * size) - 1:
            raise StateError("this HPKE context has used all its nonces")
        return (int.from_bytes(self.base_nonce, "big") ^ self.sequence).to_bytes(size, "big")


def derive_key_pair(provider: CryptoProvider, kem: KEM, ikm: bytes) -> KeyPair:
    """The key pair that `ikm` determines (DeriveKeyPair, §7.1.3).

    Args:
        ikm: at least Nsk octets of entropy. Secret.
    """
    suite_id = _kem_suite_id(kem)
    dkp_prk = _labeled_extract(kem.hash, suite_id, b"", b"dkp_prk", ikm)
    order = KEM_ORDERS.get(kem)
    if order is None:
        private_key: bytes | None = _labeled_expand(kem.hash, suite_id, dkp_prk, b"sk", b"", kem.Nsk)
    else:
        private_key = None
        for counter in range(256):
            octets = _labeled_expand(
                kem.hash, suite_id, dkp_prk, b"candidate", bytes([counter]), scalar_size(order)
            )
            private_key = candidate(octets, order)
            if private_key is not None:
                break
    if private_key is None:
        # §7.1.3: happens with a probability below 2^-256 for P-384 and P-521, 2^-8192 for P-256.
        raise UsageError("no key pair can be derived from this input")
    return KeyPair(private_key=private_key, public_key=provider.dh_public_key(kem, private_key))


def generate_key_pair(provider: CryptoProvider, kem: KEM) -> KeyPair:
    """A fresh key pair (GenerateKeyPair, §4)."""
    return derive_key_pair(provider, kem, provider.random(kem.Nsk))


def setup_base_sender(
    provider: CryptoProvider,
    suite: SuiteParameters,
    public_key: bytes,
    info: bytes,
    ephemeral: KeyPair | None = None,
) -> tuple[bytes, Context]:
    """A context for sending to `public_key` (SetupBaseS, §5.1.1).

    Args:
        ephemeral: the sender's ephemeral key pair; only known-answer tests give one.

    Returns:
        The encapsulated key (`enc`, Npk octets) and the context.

    Raises:
        ValidationError: code `invalid-public-key`.
    """
    if ephemeral is None:
        ephemeral = generate_key_pair(provider, suite.kem)
    dh = provider.dh(suite.kem, ephemeral.private_key, public_key)
    shared_secret = _extract_and_expand(suite.kem, dh, ephemeral.public_key + public_key)
    return ephemeral.public_key, _key_schedule(provider, suite, shared_secret, info)


def setup_base_receiver(
    provider: CryptoProvider, suite: SuiteParameters, enc: bytes, key_pair: KeyPair, info: bytes
) -> Context:
    """A context for what was sent with `enc` to our key pair (SetupBaseR, §5.1.1).

    Raises:
        ValidationError: code `invalid-public-key`: `enc` is no public key.
    """
    dh = provider.dh(suite.kem, key_pair.private_key, enc)
    shared_secret = _extract_and_expand(suite.kem, dh, enc + key_pair.public_key)
    return _key_schedule(provider, suite, shared_secret, info)


def seal(
    provider: CryptoProvider,
    suite: SuiteParameters,
    public_key: bytes,
    info: bytes,
    aad: bytes,
    plaintext: bytes,
) -> tuple[bytes, bytes]:
    """Encrypt one message to a public key (SealBase, §6.1); returns `enc` and the ciphertext."""
    enc, context = setup_base_sender(provider, suite, public_key, info)
    return enc, context.seal(aad, plaintext)


def open_(
    provider: CryptoProvider,
    suite: SuiteParameters,
    enc: bytes,
    key_pair: KeyPair,
    info: bytes,
    aad: bytes,
    ciphertext: bytes,
) -> bytes:
    """Decrypt one message (OpenBase, §6.1).

    Raises:
        VerificationError: it does not authenticate.
        ValidationError: code `invalid-public-key`.
    """
    return setup_base_receiver(provider, suite, enc, key_pair, info).open_(aad, ciphertext)


def _kem_suite_id(kem: KEM) -> bytes:
    return b"KEM" + kem.to_bytes(2, "big")


def _labeled_extract(hash_name: str, suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return kdf.extract(hash_name, salt, _VERSION + suite_id + label + ikm)


def _labeled_expand(
    hash_name: str, suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int
) -> bytes:
    return kdf.expand(hash_name, prk, length.to_bytes(2, "big") + _VERSION + suite_id + label + info, length)


def _extract_and_expand(kem: KEM, dh: bytes, kem_context: bytes) -> bytes:
    """ExtractAndExpand (§4.1)."""
    suite_id = _kem_suite_id(kem)
    eae_prk = _labeled_extract(kem.hash, suite_id, b"", b"eae_prk", dh)
    length = {"sha256": 32, "sha384": 48, "sha512": 64}[kem.hash]
    return _labeled_expand(kem.hash, suite_id, eae_prk, b"shared_secret", kem_context, length)


def _key_schedule(
    provider: CryptoProvider, suite: SuiteParameters, shared_secret: bytes, info: bytes
) -> Context:
    """KeySchedule (§5.1) in base mode: no PSK, so its default of the empty string."""
    hash_name, suite_id = suite.hash, suite.hpke_suite_id
    psk_id_hash = _labeled_extract(hash_name, suite_id, b"", b"psk_id_hash", b"")
    info_hash = _labeled_extract(hash_name, suite_id, b"", b"info_hash", info)
    schedule_context = _MODE_BASE + psk_id_hash + info_hash
    secret = _labeled_extract(hash_name, suite_id, shared_secret, b"secret", b"")

    def derive(label: bytes, length: int) -> bytes:
        return _labeled_expand(hash_name, suite_id, secret, label, schedule_context, length)

    return Context(
        provider=provider,
        suite=suite,
        key=derive(b"key", suite.aead.Nk),
        base_nonce=derive(b"base_nonce", suite.aead.Nn),
        exporter_secret=derive(b"exp", suite.Nh),
    )
