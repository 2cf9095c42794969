"""Ordering: one commit for each epoch, by a service that has checked it, with a receipt that says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replace_state

import httpx
import pytest

from mls_delivery.service import Limits
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation.binding import MEDIA_TYPE
from mls_federation.federation.ordering import (
    CommitResponse,
    CommitStatus,
    MissedCommits,
    MissedRequest,
    OrderingReceipt,
)
from mls_federation.mls import (
    Group,
    GroupInfo,
    PendingCommit,
    decode_message,
    join_by_external_commit,
    receive,
    reinit,
)
from mls_federation.mls.ratchet_tree import decode_tree
from tests.delivery.ordered import OrderedParty, request_for
from tests.delivery.support import SUITE_1, SUITE_3, Clock, Running, checked, refusal, running_service


@pytest.fixture
def party(provider: CryptoProvider, service: Running, clock: Clock) -> OrderedParty:
    """Ann, Ben and Cat, in epoch 1."""
    return OrderedParty(provider, service, clock, "ann", "ben", "cat")


def rejoining(party: OrderedParty, name: str, lost: Group) -> PendingCommit:
    """The external commit of a member that comes back."""
    given = party.group_info(name)
    info = decode_message(given.group_info)
    assert isinstance(info, GroupInfo)
    return join_by_external_commit(
        party.crypto,
        info,
        party.key_package(name),
        now=party.clock.now,
        tree=decode_tree(given.ratchet_tree),
        replacing=lost.own_leaf,
    )


def test_a_group_goes_on_by_ordered_commits(party: OrderedParty, clock: Clock) -> None:
    clock.now += 100
    receipts = [party.renew("ben"), party.add("cat", "dan"), party.remove("dan", "ann"), party.renew("dan")]
    assert [receipt.epoch for receipt in receipts] == [2, 3, 4, 5]
    assert {receipt.accepted_at for receipt in receipts} == {clock.now}
    assert set(party.groups) == {"ben", "cat", "dan"}
    assert {group.context for group in party.groups.values()} == {party.any_group.context}


def test_the_same_commit_again_gets_the_same_receipt(party: OrderedParty, clock: Clock) -> None:
    pending = party.commit("ann")
    receipt = party.accept("ann", pending)
    clock.now += 10
    assert party.submit(request_for(pending)) == receipt
    party.renew("ben")
    assert party.submit(request_for(pending)) == receipt


def test_who_comes_second_is_told_what_was_missed(party: OrderedParty) -> None:
    early, late = party.commit("ann"), party.commit("ben")
    receipt = party.accept("ann", early)
    missed = party.submit(request_for(late))
    assert isinstance(missed, MissedCommits)
    assert missed.current_epoch == 2
    assert [(item.commit, item.receipt) for item in missed.commits] == [(early.message, receipt)]


def test_a_commit_of_an_epoch_to_come_is_not_ordered(party: OrderedParty) -> None:
    ahead = party.commit("ann")
    party.groups["ann"] = ahead.group
    missed = party.submit(request_for(party.commit("ann")))
    assert missed == MissedCommits(current_epoch=1, commits=())


def test_missed_commits_bring_a_member_up_to_date(party: OrderedParty, clock: Clock) -> None:
    behind = party.groups.pop("cat")
    for by in ("ann", "ben", "ann"):
        party.renew(by)
    for item in party.missed(behind.epoch).commits:
        received = receive(behind, item.commit, now=clock.now)
        assert not hasattr(received, "data")
        behind = received.group  # type: ignore[union-attr]
    assert behind.context == party.any_group.context
    assert party.missed(behind.epoch) == MissedCommits(current_epoch=behind.epoch, commits=())


def test_a_member_that_lost_the_thread_comes_back(party: OrderedParty, clock: Clock) -> None:
    lost = party.groups.pop("cat")
    receipt = party.renew("ben")
    assert party.group_info("cat").receipt == receipt
    pending = rejoining(party, "cat", lost)
    assert party.accept("cat", pending).epoch == 3
    party.renew("ann")
    party.groups["cat"] = receive(pending.group, party.missed(3).commits[0].commit, now=clock.now).group  # type: ignore[union-attr]
    party.renew("cat")


def test_a_group_that_begins_anew_has_no_further_commits(party: OrderedParty) -> None:
    pending = party.commit("ann", reinit(b"the next group", party.suite, party.any_group.context.extensions))
    party.accept("ann", pending)
    party.groups["ben"] = replace_state(party.groups["ben"], reinit=None)  # a member who does not care
    still_there = party.commit("ben")
    answer = party.ask(request_for(still_there))
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-commit"), "group-ended")


class WithoutTheFirst(PycaProvider):
    """Lacks the suite that is the best for the others."""

    def supports(self, cipher_suite: CipherSuite) -> bool:
        """Whether it has a suite."""
        return cipher_suite != SUITE_1 and super().supports(cipher_suite)


def test_the_agreement_is_made_right_when_somebody_is_added(
    provider: CryptoProvider, service: Running, clock: Clock
) -> None:
    party = OrderedParty(provider, service, clock, "ann", suite=SUITE_3, providers={"old": WithoutTheFirst()})
    assert party.agreed().passed_over == (SUITE_1,)
    party.add("ann", "old", "ben", "cat", passed_over=())
    # Who lacked the better suite leaves. Nobody has to mend the agreement for that, nor to come back.
    party.remove("ben", "old")
    party.renew("cat")
    lost = party.groups.pop("cat")
    party.accept("cat", rejoining(party, "cat", lost))
    # But whoever adds somebody does.
    silent = party.commit("ann", joining=[party.key_package("dan")])
    answer = party.ask(request_for(silent))
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-commit"), "suite-downgrade")
    party.add("ann", "dan", passed_over=(SUITE_1,))


def test_a_group_that_is_not_known(party: OrderedParty) -> None:
    stranger = replace(party.group_info_request("ann"), group_id=b"another group")
    for path, body in (
        ("/v1/missed", MissedRequest(group_id=b"another group", epoch=0)),
        ("/v1/group-info", stranger),
    ):
        assert refusal(party.service.post(path, body)) == (404, "unknown-group")


def test_of_many_commits_at_once_one_is_accepted(party: OrderedParty) -> None:
    """Over several epochs, each with commits of all members that arrive together."""

    async def submit_all(bodies: list[bytes]) -> list[CommitResponse]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        party.service.url + "/v1/commits", content=body, headers={"Content-Type": MEDIA_TYPE}
                    )
                    for body in bodies
                )
            )
        return [CommitResponse.decode(checked(answer)) for answer in answers]

    for _ in range(4):
        rivals = [(name, party.commit(name)) for name in list(party.groups) * 4]
        answers = asyncio.run(submit_all([request_for(rival).encode() for _, rival in rivals]))
        won = [answer.status == CommitStatus.accepted for answer in answers]
        assert won.count(True) == 1
        name, winner = rivals[won.index(True)]
        for answer in answers:
            if answer.status == CommitStatus.wrong_epoch:
                assert isinstance(answer.result, MissedCommits)
                assert [item.commit for item in answer.result.commits] == [winner.message]
        party.apply(name, winner)
    party.renew("ben")


def test_two_services_that_share_a_store_cannot_both_accept(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with (
        running_service(provider, database_url, clock=clock) as one,
        running_service(provider, database_url, clock=clock) as other,
    ):
        party = OrderedParty(provider, one, clock, "ann", "ben")

        async def race(bodies: list[bytes]) -> list[CommitResponse]:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                answers = await asyncio.gather(
                    *(
                        client.post(
                            service.url + "/v1/commits", content=body, headers={"Content-Type": MEDIA_TYPE}
                        )
                        for body in bodies
                        for service in (one, other)
                    )
                )
            return [CommitResponse.decode(checked(answer)) for answer in answers]

        for _ in range(5):
            rivals = [(name, party.commit(name)) for name in ("ann", "ben") * 2]
            answers = asyncio.run(race([request_for(rival).encode() for _, rival in rivals]))
            receipts = {
                answer.result.commit_hash: answer.result
                for answer in answers
                if isinstance(answer.result, OrderingReceipt)
            }
            (receipt,) = receipts.values()
            name, winner = next(
                (name, rival) for name, rival in rivals if party.submit(request_for(rival)) == receipt
            )
            party.apply(name, winner)


def test_what_was_accepted_outlives_the_service(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_service(provider, database_url, clock=clock) as service:
        party = OrderedParty(provider, service, clock, "ann", "ben")
        pending = party.commit("ben")
        receipt = party.accept("ben", pending)
    with running_service(provider, database_url, clock=clock) as service:
        party.service = service
        assert party.submit(request_for(pending)) == receipt
        assert party.renew("ann").epoch == 3


def test_old_commits_are_forgotten(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    limits = Limits(group_commits=2, group_commit_seconds=1000)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        party = OrderedParty(provider, service, clock, "ann", "ben")
        for _ in range(3):
            party.renew("ann")
        assert party.missed(1) == MissedCommits(current_epoch=4, commits=())
        assert len(party.missed(2).commits) == 2
        clock.now += 1001
        party.renew("ben")
        assert party.missed(2) == MissedCommits(current_epoch=5, commits=())
        assert len(party.missed(4).commits) == 1


def test_large_commits_are_forgotten_sooner(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_service(
        provider, database_url, clock=clock, limits=Limits(group_commit_octets=1)
    ) as service:
        party = OrderedParty(provider, service, clock, "ann", "ben")
        party.renew("ann")
        assert party.missed(0).commits == ()
        assert len(party.missed(1).commits) == 1


def test_what_was_missed_comes_in_portions(provider: CryptoProvider, database_url: str, clock: Clock) -> None:
    with running_service(provider, database_url, clock=clock, limits=Limits(body=8192)) as service:
        party = OrderedParty(provider, service, clock, "ann", "ben")
        for _ in range(12):
            party.renew("ann")
        epoch, portions = 0, 0
        while commits := party.missed(epoch).commits:
            assert [item.receipt.epoch for item in commits] == list(
                range(epoch + 1, epoch + 1 + len(commits))
            )
            epoch, portions = epoch + len(commits), portions + 1
        assert epoch == 13
        assert portions > 1
