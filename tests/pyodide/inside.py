"""Running pytest in the interpreter and on the provider that a page has: a module worker, Pyodide, and the built wheel."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from playwright.async_api import Browser

from dev import federation, web_tree
from dev.steps import ROOT, files_in
from dev.web_tree import INTEROP_BUNDLE, PYODIDE_TEST_WHEELS

Report: TypeAlias = dict[str, Any]

HOME = "/home/pyodide"

_HERE = Path(__file__).parent

# The page shows the worker's lines, and answers what tests ask by a module of its own.
_PAGE = """async ({ job, answering }) => {
    const { answer } = answering === null ? {} : await import(answering);
    return new Promise((resolve) => {
        const worker = new Worker("/pyodide-tests/worker.js", { type: "module" });
        worker.onerror = (event) => resolve({ error: `the worker failed: ${event.message}` });
        worker.onmessage = async ({ data }) => {
            if ("line" in data) showLine(data.line);
            else if ("question" in data) worker.postMessage({ asked: data.asked, answer: await answer(data.question) });
            else resolve(data);
        };
        worker.postMessage(job);
    });
}"""


@dataclass(frozen=True)
class Suite:
    """What is run inside.

    Attributes:
        carried: files and folders of the repository that are there.
        arguments: pytest's, which choose the tests.
        data: other files, by their place below Pyodide's home.
        environment: variables for the tests.
        answering: address of a module whose `answer` replies to what the tests ask the page.
        limit: seconds after which it has failed.
    """

    carried: Sequence[str]
    arguments: Sequence[str]
    data: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    answering: str | None = None
    limit: float = 15 * 60


@contextmanager
def _serving(suite: Suite, web_root: Path, folder: Path) -> Iterator[str]:
    """The address of a web server with the page's tree, the worker, and in an archive the tests."""
    harness = folder / "harness"
    harness.mkdir()
    for name in ("index.html", "worker.js"):
        shutil.copy(_HERE / name, harness)
    shutil.copytree(PYODIDE_TEST_WHEELS, harness / "wheels")
    with zipfile.ZipFile(harness / "tests.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        _fill(archive, suite)
    mounts = {"/pyodide-tests": harness, "/interop": INTEROP_BUNDLE}
    with federation.running(Path(sys.executable), web_root, folder, domains=(), mounts=mounts) as running:
        yield running.url


def _fill(archive: zipfile.ZipFile, suite: Suite) -> None:
    for name in suite.carried:
        for file in _carried(ROOT / name):
            archive.write(file, f"main/{file.relative_to(ROOT).as_posix()}")
    for name, file in suite.data.items():
        archive.write(file, name)
    archive.write(_HERE / "run_inside.py", "main/run_inside.py")
    options = {
        "arguments": ["-p", "no:cacheprovider", "--capture=sys", "--color=no", "-q", *suite.arguments],
        # With CI set, a vector file that is missing fails its tests instead of skipping them.
        "environment": {"CI": "true", **suite.environment},
    }
    archive.writestr("main/run_inside.json", json.dumps(options))


def _carried(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return [file for file in files_in(source) if "node_modules" not in file.parts]


async def run(
    name: str, suite: Suite, browser: Browser, web_root: Path, folder: Path, **context_options: Any
) -> Report:
    """Run a suite in a page and a worker of its own, and show the lines that it prints.

    Args:
        name: said at each line.
        folder: an empty one, for what is served.
        context_options: Playwright's.

    Returns:
        What `run_inside.main` does, or `error`: why there is no such report.
    """
    with _serving(suite, web_root, folder) as server:
        context = await browser.new_context(**context_options)
        page = await context.new_page()
        await page.expose_function("showLine", lambda line: print(f"{name}: {line}", flush=True))
        await page.goto(f"{server}/pyodide-tests/index.html")
        job = {"job": _job(server, web_root), "answering": suite.answering}
        # Playwright waits for ever for what a page promises.
        async with asyncio.timeout(suite.limit):
            outcome: Report = await page.evaluate(_PAGE, job)
        await context.close()
    report: Report = json.loads(outcome["report"]) if "report" in outcome else outcome
    return report


def _job(server: str, web_root: Path) -> dict[str, Any]:
    release = web_tree.release_folder(web_root)
    module = f"{server}/{release.relative_to(web_root).as_posix()}/"
    assets = json.loads((release / "assets.json").read_text())
    client = assets["wheels"][-1]
    test_wheels = sorted(wheel.name for wheel in PYODIDE_TEST_WHEELS.glob("*.whl"))
    return {
        "pyodide": module + assets["pyodide"]["directory"],
        "wheels": [*(f"{server}/pyodide-tests/wheels/{name}" for name in test_wheels), module + client],
        "primitives": f"{module}primitives.js",
        "archive": f"{server}/pyodide-tests/tests.zip",
        "directory": HOME,
    }


def collected_here(arguments: Sequence[str]) -> set[str]:
    """Node ids of the tests that must run inside, as this Python collects them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert listing.returncode == 0, listing.stdout + listing.stderr
    return {line for line in listing.stdout.splitlines() if re.match(r"tests/.*::", line)}
