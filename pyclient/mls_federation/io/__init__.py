"""The adapters for CPython: the network by `httpx` and `websockets`, time and tasks by `asyncio`."""

from .accounts import export_account, import_account
from .client import connected_client
from .transport import HttpTransport

__all__ = ["HttpTransport", "connected_client", "export_account", "import_account"]
