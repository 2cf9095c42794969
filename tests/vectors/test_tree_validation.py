"""Official vectors: resolutions, tree hashes, parent hashes and leaf signatures (§4.1.1, §7.8, §7.9, §7.2)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("7.8-01", "7.9-01")
def test_tree_validation(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("tree-validation", "tree-validation", provider, cipher_suite)
