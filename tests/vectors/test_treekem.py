"""Official vectors: TreeKEM (§7.4 to §7.6), their update paths and new ones of ours."""

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


def test_treekem(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("treekem", "treekem", provider, cipher_suite)
