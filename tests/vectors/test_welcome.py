"""Official vectors: a Welcome, opened step by step (§12.4.3.1)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("12.4.3.1-05")
def test_welcome(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("welcome", "welcome", provider, cipher_suite)
