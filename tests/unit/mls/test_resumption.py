"""Groups that come out of other groups: re-initialisation (§11.2) and branches (§11.3)."""

import pytest

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from mls_federation.errors import StateError, UsageError, ValidationError
from mls_federation.mls import (
    Group,
    PendingCommit,
    Welcome,
    branch,
    commit,
    decode_message,
    join,
    reinit,
    reinitialize,
    send_application_data,
)
from tests.support.pair import GROUP_ID, NOW, Client, Party

NEW_SUITE = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
NEW_ID = b"the new group"


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


@pytest.fixture
def suite_3(provider: CryptoProvider) -> Crypto:
    return crypto(provider, NEW_SUITE)


def in_suite(party: Party, name: str, suite: Crypto) -> Client:
    """A member's client in another suite with the same signature scheme."""
    return Client(suite, name, party.client(name).signature_key)


def welcome_of(pending: PendingCommit) -> Welcome:
    assert pending.welcome is not None
    message = decode_message(pending.welcome)
    assert isinstance(message, Welcome)
    return message


def end(party: Party) -> None:
    """Everybody agrees to begin anew."""
    party.commit("ann", [reinit(NEW_ID, NEW_SUITE)])


@pytest.mark.rule("11.2-01", "12.4.3.1-03")
def test_beginning_anew_in_another_suite(party: Party, suite_3: Crypto) -> None:
    end(party)
    owns = {name: in_suite(party, name, suite_3).key_package() for name in party.groups}
    pending = reinitialize(
        party.crypto.provider,
        party.groups["ben"],
        owns["ben"],
        [owns["ann"].key_package, owns["cat"].key_package],
        now=NOW,
    )
    assert pending.group.group_id == NEW_ID
    assert pending.group.cipher_suite == NEW_SUITE
    for name in ("ann", "cat"):
        group = join(suite_3, welcome_of(pending), owns[name], now=NOW, old=party.groups[name])
        assert group.epoch_authenticator == pending.group.epoch_authenticator
        with pytest.raises(ValidationError) as caught:
            join(suite_3, welcome_of(pending), owns[name], now=NOW)
        assert caught.value.code == "unknown-psk"


def test_a_group_that_has_not_ended(party: Party) -> None:
    own = party.client("ann").key_package()
    with pytest.raises(StateError) as caught:
        reinitialize(party.crypto.provider, party.groups["ann"], own, [], now=NOW)
    assert caught.value.code == "not-ended"


@pytest.mark.rule("12.4.2-08")
def test_a_group_that_has_ended_sends_nothing_more(party: Party) -> None:
    end(party)
    for group in party.groups.values():
        with pytest.raises(StateError) as caught:
            commit(group, now=NOW)
        assert caught.value.code == "group-ended"
        with pytest.raises(StateError) as caught:
            send_application_data(group, b"data")
        assert caught.value.code == "group-ended"


@pytest.mark.rule("12.4.1-06")
def test_nobody_is_left_behind(party: Party, suite_3: Crypto) -> None:
    end(party)
    own, ben = (in_suite(party, name, suite_3).key_package() for name in ("ann", "ben"))
    with pytest.raises(ValidationError) as caught:
        reinitialize(party.crypto.provider, party.groups["ann"], own, [ben.key_package], now=NOW)
    assert caught.value.code == "wrong-members"


def branched(party: Party, *names: str) -> tuple[PendingCommit, dict[str, Group]]:
    """Ann's branch with `names`, and their states in it."""
    owns = {name: party.client(name).key_package() for name in ("ann", *names)}
    others = [owns[name].key_package for name in names]
    pending = branch(party.groups["ann"], NEW_ID, owns["ann"], others, now=NOW)
    joined = {
        name: join(party.crypto, welcome_of(pending), owns[name], now=NOW, old=party.groups[name])
        for name in names
    }
    return pending, joined


def test_a_branch_of_some_members(party: Party) -> None:
    pending, joined = branched(party, "cat")
    assert joined["cat"].epoch_authenticator == pending.group.epoch_authenticator
    assert pending.group.group_id == NEW_ID
    # The old group goes on.
    party.commit("ben")


@pytest.mark.rule("11.3-04")
def test_a_branch_has_no_strangers_and_another_name(party: Party) -> None:
    own, stranger = (party.client(name).key_package() for name in ("ann", "stranger"))
    with pytest.raises(ValidationError) as caught:
        branch(party.groups["ann"], NEW_ID, own, [stranger.key_package], now=NOW)
    assert caught.value.code == "wrong-members"
    with pytest.raises(UsageError):
        branch(party.groups["ann"], GROUP_ID, own, [], now=NOW)


@pytest.mark.rule("11.3-01")
def test_a_branch_of_an_epoch_that_we_are_not_in(party: Party) -> None:
    own, ben = (party.client(name).key_package() for name in ("ann", "ben"))
    before = party.groups["ann"]
    party.commit("cat")
    pending = branch(before, NEW_ID, own, [ben.key_package], now=NOW)
    with pytest.raises(ValidationError) as caught:
        join(party.crypto, welcome_of(pending), ben, now=NOW, old=party.groups["ben"])
    assert caught.value.code == "wrong-resumption"
