"""What a client publishes of itself."""

from __future__ import annotations

import pytest

from mls_federation.client.account import (
    CLOCK_TOLERANCE,
    KEY_LIFETIME,
    PREFERRED_SUITES,
    OwnKeySet,
    new_account,
    new_key_sets,
    supported_suites,
)
from mls_federation.crypto import CryptoProvider, crypto
from mls_federation.federation.manifest import verify_key_set
from mls_federation.mls.extensions import ExtensionType
from mls_federation.mls.grease import GREASE_VALUES
from mls_federation.mls.nodes import Lifetime
from tests.support.network import NOW

ALICE = "alice@a.example"


@pytest.fixture(scope="module")
def sets(provider: CryptoProvider) -> list[OwnKeySet]:
    """Two for one use, and one of last resort."""
    return list(new_key_sets(provider, new_account(provider, ALICE), NOW, count=2, last_resort=True))


def test_every_set_is_one_that_a_service_takes(provider: CryptoProvider, sets: list[OwnKeySet]) -> None:
    assert [own.last_resort for own in sets] == [False, False, True]
    for own in sets:
        assert own.unconfirmed is not None
        verify_key_set(provider, ALICE.encode(), own.unconfirmed, now=NOW)
        assert own.last_resort == bool(own.unconfirmed.last_resort)


def test_there_is_a_package_for_every_suite_the_best_first(
    provider: CryptoProvider, sets: list[OwnKeySet]
) -> None:
    assert supported_suites(provider) == PREFERRED_SUITES
    for own in sets:
        assert [package.key_package.cipher_suite for _, package in own.packages] == list(PREFERRED_SUITES)


@pytest.mark.rule("10-02")
def test_no_key_is_used_twice(sets: list[OwnKeySet]) -> None:
    packages = [package for own in sets for _, package in own.packages]
    for keys in (
        [package.init_key.private_key for package in packages],
        [package.encryption_key.private_key for package in packages],
        [package.signature_key for package in packages],
        [ref for own in sets for ref, _ in own.packages],
    ):
        assert len(set(keys)) == 9


def test_private_keys_fit_what_is_published(provider: CryptoProvider, sets: list[OwnKeySet]) -> None:
    for own in sets:
        for _, package in own.packages:
            published = package.key_package
            suite = crypto(provider, published.cipher_suite)
            sealed = suite.encrypt_with_label(published.init_key, "Test", b"", b"for alice")
            assert suite.decrypt_with_label(package.init_key, "Test", b"", sealed) == b"for alice"
            assert package.encryption_key.public_key == published.leaf_node.encryption_key


def test_lifetimes_allow_for_clocks_that_differ(sets: list[OwnKeySet]) -> None:
    expected = Lifetime(not_before=NOW - CLOCK_TOLERANCE, not_after=NOW + KEY_LIFETIME)
    assert {expected} == {package.key_package.leaf_node.source for own in sets for _, package in own.packages}


def test_only_packages_of_last_resort_say_that_they_are(sets: list[OwnKeySet]) -> None:
    for own in sets:
        for _, package in own.packages:
            types = [extension.extension_type for extension in package.key_package.extensions]
            known = [kind for kind in types if kind not in GREASE_VALUES]
            assert known == ([ExtensionType.last_resort] if own.last_resort else [])


def test_two_clients_have_nothing_in_common(provider: CryptoProvider) -> None:
    one, other = new_account(provider, ALICE), new_account(provider, ALICE)
    assert one.client_id != other.client_id
    assert one.identity_key.public_key != other.identity_key.public_key
    assert len(one.client_id) == 16
    assert one.domain == "a.example"


def test_secrets_are_not_shown(sets: list[OwnKeySet]) -> None:
    for own in sets:
        for _, package in own.packages:
            for secret in (
                package.init_key.private_key,
                package.encryption_key.private_key,
                package.signature_key,
            ):
                for text in (repr(own), repr(package)):
                    assert secret.hex() not in text
                    assert repr(secret)[2:-1] not in text
