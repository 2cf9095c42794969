"""ts-mls in a Node process of its own."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

PEER = Path(__file__).with_name("ts_mls_peer.js")
# Only a Node process that hangs is waited for so long; it is ended then, and the call fails.
_PATIENCE_SECONDS = 60.0


class NodePeer:
    """The process, with which one line is exchanged at a time."""

    def __init__(self, node: Path) -> None:
        self._process = subprocess.Popen(
            [node, PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def exchange(self, line: str) -> str:
        """The answer to a request.

        Raises:
            ConnectionError: the process has ended, or does not answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        patience = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        patience.start()
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            patience.cancel()
        if not answer:
            raise ConnectionError(f"the ts-mls process ended during {line}")
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE_SECONDS)
        self._process.stdout.close()
