"""Groups whose members order commits themselves converge, whatever is done and arrives in whatever order."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.forking import Beginning, SeededProvider, beginning, run

_NEWCOMERS = 2


@pytest.fixture(scope="module")
def provider() -> SeededProvider:
    """One whose randomness comes from the schedule's seed."""
    return SeededProvider()


@pytest.fixture(scope="module")
def beginnings(provider: SeededProvider) -> tuple[Beginning, ...]:
    """Groups of three to six members."""
    return tuple(beginning(provider, members, _NEWCOMERS) for members in (3, 4, 5, 6))


def schedules(provider: SeededProvider, beginnings: tuple[Beginning, ...], seeds: range) -> Counter[str]:
    """What happened in the schedules of these seeds; each is checked at its end."""
    total = Counter[str]()
    for seed in seeds:
        try:
            total += run(provider, beginnings[seed % len(beginnings)], seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return total


def test_members_agree_in_the_end(provider: SeededProvider, beginnings: tuple[Beginning, ...]) -> None:
    total = schedules(provider, beginnings, range(40))
    # There was something to agree on.
    assert total["rounds"] > 20
    assert total["epochs"] > 100
    assert total["messages"] > 50


@pytest.mark.long
def test_members_agree_in_the_end_of_ten_thousand_schedules(
    provider: SeededProvider, beginnings: tuple[Beginning, ...]
) -> None:
    total = schedules(provider, beginnings, range(10_000))
    print(dict(total))
    assert total["rounds"] > 5_000
