"""Whatever a peer sends, the engine answers with one of its own errors for remote faults, or accepts it.

A member who keeps no rule signs and seals anything at all: that goes deeper than octets which no member sent.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import RemoteError
from mls_federation.mls import Group, Welcome, WireFormat, add, commit, decode_message, join, receive
from mls_federation.mls.commit import Commit, UpdatePath, UpdatePathNode, by_value
from mls_federation.mls.framing import FramedContent, MLSMessage
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.key_package import KeyPackage
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.welcome import GroupInfo, GroupSecrets
from tests.support.forge import forge, forge_welcome, path_with_leaf, send_framed, valid_path
from tests.support.pair import NOW, Party
from tests.support.strategies import structs

some = settings(max_examples=10 if sys.platform == "emscripten" else 40)


@pytest.fixture(scope="module")
def party(suite_1: Crypto) -> Party:
    """Nobody changes it: each example starts from the same states."""
    party = Party(suite_1, "ann", "ben", "cat", "eve")
    party.commit("ben")
    return party


def try_to_receive(group: Group, message: bytes) -> None:
    """Any error but ours for remote faults fails the test."""
    with suppress(RemoteError):
        receive(group, message, now=NOW)


@some
@given(data=st.binary(max_size=200))
def test_octets(party: Party, data: bytes) -> None:
    try_to_receive(party.groups["ann"], data)
    try_to_receive(party.groups["ann"], b"\x00\x01\x00\x01" + data)
    try_to_receive(party.groups["ann"], b"\x00\x01\x00\x02" + data)


@some
@given(message=structs(MLSMessage))
def test_messages_of_nobody(party: Party, message: MLSMessage) -> None:
    group = party.groups["ann"]
    try_to_receive(group, message.encode())
    here: dict[str, Any] = {"group_id": group.group_id, "epoch": group.epoch}
    if message.wire_format == WireFormat.mls_private_message:
        body: Any = replace(message.message, **here)
    elif message.wire_format == WireFormat.mls_public_message:
        content = message.message.content  # type: ignore[union-attr]
        body = replace(message.message, content=replace(content, **here))
    else:
        return
    try_to_receive(group, replace(message, message=body).encode())


@some
@given(proposal=structs(Proposal))
def test_any_proposal_of_a_member(party: Party, proposal: Proposal) -> None:
    eve = party.groups["eve"]
    for wire_format in (WireFormat.mls_public_message, WireFormat.mls_private_message):
        try_to_receive(party.groups["ann"], forge(eve, proposal, wire_format=wire_format))
    try_to_receive(party.groups["ann"], forge(eve, Commit(proposals=(by_value(proposal),), path=None)))
    try_to_receive(
        party.groups["ann"], forge(eve, Commit(proposals=(by_value(proposal),), path=valid_path(eve)))
    )


@some
@given(body=structs(Commit))
def test_any_commit_of_a_member(party: Party, body: Commit) -> None:
    try_to_receive(party.groups["ann"], forge(party.groups["eve"], body))


@some
@given(framed=structs(FramedContent))
def test_any_content_of_anybody(party: Party, framed: FramedContent) -> None:
    """From outsiders too, whom the group has to look up."""
    eve = party.groups["eve"]
    if isinstance(framed.content, bytes):
        return
    here = replace(framed, group_id=eve.group_id, epoch=eve.epoch)
    try_to_receive(party.groups["ann"], send_framed(eve, here))


@some
@given(
    nodes=st.lists(structs(UpdatePathNode), max_size=4), path=structs(UpdatePath), choice=st.integers(0, 2)
)
def test_any_path_of_a_member(
    party: Party, nodes: list[UpdatePathNode], path: UpdatePath, choice: int
) -> None:
    eve = party.groups["eve"]
    valid = valid_path(eve)
    forged = [
        path_with_leaf(eve, path, path.leaf_node),
        replace(valid, nodes=tuple(nodes)),
        replace(valid, nodes=(*valid.nodes[:-1], *nodes[:1])),
    ][choice]
    try_to_receive(party.groups["ann"], forge(eve, Commit(proposals=(), path=forged)))


@some
@given(info=structs(GroupInfo), secrets=structs(GroupSecrets), keep_context=st.booleans())
def test_any_welcome(party: Party, info: GroupInfo, secrets: GroupSecrets, keep_context: bool) -> None:
    own = party.client("newcomer").key_package()
    inviter = party.groups["eve"]
    pending = commit(inviter, [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    opened = open_welcome(party.crypto, welcome, own)
    if keep_context:
        info = replace(info, group_context=opened.group_info.group_context)
    else:
        suite = party.crypto.suite.cipher_suite
        info = replace(info, group_context=replace(info.group_context, version=1, cipher_suite=suite))
    for forged in (
        forge_welcome(inviter, own, opened, info=info),
        forge_welcome(inviter, own, opened, group_secrets=secrets),
        forge_welcome(inviter, own, opened, info=info, group_secrets=replace(secrets, psks=())),
    ):
        with suppress(RemoteError):
            join(party.crypto, forged, own, now=NOW)


@some
@given(package=structs(KeyPackage))
def test_any_key_package(party: Party, package: KeyPackage) -> None:
    with pytest.raises(RemoteError):
        commit(party.groups["ann"], [add(package)], now=NOW)
