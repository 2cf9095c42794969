"""Which cipher suite and version a group has: the best that all can, and nobody takes less unseen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.client.account import new_account, new_key_package, new_key_sets
from mls_federation.client.account import supported_suites as supported_here
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.crypto.suites import KEM, parameters
from mls_federation.errors import ValidationError
from mls_federation.federation.group_agreement import OrderingRule
from mls_federation.federation.identity import VERSION, verify_leaf_identity
from mls_federation.federation.manifest import verify_bundle
from mls_federation.federation.negotiation import (
    POLICY,
    NoCommonSuite,
    Support,
    best_common_suite,
    best_common_version,
    bundle_support,
    check_agreement,
    common_suites,
    leaf_support,
    new_agreement,
    renewed_agreement,
)
from mls_federation.mls import KeyPackage, key_package_ref
from mls_federation.mls.grease import GREASE_VALUES
from tests.support.network import NOW, key_bundle

KEY = bytes(32)

suites = st.lists(
    st.sampled_from([*CipherSuite, *map(CipherSuite, GREASE_VALUES), CipherSuite(0xF001)]), unique=True
)
versions = st.lists(st.sampled_from([1, 2, 3, *GREASE_VALUES]), unique=True)


@st.composite
def supports(draw: st.DrawFn) -> Support:
    number = draw(st.integers(0, 99))
    return Support(f"user{number}@a.example", bytes([number]) * 16, tuple(draw(suites)), (1, *draw(versions)))


groups = st.lists(supports(), min_size=1, max_size=6)


def client(name: str, *numbers: int, versions: Sequence[int] = (1,)) -> Support:
    return Support(f"{name}@a.example", b"", tuple(map(CipherSuite, numbers)), tuple(versions))


# -- the policy


def _bits(suite: CipherSuite) -> int:
    """The bits of security of a suite's weakest part."""
    of = parameters(suite)
    curve = {
        KEM.DHKEM_P256_HKDF_SHA256: 128,
        KEM.DHKEM_X25519_HKDF_SHA256: 128,
        KEM.DHKEM_P384_HKDF_SHA384: 192,
        KEM.DHKEM_X448_HKDF_SHA512: 224,
        KEM.DHKEM_P521_HKDF_SHA512: 256,
    }[of.kem]
    return min(curve, of.Nh * 8 // 2, of.aead.Nk * 8)


def test_the_policy_has_every_suite_by_its_weakest_part() -> None:
    assert sorted(POLICY) == sorted(CipherSuite)
    assert sorted(POLICY, key=_bits, reverse=True) == list(POLICY)
    assert [_bits(suite) for suite in POLICY] == [256, 224, 224, 192, 128, 128, 128]


def test_clients_publish_their_suites_in_the_order_of_the_policy(provider: CryptoProvider) -> None:
    ours = supported_here(provider)
    assert [suite for suite in POLICY if suite in ours] == list(ours)


# -- the best for all


@given(groups)
def test_the_best_suite_is_supported_by_all_and_no_better_one_is(clients: list[Support]) -> None:
    try:
        best = best_common_suite(clients)
    except NoCommonSuite as refused:
        assert refused.code == "no-common-suite"
        assert refused.clients == tuple(clients)
        for each in clients:
            assert each.identity in str(refused)
            assert each.client_id.hex() in str(refused)
        for suite in POLICY:
            assert any(suite not in each.cipher_suites for each in clients)
        return
    assert all(best in each.cipher_suites for each in clients)
    for better in POLICY[: POLICY.index(best)]:
        assert any(better not in each.cipher_suites for each in clients)


@given(st.permutations([client("a", 1, 3, 5), client("b", 3, 1), client("c", 2, 3, 1)]))
def test_the_best_suite_does_not_depend_on_the_order_of_clients(clients: list[Support]) -> None:
    assert best_common_suite(clients) == CipherSuite(1)


@given(groups, supports())
def test_one_more_client_never_makes_it_better(clients: list[Support], newcomer: Support) -> None:
    assert set(common_suites([*clients, newcomer])) <= set(common_suites(clients))
    assert best_common_version([*clients, newcomer]) <= best_common_version(clients)


def test_the_application_can_have_a_policy_of_its_own() -> None:
    both = [client("a", 1, 2, 3), client("b", 1, 2, 3)]
    assert best_common_suite(both, (CipherSuite(2), CipherSuite(1))) == CipherSuite(2)


def test_the_error_says_who_supports_what() -> None:
    with pytest.raises(NoCommonSuite) as refused:
        best_common_suite([client("ann", 1, 3), client("ben", 0x0A0A, 2), client("cyd", 0x0A0A)])
    assert str(refused.value) == (
        "no cipher suite is supported by all: ann@a.example supports 0x0001, 0x0003; "
        "ben@a.example supports 0x0002; cyd@a.example supports none that is known here"
    )


@given(groups)
def test_the_best_version_is_spoken_by_all(clients: list[Support]) -> None:
    best = best_common_version(clients)
    assert best not in GREASE_VALUES
    assert all(best in each.versions for each in clients)
    for higher in range(best + 1, 4):
        assert any(higher not in each.versions for each in clients)


def test_no_common_version() -> None:
    with pytest.raises(ValidationError) as refused:
        best_common_version([client("ann", 1, versions=(1, 0x0A0A)), client("ben", 1, versions=(2, 0x0A0A))])
    assert refused.value.code == "no-common-version"
    assert "ann@a.example" in str(refused.value)
    assert "ben@a.example" in str(refused.value)


# -- the agreement


@given(groups)
def test_a_new_agreement_on_the_best_passes_over_nothing(clients: list[Support]) -> None:
    common = common_suites(clients)
    for suite in common:
        agreement = new_agreement(clients, suite)
        assert agreement.passed_over == common[: common.index(suite)]
        check_agreement(clients, agreement, suite)
        assert renewed_agreement(clients, agreement, suite) == agreement


@given(groups, st.data())
def test_whatever_members_come_and_go_the_renewed_agreement_holds(
    clients: list[Support], data: st.DataObject
) -> None:
    common = common_suites(clients)
    if not common:
        return
    suite = data.draw(st.sampled_from(common))
    agreement = new_agreement(clients, suite)
    for _ in range(4):
        after = data.draw(st.lists(st.sampled_from(clients), min_size=1))
        agreement = renewed_agreement(after, agreement, suite)
        check_agreement(after, agreement, suite)


@given(groups)
def test_less_than_the_best_is_refused(clients: list[Support]) -> None:
    common = common_suites(clients)
    for suite in common[1:]:
        agreement = new_agreement(clients, suite)
        for hidden in agreement.passed_over:
            silent = replace(
                agreement, passed_over=tuple(other for other in agreement.passed_over if other != hidden)
            )
            with pytest.raises(ValidationError) as refused:
                check_agreement(clients, silent, suite)
            assert refused.value.code == "suite-downgrade"


@given(groups)
def test_another_version_than_the_best_is_refused(clients: list[Support]) -> None:
    common = common_suites(clients)
    if not common:
        return
    agreement = new_agreement(clients, common[0])
    for version, code in (
        (agreement.version - 1, "version-downgrade"),
        (agreement.version + 1, "version-not-common"),
    ):
        with pytest.raises(ValidationError) as refused:
            check_agreement(clients, replace(agreement, version=version), common[0])
        assert refused.value.code == code


def test_a_suite_that_somebody_lacks_is_refused() -> None:
    both = [client("ann", 1), client("ben", 1, 3)]
    with pytest.raises(NoCommonSuite):
        check_agreement(both, new_agreement(both, CipherSuite(3)), CipherSuite(3))


def test_a_group_cannot_have_passed_over_its_own_suite() -> None:
    both = [client("ann", 1, 3), client("ben", 1, 3)]
    agreement = replace(new_agreement(both, CipherSuite(1)), passed_over=(CipherSuite(1),))
    with pytest.raises(ValidationError) as refused:
        check_agreement(both, agreement, CipherSuite(1))
    assert refused.value.code == "bad-agreement"


def test_renewing_keeps_who_orders_and_what_the_application_chose() -> None:
    both = [client("ann", 1, 3, 5), client("ben", 1, 3, 5)]
    agreement = new_agreement(
        both, CipherSuite(3), ordering=OrderingRule.service, domain="a.example", signing_key=KEY
    )
    assert agreement.passed_over == (CipherSuite(5), CipherSuite(1))
    with_cyd = [*both, client("cyd", 1, 3)]
    assert renewed_agreement(with_cyd, agreement, CipherSuite(3)) == agreement


def test_when_the_one_who_lacked_a_suite_has_left_the_next_joiner_is_told() -> None:
    ann, ben, cyd = client("ann", 5, 1), client("ben", 1), client("cyd", 5, 1)
    agreement = new_agreement([ann, ben], CipherSuite(1))
    with pytest.raises(ValidationError) as refused:
        check_agreement([ann, cyd], agreement, CipherSuite(1))
    assert refused.value.code == "suite-downgrade"
    renewed = renewed_agreement([ann, cyd], agreement, CipherSuite(1))
    assert renewed.passed_over == (CipherSuite(5),)
    check_agreement([ann, cyd], renewed, CipherSuite(1))


def test_a_leaf_says_what_it_supports(provider: CryptoProvider) -> None:
    account = new_account(provider, "ann@a.example")
    suite = supported_here(provider)[0]
    leaf = new_key_package(provider, account, suite, NOW).key_package.leaf_node
    said = leaf_support(leaf, verify_leaf_identity(provider, suite, leaf), account.client_id)
    assert common_suites([said]) == supported_here(provider)
    assert best_common_version([said]) == VERSION
    assert said.client_id == account.client_id


def test_a_verified_bundle_says_what_its_client_supports(provider: CryptoProvider) -> None:
    account = new_account(provider, "ann@a.example")
    ours = supported_here(provider)
    [own] = new_key_sets(provider, account, NOW, count=1, last_resort=False)
    assert own.unconfirmed is not None
    packages = [KeyPackage.decode(encoded) for encoded in own.unconfirmed.key_packages]
    refs = tuple(key_package_ref(crypto(provider, package.cipher_suite), package) for package in packages)
    bundle = key_bundle(account, own.unconfirmed, refs, ours[0])
    verified = verify_bundle(provider, account.identity, bundle, wanted=ours, now=NOW)
    assert bundle_support(verified) == Support(account.identity, account.client_id, ours, (VERSION,))
