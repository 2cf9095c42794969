"""The secret tree (§9): order, replay, the bounds of its window, and what it forgets."""

import pytest

from mls_federation.crypto import Crypto
from mls_federation.errors import EpochError, ValidationError
from mls_federation.mls.secret_tree import (
    MAX_FORWARD,
    MAX_SKIPPED,
    HashRatchet,
    MessageKey,
    RatchetKind,
    SecretTree,
    secret_tree,
)
from mls_federation.mls.tree_math import LeafIndex

LEAVES = 4
LEAF = LeafIndex(2)
APPLICATION, HANDSHAKE = RatchetKind.application, RatchetKind.handshake


@pytest.fixture
def tree() -> SecretTree:
    return secret_tree(b"encryption secret".ljust(32), LEAVES)


def sent_keys(
    suite: Crypto, tree: SecretTree, count: int, kind: RatchetKind = APPLICATION
) -> list[MessageKey]:
    """The keys that the leaf sends with, in order."""
    keys = []
    for expected in range(count):
        tree, generation, key = tree.take_next(suite, LEAF, kind)
        assert generation == expected
        keys.append(key)
    return keys


def test_receiver_and_sender_have_the_same_keys(suite_1: Crypto, tree: SecretTree) -> None:
    keys = sent_keys(suite_1, tree, 6)
    for generation in (4, 0, 5, 2, 3, 1):
        tree, key = tree.take(suite_1, LEAF, APPLICATION, generation)
        assert key == keys[generation]


@pytest.mark.rule("9.1-01", "9.1-03")
def test_all_keys_differ(suite_1: Crypto, tree: SecretTree) -> None:
    keys = set()
    for leaf in range(LEAVES):
        for kind in RatchetKind:
            for generation in range(3):
                _, key = tree.take(suite_1, LeafIndex(leaf), kind, generation)
                keys |= {key.key, key.nonce}
    assert len(keys) == LEAVES * 2 * 3 * 2


@pytest.mark.rule("9.1-02", "9.2-01")
def test_a_key_is_had_once(suite_1: Crypto, tree: SecretTree) -> None:
    for generation in (0, 3, 1):
        tree, _ = tree.take(suite_1, LEAF, APPLICATION, generation)
        with pytest.raises(EpochError) as caught:
            tree.take(suite_1, LEAF, APPLICATION, generation)
        assert caught.value.code == "replayed"


@pytest.mark.rule("9.1-03")
def test_both_ratchets_of_a_leaf_are_independent(suite_1: Crypto, tree: SecretTree) -> None:
    tree, application = tree.take(suite_1, LEAF, APPLICATION, 0)
    tree, handshake = tree.take(suite_1, LEAF, HANDSHAKE, 0)
    assert application != handshake


def test_taking_a_key_leaves_the_old_tree_as_it_was(suite_1: Crypto, tree: SecretTree) -> None:
    _, first = tree.take(suite_1, LEAF, APPLICATION, 7)
    _, again = tree.take(suite_1, LEAF, APPLICATION, 7)
    assert first == again


@pytest.mark.rule("15.3-01")
def test_how_far_one_message_can_drive_a_ratchet(suite_1: Crypto, tree: SecretTree) -> None:
    tree.take(suite_1, LEAF, APPLICATION, MAX_FORWARD)
    for generation in (MAX_FORWARD + 1, 2**32 - 1):
        with pytest.raises(ValidationError) as caught:
            tree.take(suite_1, LEAF, APPLICATION, generation)
        assert caught.value.code == "generation-too-far"
    # It counts from where the ratchet is.
    tree, _ = tree.take(suite_1, LEAF, APPLICATION, 9)
    tree.take(suite_1, LEAF, APPLICATION, MAX_FORWARD + 10)
    with pytest.raises(ValidationError):
        tree.take(suite_1, LEAF, APPLICATION, MAX_FORWARD + 11)


def test_the_last_generation_that_is_received(suite_1: Crypto) -> None:
    """As for sending: the next one must fit a stored state too."""
    last = 2**32 - 2
    ratchet = HashRatchet(bytes(32), last)
    after, generation, sent = ratchet.take_next(suite_1)
    assert (generation, after.generation) == (last, last + 1)
    assert ratchet.take(suite_1, last) == (after, sent)
    for before in (ratchet, after):
        with pytest.raises(ValidationError) as caught:
            before.take(suite_1, last + 1)
        assert caught.value.code == "generation-too-far"


@pytest.mark.rule("15.3-01")
def test_how_many_skipped_keys_are_kept(suite_1: Crypto, tree: SecretTree) -> None:
    tree, _ = tree.take(suite_1, LEAF, APPLICATION, MAX_FORWARD)
    tree, _ = tree.take(suite_1, LEAF, APPLICATION, MAX_FORWARD + 6)
    ratchet = tree.ratchets[LEAF, APPLICATION]
    assert len(ratchet.skipped) == MAX_SKIPPED
    # 1000 to 1005 pushed the five oldest out; 1000 itself was used.
    for forgotten in range(5):
        with pytest.raises(EpochError) as caught:
            tree.take(suite_1, LEAF, APPLICATION, forgotten)
        assert caught.value.code == "replayed"
    for kept in (5, MAX_FORWARD - 1, MAX_FORWARD + 1, MAX_FORWARD + 5):
        tree.take(suite_1, LEAF, APPLICATION, kept)


def test_a_leaf_outside_the_tree(suite_1: Crypto, tree: SecretTree) -> None:
    for leaf in (LEAVES, 2**32 - 1):
        with pytest.raises(ValidationError) as caught:
            tree.take(suite_1, LeafIndex(leaf), APPLICATION, 0)
        assert caught.value.code == "not-a-member"


@pytest.mark.rule("9.2-01", "9.2-02")
def test_used_secrets_are_gone(suite_1: Crypto, tree: SecretTree) -> None:
    # §9.2: nothing that is left can derive the keys of a leaf that has been used.
    (root_secret,) = tree.node_secrets.values()
    used, key = tree.take(suite_1, LEAF, APPLICATION, 3)
    assert root_secret not in used.node_secrets.values()
    # Left are the sibling leaf and the other half of the tree.
    assert sorted(used.node_secrets) == [1, 6]
    ratchet = used.ratchets[LEAF, APPLICATION]
    assert sorted(ratchet.skipped) == [0, 1, 2]
    assert key not in ratchet.skipped.values()
    for leaf in range(LEAVES):
        used, _ = used.take(suite_1, LeafIndex(leaf), HANDSHAKE, 0)
    assert used.node_secrets == {}


@pytest.mark.parametrize("leaf_count", [1, 2, 8, 64])
def test_trees_of_every_size(suite_1: Crypto, leaf_count: int) -> None:
    tree = secret_tree(bytes(32), leaf_count)
    keys = set()
    for leaf in range(leaf_count):
        tree, key = tree.take(suite_1, LeafIndex(leaf), APPLICATION, 0)
        keys.add(key)
    assert len(keys) == leaf_count


@pytest.mark.rule("2-01")
def test_repr_shows_no_secret(suite_1: Crypto, tree: SecretTree) -> None:
    used, key = tree.take(suite_1, LEAF, APPLICATION, 3)
    ratchet = used.ratchets[LEAF, APPLICATION]
    shown = repr(used) + repr(key) + repr(ratchet)
    for secret in (key.key, key.nonce, ratchet.secret, *used.node_secrets.values()):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
