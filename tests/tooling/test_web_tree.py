"""What the page is served from: complete, described rightly, and typed as browsers want it."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev import environment, federation
from dev.steps import ROOT


@pytest.fixture(scope="module")
def web_root() -> Path:
    return environment.prepare(development=True).web_root


@pytest.fixture(scope="module")
def assets(web_root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((web_root / "mls-federation" / "assets.json").read_text())
    return content


@pytest.fixture(scope="module")
def server(web_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with federation.running(Path(sys.executable), web_root, folder, domains=()) as running:
        yield running.url


def test_assets_tell_the_size_of_every_file_of_the_module(web_root: Path, assets: dict[str, Any]) -> None:
    module = web_root / "mls-federation"
    served = {
        file.relative_to(module).as_posix(): file.stat().st_size
        for file in module.rglob("*")
        if file.is_file() and file.suffix in {".js", ".mjs", ".wasm", ".zip", ".json", ".whl"}
    }
    del served["assets.json"]
    assert assets["bytes"] == served


def test_the_client_is_installed_last(web_root: Path, assets: dict[str, Any]) -> None:
    *others, client = assets["wheels"]
    assert [wheel.partition("-")[0] for wheel in others] == ["wheels/micropip"]
    assert client == f"wheels/mls_federation-{assets['version']}-py3-none-any.whl"


def test_pyodide_is_the_one_of_the_lock_file(assets: dict[str, Any]) -> None:
    locked = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]["node_modules/pyodide"]
    assert assets["pyodide"] == {"version": locked["version"], "directory": "pyodide/"}


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/demo/index.html", "text/html"),
        ("/mls-federation/index.js", "text/javascript"),
        ("/mls-federation/pyodide/pyodide.mjs", "text/javascript"),
        ("/mls-federation/pyodide/pyodide.asm.wasm", "application/wasm"),
        ("/mls-federation/assets.json", "application/json"),
    ],
)
def test_content_types(server: str, path: str, content_type: str) -> None:
    with urllib.request.urlopen(server + path, timeout=5) as response:
        assert response.headers.get_content_type() == content_type


def test_lock_files_hold_digests_and_no_address_of_a_registry() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    third_party = {name: package for name, package in packages.items() if name}
    assert [name for name, package in third_party.items() if "integrity" not in package] == []
    assert [name for name, package in third_party.items() if "resolved" in package] == []
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        assert "--hash=sha256:" in lock.read_text()
        assert "://" not in lock.read_text()
