"""A web server inside of the tests' own process that leaves nothing behind when it ends."""

import asyncio
import socket
from typing import Any, cast

import uvicorn


class EndingServer(uvicorn.Server):
    """Ends its connections when it ends.

    Uvicorn asks them to end and waits as long as it is told; browsers keep connections that they may need, or do not read on what
    they asked for. A process that ends closes them, but a test's does not.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport = cast("Any", connection).transport
            transport.abort()
        # Aborted connections are closed in the loop's next turn.
        await asyncio.sleep(0)
