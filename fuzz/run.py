"""Fuzzes the engine: `python -m fuzz.run [--target NAME]... [--seconds N]`. README.md says more."""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .target import run_within_bounds
from .targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
_DEFAULT_WORK = ROOT / "build" / "fuzz"


@dataclass(frozen=True)
class Outcome:
    """What came of fuzzing one target.

    Attributes:
        executions: inputs that were run.
        edges: of the engine's code, that they reached, as libFuzzer counts.
        seconds: how long it took.
        cpu_seconds: how much of that it had a processor for; little, on a machine with better things to do.
        findings: files with an input each.
    """

    target: str
    executions: int
    edges: int
    seconds: int
    cpu_seconds: int
    findings: tuple[Path, ...]


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="all, if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="in all, divided by the targets' weights")
    parser.add_argument("--work", type=Path, default=_DEFAULT_WORK, help="where corpus and findings are kept")
    parser.add_argument("--replay", type=Path, help="run the one target named on this input, without atheris")
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    if options.replay:
        if len(names) != 1:
            parser.error("--replay needs one --target")
        run_within_bounds(TARGETS[names[0]], options.replay.read_bytes())
        print("no finding")
        return 0
    weights = sum(TARGETS[name].weight for name in names)
    outcomes = []
    for name in names:
        seconds = max(1, options.seconds * TARGETS[name].weight // weights)
        outcomes.append(_fuzz(name, seconds, options.work.resolve()))
        _print(outcomes[-1:], header=len(outcomes) == 1)
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    total = sum(outcome.executions for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    cpu_seconds = sum(outcome.cpu_seconds for outcome in outcomes)
    print(f"{total} executions in {seconds} s, {cpu_seconds} s of CPU; {len(findings)} findings")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def _fuzz(name: str, seconds: int, work: Path) -> Outcome:
    """Fuzz one target in a process of its own."""
    findings, log = work / "findings", work / f"{name}.log"
    findings.mkdir(parents=True, exist_ok=True)
    before, used = set(findings.iterdir()), _cpu_seconds()
    options = [
        f"-max_total_time={seconds}",
        "-print_final_stats=1",
        "-max_len=4096",
        "-len_control=0",
        # Of the clock on the wall, which a busy machine takes from us: what is slow is measured by `target`.
        "-timeout=1200",
        "-rss_limit_mb=2048",
        "-use_value_profile=1" if name in ("codec", "certificates") else "-use_value_profile=0",
    ]
    with log.open("w") as output:
        ended = subprocess.run(
            [sys.executable, "-m", "fuzz.one", name, work, *options],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = log.read_text(errors="replace")
    new = tuple(sorted(file for file in set(findings.iterdir()) - before if file.suffix != ".txt"))
    if ended.returncode and not new:
        raise SystemExit(f"fuzzing {name} failed:\n{text[-2000:]}")
    return Outcome(
        target=name,
        executions=_last(r"stat::number_of_executed_units:\s*(\d+)", text) or _last(r"^#(\d+)", text),
        edges=_last(r"cov: (\d+)", text),
        seconds=_last(r"in (\d+) second", text),
        cpu_seconds=round(_cpu_seconds() - used),
        findings=new,
    )


def _cpu_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def _print(outcomes: Sequence[Outcome], *, header: bool) -> None:
    if header:
        print("| target | executions | edges | seconds | of CPU | findings |\n|---|---|---|---|---|---|")
    for outcome in outcomes:
        print(
            f"| {outcome.target} | {outcome.executions} | {outcome.edges} | {outcome.seconds} | {outcome.cpu_seconds} | {len(outcome.findings)} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
