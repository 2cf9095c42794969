"""The programs of a PostgreSQL server for the tests: those that are there, else Debian's."""

import os
import shutil
from pathlib import Path

from dev import debian
from dev.steps import SetupError

_VARIABLE = "MLS_POSTGRESQL"
_PROGRAMS = ("initdb", "postgres")
# Distributions keep servers of several versions side by side, off the PATH.
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


def find_or_install() -> Path:
    """The folder of the programs.

    Looks at MLS_POSTGRESQL, then the usual places, then the PATH; then, as root on Debian, installs the distribution's package.

    Raises:
        SetupError: there is none and none can be installed.
    """
    if named := os.environ.get(_VARIABLE):
        if not _is_complete(Path(named)):
            raise SetupError(
                f"{_VARIABLE} names {named}, which is not a folder with {' and '.join(_PROGRAMS)}."
            )
        return Path(named)
    if found := _installed():
        return found
    if debian.can_install():
        debian.install("postgresql")
        if found := _installed():
            return found
    raise SetupError(
        "PostgreSQL's server was not found. Install it, or name the folder of its programs in the environment variable "
        f"{_VARIABLE}."
    )


def _installed() -> Path | None:
    places = [place for pattern in _FOLDERS for place in Path("/").glob(pattern[1:])]
    # The newest first: the number is in the folder's name, or in that of its parent.
    places.sort(key=lambda place: [int(part) for part in _numbers(str(place))], reverse=True)
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).parent)
    return next((place for place in places if _is_complete(place)), None)


def _numbers(text: str) -> list[str]:
    return "".join(sign if sign.isdigit() else " " for sign in text).split()


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in _PROGRAMS)
