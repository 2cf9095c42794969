"""Official vectors: following a group through commits of every kind (§12.4.2)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support import passive_client
from tests.support.vector_files import verify_each


def test_passive_client_handling_commit(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("passive-client-handling-commit", provider, cipher_suite, passive_client.verify)
