"""What is measured, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

SIZES = (2, 10, 50, 200, 1000)
# The sizes for which there are targets.
TARGET_SIZES = (50, 200, 1000)

DATA_OCTETS = 1000
EXPORTED_OCTETS = 32
EXPORT_LABEL = "benchmark"
EXPORT_CONTEXT = b"context"
GROUP_ID = b"benchmark-group!"


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    Attributes:
        key: names it in what the sides send.
        title: of the row.
        targets: at most how many times the floor it may take, by where it runs. Empty: nothing was promised.
    """

    key: str
    title: str
    targets: dict[str, float] = field(hash=False)


_HANDSHAKE = {"cpython": 1.5, "chromium": 2.0}
_MESSAGE = {"cpython": 2.0, "chromium": 2.0}

OPERATIONS = (
    Operation("key_package", "key package", {}),
    Operation("create_and_add", "create, and add N-1", _HANDSHAKE),
    Operation("join", "join", _HANDSHAKE),
    Operation("commit_fresh", "empty commit, fresh tree", _HANDSHAKE),
    Operation("process_fresh", "process it, fresh tree", _HANDSHAKE),
    Operation("commit_full", "empty commit, all have committed", _HANDSHAKE),
    Operation("process_full", "process it, all have committed", _HANDSHAKE),
    Operation("encrypt", "encrypt 1 kB", _MESSAGE),
    Operation("decrypt", "decrypt 1 kB", _MESSAGE),
    Operation("export", "export 32 octets", {}),
    Operation("save", "save the state", {}),
    Operation("load", "load the state", {}),
)


def identity(index: int) -> bytes:
    """Who the member at a leaf is: as long for all, so that all leaves are."""
    return f"member-{index:05d}@a".encode()


def chains(size: int) -> int:
    """How often a round goes through all operations: the short ones are the noisier."""
    return max(1, min(10, 100 // size))
