"""Official vectors: a Welcome, opened step by step (§12.4.3.1)."""

from mls_federation.crypto import CipherSuite, CryptoProvider, KeyPair, crypto
from mls_federation.mls import key_schedule
from mls_federation.mls.framing import decode_message
from mls_federation.mls.joining import find_key_package, open_welcome
from mls_federation.mls.key_package import KeyPackage, OwnKeyPackage, key_package_ref
from mls_federation.mls.welcome import Welcome, verify_group_info
from tests.support.vector_files import Vector, verify_each


def test_welcome(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("welcome", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    package = decode_message(bytes.fromhex(vector["key_package"]))
    welcome = decode_message(bytes.fromhex(vector["welcome"]))
    assert isinstance(package, KeyPackage)
    assert isinstance(welcome, Welcome)
    init_private = bytes.fromhex(vector["init_priv"])
    assert provider.dh_public_key(suite.suite.kem, init_private) == package.init_key
    # The file has only the key that a Welcome needs.
    unknown = KeyPair(b"", b"")
    own = OwnKeyPackage(
        key_package=package,
        init_key=KeyPair(init_private, package.init_key),
        encryption_key=unknown,
        signature_key=b"",
    )
    assert find_key_package(welcome, [(b"other", own)]) is None
    assert find_key_package(welcome, [(key_package_ref(suite, package), own)]) is own

    opened = open_welcome(suite, welcome, own)
    info = opened.group_info
    verify_group_info(suite, bytes.fromhex(vector["signer_pub"]), info)
    assert opened.group_secrets.psks == ()
    assert opened.psk_secret == bytes(suite.Nh)

    context = info.group_context
    secrets = key_schedule.epoch_secrets(
        suite, opened.group_secrets.joiner_secret, opened.psk_secret, context.encode()
    )
    tag = key_schedule.confirmation_tag(suite, secrets.confirmation_key, context.confirmed_transcript_hash)
    assert tag == info.confirmation_tag
