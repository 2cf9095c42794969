"""How fast the engine is, beside what its cryptography alone costs, and beside other implementations in the same run.

    python3 -m dev.environment && .venv/bin/python benchmarks/engine.py --write

Every side is a process of its own, and they take turns. Right after an operation of ours, the primitive calls that it cannot do
without are made alone: its floor. Times are medians of the rounds, and so are the ratios of the two. Times are from octets to octets: decoding what came in and
encoding what goes out are in them.
"""

import argparse
import contextlib
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.speed import browser, report
from benchmarks.speed.contestants import Contestant, Ours, node_side
from benchmarks.speed.operations import SIZES
from benchmarks.speed.results import OURS, Results
from benchmarks.speed.sides import Process, Side
from dev import environment

HERE = Path(__file__).resolve().parent
PARTS = HERE / "speed"
RESULTS = HERE / "RESULTS.md"
_BEGIN, _END = "<!-- engine.py begin -->", "<!-- engine.py end -->"
_PLACES = ("cpython", "node", "chromium")
# How costs grow is seen between these; their rows are no part of the tables.
_GROWTH_SIZES = (100,)
_QUICK_SIZES = (2, 10, 50)

_CLOCKS = {
    "wall": "times are those that pass",
    "cpu": "on CPython times are those that the process had the processor, elsewhere those that pass: what else ran at the "
    "same time counts against Node and Chromium alone",
}
_NOTES = """\
- Every side is a process or a worker of its own, and they take turns in each round. Times are from octets to octets: decoding
  what came in and encoding what goes out are in them, and all checks of RFC 9420 that a side makes, lifetimes among them.
- The *floor* is measured too: right after each operation of ours, the primitive calls that RFC 9420 makes unavoidable for it
  are made alone, on the same provider. `benchmarks/speed/floor.py` counts them from the RFC and the tree's shape; a test
  compares its counts with what the engine calls. *Times floor* is the median of the ratios of such pairs.
- *Fresh tree*: after the commit that added everybody, the last who joined commits, and the creator reads it. *All have
  committed*: every parent node has a key; the last member commits, the first one reads it. Messages are not the epoch's first.
- ts-mls commits Adds without an update path, so in *create, and add N-1* it does less than ours, which renews the creator's
  path; its creator then commits once more, unmeasured, so that the fresh trees are alike. For *all have committed* two of its
  members join a group of ours. It uses WebCrypto, asynchronously; ours is synchronous.
  Neither pads messages, and ours adds no GREASE, so that octets are alike.
- PyPI's `rfc9420` takes KeyPackages that our engine made, and sends handshake messages in the open.
- In Chromium, our states for *all have committed* are loaded from what CPython saved."""


def measure(contestants: Sequence[Contestant], size: int, rounds: int) -> None:
    """Measure one size, all in turn."""
    for contestant in contestants:
        _progress(f"N = {size}: {contestant.title} prepares")
        contestant.prepare(size)
    for number in range(rounds):
        _progress(f"N = {size}: round {number + 1} of {rounds}")
        for contestant in contestants:
            contestant.round(size)


def measure_memory(side: Side, size: int) -> tuple[dict[str, int], dict[str, int]]:
    """What a group takes after joining it: counted by Python, and by the machine."""
    side.call("prepare", size=size)
    joiner = side.call("joiner")
    measured = []
    for traced in (True, False):
        process = Process([sys.executable, PARTS / "memory.py"])
        measured.append(process.call("join", traced=traced, **joiner))
        process.close()
    return measured[0], measured[1]


def sections(options: argparse.Namespace) -> list[str]:
    """Measure all that was asked for, and make the tables."""
    sizes = sorted({*options.sizes, *(_GROWTH_SIZES if max(options.sizes) >= 1000 else ())})
    runtime = ""
    with contextlib.ExitStack() as stack:
        # The others get from ours on CPython what they cannot make, so it is always there.
        ours = Ours(options.clock)
        native = [ours.contestant()]
        stack.callback(ours.side.close)
        in_browser: list[Contestant] = []
        if "cpython" in options.where and not options.alone:
            native.append(ours.rfc9420(ours.results))
            stack.callback(native[-1].side.close)
        if "node" in options.where and not options.alone:
            ready = environment.prepare(development=True)
            native.append(ours.ts_mls(node_side(ready.node.program), Results(), "ts-mls in Node"))
            stack.callback(native[-1].side.close)
        if "chromium" in options.where:
            workers, runtime = stack.enter_context(browser.sides(environment.prepare(development=True)))
            results = Results()
            in_browser = [ours.inside_pyodide(workers[OURS], results)]
            if not options.alone:
                in_browser.append(ours.ts_mls(workers[browser.TS_MLS], results, "ts-mls in Chromium"))
        for size in sizes:
            measure([*native, *in_browser], size, options.rounds)
            for table in _tables(native, in_browser, [size]):
                _progress(table)
        profiles = []
        for where, contestant in zip(("cpython", "chromium"), (native[0], *in_browser[:1]), strict=False):
            contestant.results.prices = contestant.side.call("prices")
            profiles += _profiles(where, contestant, options.sizes)
        largest = max(sizes)
        _progress(f"memory, N = {largest}")
        traced, resident = measure_memory(ours.side, largest)
    tables = _tables(native, in_browser, options.sizes)
    parts = [
        f"### CPython {platform.python_version()}, `cryptography` {version('cryptography')}",
        tables[0],
        *(f"{name} could not do {operation}: {why}" for name, operation, why in _failures(native)),
        report.growth_table("CPython", ours.results),
        report.memory_table(largest, traced, resident, ours.state[largest]),
        report.prices_line(ours.results),
    ]
    if in_browser:
        parts += [
            f"### {runtime}",
            tables[1],
            report.growth_table("Chromium", in_browser[0].results),
            report.prices_line(in_browser[0].results),
        ]
    parts += ["### What the floor counts", report.counts_table(ours.results, options.sizes)]
    if profiles:
        parts += ["### Where the time goes, in what takes too many times its floor", *profiles]
    return [part for part in parts if part]


def _profiles(where: str, ours: Contestant, sizes: Sequence[int]) -> list[str]:
    """A profile of each operation that misses its target, where it is largest."""
    tables, prepared = [], 0
    for operation, size in report.missed(where, ours.results, sizes).items():
        _progress(f"{where}, N = {size}: {operation.title}, profiled")
        if size != prepared:
            ours.prepare(size)
            prepared = size
        rows = ours.side.call("profile", operation=operation.key, chains=3)
        tables.append(report.profile_table(where, operation, size, rows))
    return tables


def _tables(
    native: Sequence[Contestant], in_browser: Sequence[Contestant], sizes: Sequence[int]
) -> list[str]:
    """One table for each place where our engine ran."""
    tables = []
    for where, contestants in (("cpython", native), ("chromium", in_browser)):
        if not contestants:
            continue
        first, *others = contestants
        columns = [
            report.Other(other.name, f"{other.title}, ms", other.results, to_beat=where == "chromium")
            for other in others
        ]
        tables.append(report.times_table(where, first.results, sizes, columns))
    return tables


def _failures(contestants: Sequence[Contestant]) -> list[tuple[str, str, str]]:
    return [(each.title, operation, why) for each in contestants for operation, why in each.failed.items()]


def write(section: str) -> None:
    """Put the section into the results' page in place of its last one."""
    text = RESULTS.read_text()
    block = f"{_BEGIN}\n{section}\n{_END}"
    if _BEGIN in text:
        before, _, rest = text.partition(_BEGIN)
        text = before + block + rest.partition(_END)[2]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    RESULTS.write_text(text)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    sizes = sorted({int(part) for part in text.split(",")})
    if sizes[0] < 2:
        raise argparse.ArgumentTypeError("a group has at least two members here")
    return sizes


def _places(text: str) -> list[str]:
    places = text.split(",")
    if unknown := [place for place in places if place not in _PLACES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(_PLACES)}")
    return places


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="Measure the engine, its crypto floor, and others.")
    parser.add_argument("--sizes", type=_numbers, help=f"default {','.join(map(str, SIZES))}")
    parser.add_argument("--where", type=_places, default=list(_PLACES), help=f"default {','.join(_PLACES)}")
    parser.add_argument("--alone", action="store_true", help="leave the other implementations out")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, for a first look")
    parser.add_argument(
        "--clock",
        choices=tuple(_CLOCKS),
        default="wall",
        help="on CPython: `cpu` counts this process alone, for a machine that is busy (default wall)",
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}")
    options = parser.parse_args(arguments)
    options.sizes = options.sizes or list(_QUICK_SIZES if options.quick else SIZES)
    options.rounds = options.rounds or (2 if options.quick else 5)
    before = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    measured = "\n\n".join(sections(options))
    after = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(measured)
    if options.write:
        given = shlex.join(sys.argv[1:] if arguments is None else arguments)
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        command = f"python3 -m dev.environment && .venv/bin/python benchmarks/engine.py {given}"
        write(
            f"## The engine: operations of a group, beside their crypto floor\n\n`{command}`\n\n"
            f"Cipher suite 1, medians of {options.rounds} rounds, on {machine}, with a load of {before:.1f} before and "
            f"{after:.1f} after; {_CLOCKS[options.clock]}.\n\n{_NOTES}\n\n{measured}"
        )


if __name__ == "__main__":
    main()
