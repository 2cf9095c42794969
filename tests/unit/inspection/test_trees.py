"""A ratchet tree as it is described for drawing, beside the tree itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.crypto import Crypto
from mls_federation.errors import DecodeError, ValidationError
from mls_federation.inspection import describe_tree
from mls_federation.mls import group_info
from mls_federation.mls.framing import mls_message
from mls_federation.mls.nodes import ParentNode
from mls_federation.mls.ratchet_tree import encode_tree
from tests.support.pair import Party


@pytest.fixture(scope="module")
def party(suite_1: Crypto) -> Party:
    """Four members, then one less: with a blank leaf, blank parents and an unmerged leaf."""
    party = Party(suite_1, "ann", "ben", "cat", "eve")
    party.commit("ann")
    party.remove("ann", "ben")
    party.add("eve", "joe", path=False)
    return party


def test_each_node_of_a_tree_is_described(party: Party) -> None:
    group = party.groups["ann"]
    described = describe_tree(encode_tree(group.tree))

    assert described.group_context is None
    assert [node.node_index for node in described.nodes] == list(range(len(group.tree.nodes)))
    assert (described.leaf_count, described.root) == (4, 3)
    assert [node.identity for node in described.nodes[::2]] == ["ann", "joe", "cat", "eve"]
    assert [node.parent for node in described.nodes] == [1, 3, 1, None, 5, 3, 5]
    assert [node.level for node in described.nodes] == [0, 1, 0, 2, 0, 1, 0]
    for node, real in zip(described.nodes, group.tree.nodes, strict=True):
        assert node.blank == (real is None)
        assert node.encryption_key == (None if real is None else real.encryption_key)
        if isinstance(real, ParentNode):
            assert node.unmerged_leaves == real.unmerged_leaves
    assert any(node.unmerged_leaves == (1,) for node in described.nodes)
    assert {node.source for node in described.nodes[::2]} == {"key_package", "commit"}


def test_the_tree_of_a_group_info_comes_with_its_group_context(party: Party) -> None:
    group = party.groups["ann"]
    info = group_info(group)
    described = describe_tree(mls_message(info).encode())
    assert described.group_context == info.group_context
    assert described.nodes == describe_tree(encode_tree(group.tree)).nodes


def test_a_message_without_a_tree_says_so(party: Party) -> None:
    message = party.send("ann", b"hello")
    treeless = mls_message(group_info(party.groups["ann"], with_tree=False)).encode()
    for octets in (message, treeless):
        with pytest.raises(ValidationError) as caught:
            describe_tree(octets)
        assert caught.value.code == "no-ratchet-tree"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "malformed"),
        (b"\x00", "malformed-tree"),
        (b"\x01\x00", "malformed-tree"),
        (b"\x00\x01", "malformed"),
    ],
)
def test_what_is_no_tree_is_refused(octets: bytes, code: str) -> None:
    with pytest.raises((DecodeError, ValidationError)) as caught:
        describe_tree(octets)
    assert caught.value.code == code


@settings(max_examples=50)
@given(data=st.data())
def test_an_altered_tree_is_described_or_refused(party: Party, data: st.DataObject) -> None:
    octets = bytearray(mls_message(group_info(party.groups["ann"], grease=False)).encode())
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        describe_tree(bytes(octets))
    except (DecodeError, ValidationError) as error:
        assert error.code in {"malformed", "malformed-tree", "no-ratchet-tree"}
