"""What a delivery service is measured beside: an end point that does nothing, and an insert that is on the disk.

As a script, with a port: serves the end point, by the server and its settings that the delivery service has.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mls_delivery.config import Address
from mls_delivery.serving import _server, listen
from mls_federation.federation.binding import MEDIA_TYPE, WELL_KNOWN_PATH


async def nothing(request: Request) -> Response:
    """Read the body, and answer with a few octets."""
    await request.body()
    return Response(bytes(32), media_type=MEDIA_TYPE)


def insert_rate(folder: Path, seconds: float, octets: int) -> float:
    """Rows a second that one thread inserts and commits, each for itself, write-ahead log and `synchronous=FULL`."""
    database = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS message (sequence INTEGER PRIMARY KEY, content BLOB)")
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO message (content) VALUES (?)", (os.urandom(octets),))
            database.execute("COMMIT")
            count += 1
        return count / (time.perf_counter() - began)
    finally:
        database.close()


if __name__ == "__main__":
    app = Starlette(
        routes=[Route("/bare", nothing, methods=["POST"]), Route(WELL_KNOWN_PATH, nothing, methods=["GET"])]
    )
    asyncio.run(_server(app, "off").serve(sockets=[listen(Address("127.0.0.1", int(sys.argv[1])))]))
