"""The Merkle tree of RFC 9162 §2.1, against a second implementation that is the RFC's own recursive definitions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.errors import VerificationError
from mls_federation.transparency import (
    EMPTY_ROOT,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from mls_federation.transparency.tree import (
    Subtree,
    completed_by,
    consistency_ranges,
    inclusion_ranges,
    left_sibling,
    node_hash,
    path_of,
    subtrees_of,
)

LARGEST = 70
ENTRIES = [b"entry %d" % number for number in range(LARGEST)]
OTHER = hashlib.sha256(b"other").digest()

# -- the definitions of the RFC


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH (§2.1.1)."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def split(n: int) -> int:
    """The largest power of two that is less than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH (§2.1.3.1)."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF (§2.1.4.1)."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole=whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], whole=False), mth(entries[:k])]


def sides(m: int, n: int) -> list[bool]:
    """For each node of PATH(m, D[n]), whether it is the left one of its pair: all that a proof's shape says of m and n."""
    if n == 1:
        return []
    k = split(n)
    return [*sides(m, k), False] if m < k else [*sides(m - k, n - k), True]


def proof_sides(m: int, n: int, *, whole: bool) -> list[bool | None]:
    """The same for PROOF(m, D[n]); the node at which it begins is on no side."""
    if m == n:
        return [] if whole else [None]
    k = split(n)
    if m <= k:
        return [*proof_sides(m, k, whole=whole), False]
    return [*proof_sides(m - k, n - k, whole=False), True]


# -- ours


class Kept:
    """What a log keeps: perfect subtrees, as they come to be."""

    def __init__(self) -> None:
        self.size = 0
        self.hashes: dict[Subtree, bytes] = {}

    def append(self, entry: bytes) -> None:
        """As a log does it."""
        leaf, *above = completed_by(self.size)
        below = leaf
        self.hashes[leaf] = leaf_hash(entry)
        for subtree in above:
            self.hashes[subtree] = node_hash(self.hashes[left_sibling(below)], self.hashes[below])
            below = subtree
        self.size += 1


@pytest.fixture(scope="module")
def kept() -> Kept:
    """All entries, appended."""
    log = Kept()
    for entry in ENTRIES:
        log.append(entry)
    return log


def inclusion(kept: Kept, index: int, size: int) -> tuple[bytes, ...]:
    return path_of(inclusion_ranges(index, size), kept.hashes)


def consistency(kept: Kept, first: int, second: int) -> tuple[bytes, ...]:
    return path_of(consistency_ranges(first, second), kept.hashes)


def root(kept: Kept, size: int) -> bytes:
    (whole,) = path_of([(0, size)], kept.hashes)
    return whole


def includes(leaf: bytes, index: int, size: int, nodes: Sequence[bytes], under: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, nodes, under)
    except VerificationError as error:
        assert error.code == "bad-inclusion-proof"
        return False
    return True


def grew(first: int, second: int, before: bytes, after: bytes, nodes: Sequence[bytes]) -> bool:
    try:
        verify_consistency(first, second, before, after, nodes)
    except VerificationError as error:
        assert error.code == "log-rewritten"
        return False
    return True


# -- known answers, by hand


def test_roots_by_hand() -> None:
    def sha(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    a, b, c = (sha(b"\x00", entry) for entry in (b"a", b"", b"c"))
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of([]) == EMPTY_ROOT
    assert root_of([b"a"]) == a
    assert root_of([b"a", b""]) == sha(b"\x01", a, b)
    assert root_of([b"a", b"", b"c"]) == sha(b"\x01", sha(b"\x01", a, b), c)


def test_the_proofs_of_the_rfcs_example() -> None:
    """The tree of seven entries in RFC 9162 §2.1.5: which nodes are in which proof."""
    g, h, i = (0, 2), (0, 4), (2, 4)
    leaves = [(n, n + 1) for n in range(7)]
    assert inclusion_ranges(0, 7) == (leaves[1], i, (4, 7))
    assert inclusion_ranges(3, 7) == (leaves[2], g, (4, 7))
    assert inclusion_ranges(4, 7) == (leaves[5], leaves[6], h)
    assert inclusion_ranges(6, 7) == ((4, 6), h)
    assert consistency_ranges(3, 7) == (leaves[2], leaves[3], g, (4, 7))
    assert consistency_ranges(4, 7) == ((4, 7),)
    assert consistency_ranges(6, 7) == ((4, 6), leaves[6], h)


# -- every size


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_roots(kept: Kept, size: int) -> None:
    assert root_of(ENTRIES[:size]) == root(kept, size) == mth(ENTRIES[:size])


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof(kept: Kept, size: int) -> None:
    for index in range(size):
        nodes = inclusion(kept, index, size)
        assert list(nodes) == path(index, ENTRIES[:size])
        verify_inclusion(leaf_hash(ENTRIES[index]), index, size, nodes, root(kept, size))


@pytest.mark.parametrize("second", range(LARGEST + 1))
def test_every_consistency_proof(kept: Kept, second: int) -> None:
    for first in range(second + 1):
        nodes = consistency(kept, first, second)
        if first:
            assert list(nodes) == subproof(first, ENTRIES[:second], whole=True)
        else:
            assert nodes == ()
        verify_consistency(first, second, root(kept, first), root(kept, second), nodes)


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_what_is_read_grows_with_the_logarithm(size: int) -> None:
    height = (size - 1).bit_length()
    for index in range(size):
        read = [node for span in inclusion_ranges(index, size) for node in subtrees_of(*span)]
        assert len(read) <= 2 * height
        read = [node for span in consistency_ranges(index + 1, size) for node in subtrees_of(*span)]
        assert len(read) <= 2 * height + 1
        assert len(completed_by(index)) <= height + 1


def test_each_subtree_has_a_number_of_its_own(kept: Kept) -> None:
    positions = [subtree.position for subtree in kept.hashes]
    assert len(set(positions)) == len(positions)
    assert [Subtree(0, 0).position, Subtree(1, 0).position, Subtree(0, 1).position] == [0, 1, 2]


# -- proofs that are not


sizes = st.integers(1, LARGEST)


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    """An index, and a size above it."""
    size = draw(sizes)
    return draw(st.integers(0, size - 1)), size


@st.composite
def growths(draw: st.DrawFn) -> tuple[int, int]:
    """Two sizes, the second larger."""
    second = draw(st.integers(2, LARGEST))
    return draw(st.integers(1, second - 1)), second


@given(places(), st.data())
def test_an_altered_node_of_an_inclusion_proof(kept: Kept, at: tuple[int, int], data: st.DataObject) -> None:
    index, size = at
    nodes, leaf, top = list(inclusion(kept, *at)), leaf_hash(ENTRIES[index]), root(kept, size)
    assert not includes(OTHER, index, size, nodes, top)
    assert not includes(leaf, index, size, nodes, OTHER)
    assert not includes(leaf, index, size, [*nodes, OTHER], top)
    assert not includes(leaf, index, size, [OTHER, *nodes], top)
    if nodes:
        which = data.draw(st.integers(0, len(nodes) - 1))
        assert not includes(leaf, index, size, nodes[:which] + nodes[which + 1 :], top)
        for wrong in (OTHER, b"", nodes[which] + b"\x00", nodes[which][:-1]):
            assert not includes(leaf, index, size, [*nodes[:which], wrong, *nodes[which + 1 :]], top)


@given(places(), st.integers(-3, LARGEST + 3))
def test_an_inclusion_proof_for_another_index(kept: Kept, at: tuple[int, int], other: int) -> None:
    index, size = at
    passes = includes(leaf_hash(ENTRIES[index]), other, size, inclusion(kept, *at), root(kept, size))
    assert passes == (other == index)


@given(places(), st.integers(-3, 2 * LARGEST))
def test_an_inclusion_proof_for_another_size(kept: Kept, at: tuple[int, int], other: int) -> None:
    """A proof says of the size what its shape says; which root is of which size is in the tree head."""
    index, size = at
    passes = includes(leaf_hash(ENTRIES[index]), index, other, inclusion(kept, *at), root(kept, size))
    assert passes == (other > index and sides(index, other) == sides(index, size))


@given(growths(), st.data())
def test_an_altered_node_of_a_consistency_proof(kept: Kept, at: tuple[int, int], data: st.DataObject) -> None:
    first, second = at
    nodes, before, after = list(consistency(kept, *at)), root(kept, first), root(kept, second)
    assert not grew(first, second, OTHER, after, nodes)
    assert not grew(first, second, before, OTHER, nodes)
    assert not grew(first, second, before, after, [*nodes, OTHER])
    assert not grew(first, second, before, after, [OTHER, *nodes])
    assert not grew(first, second, before, after, [])
    which = data.draw(st.integers(0, len(nodes) - 1))
    assert not grew(first, second, before, after, nodes[:which] + nodes[which + 1 :])
    for wrong in (OTHER, b"", nodes[which] + b"\x00", nodes[which][:-1]):
        assert not grew(first, second, before, after, [*nodes[:which], wrong, *nodes[which + 1 :]])


@given(growths(), growths())
def test_a_consistency_proof_for_other_sizes(kept: Kept, at: tuple[int, int], other: tuple[int, int]) -> None:
    before, after = root(kept, at[0]), root(kept, at[1])
    passes = grew(*other, before, after, consistency(kept, *at))
    assert passes == (proof_sides(*other, whole=True) == proof_sides(*at, whole=True))


@given(growths())
def test_sizes_that_cannot_be(kept: Kept, at: tuple[int, int]) -> None:
    first, second = at
    nodes, before, after = consistency(kept, *at), root(kept, first), root(kept, second)
    assert not grew(second, first, after, before, nodes)
    assert not grew(-first, second, before, after, nodes)
    assert not grew(0, second, before, after, ())
    assert not grew(0, second, EMPTY_ROOT, after, nodes)
    assert not grew(0, 0, before, before, ())
    assert not grew(first, first, before, before, nodes)
    assert not grew(first, first, before, after, ())


@given(st.lists(st.binary(max_size=40), max_size=40), st.lists(st.binary(max_size=40), max_size=40))
def test_lists_of_anything(some: list[bytes], more: list[bytes]) -> None:
    log = Kept()
    for entry in some + more:
        log.append(entry)
    first, second = len(some), log.size
    assert root(log, second) == mth(some + more)
    verify_consistency(first, second, mth(some), mth(some + more), consistency(log, first, second))
    for index in range(second):
        verify_inclusion(
            leaf_hash((some + more)[index]), index, second, inclusion(log, index, second), mth(some + more)
        )


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.lists(st.just(OTHER), max_size=130))
def test_any_numbers_come_to_an_end(some: int, other: int, nodes: list[bytes]) -> None:
    assert not includes(OTHER, some, other, [*nodes, EMPTY_ROOT], OTHER)
    assert not grew(some, other, OTHER, EMPTY_ROOT, [*nodes, EMPTY_ROOT])
