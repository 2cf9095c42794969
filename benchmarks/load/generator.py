"""The load: clients that are as light as can be, in a process of their own.

It reads one job a line, as JSON, and writes its result as JSON. A client here is a socket and, for an inbox, a WebSocket; it
knows nothing of groups and encrypts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from mls_federation.federation.binding import (
    MEDIA_TYPE,
    MEDIA_TYPE_KEY_REQUEST,
    MEDIA_TYPE_KEY_RESPONSE,
    MESSAGE_ID_SIZE,
    InboxAck,
    InboxDelivery,
    InboxFrame,
    InboxHello,
    RecipientStatus,
    SubmitRequest,
    SubmitResponse,
)
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.seed import GetUserInitKeyRequest, SeedCipherSuite

HOST = "127.0.0.1"
# As an MLSMessage begins; then the time at which it was sent, then nothing of interest.
_HEAD = b"\x00\x01\x00\x02"
_TIME_OCTETS = 8
# What has not arrived by then is lost.
_ARRIVAL_SECONDS = 60.0

Job = dict[str, Any]
Result = dict[str, Any]


class Wire:
    """A connection that is kept, for one HTTP request after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: str = "") -> tuple[int, bytes]:
        """The answer to a request: its status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        lowered = answer.lower()
        at = lowered.index(b"content-length:") + len(b"content-length:")
        length = int(lowered[at : lowered.index(b"\r\n", at)])
        if b"connection: close" in lowered:
            self._streams = None
        return int(answer[9:12]), await reader.readexactly(length)

    def close(self) -> None:
        """Let go of it."""
        if self._streams is not None:
            self._streams[1].close()


def submission(recipients: Sequence[str], octets: int) -> bytes:
    """A message that was sent now."""
    sent = time.monotonic_ns().to_bytes(_TIME_OCTETS, "big")
    return SubmitRequest(
        message_id=os.urandom(MESSAGE_ID_SIZE),
        recipients=tuple(identity.encode() for identity in recipients),
        message=Envelope(message=(_HEAD + sent).ljust(octets, b"\0"), receipt=None).encode(),
    ).encode()


async def submit(wire: Wire, path: str, recipients: Sequence[str], octets: int) -> None:
    """Send a message, which must be accepted for all."""
    status, body = await wire.post(path, submission(recipients, octets), f"Content-Type: {MEDIA_TYPE}\r\n")
    assert status == 200, body
    results = SubmitResponse.decode(body).results
    assert all(result.status is RecipientStatus.accepted for result in results), results


async def as_often_as_possible(
    job: Job, once: Callable[[Wire, int], Awaitable[object]], limit: int | None = None
) -> float:
    """How often a second something was done, over some connections at the same time.

    Args:
        limit: it is done no more often than that in all.
    """
    numbers = count()
    end = time.perf_counter() + job["seconds"]
    done = 0

    async def worker() -> None:
        nonlocal done
        wire = Wire(job["port"])
        while time.perf_counter() < end and (limit is None or done < limit):
            await once(wire, next(numbers))
            done += 1
        wire.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(job["connections"]):
            tasks.create_task(worker())
    return done / (time.perf_counter() - began)


async def bare(job: Job) -> Result:
    """Requests to an end point that does nothing."""
    body = submission(["bob@b.example"], job["octets"])
    return {"rate": await as_often_as_possible(job, lambda wire, _: wire.post("/bare", body))}


async def accept(job: Job) -> Result:
    """Messages that are accepted, each for some recipients, who are away."""
    people, fanout = job["people"], job["fanout"]

    async def once(wire: Wire, number: int) -> None:
        chosen = [people[(number * fanout + each) % len(people)] for each in range(fanout)]
        await submit(wire, job["path"], chosen, job["octets"])

    return {"rate": await as_often_as_possible(job, once)}


async def fetch(job: Job) -> Result:
    """Key bundles that are fetched, of one person after the other."""
    people = job["people"]
    suites = (SeedCipherSuite.X25519_SHA256_AES128GCM,)
    headers = f"Content-Type: {MEDIA_TYPE_KEY_REQUEST}\r\nAccept: {MEDIA_TYPE_KEY_RESPONSE}\r\n"

    async def once(wire: Wire, number: int) -> None:
        request = GetUserInitKeyRequest(
            identity=people[number % len(people)].encode(), supported_suites=suites
        )
        status, body = await wire.post(job["path"], request.encode(), headers)
        assert status == 200, body

    return {"rate": await as_often_as_possible(job, once)}


class Inboxes:
    """Inboxes that are open, and what arrives in them.

    Attributes:
        delays: in seconds, of every message that has arrived.
        news: set when one arrives.
    """

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.news = asyncio.Event()
        self._ready = 0

    async def serve(self, inbox: ClientConnection, token: bytes) -> None:
        """Take what arrives in one of them."""
        await inbox.send(InboxHello(token_secret=token, cursor=0).encode())
        while True:
            frame = InboxFrame.decode(await inbox.recv(decode=False)).frame
            if isinstance(frame, InboxDelivery):
                message = Envelope.decode(frame.message).message
                sent = int.from_bytes(message[len(_HEAD) : len(_HEAD) + _TIME_OCTETS], "big")
                self.delays.append((time.monotonic_ns() - sent) / 1e9)
                self.news.set()
                await inbox.send(InboxAck(cursor=frame.sequence).encode())
            else:
                self._ready += 1
                self.news.set()

    async def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something to have arrived; returns whether it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                while not reached():
                    self.news.clear()
                    await self.news.wait()
        return reached()

    def are_ready(self, number: int) -> bool:
        """Whether so many are connected."""
        return self._ready >= number


@contextlib.asynccontextmanager
async def connected(job: Job) -> AsyncIterator[Inboxes]:
    """All people of a job with their inboxes open."""
    inboxes = Inboxes()
    async with contextlib.AsyncExitStack() as closing:
        serving = []
        for token in job["tokens"]:
            socket = await closing.enter_async_context(
                connect(
                    f"ws://{HOST}:{job['port']}{job['inbox']}",
                    proxy=None,
                    ping_interval=None,
                    compression=None,
                )
            )
            serving.append(asyncio.create_task(inboxes.serve(socket, bytes.fromhex(token))))
        assert await inboxes.until(lambda: inboxes.are_ready(len(serving))), "not all inboxes were opened"
        try:
            yield inboxes
        finally:
            for task in serving:
                task.cancel()
            await asyncio.wait(serving)


async def deliver(job: Job) -> Result:
    """Messages that are sent to people who are connected, until all have arrived.

    With `pace`, so many are sent a second; else as many as are accepted.
    """
    people, fanout, pace = job["people"], job["fanout"], job.get("pace")
    began = time.perf_counter()
    sent = 0

    async def once(wire: Wire, number: int) -> None:
        nonlocal sent
        if pace:
            await asyncio.sleep(max(0.0, began + number / pace - time.perf_counter()))
        chosen = [people[(number * fanout + each) % len(people)] for each in range(fanout)]
        sent += fanout
        await submit(wire, job["path"], chosen, job["octets"])

    async with connected(job) as inboxes:
        # Whoever has asked wants to look at the service while nothing happens.
        print(json.dumps({"connected": len(people)}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        inboxes.delays.clear()
        began = time.perf_counter()
        accepted = await as_often_as_possible(job, once)
        all_there = await inboxes.until(lambda: len(inboxes.delays) >= sent)
        delivered = len(inboxes.delays) / (time.perf_counter() - began)
        if not all_there:
            delivered = len(inboxes.delays) / job["seconds"]
    return {
        "accepted": accepted,
        "delivered": delivered,
        "sent": sent,
        "arrived": len(inboxes.delays),
        "delays": sorted(inboxes.delays),
    }


JOBS = {"bare": bare, "accept": accept, "fetch": fetch, "deliver": deliver}


def main() -> None:
    """Do jobs until the input ends."""
    while line := sys.stdin.readline():
        job = json.loads(line)
        print(json.dumps(asyncio.run(JOBS[job["job"]](job))), flush=True)


if __name__ == "__main__":
    main()
