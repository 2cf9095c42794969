"""Past epochs are kept for a stated number and time, and then erased (§9.2, §15.3)."""

import pytest

from mls_federation.crypto import Crypto
from mls_federation.errors import EpochError, UsageError, ValidationError
from mls_federation.mls import (
    DEFAULT_RETENTION,
    ApplicationMessage,
    CommitMessage,
    Group,
    Retention,
    commit,
    decode_group,
    encode_group,
    forget,
    pre_shared_key,
    receive,
)
from mls_federation.mls.psk import PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from tests.support.pair import NOW, Party

DAY = 24 * 3600


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben")


def epochs(group: Group) -> list[int]:
    return [past.context.epoch for past in group.past_epochs]


def committed(party: Party, now: int | None, retention: Retention = DEFAULT_RETENTION) -> None:
    """Ann commits, and both enter the epoch at that time."""
    pending = commit(party.groups["ann"], now=now, retention=retention)
    received = receive(party.groups["ben"], pending.message, now=now, retention=retention)
    assert isinstance(received, CommitMessage)
    party.groups = {"ann": pending.group, "ben": received.group}


def assert_forgotten(group: Group, message: bytes, now: int | None) -> None:
    with pytest.raises(EpochError) as caught:
        receive(group, message, now=now)
    assert caught.value.code == "epoch-forgotten"


def test_the_defaults_are_three_epochs_and_a_day() -> None:
    assert Retention(epochs=3, seconds=DAY) == DEFAULT_RETENTION


@pytest.mark.rule("9.2-05")
def test_past_epochs_are_kept_for_a_stated_number(party: Party) -> None:
    late = []
    for last in range(1, 6):
        late.append(party.send("ann", b"late"))
        committed(party, NOW)
        assert epochs(party.groups["ben"]) == list(range(1, last + 1))[-3:]
    assert_forgotten(party.groups["ben"], late[1], NOW)
    assert isinstance(receive(party.groups["ben"], late[2], now=NOW), ApplicationMessage)


@pytest.mark.rule("9.2-05")
def test_past_epochs_are_kept_for_a_stated_time(party: Party) -> None:
    late = party.send("ann", b"late")
    committed(party, NOW)
    for now in (NOW, NOW + DAY):
        assert isinstance(receive(party.groups["ben"], late, now=now), ApplicationMessage)
    assert_forgotten(party.groups["ben"], late, NOW + DAY + 1)


@pytest.mark.rule("9.2-05")
def test_what_is_over_is_erased_without_a_commit(party: Party) -> None:
    committed(party, NOW)
    committed(party, NOW + 100)
    by_a_message = by_a_call = party.groups["ben"]
    for now, kept in ((NOW + DAY, [1, 2]), (NOW + DAY + 1, [2]), (NOW + DAY + 101, [])):
        received = receive(by_a_message, party.send("ann", b"something"), now=now)
        assert isinstance(received, ApplicationMessage)
        by_a_message, by_a_call = received.group, forget(by_a_call, now)
        assert epochs(by_a_message) == epochs(by_a_call) == kept


def test_a_commit_erases_what_is_over_too(party: Party) -> None:
    committed(party, NOW)
    committed(party, NOW + DAY + 1)
    assert epochs(party.groups["ann"]) == epochs(party.groups["ben"]) == [2]


def test_nothing_is_changed_when_nothing_is_over(party: Party) -> None:
    committed(party, NOW)
    assert forget(party.groups["ben"], NOW + DAY) is party.groups["ben"]


def test_none_are_kept_if_none_are_wanted(party: Party) -> None:
    late = party.send("ann", b"late")
    for policy in (Retention(epochs=0), Retention(epochs=0, seconds=None)):
        committed(party, NOW, retention=policy)
        assert epochs(party.groups["ann"]) == epochs(party.groups["ben"]) == []
    assert_forgotten(party.groups["ben"], late, NOW)


def test_more_are_kept_if_more_are_wanted(party: Party) -> None:
    for _ in range(6):
        committed(party, NOW, retention=Retention(epochs=5, seconds=None))
    assert epochs(party.groups["ben"]) == [2, 3, 4, 5, 6]
    assert epochs(forget(party.groups["ben"], NOW + 1000 * DAY, Retention(epochs=4, seconds=None))) == [
        3,
        4,
        5,
        6,
    ]


def test_without_the_time_only_the_number_counts(party: Party) -> None:
    for _ in range(4):
        committed(party, None)
    assert epochs(forget(party.groups["ben"], None)) == [2, 3, 4]


def test_the_time_begins_when_it_is_first_known(party: Party) -> None:
    committed(party, None)
    group = forget(party.groups["ben"], NOW)
    assert epochs(forget(group, NOW + DAY)) == [1]
    assert epochs(forget(group, NOW + DAY + 1)) == []


def test_a_clock_that_was_set_back_keeps_nothing_for_longer(party: Party) -> None:
    committed(party, NOW + 1000 * DAY)
    group = forget(party.groups["ben"], NOW)
    assert epochs(forget(group, NOW + DAY)) == [1]
    assert epochs(forget(group, NOW + DAY + 1)) == []


def test_the_time_survives_a_restart(party: Party) -> None:
    late = party.send("ann", b"late")
    committed(party, NOW)
    group = decode_group(party.crypto.provider, encode_group(party.groups["ben"]))
    assert isinstance(receive(group, late, now=NOW + DAY), ApplicationMessage)
    assert_forgotten(group, late, NOW + DAY + 1)


@pytest.mark.rule("8.6-01")
def test_a_forgotten_epoch_is_no_resumption_psk_any_more(party: Party) -> None:
    psk = ResumptionPSK(usage=ResumptionPSKUsage.application, psk_group_id=b"the group", psk_epoch=1)
    psk_id = PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=bytes(party.crypto.Nh))
    committed(party, NOW)
    commit(party.groups["ben"], [pre_shared_key(psk_id)], now=NOW + DAY)
    with pytest.raises(ValidationError) as caught:
        commit(forget(party.groups["ben"], NOW + DAY + 1), [pre_shared_key(psk_id)], now=NOW + DAY + 1)
    assert caught.value.code == "unknown-psk"


def test_bounds_are_not_negative() -> None:
    with pytest.raises(UsageError):
        Retention(epochs=-1)
    with pytest.raises(UsageError):
        Retention(seconds=-1)
