"""Official vectors: what add, update and remove do to the tree (§12.1, §7.7)."""

from mls_federation.crypto import CryptoProvider
from tests.support.vector_files import verify_all


def test_tree_operations(provider: CryptoProvider) -> None:
    verify_all("tree-operations", "tree-operations", provider)
