"""A Pyodide distribution in a folder: npm's, which has the interpreter alone, or a full one, which has wheels too.

`pyodide-lock.json` names the wheel of each package of the full distribution, with what it depends on, whether or not it is there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.steps import SetupError

_CORE = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
# What the client uses if it is there.
_WANTED = "cryptography"
_VERSION = re.compile(r'"(\d+\.\d+\.\d+[^"]*)"')


@dataclass(frozen=True)
class Distribution:
    """What of a distribution is served."""

    folder: Path
    version: str
    files: tuple[str, ...]
    """Names of the interpreter's files and of the wheels."""
    packages: tuple[str, ...]
    """Names of the packages whose wheels are served, with all that they depend on."""


def read(folder: Path, *, version: str) -> Distribution:
    """The distribution in a folder.

    Args:
        folder: npm's package `pyodide`, or what the release archive of Pyodide has in its folder `pyodide`.
        version: that it must be of.

    Raises:
        SetupError: it is none, or one of another version.
    """
    missing = [name for name in _CORE if not (folder / name).is_file()]
    if missing:
        raise SetupError(
            f"{folder} is no Pyodide distribution of version {version}: it lacks {', '.join(missing)}."
        )
    if version not in _VERSION.findall((folder / "pyodide.mjs").read_text(encoding="utf-8")):
        raise SetupError(f"{folder} has another version of Pyodide; the client runs on {version}.")
    lock: dict[str, Any] = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))
    wheels = wheels_of(_WANTED, lock["packages"])
    if not wheels or not all((folder / wheel).is_file() for wheel in wheels):
        return Distribution(folder, version, _CORE, ())
    return Distribution(folder, version, (*_CORE, *wheels), (_WANTED,))


def wheels_of(package: str, packages: Mapping[str, Any]) -> tuple[str, ...]:
    """File names of a package's wheel and of all that it depends on; none if the lock file does not name it.

    Args:
        packages: as the lock file has them.
    """
    found: dict[str, str] = {}
    wanted = [package] if package in packages else []
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = packages[name]["file_name"]
            wanted += packages[name]["depends"]
    return tuple(sorted(found.values()))
