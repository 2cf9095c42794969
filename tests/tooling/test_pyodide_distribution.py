"""What of a Pyodide distribution is served: judged on the real lock file, with files that stand for the wheels."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dev import environment, pyodide_distribution
from dev.steps import ROOT, SetupError

_CORE = {"pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"}


@pytest.fixture(scope="module")
def npm() -> Path:
    environment.prepare(development=True)
    return ROOT / "web" / "node_modules" / "pyodide"


@pytest.fixture(scope="module")
def version(npm: Path) -> str:
    found: str = json.loads((npm / "package.json").read_text())["version"]
    return found


@pytest.fixture
def folder(npm: Path, tmp_path: Path) -> Path:
    """A distribution that a test may change."""
    for name in _CORE:
        shutil.copy(npm / name, tmp_path)
    return tmp_path


def _packages(folder: Path) -> dict[str, Any]:
    packages: dict[str, Any] = json.loads((folder / "pyodide-lock.json").read_text())["packages"]
    return packages


def test_npm_has_the_interpreter_alone(npm: Path, version: str) -> None:
    found = pyodide_distribution.read(npm, version=version)

    assert set(found.files) == _CORE
    assert found.packages == ()
    assert "cryptography" in _packages(npm)


def test_a_full_distribution_has_cryptography_and_what_it_depends_on(folder: Path, version: str) -> None:
    names = ("cryptography", "cffi", "pycparser", "six")
    wheels = {_packages(folder)[name]["file_name"] for name in names}
    for wheel in wheels:
        (folder / wheel).write_bytes(b"a wheel")

    found = pyodide_distribution.read(folder, version=version)

    assert set(found.files) == _CORE | wheels
    assert found.packages == ("cryptography",)


def test_a_distribution_that_lacks_one_wheel_has_no_cryptography(folder: Path, version: str) -> None:
    (folder / _packages(folder)["cryptography"]["file_name"]).write_bytes(b"a wheel")

    assert pyodide_distribution.read(folder, version=version).packages == ()


def test_a_lock_file_may_name_no_cryptography(folder: Path, version: str) -> None:
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    del lock["packages"]["cryptography"]
    (folder / "pyodide-lock.json").write_text(json.dumps(lock))

    assert pyodide_distribution.read(folder, version=version).packages == ()


def test_another_version_or_no_distribution_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"another version of Pyodide; the client runs on 999\.0\.0"):
        pyodide_distribution.read(folder, version="999.0.0")
    with pytest.raises(SetupError, match=r"is no Pyodide distribution .*pyodide\.asm\.wasm"):
        pyodide_distribution.read(tmp_path / "empty", version="999.0.0")
