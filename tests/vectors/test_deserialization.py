"""Official vectors: the lengths of variable-size vectors (§2.1.2)."""

from mls_federation.crypto import CryptoProvider
from tests.support.vector_files import verify_all


def test_deserialization(provider: CryptoProvider) -> None:
    verify_all("deserialization", "deserialization", provider)
