"""The application is asked about every credential that is new in a group (§5.3.1), at each place where one comes in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mls_federation.codec import encode_vector
from mls_federation.crypto import Crypto
from mls_federation.errors import DecodeError, ValidationError
from mls_federation.mls import (
    Group,
    GroupInfo,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    decode_message,
    follow,
    group_info,
    join,
    join_by_external_commit,
    observe,
    receive,
    verify_key_package,
)
from mls_federation.mls.credentials import BasicCredential, Credential, basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, ExternalSender
from tests.support.forge import forge_commit, valid_path
from tests.support.pair import NOW, Party, new_client

PUBLIC = WireFormat.mls_public_message


def all_but(*names: str) -> Callable[[Credential, bytes, int | None], None]:
    """An application that knows everybody but these."""

    def check(credential: Credential, signature_key: bytes, now: int | None) -> None:
        assert isinstance(credential.credential, BasicCredential)
        if credential.credential.identity.decode() in names:
            raise ValidationError("nobody knows them", code="credential-refused")

    return check


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


def follower(party: Party) -> object:
    return follow(party.crypto, group_info(party.groups["ann"]), now=NOW)


def assert_refused_by_all(party: Party, message: bytes, *names: str) -> None:
    """Members and followers refuse it where the application does not know `names`, and else accept it."""
    group = follow(party.crypto, group_info(party.groups["ann"]), now=NOW)
    for check in (
        lambda **policy: receive(party.groups["ann"], message, now=NOW, **policy),
        lambda **policy: observe(group, message, now=NOW, **policy),
    ):
        with pytest.raises(ValidationError) as caught:
            check(check_credential=all_but(*names))
        assert caught.value.code == "credential-refused"
        check(check_credential=all_but("somebody else"))


def external_senders(suite: Crypto, *names: str) -> Extension:
    senders = [
        ExternalSender(
            signature_key=new_client(suite, name).signature_key.public_key,
            credential=basic_credential(name.encode()),
        )
        for name in names
    ]
    return Extension(extension_type=ExtensionType.external_senders, extension_data=encode_vector(senders))


@pytest.mark.rule("5.3.1-01")
def test_a_key_package_that_we_are_to_use(party: Party) -> None:
    package = party.client("dan").key_package().key_package
    with pytest.raises(ValidationError) as caught:
        verify_key_package(party.crypto, package, NOW, all_but("dan"))
    assert caught.value.code == "credential-refused"
    with pytest.raises(ValidationError) as caught:
        commit(party.groups["ann"], [add(package)], now=NOW, check_credential=all_but("dan"))
    assert caught.value.code == "credential-refused"


def shown(group: Group) -> GroupInfo:
    return group_info(group, with_external_pub=True)


@pytest.mark.rule("5.3.1-02")
@pytest.mark.parametrize("name", ["ann", "ben", "cat"])
def test_every_member_of_a_group_that_we_join(party: Party, name: str) -> None:
    own = party.client("dan").key_package()
    pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    with pytest.raises(ValidationError) as caught:
        join(party.crypto, welcome, own, now=NOW, check_credential=all_but(name))
    assert caught.value.code == "credential-refused"
    info = shown(party.groups["ann"])
    with pytest.raises(ValidationError) as caught:
        join_by_external_commit(party.crypto, info, own, now=NOW, check_credential=all_but(name))
    assert caught.value.code == "credential-refused"
    with pytest.raises(ValidationError) as caught:
        follow(party.crypto, info, now=NOW, check_credential=all_but(name))
    assert caught.value.code == "credential-refused"


@pytest.mark.rule("5.3.1-03")
def test_somebody_whom_a_commit_adds(party: Party) -> None:
    package = party.client("dan").key_package().key_package
    message = commit(party.groups["ben"], [add(package)], now=NOW, wire_format=PUBLIC).message
    assert_refused_by_all(party, message, "dan")


@pytest.mark.rule("5.3.1-05")
def test_somebody_who_joins_by_itself(party: Party) -> None:
    own = party.client("dan").key_package()
    message = join_by_external_commit(party.crypto, shown(party.groups["ann"]), own, now=NOW).message
    assert_refused_by_all(party, message, "dan")


@pytest.mark.rule("5.3.1-06")
def test_external_senders_who_are_added_or_changed(party: Party) -> None:
    first = commit(
        party.groups["ben"],
        [change_extensions([external_senders(party.crypto, "bot")])],
        now=NOW,
        wire_format=PUBLIC,
    )
    assert_refused_by_all(party, first.message, "bot")
    with pytest.raises(ValidationError) as caught:
        commit(
            party.groups["ben"],
            [change_extensions([external_senders(party.crypto, "bot")])],
            now=NOW,
            check_credential=all_but("bot"),
        )
    assert caught.value.code == "credential-refused"
    party.deliver_commit("ben", first)
    change = [change_extensions([external_senders(party.crypto, "bot", "another")])]
    second = commit(party.groups["ben"], change, now=NOW, wire_format=PUBLIC)
    assert_refused_by_all(party, second.message, "another")


@pytest.mark.rule("5.3.1-06")
def test_external_senders_of_a_group_that_we_join(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", extensions=[external_senders(suite_1, "bot")])
    own = party.client("dan").key_package()
    pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    with pytest.raises(ValidationError) as caught:
        join(suite_1, welcome, own, now=NOW, check_credential=all_but("bot"))
    assert caught.value.code == "credential-refused"


def test_external_senders_that_are_malformed(party: Party) -> None:
    eve = party.groups["cat"]
    broken = Extension(extension_type=ExtensionType.external_senders, extension_data=b"\x01")
    forged = forge_commit(eve, [change_extensions([broken])], valid_path(eve))
    with pytest.raises(DecodeError):
        receive(party.groups["ann"], forged, now=NOW)
    with pytest.raises(DecodeError):
        commit(party.groups["ann"], [change_extensions([broken])], now=NOW)
