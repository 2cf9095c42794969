"""Kills, lost requests and doubled ones, in a run of some seconds; the long one is the acceptance of the federation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .run import Options, Outcome, run


def report(outcome: Outcome) -> None:
    """Fail with all that is known if anything is wrong."""
    print(outcome.report())
    assert not outcome.wrong, outcome.report()
    assert outcome.faults.total() > 0
    assert sum(outcome.kills.values()) > 0


def test_a_short_run(tmp_path: Path) -> None:
    outcome = asyncio.run(run(Options(200, 15, "sqlite", seed=1, kill_seconds=1.5), tmp_path))
    report(outcome)
    assert outcome.sent >= 200
    assert outcome.commits >= 15


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_ten_thousand_messages(tmp_path: Path, database: str) -> None:
    outcome = asyncio.run(run(Options(10_000, 500, database, seed=1), tmp_path))
    report(outcome)
    assert outcome.sent >= 10_000
    assert outcome.commits >= 500
    assert min(outcome.kills.values()) > 0
