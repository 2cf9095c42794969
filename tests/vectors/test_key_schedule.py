"""Official vectors: the key schedule and the exporter (§8)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("8-01", "8.5-01")
def test_key_schedule(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("key-schedule", "key-schedule", provider, cipher_suite)
