"""Official vectors: what add, update and remove do to the tree (§12.1, §7.7)."""

import pytest

from mls_federation.crypto import CryptoProvider
from tests.support.vector_files import verify_all


@pytest.mark.rule("7.7-01", "7.8-01", "12.1.1-02", "12.1.2-02", "12.1.3-02")
def test_tree_operations(provider: CryptoProvider) -> None:
    verify_all("tree-operations", "tree-operations", provider)
