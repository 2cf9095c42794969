"""A delivery service that changes anything of what a client published is found out (docs/protocol.md, "The manifest")."""

from collections.abc import Callable, Sequence

import pytest

from mls_federation.client.account import (
    KEY_LIFETIME,
    Account,
    new_account,
    new_key_package,
    new_key_sets,
    supported_suites,
)
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, SignatureScheme, crypto
from mls_federation.errors import DecodeError, MLSError, ValidationError, VerificationError
from mls_federation.federation.binding import Boolean, KeyBundle, KeySet
from mls_federation.federation.credentials import identity_credential
from mls_federation.federation.manifest import (
    VerifiedBundle,
    build_key_set,
    user_init_key_id,
    verify_bundle,
    verify_key_set,
)
from mls_federation.federation.seed import (
    Credential,
    CredentialType,
    SeedCipherSuite,
    UserInitKey,
    UserInitKeyTBS,
    to_rfc9420,
)
from mls_federation.mls import KeyPackage, OwnKeyPackage, key_package_ref
from tests.support.network import NOW, key_bundle

BOB = "bob@b.example"
X25519 = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
CHACHA = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
P256 = CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256


@pytest.fixture(scope="module")
def account(provider: CryptoProvider) -> Account:
    return new_account(provider, BOB)


def published_by(provider: CryptoProvider, account: Account) -> KeySet:
    """A fresh set, as its client publishes it."""
    [own] = new_key_sets(provider, account, NOW, count=1, last_resort=False)
    assert own.unconfirmed is not None
    return own.unconfirmed


@pytest.fixture(scope="module")
def other_set(provider: CryptoProvider, account: Account) -> KeySet:
    """Another set of the same client."""
    return published_by(provider, account)


@pytest.fixture(scope="module")
def key_set(provider: CryptoProvider, account: Account) -> KeySet:
    return published_by(provider, account)


def refs_of(provider: CryptoProvider, key_set: KeySet) -> tuple[bytes, ...]:
    packages = [KeyPackage.decode(encoded) for encoded in key_set.key_packages]
    return tuple(key_package_ref(crypto(provider, package.cipher_suite), package) for package in packages)


@pytest.fixture(scope="module")
def bundle(provider: CryptoProvider, account: Account, key_set: KeySet) -> KeyBundle:
    """As an honest service hands it out."""
    return key_bundle(account, key_set, refs_of(provider, key_set), X25519)


def verified(
    provider: CryptoProvider, bundle: KeyBundle, wanted: Sequence[CipherSuite] = (X25519, CHACHA, P256)
) -> VerifiedBundle:
    return verify_bundle(provider, BOB, bundle, wanted=wanted, now=NOW)


def resigned(provider: CryptoProvider, account: Account, manifest: UserInitKey) -> UserInitKey:
    """The manifest with a signature that fits it: what its own client could have made."""
    tbs = UserInitKeyTBS(**{name: getattr(manifest, name) for name in UserInitKeyTBS._fields})
    signature = provider.sign(account.scheme, account.identity_key.private_key, tbs.encode())
    return replace(manifest, signature=signature)


def with_manifest(bundle: KeyBundle, manifest: UserInitKey) -> KeyBundle:
    return replace(bundle, bundle=replace(bundle.bundle, user_init_key=manifest))


def flipped(octets: bytes, place: int = 0) -> bytes:
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]


def assert_refused(provider: CryptoProvider, bundle: KeyBundle, code: str, kind: type[MLSError]) -> None:
    with pytest.raises(kind) as caught:
        verified(provider, bundle)
    assert code == caught.value.code


# -- what is right


def test_an_honest_bundle(
    provider: CryptoProvider, account: Account, bundle: KeyBundle, key_set: KeySet
) -> None:
    result = verified(provider, bundle)

    assert result.identity == BOB
    assert account.identity_key.public_key == result.identity_key
    assert supported_suites(provider) == result.cipher_suites
    assert result.chosen == X25519
    assert key_set.key_packages[0] == result.key_package.encode()
    assert not result.last_resort


def test_a_service_cannot_say_that_keys_for_one_use_are_a_last_resort(
    provider: CryptoProvider, bundle: KeyBundle
) -> None:
    assert_refused(provider, replace(bundle, last_resort=Boolean.true), "bad-manifest", ValidationError)


@pytest.mark.parametrize("suite", [X25519, CHACHA, P256], ids=lambda suite: suite.name)
def test_every_suite_can_be_chosen(
    provider: CryptoProvider, account: Account, key_set: KeySet, suite: CipherSuite
) -> None:
    chosen = key_bundle(account, key_set, refs_of(provider, key_set), suite)

    result = verified(provider, chosen, [suite])

    assert suite == result.key_package.cipher_suite == result.chosen


def test_the_choice_is_the_fetchers_order(
    provider: CryptoProvider, account: Account, key_set: KeySet
) -> None:
    chosen = key_bundle(account, key_set, refs_of(provider, key_set), P256)
    unknown = CipherSuite(0x0A0A)

    assert verified(provider, chosen, [unknown, P256, X25519]).chosen == P256


def test_a_service_checks_what_it_hands_out(provider: CryptoProvider, key_set: KeySet) -> None:
    verify_key_set(provider, BOB.encode(), key_set, now=NOW)


def test_the_id_depends_on_every_ref_and_their_order() -> None:
    one, two = b"\x01" * 32, b"\x02" * 32
    ids = {user_init_key_id(refs) for refs in ([one, two], [two, one], [one], [one + two], [])}
    assert len(ids) == 5
    assert {32} == {len(each) for each in ids}


# -- what a service could do to it


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: replace(m, user_init_key_id=flipped(m.user_init_key_id)), id="id"),
        pytest.param(lambda m: replace(m, cipher_suites=m.cipher_suites[::-1]), id="order of suites"),
        pytest.param(
            lambda m: replace(m, cipher_suites=m.cipher_suites[:2], init_keys=m.init_keys[:2]),
            id="suite hidden with its init_key",
        ),
        pytest.param(
            lambda m: replace(m, init_keys=(flipped(m.init_keys[0], 5), *m.init_keys[1:])), id="init_key"
        ),
        pytest.param(lambda m: replace(m, init_keys=m.init_keys[::-1]), id="order of init_keys"),
        pytest.param(lambda m: replace(m, signature=flipped(m.signature, 40)), id="signature"),
        pytest.param(lambda m: replace(m, signature=b""), id="no signature"),
        pytest.param(lambda m: replace(m, signature=m.signature + b"\x00"), id="signature too long"),
    ],
)
def test_every_field_is_signed(
    provider: CryptoProvider, bundle: KeyBundle, change: Callable[[UserInitKey], UserInitKey]
) -> None:
    changed = change(bundle.bundle.user_init_key)
    expected = VerificationError, "bad-manifest-signature"
    with pytest.raises(MLSError) as caught:
        verified(provider, with_manifest(bundle, changed))
    # As many suites as refs and init_keys: those rules are looked at first, and are enough to refuse.
    assert expected == (type(caught.value), caught.value.code)


def test_suites_hidden_from_the_list_alone(provider: CryptoProvider, bundle: KeyBundle) -> None:
    manifest = bundle.bundle.user_init_key
    hidden = replace(manifest, cipher_suites=manifest.cipher_suites[:1])
    assert_refused(provider, with_manifest(bundle, hidden), "bad-manifest", ValidationError)


def test_another_key_signed_it(provider: CryptoProvider, bundle: KeyBundle) -> None:
    stranger = new_account(provider, BOB)
    forged = resigned(provider, stranger, bundle.bundle.user_init_key)
    assert_refused(provider, with_manifest(bundle, forged), "bad-manifest-signature", VerificationError)


def test_another_identity_key_with_the_clients_key_packages(
    provider: CryptoProvider, bundle: KeyBundle
) -> None:
    """A service that puts a key of its own beside honest KeyPackages: the leaves tell."""
    stranger = new_account(provider, BOB)
    forged = replace(bundle.bundle.user_init_key, credential=stranger.credential)
    assert_refused(
        provider,
        with_manifest(bundle, resigned(provider, stranger, forged)),
        "wrong-identity",
        ValidationError,
    )


def test_somebody_elses_bundle(provider: CryptoProvider) -> None:
    mallory = new_account(provider, "mallory@b.example")
    published = published_by(provider, mallory)
    honest = key_bundle(mallory, published, refs_of(provider, published), X25519)

    assert_refused(provider, honest, "wrong-identity", ValidationError)
    renamed = replace(honest, bundle=replace(honest.bundle, identity=BOB.encode()))
    assert_refused(provider, renamed, "wrong-identity", ValidationError)


def test_the_right_identity_in_the_credential_and_another_in_the_leaf(
    provider: CryptoProvider, account: Account
) -> None:
    """All keys are the client's own, and still the leaf would speak for somebody else."""
    carol = Account("carol@c.example", account.client_id, account.scheme, account.identity_key)
    forged = _set_of(provider, account, [new_key_package(provider, carol, X25519, NOW)])
    assert_refused(provider, forged, "wrong-identity", ValidationError)


def test_a_key_package_of_another_set(provider: CryptoProvider, bundle: KeyBundle, other_set: KeySet) -> None:
    swapped = replace(bundle, key_package=other_set.key_packages[0])
    assert_refused(provider, swapped, "bad-manifest", ValidationError)


def test_a_key_package_and_its_ref_of_another_set(
    provider: CryptoProvider, bundle: KeyBundle, other_set: KeySet
) -> None:
    refs = (refs_of(provider, other_set)[0], *bundle.refs[1:])
    swapped = replace(bundle, key_package=other_set.key_packages[0], refs=refs)
    assert_refused(provider, swapped, "bad-manifest", ValidationError)


@pytest.mark.parametrize(
    "change", [lambda refs: refs[:2], lambda refs: (*refs, refs[0]), lambda refs: refs[::-1]]
)
def test_refs_that_are_not_the_manifests(
    provider: CryptoProvider,
    bundle: KeyBundle,
    change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]],
) -> None:
    assert_refused(provider, replace(bundle, refs=change(bundle.refs)), "bad-manifest", ValidationError)


def test_every_octet_of_the_key_package_is_covered(provider: CryptoProvider, bundle: KeyBundle) -> None:
    encoded = bundle.key_package
    for place in range(0, len(encoded), 7):
        with pytest.raises((ValidationError, VerificationError, DecodeError)):
            verified(provider, replace(bundle, key_package=flipped(encoded, place)))


def test_a_truncated_key_package(provider: CryptoProvider, bundle: KeyBundle) -> None:
    for length in (0, 1, len(bundle.key_package) - 1):
        with pytest.raises(DecodeError):
            verified(provider, replace(bundle, key_package=bundle.key_package[:length]))


def test_a_weaker_suite_than_the_best_common_one(
    provider: CryptoProvider, account: Account, key_set: KeySet
) -> None:
    weaker = key_bundle(account, key_set, refs_of(provider, key_set), P256)
    assert_refused(provider, weaker, "downgraded", ValidationError)


def test_a_suite_that_was_not_asked_for(provider: CryptoProvider, bundle: KeyBundle) -> None:
    with pytest.raises(ValidationError) as caught:
        verified(provider, bundle, [P256])
    assert caught.value.code == "downgraded"


# -- what a client could do wrong, or on purpose


def test_a_suite_named_twice(provider: CryptoProvider, account: Account, bundle: KeyBundle) -> None:
    manifest = bundle.bundle.user_init_key
    twice = replace(manifest, cipher_suites=(manifest.cipher_suites[0],) * 3)
    assert_refused(
        provider, with_manifest(bundle, resigned(provider, account, twice)), "bad-manifest", ValidationError
    )


def test_p256_under_both_of_its_code_points(provider: CryptoProvider, account: Account) -> None:
    """Two packages of one suite, named by the seed's 0x0000 and by RFC 9420's 0x0002, would be two answers to one wish."""
    packages = [new_key_package(provider, account, P256, NOW) for _ in range(2)]
    forged = _set_of(provider, account, packages, (SeedCipherSuite(0), SeedCipherSuite(2)), P256)
    with pytest.raises(ValidationError) as caught:
        verify_bundle(provider, BOB, forged, wanted=[P256], now=NOW)
    assert caught.value.code == "bad-manifest"


def test_only_the_seeds_own_code_point_for_its_suites(provider: CryptoProvider, account: Account) -> None:
    package = new_key_package(provider, account, P256, NOW)
    right = _set_of(provider, account, [package], (SeedCipherSuite(0x0000),), P256)
    wrong = _set_of(provider, account, [package], (SeedCipherSuite(0x0002),), P256)

    assert verified(provider, right, [P256]).chosen == P256
    with pytest.raises(ValidationError) as caught:
        verified(provider, wrong, [P256])
    assert caught.value.code == "bad-manifest"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: replace(m, init_keys=m.init_keys[:2]), id="too few init_keys"),
        pytest.param(lambda m: replace(m, init_keys=(*m.init_keys, b"k")), id="too many init_keys"),
        pytest.param(lambda m: replace(m, cipher_suites=()), id="no suites"),
        pytest.param(lambda m: replace(m, user_init_key_id=b""), id="no id"),
        pytest.param(lambda m: replace(m, user_init_key_id=m.user_init_key_id[:31]), id="short id"),
        pytest.param(
            lambda m: replace(m, init_keys=(m.init_keys[1], *m.init_keys[1:])), id="another init_key"
        ),
    ],
)
def test_a_manifest_that_contradicts_itself(
    provider: CryptoProvider,
    account: Account,
    bundle: KeyBundle,
    key_set: KeySet,
    change: Callable[[UserInitKey], UserInitKey],
) -> None:
    manifest = resigned(provider, account, change(bundle.bundle.user_init_key))

    assert_refused(provider, with_manifest(bundle, manifest), "bad-manifest", ValidationError)
    with pytest.raises(ValidationError) as caught:
        verify_key_set(provider, BOB.encode(), replace(key_set, user_init_key=manifest), now=NOW)
    assert caught.value.code == "bad-manifest"


def test_a_key_package_of_another_suite_than_its_place_says(
    provider: CryptoProvider, account: Account
) -> None:
    package = new_key_package(provider, account, CHACHA, NOW)
    forged = _set_of(provider, account, [package], (SeedCipherSuite(1),), X25519)
    assert_refused(provider, forged, "bad-manifest", ValidationError)


def test_a_key_package_that_its_client_signed_wrongly(provider: CryptoProvider, account: Account) -> None:
    """The manifest covers it, so this is the client's own fault; it would be refused in a group."""
    own = new_key_package(provider, account, X25519, NOW)
    broken = replace(own.key_package, signature=flipped(own.key_package.signature, 10))
    forged = _set_of(provider, account, [OwnKeyPackage(broken, own.init_key, own.encryption_key, b"")])
    with pytest.raises(VerificationError):
        verified(provider, forged)


@pytest.mark.parametrize("now", [NOW - 7200, NOW + KEY_LIFETIME + 1])
def test_a_key_package_outside_its_lifetime(
    provider: CryptoProvider, bundle: KeyBundle, key_set: KeySet, now: int
) -> None:
    for check in (
        lambda: verify_bundle(provider, BOB, bundle, wanted=[X25519], now=now),
        lambda: verify_key_set(provider, BOB.encode(), key_set, now=now),
    ):
        with pytest.raises(ValidationError) as caught:
            check()
        assert caught.value.code == "outside-lifetime"


def test_an_x509_credential(provider: CryptoProvider, account: Account, bundle: KeyBundle) -> None:
    certificate = Credential(credential_type=CredentialType.x509, credential=b"\x30\x82")
    manifest = resigned(provider, account, replace(bundle.bundle.user_init_key, credential=certificate))
    assert_refused(provider, with_manifest(bundle, manifest), "unsupported-credential", ValidationError)


@pytest.mark.parametrize("scheme", [0x0403, 0x0807, 0x0A0A])
@pytest.mark.parametrize("key", [b"\x00", b"\x02" * 32, b"\x04" * 65])
def test_keys_that_are_none_of_their_scheme(
    provider: CryptoProvider, bundle: KeyBundle, scheme: int, key: bytes
) -> None:
    strange = identity_credential(BOB, SignatureScheme(scheme), key)
    manifest = replace(bundle.bundle.user_init_key, credential=strange)
    with pytest.raises(VerificationError) as caught:
        verified(provider, with_manifest(bundle, manifest))
    assert caught.value.code == "bad-manifest-signature"


def test_a_set_needs_a_package_for_each_suite(provider: CryptoProvider, key_set: KeySet) -> None:
    for packages in (key_set.key_packages[:2], (*key_set.key_packages, key_set.key_packages[0])):
        with pytest.raises(ValidationError) as caught:
            verify_key_set(provider, BOB.encode(), replace(key_set, key_packages=packages), now=NOW)
        assert caught.value.code == "bad-manifest"


def test_a_set_of_another_identity_is_not_taken(provider: CryptoProvider, key_set: KeySet) -> None:
    with pytest.raises(ValidationError) as caught:
        verify_key_set(provider, b"carol@b.example", key_set, now=NOW)
    assert caught.value.code == "wrong-identity"


def _set_of(
    provider: CryptoProvider,
    account: Account,
    packages: Sequence[OwnKeyPackage],
    suites: Sequence[SeedCipherSuite] | None = None,
    chosen: CipherSuite = X25519,
) -> KeyBundle:
    """A bundle of these KeyPackages, all of it signed by the account's key, whatever they are."""
    published = build_key_set(
        provider,
        account.credential,
        account.identity_key,
        [own.key_package for own in packages],
        last_resort=False,
    )
    manifest = published.user_init_key
    if suites is not None:
        manifest = resigned(provider, account, replace(manifest, cipher_suites=tuple(suites)))
    refs = tuple(
        key_package_ref(crypto(provider, own.key_package.cipher_suite), own.key_package) for own in packages
    )
    bundle = key_bundle(account, published, refs, packages[0].key_package.cipher_suite)
    places = [to_rfc9420(suite) for suite in manifest.cipher_suites]
    return replace(
        with_manifest(bundle, manifest),
        chosen=chosen,
        key_package=published.key_packages[places.index(chosen)],
    )
