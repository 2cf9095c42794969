"""Official vectors: joining by a Welcome, with and without a tree in it and PSKs (§12.4.3.1)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


def test_passive_client_welcome(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("passive-client-welcome", "passive-client", provider, cipher_suite)
