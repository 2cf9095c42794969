"""Official vectors: tree math (§4.1, Appendix C)."""

from mls_federation.crypto import CryptoProvider
from tests.support.vector_files import verify_all


def test_tree_math(provider: CryptoProvider) -> None:
    verify_all("tree-math", "tree-math", provider)
