"""Official vectors: TreeKEM (§7.4 to §7.6), their update paths and new ones of ours."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("7.4-01", "7.5-01", "7.6-02", "7.9-01")
def test_treekem(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("treekem", "treekem", provider, cipher_suite)
