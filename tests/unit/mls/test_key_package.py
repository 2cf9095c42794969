"""KeyPackages (§10): what is made is valid, and nothing in it can be changed."""

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from mls_federation.errors import RemoteError, UnsupportedError, ValidationError, VerificationError
from mls_federation.mls import KeyPackage, decode_message, key_package_ref, mls_message, verify_key_package
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.nodes import Lifetime
from tests.support.pair import LIFETIME, NOW, altered_key_package, new_client

GREASE = 0x0A0A


@pytest.mark.rule("5.2-01", "10-06")
@pytest.mark.parametrize("cipher_suite", list(CipherSuite), ids=[suite.name for suite in CipherSuite])
def test_what_we_make_is_valid(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    suite = crypto(provider, cipher_suite)
    own = new_client(suite, "ann").key_package()
    received = decode_message(mls_message(own.key_package).encode())
    assert isinstance(received, KeyPackage)
    verify_key_package(suite, received, NOW)
    assert key_package_ref(suite, received) == key_package_ref(suite, own.key_package)
    assert len(key_package_ref(suite, received)) == suite.Nh
    assert received.init_key == own.init_key.public_key
    assert received.leaf_node.encryption_key == own.encryption_key.public_key


@pytest.mark.rule("10-02")
def test_every_key_package_has_fresh_keys(suite_1: Crypto) -> None:
    client = new_client(suite_1, "ann")
    packages = [client.key_package().key_package for _ in range(5)]
    keys = {key for package in packages for key in (package.init_key, package.leaf_node.encryption_key)}
    assert len(keys) == 10
    assert len({key_package_ref(suite_1, package) for package in packages}) == 5


@pytest.mark.rule("10-04", "7.2-08")
def test_no_octet_can_be_changed(suite_1: Crypto) -> None:
    octets = new_client(suite_1, "ann").key_package().key_package.encode()
    verify_key_package(suite_1, KeyPackage.decode(octets), NOW)
    for place in range(len(octets)):
        changed = octets[:place] + bytes([octets[place] ^ 1 << place % 8]) + octets[place + 1 :]
        with pytest.raises(RemoteError):
            verify_key_package(suite_1, KeyPackage.decode(changed), NOW)


@pytest.mark.rule("7.3-07")
def test_lifetime(suite_1: Crypto) -> None:
    package = new_client(suite_1, "ann").key_package().key_package
    for now in (LIFETIME.not_before, NOW, LIFETIME.not_after, None):
        verify_key_package(suite_1, package, now)
    for now in (0, LIFETIME.not_before - 1, LIFETIME.not_after + 1):
        with pytest.raises(ValidationError) as caught:
            verify_key_package(suite_1, package, now)
        assert caught.value.code == "outside-lifetime"
    always = new_client(suite_1, "ann").key_package(lifetime=Lifetime(not_before=0, not_after=2**64 - 1))
    verify_key_package(suite_1, always.key_package, NOW)


@pytest.mark.rule("10-04", "10.1-03")
def test_both_signatures_count(suite_1: Crypto) -> None:
    client, other = new_client(suite_1, "ann"), new_client(suite_1, "ben")
    own = client.key_package()
    # Signed by another key than the leaf has.
    forged = altered_key_package(other, own, own.key_package.leaf_node).key_package
    with pytest.raises(VerificationError):
        verify_key_package(suite_1, forged, NOW)
    # The leaf of one in the KeyPackage of another.
    mixed = replace(own.key_package, leaf_node=client.key_package().key_package.leaf_node)
    with pytest.raises(VerificationError):
        verify_key_package(suite_1, mixed, NOW)


@pytest.mark.rule("10.1-01")
def test_another_suite(provider: CryptoProvider, suite_1: Crypto) -> None:
    other = crypto(provider, CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519)
    package = new_client(suite_1, "ann").key_package().key_package
    with pytest.raises(ValidationError) as caught:
        verify_key_package(other, package, NOW)
    assert caught.value.code == "wrong-cipher-suite"


@pytest.mark.rule("10.1-01")
def test_another_version(suite_1: Crypto) -> None:
    client = new_client(suite_1, "ann")
    package = altered_key_package(client, client.key_package(), version=0x0002).key_package
    with pytest.raises(UnsupportedError) as caught:
        verify_key_package(suite_1, package, NOW)
    assert caught.value.code == "unsupported-version"


@pytest.mark.rule("7.2-05", "13.4-02", "13.5-02")
def test_grease_is_ignored(suite_1: Crypto) -> None:
    # §13.5: values that nobody knows may stand in capabilities, and extensions that the capabilities name in the leaf.
    client = new_client(suite_1, "ann")
    capabilities = replace(
        client.capabilities,
        versions=(*client.capabilities.versions, GREASE),
        cipher_suites=(GREASE, *client.capabilities.cipher_suites),
        extensions=(GREASE,),
        proposals=(GREASE,),
        credentials=(*client.capabilities.credentials, GREASE),
    )
    extension = Extension(extension_type=ExtensionType(GREASE), extension_data=b"grease")
    own = client.key_package(capabilities=capabilities, leaf_extensions=(extension,), extensions=(extension,))
    received = KeyPackage.decode(own.key_package.encode())
    verify_key_package(suite_1, received, NOW)
    assert received == own.key_package


@pytest.mark.rule("2-01")
def test_repr_shows_no_private_key(suite_1: Crypto) -> None:
    own = new_client(suite_1, "ann").key_package()
    shown = repr(own)
    for private_key in (own.signature_key, own.init_key.private_key, own.encryption_key.private_key):
        assert repr(private_key) not in shown
        assert private_key.hex() not in shown
