"""What a group's members have agreed on, as a GroupContext extension."""

from __future__ import annotations

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite
from mls_federation.errors import DecodeError, ValidationError
from mls_federation.federation.group_agreement import (
    GROUP_AGREEMENT,
    GroupAgreement,
    OrderingRule,
    agreement_of,
    ordered_by_members,
    ordered_by_service,
    with_agreement,
)
from mls_federation.mls.extensions import Extension, ExtensionType

KEY = bytes(range(32))
BY_MEMBERS = GroupAgreement(
    version=1, ordering=OrderingRule.members, domain=b"", signing_key=b"", passed_over=()
)
BY_SERVICE = ordered_by_service(BY_MEMBERS, "a.example", KEY)
OTHER = Extension(extension_type=ExtensionType(0xF4FF), extension_data=b"something else")


@pytest.mark.parametrize("agreement", [BY_MEMBERS, BY_SERVICE])
def test_what_is_put_there_is_found_there(agreement: GroupAgreement) -> None:
    assert agreement_of(with_agreement([OTHER], agreement)) == agreement


def test_there_is_one_agreement_however_often_it_is_changed() -> None:
    extensions = with_agreement(with_agreement([OTHER], BY_MEMBERS), BY_SERVICE)
    assert agreement_of(extensions) == BY_SERVICE
    assert len(extensions) == 2
    assert OTHER in extensions


def test_a_service_can_be_let_go() -> None:
    assert ordered_by_members(BY_SERVICE) == BY_MEMBERS


def test_a_group_without_an_agreement() -> None:
    with pytest.raises(ValidationError) as refused:
        agreement_of([OTHER])
    assert refused.value.code == "no-agreement"


def test_a_malformed_agreement() -> None:
    with pytest.raises(DecodeError):
        agreement_of([Extension(extension_type=GROUP_AGREEMENT, extension_data=BY_SERVICE.encode()[:-1])])


@pytest.mark.parametrize(
    "agreement",
    [
        replace(BY_MEMBERS, domain=b"a.example"),
        replace(BY_MEMBERS, signing_key=KEY),
        replace(BY_SERVICE, domain=b""),
        replace(BY_SERVICE, domain=b"A.example"),
        replace(BY_SERVICE, domain="ä.example".encode()),
        replace(BY_SERVICE, signing_key=KEY[1:]),
        replace(BY_SERVICE, signing_key=KEY + b"\0"),
        replace(BY_MEMBERS, passed_over=(CipherSuite(5), CipherSuite(7), CipherSuite(5))),
    ],
)
def test_agreements_that_contradict_themselves(agreement: GroupAgreement) -> None:
    with pytest.raises(ValidationError) as refused:
        agreement_of(with_agreement([], agreement))
    assert refused.value.code == "bad-agreement"
