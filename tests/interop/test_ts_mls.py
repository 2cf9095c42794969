"""Our engine and ts-mls in one group, each as creator and as joiner, in every cipher suite that both have.

`MixedGroup` lets everybody follow each step, and compares what all members see and derive: the tree hash, the transcript
hash, the members, the epoch authenticator and an exported secret.
"""

import pytest

from tests.interop.clients import OTHER, Clients, Engine
from tests.interop.member import Add, ExternalPSK, Member, Remove
from tests.interop.mixed_group import MixedGroup
from tests.interop.ours import OurMember

CREATORS: tuple[Engine, ...] = ("ours", "ts-mls")
creators = pytest.mark.parametrize("creator", CREATORS)
public_or_private = pytest.mark.parametrize("public", [False, True], ids=["private", "public"])


def two(clients: Clients, creator: Engine) -> tuple[MixedGroup, Member, Member]:
    """A group of two, whose creator runs `creator` and whose other member runs the other engine."""
    ann, ben = clients.new(creator, "ann"), clients.new(OTHER[creator], "ben")
    return MixedGroup(ann, ben), ann, ben


def four(clients: Clients, creator: Engine) -> tuple[MixedGroup, list[Member]]:
    """A group of four, two of each engine, in which everybody has committed."""
    group, ann, ben = two(clients, creator)
    cat, dan = clients.new(creator, "cat"), clients.new(OTHER[creator], "dan")
    group.add(ben, cat, dan)
    members = [ann, ben, cat, dan]
    for member in members:
        group.commit(member)
    return group, members


@creators
def test_create_add_and_welcome(clients: Clients, creator: Engine) -> None:
    group, ann, ben = two(clients, creator)
    assert ann.view().epoch == ben.view().epoch == 1
    cat, dan = clients.new(creator, "cat"), clients.new(OTHER[creator], "dan")
    group.add(ben, cat, dan)
    group.add(dan, clients.new(creator, "eve"), public=True)
    assert [name for _, name in ann.view().members] == ["ann", "ben", "cat", "dan", "eve"]
    group.everybody_talks()


@creators
def test_an_add_by_our_engine_without_a_path(clients: Clients, creator: Engine) -> None:
    ann, ben = clients.new(creator, "ann"), clients.new(OTHER[creator], "ben")
    group = MixedGroup(ann, ben)
    ours = clients.ours("cat")
    group.add(ann, ours)
    ours.path = False
    group.add(ours, clients.theirs("dan"), clients.ours("eve"))
    group.everybody_talks()


@creators
@public_or_private
def test_commits_without_proposals(clients: Clients, creator: Engine, public: bool) -> None:
    group, members = four(clients, creator)
    for member in [*members, *reversed(members)]:
        group.commit(member, public=public)
    assert members[0].view().epoch == 2 + 4 + 8


@creators
@public_or_private
def test_updates_by_reference(clients: Clients, creator: Engine, public: bool) -> None:
    group, (ann, ben, cat, dan) = four(clients, creator)
    for committer, updating in ((ben, (ann,)), (ann, (dan, cat, ben)), (dan, (ann, ben))):
        for member in updating:
            group.propose_update(member, public=public)
        group.commit(committer, public=public)
    for member in (ann, ben, cat, dan):
        group.commit(member)


@creators
@public_or_private
def test_adds_and_removes_by_reference(clients: Clients, creator: Engine, public: bool) -> None:
    group, (ann, ben, cat, dan) = four(clients, creator)
    eve, fay = clients.new(creator, "eve"), clients.new(OTHER[creator], "fay")
    group.propose(ann, Add(eve.key_package()), public=public)
    group.propose(dan, Add(fay.key_package()), public=public)
    group.commit(ben, joining=[eve, fay], public=public)
    group.propose(dan, Remove(ann.leaf), public=public)
    group.propose(eve, Remove(ben.leaf), public=public)
    group.propose_update(dan, public=public)
    group.commit(cat, leaving=[ann, ben], public=public)
    group.everybody_talks()


@creators
def test_a_leaf_that_changes_hands_in_one_commit(clients: Clients, creator: Engine) -> None:
    group, members = four(clients, creator)
    # Ours only: see test_ts_mls_deviations.py.
    leaving, leaf = next((member, member.leaf) for member in members if isinstance(member, OurMember))
    committer, proposer, _ = group.others(leaving)
    eve = clients.new(creator, "eve")
    group.propose(proposer, Remove(leaf))
    group.commit(committer, Add(eve.key_package()), joining=[eve], leaving=[leaving])
    assert eve.leaf == leaf
    group.everybody_talks()


@creators
@public_or_private
def test_remove(clients: Clients, creator: Engine, public: bool) -> None:
    group, (ann, ben, cat, dan) = four(clients, creator)
    group.remove(ben, ann, public=public)
    group.remove(cat, dan, public=public)
    group.everybody_talks()
    # Their leaves are free for others.
    group.add(cat, clients.new(creator, "eve"), clients.new(OTHER[creator], "fay"), public=public)
    assert [name for _, name in cat.view().members] == ["eve", "ben", "cat", "fay"]
    group.remove(group.members["fay"], ben, cat, public=public)
    group.everybody_talks()


@creators
def test_external_join(clients: Clients, creator: Engine) -> None:
    group, ann, ben = two(clients, creator)
    cat, dan = clients.new(OTHER[creator], "cat"), clients.new(creator, "dan")
    group.join_from_outside(cat, ann)
    group.join_from_outside(dan, ben)
    group.join_from_outside(clients.new(creator, "eve"), cat)
    group.remove(dan, ann)
    # A free leaf is taken before the tree grows.
    fay = clients.new(OTHER[creator], "fay")
    group.join_from_outside(fay, dan)
    assert fay.leaf == 0
    for member in list(group.members.values()):
        group.commit(member)
    group.everybody_talks()


@creators
def test_resynchronising(clients: Clients, creator: Engine) -> None:
    group, (ann, ben, cat, dan) = four(clients, creator)
    for lost, shown_by in ((ann, ben), (dan, cat)):
        leaf = lost.leaf
        group.join_from_outside(lost, shown_by, resync=True)
        assert lost.leaf == leaf
    group.everybody_talks()
    group.commit(ben)


@creators
@public_or_private
def test_external_psk(clients: Clients, creator: Engine, public: bool) -> None:
    group, ann, ben = two(clients, creator)
    cat, dan = clients.new(creator, "cat"), clients.new(OTHER[creator], "dan")
    by_value, by_reference = (
        ExternalPSK(psk_id, secret, clients.crypto.random(clients.crypto.Nh))
        for psk_id, secret in ((b"first", bytes(32)), (b"second", b"another secret"))
    )
    for psk in (by_value, by_reference):
        group.share_psk(psk, cat, dan)
    group.commit(ann, by_value, public=public)
    group.propose(ann, by_reference, public=public)
    group.commit(ben, public=public)
    # Those who are welcomed need it too.
    group.commit(ben, by_reference, Add(cat.key_package()), joining=[cat], public=public)
    group.commit(ann, by_value, by_reference, Add(dan.key_package()), joining=[dan], public=public)
    group.everybody_talks()


@creators
def test_application_messages(clients: Clients, creator: Engine) -> None:
    group, (ann, ben, _, _) = four(clients, creator)
    for member in (ann, ben):
        group.talk(member, b"", b"short", bytes(range(256)) * 8, "\N{GREEK SMALL LETTER ALPHA}".encode())


@creators
def test_application_messages_of_an_epoch_that_has_ended(clients: Clients, creator: Engine) -> None:
    group, ann, ben = two(clients, creator)
    late = {member.name: member.send(f"{member.name} was slow".encode()) for member in (ann, ben)}
    group.commit(ann)
    group.commit(ben)
    assert ben.receive(late["ann"]).data == b"ann was slow"
    assert ann.receive(late["ben"]).data == b"ben was slow"


@creators
def test_exported_secrets(clients: Clients, creator: Engine) -> None:
    _, ann, ben = two(clients, creator)
    secrets = set()
    for label, context, length in (
        ("a label", b"", 32),
        ("label", b"", 32),
        ("label", b"context", 32),
        ("label", bytes(300), 16),
        ("another label", b"context", 80),
    ):
        secrets.add(ann.exported(label, context, length))
        assert ben.exported(label, context, length) in secrets
    assert len(secrets) == 5


@creators
def test_the_other_cipher_suites(slow_clients: Clients, creator: Engine) -> None:
    group, (ann, ben, cat, dan) = four(slow_clients, creator)
    group.propose_update(ann)
    group.commit(ben)
    group.remove(cat, ann, public=True)
    group.join_from_outside(ann, dan)
    group.everybody_talks()
