"""The unit and vector tests once more, in the interpreter and on the provider that a page has.

They run in Chromium, in a module worker, on Pyodide with the built wheel. The outer test compares what passed there with
what there is to run.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from dev import chromium, environment, federation
from dev.browser import chromium_arguments
from dev.steps import ROOT, files_in
from dev.web_tree import PYODIDE_TEST_WHEELS
from tests.support import hpke_vectors, vector_files

HERE = Path(__file__).parent
TESTED = ("tests/unit", "tests/vectors")
CARRIED = (*TESTED, "tests/support", "tests/conftest.py", "pyproject.toml")

_HOME = "/home/pyodide"
# To look into some of them alone: MLS_TESTS_INSIDE="tests/vectors -k welcome" .venv/bin/pytest -s tests/pyodide
_CHOSEN = shlex.split(os.environ.get("MLS_TESTS_INSIDE", "")) or TESTED
_SELECTION = ["-m", "not cpython_only", *_CHOSEN]
_LIMIT_SECONDS = 40 * 60


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def web_root() -> Path:
    """The served tree, up to date with the sources, and beside it the wheels that the tests need."""
    return environment.prepare(development=True).web_root


@pytest.fixture(scope="module")
def harness(web_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the browser fetches: page, worker, wheels and the archive of tests."""
    folder = tmp_path_factory.mktemp("pyodide")
    for name in ("index.html", "worker.js"):
        shutil.copy(HERE / name, folder)
    shutil.copytree(PYODIDE_TEST_WHEELS, folder / "wheels")
    with zipfile.ZipFile(folder / "tests.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        _fill(archive)
    return folder


def _fill(archive: zipfile.ZipFile) -> None:
    for source in (ROOT / carried for carried in CARRIED):
        for file in files_in(source) if source.is_dir() else [source]:
            archive.write(file, f"main/{file.relative_to(ROOT).as_posix()}")
    for family in vector_files.SHA256:
        file = vector_files.find_data_file(f"{family}.json", vector_files.folders())
        archive.write(file, f"mls-vectors/{file.name}")
    hpke = vector_files.find_data_file(hpke_vectors.FILE, hpke_vectors.folders())
    archive.write(hpke, f"hpke-vectors/{hpke.name}")
    archive.write(HERE / "run_inside.py", "main/run_inside.py")
    options = {
        "arguments": ["-p", "no:cacheprovider", "--capture=sys", "--color=no", "-q", *_SELECTION],
        # With CI set, a vector file that is missing fails its tests instead of skipping them.
        "environment": {
            "CI": "true",
            "MLS_TEST_VECTORS": f"{_HOME}/mls-vectors",
            "MLS_HPKE_VECTORS": f"{_HOME}/hpke-vectors",
        },
    }
    archive.writestr("main/run_inside.json", json.dumps(options))


@pytest.fixture(scope="module")
def server(web_root: Path, harness: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server with the page's tree and the harness."""
    logs = tmp_path_factory.mktemp("server")
    mounts = {"/pyodide-tests": harness}
    with federation.running(Path(sys.executable), web_root, logs, domains=(), mounts=mounts) as running:
        yield running.url


async def run_in_chromium(server: str, web_root: Path, harness: Path) -> dict[str, Any]:
    """Start the worker, show the lines that it sends, and return its report."""
    module = f"{server}/mls-federation/"
    assets = json.loads((web_root / "mls-federation" / "assets.json").read_text())
    client = assets["wheels"][-1]
    test_wheels = sorted(wheel.name for wheel in (harness / "wheels").glob("*.whl"))
    job = {
        "pyodide": module + assets["pyodide"]["directory"],
        "wheels": [*(f"{server}/pyodide-tests/wheels/{name}" for name in test_wheels), module + client],
        "primitives": f"{module}primitives.js",
        "archive": f"{server}/pyodide-tests/tests.zip",
        "directory": _HOME,
    }
    program = chromium.find_or_install(Path(sys.executable))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        page = await browser.new_page()
        page.set_default_timeout(_LIMIT_SECONDS * 1000)
        await page.expose_function("showLine", lambda line: print(line, flush=True))
        await page.goto(f"{server}/pyodide-tests/index.html")
        outcome = await page.evaluate(
            """job => new Promise((resolve) => {
                const worker = new Worker("/pyodide-tests/worker.js", { type: "module" });
                worker.onerror = (event) => resolve({ error: `the worker failed: ${event.message}` });
                worker.onmessage = ({ data }) => ("line" in data ? showLine(data.line) : resolve(data));
                worker.postMessage(job);
            })""",
            job,
        )
        await browser.close()
    assert "error" not in outcome, outcome["error"]
    report: dict[str, Any] = json.loads(outcome["report"])
    return report


def collected_here() -> set[str]:
    """Node ids of the tests that must run inside, as this Python collects them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *_SELECTION]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert listing.returncode == 0, listing.stdout + listing.stderr
    return {line for line in listing.stdout.splitlines() if re.match(r"tests/.*::", line)}


async def test_unit_and_vector_tests_pass_inside_pyodide(server: str, web_root: Path, harness: Path) -> None:
    expected = collected_here()

    began = time.monotonic()
    report = await run_in_chromium(server, web_root, harness)
    passed = set(report.get("passed", []))
    print(f"{len(passed)} tests passed inside Pyodide in {time.monotonic() - began:.0f} s")

    assert report["exit_code"] == 0, f"failed inside: {report.get('failed')}"
    assert expected - passed == set()
    assert not report["cryptography"], (
        "the provider under test is webjs, and nothing else may be there to be used"
    )
    if _CHOSEN is TESTED:
        files = {node.partition("::")[0] for node in passed}
        families = {
            family: f"tests/vectors/test_{family.replace('-', '_')}.py" for family in vector_files.SHA256
        }
        assert [family for family, file in families.items() if file not in files] == []
