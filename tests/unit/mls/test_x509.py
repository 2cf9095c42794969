"""X.509 credentials (§5.3), and an application that judges credentials itself (§5.3.1)."""

from __future__ import annotations

import datetime

import pytest

pytest.importorskip("cryptography", reason="path validation is that of `cryptography`")


from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, KeyPair, crypto
from mls_federation.errors import UsageError, ValidationError
from mls_federation.mls import (
    Group,
    OwnKeyPackage,
    add,
    commit,
    create_group,
    create_key_package,
    decode_message,
    join,
)
from mls_federation.mls.authentication import accept_basic, same_identity
from mls_federation.mls.credentials import Credential, CredentialType, basic_credential
from mls_federation.mls.nodes import Capabilities, ProtocolVersion
from mls_federation.mls.welcome import Welcome
from mls_federation.mls.x509 import same_names, trust_anchors, x509_credential
from tests.support.certificates import START, Issued, issue, nameless
from tests.support.pair import LIFETIME, NOW

pytestmark = pytest.mark.cpython_only


@pytest.fixture(scope="module")
def root() -> Issued:
    return issue("root", None, authority=True)


@pytest.fixture
def suite_2(provider: CryptoProvider) -> Crypto:
    return crypto(provider, CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256)


def package(suite_2: Crypto, credential: Credential, key: KeyPair) -> OwnKeyPackage:
    return create_key_package(
        suite_2,
        credential=credential,
        signature_key=key,
        capabilities=Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=(suite_2.suite.cipher_suite,),
            extensions=(),
            proposals=(),
            credentials=(CredentialType.basic, CredentialType.x509),
        ),
        lifetime=LIFETIME,
    )


def group_of(suite_2: Crypto) -> Group:
    key = suite_2.generate_signature_key()
    return create_group(suite_2, b"g", package(suite_2, basic_credential(b"ann"), key))


def test_a_chain_to_a_trust_anchor_is_accepted_by_all(suite_2: Crypto, root: Issued) -> None:
    between = issue("between", root, authority=True)
    ben = issue("ben", between)
    check = trust_anchors([root.der], accept_basic)
    own = package(suite_2, x509_credential([ben.der, between.der]), ben.key_pair)
    pending = commit(group_of(suite_2), [add(own.key_package)], now=NOW, check_credential=check)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    group = join(suite_2, welcome, own, now=NOW, check_credential=check)
    assert group.epoch_authenticator == pending.group.epoch_authenticator


def refusal(suite_2: Crypto, root: Issued, chain: list[bytes], key: KeyPair) -> ValidationError:
    own = package(suite_2, x509_credential(chain), key)
    check = trust_anchors([root.der], accept_basic)
    with pytest.raises(ValidationError) as refused:
        commit(group_of(suite_2), [add(own.key_package)], now=NOW, check_credential=check)
    assert refused.value.code == "credential-refused"
    return refused.value


@pytest.mark.rule("5.3.1-01")
def test_chains_that_lead_nowhere_are_refused(suite_2: Crypto, root: Issued) -> None:
    ben = issue("ben", root)
    stranger = issue("stranger", issue("another root", None, authority=True))
    expired = issue("old", root, end=START + datetime.timedelta(hours=1))
    between = issue("between", root, authority=True)
    below = issue("below", between)
    refusal(suite_2, root, [stranger.der], stranger.key_pair)
    refusal(suite_2, root, [expired.der], expired.key_pair)
    refusal(suite_2, root, [below.der], below.key_pair)
    refusal(suite_2, root, [], ben.key_pair)
    refusal(suite_2, root, [b"no certificate"], ben.key_pair)


def altered(issued: Issued, old: bytes, new: bytes) -> bytes:
    """The certificate with some octets replaced."""
    assert old in issued.der
    return issued.der.replace(old, new, 1)


def test_certificates_of_what_nobody_knows_are_refused(suite_2: Crypto, root: Issued) -> None:
    """Each of them `cryptography` takes apart later than the others, or refuses with an error of another kind."""
    ben = issue("ben", root)
    version_11 = altered(ben, bytes.fromhex("a003020102"), bytes.fromhex("a00302010a"))
    ec_public_key, p256 = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030107")
    unknown_key = altered(ben, ec_public_key, ec_public_key[:-1] + b"\x7f")
    unknown_curve = altered(ben, p256, p256[:-1] + b"\x7f")
    subject = altered(ben, b"\x0c\x03ben", b"\x0d\x03ben")
    for certificate in (version_11, unknown_key, unknown_curve, subject):
        refusal(suite_2, root, [certificate], ben.key_pair)


def test_a_certificate_with_a_negative_serial_number_writes_no_warning(suite_2: Crypto, root: Issued) -> None:
    """Warnings are errors in these tests."""
    ben = issue("ben", root)
    octets = ben.certificate.serial_number.to_bytes(20, "big").lstrip(b"\x00")
    refusal(suite_2, root, [altered(ben, octets, b"\x80" + octets[1:])], ben.key_pair)


@pytest.mark.rule("5.3-01")
def test_the_certificate_must_be_of_the_signature_key(suite_2: Crypto, root: Issued) -> None:
    ben = issue("ben", root)
    error = refusal(suite_2, root, [ben.der], suite_2.generate_signature_key())
    assert "signature key" in error.message


def test_nobody_accepts_x509_who_was_not_told_to(suite_2: Crypto, root: Issued) -> None:
    ben = issue("ben", root)
    own = package(suite_2, x509_credential([ben.der]), ben.key_pair)
    with pytest.raises(ValidationError) as refused:
        commit(group_of(suite_2), [add(own.key_package)], now=NOW)
    assert refused.value.code == "credential-refused"


@pytest.mark.rule("5.3.1-01")
def test_the_application_has_the_last_word(suite_2: Crypto) -> None:
    def nobody(credential: Credential, signature_key: bytes, now: int | None) -> None:
        raise ValidationError("no", code="credential-refused")

    own = package(suite_2, basic_credential(b"ben"), suite_2.generate_signature_key())
    with pytest.raises(ValidationError):
        commit(group_of(suite_2), [add(own.key_package)], now=NOW, check_credential=nobody)


def test_trust_anchors_are_certificates() -> None:
    for roots in ([], [b"none"]):
        with pytest.raises(UsageError):
            trust_anchors(roots, accept_basic)


def test_a_new_certificate_with_the_same_names_may_follow(root: Issued) -> None:
    check = same_names(same_identity)
    old, other_root = issue("ben", root), issue("another root", None, authority=True)
    for certificate in (issue("ben", root), issue("ben", other_root)):
        check(x509_credential([old.der, root.der]), x509_credential([certificate.der]))


def test_a_certificate_with_other_names_does_not_follow(root: Issued) -> None:
    check = same_names(same_identity)
    ben = x509_credential([issue("ben", root).der])
    nobody = x509_credential([nameless(root)])
    garbage = x509_credential([b"no certificate"])
    for old, new, code in (
        (ben, x509_credential([issue("eve", root).der]), "not-a-successor"),
        (ben, nobody, "not-a-successor"),
        (nobody, nobody, "not-a-successor"),
        (ben, basic_credential(b"ben"), "not-a-successor"),
        (basic_credential(b"ben"), ben, "not-a-successor"),
        (ben, garbage, "credential-refused"),
        (ben, x509_credential([]), "credential-refused"),
    ):
        with pytest.raises(ValidationError) as caught:
            check(old, new)
        assert caught.value.code == code
    check(basic_credential(b"ben"), basic_credential(b"ben"))
