"""What a client says that it supports (RFC 9420 §7.2, §10, §13.4, §13.5)."""

from __future__ import annotations

import pytest

from mls_federation.client.account import new_account, new_key_sets, supported_suites
from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.federation.group_agreement import GROUP_AGREEMENT
from mls_federation.federation.identity import FEDERATION_IDENTITY
from mls_federation.mls import KeyPackage
from mls_federation.mls.credentials import CredentialType
from mls_federation.mls.extensions import DEFAULT_EXTENSION_TYPES, DEFAULT_PROPOSAL_TYPES, ExtensionType
from mls_federation.mls.nodes import ProtocolVersion

NOW = 1_767_225_600
GREASE = {high << 12 | 0x0A00 | high << 4 | 0x0A for high in range(15)}


@pytest.fixture
def packages(provider: CryptoProvider) -> list[KeyPackage]:
    account = new_account(provider, "alice@a.example")
    sets = new_key_sets(provider, account, NOW, count=2, last_resort=True)
    return [own.key_package for key_set in sets for _, own in key_set.packages]


@pytest.mark.rule("7.2-01")
def test_what_everybody_supports_is_not_listed(packages: list[KeyPackage]) -> None:
    for package in packages:
        assert DEFAULT_EXTENSION_TYPES.isdisjoint(package.leaf_node.capabilities.extensions)
        assert DEFAULT_PROPOSAL_TYPES.isdisjoint(package.leaf_node.capabilities.proposals)


@pytest.mark.rule("7.2-02", "13.4-01")
def test_all_that_we_support_is_listed_and_nothing_else(
    provider: CryptoProvider, packages: list[KeyPackage]
) -> None:
    for package in packages:
        listed = package.leaf_node.capabilities
        assert set(listed.versions) - GREASE == {ProtocolVersion.mls10}
        assert set(listed.cipher_suites) - GREASE == set(supported_suites(provider))
        assert set(listed.extensions) - GREASE == {
            FEDERATION_IDENTITY,
            GROUP_AGREEMENT,
            ExtensionType.last_resort,
        }
        assert set(listed.proposals) - GREASE == set()
        assert set(listed.credentials) - GREASE == {CredentialType.basic}
        assert package.cipher_suite in listed.cipher_suites


@pytest.mark.rule("10-07")
def test_extensions_in_use_are_listed(packages: list[KeyPackage]) -> None:
    for package in packages:
        used = {item.extension_type for item in (*package.extensions, *package.leaf_node.extensions)}
        # §13.5: a receiver passes over what it does not know in a KeyPackage, listed or not.
        assert used - DEFAULT_EXTENSION_TYPES - GREASE <= set(package.leaf_node.capabilities.extensions)
    assert any(
        item.extension_type == ExtensionType.last_resort
        for package in packages
        for item in package.extensions
    )


@pytest.mark.rule("13.5-03")
def test_what_we_compare_has_no_grease_in_it(provider: CryptoProvider) -> None:
    ours = supported_suites(provider)
    assert GREASE.isdisjoint(ours)
    assert set(ours) <= set(CipherSuite)
    assert 0x0A0A in GREASE
    assert 0xEAEA in GREASE
