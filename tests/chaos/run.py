"""A run: delivery services and clients as processes, faults between them, and an end at which everything must be right."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from mls_delivery.service import Limits
from tests.support.postgres import server_running

from .faults import HOST, Faults, fault_proxy
from .processes import ClientProcess, Line, Process, Refused, ServiceProcess
from .record import Record
from .workload import Group, Workload

DOMAINS = ("a.example", "b.example", "c.example")
# A run that makes no progress for so long has failed.
_PATIENCE = 180.0
_POLL_SECONDS = 0.3
_SHOWN_SECONDS = 10.0
# All clients of a run come from one address, and do in minutes what people do in months.
_CONFIG = "\n".join(
    ["[limits]", *(f"{limit.name} = 0" for limit in fields(Limits) if limit.name.endswith("_per_minute"))]
)


@dataclass(frozen=True)
class Options:
    """What a run is to be.

    Attributes:
        messages: application messages in all.
        commits: in all.
        database: `sqlite` or `postgresql`.
        seed: of all chance but that of the machine.
        kill_seconds: between one kill and the next, on average.
    """

    messages: int
    commits: int
    database: str
    seed: int
    kill_seconds: float = 5.0


@dataclass
class Outcome:
    """What a run has come to.

    Attributes:
        wrong: what must not be, in lines.
    """

    options: Options
    wrong: list[str]
    seconds: float
    sent: int
    arrived: int
    in_doubt: int
    commits: int
    kills: Mapping[str, int]
    faults: Counter[str]
    refusals: Counter[str]
    failures: Counter[str]
    groups: Sequence[str] = field(default=())

    def report(self) -> str:
        """For people."""
        rows = [
            f"seed {self.options.seed}, {self.options.database}: {'FAILED' if self.wrong else 'passed'}",
            f"  {self.sent} messages sent, {self.arrived} arrived, {self.in_doubt} in doubt when their sender was killed",
            f"  {self.commits} commits in {len(self.groups)} groups: {'; '.join(self.groups)}",
            f"  {sum(self.kills.values())} kills: {_listed(self.kills)}",
            f"  {self.faults.total()} faults of the network: {_listed(self.faults)}",
            f"  messages refused by clients: {_listed(self.refusals)}; failures told: {_listed(self.failures)}",
            f"  {self.seconds:.0f} s",
        ]
        return "\n".join([*rows, *(f"  ! {line}" for line in self.wrong)])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


async def run(options: Options, folder: Path) -> Outcome:
    """One run.

    Args:
        folder: for databases, states and logs.
    """
    began = time.monotonic()
    chance = random.Random(options.seed)
    faults = Faults(random.Random(chance.random()))
    record = Record()
    workloads: list[Workload] = []

    def told(client: str, line: Line) -> None:
        for workload in workloads:
            if line["event"] == "epoch" and line["group"] == workload.group.group_id:
                workload.note_epoch(client, line["epoch"])
        record.happened(client, line)

    async with contextlib.AsyncExitStack() as closing:
        databases = closing.enter_context(_databases(options, folder))
        # With PostgreSQL, two processes share a domain, as they do when one is not enough.
        ports = {domain: _free_ports(2 if options.database == "postgresql" else 1) for domain in DOMAINS}
        urls = {}
        for domain in DOMAINS:
            proxy = await closing.enter_async_context(fault_proxy(ports[domain], faults))
            urls[domain] = proxy.url
        services = [
            _service(domain, port, databases[domain], urls, folder)
            for domain in DOMAINS
            for port in ports[domain]
        ]
        people = [f"{name}@{domain}" for domain in DOMAINS for name in (domain[0] + "1", domain[0] + "2")]
        clients = {
            identity: ClientProcess(identity, folder, urls, told, _fanout_of(identity)) for identity in people
        }
        processes: list[Process] = [*services, *clients.values()]
        closing.push_async_callback(_stop_all, processes)
        await asyncio.gather(*(service.start() for service in services))
        await asyncio.gather(*(client.start() for client in clients.values()))

        for group in await _groups(options, clients):
            workloads.append(Workload(group, clients, record, random.Random(chance.random())))
        for workload in workloads:
            await _gather(workload, clients)

        faults.happening = True
        stuck = await _until_done(options, workloads, processes, record, random.Random(chance.random()))
        faults.happening = False
        wrong = stuck or await _drain(workloads, clients, record)
        wrong += record.verdict()
    fates = Counter(message.fate for message in record.messages.values())
    return Outcome(
        options=options,
        wrong=wrong,
        seconds=time.monotonic() - began,
        sent=fates["sent"],
        arrived=sum(message.arrived.total() for message in record.messages.values()),
        in_doubt=fates["in doubt"],
        commits=sum(workload.group.committed for workload in workloads),
        kills={process.name: process.kills for process in processes},
        faults=faults.counts,
        refusals=record.refusals,
        failures=record.failures,
        groups=[workload.group.title for workload in workloads],
    )


@contextlib.contextmanager
def _databases(options: Options, folder: Path) -> Iterator[dict[str, str]]:
    """The URL of a database for each domain."""
    if options.database == "sqlite":
        yield {domain: f"sqlite:///{(folder / domain).as_posix()}.sqlite3" for domain in DOMAINS}
        return
    with server_running() as server:
        yield {domain: server.url(server.fresh()) for domain in DOMAINS}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_at_once:
        probes = [open_at_once.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def _fanout_of(identity: str) -> str:
    """The second of each domain speaks to its own service alone."""
    return "server" if "2" in identity else "client"


def _service(domain: str, port: int, database: str, urls: Mapping[str, str], folder: Path) -> ServiceProcess:
    name = f"{domain} at {port}"
    config = folder / f"{name}.toml"
    peers = [f'"{other}" = "{url}"' for other, url in urls.items() if other != domain]
    config.write_text("\n".join([_CONFIG, "[federation.peers]", *peers]))
    command: list[str | Path] = [sys.executable, "-m", "mls_delivery", "--config", config]
    command += ["--domain", domain, "--port", str(port), "--database", database]
    return ServiceProcess(name, port, command, folder / f"{name}.log")


async def _stop_all(processes: Sequence[Process]) -> None:
    await asyncio.gather(*(process.stop() for process in processes))


async def _groups(options: Options, clients: Mapping[str, ClientProcess]) -> list[Group]:
    """The groups, of which each has so far its creator alone."""
    people = list(clients)
    fanouts = [("client fanout", people[0::2]), ("server fanout", people[1::2]), ("mixed", people)]
    chosen = [
        (f"{fanout}, ordered by {title}", members, ordering)
        for fanout, members in fanouts
        for title, ordering in (("a service", "service"), ("the members", "members"))
    ]
    groups = []
    for number, (title, members, ordering) in enumerate(chosen):
        group_id = (await clients[members[0]].ask("create", ordering=ordering))["group"]
        groups.append(
            Group(
                group_id=group_id,
                title=title,
                members=members,
                messages=(options.messages + number) // len(chosen),
                commits=(options.commits + number) // len(chosen),
            )
        )
    return groups


async def _gather(workload: Workload, clients: Mapping[str, ClientProcess]) -> None:
    """Add everybody, and wait until they are there."""
    group = workload.group
    creator, *others = group.members
    for other in others:
        await clients[creator].ask("add", group=group.group_id, identity=other)
    await workload.settle()
    group.first_epoch = group.epochs[creator]


async def _until_done(
    options: Options,
    workloads: Sequence[Workload],
    processes: Sequence[Process],
    record: Record,
    chance: random.Random,
) -> list[str]:
    """Let everything happen, and kill meanwhile. Returns why it has come to no end; nothing if it has."""
    killing = asyncio.create_task(_kill(options, processes, chance))
    living = asyncio.create_task(_live(workloads))
    try:
        before, since = _progress(workloads, record), time.monotonic()
        while not living.done():
            await asyncio.wait([living, killing], timeout=_SHOWN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if killing.done():
                killing.result()
            if _progress(workloads, record) != before:
                before, since = _progress(workloads, record), time.monotonic()
            elif not living.done() and time.monotonic() > since + _PATIENCE:
                return [f"nothing has happened for {_PATIENCE:.0f} s", *_standing(workloads, record)]
            _show(workloads, record)
        living.result()
    except (AssertionError, ExceptionGroup) as fault:
        return ["".join(traceback.format_exception(fault))]
    finally:
        for task in (living, killing):
            task.cancel()
        await asyncio.wait([living, killing])
    for process in processes:
        if not process.up.is_set():
            await process.stop()
            await process.start()
    return []


async def _live(workloads: Sequence[Workload]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for workload in workloads:
            tasks.create_task(workload.run())


def _progress(workloads: Sequence[Workload], record: Record) -> tuple[int, int, int]:
    committed = sum(workload.group.committed for workload in workloads)
    return len(record.messages), sum(map(len, record.told.values())), committed


def _show(workloads: Sequence[Workload], record: Record) -> None:
    said, arrived, committed = _progress(workloads, record)
    clock = time.strftime("%H:%M:%S")
    print(f"  {clock} {said} messages, {arrived} arrivals, {committed} commits", file=sys.stderr, flush=True)


def _standing(workloads: Sequence[Workload], record: Record) -> list[str]:
    return [
        f"{workload.group.title}: {workload.group.sent} of {workload.group.messages} sent,"
        f" {record.under_way(workload.group.group_id)} under way, epochs {workload.group.epochs}"
        for workload in workloads
    ]


async def _kill(options: Options, processes: Sequence[Process], chance: random.Random) -> None:
    """Kill one process after the other, each once before any is killed again, and start it again."""
    while True:
        for process in chance.sample(processes, len(processes)):
            await asyncio.sleep(chance.expovariate(1 / options.kill_seconds))
            for other in processes:
                other.check()
            await process.kill()
            await asyncio.sleep(chance.uniform(0, 1.0))
            await process.start()


async def _drain(
    workloads: Sequence[Workload], clients: Mapping[str, ClientProcess], record: Record
) -> list[str]:
    """Wait until nothing is under way; returns what does not come to rest."""
    wrong: list[str] = []
    for attempt in itertools.count(1):
        before = _progress(workloads, record)
        waiting = [(await client.ask("status"))["waiting"] for client in clients.values()]
        wrong = [line for workload in workloads for line in await workload.agreement()]
        under_way = sum(record.under_way(workload.group.group_id) for workload in workloads)
        if not (wrong or under_way or any(waiting)):
            break
        if attempt * _POLL_SECONDS > _PATIENCE and _progress(workloads, record) == before:
            return [*wrong, f"{under_way} messages under way, {sum(waiting)} in outboxes"]
        await asyncio.sleep(_POLL_SECONDS)
    # Whatever might still come a second time has come when this has: inboxes are in order.
    for workload in workloads:
        group = workload.group
        for member in group.members:
            text, message = record.new_message(
                group.group_id, member, [other for other in group.members if other != member]
            )
            try:
                record.sent(message, await clients[member].ask("send", group=group.group_id, data=text))
            except Refused as refusal:
                wrong.append(f"{member} cannot send at the end: {refusal}")
    for _ in range(int(_PATIENCE / _POLL_SECONDS)):
        if not any(record.under_way(workload.group.group_id) for workload in workloads):
            break
        await asyncio.sleep(_POLL_SECONDS)
    return wrong
