"""A federation on this machine: delivery services and a web server, each a process of its own.

`serve.py` runs it for a person, the browser tests for themselves. Standard library only.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.steps import ROOT

DOMAINS = ("a.example", "b.example", "c.example")

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 3.0
_POLL_SECONDS = 0.05
_LOG_LINES_SHOWN = 30


class FederationError(Exception):
    """A process did not start or ended by itself; the message has the end of its output."""


@dataclass(frozen=True)
class Process:
    """A process of the federation."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def failure(self) -> str | None:
        """What to tell a person if it has ended, else None."""
        code = self.popen.poll()
        if code is None:
            return None
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        output = "\n".join(f"  | {line}" for line in lines) or "  | (it printed nothing)"
        return f"{self.name} ended with exit code {code}. The end of its output ({self.log}):\n{output}"


@dataclass(frozen=True)
class DeliveryService:
    """A running delivery service."""

    domain: str
    url: str
    operations: str  # address of its health and metrics
    database: Path
    process: Process


@dataclass(frozen=True)
class Federation:
    """Running delivery services and the web server of the page."""

    url: str
    services: Mapping[str, DeliveryService]
    web_server: Process

    @property
    def processes(self) -> list[Process]:
        """Every process that was started."""
        return [self.web_server, *(service.process for service in self.services.values())]

    def check_alive(self) -> None:
        """Raise FederationError if a process has ended."""
        for process in self.processes:
            if failure := process.failure():
                raise FederationError(failure)


def free_port(preferred: int | None = None, *, taken: Sequence[int] = ()) -> int:
    """A port that nobody listens on: the preferred one or the next free one after it, else any.

    Args:
        preferred: where to begin; None for any free port.
        taken: ports that are given away already, though nobody listens on them yet.
    """
    candidates = [0] * 20 if preferred is None else range(preferred, min(preferred + 100, 65536))
    for candidate in candidates:
        if candidate in taken:
            continue
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            # Without this, a port counts as taken for a minute after its last user has gone.
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            if port not in taken:
                return port
    where = "anywhere" if preferred is None else f"from {preferred} to {candidates[-1]}"
    raise FederationError(f"No free port {where} on {_HOST}.")


class EndRequest:
    """Whether somebody asked for the end: Ctrl-C, SIGTERM, or a closed terminal."""

    def __init__(self) -> None:
        self.made = False


@contextlib.contextmanager
def end_requests() -> Iterator[EndRequest]:
    """Turn the signals that ask for an end into a value, so that none can interrupt starting or ending a process."""
    request = EndRequest()

    def note(*_: object) -> None:
        request.made = True

    previous = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the last is not on every system
        if number := getattr(signal, name, None):
            previous[number] = signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def running(
    python: Path,
    web_root: Path,
    folder: Path,
    *,
    domains: Sequence[str] = DOMAINS,
    web_port: int | None = None,
    first_service_port: int | None = None,
    mounts: Mapping[str, Path] | None = None,
    origins: Sequence[str] = (),
    end_request: EndRequest | None = None,
) -> Iterator[Federation]:
    """Start a federation, wait until every part answers, and end every process at the end.

    Args:
        python: the environment's interpreter.
        web_root: the folder that the web server serves.
        folder: where databases and logs go; databases that are there already are used again.
        domains: a delivery service is started for each.
        web_port: preferred port of the web server; None for any free one.
        first_service_port: preferred port of the first delivery service; None for any free ones.
        mounts: more folders for the web server, by path.
        origins: whose pages may use the delivery services, beside those of the web server.
        end_request: looked at while the parts start.

    Raises:
        FederationError: a process did not start, or the end was requested before all had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(web_port)
    ports = [port]
    for _ in domains:
        ports.append(free_port(first_service_port, taken=ports))
    urls = {domain: f"http://{_HOST}:{own}" for domain, own in zip(domains, ports[1:], strict=True)}
    # A page may be opened under either name of this machine; to a browser they are different origins.
    allowed = [f"http://{_HOST}:{port}", f"http://localhost:{port}", *origins]

    with contextlib.ExitStack() as stack:
        started: list[Process] = []
        stack.callback(_end_all, started)
        services = {}
        for domain, url in urls.items():
            database = folder / f"{domain}.sqlite3"
            command: list[str | Path] = [python, "-m", "mls_delivery", "--domain", domain]
            command += ["--port", url.rpartition(":")[2], "--database", f"sqlite:///{database.as_posix()}"]
            command += [argument for origin in allowed for argument in ("--allow-origin", origin)]
            command += [f"--peer={other}={address}" for other, address in urls.items() if other != domain]
            ports.append(free_port(taken=ports))
            operations = f"{_HOST}:{ports[-1]}"
            settings = folder / f"{domain}.toml"
            settings.write_text(f'operations = "{operations}"\n')
            command += ["--config", settings]
            process = _start(f"delivery service {domain}", command, folder / f"{domain}.log")
            started.append(process)
            services[domain] = DeliveryService(domain, url, f"http://{operations}", database, process)

        command = [python, "-m", "dev.web_server", "--root", web_root, "--port", str(port)]
        command += ["--domains", json.dumps(urls)]
        command += ["--mounts", json.dumps({path: str(mount) for path, mount in (mounts or {}).items()})]
        web_server = _start("web server", command, folder / "web-server.log")
        started.append(web_server)

        for service in services.values():
            _wait_until_ready(service.process, f"{service.url}/.well-known/mls-federation", end_request)
        _wait_until_ready(web_server, f"http://{_HOST}:{port}/federation.json", end_request)
        yield Federation(f"http://{_HOST}:{port}", services, web_server)


def _start(name: str, command: Sequence[str | Path], log: Path) -> Process:
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Process(name, popen, log)


def _end_all(processes: Sequence[Process]) -> None:
    """End processes: by request, and by force those that do not follow promptly."""
    for process in processes:
        process.popen.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        try:
            process.popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()


def _wait_until_ready(process: Process, url: str, end_request: EndRequest | None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    # A proxy that is configured for the outside has nothing to do with this machine's own ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if failure := process.failure():
            raise FederationError(failure)
        if end_request and end_request.made:
            raise FederationError("Ended before everything had started.")
        try:
            with opener.open(url, timeout=1) as response:
                if response.status == 200:
                    return
        except OSError:  # not listening yet
            time.sleep(_POLL_SECONDS)
    raise FederationError(
        f"{process.name} does not answer at {url} after {_START_SECONDS:.0f} s; see {process.log}."
    )
