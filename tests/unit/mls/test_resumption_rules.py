"""What who joins holds against a group that comes out of another (§11.2, §11.3, §12.4.3.1), by the code of each error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_state
from typing import Any

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto, CryptoProvider, crypto
from mls_federation.errors import MLSError
from mls_federation.mls import (
    Group,
    OwnKeyPackage,
    PendingCommit,
    Welcome,
    add,
    branch,
    commit,
    create_group,
    decode_message,
    join,
    pre_shared_key,
    reinit,
    reinitialize,
)
from mls_federation.mls.epoch import combined_psk_secret
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.psk import PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from mls_federation.mls.resumption import psk_of
from tests.support.forge import forge_welcome
from tests.support.pair import NOW, Party

from .test_leaf_rules import required
from .test_resumption import NEW_ID, NEW_SUITE, end, in_suite

REINIT, BRANCH = ResumptionPSKUsage.reinit, ResumptionPSKUsage.branch


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


@pytest.fixture
def suite_3(provider: CryptoProvider) -> Crypto:
    return crypto(provider, NEW_SUITE)


def welcome_of(pending: PendingCommit) -> Welcome:
    assert pending.welcome is not None
    message = decode_message(pending.welcome)
    assert isinstance(message, Welcome)
    return message


def psk_id(suite: Crypto, usage: ResumptionPSKUsage, group_id: bytes, epoch: int) -> PreSharedKeyID:
    psk = ResumptionPSK(usage=usage, psk_group_id=group_id, psk_epoch=epoch)
    return PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=suite.random(suite.Nh))


def branch_by_hand(
    suite: Crypto, party: Party, names: Sequence[str], *, usage: ResumptionPSKUsage = BRANCH, **group: Any
) -> tuple[PendingCommit, dict[str, OwnKeyPackage]]:
    """What Ann makes as a branch, or anew, with nobody to check it: the first commit of a group, with the PSK."""
    old = party.groups["ann"]
    owns = {name: in_suite(party, name, suite).key_package() for name in ("ann", *names)}
    new = create_group(suite, group.pop("group_id", NEW_ID), owns["ann"], group.pop("extensions", ()))
    proposals = [pre_shared_key(psk_id(suite, usage, old.group_id, old.epoch))]
    proposals += [add(owns[name].key_package) for name in names]
    return commit(new, proposals, now=NOW, psks=psk_of(old), resuming=usage), owns


def refused(
    suite: Crypto, welcome: Welcome, own: OwnKeyPackage, old: Group, code: str = "wrong-resumption"
) -> None:
    with pytest.raises(MLSError) as caught:
        join(suite, welcome, own, now=NOW, old=old)
    assert caught.value.code == code


@pytest.mark.rule("11.3-02")
def test_a_branch_in_another_suite(party: Party, suite_3: Crypto) -> None:
    pending, owns = branch_by_hand(suite_3, party, ["ben"])
    refused(suite_3, welcome_of(pending), owns["ben"], party.groups["ben"])


@pytest.mark.rule("11.3-04")
def test_a_branch_with_a_stranger(party: Party) -> None:
    pending, owns = branch_by_hand(party.crypto, party, ["ben", "stranger"])
    refused(party.crypto, welcome_of(pending), owns["ben"], party.groups["ben"], "wrong-members")


def with_context(
    suite: Crypto, pending: PendingCommit, own: OwnKeyPackage, old: Group, **changes: Any
) -> Welcome:
    """The Welcome into a group whose context says something else; Ann signs it."""
    opened = open_welcome(suite, welcome_of(pending), own, psk_of(old))
    context = replace(opened.group_info.group_context, **changes)
    return forge_welcome(pending.group, own, opened, info=replace(opened.group_info, group_context=context))


@pytest.mark.rule("11.3-03", "12.4.3.1-15")
@pytest.mark.parametrize("epoch", [0, 2, 2**64 - 1])
def test_a_branch_in_another_epoch_than_its_first(party: Party, epoch: int) -> None:
    pending, owns = branch_by_hand(party.crypto, party, ["ben"])
    old = party.groups["ben"]
    refused(
        party.crypto, with_context(party.crypto, pending, owns["ben"], old, epoch=epoch), owns["ben"], old
    )


@pytest.mark.rule("12.4.3.1-15", "11.2-01")
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_group_begun_anew_in_another_epoch_than_its_first(
    party: Party, suite_3: Crypto, epoch: int
) -> None:
    end(party)
    pending, owns = branch_by_hand(suite_3, party, ["ben", "cat"], usage=REINIT)
    old = party.groups["ben"]
    refused(suite_3, with_context(suite_3, pending, owns["ben"], old, epoch=epoch), owns["ben"], old)


@pytest.mark.rule("12.4.3.1-16", "11.2-01")
def test_a_group_begun_anew_that_is_not_what_was_said(party: Party, suite_1: Crypto, suite_3: Crypto) -> None:
    end(party)
    old = party.groups["ben"]
    honest, owns = branch_by_hand(suite_3, party, ["ben", "cat"], usage=REINIT)
    join(suite_3, welcome_of(honest), owns["ben"], now=NOW, old=old)
    for suite, changes in (
        (suite_1, {}),
        (suite_3, {"group_id": b"another"}),
        (suite_3, {"extensions": (required(),)}),
    ):
        pending, owns = branch_by_hand(suite, party, ["ben", "cat"], usage=REINIT, **changes)
        refused(suite, welcome_of(pending), owns["ben"], old)


@pytest.mark.rule("12.4.3.1-16")
def test_a_group_begun_anew_that_nobody_ended(party: Party, suite_3: Crypto) -> None:
    pending, owns = branch_by_hand(suite_3, party, ["ben", "cat"], usage=REINIT)
    refused(suite_3, welcome_of(pending), owns["ben"], party.groups["ben"])


@pytest.mark.rule("12.4.3.1-17")
def test_a_group_begun_anew_without_a_member(party: Party, suite_3: Crypto) -> None:
    end(party)
    pending, owns = branch_by_hand(suite_3, party, ["ben"], usage=REINIT)
    refused(suite_3, welcome_of(pending), owns["ben"], party.groups["ben"], "wrong-members")


@pytest.mark.rule("11.2-03")
def test_a_welcome_that_does_not_come_out_of_the_old_group(party: Party, suite_3: Crypto) -> None:
    end(party)
    owns = {name: in_suite(party, name, suite_3).key_package() for name in party.groups}
    new = create_group(suite_3, NEW_ID, owns["ann"])
    pending = commit(new, [add(owns[name].key_package) for name in ("ben", "cat")], now=NOW)
    refused(suite_3, welcome_of(pending), owns["ben"], party.groups["ben"])
    # As any other group it is sound.
    join(suite_3, welcome_of(pending), owns["ben"], now=NOW)


@pytest.mark.rule("11.2-03")
def test_a_psk_of_another_epoch_than_the_last(party: Party, suite_3: Crypto) -> None:
    old = party.groups["ann"]
    end(party)
    owns = {name: in_suite(party, name, suite_3).key_package() for name in party.groups}
    new = create_group(suite_3, NEW_ID, owns["ann"])
    early = psk_id(suite_3, REINIT, old.group_id, old.epoch)
    proposals = [pre_shared_key(early), *(add(owns[name].key_package) for name in ("ben", "cat"))]
    pending = commit(new, proposals, now=NOW, psks=psk_of(party.groups["ann"]), resuming=REINIT)
    refused(suite_3, welcome_of(pending), owns["ben"], party.groups["ben"])


@pytest.mark.rule("12.4.3.1-04")
@pytest.mark.parametrize("second", [REINIT, BRANCH])
def test_two_psks_of_old_groups(party: Party, second: ResumptionPSKUsage) -> None:
    pending, owns = branch_by_hand(party.crypto, party, ["ben"])
    old, own = party.groups["ben"], owns["ben"]
    opened = open_welcome(party.crypto, welcome_of(pending), own, psk_of(old))
    psks = (*opened.group_secrets.psks, psk_id(party.crypto, second, old.group_id, old.epoch))
    both = replace_state(opened, psk_secret=combined_psk_secret(party.crypto, psks, psk_of(old)))
    secrets = replace(opened.group_secrets, psks=psks)
    refused(party.crypto, forge_welcome(pending.group, own, both, group_secrets=secrets), own, old)


@pytest.mark.rule("11.2-02", "11.3-01", "8.4-02")
def test_the_psk_that_a_welcome_names(party: Party, suite_3: Crypto) -> None:
    nonces = set()
    for _ in range(2):
        owns = {name: party.client(name).key_package() for name in party.groups}
        old = party.groups["ann"]
        others = [owns[name].key_package for name in ("ben", "cat")]
        pending = branch(old, NEW_ID, owns["ann"], others, now=NOW)
        opened = open_welcome(party.crypto, welcome_of(pending), owns["ben"], psk_of(old))
        (named,) = opened.group_secrets.psks
        assert named.psk == ResumptionPSK(usage=BRANCH, psk_group_id=old.group_id, psk_epoch=old.epoch)
        assert len(named.psk_nonce) == party.crypto.Nh
        nonces.add(named.psk_nonce)
    assert len(nonces) == 2
    before = party.groups["ann"]
    end(party)
    owns = {name: in_suite(party, name, suite_3).key_package() for name in party.groups}
    old = party.groups["cat"]
    others = [owns[name].key_package for name in ("ann", "ben")]
    pending = reinitialize(party.crypto.provider, old, owns["cat"], others, now=NOW)
    opened = open_welcome(suite_3, welcome_of(pending), owns["ben"], psk_of(old))
    (named,) = opened.group_secrets.psks
    psk = ResumptionPSK(usage=REINIT, psk_group_id=before.group_id, psk_epoch=before.epoch + 1)
    assert named.psk == psk
    assert len(named.psk_nonce) == suite_3.Nh


@pytest.mark.rule("11.2-01", "12.4.1-06")
def test_what_a_group_begun_anew_is(suite_1: Crypto, suite_3: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    party.commit("ann", [reinit(NEW_ID, NEW_SUITE, (required(),))])
    owns = {name: in_suite(party, name, suite_3).key_package() for name in party.groups}
    pending = reinitialize(
        suite_1.provider, party.groups["ben"], owns["ben"], [owns["ann"].key_package], now=NOW
    )
    context = pending.group.context
    assert (context.version, context.cipher_suite) == (ProtocolVersion.mls10, NEW_SUITE)
    assert (context.group_id, context.extensions) == (NEW_ID, (required(),))
    group = join(suite_3, welcome_of(pending), owns["ann"], now=NOW, old=party.groups["ann"])
    assert group.epoch == 1
