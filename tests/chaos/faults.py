"""A proxy before a delivery service that loses, delays, doubles and reorders requests, and cuts connections.

It reads HTTP/1.1 requests with a `Content-Length`, one to a connection; a WebSocket is passed on octet by octet. Who stands
behind may be several processes: each connection goes to one of them, as a load balancer does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
_LONGEST_HEAD = 64 * 1024
# A request that is to be overtaken waits for the next one, but not for ever.
_OVERTAKEN_SECONDS = 1.0


@dataclass
class Faults:
    """How often things go wrong: parts of one for requests, seconds for connections.

    Attributes:
        lost: the request does not arrive.
        unanswered: it arrives, and the answer does not.
        doubled: it arrives once more, later.
        delayed: it takes longer, up to `delay` seconds.
        overtaken: it arrives after the request that comes next.
        inbox_seconds: a WebSocket lasts so long on average, and is then cut.
    """

    random: random.Random
    lost: float = 0.02
    unanswered: float = 0.02
    doubled: float = 0.02
    delayed: float = 0.05
    overtaken: float = 0.02
    delay: float = 0.5
    inbox_seconds: float = 20.0
    happening: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def happens(self, fault: str) -> bool:
        """Whether a fault befalls a request."""
        if not self.happening or self.random.random() >= getattr(self, fault):
            return False
        self.counts[fault] += 1
        return True


class FaultProxy:
    """Stands before the processes at `upstream` ports.

    Attributes:
        url: where it listens.
    """

    def __init__(self, upstream: Sequence[int], faults: Faults) -> None:
        self.url = ""
        self._upstream = list(upstream)
        self._faults = faults
        self._next_request = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from a client."""
        self._begin(self._handle(reader, writer))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"\r\nupgrade: websocket" in head.lower():
                await self._pass_on(head, reader, writer)
            else:
                writer.write(await self._request(head + await reader.readexactly(_content_length(head))))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, _Lost):
            pass  # The client sees a connection that breaks, which is what it is to see.
        finally:
            writer.close()

    async def _request(self, request: bytes) -> bytes:
        """What the service answers, after whatever happens on the way."""
        faults = self._faults
        self._next_request.set()
        if faults.happens("lost"):
            raise _Lost
        if faults.happens("delayed"):
            await asyncio.sleep(faults.random.uniform(0, faults.delay))
        if faults.happens("overtaken"):
            self._next_request.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OVERTAKEN_SECONDS):
                    await self._next_request.wait()
        answer = await self._ask(request)
        if faults.happens("doubled"):
            self._begin(self._again(request))
        if faults.happens("unanswered"):
            raise _Lost
        return answer

    async def _again(self, request: bytes) -> None:
        await asyncio.sleep(self._faults.random.uniform(0, 2 * self._faults.delay))
        with contextlib.suppress(OSError):
            await self._ask(request)

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(_for_one_answer(request))
            await writer.drain()
            answer = await reader.read()
            if not answer:
                raise ConnectionError("the service has ended")
            return answer
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to one of the processes that are there."""
        ports = self._faults.random.sample(self._upstream, len(self._upstream))
        for port in ports[:-1]:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, port)
        return await asyncio.open_connection(HOST, ports[-1])

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A WebSocket, both ways, until one side ends it or it is cut."""
        up_reader, up_writer = await self._connect()
        try:
            up_writer.write(head)
            ways = [
                asyncio.create_task(_copy(reader, up_writer)),
                asyncio.create_task(_copy(up_reader, writer)),
            ]
            faults = self._faults
            lasts = faults.random.expovariate(1 / faults.inbox_seconds) if faults.happening else None
            try:
                done, _ = await asyncio.wait(ways, timeout=lasts, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    faults.counts["inbox cut"] += 1
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        finally:
            up_writer.close()


class _Lost(Exception):
    """Something got lost on the way."""


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()


def _for_one_answer(request: bytes) -> bytes:
    """A request that asks for the connection to be closed after the answer, which so has an end."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


@contextlib.asynccontextmanager
async def fault_proxy(upstream: Sequence[int], faults: Faults) -> AsyncIterator[FaultProxy]:
    """A proxy before a service.

    Args:
        upstream: ports of its processes.
    """
    proxy = FaultProxy(upstream, faults)
    server = await asyncio.start_server(proxy.accept, HOST, 0, limit=_LONGEST_HEAD)
    proxy.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
