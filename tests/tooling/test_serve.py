"""`serve.py` as a person runs it: everything answers, and everything it started ends with it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev import federation
from dev.steps import BUILD, ROOT

_END_SECONDS = 10


@dataclass(frozen=True)
class Served:
    """A running serve.py and what it printed before it was ready."""

    popen: subprocess.Popen[str]
    output: str

    @property
    def page(self) -> str:
        found = re.search(r"The page: (\S+)", self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def services(self) -> dict[str, str]:
        return dict(re.findall(r"delivery service (\S+): (\S+)", self.output))

    def rest(self) -> str:
        """What it prints until it ends."""
        return self.popen.communicate(timeout=_END_SECONDS)[0]


@contextlib.contextmanager
def serving(port: int, *arguments: str) -> Iterator[Served]:
    command = [sys.executable, "serve.py", "--no-open", "--port", str(port), *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as popen:
        try:
            assert popen.stdout is not None
            lines = []
            for line in popen.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            yield Served(popen, "".join(lines))
        finally:
            if popen.poll() is None:
                popen.kill()
            popen.wait()
            shutil.rmtree(BUILD / f"run-{port}", ignore_errors=True)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        content: bytes = response.read()
    return content


def listens(url: str) -> bool:
    host, _, port = url.strip("/").rpartition("/")[2].partition(":")
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=lambda end: end.name)
def test_it_serves_three_domains_and_ends_every_process(end: signal.Signals) -> None:
    with serving(federation.free_port()) as served:
        assert sorted(served.services) == ["a.example", "b.example", "c.example"]
        for domain, url in served.services.items():
            assert json.loads(get(f"{url}/.well-known/mls-federation"))["domain"] == domain
        assert json.loads(get(f"{served.page}federation.json")) == {"domains": served.services}
        assert get(served.page) == (ROOT / "web" / "demo" / "index.html").read_bytes()

        served.popen.send_signal(end)
        served.rest()

        assert served.popen.returncode == 0
        assert [url for url in (served.page, *served.services.values()) if listens(url)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
def test_a_process_that_dies_ends_the_rest_and_is_named() -> None:
    with serving(federation.free_port()) as served:
        _kill_listener(served.services["b.example"])
        output = served.rest()
        assert served.popen.returncode == 1
        assert "delivery service b.example ended" in output
        assert [url for url in (served.page, *served.services.values()) if listens(url)] == []


def _kill_listener(url: str) -> None:
    """Kill the process that was started with the port of this address."""
    port = url.rpartition(":")[2]
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        arguments = commands.read_bytes().split(b"\0")
        if b"mls_delivery" in arguments and port.encode() in arguments:
            os.kill(int(commands.parent.name), signal.SIGKILL)
            return
    pytest.fail(f"nothing was started with port {port}")


def test_a_port_in_use_is_passed_over() -> None:
    with contextlib.closing(socket.socket()) as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        taken = occupant.getsockname()[1]
        with serving(taken) as served:
            assert f"Port {taken} is in use" in served.output
            assert json.loads(get(f"{served.page}federation.json")) == {"domains": served.services}
            served.popen.send_signal(signal.SIGINT)
            served.rest()


def test_two_do_not_share_databases() -> None:
    port = federation.free_port()
    with serving(port) as first, serving(port) as second:
        assert second.popen.wait(_END_SECONDS) == 1
        assert "running from this folder already" in second.output
        assert first.popen.poll() is None
        first.popen.send_signal(signal.SIGINT)
        first.rest()
