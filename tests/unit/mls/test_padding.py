"""Padding of PrivateMessages (§6.3.1, §15.1). That receivers refuse padding with anything in it: test_protection.py."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.crypto import Crypto
from mls_federation.errors import UsageError
from mls_federation.mls import (
    DEFAULT_PADDING,
    Padding,
    PrivateMessage,
    ProposalMessage,
    commit,
    decode_message,
    fixed_padding,
    no_padding,
    padding_to_multiples,
    padme,
    propose,
    propose_update,
    receive,
    remove,
    send_application_data,
)
from mls_federation.mls.padding import LARGEST_STEP, SMALLEST
from tests.support.pair import NOW, Party

TAG = 16


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben")


def encrypted(message: bytes) -> int:
    """Octets of what was encrypted."""
    body = decode_message(message)
    assert isinstance(body, PrivateMessage)
    return len(body.ciphertext) - TAG


def sizes(party: Party, policy: Padding) -> list[int]:
    """Of contents of 0 to 299 octets."""
    ann = party.groups["ann"]
    return [encrypted(send_application_data(ann, bytes(size), padding=policy).message) for size in range(300)]


# -- policies


def test_no_padding(party: Party) -> None:
    assert len(set(sizes(party, no_padding))) == 300


@pytest.mark.rule("6.3.1-01")
@pytest.mark.parametrize("octets", [1, 32, 100, 1000])
def test_padding_to_multiples(party: Party, octets: int) -> None:
    policy = padding_to_multiples(octets)
    unpadded = sizes(party, no_padding)
    for plain, padded in zip(unpadded, sizes(party, policy), strict=True):
        assert padded % octets == 0
        assert 0 <= padded - plain < octets


def test_padme_knows_few_sizes(party: Party) -> None:
    assert sorted(set(sizes(party, padme))) == [256, *range(272, 369, 16)]


@given(size=st.integers(0, 1 << 30))
def test_padme_is_bounded(size: int) -> None:
    padded = size + padme(size)
    assert padded >= max(size, SMALLEST)
    assert padded - size < max(size / 16 + 1, SMALLEST + 1)
    assert padded - size < max(LARGEST_STEP, SMALLEST + 1)
    assert padme(padded) == 0


def test_padme_does_not_tell_apart_sizes_that_are_near() -> None:
    padded = [size + padme(size) for size in range(1 << 16)]
    assert all(one <= other for one, other in pairwise(padded))
    assert len(set(padded)) < 130


def test_messages_of_the_greatest_size_keep_within_a_services_limit() -> None:
    # The client leaves 80 KiB for all that is added to a message's data.
    for limit in (1 << 20, 1 << 24, 1 << 28):
        data = limit - 80 * 1024
        assert data + 1024 + padme(data + 1024) < limit - 60 * 1024


def test_padding_that_cannot_be(party: Party) -> None:
    for octets in (0, -1):
        with pytest.raises(UsageError):
            padding_to_multiples(octets)
    with pytest.raises(UsageError):
        fixed_padding(-1)
    with pytest.raises(UsageError):
        party.send("ann", b"a", padding=lambda _: -1)


# -- messages


@pytest.mark.rule("6.3.1-01")
def test_padding_hides_the_length_by_default(party: Party) -> None:
    assert DEFAULT_PADDING is padme
    short, long = party.send("ann", b"no"), party.send("ann", b"When are we going to the movie?")
    assert encrypted(short) == encrypted(long) == SMALLEST
    assert len(short) == len(long)
    assert [party.read("ben", message).data for message in (short, long)] == [
        b"no",
        b"When are we going to the movie?",
    ]


@pytest.mark.rule("6.3.1-01")
def test_handshake_messages_are_padded_too(party: Party) -> None:
    party.add("ann", "cat")
    ann = party.groups["ann"]
    for make in (
        lambda **options: propose(ann, remove(party.leaf("cat")), **options),
        lambda **options: propose_update(ann, **options),
        lambda **options: commit(ann, now=NOW, **options),
    ):
        by_default = encrypted(make().message)
        assert padme(by_default) == 0
        assert encrypted(make(padding=padding_to_multiples(1000)).message) == 1000
        assert encrypted(make(padding=no_padding).message) <= by_default
    assert encrypted(propose(ann, remove(party.leaf("cat"))).message) == SMALLEST


@pytest.mark.rule("6.3.1-01")
@pytest.mark.parametrize("policy", [no_padding, padme, padding_to_multiples(512), fixed_padding(5000)])
def test_any_padding_is_read(party: Party, policy: Padding) -> None:
    message = party.send("ann", b"data", padding=policy)
    assert party.read("ben", message).data == b"data"
    sent = propose_update(party.groups["ann"], padding=policy)
    assert isinstance(receive(party.groups["ben"], sent.message, now=NOW), ProposalMessage)
