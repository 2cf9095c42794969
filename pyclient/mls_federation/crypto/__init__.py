"""Cipher suites, HPKE and the labelled functions of RFC 9420, on top of a provider of primitives."""

from .hpke import KeyPair
from .labels import Crypto, HPKECiphertext, crypto, generate_signature_key, sign_content
from .provider import CryptoProvider, SignedMessage
from .suites import AEAD, KDF, KEM, CipherSuite, SignatureScheme, SuiteParameters, parameters

__all__ = [
    "AEAD",
    "KDF",
    "KEM",
    "CipherSuite",
    "Crypto",
    "CryptoProvider",
    "HPKECiphertext",
    "KeyPair",
    "SignatureScheme",
    "SignedMessage",
    "SuiteParameters",
    "crypto",
    "generate_signature_key",
    "parameters",
    "sign_content",
]
