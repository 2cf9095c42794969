"""Official vectors: the secret tree and the keys of sender data (§9, §6.3.2)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("9.1-03")
def test_secret_tree(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("secret-tree", "secret-tree", provider, cipher_suite)
