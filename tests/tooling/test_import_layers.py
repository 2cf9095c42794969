"""The import contracts of pyproject.toml hold, and each of them breaks when it is gone against."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, with the contracts."""
    without_byte_code = shutil.ignore_patterns("__pycache__")
    for folder in ("pyclient", "delivery"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=without_byte_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the sources instead of on the installed ones."""
    path = os.pathsep.join(str(tree / folder) for folder in ("pyclient", "delivery"))
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sources_keep_every_contract(tree: Path) -> None:
    result = lint_imports(tree)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


LAYERS = "The client's layers import downwards only"
JAVASCRIPT = "Only the browser adapter knows JavaScript"
SOCKETS = "Only the io adapter opens sockets"
NO_SERVICE = "The client never imports the delivery service"
BELOW_CLIENT = "The delivery service uses only what is below the client"


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("pyclient/mls_federation/errors.py", "import mls_federation.codec", LAYERS),
        ("pyclient/mls_federation/codec/__init__.py", "import mls_federation.crypto", LAYERS),
        (
            "pyclient/mls_federation/crypto/__init__.py",
            "def late() -> None: import mls_federation.mls",
            LAYERS,
        ),
        ("pyclient/mls_federation/mls/__init__.py", "from mls_federation import federation", LAYERS),
        ("pyclient/mls_federation/transparency/__init__.py", "import mls_federation.federation", LAYERS),
        ("pyclient/mls_federation/transparency/__init__.py", "import mls_federation.mls", LAYERS),
        ("pyclient/mls_federation/federation/__init__.py", "import mls_federation.media", LAYERS),
        ("pyclient/mls_federation/media/__init__.py", "import mls_federation.client", LAYERS),
        ("pyclient/mls_federation/vectors/__init__.py", "import mls_federation.client", LAYERS),
        ("pyclient/mls_federation/vectors/__init__.py", "import mls_federation.federation", LAYERS),
        ("pyclient/mls_federation/client/__init__.py", "import mls_federation.io", LAYERS),
        ("pyclient/mls_federation/io/__init__.py", "import mls_federation.browser", LAYERS),
        ("pyclient/mls_federation/stray/__init__.py", "", LAYERS),
        ("pyclient/mls_federation/crypto/__init__.py", "import js", JAVASCRIPT),
        ("pyclient/mls_federation/client/__init__.py", "from pyodide.ffi import to_js", JAVASCRIPT),
        ("pyclient/mls_federation/io/__init__.py", "import pyodide_js", JAVASCRIPT),
        ("pyclient/mls_federation/mls/__init__.py", "import asyncio", SOCKETS),
        ("pyclient/mls_federation/client/__init__.py", "import urllib.request", SOCKETS),
        ("pyclient/mls_federation/client/__init__.py", "def late() -> None: import httpx", SOCKETS),
        ("pyclient/mls_federation/federation/__init__.py", "import ssl, socket", SOCKETS),
        ("pyclient/mls_federation/browser/__init__.py", "import websockets", SOCKETS),
        ("pyclient/mls_federation/io/__init__.py", "import mls_delivery", NO_SERVICE),
        ("delivery/mls_delivery/__init__.py", "import mls_federation.client", BELOW_CLIENT),
        ("delivery/mls_delivery/__init__.py", "from mls_federation.io import anything", BELOW_CLIENT),
    ],
)
def test_an_import_against_a_contract_breaks_it(tree: Path, module: str, line: str, contract: str) -> None:
    file = tree / module
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as source:
        source.write(f"\n{line}\n")

    result = lint_imports(tree)

    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout, result.stdout + result.stderr
