"""Official vectors: the labelled functions (§5.1, §5.2, §8, §9)."""

from mls_federation.crypto import CipherSuite, CryptoProvider, HPKECiphertext, KeyPair, crypto
from tests.support.vector_files import Vector, verify_each


def test_crypto_basics(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("crypto-basics", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    verify_derivations(provider, vector)
    verify_signature(provider, vector)
    verify_encryption(provider, vector)


def verify_derivations(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])

    case = vector["ref_hash"]
    assert suite.ref_hash(case["label"], bytes.fromhex(case["value"])).hex() == case["out"]

    case = vector["expand_with_label"]
    secret, context = bytes.fromhex(case["secret"]), bytes.fromhex(case["context"])
    assert suite.expand_with_label(secret, case["label"], context, case["length"]).hex() == case["out"]

    case = vector["derive_secret"]
    assert suite.derive_secret(bytes.fromhex(case["secret"]), case["label"]).hex() == case["out"]

    case = vector["derive_tree_secret"]
    derived = suite.derive_tree_secret(
        bytes.fromhex(case["secret"]), case["label"], case["generation"], case["length"]
    )
    assert derived.hex() == case["out"]


def verify_signature(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    case = vector["sign_with_label"]
    private_key, public_key = bytes.fromhex(case["priv"]), bytes.fromhex(case["pub"])
    content = bytes.fromhex(case["content"])

    assert provider.signature_public_key(suite.suite.signature_scheme, private_key) == public_key
    suite.verify_with_label(public_key, case["label"], content, bytes.fromhex(case["signature"]))
    ours = suite.sign_with_label(private_key, case["label"], content)
    suite.verify_with_label(public_key, case["label"], content, ours)


def verify_encryption(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    case = vector["encrypt_with_label"]
    keys = KeyPair(private_key=bytes.fromhex(case["priv"]), public_key=bytes.fromhex(case["pub"]))
    context, plaintext = bytes.fromhex(case["context"]), bytes.fromhex(case["plaintext"])
    theirs = HPKECiphertext(
        kem_output=bytes.fromhex(case["kem_output"]), ciphertext=bytes.fromhex(case["ciphertext"])
    )

    assert provider.dh_public_key(suite.suite.kem, keys.private_key) == keys.public_key
    assert suite.decrypt_with_label(keys, case["label"], context, theirs) == plaintext
    ours = suite.encrypt_with_label(keys.public_key, case["label"], context, plaintext)
    assert suite.decrypt_with_label(keys, case["label"], context, ours) == plaintext
