"""What the page is served from: complete, described rightly, and typed as browsers want it."""

import base64
import gzip
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev import environment, federation, web_tree
from dev.steps import ROOT
from dev.web_tree import MODULE


@pytest.fixture(scope="module")
def web_root() -> Path:
    return environment.prepare(development=True).web_root


@pytest.fixture(scope="module")
def release(web_root: Path) -> Path:
    return web_tree.release_folder(web_root)


@pytest.fixture(scope="module")
def assets(release: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((release / "assets.json").read_text())
    return content


@pytest.fixture(scope="module")
def server(web_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with federation.running(Path(sys.executable), web_root, folder, domains=()) as running:
        yield running.url


def test_assets_tell_the_size_of_every_file_that_start_up_loads(
    release: Path, assets: dict[str, Any]
) -> None:
    folders = [release, release / assets["pyodide"]["directory"]]
    served = {
        os.path.relpath(file, release): file.stat().st_size
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and file.suffix in {".js", ".mjs", ".wasm", ".zip", ".json", ".whl"}
    }
    del served["assets.json"]
    assert assets["bytes"] == {Path(path).as_posix(): size for path, size in served.items()}


def test_the_client_is_the_one_wheel(assets: dict[str, Any]) -> None:
    assert assets["wheels"] == [f"wheels/mls_federation-{assets['version']}-cp314-none-any.whl"]


def test_pyodide_is_the_one_of_the_lock_file(assets: dict[str, Any]) -> None:
    locked = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]["node_modules/pyodide"]
    assert assets["pyodide"]["version"] == locked["version"]
    # npm's package carries no wheels, though its lock file names them.
    assert assets["pyodide"]["packages"] == []


def test_the_name_that_stays_leads_to_the_release(web_root: Path, release: Path) -> None:
    module = web_root / MODULE
    leading = f'export * from "./{release.name}/index.js";\n'
    assert (module / "index.d.ts").read_text() == leading
    # What the module imports is named at once, so that a browser asks for all at the same time.
    parts = sorted(
        file.name for file in release.glob("chunk-*.js") if file.name in (release / "index.js").read_text()
    )
    assert len(parts) > 0
    named = (module / "index.js").read_text().removeprefix(leading).splitlines()
    assert sorted(named) == [f'import "./{release.name}/{part}";' for part in parts]


def test_a_module_of_a_page_and_a_worker_need_few_files(web_root: Path, release: Path) -> None:
    sources = {file.name for file in (ROOT / "web" / "src").glob("*.js")}
    served = {file.name for file in release.glob("*.js")}
    # What only others of ours import is in them, and has no address of its own.
    assert {"engine.js", "accounts.js", "interpreter.js"} <= sources - served
    assert {"index.js", "call.js", "mls.js", "worker.js", "call-worker.js", "service-worker.js"} <= served
    assert 'from "./' not in (release / "worker.js").read_text()


def test_a_folder_is_named_by_what_is_in_it(release: Path, assets: dict[str, Any]) -> None:
    for folder, digest in (
        (release, release.name),
        (
            release / assets["pyodide"]["directory"],
            assets["pyodide"]["directory"].strip("./").removeprefix("pyodide-"),
        ),
    ):
        state = hashlib.sha256()
        named = {
            file.relative_to(folder).as_posix(): file
            for file in folder.rglob("*")
            if file.is_file() and file.suffix not in {".br", ".gz"}
        }
        for name, file in sorted(named.items()):
            state.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        assert state.hexdigest()[:16] == digest


def test_byte_code_is_of_the_standard_library_and_the_client_that_are_locked(
    release: Path, assets: dict[str, Any]
) -> None:
    original = zipfile.ZipFile(ROOT / "web" / "node_modules" / "pyodide" / "python_stdlib.zip")
    with zipfile.ZipFile(release / assets["pyodide"]["directory"] / "python_stdlib.zip") as served:
        compiled = {name.removesuffix("c") for name in served.namelist() if name.endswith(".pyc")}
        assert {name.replace(".pyc", ".py") for name in served.namelist()} == set(original.namelist())
        for name in served.namelist():
            if not name.endswith(".pyc"):
                assert served.read(name) == original.read(name)
        # What every start imports is compiled, and what is seldom used is not.
        assert {"asyncio/base_events.py", "encodings/__init__.py", "typing.py"} <= compiled
        assert "unittest/case.py" not in compiled

    with zipfile.ZipFile(release / assets["wheels"][0]) as wheel:
        sources = {name for name in wheel.namelist() if name.endswith(".py")}
        assert sources == set()
        package = ROOT / "pyclient"
        modules = {f"{file.relative_to(package).as_posix()}c" for file in package.rglob("*.py")}
        assert {name for name in wheel.namelist() if name.endswith(".pyc")} == modules
        (record,) = (name for name in wheel.namelist() if name.endswith("/RECORD"))
        for line in wheel.read(record).decode().splitlines():
            name, digest, size = line.split(",")
            if name == record:
                continue
            content = wheel.read(name)
            encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={encoded}", str(len(content)))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/demo/index.html", "text/html"),
        ("/service-worker.js", "text/javascript"),
        (f"/{MODULE}/index.js", "text/javascript"),
        ("pyodide.mjs", "text/javascript"),
        ("pyodide.asm.wasm", "application/wasm"),
        ("assets.json", "application/json"),
    ],
)
def test_content_types(
    server: str, web_root: Path, release: Path, assets: dict[str, Any], path: str, content_type: str
) -> None:
    if not path.startswith("/"):
        folder = release if path == "assets.json" else release / assets["pyodide"]["directory"]
        path = f"/{folder.resolve().relative_to(web_root).as_posix()}/{path}"
    for encoding in ("identity", "gzip", "br"):
        response = httpx.get(server + path, headers={"Accept-Encoding": encoding}, trust_env=False)
        assert response.headers["Content-Type"].partition(";")[0] == content_type


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip;q=1.0", "br"),
        ("gzip", "gzip"),
        ("br;q=0, GZIP", "gzip"),
        ("br; q=0.000, gzip;q=0", None),
        ("brotli, x-gzip", None),
        ("identity", None),
        ("", None),
    ],
)
def test_files_are_sent_in_the_best_form_that_is_accepted(
    server: str, release: Path, accepted: str, encoding: str | None
) -> None:
    suffix = {None: "", "br": ".br", "gzip": ".gz"}[encoding]
    sent = (release / f"worker.js{suffix}").read_bytes()
    path = f"{server}/{MODULE}/{release.name}/worker.js"
    with httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", path, headers={"Accept-Encoding": accepted})
        response = client.send(request, stream=True)
        assert b"".join(response.iter_raw()) == sent
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Content-Length"] == str(len(sent))
    assert response.headers["Vary"] == "Accept-Encoding"

    again = httpx.get(
        path,
        headers={"Accept-Encoding": accepted, "If-None-Match": response.headers["ETag"]},
        trust_env=False,
    )
    assert again.status_code == 304
    other = "identity" if encoding else "br"
    changed = httpx.get(
        path, headers={"Accept-Encoding": other, "If-None-Match": response.headers["ETag"]}, trust_env=False
    )
    assert changed.status_code == 200


def test_compressed_forms_hold_the_same(web_root: Path, server: str) -> None:
    for file in (web_root / MODULE).rglob("*.gz"):
        whole = file.with_suffix("")
        assert gzip.decompress(file.read_bytes()) == whole.read_bytes()
        assert whole.with_name(f"{whole.name}.br").stat().st_size < whole.stat().st_size


def test_what_never_changes_is_kept_and_all_else_is_asked_for(server: str, release: Path) -> None:
    kept = {
        path: httpx.get(server + path, trust_env=False).headers["Cache-Control"]
        for path in (
            f"/{MODULE}/{release.name}/worker.js",
            f"/{MODULE}/{release.name}/vendor/comlink.js",
            f"/{MODULE}/index.js",
            "/service-worker.js",
            "/demo/main.js",
            "/",
            "/federation.json",
        )
    }
    immutable = {path for path, value in kept.items() if value == "public, max-age=31536000, immutable"}
    assert immutable == set(list(kept)[:2])
    assert {value for path, value in kept.items() if path not in immutable} == {"no-cache"}


def test_a_file_that_is_not_there_is_not_kept(server: str, release: Path) -> None:
    response = httpx.get(f"{server}/{MODULE}/{release.name}/nothing.js", trust_env=False)
    assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-cache")


def test_lock_files_hold_digests_and_no_address_of_a_registry() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    third_party = {name: package for name, package in packages.items() if name}
    assert [name for name, package in third_party.items() if "integrity" not in package] == []
    assert [name for name, package in third_party.items() if "resolved" in package] == []
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        assert "--hash=sha256:" in lock.read_text()
        assert "://" not in lock.read_text()
