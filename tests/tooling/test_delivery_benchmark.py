"""The benchmark of the delivery service still runs, and loses nothing."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from benchmarks.delivery import measure, tables


def test_a_first_look(tmp_path: Path) -> None:
    results = measure(Namespace(rounds=1, seconds=0.3, connected=[1, 5], key_sets=1), tmp_path)
    assert {name: len(rates) for name, rates in results.rates.items()} == dict.fromkeys(
        ("insert", "bare", "accepted", "fanned out", "copies", "fetched", "delivered"), 1
    )
    for number in (1, 5):
        found = results.delays[number]
        assert 0 < found["sent"] == found["arrived"] == len(found["delays"])
    shown = tables(results)
    assert "| 5 | " in shown
    assert "KiB of the service's memory" in shown
