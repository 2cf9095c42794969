"""Commits and groups that an ordering service refuses; none of them keeps the members from going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replace_state
from pathlib import Path

import pytest

from mls_delivery.service import Limits
from mls_federation.client.account import new_account, new_key_package
from mls_federation.codec import replace
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import ServiceError, VerificationError
from mls_federation.federation.group_agreement import (
    ordered_by_members,
    ordered_by_service,
    with_agreement,
)
from mls_federation.federation.identity import FEDERATION_IDENTITY
from mls_federation.federation.ordering import CommitRequest, MissedCommits, MissedRequest, OrderingReceipt
from mls_federation.mls import (
    PendingCommit,
    PublicMessage,
    WireFormat,
    add,
    change_extensions,
    commit,
    decode_message,
    group_info,
    join_by_external_commit,
    mls_message,
    pre_shared_key,
    propose,
    propose_to_be_added,
    psk_lookup,
    receive,
    reinit,
    remove,
)
from mls_federation.mls.extensions import Extension, ExtensionType, ExternalPub, find_extension
from mls_federation.mls.framing import ContentType, FramedContentAuthData, member
from mls_federation.mls.protection import framed_content
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType
from mls_federation.mls.tree_math import LeafIndex, node_of
from mls_federation.mls.welcome import sign_group_info
from tests.delivery.ordered import PUBLIC, OrderedParty, encoded_info, request_for
from tests.delivery.support import Clock, Running, refusal, running_service
from tests.support.forge import forge_commit, valid_path
from tests.support.pair import new_client

Attack = Callable[[OrderedParty], tuple[CommitRequest, str]]


@pytest.fixture
def party(provider: CryptoProvider, service: Running, clock: Clock) -> OrderedParty:
    """Eve keeps no rule."""
    return OrderedParty(provider, service, clock, "ann", "ben", "eve")


def forged(party: OrderedParty, message: bytes) -> CommitRequest:
    return CommitRequest(commit=message, group_info=encoded_info(party.groups["eve"]))


# -- commits that RFC 9420 forbids


def a_commit_that_nobody_signed(party: OrderedParty) -> tuple[CommitRequest, str]:
    request = request_for(party.commit("eve"))
    message = decode_message(request.commit)
    assert isinstance(message, PublicMessage)
    signature = bytearray(message.auth.signature)
    signature[7] ^= 1
    broken = mls_message(replace(message, auth=replace(message.auth, signature=bytes(signature)))).encode()
    return replace(request, commit=broken), "bad-signature"


def a_commit_of_somebody_who_is_not_in_the_group(party: OrderedParty) -> tuple[CommitRequest, str]:
    stranger = new_key_package(party.provider, party.account("zoe"), party.suite, party.clock.now)
    as_ben = replace_state(party.groups["ben"], signature_key=stranger.signature_key)
    return forged(party, forge_commit(as_ben, [], valid_path(as_ben))), "bad-signature"


def a_commit_from_a_leaf_that_is_blank(party: OrderedParty) -> tuple[CommitRequest, str]:
    elsewhere = replace_state(party.groups["eve"], own_leaf=LeafIndex(3))
    return forged(party, forge_commit(elsewhere, [remove(LeafIndex(0))])), "not-a-member"


def a_commit_with_a_short_path(party: OrderedParty) -> tuple[CommitRequest, str]:
    group = party.groups["eve"]
    path = valid_path(group)
    return forged(party, forge_commit(group, [], replace(path, nodes=path.nodes[:-1]))), "wrong-path-length"


def a_commit_with_a_long_path(party: OrderedParty) -> tuple[CommitRequest, str]:
    group = party.groups["eve"]
    path = valid_path(group)
    return forged(
        party, forge_commit(group, [], replace(path, nodes=path.nodes * 2))
    ), "duplicate-encryption-key"


def a_commit_without_the_ciphertexts_of_its_path(party: OrderedParty) -> tuple[CommitRequest, str]:
    group = party.groups["ben"]
    path = valid_path(group)
    nodes = tuple(replace(node, encrypted_path_secret=()) for node in path.nodes)
    return forged(party, forge_commit(group, [], replace(path, nodes=nodes))), "wrong-path-length"


def a_commit_that_removes_nobody(party: OrderedParty) -> tuple[CommitRequest, str]:
    group = party.groups["eve"]
    return forged(party, forge_commit(group, [remove(LeafIndex(3))], valid_path(group))), "not-a-member"


def a_commit_that_removes_its_committer(party: OrderedParty) -> tuple[CommitRequest, str]:
    group = party.groups["eve"]
    return forged(party, forge_commit(group, [remove(group.own_leaf)])), "committer-removed"


def a_private_commit(party: OrderedParty) -> tuple[CommitRequest, str]:
    pending = commit(party.groups["eve"], now=party.clock.now, wire_format=WireFormat.mls_private_message)
    return request_for(pending), "unexpected-message"


def a_proposal_alone(party: OrderedParty) -> tuple[CommitRequest, str]:
    sent = propose(party.groups["eve"], remove(party.groups["ann"].own_leaf), wire_format=PUBLIC)
    return forged(party, sent.message), "not-a-commit"


def application_data(party: OrderedParty) -> tuple[CommitRequest, str]:
    context, leaf = party.groups["eve"].context, party.groups["eve"].own_leaf
    content = framed_content(context, member(leaf), ContentType.application, b"in the open", b"")
    auth = FramedContentAuthData(
        content_type=ContentType.application, signature=bytes(64), confirmation_tag=None
    )
    message = PublicMessage(content=content, auth=auth, membership_tag=bytes(32))
    return forged(party, mls_message(message).encode()), "not-a-commit"


def octets_that_are_no_message(party: OrderedParty) -> tuple[CommitRequest, str]:
    return forged(party, b"\0\1\0\1 and so on"), "malformed"


def a_commit_that_refers_to_a_proposal(party: OrderedParty) -> tuple[CommitRequest, str]:
    sent = propose(party.groups["eve"], remove(party.groups["ann"].own_leaf), wire_format=PUBLIC)
    pending = commit(sent.group, now=party.clock.now, wire_format=PUBLIC)
    return request_for(pending), "proposal-by-reference"


def a_commit_of_somebody_elses_proposal_to_be_added(party: OrderedParty) -> tuple[CommitRequest, str]:
    own = party.key_package("zoe")
    outside = propose_to_be_added(party.crypto, party.any_group.group_id, party.any_group.epoch, own)
    received = receive(party.groups["eve"], outside, now=party.clock.now)
    pending = commit(received.group, now=party.clock.now, wire_format=PUBLIC)  # type: ignore[union-attr]
    return request_for(pending), "proposal-by-reference"


def a_psk_that_the_others_lack(party: OrderedParty) -> tuple[CommitRequest, str]:
    psk = PreSharedKeyID(
        psktype=PSKType.external, psk=ExternalPSK(psk_id=b"mine alone"), psk_nonce=bytes(party.crypto.Nh)
    )
    pending = commit(
        party.groups["eve"],
        [pre_shared_key(psk)],
        now=party.clock.now,
        psks=psk_lookup({b"mine alone": b"secret"}),
        wire_format=PUBLIC,
    )
    return request_for(pending), "psk-not-allowed"


# -- commits that the federation forbids


def somebody_without_an_identity(party: OrderedParty) -> tuple[CommitRequest, str]:
    stranger = new_client(party.crypto, "zoe@b.example")
    template = party.key_package("zoe").key_package.leaf_node
    own = stranger.key_package(capabilities=template.capabilities, lifetime=template.source)  # type: ignore[arg-type]
    pending = commit(party.groups["eve"], [add(own.key_package)], now=party.clock.now, wire_format=PUBLIC)
    return request_for(pending), "no-federation-identity"


def somebody_of_the_same_name(party: OrderedParty) -> tuple[CommitRequest, str]:
    impostor = new_account(party.provider, party.account("ann").identity)
    own = new_key_package(party.provider, impostor, party.suite, party.clock.now)
    pending = commit(party.groups["eve"], [add(own.key_package)], now=party.clock.now, wire_format=PUBLIC)
    return request_for(pending), "identity-conflict"


def _with_another_leaf(party: OrderedParty, extension: Extension | None) -> PendingCommit:
    """A commit of Eve's whose path brings another identity, or none."""
    group = party.groups["eve"]
    kept = [item for item in group.own_leaf_node.extensions if item.extension_type != FEDERATION_IDENTITY]
    leaf = replace(group.own_leaf_node, extensions=(*kept, *([extension] if extension else [])))
    tree = group.tree.copy()
    tree.set_node(node_of(group.own_leaf), leaf)
    return commit(replace_state(group, tree=tree), now=party.clock.now, wire_format=PUBLIC)


def a_member_who_takes_off_its_identity(party: OrderedParty) -> tuple[CommitRequest, str]:
    return request_for(_with_another_leaf(party, None)), "no-federation-identity"


def a_member_who_puts_on_that_of_another_leaf(party: OrderedParty) -> tuple[CommitRequest, str]:
    data = find_extension(party.groups["ann"].own_leaf_node.extensions, FEDERATION_IDENTITY)
    assert data is not None
    pending = _with_another_leaf(party, Extension(extension_type=FEDERATION_IDENTITY, extension_data=data))
    return request_for(pending), "wrong-identity"


def an_agreement_on_less(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_agreement(party, version=0), "version-downgrade"


def an_agreement_on_what_not_all_speak(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_agreement(party, version=2), "version-not-common"


def an_agreement_that_names_us_with_another_key(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_agreement(party, signing_key=bytes(32)), "wrong-service"


def _with_agreement(party: OrderedParty, **changes: object) -> CommitRequest:
    extensions = with_agreement((), replace(party.agreed(), **changes))
    return request_for(party.commit("eve", change_extensions(extensions)))


def an_agreement_that_lets_the_members_order(party: OrderedParty) -> tuple[CommitRequest, str]:
    extensions = with_agreement((), ordered_by_members(party.agreed()))
    return request_for(party.commit("eve", change_extensions(extensions))), "ordering-changed"


def no_agreement_any_more(party: OrderedParty) -> tuple[CommitRequest, str]:
    return request_for(party.commit("eve", change_extensions(()))), "no-agreement"


def _external(party: OrderedParty, name: str, replacing: str | None) -> CommitRequest:
    info = group_info(party.groups["ann"], with_external_pub=True)
    pending = join_by_external_commit(
        party.crypto,
        info,
        party.key_package(name),
        now=party.clock.now,
        replacing=None if replacing is None else party.groups[replacing].own_leaf,
        check_successor=lambda *_: None,
    )
    return request_for(pending)


def a_stranger_who_joins_by_itself(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _external(party, "zoe", None), "not-a-rejoin"


def a_stranger_in_the_place_of_a_member(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _external(party, "zoe", "ben"), "not-a-successor"


def a_member_who_comes_back_in_the_place_of_another(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _external(party, "eve", "ben"), "not-a-successor"


def an_impostor_who_comes_back(party: OrderedParty) -> tuple[CommitRequest, str]:
    impostor = new_account(party.provider, party.account("ann").identity)
    party.accounts["impostor"] = impostor
    return _external(party, "impostor", "ann"), "not-a-rejoin"


# -- commits whose GroupInfo would let nobody come back


def _info(pending: PendingCommit, **changes: object) -> bytes:
    """A GroupInfo of the committer's in which something is different, well signed."""
    info = replace(group_info(pending.group, with_tree=False, with_external_pub=True), **changes)
    return mls_message(sign_group_info(pending.group.crypto, pending.group.signature_key, info)).encode()


def _with_info(party: OrderedParty, info_of: Callable[[PendingCommit], bytes]) -> CommitRequest:
    pending = party.commit("eve")
    return replace(request_for(pending), group_info=info_of(pending))


def a_group_info_with_another_transcript(party: OrderedParty) -> tuple[CommitRequest, str]:
    def info(pending: PendingCommit) -> bytes:
        context = replace(pending.group.context, confirmed_transcript_hash=bytes(32))
        return _info(pending, group_context=context)

    return _with_info(party, info), "wrong-group-info"


def a_group_info_of_the_epoch_before(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_info(party, lambda _: encoded_info(party.groups["eve"])), "wrong-group-info"


def a_group_info_of_another_commit(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_info(party, lambda _: encoded_info(party.commit("eve").group)), "wrong-group-info"


def a_group_info_with_another_tag(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_info(party, lambda pending: _info(pending, confirmation_tag=bytes(32))), "wrong-group-info"


def a_group_info_of_another_signer(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_info(party, lambda pending: _info(pending, signer=0)), "wrong-group-info"


def a_group_info_that_its_signer_did_not_sign(party: OrderedParty) -> tuple[CommitRequest, str]:
    def info(pending: PendingCommit) -> bytes:
        whole = group_info(pending.group, with_tree=False, with_external_pub=True)
        return mls_message(replace(whole, signature=bytes(64))).encode()

    return _with_info(party, info), "bad-signature"


def a_group_info_without_a_way_back(party: OrderedParty) -> tuple[CommitRequest, str]:
    return (
        _with_info(party, lambda pending: encoded_info(pending.group, with_external_pub=False)),
        "no-external-pub",
    )


def a_group_info_whose_way_back_is_no_key(party: OrderedParty) -> tuple[CommitRequest, str]:
    nowhere = Extension(
        extension_type=ExtensionType.external_pub,
        extension_data=ExternalPub(external_pub=bytes(31)).encode(),
    )
    return _with_info(party, lambda pending: _info(pending, extensions=(nowhere,))), "invalid-public-key"


def a_group_info_with_a_tree(party: OrderedParty) -> tuple[CommitRequest, str]:
    return (
        _with_info(party, lambda pending: encoded_info(pending.group, with_tree=True)),
        "unexpected-tree",
    )


def a_group_info_that_is_something_else(party: OrderedParty) -> tuple[CommitRequest, str]:
    return _with_info(party, lambda pending: pending.message), "unexpected-message"


ATTACKS: tuple[Attack, ...] = (
    a_commit_that_nobody_signed,
    a_commit_of_somebody_who_is_not_in_the_group,
    a_commit_from_a_leaf_that_is_blank,
    a_commit_with_a_short_path,
    a_commit_with_a_long_path,
    a_commit_without_the_ciphertexts_of_its_path,
    a_commit_that_removes_nobody,
    a_commit_that_removes_its_committer,
    a_private_commit,
    a_proposal_alone,
    application_data,
    octets_that_are_no_message,
    a_commit_that_refers_to_a_proposal,
    a_commit_of_somebody_elses_proposal_to_be_added,
    a_psk_that_the_others_lack,
    somebody_without_an_identity,
    somebody_of_the_same_name,
    a_member_who_takes_off_its_identity,
    a_member_who_puts_on_that_of_another_leaf,
    an_agreement_on_less,
    an_agreement_on_what_not_all_speak,
    an_agreement_that_names_us_with_another_key,
    an_agreement_that_lets_the_members_order,
    no_agreement_any_more,
    a_stranger_who_joins_by_itself,
    a_stranger_in_the_place_of_a_member,
    a_member_who_comes_back_in_the_place_of_another,
    an_impostor_who_comes_back,
    a_group_info_with_another_transcript,
    a_group_info_of_the_epoch_before,
    a_group_info_of_another_commit,
    a_group_info_with_another_tag,
    a_group_info_of_another_signer,
    a_group_info_that_its_signer_did_not_sign,
    a_group_info_without_a_way_back,
    a_group_info_whose_way_back_is_no_key,
    a_group_info_with_a_tree,
    a_group_info_that_is_something_else,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_commit_that_is_refused_changes_nothing(party: OrderedParty, attack: Attack) -> None:
    request, reason = attack(party)
    answer = party.ask(request)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-commit"), reason)
    assert party.missed(1) == MissedCommits(current_epoch=1, commits=())
    assert party.renew("ben").epoch == 2


def test_a_member_who_was_removed_commits_no_more(party: OrderedParty) -> None:
    eve = party.groups["eve"]
    before = party.commit("eve")
    party.remove("ann", "eve")
    assert isinstance(party.submit(request_for(before)), MissedCommits)
    # She pretends to be in the new epoch, whose context she can compute.
    late = replace_state(eve, context=party.any_group.context, tree=party.any_group.tree)
    answer = party.ask(CommitRequest(commit=forge_commit(late, []), group_info=b""))
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-commit"), "not-a-member")
    # And in the place of somebody who came after her.
    party.add("ann", "dan")
    assert party.groups["dan"].own_leaf == eve.own_leaf
    late = replace_state(eve, context=party.any_group.context, tree=party.any_group.tree)
    answer = party.ask(CommitRequest(commit=forge_commit(late, []), group_info=b""))
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-commit"), "bad-signature")
    party.renew("dan")


def test_replayed_and_reordered_commits_begin_no_epoch(party: OrderedParty) -> None:
    first = party.commit("ann")
    ahead = replace_state(party.groups["ann"])
    party.groups["ann"] = first.group
    second = party.commit("ann")
    party.groups["ann"] = ahead
    assert party.submit(request_for(second)) == MissedCommits(current_epoch=1, commits=())
    receipt = party.accept("ann", first)
    assert party.accept("ann", second).epoch == 3
    assert party.submit(request_for(first)) == receipt
    assert party.missed(3) == MissedCommits(current_epoch=3, commits=())


def test_what_is_right_but_for_its_secrets_is_accepted_once_and_names_its_maker(party: OrderedParty) -> None:
    """What a service cannot know: whether a confirmation tag is right. The receipt says whose commit it was."""
    group = party.groups["eve"]
    wrong = party.commit("eve")
    message = decode_message(wrong.message)
    assert isinstance(message, PublicMessage)
    tag = bytes(32)
    broken = mls_message(replace(message, auth=replace(message.auth, confirmation_tag=tag))).encode()
    info = _info(wrong, confirmation_tag=tag)
    receipt = party.submit(CommitRequest(commit=broken, group_info=info))
    assert isinstance(receipt, OrderingReceipt)
    for name in ("ann", "ben"):
        with pytest.raises(VerificationError):
            receive(party.groups[name], broken, now=party.clock.now)
    assert message.content.sender.index == group.own_leaf


# -- registering


def test_a_group_is_not_registered_over_another(party: OrderedParty, provider: CryptoProvider) -> None:
    before = encoded_info(party.groups["ann"], with_tree=True)
    party.renew("ann")
    assert refusal(party.ask_to_register("ann", before)) == (409, "group-exists")
    other = OrderedParty(provider, party.service, party.clock, "mallory", group_id=b"another group")
    forged_info = replace(
        group_info(other.groups["mallory"], with_external_pub=True),
        group_context=replace(other.any_group.context, group_id=party.any_group.group_id),
    )
    signed = sign_group_info(other.crypto, other.groups["mallory"].signature_key, forged_info)
    answer = other.ask_to_register("mallory", mls_message(signed).encode())
    assert refusal(answer) == (409, "group-exists")
    party.renew("ben")


def test_registering_again_changes_nothing(party: OrderedParty) -> None:
    given = party.group_info("ann")
    assert party.register("ben") == 1
    assert party.group_info("ann") == given
    party.renew("ann")


def test_only_the_signers_session_registers_a_group(party: OrderedParty) -> None:
    info = encoded_info(party.groups["ann"], with_tree=True)
    assert refusal(party.ask_to_register("ben", info)) == (403, "not-a-member")
    request = party.service.request(
        "POST", "/v1/groups", b"\0\0", {"Content-Type": "application/mls-federation"}
    )
    assert refusal(request) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("reason", "info_of"),
    [
        (
            "no-external-pub",
            lambda party: encoded_info(party.any_group, with_tree=True, with_external_pub=False),
        ),
        ("no-tree", lambda party: encoded_info(party.any_group)),
        ("unexpected-message", lambda party: party.commit("ann").message),
        ("malformed", lambda _: b"\0\1\0\4"),
        (
            "bad-signature",
            lambda party: mls_message(
                replace(group_info(party.any_group, with_external_pub=True), signature=bytes(64))
            ).encode(),
        ),
    ],
)
def test_groups_that_cannot_be_registered(
    party: OrderedParty, reason: str, info_of: Callable[[OrderedParty], bytes]
) -> None:
    answer = party.ask_to_register("ann", info_of(party))
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), reason)


@pytest.mark.parametrize("elsewhere", ["c.example", "members", "key"])
def test_groups_that_another_orders(party: OrderedParty, elsewhere: str) -> None:
    agreement = {
        "c.example": ordered_by_service(party.agreed(), "c.example", party.key),
        "members": ordered_by_members(party.agreed()),
        "key": ordered_by_service(party.agreed(), "b.example", bytes(32)),
    }[elsewhere]
    group = party.groups["ann"]
    context = replace(group.context, extensions=with_agreement((), agreement))
    info = encoded_info(replace_state(group, context=context), with_tree=True)
    answer = party.ask_to_register("ann", info)
    assert (refusal(answer), answer.json()["reason"]) == ((400, "invalid-group"), "wrong-service")


def test_nobody_has_more_groups_than_their_share(
    provider: CryptoProvider, tmp_path: Path, clock: Clock
) -> None:
    limits = Limits(groups=2, group_commit_seconds=1000)
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock, limits=limits) as service:
        first = OrderedParty(provider, service, clock, "ann", group_id=b"first")

        def begin(group_id: bytes) -> OrderedParty:
            return OrderedParty(provider, service, clock, "ann", group_id=group_id, accounts=first.accounts)

        begin(b"second")
        with pytest.raises(ServiceError) as refused:
            begin(b"third")
        assert refused.value.code == "too-many-groups"
        again = reinit(b"another", first.suite, first.any_group.context.extensions)
        first.accept("ann", first.commit("ann", again))
        with pytest.raises(ServiceError):
            begin(b"third")
        clock.now += 1001
        begin(b"third")
        assert refusal(service.post("/v1/missed", MissedRequest(group_id=b"first", epoch=0))) == (
            404,
            "unknown-group",
        )


def test_a_group_may_have_so_many_octets(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> None:
    limits = Limits(group_octets=2000)
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock, limits=limits) as service:
        party = OrderedParty(provider, service, clock, "ann", "ben")
        with pytest.raises(ServiceError) as refused:
            party.add("ann", "cat", "dan", "eve", "fay")
        assert refused.value.code == "invalid-commit"
        party.renew("ben")
        party.remove("ann", "ben")


# -- who may come back


def test_who_is_not_in_the_group_gets_no_group_info(party: OrderedParty) -> None:
    party.remove("ann", "eve")
    for name in ("eve", "zoe"):
        answer = party.service.post("/v1/group-info", party.group_info_request(name))
        assert refusal(answer) == (403, "not-a-member")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"time": 1_800_000_000 - 301}, "stale-request"),
        ({"time": 1_800_000_000 + 301}, "stale-request"),
        ({"domain": "c.example"}, "bad-signature"),
    ],
)
def test_requests_that_were_made_for_something_else(
    party: OrderedParty, changes: dict[str, object], code: str
) -> None:
    answer = party.service.post("/v1/group-info", party.group_info_request("ann", **changes))
    assert refusal(answer) == (403, code)


def test_somebody_else_cannot_ask_for_a_member(party: OrderedParty) -> None:
    request = replace(party.group_info_request("zoe"), credential=party.account("ann").credential)
    assert refusal(party.service.post("/v1/group-info", request)) == (403, "bad-signature")
