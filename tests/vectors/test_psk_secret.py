"""Official vectors: pre-shared keys combined into one secret (§8.4)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("8.4-03")
def test_psk_secret(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("psk_secret", "psk_secret", provider, cipher_suite)
