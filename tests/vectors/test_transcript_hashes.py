"""Official vectors: the transcript hashes and the confirmation tag (§8.2, §6.1)."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import VerificationError
from mls_federation.mls import key_schedule
from mls_federation.mls.commit import Commit
from mls_federation.mls.framing import AuthenticatedContent
from mls_federation.mls.transcript import confirmed_by, interim_transcript_hash
from tests.support.vector_files import Vector, verify_each


def test_transcript_hashes(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("transcript-hashes", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    message = AuthenticatedContent.decode(bytes.fromhex(vector["authenticated_content"]))
    assert message.encode().hex() == vector["authenticated_content"]
    assert isinstance(message.content.content, Commit)
    tag = message.auth.confirmation_tag
    assert tag is not None

    confirmed = confirmed_by(suite, bytes.fromhex(vector["interim_transcript_hash_before"]), message)
    assert confirmed.hex() == vector["confirmed_transcript_hash_after"]
    assert interim_transcript_hash(suite, confirmed, tag).hex() == vector["interim_transcript_hash_after"]

    key = bytes.fromhex(vector["confirmation_key"])
    assert key_schedule.confirmation_tag(suite, key, confirmed) == tag
    key_schedule.verify_confirmation_tag(suite, key, confirmed, tag)
    for wrong in (None, b"", tag[:-1], bytes([tag[0] ^ 1]) + tag[1:]):
        with pytest.raises(VerificationError):
            key_schedule.verify_confirmation_tag(suite, key, confirmed, wrong)
