"""Official vectors: joining by a Welcome, with and without a tree in it and PSKs (§12.4.3.1)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("8.4-03", "12.4.3.1-05")
def test_passive_client_welcome(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("passive-client-welcome", "passive-client", provider, cipher_suite)
