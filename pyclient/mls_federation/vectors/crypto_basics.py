"""Vectors of the labelled functions (§5.1, §5.2, §8, §9)."""

from __future__ import annotations

from ..crypto import CipherSuite, Crypto, CryptoProvider, HPKECiphertext, KeyPair, crypto
from .entry import Entry, Family, Vector, check

_GENERATION = 0x0102_0304


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Derivations; their signature and ciphertext, and new ones of ours."""
    suite = entry.crypto(provider)
    _verify_derivations(suite, entry)
    _verify_signature(suite, entry.part("sign_with_label"))
    _verify_encryption(suite, entry.part("encrypt_with_label"))


def _verify_derivations(suite: Crypto, entry: Entry) -> None:
    case = entry.part("ref_hash")
    case.check("out", suite.ref_hash(case.text("label"), case.octets("value")))

    case = entry.part("expand_with_label")
    context, length = case.octets("context"), case.number("length", size=2)
    case.check("out", suite.expand_with_label(case.octets("secret"), case.text("label"), context, length))

    case = entry.part("derive_secret")
    case.check("out", suite.derive_secret(case.octets("secret"), case.text("label")))

    case = entry.part("derive_tree_secret")
    generation, length = case.number("generation"), case.number("length", size=2)
    case.check("out", suite.derive_tree_secret(case.octets("secret"), case.text("label"), generation, length))


def _verify_signature(suite: Crypto, case: Entry) -> None:
    private_key, public_key = case.octets("priv"), case.octets("pub")
    label, content = case.text("label"), case.octets("content")
    case.check("pub", suite.provider.signature_public_key(suite.suite.signature_scheme, private_key))
    suite.verify_with_label(public_key, label, content, case.octets("signature"))
    ours = suite.sign_with_label(private_key, label, content)
    suite.verify_with_label(public_key, label, content, ours)


def _verify_encryption(suite: Crypto, case: Entry) -> None:
    keys = KeyPair(private_key=case.octets("priv"), public_key=case.octets("pub"))
    label, context = case.text("label"), case.octets("context")
    theirs = HPKECiphertext(kem_output=case.octets("kem_output"), ciphertext=case.octets("ciphertext"))
    case.check("pub", suite.provider.dh_public_key(suite.suite.kem, keys.private_key))
    case.check("plaintext", suite.decrypt_with_label(keys, label, context, theirs))
    ours = suite.encrypt_with_label(keys.public_key, label, context, case.octets("plaintext"))
    opened = suite.decrypt_with_label(keys, label, context, ours)
    check(f"{case.at('plaintext')}, sealed anew", case.octets("plaintext"), opened)


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, _: None) -> Vector:
    """An entry with random inputs."""
    suite = crypto(provider, cipher_suite)
    secret, data, context = suite.random(suite.Nh), suite.random(32), suite.random(32)
    size = suite.suite.aead.Nk
    signer, receiver = suite.generate_signature_key(), suite.generate_key_pair()
    sealed = suite.encrypt_with_label(receiver.public_key, "EncryptWithLabel", context, data)
    return {
        "cipher_suite": cipher_suite,
        "ref_hash": {
            "label": "RefHash",
            "value": data.hex(),
            "out": suite.ref_hash("RefHash", data).hex(),
        },
        "expand_with_label": {
            "secret": secret.hex(),
            "label": "ExpandWithLabel",
            "context": context.hex(),
            "length": size,
            "out": suite.expand_with_label(secret, "ExpandWithLabel", context, size).hex(),
        },
        "derive_secret": {
            "secret": secret.hex(),
            "label": "DeriveSecret",
            "out": suite.derive_secret(secret, "DeriveSecret").hex(),
        },
        "derive_tree_secret": {
            "secret": secret.hex(),
            "label": "DeriveTreeSecret",
            "generation": _GENERATION,
            "length": size,
            "out": suite.derive_tree_secret(secret, "DeriveTreeSecret", _GENERATION, size).hex(),
        },
        "sign_with_label": {
            "priv": signer.private_key.hex(),
            "pub": signer.public_key.hex(),
            "content": data.hex(),
            "label": "SignWithLabel",
            "signature": suite.sign_with_label(signer.private_key, "SignWithLabel", data).hex(),
        },
        "encrypt_with_label": {
            "priv": receiver.private_key.hex(),
            "pub": receiver.public_key.hex(),
            "label": "EncryptWithLabel",
            "context": context.hex(),
            "plaintext": data.hex(),
            "kem_output": sealed.kem_output.hex(),
            "ciphertext": sealed.ciphertext.hex(),
        },
    }


FAMILY = Family(
    name="crypto-basics",
    keys=frozenset(
        {
            "cipher_suite",
            "ref_hash",
            "expand_with_label",
            "derive_secret",
            "derive_tree_secret",
            "sign_with_label",
            "encrypt_with_label",
        }
    ),
    verify=verify,
    generate=generate,
    parameters=(None,),
)
