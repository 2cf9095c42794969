"""Official vectors: the labelled functions (§5.1, §5.2, §8, §9)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("5.1.2-02", "5.1.2-03", "5.1.3-01", "5.2-01")
def test_crypto_basics(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("crypto-basics", "crypto-basics", provider, cipher_suite)
