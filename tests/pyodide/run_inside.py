"""Runs inside Pyodide: pytest over the unpacked tests. The report tells which tests passed."""

import json
import os
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest

# Where the archive with the tests was unpacked: this module's own folder.
PROJECT = Path(__file__).resolve().parent

# WebAssembly runs several times slower than a machine's own code, so fewer examples are tried than on CPython.
_EXAMPLES = 25


class Inside:
    """A pytest plugin that sets Hypothesis up and notes the outcome of each test by its node id."""

    def __init__(self) -> None:
        self.by_outcome: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_configure(self) -> None:
        # Not at the top: pytest rewrites the asserts of Hypothesis, which it cannot once that is imported.
        from hypothesis import HealthCheck, settings

        slow = [HealthCheck.too_slow]
        settings.register_profile(
            "pyodide", deadline=None, max_examples=_EXAMPLES, suppress_health_check=slow
        )
        settings.load_profile("pyodide")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.by_outcome[report.outcome].append(report.nodeid)


def main() -> str:
    """Run the tests.

    Returns:
        A JSON object: `exit_code`, a list of node ids for each outcome, and whether `cryptography` was there to be used.
    """
    os.chdir(PROJECT)
    options = json.loads((PROJECT / "run_inside.json").read_text())
    os.environ.update(options["environment"])
    inside = Inside()
    exit_code = pytest.main(options["arguments"], plugins=[inside])
    report = {"exit_code": int(exit_code), "cryptography": find_spec("cryptography") is not None}
    return json.dumps(report | inside.by_outcome)
