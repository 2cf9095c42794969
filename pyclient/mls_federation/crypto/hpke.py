"""Hybrid public key encryption (RFC 9180), base mode, which is the one that MLS uses.

`setup_base_sender` and `setup_base_receiver` give a `Context` for many messages or for exported secrets;
`seal` and `open_` are the single-shot forms of §6.1, and `seal_all` is many of them with one `info`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..errors import StateError, UsageError
from . import kdf
from .curves import KEM_ORDERS, candidate, scalar_size
from .provider import CryptoProvider
from .suites import KEM, SuiteParameters

_MODE_BASE = b"\x00"
_VERSION = b"HPKE-v1"
_SECRET_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}  # Nsecret of the KEM with this hash


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
    private_key = _derive_private_key(kem, ikm)
    return KeyPair(private_key=private_key, public_key=provider.dh_public_key(kem, private_key))


def _derive_private_key(kem: KEM, ikm: bytes) -> bytes:
    suite_id = _kem_suite_id(kem)
    dkp_prk = _labeled_extract(kem.hash, suite_id, b"", b"dkp_prk", ikm)
    order = KEM_ORDERS.get(kem)
    if order is None:
        return _labeled_expand(kem.hash, suite_id, dkp_prk, b"sk", b"", kem.Nsk)
    for counter in range(256):
        octets = _labeled_expand(
            kem.hash, suite_id, dkp_prk, b"candidate", bytes([counter]), scalar_size(order)
        )
        private_key = candidate(octets, order)
        if private_key is not None:
            return private_key
    # §7.1.3: happens with a probability below 2^-256 for P-384 and P-521, 2^-8192 for P-256.
    raise UsageError("no key pair can be derived from this input")


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
    private_key = _ephemeral_key(provider, suite.kem) if ephemeral is None else ephemeral.private_key
    ((enc, dh),) = provider.encapsulate_all(suite.kem, [private_key], [public_key])
    return enc, _context(
        provider, suite, _secret(suite, dh, enc + public_key), _schedule_context(suite, info)
    )


def setup_base_receiver(
    provider: CryptoProvider, suite: SuiteParameters, enc: bytes, key_pair: KeyPair, info: bytes
) -> Context:
    """A context for what was sent with `enc` to our key pair (SetupBaseR, §5.1.1).

    Raises:
        ValidationError: code `invalid-public-key`: `enc` is no public key.
    """
    dh = provider.dh(suite.kem, key_pair.private_key, enc)
    secret = _secret(suite, dh, enc + key_pair.public_key)
    return _context(provider, suite, secret, _schedule_context(suite, info))


def seal(
    provider: CryptoProvider,
    suite: SuiteParameters,
    public_key: bytes,
    info: bytes,
    aad: bytes,
    plaintext: bytes,
) -> tuple[bytes, bytes]:
    """Encrypt one message to a public key (SealBase, §6.1); returns `enc` and the ciphertext.

    Raises:
        ValidationError: code `invalid-public-key`.
    """
    return seal_all(provider, suite, info, aad, [(public_key, plaintext)])[0]


def seal_all(
    provider: CryptoProvider,
    suite: SuiteParameters,
    info: bytes,
    aad: bytes,
    messages: Sequence[tuple[bytes, bytes]],
) -> list[tuple[bytes, bytes]]:
    """`seal` for many: `info`, which may be long, is hashed once, and the provider is asked once.

    Args:
        messages: to whom, a public key, and what.

    Returns:
        For each message `enc` and the ciphertext.

    Raises:
        ValidationError: code `invalid-public-key`: one of the keys is none.
    """
    schedule_context = _schedule_context(suite, info)
    private_keys = [_ephemeral_key(provider, suite.kem) for _ in messages]
    public_keys = [public_key for public_key, _ in messages]
    sealed = []
    for (enc, dh), (public_key, plaintext) in zip(
        provider.encapsulate_all(suite.kem, private_keys, public_keys), messages, strict=True
    ):
        key, nonce = _key_and_nonce(suite, _secret(suite, dh, enc + public_key), schedule_context)
        sealed.append((enc, provider.aead_seal(suite.aead, key, nonce, aad, plaintext)))
    return sealed


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
    dh = provider.dh(suite.kem, key_pair.private_key, enc)
    secret = _secret(suite, dh, enc + key_pair.public_key)
    key, nonce = _key_and_nonce(suite, secret, _schedule_context(suite, info))
    return provider.aead_open(suite.aead, key, nonce, aad, ciphertext)


def _ephemeral_key(provider: CryptoProvider, kem: KEM) -> bytes:
    """The private half of GenerateKeyPair (§4). For X25519 and X448 any octets are a private key."""
    octets = provider.random(kem.Nsk)
    return octets if kem not in KEM_ORDERS else _derive_private_key(kem, octets)


def _labeled_extract(hash_name: str, suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return kdf.extract(hash_name, salt, _VERSION + suite_id + label + ikm)


def _labeled_expand(
    hash_name: str, suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int
) -> bytes:
    return kdf.expand(hash_name, prk, length.to_bytes(2, "big") + _VERSION + suite_id + label + info, length)


def _kem_suite_id(kem: KEM) -> bytes:
    return b"KEM" + kem.to_bytes(2, "big")


def _secret(suite: SuiteParameters, dh: bytes, kem_context: bytes) -> bytes:
    """ExtractAndExpand (§4.1), and the `secret` of KeySchedule (§5.1) in base mode, where there is no PSK."""
    kem = suite.kem
    suite_id = _kem_suite_id(kem)
    eae_prk = _labeled_extract(kem.hash, suite_id, b"", b"eae_prk", dh)
    length = _SECRET_SIZES[kem.hash]
    shared_secret = _labeled_expand(kem.hash, suite_id, eae_prk, b"shared_secret", kem_context, length)
    return _labeled_extract(suite.hash, suite.hpke_suite_id, shared_secret, b"secret", b"")


def _schedule_context(suite: SuiteParameters, info: bytes) -> bytes:
    """The `key_schedule_context` of KeySchedule (§5.1) in base mode."""
    hash_name, suite_id = suite.hash, suite.hpke_suite_id
    info_hash = _labeled_extract(hash_name, suite_id, b"", b"info_hash", info)
    return _MODE_BASE + _psk_id_hash(hash_name, suite_id) + info_hash


@lru_cache
def _psk_id_hash(hash_name: str, suite_id: bytes) -> bytes:
    """Of the default `psk_id`, the empty string: one for each suite."""
    return _labeled_extract(hash_name, suite_id, b"", b"psk_id_hash", b"")


def _key_and_nonce(suite: SuiteParameters, secret: bytes, schedule_context: bytes) -> tuple[bytes, bytes]:
    hash_name, suite_id = suite.hash, suite.hpke_suite_id
    key = _labeled_expand(hash_name, suite_id, secret, b"key", schedule_context, suite.aead.Nk)
    nonce = _labeled_expand(hash_name, suite_id, secret, b"base_nonce", schedule_context, suite.aead.Nn)
    return key, nonce


def _context(
    provider: CryptoProvider, suite: SuiteParameters, secret: bytes, schedule_context: bytes
) -> Context:
    key, base_nonce = _key_and_nonce(suite, secret, schedule_context)
    exporter_secret = _labeled_expand(
        suite.hash, suite.hpke_suite_id, secret, b"exp", schedule_context, suite.Nh
    )
    return Context(provider, suite, key, base_nonce, exporter_secret)
