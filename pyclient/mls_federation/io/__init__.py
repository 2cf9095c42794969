"""The adapters for CPython: the network by `httpx` and `websockets`, time and tasks by `asyncio`."""

from .client import connected_client
from .transport import HttpTransport

__all__ = ["HttpTransport", "connected_client"]
