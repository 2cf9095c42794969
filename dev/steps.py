"""Steps of the set-up: each is announced, is skipped while its inputs are unchanged, and fails in words.

Standard library only: this runs before anything is installed.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

_OUTPUT_SHOWN = 40  # lines of a failed command's output


class SetupError(Exception):
    """The set-up cannot go on; the message says what a person can do about it."""


def announce(step: str) -> None:
    """Print one line for a step that does real work."""
    print(f"[set-up] {step}", flush=True)


def run(
    command: Sequence[str | Path], *, failed: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> str:
    """Run a command quietly and return its output.

    Args:
        command: program and arguments.
        failed: what to tell a person when it fails; the end of its output follows.

    Raises:
        SetupError: the command could not be started, or its exit code is not 0.
    """
    argv = [str(part) for part in command]
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise SetupError(f"{failed}\n  cannot start {argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        tail = "\n".join(f"  | {line}" for line in done.stdout.splitlines()[-_OUTPUT_SHOWN:])
        raise SetupError(f"{failed}\n{tail}\n  (exit code {done.returncode} of: {' '.join(argv)})")
    return done.stdout


def digest(*parts: str | Path) -> str:
    """Hash texts, files and whole folders (names and contents, without byte code) into one key."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            state.update(b"text\0" + part.encode() + b"\0")
            continue
        for file in files_in(part) if part.is_dir() else [part]:
            state.update(b"file\0" + file.relative_to(ROOT).as_posix().encode() + b"\0")
            state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.hexdigest()


def files_in(folder: Path) -> list[Path]:
    """Every source file below a folder, in a stable order, without what Python leaves there."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.name != ".DS_Store"
    )


def is_current(stamp: Path, key: str, outputs: Iterable[Path] = ()) -> bool:
    """Whether a step was already done for these inputs and its outputs are still there."""
    return stamp.is_file() and stamp.read_text() == key and all(output.exists() for output in outputs)


def mark_current(stamp: Path, key: str) -> None:
    """Remember that a step was done for these inputs."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


class BusyError(Exception):
    """Another process has the lock."""


@contextlib.contextmanager
def locked(lock: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file, which the system lets go when the process ends, however it ends.

    Raises:
        BusyError: another process has it, and `wait` is false.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415 - exists on Windows alone

                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                import fcntl  # noqa: PLC0415 - does not exist on Windows

                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            raise BusyError(f"{lock} is held by another process.") from error
        yield
