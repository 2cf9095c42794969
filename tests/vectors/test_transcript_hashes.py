"""Official vectors: the transcript hashes and the confirmation tag (§8.2, §6.1)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import VerificationError
from mls_federation.mls.key_schedule import confirmation_tag, verify_confirmation_tag
from tests.support.vector_files import every_vector, verify_suite


@pytest.mark.rule("8.2-01")
def test_transcript_hashes(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_suite("transcript-hashes", "transcript-hashes", provider, cipher_suite)


@pytest.mark.rule("6.1-07")
def test_a_wrong_confirmation_tag_is_refused(provider: CryptoProvider) -> None:
    for vector in every_vector("transcript-hashes"):
        suite = crypto(provider, vector["cipher_suite"])
        key = bytes.fromhex(vector["confirmation_key"])
        confirmed = bytes.fromhex(vector["confirmed_transcript_hash_after"])
        tag = confirmation_tag(suite, key, confirmed)
        verify_confirmation_tag(suite, key, confirmed, tag)
        for wrong in (None, b"", tag[:-1], bytes([tag[0] ^ 1]) + tag[1:]):
            with pytest.raises(VerificationError):
                verify_confirmation_tag(suite, key, confirmed, wrong)
