"""What members of a group can do together (§11, §12, §15)."""

from dataclasses import replace

import pytest

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from mls_federation.errors import EpochError, ValidationError, VerificationError
from mls_federation.mls import (
    DEFAULT_RETENTION,
    CommitMessage,
    WireFormat,
    add,
    commit,
    propose,
    receive,
    remove,
)
from mls_federation.mls.framing import member
from mls_federation.mls.group import MAX_PROPOSALS, ReceivedProposal
from mls_federation.mls.padding import fixed_padding
from mls_federation.mls.tree_math import node_of
from tests.support.pair import NOW, Party

FORMATS = [WireFormat.mls_private_message, WireFormat.mls_public_message]


@pytest.mark.rule("17.1-01")
@pytest.mark.parametrize("cipher_suite", list(CipherSuite), ids=[suite.name for suite in CipherSuite])
def test_a_conversation_in_every_suite(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    party = Party(crypto(provider, cipher_suite), "ann", "ben")
    party.add("ben", "cat")
    message = party.send("cat", b"hello", padding=fixed_padding(16))
    assert [party.read(name, message).data for name in ("ann", "ben")] == [b"hello", b"hello"]
    party.remove("ann", "ben")
    assert list(party.groups) == ["ann", "cat"]
    assert party.read("ann", party.send("cat", b"bye")).data == b"bye"


def test_a_group_of_one(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann")
    first = party.groups["ann"].epoch_authenticator
    party.commit("ann")
    assert party.groups["ann"].epoch == 1
    assert party.groups["ann"].epoch_authenticator != first


def test_a_message_says_who_sent_it_and_when(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    received = [party.read("cat", party.send("ben", data)) for data in (b"one", b"two")]
    assert [message.sender for message in received] == [party.leaf("ben")] * 2
    assert [message.epoch for message in received] == [1, 1]
    assert [message.generation for message in received] == [0, 1]


@pytest.mark.rule("12.4.1-02", "12.1-02", "12.1.2-02")
@pytest.mark.parametrize("wire_format", FORMATS)
def test_proposals_by_reference(suite_1: Crypto, wire_format: WireFormat) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan")
    own = party.client("eve").key_package()
    before = party.groups["ben"].own_leaf_node.encryption_key
    party.propose_update("ben", wire_format)
    party.propose("cat", add(own.key_package), wire_format)
    party.propose("cat", remove(party.leaf("dan")), wire_format)
    pending = party.commit("ann", joining={"eve": own}, wire_format=wire_format)
    assert set(party.groups) == {"ann", "ben", "cat", "eve"}
    assert [leaf for leaf, _ in pending.removed] == [3]
    assert party.groups["ben"].own_leaf_node.encryption_key != before
    assert all(group.proposals == {} for group in party.groups.values())


@pytest.mark.rule("12.4-05")
def test_adding_without_a_path(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    leaf = party.groups["ann"].own_leaf_node
    party.add("ann", "dan", path=False)
    assert party.groups["ann"].own_leaf_node == leaf
    # The parents above the newcomer know it as an unmerged leaf; later commits mend that.
    for name in ("dan", "cat", "ben", "ann"):
        party.commit(name)


@pytest.mark.rule("12.4.1-04", "7.7-01")
def test_many_join_at_once(suite_1: Crypto) -> None:
    names = [f"member {number}" for number in range(9)]
    party = Party(suite_1, *names)
    assert len(party.groups) == 9
    for name in names:
        party.commit(name)
    party.remove(names[8], *names[1:8])
    assert party.groups[names[0]].tree.leaf_count == 16
    party.remove(names[0], names[8])
    assert party.groups[names[0]].tree.leaf_count == 1


@pytest.mark.rule("12.1.1-02")
def test_a_blank_leaf_is_filled_again(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan")
    party.remove("dan", "ben")
    pending = party.add("cat", "eve")
    assert pending.added == (1,)
    assert party.leaf("eve") == 1


def test_someone_removed_can_come_back(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    party.remove("ann", "ben")
    party.add("cat", "ben")
    assert party.read("ben", party.send("ann", b"welcome back")).data == b"welcome back"


@pytest.mark.rule("12.2-07", "12.3-02")
def test_removing_and_adding_in_one_commit(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    own = party.client("ben").key_package()
    stale = party.groups.pop("ben")
    party.commit("ann", [remove(stale.own_leaf), add(own.key_package)], joining={"ben": own})
    assert party.leaf("ben") == stale.own_leaf


# -- keys


@pytest.mark.rule("7.4-01")
def test_each_commit_with_a_path_renews_the_keys(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan")
    seen = set(party.groups["ann"].tree.index.encryption_keys)
    for name in ("ann", "ben", "cat", "dan", "ann"):
        party.commit(name)
        committer = party.groups[name]
        path = {committer.own_leaf_node.encryption_key, committer.tree.encryption_key(committer.tree.root)}
        assert path.isdisjoint(seen)
        seen |= set(committer.tree.index.encryption_keys)


def test_a_stranger_reads_nothing(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    other = Party(suite_1, "eve", "fay")
    with pytest.raises(VerificationError):
        receive(other.groups["eve"], party.send("ann", b"secret"), now=NOW)


@pytest.mark.rule("15.2-02")
def test_someone_removed_reads_nothing_more(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    removed = party.groups["cat"]
    pending = party.remove("ann", "cat")
    message = party.send("ann", b"secret")
    with pytest.raises(EpochError) as caught:
        receive(removed, message, now=NOW)
    assert caught.value.code == "future-epoch"
    assert pending.group.secrets.epoch_authenticator != removed.epoch_authenticator


# -- order and delay


@pytest.mark.rule("9.1-02")
def test_messages_in_any_order(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    messages = [party.send("ann", bytes([number])) for number in range(10)]
    for number in (3, 0, 9, 1, 2, 8, 4, 7, 6, 5):
        received = party.read("ben", messages[number])
        assert (received.data, received.generation) == (bytes([number]), number)
    for message in messages:
        with pytest.raises(EpochError) as caught:
            party.read("ben", message)
        assert caught.value.code == "replayed"


@pytest.mark.rule("9.1-02")
def test_late_messages_of_past_epochs(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    late = []
    for epoch in range(1, 2 + DEFAULT_RETENTION.epochs):
        late.append((epoch, party.send("ann", b"late")))
        party.commit("cat")
    for epoch, message in late[1:]:
        received = party.read("ben", message)
        assert (received.epoch, received.data) == (epoch, b"late")
        with pytest.raises(EpochError) as caught:
            party.read("ben", message)
        assert caught.value.code == "replayed"
    with pytest.raises(EpochError) as caught:
        party.read("ben", late[0][1])
    assert caught.value.code == "epoch-forgotten"


def test_a_late_message_of_somebody_who_is_gone(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    message = party.send("cat", b"last words")
    party.remove("ann", "cat")
    assert party.read("ben", message).data == b"last words"


@pytest.mark.rule("12.4.2-10")
def test_messages_of_a_later_epoch(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    behind = party.groups["cat"]
    later = [party.commit("ann").message, party.commit("ben").message, party.send("ann", b"early")]
    for message in later[1:]:
        with pytest.raises(EpochError) as caught:
            receive(behind, message, now=NOW)
        assert caught.value.code == "future-epoch"
    caught_up = receive(behind, later[0], now=NOW)
    assert isinstance(caught_up, CommitMessage)
    assert caught_up.group.epoch == behind.epoch + 1


def test_our_own_message_is_not_read(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    own = [party.send("ann", b"echo")]
    own += [commit(party.groups["ann"], now=NOW, wire_format=wire_format).message for wire_format in FORMATS]
    for message in own:
        with pytest.raises(EpochError) as caught:
            receive(party.groups["ann"], message, now=NOW)
        assert caught.value.code == "own-message"


@pytest.mark.rule("12.4.2-01", "12.4.2-10")
def test_a_commit_is_read_once(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    pending = party.commit("ann")
    with pytest.raises(EpochError) as caught:
        receive(party.groups["ben"], pending.message, now=NOW)
    assert caught.value.code == "wrong-epoch"


@pytest.mark.rule("14-02")
def test_a_commit_that_lost_the_race_changes_nothing(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    lost = commit(party.groups["ann"], now=NOW)
    won = commit(party.groups["ben"], now=NOW)
    # Ann goes on from the state after sending, in which the key of her commit is spent.
    assert lost.sent_from is not None
    party.groups["ann"] = lost.sent_from
    party.deliver_commit("ben", won)
    party.assert_agreement()
    assert party.read("ben", party.send("ann", b"after all")).data == b"after all"
    with pytest.raises(EpochError):
        receive(party.groups["cat"], lost.message, now=NOW)


@pytest.mark.rule("12.4-01")
def test_application_data_waits_for_the_commit_of_proposals(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    party.propose_update("ben")
    for name in ("ann", "ben"):
        with pytest.raises(ValidationError) as caught:
            party.send(name, b"data")
        assert caught.value.code == "proposals-pending"
    party.commit("ann")
    assert party.read("ben", party.send("ann", b"data")).data == b"data"


@pytest.mark.rule("7.5-07", "9.2-03")
def test_what_could_rebuild_used_keys_is_gone(suite_1: Crypto) -> None:
    # §9.2: only the ratchets stay, and of an epoch that has ended only what late messages need.
    party = Party(suite_1, "ann", "ben")
    before = {name: group.private_keys for name, group in party.groups.items()}
    party.commit("ann")
    party.add("ben", "cat")
    for group in party.groups.values():
        assert group.secrets.encryption_secret == b""
        for past in group.past_epochs:
            gone = (
                "encryption_secret",
                "exporter_secret",
                "external_secret",
                "init_secret",
                "membership_key",
            )
            assert [getattr(past.secrets, name) for name in gone] == [b""] * len(gone)
    assert before["ann"][node_of(party.leaf("ann"))] not in party.groups["ann"].private_keys.values()


def test_an_epoch_remembers_a_bounded_number_of_proposals(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "eve")
    full = {
        b"%d" % number: ReceivedProposal(remove(party.leaf("eve")), member(1))
        for number in range(MAX_PROPOSALS)
    }
    ann = replace(party.groups["ann"], proposals=full)
    message = propose(party.groups["ben"], remove(party.leaf("eve"))).message
    with pytest.raises(ValidationError) as refused:
        receive(ann, message, now=NOW)
    assert refused.value.code == "too-many-proposals"
