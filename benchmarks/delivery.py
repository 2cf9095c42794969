"""The delivery service under load, beside an end point that does nothing and an insert that is on the disk.

    .venv/bin/python benchmarks/delivery.py --write

The service, the bare end point and the load are processes of their own on this machine, so they share its processors; what
they are measured beside does so as well, and they take turns. Ratios say more than rates.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load.bare import insert_rate
from benchmarks.load.people import People, registered
from dev.federation import free_port
from mls_delivery.service import Limits

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
_BEGIN, _END = "<!-- delivery.py begin -->", "<!-- delivery.py end -->"
_DOMAIN = "a.example"
_WELL_KNOWN = "/.well-known/mls-federation"
# Limits that are there to keep one source from doing what a load test does.
_NO_LIMITS = "\n".join(
    [
        "[limits]",
        "inbox_messages = 1000000",
        "inbox_octets = 4000000000",
        *(
            f"{limit.name} = 0"
            for limit in fields(Limits)
            if limit.name.startswith("connections") or limit.name.endswith("_per_minute")
        ),
    ]
)
_START_SECONDS = 60.0
_OCTETS = 1024
_CONNECTIONS = 32
_FANOUT = 10
# Messages a second while delays are measured: what a service does all day, not its limit.
_PACE = 25
_CONNECTED = (1, 100, 1000)
# So many people never connect: what they get is kept.
_AWAY = 100


class Server:
    """A process that answers HTTP."""

    def __init__(self, command: Sequence[str | Path], port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _START_SECONDS
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            try:
                opener.open(self.url + _WELL_KNOWN, timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.05)
            else:
                return

    def resident(self) -> int:
        """Octets of memory that it has."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


class Load:
    """The process that makes the load."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE.parent,
            text=True,
        )

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def rate(self, job: str, **arguments: Any) -> float:
        """How often a second something can be done."""
        self._say(json.dumps({"job": job, "octets": _OCTETS, "connections": _CONNECTIONS, **arguments}))
        found: float = self._line()["rate"]
        return found

    @contextlib.contextmanager
    def connected(self, **arguments: Any) -> Iterator[None]:
        """While nothing happens but that people are connected; they get their messages at the end."""
        job = {"job": "deliver", "octets": _OCTETS, "connections": _CONNECTIONS, **arguments}
        self._say(json.dumps(job))
        self._line()
        yield

    def delivered(self) -> dict[str, Any]:
        """Go on after `connected`; the result."""
        self._say("")
        return self._line()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@dataclass
class Results:
    """What was measured: rates by name, one for each round; and one result for each number of people who are connected."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    delays: dict[int, dict[str, Any]] = field(default_factory=dict)
    idle: float = 0.0

    def note(self, name: str, rate: float) -> None:
        """One more."""
        self.rates.setdefault(name, []).append(rate)
        _progress(f"{name}: {rate:.0f} a second")

    def rate(self, name: str) -> float:
        """The median."""
        return statistics.median(self.rates[name])

    def ratio(self, name: str, beside: str) -> float:
        """The median of the ratios within each round."""
        return statistics.median(
            one / other for one, other in zip(self.rates[name], self.rates[beside], strict=True)
        )


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """The delivery service, and the bare end point."""
    config = folder / "service.toml"
    config.write_text(_NO_LIMITS)
    ports = [free_port(), free_port()]
    service: list[str | Path] = [
        sys.executable,
        "-m",
        "mls_delivery",
        "--config",
        config,
        "--domain",
        _DOMAIN,
    ]
    service += ["--port", str(ports[0]), "--database", f"sqlite:///{(folder / 'service.sqlite3').as_posix()}"]
    bare: list[str | Path] = [sys.executable, HERE / "load" / "bare.py", str(ports[1])]
    with (
        contextlib.closing(Server(service, ports[0], folder / "service.log")) as one,
        contextlib.closing(Server(bare, ports[1], folder / "bare.log")) as other,
    ):
        yield one, other


def measure(options: argparse.Namespace, folder: Path) -> Results:
    """All of it."""
    results = Results()
    with servers(folder) as (service, bare), contextlib.closing(Load()) as load:
        number = max(100, *options.connected) + _AWAY
        _progress(f"{number} people register")
        people = asyncio.run(registered(_DOMAIN, service.url, number, key_sets=options.key_sets))
        for _ in range(options.rounds):
            _round(results, options.seconds, folder, service, bare, load, people)
        for connected in options.connected:
            _connected(results, options.seconds, connected, service, load, people)
    return results


def _round(
    results: Results,
    seconds: float,
    folder: Path,
    service: Server,
    bare: Server,
    load: Load,
    people: People,
) -> None:
    """Everything once, in turn."""
    at = {"port": service.port, "seconds": seconds}
    messages = {**at, "path": people.paths["messages"]}
    away = people.identities[-_AWAY:]
    results.note("insert", insert_rate(folder, seconds, _OCTETS))
    results.note("bare", load.rate("bare", port=bare.port, seconds=seconds))
    results.note("accepted", load.rate("accept", people=away, fanout=1, **messages))
    fanned = load.rate("accept", people=away, fanout=_FANOUT, **messages)
    results.note("fanned out", fanned)
    results.note("copies", fanned * _FANOUT)
    results.note("fetched", load.rate("fetch", people=people.identities, path=people.paths["bundles"], **at))
    there = people.identities[:100]
    inbox = {"inbox": people.paths["inbox"], "tokens": people.tokens[:100]}
    with load.connected(people=there, fanout=1, **messages, **inbox):
        pass
    found = load.delivered()
    results.note("delivered", found["delivered"])
    if found["arrived"] != found["sent"]:
        raise RuntimeError(f"{found['sent']} messages were sent, and {found['arrived']} arrived")


def _connected(
    results: Results, seconds: float, number: int, service: Server, load: Load, people: People
) -> None:
    """So many are connected, and get messages at an even pace, each for one of them."""
    before = service.resident()
    with load.connected(
        port=service.port,
        seconds=max(seconds, number / _PACE),
        people=people.identities[:number],
        tokens=people.tokens[:number],
        path=people.paths["messages"],
        inbox=people.paths["inbox"],
        fanout=1,
        pace=_PACE,
    ):
        results.idle = (service.resident() - before) / number
    found = results.delays[number] = load.delivered()
    _progress(
        f"{number} connected: {found['arrived']} of {found['sent']} arrived, median {_percentile(found, 50):.1f} ms,"
        f" 99th percentile {_percentile(found, 99):.1f} ms; {results.idle / 1024:.1f} KiB for each"
    )


def _percentile(found: dict[str, Any], percent: int) -> float:
    """In milliseconds."""
    delays = found["delays"]
    return float(delays[min(len(delays) - 1, len(delays) * percent // 100)] * 1000)


def tables(results: Results) -> str:
    """What was measured, ratios first."""
    rows = [
        ("message accepted, for one recipient", "accepted", "insert", "bare"),
        (f"message accepted, for {_FANOUT} recipients", "fanned out", "insert", "bare"),
        (f"… counted by recipients ({_FANOUT} durable copies each)", "copies", "insert", None),
        (
            "message accepted, delivered to one of 100 who are connected, acknowledged",
            "delivered",
            "insert",
            "bare",
        ),
        ("key bundle fetched", "fetched", "insert", "bare"),
    ]
    lines = [
        "| | of the bare insert's rate | of the bare end point's rate | a second |",
        "| --- | --: | --: | --: |",
    ]
    for title, name, *beside in rows:
        ratios = [f"{results.ratio(name, other):.2f}" if other else "" for other in beside]
        lines.append(f"| {title} | {' | '.join(ratios)} | {results.rate(name):.0f} |")
    lines += [
        f"| *bare insert and commit, one at a time* | 1 | | {results.rate('insert'):.0f} |",
        f"| *bare end point* | | 1 | {results.rate('bare'):.0f} |",
        "",
        "| connected | messages sent | lost | median, ms | 99th percentile, ms | largest, ms |",
        "| --: | --: | --: | --: | --: | --: |",
    ]
    for number, found in results.delays.items():
        lost = found["sent"] - found["arrived"]
        shown = " | ".join(f"{_percentile(found, percent):.1f}" for percent in (50, 99, 100))
        lines.append(f"| {number} | {found['sent']} | {lost} | {shown} |")
    lines += ["", f"Each idle connection takes {results.idle / 1024:.1f} KiB of the service's memory."]
    return "\n".join(lines)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="Measure the delivery service under load.")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each part of a round; default %(default)s"
    )
    parser.add_argument(
        "--connected",
        type=lambda text: [int(part) for part in text.split(",")],
        default=list(_CONNECTED),
        help=f"default {','.join(map(str, _CONNECTED))}",
    )
    parser.add_argument(
        "--key-sets", type=int, default=8, help="that each person publishes; default %(default)s"
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}")
    options = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        measured = tables(measure(options, Path(folder)))
    print(measured)
    if options.write:
        given = shlex.join(sys.argv[1:] if arguments is None else arguments)
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        write(
            f"## The delivery service under load\n\n`.venv/bin/python benchmarks/delivery.py {given}`\n\n"
            f"Medians of {options.rounds} rounds of {options.seconds:g} s each, on {machine}, with a load of {before:.1f}"
            f" before, CPython {platform.python_version()}, SQLite. Messages have {_OCTETS} octets, {_CONNECTIONS}"
            f" connections send; delays are those at {_PACE} messages a second. The bare end point is served by the same server with"
            f" the same settings, the bare insert is a row of as many octets in one thread (`synchronous=FULL`, WAL)."
            f" Service, end point and load share the machine's processors, and take turns.\n\n{measured}"
        )


if __name__ == "__main__":
    main()
