"""The labelled functions: each use of a key is bound to its purpose (§5.1, §5.2, §8), and misuse is refused."""

from collections.abc import Callable

import pytest

from mls_federation.crypto import Crypto, HPKECiphertext, crypto, hpke, kdf, sign_content
from mls_federation.crypto.labels import EncryptContext, KDFLabel, SignContent
from mls_federation.errors import UnsupportedError, UsageError, ValidationError, VerificationError


@pytest.mark.rule("5.1.2-03")
def test_signatures_are_bound_to_their_label(suite_1: Crypto) -> None:
    keys = suite_1.generate_signature_key()
    signature = suite_1.sign_with_label(keys.private_key, "LeafNodeTBS", b"content")
    suite_1.verify_with_label(keys.public_key, "LeafNodeTBS", b"content", signature)
    for label, content in (("KeyPackageTBS", b"content"), ("LeafNodeTBS", b"Content"), ("", b"content")):
        with pytest.raises(VerificationError):
            suite_1.verify_with_label(keys.public_key, label, content, signature)


@pytest.mark.rule("5.1.3-01")
def test_encryptions_are_bound_to_their_label_and_context(suite_1: Crypto) -> None:
    keys = suite_1.generate_key_pair()
    sealed = suite_1.encrypt_with_label(keys.public_key, "Welcome", b"context", b"plaintext")
    assert suite_1.decrypt_with_label(keys, "Welcome", b"context", sealed) == b"plaintext"
    wrong = HPKECiphertext(kem_output=sealed.kem_output, ciphertext=sealed.ciphertext[:-1])
    for label, context, ciphertext in (
        ("UpdatePathNode", b"context", sealed),
        ("Welcome", b"Context", sealed),
        ("Welcome", b"context", wrong),
    ):
        with pytest.raises(VerificationError):
            suite_1.decrypt_with_label(keys, label, context, ciphertext)


def test_derived_secrets_are_bound_to_label_context_and_length(suite_1: Crypto) -> None:
    secret = bytes(suite_1.Nh)
    derived = [
        suite_1.expand_with_label(secret, "one", b"", 32),
        suite_1.expand_with_label(secret, "two", b"", 32),
        suite_1.expand_with_label(secret, "one", b"context", 32),
        suite_1.expand_with_label(secret, "one", b"", 33)[:32],
        suite_1.expand_with_label(b"\x01" * suite_1.Nh, "one", b"", 32),
        suite_1.derive_tree_secret(secret, "one", 0, 32),
        suite_1.derive_tree_secret(secret, "one", 1, 32),
    ]
    assert len(set(derived)) == len(derived)


def test_labelled_structs_are_written_as_they_are_declared(suite_1: Crypto) -> None:
    secret, label = bytes(suite_1.Nh), b"MLS 1.0 a label"
    for size in (0, 63, 64, 70_000):
        context = bytes(size)
        declared = KDFLabel(length=40, label=label, context=context).encode()
        assert suite_1.expand_with_label(secret, "a label", context, 40) == kdf.expand(
            "sha256", secret, declared, 40
        )
        assert sign_content("a label", context) == SignContent(label=label, content=context).encode()
        keys = suite_1.generate_key_pair()
        sealed = suite_1.encrypt_with_label(keys.public_key, "a label", context, b"plaintext")
        info = EncryptContext(label=label, context=context).encode()
        provider, suite = suite_1.provider, suite_1.suite
        opened = hpke.open_(provider, suite, sealed.kem_output, keys, info, b"", sealed.ciphertext)
        assert opened == b"plaintext"


def test_many_encryptions_in_one_call(suite_1: Crypto) -> None:
    keys = [suite_1.generate_key_pair() for _ in range(5)]
    messages = [(pair.public_key, bytes([number])) for number, pair in enumerate(keys)]
    sealed = suite_1.encrypt_all_with_label("Welcome", b"context", messages)
    assert len({ciphertext.kem_output for ciphertext in sealed}) == 5
    for number, (pair, ciphertext) in enumerate(zip(keys, sealed, strict=True)):
        assert suite_1.decrypt_with_label(pair, "Welcome", b"context", ciphertext) == bytes([number])
    assert suite_1.encrypt_all_with_label("Welcome", b"context", []) == []
    with pytest.raises(ValidationError) as caught:
        suite_1.encrypt_all_with_label("Welcome", b"context", [*messages, (bytes(32), b"")])
    assert caught.value.code == "invalid-public-key"


@pytest.mark.parametrize("length", [-1, 255 * 32 + 1, 1 << 16])
def test_lengths_that_cannot_be_had(suite_1: Crypto, length: int) -> None:
    with pytest.raises(UsageError):
        suite_1.expand_with_label(bytes(32), "label", b"", length)


def not_ascii(suite: Crypto) -> list[Callable[[], object]]:
    label = "Schlüssel"
    keys, signature_keys = suite.generate_key_pair(), suite.generate_signature_key()
    sealed = suite.encrypt_with_label(keys.public_key, "label", b"", b"")
    return [
        lambda: suite.expand_with_label(bytes(32), label, b"", 32),
        lambda: suite.derive_secret(bytes(32), label),
        lambda: suite.ref_hash(label, b""),
        lambda: suite.sign_with_label(signature_keys.private_key, label, b""),
        lambda: suite.verify_with_label(signature_keys.public_key, label, b"", bytes(64)),
        lambda: suite.encrypt_with_label(keys.public_key, label, b"", b""),
        lambda: suite.decrypt_with_label(keys, label, b"", sealed),
    ]


def test_labels_are_ascii(suite_1: Crypto) -> None:
    for call in not_ascii(suite_1):
        with pytest.raises(UsageError, match="ASCII"):
            call()


@pytest.mark.parametrize("cipher_suite", [0x0000, 0x0008, 0x0A0A, 0xFFFF])
def test_unknown_suites(suite_1: Crypto, cipher_suite: int) -> None:
    with pytest.raises(UnsupportedError) as caught:
        crypto(suite_1.provider, cipher_suite)
    assert caught.value.code == "unknown-cipher-suite"


def test_no_suite_is_outside_sixteen_bits(suite_1: Crypto) -> None:
    with pytest.raises(UnsupportedError):
        crypto(suite_1.provider, 0x10000)
