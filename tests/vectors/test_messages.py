"""Official vectors: every message decodes and encodes to the same octets (§6, §12)."""

from mls_federation.crypto import CryptoProvider
from tests.support.vector_files import verify_all


def test_messages(provider: CryptoProvider) -> None:
    verify_all("messages", "messages", provider)
