"""Official vectors: joining by a Welcome, with and without a tree in it and PSKs (§12.4.3.1)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support import passive_client
from tests.support.vector_files import verify_each


def test_passive_client_welcome(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("passive-client-welcome", provider, cipher_suite, passive_client.verify)
