"""Official vectors: PublicMessage and PrivateMessage (§6.2, §6.3), theirs and new ones of ours."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from tests.support.vector_files import verify_suite


@pytest.mark.rule("6.2-01", "6.3.1-06", "6.3.2-03")
def test_message_protection(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("message-protection", "message-protection", provider, cipher_suite)
