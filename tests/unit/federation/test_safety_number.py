"""The safety number (docs/protocol.md)."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mls_federation.federation.safety_number import safety_number


def test_a_known_one() -> None:
    """By the rule as the protocol's description has it: five octets of the hash for each group, modulo 100,000."""
    digest = hashlib.sha256(b"MLS Federation 1.0 Safety Number" + b"\x0a" * 32).hexdigest()
    groups = [int(digest[at : at + 10], 16) % 100_000 for at in range(0, 60, 10)]
    assert " ".join(f"{group:05}" for group in groups) == safety_number(b"\x0a" * 32)


def test_it_is_the_same_in_every_release() -> None:
    assert safety_number(b"\x00" * 32) == "07085 30617 01256 98280 10287 78818"


@given(st.binary(max_size=64))
def test_six_groups_of_five_digits(epoch_authenticator: bytes) -> None:
    groups = safety_number(epoch_authenticator).split(" ")
    assert [len(group) for group in groups] == [5] * 6
    assert all(group.isdecimal() and group.isascii() for group in groups)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_another_state_has_another_number(epoch_authenticator: bytes, bit: int) -> None:
    other = (int.from_bytes(epoch_authenticator, "big") ^ (1 << bit)).to_bytes(32, "big")
    assert safety_number(epoch_authenticator) != safety_number(other)
