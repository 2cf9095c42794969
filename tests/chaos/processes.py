"""The processes of a run, which are killed and started again: delivery services and clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mls_federation.federation.binding import WELL_KNOWN_PATH

from .faults import HOST

_POLL_SECONDS = 0.1
# For a process to come up on a machine that has much else to do.
_PATIENCE = 120.0
# What is written to a log and read at the end may be long, a line is not.
_LONGEST_LINE = 1 << 20

Line = dict[str, Any]


class Killed(Exception):
    """The process was killed before it answered: nobody knows whether it has done what it was told."""


class Refused(Exception):
    """A client could not do what it was told.

    Attributes:
        code: of the error.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code


class Process:
    """A process that can be killed and started again.

    Attributes:
        name: for logs and reports.
        kills: how often it was killed.
        up: set while it can be asked.
    """

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.kills = 0
        self.up = asyncio.Event()
        self._command = [str(part) for part in command]
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if self._listens else output,
                stderr=output,
                limit=_LONGEST_LINE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    _listens = False

    async def kill(self) -> None:
        """End it as a crash does."""
        self.kills += 1
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        assert self._process is not None
        self.up.clear()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await self._process.wait()
        self._process = None

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            end = self._log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"{self.name} ended by itself ({self._process.returncode}):\n{end}")


class ServiceProcess(Process):
    """A process of a delivery service."""

    def __init__(self, name: str, port: int, command: Sequence[str | Path], log: Path) -> None:
        super().__init__(name, command, log)
        self.port = port

    async def start(self) -> None:
        """Start it, and return when it answers."""
        await super().start()
        async with asyncio.timeout(_PATIENCE):
            while not await self._answers():
                self.check()
                await asyncio.sleep(_POLL_SECONDS)
        self.up.set()

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(
                f"GET {WELL_KNOWN_PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
            )
            return (await reader.read()).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
        finally:
            writer.close()


class ClientProcess(Process):
    """A client, which is told what to do, and tells what happens.

    Args:
        told: is given every line that is no answer.
    """

    _listens = True

    def __init__(
        self,
        identity: str,
        folder: Path,
        urls: Mapping[str, str],
        told: Callable[[str, Line], None],
        fanout: str = "client",
    ) -> None:
        command = [sys.executable, "-m", "tests.chaos.client_process"]
        command += [identity, str(folder / f"{identity}.state"), fanout, json.dumps(dict(urls))]
        super().__init__(identity, command, folder / f"{identity}.log")
        self._told = told
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Line]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and return when it obeys."""
        await super().start()
        self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(_PATIENCE):
            while not self.up.is_set():
                self.check()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.up.wait(), _POLL_SECONDS)

    async def _end(self, number: int) -> None:
        await super()._end(number)
        if self._reading is not None:
            await self._reading  # What it wrote before is in the pipe.

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with (self._log.with_suffix(".lines")).open("ab") as record:
            async for text in self._process.stdout:
                record.write(text)
                if not text.endswith(b"\n"):
                    break
                line = json.loads(text)
                if line.get("event") == "up":
                    self.up.set()
                elif "id" in line:
                    waiting = self._waiting.pop(line["id"])
                    if not waiting.done():
                        waiting.set_result(line)
                else:
                    self._told(self.name, line)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Killed())
        self._waiting.clear()

    async def ask(self, do: str, **arguments: object) -> Line:
        """Tell it to do something; returns its answer.

        Raises:
            Refused: it could not.
            Killed: it was killed before it answered.
        """
        while not self.up.is_set():
            await self.up.wait()
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n")
            await self._process.stdin.drain()
        except OSError:
            self._waiting.pop(number, None)
            raise Killed from None
        line = await answer
        if "error" in line:
            raise Refused(line["error"], line["words"])
        found: Line = line["answer"]
        return found
