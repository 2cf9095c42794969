"""Who is measured: processes that answer one JSON object a line with one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


class SideError(Exception):
    """A side ended, or could not do what it was asked."""


class Side(Protocol):
    """Somebody who can be measured."""

    def call(self, name: str, **given: Any) -> Any:
        """Have it do something, and return what it says."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Process:
    """A side that is a process."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        argv = [str(part) for part in command]
        self._popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, name: str, **given: Any) -> Any:
        assert self._popen.stdin is not None  # as asked for
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.write(json.dumps({"call": name, **given}) + "\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise SideError("the process has ended; its output is above") from None
        line = self._popen.stdout.readline()
        if not line:
            raise SideError(f"the process ended during `{name}`; its output is above")
        return json.loads(line)

    def close(self) -> None:
        self._popen.communicate()
