"""Official vectors: the labelled functions (§5.1, §5.2, §8, §9)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


def test_crypto_basics(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("crypto-basics", "crypto-basics", provider, cipher_suite)
