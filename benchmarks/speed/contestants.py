"""Who takes part in a run, and how each is made ready for a group of some size."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.environment import REQUIREMENTS
from dev.steps import BUILD, announce, digest, is_current, mark_current, run

from .floor import Encoded
from .operations import chains
from .results import OURS, Results
from .sides import Process, Side

PARTS = Path(__file__).resolve().parent
TS_MLS = "ts-mls"
RFC9420 = "rfc9420"


@dataclass
class Contestant:
    """A side, with what it needs of ours.

    Attributes:
        name: in its results.
        side: itself.
        results: where its times go.
        prepare: makes it ready for a size, after ours on CPython.
        failed: the operations that it could not do, and why.
    """

    name: str
    title: str
    side: Side
    results: Results
    prepare: Callable[[int], None]
    failed: dict[str, str] = field(default_factory=dict)

    def round(self, size: int) -> None:
        """Have it go through the operations."""
        times: Mapping[str, Any] = self.side.call("round", chains=chains(size))
        if "failed" in times:
            self.failed.update(times["failed"])
            times = times["times"]
        self.results.add(self.name, size, times)


class Ours:
    """Our side on CPython, which the others get from what they cannot make or what would take them too long.

    Attributes:
        state: octets of a state in which every member has committed, by size.
    """

    def __init__(self, clock: str) -> None:
        self._clock = clock
        self.side = Process([sys.executable, PARTS / "cpython_side.py", clock])
        self.results = Results()
        self.state: dict[int, int] = {}
        self._filled: dict[int, dict[str, str]] = {}

    def contestant(self) -> Contestant:
        """It takes part itself."""
        return Contestant(OURS, "ours", self.side, self.results, self._prepare)

    def _prepare(self, size: int) -> None:
        self.results.encoded = Encoded(**self.side.call("prepare", size=size))
        self._filled[size] = self.side.call("fill")
        self.state[size] = len(self._filled[size]["receiver"]) // 2

    def inside_pyodide(self, side: Side, results: Results) -> Contestant:
        """Our side in a browser. It loads the states that were made on CPython."""

        def prepare(size: int) -> None:
            results.encoded = Encoded(**side.call("prepare", size=size))
            side.call("load_full", **self._filled[size])

        return Contestant(OURS, "ours", side, results, prepare)

    def ts_mls(self, side: Side, results: Results, title: str) -> Contestant:
        """ts-mls, two members of which join a group of ours in which everybody has committed."""

        def prepare(size: int) -> None:
            side.call("prepare", size=size)
            if size == 2:
                side.call("fill")
            else:
                side.call("adopt", **self.side.call("invite", packages=side.call("offer")))

        return Contestant(TS_MLS, title, side, results, prepare)

    def rfc9420(self, results: Results) -> Contestant:
        """PyPI's package."""
        side = Process([_rfc9420_python(), PARTS / "rfc9420_side.py", self._clock])
        return Contestant(
            RFC9420,
            "`rfc9420`",
            side,
            results,
            lambda size: side.call("prepare", **self.side.call("lend")),
        )


def node_side(node: Path) -> Process:
    """A process that runs ts-mls."""
    return Process([node, "--expose-gc", PARTS / "ts_mls_node.mjs"])


def _rfc9420_python() -> Path:
    """The Python of an environment with PyPI's `rfc9420` and nothing else; made if it is not there."""
    folder = BUILD / "rfc9420"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    lock = REQUIREMENTS / "rfc9420.txt"
    stamp, key = folder / "stamp", digest(lock, sys.version)
    if not is_current(stamp, key):
        announce("environment with PyPI's rfc9420")
        shutil.rmtree(folder, ignore_errors=True)
        run(
            [sys.executable, "-m", "venv", folder],
            failed="Python's venv module could not make an environment.",
        )
        run(
            [python, "-m", "pip", "install", "--no-deps", "--require-hashes", "--requirement", lock],
            failed=f"pip could not install {lock.name}.",
        )
        mark_current(stamp, key)
    return python
