"""Official vectors: following a group through commits of every kind (§12.4.2)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("5.2-01", "7.5-04", "7.6-02", "8.1-01", "8.2-01", "12.3-02")
def test_passive_client_handling_commit(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("passive-client-handling-commit", "passive-client", provider, cipher_suite)
