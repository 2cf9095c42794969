"""One client as a process: `python -m tests.chaos.client_process IDENTITY FILE FANOUT {"DOMAIN": "URL", …}`.

Its state is in FILE; FANOUT is `client` or `server`. It obeys lines of JSON on its standard input, one after the other, and writes lines of JSON: an answer to
each, and what happens. A line is written before the client goes on, so that what was told is in the pipe when the process is
killed.

    {"id": 1, "do": "send", "group": "0a…", "data": "hello"}    →    {"id": 1, "answer": {…}} or {"id": 1, "error": "code"}
                                                                     {"event": "message", "number": 1, …}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mls_federation.client import (
    BackgroundFailure,
    Client,
    ClientState,
    DeliveryFailed,
    EpochChanged,
    Event,
    GroupJoined,
    MessageNotDelivered,
    MessageReceived,
    MessageRefused,
    Ports,
    RemovedFromGroup,
    Sent,
)
from mls_federation.client.account import new_account
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.errors import MLSError
from mls_federation.io import HttpTransport
from mls_federation.io.concurrency import gather
from mls_federation.storage.sqlite import SqliteStorage

# Seconds between attempts at what must succeed sooner or later.
_PAUSE = 0.2

T = TypeVar("T")


def write(**line: object) -> None:
    """Write a line. One that fits into `PIPE_BUF` is written whole or not at all."""
    os.write(1, json.dumps(line).encode() + b"\n")


def tell(event: Event) -> None:
    """Write what has happened, as far as the run is interested in it."""
    match event:
        case MessageReceived():
            write(
                event="message",
                number=event.number,
                group=event.group_id.hex(),
                sender=event.sender,
                epoch=event.epoch,
                data=event.data.decode(),
            )
        case EpochChanged(group_id=group_id, epoch=epoch):
            write(event="epoch", group=group_id.hex(), epoch=epoch)
        case GroupJoined(group_id=group_id):
            write(event="joined", group=group_id.hex())
        case RemovedFromGroup(group_id=group_id):
            write(event="removed", group=group_id.hex())
        case MessageRefused(error=error, held=held):
            write(event="refused", code=error.code, held=held, words=error.message[:500])
        case DeliveryFailed(identity=identity, reason=reason):
            write(event="lost", identity=identity, reason=reason)
        case MessageNotDelivered(data=data):
            write(event="lost", identity="some members", reason=data.decode())
        case BackgroundFailure(error=error):
            write(event="failure", code=error.code, words=error.message[:500])


async def persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of what works in the end; services are away now and then, and the network loses things."""
    while True:
        try:
            return await attempt()
        except MLSError as error:
            write(event="failure", code=error.code, words=error.message[:500])
        await asyncio.sleep(_PAUSE)


async def obey(client: Client, command: Mapping[str, Any]) -> object:
    """Carry out a command; returns the answer.

    Raises:
        MLSError: it could not be done.
    """
    group_id = bytes.fromhex(command.get("group", ""))
    match command["do"]:
        case "create":
            return {"group": (await client.create_group(ordering=command["ordering"])).group_id.hex()}
        case "add":
            await client.add(group_id, command["identity"])
            return status(client, group_id)
        case "remove":
            await client.remove(group_id, command["identity"])
            return status(client, group_id)
        case "update":
            await client.update(group_id)
            return status(client, group_id)
        case "send":
            return sent(await client.send(group_id, command["data"].encode()))
        case "status":
            groups = {known.hex(): status(client, known) for known in client.groups}
            return {"waiting": len(client.waiting), "groups": groups}
    raise AssertionError(f"no such command: {command}")


def sent(sent: Sent) -> object:
    """An answer."""
    return {"epoch": sent.epoch, "deliveries": {each.identity: each.status for each in sent.deliveries}}


def status(client: Client, group_id: bytes) -> object:
    """What members must agree on."""
    details = client.group_details(group_id)
    return {
        "epoch": details.epoch,
        "safety_number": details.safety_number,
        "members": sorted(member.identity for member in details.members),
    }


async def commands() -> asyncio.StreamReader:
    """Standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader


async def main(identity: str, file: Path, fanout: str, urls: Mapping[str, str]) -> None:
    """Be a client until the input ends."""
    provider = PycaProvider()
    with SqliteStorage(file) as storage:
        state = storage.load(provider)
        if state is None:
            state = ClientState(new_account(provider, identity))
            await storage.save(state)
        async with HttpTransport() as transport, asyncio.TaskGroup() as tasks:
            ports = Ports(
                transport=transport,
                storage=storage,
                provider=provider,
                now=lambda: int(time.time()),
                sleep=asyncio.sleep,
                new_lock=asyncio.Lock,
                new_event=asyncio.Event,
                gather=gather,
            )
            client = Client(state, ports, tell)
            await client.set_fanout(fanout)
            own = client.account.domain
            await persistently(lambda: client.set_delivery_service(own, urls[own]))
            if not any(key_set.unconfirmed is None for key_set in state.key_sets):
                await persistently(client.register)
            for domain, url in urls.items():
                if domain != own and fanout == "client":
                    tasks.create_task(find(client, domain, url))
            running = tasks.create_task(client.run())
            write(event="up")
            reader = await commands()
            while line := await reader.readline():
                command = json.loads(line)
                try:
                    write(id=command["id"], answer=await obey(client, command))
                except MLSError as error:
                    write(id=command["id"], error=error.code, words=error.message[:500])
            await client.close()
            running.cancel()


async def find(client: Client, domain: str, url: str) -> None:
    """Find the service of another domain, however long it takes."""
    await persistently(lambda: client.set_delivery_service(domain, url))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])))
