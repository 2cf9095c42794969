"""The leaf's federation identity: nothing of it can be changed, left out, or taken to another leaf."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mls_federation.client.account import Account, new_account, new_key_package
from mls_federation.codec import replace
from mls_federation.crypto import (
    CipherSuite,
    CryptoProvider,
    KeyPair,
    SignatureScheme,
    generate_signature_key,
)
from mls_federation.errors import DecodeError, MLSError, ValidationError, VerificationError
from mls_federation.federation.credentials import identity_credential
from mls_federation.federation.identity import (
    FEDERATION_IDENTITY,
    LONGEST_LIFETIME,
    VERSION,
    FederationIdentity,
    FederationIdentityTBS,
    identity_extension,
    verify_leaf_identity,
)
from mls_federation.federation.seed import Credential, CredentialType
from mls_federation.mls import credentials
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.nodes import LeafNode, Lifetime
from tests.support.devices import another_device
from tests.support.network import NOW

BOB = "bob@b.example"
SUITE = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
OTHER_SUITE = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


@pytest.fixture(scope="module")
def account(provider: CryptoProvider) -> Account:
    return new_account(provider, BOB)


@pytest.fixture(scope="module")
def leaf(provider: CryptoProvider, account: Account) -> LeafNode:
    return new_key_package(provider, account, SUITE, NOW).key_package.leaf_node


def claim_of(leaf: LeafNode) -> FederationIdentity:
    [extension] = [each for each in leaf.extensions if each.extension_type == FEDERATION_IDENTITY]
    return FederationIdentity.decode(extension.extension_data)


def with_claim(leaf: LeafNode, data: bytes) -> LeafNode:
    return replace(leaf, extensions=(Extension(extension_type=FEDERATION_IDENTITY, extension_data=data),))


def test_the_leaf_of_a_device_that_was_admitted(provider: CryptoProvider, account: Account) -> None:
    laptop = another_device(provider, account)
    leaf = new_key_package(provider, laptop, SUITE, NOW).key_package.leaf_node
    assert claim_of(leaf).lineage == laptop.lineage
    for verified in (None, set[bytes](), {event.encode() for event in laptop.lineage}):
        who = verify_leaf_identity(provider, SUITE, leaf, verified)
        assert (who.identity, who.identity_key) == (BOB, laptop.identity_key.public_key)
        assert who.root_key == account.identity_key.public_key
        assert verified in (None, {event.encode() for event in laptop.lineage})


def test_a_lineage_cannot_be_left_out_or_taken_elsewhere(
    provider: CryptoProvider, account: Account, leaf: LeafNode
) -> None:
    laptop = another_device(provider, account)
    admitted = new_key_package(provider, laptop, SUITE, NOW).key_package.leaf_node
    (event,) = laptop.lineage
    alone = with_claim(admitted, replace(claim_of(admitted), lineage=()).encode())
    # It is then as one that claims the name for itself, and has another root than the others.
    assert verify_leaf_identity(provider, SUITE, alone).root_key == laptop.identity_key.public_key

    taken = with_claim(leaf, replace(claim_of(leaf), lineage=(event,)).encode())
    assert refused(provider, taken) == (ValidationError, "bad-lineage")
    for field in ("device_signature", "signature", "previous", "client_id"):
        changed = replace(event, **{field: flipped(getattr(event, field))})
        forged = with_claim(admitted, replace(claim_of(admitted), lineage=(changed,)).encode())
        assert refused(provider, forged) == (VerificationError, "bad-signature")


def flipped(octets: bytes) -> bytes:
    return bytes([octets[0] ^ 1]) + octets[1:]


def refused(
    provider: CryptoProvider, leaf: LeafNode, suite: CipherSuite = SUITE
) -> tuple[type[MLSError], str]:
    with pytest.raises(MLSError) as caught:
        verify_leaf_identity(provider, suite, leaf)
    return type(caught.value), caught.value.code


NOT_SIGNED = (VerificationError, "bad-leaf-identity")
CONTRADICTS = (ValidationError, "wrong-identity")

_CERTIFICATE = credentials.Credential(
    credential_type=credentials.CredentialType.x509,
    credential=credentials.X509Credential(certificates=(credentials.Certificate(cert_data=b"\x30"),)),
)


def test_an_honest_leaf(provider: CryptoProvider, account: Account, leaf: LeafNode) -> None:
    who = verify_leaf_identity(provider, SUITE, leaf)

    assert (who.identity, who.domain, who.versions) == (BOB, "b.example", (VERSION,))
    assert (account.identity_key.public_key, SignatureScheme.ed25519) == (who.identity_key, who.scheme)
    assert who.root_key == who.identity_key


def test_the_octets_that_are_signed(provider: CryptoProvider, account: Account, leaf: LeafNode) -> None:
    """Written by hand from docs/protocol.md; another implementation must find the same."""
    label = b"MLS Federation 1.0 LeafIdentity"
    credential = bytes.fromhex("00 000d") + BOB.encode() + bytes.fromhex("0807 0020")
    credential += account.identity_key.public_key
    tbs = bytes.fromhex("0001 20") + leaf.signature_key + credential
    tbs += b"\x09b.example" + bytes.fromhex("02 0001")
    assert len(label) == 31
    assert 64 <= len(tbs) < 16384
    content = b"\x1f" + label + (0x4000 | len(tbs)).to_bytes(2, "big") + tbs

    provider.verify(
        SignatureScheme.ed25519, account.identity_key.public_key, content, claim_of(leaf).signature
    )


def test_every_field_of_the_claim_is_signed(provider: CryptoProvider, leaf: LeafNode) -> None:
    claim = claim_of(leaf)
    stranger = generate_signature_key(provider, SignatureScheme.ed25519)
    changes: list[tuple[FederationIdentity, tuple[type[MLSError], str]]] = [
        (replace(claim, versions=(VERSION, 2)), NOT_SIGNED),
        (replace(claim, versions=()), NOT_SIGNED),
        (replace(claim, signature=flipped(claim.signature)), NOT_SIGNED),
        (replace(claim, signature=b""), NOT_SIGNED),
        (replace(claim, domain=b"c.example"), CONTRADICTS),
        (replace(claim, domain=b""), CONTRADICTS),
        (
            replace(claim, credential=identity_credential(BOB, SignatureScheme.ed25519, stranger.public_key)),
            NOT_SIGNED,
        ),
        (
            replace(
                claim, credential=identity_credential("eve@b.example", SignatureScheme.ed25519, b"\x01" * 32)
            ),
            CONTRADICTS,
        ),
    ]
    for changed, expected in changes:
        assert expected == refused(provider, with_claim(leaf, changed.encode()))


def test_the_leafs_keys_and_suite_are_signed(provider: CryptoProvider, leaf: LeafNode) -> None:
    assert refused(provider, replace(leaf, signature_key=flipped(leaf.signature_key))) == NOT_SIGNED
    assert refused(provider, leaf, OTHER_SUITE) == NOT_SIGNED


def test_a_claim_taken_to_another_leaf(provider: CryptoProvider, account: Account, leaf: LeafNode) -> None:
    another = new_key_package(provider, account, SUITE, NOW).key_package.leaf_node
    assert refused(provider, with_claim(another, claim_of(leaf).encode())) == NOT_SIGNED


def test_no_claim(provider: CryptoProvider, leaf: LeafNode) -> None:
    """As the leaf of a client of plain RFC 9420."""
    expected = (ValidationError, "no-federation-identity")
    assert expected == refused(provider, replace(leaf, extensions=()))
    other_type = Extension(
        extension_type=ExtensionType(FEDERATION_IDENTITY + 1), extension_data=claim_of(leaf).encode()
    )
    assert expected == refused(provider, replace(leaf, extensions=(other_type,)))


@pytest.mark.rule("7.2-06")
def test_a_leaf_that_is_good_for_too_long(provider: CryptoProvider, leaf: LeafNode) -> None:
    for seconds, expected in ((LONGEST_LIFETIME, None), (LONGEST_LIFETIME + 1, "lifetime-too-long")):
        lasting = replace(leaf, source=Lifetime(not_before=1000, not_after=1000 + seconds))
        if expected is None:
            verify_leaf_identity(provider, SUITE, lasting)
        else:
            assert refused(provider, lasting) == (ValidationError, expected)


def test_a_truncated_claim(provider: CryptoProvider, leaf: LeafNode) -> None:
    octets = claim_of(leaf).encode()
    for data in (b"", octets[:1], octets[:-1], octets + b"\x00"):
        assert (DecodeError, "malformed") == refused(provider, with_claim(leaf, data))


def test_a_leaf_whose_credential_is_of_somebody_else(provider: CryptoProvider, leaf: LeafNode) -> None:
    for credential in (
        basic_credential(b"carol@b.example"),
        basic_credential(b""),
        _CERTIFICATE,
    ):
        assert refused(provider, replace(leaf, credential=credential)) == CONTRADICTS


def _claimed(
    provider: CryptoProvider, leaf: LeafNode, key: KeyPair, credential: Credential, domain: bytes
) -> LeafNode:
    """A leaf with a claim that `key` has signed in full, whatever it says."""
    tbs = FederationIdentityTBS(
        cipher_suite=SUITE,
        signature_key=leaf.signature_key,
        credential=credential,
        domain=domain,
        versions=(VERSION,),
    ).encode()
    label = b"MLS Federation 1.0 LeafIdentity"
    length = len(tbs).to_bytes(1, "big") if len(tbs) < 64 else (0x4000 | len(tbs)).to_bytes(2, "big")
    content = bytes([len(label)]) + label + length + tbs
    claim = FederationIdentity(
        credential=credential,
        domain=domain,
        versions=(VERSION,),
        signature=provider.sign(SignatureScheme.ed25519, key.private_key, content),
        lineage=(),
    )
    return with_claim(leaf, claim.encode())


def test_a_domain_that_is_not_the_identitys_though_signed(
    provider: CryptoProvider, account: Account, leaf: LeafNode
) -> None:
    honest = _claimed(provider, leaf, account.identity_key, account.credential, b"b.example")
    assert verify_leaf_identity(provider, SUITE, honest).identity == BOB

    for domain in (b"c.example", b"B.example", b"", b"\xff"):
        forged = _claimed(provider, leaf, account.identity_key, account.credential, domain)
        assert refused(provider, forged) == CONTRADICTS


@pytest.mark.parametrize(
    "identity",
    [
        "bob",
        "bob@",
        "@b.example",
        "bob@B.example",
        "bo b@b.example",
        "bob@b.example@b.example",
        "bob@b_.example",
    ],
)
def test_identities_that_are_none_though_signed(
    provider: CryptoProvider, account: Account, leaf: LeafNode, identity: str
) -> None:
    credential = identity_credential(identity, account.scheme, account.identity_key.public_key)
    renamed = replace(leaf, credential=basic_credential(identity.encode()))
    forged = _claimed(provider, renamed, account.identity_key, credential, b"b.example")
    assert (ValidationError, "bad-identity") == refused(provider, forged)


def test_an_x509_identity(provider: CryptoProvider, account: Account, leaf: LeafNode) -> None:
    certificate = Credential(credential_type=CredentialType.x509, credential=b"\x30\x82")
    forged = _claimed(provider, leaf, account.identity_key, certificate, b"b.example")
    assert (ValidationError, "unsupported-credential") == refused(provider, forged)


@pytest.mark.parametrize(
    "make_key",
    [lambda _: b"\x00", lambda key: key + b"\x00", lambda key: key[:31], lambda _: b"\xff" * 32],
)
def test_identity_keys_that_are_none(
    provider: CryptoProvider, account: Account, leaf: LeafNode, make_key: Callable[[bytes], bytes]
) -> None:
    for scheme in (SignatureScheme.ed25519, SignatureScheme(0x0A0A)):
        credential = identity_credential(BOB, scheme, make_key(account.identity_key.public_key))
        forged = _claimed(provider, leaf, account.identity_key, credential, b"b.example")
        assert refused(provider, forged) == NOT_SIGNED


def test_what_vouches_is_shown_in_no_repr_with_its_private_half(account: Account) -> None:
    assert account.identity_key.private_key.hex() not in repr(account)
    assert repr(account.identity_key.private_key)[2:-1] not in repr(account)


def test_the_extension_is_made_only_for_identities(provider: CryptoProvider, account: Account) -> None:
    nobody = identity_credential("nobody", account.scheme, account.identity_key.public_key)
    with pytest.raises(ValidationError) as caught:
        identity_extension(provider, nobody, account.identity_key, SUITE, b"\x00" * 32, ())
    assert caught.value.code == "bad-identity"
