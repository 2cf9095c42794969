"""Official vectors: pre-shared keys combined into one secret (§8.4)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


def test_psk_secret(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("psk_secret", "psk_secret", provider, cipher_suite)
