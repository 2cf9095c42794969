"""Official vectors: following a group through commits of every kind (§12.4.2)."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


def test_passive_client_handling_commit(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("passive-client-handling-commit", "passive-client", provider, cipher_suite)
