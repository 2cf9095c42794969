"""HPKE in base mode against the test vectors of RFC 9180."""

import pytest

from mls_federation.crypto import AEAD, KDF, KEM, CipherSuite, CryptoProvider, KeyPair, SignatureScheme, hpke
from mls_federation.crypto.suites import SuiteParameters
from mls_federation.errors import UsageError, ValidationError, VerificationError
from tests.support.hpke_vectors import Vector, base_mode_vectors

# RFC 9180 has no vectors for P-384; the official MLS vectors cover that suite.
KEMS = [kem for kem in KEM if kem is not KEM.DHKEM_P384_HKDF_SHA384]
ENTRIES_OF_A_KEM = 6


def vectors_of(kem: KEM) -> list[Vector]:
    found = [vector for vector in base_mode_vectors() if vector["kem_id"] == kem]
    assert len(found) == ENTRIES_OF_A_KEM
    return found


def suite_of(vector: Vector) -> SuiteParameters:
    """The algorithms of a vector; the parts that are MLS's own do not matter to HPKE."""
    return SuiteParameters(
        cipher_suite=CipherSuite(0xFFFF),
        kem=KEM(vector["kem_id"]),
        kdf=KDF(vector["kdf_id"]),
        aead=AEAD(vector["aead_id"]),
        signature_scheme=SignatureScheme.ed25519,
    )


def octets(vector: Vector, name: str) -> bytes:
    return bytes.fromhex(vector[name])


def receiver_key(vector: Vector) -> KeyPair:
    return KeyPair(octets(vector, "skRm"), octets(vector, "pkRm"))


@pytest.mark.parametrize("kem", KEMS)
def test_derive_key_pair(provider: CryptoProvider, kem: KEM) -> None:
    for vector in vectors_of(kem):
        for ikm, private_key, public_key in (("ikmR", "skRm", "pkRm"), ("ikmE", "skEm", "pkEm")):
            derived = hpke.derive_key_pair(provider, kem, octets(vector, ikm))
            assert derived.private_key == octets(vector, private_key)
            assert derived.public_key == octets(vector, public_key)


@pytest.mark.parametrize("kem", KEMS)
def test_sender(provider: CryptoProvider, kem: KEM) -> None:
    for vector in vectors_of(kem):
        ephemeral = KeyPair(octets(vector, "skEm"), octets(vector, "pkEm"))
        enc, context = hpke.setup_base_sender(
            provider, suite_of(vector), octets(vector, "pkRm"), octets(vector, "info"), ephemeral
        )
        assert enc == octets(vector, "enc")
        assert context.key == octets(vector, "key")
        assert context.base_nonce == octets(vector, "base_nonce")
        assert context.exporter_secret == octets(vector, "exporter_secret")
        for case in vector["encryptions"]:
            assert context.seal(octets(case, "aad"), octets(case, "pt")) == octets(case, "ct")
        assert context.sequence == len(vector["encryptions"])
        for case in vector["exports"]:
            exported = context.export(octets(case, "exporter_context"), case["L"])
            assert exported == octets(case, "exported_value")


@pytest.mark.parametrize("kem", KEMS)
def test_receiver(provider: CryptoProvider, kem: KEM) -> None:
    for vector in vectors_of(kem):
        context = hpke.setup_base_receiver(
            provider, suite_of(vector), octets(vector, "enc"), receiver_key(vector), octets(vector, "info")
        )
        for case in vector["encryptions"]:
            assert context.open_(octets(case, "aad"), octets(case, "ct")) == octets(case, "pt")
        for case in vector["exports"]:
            exported = context.export(octets(case, "exporter_context"), case["L"])
            assert exported == octets(case, "exported_value")


@pytest.mark.parametrize("kem", KEM)
def test_single_shot(provider: CryptoProvider, kem: KEM) -> None:
    suite = any_suite(kem)
    keys = hpke.generate_key_pair(provider, kem)
    enc, ciphertext = hpke.seal(provider, suite, keys.public_key, b"info", b"aad", b"plaintext")
    assert len(enc) == kem.Npk
    assert hpke.open_(provider, suite, enc, keys, b"info", b"aad", ciphertext) == b"plaintext"

    other = hpke.generate_key_pair(provider, kem)
    with pytest.raises(VerificationError):
        hpke.open_(provider, suite, enc, keys, b"other", b"aad", ciphertext)
    with pytest.raises(VerificationError):
        hpke.open_(provider, suite, enc, keys, b"info", b"other", ciphertext)
    with pytest.raises(VerificationError):
        hpke.open_(provider, suite, enc, other, b"info", b"aad", ciphertext)
    with pytest.raises(VerificationError):
        hpke.open_(provider, suite, other.public_key, keys, b"info", b"aad", ciphertext)
    with pytest.raises(ValidationError) as caught:
        hpke.open_(provider, suite, enc[:-1], keys, b"info", b"aad", ciphertext)
    assert caught.value.code == "invalid-public-key"
    with pytest.raises(ValidationError) as caught:
        hpke.seal(provider, suite, enc + b"\x00", b"info", b"aad", b"plaintext")
    assert caught.value.code == "invalid-public-key"


def test_two_messages_are_never_sealed_alike(provider: CryptoProvider) -> None:
    suite = any_suite(KEM.DHKEM_X25519_HKDF_SHA256)
    keys = hpke.generate_key_pair(provider, suite.kem)
    sent = [hpke.seal(provider, suite, keys.public_key, b"", b"", b"same") for _ in range(8)]
    assert len({enc for enc, _ in sent}) == len({ciphertext for _, ciphertext in sent}) == len(sent)


def test_a_failure_does_not_advance_the_sequence(provider: CryptoProvider) -> None:
    sender, receiver = contexts(provider)
    first, second = sender.seal(b"", b"first"), sender.seal(b"", b"second")
    with pytest.raises(VerificationError):
        receiver.open_(b"", second)
    assert receiver.open_(b"", first) == b"first"
    with pytest.raises(VerificationError):
        receiver.open_(b"", first)
    assert receiver.open_(b"", second) == b"second"


@pytest.mark.parametrize("length", [-1, 255 * 32 + 1, 1 << 16])
def test_what_cannot_be_exported(provider: CryptoProvider, length: int) -> None:
    sender, _ = contexts(provider)
    with pytest.raises(UsageError):
        sender.export(b"", length)


def test_repr_shows_no_secret(provider: CryptoProvider) -> None:
    sender, _ = contexts(provider)
    keys = hpke.generate_key_pair(provider, KEM.DHKEM_X25519_HKDF_SHA256)
    for secret in (sender.key, sender.base_nonce, sender.exporter_secret):
        assert repr(secret) not in repr(sender)
    assert repr(keys.private_key) not in repr(keys)


def any_suite(kem: KEM) -> SuiteParameters:
    return suite_of({"kem_id": kem, "kdf_id": KDF.HKDF_SHA256, "aead_id": AEAD.ChaCha20Poly1305})


def contexts(provider: CryptoProvider) -> tuple[hpke.Context, hpke.Context]:
    """Both ends of an encryption context."""
    suite = any_suite(KEM.DHKEM_X25519_HKDF_SHA256)
    keys = hpke.generate_key_pair(provider, suite.kem)
    enc, sender = hpke.setup_base_sender(provider, suite, keys.public_key, b"")
    return sender, hpke.setup_base_receiver(provider, suite, enc, keys, b"")
