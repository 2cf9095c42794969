"""Tests that run once more in Chromium, inside Pyodide: the unit and vector tests, and those of a group with ts-mls.

Each suite has a page and a worker of its own, and all run at the same time. The outer test compares what passed there with
what there is to run.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.async_api import async_playwright

from dev import chromium, environment, firefox
from dev.browser import chromium_arguments
from tests.pyodide.inside import HOME, Report, Suite, collected_here, run
from tests.support import hpke_vectors, vector_files

Reports: TypeAlias = dict[str, Report]

_SHARED = ("tests/support", "tests/conftest.py", "pyproject.toml")
_SELECTION = ("-m", "not cpython_only and not long")


def _vectors(*chosen: str) -> Suite:
    """Tests that may need the files of official vectors."""
    data = {}
    for family in vector_files.SHA256:
        file = vector_files.find_data_file(f"{family}.json", vector_files.folders())
        data[f"mls-vectors/{file.name}"] = file
    hpke = vector_files.find_data_file(hpke_vectors.FILE, hpke_vectors.folders())
    return Suite(
        carried=("tests/unit", "tests/vectors", *_SHARED),
        arguments=(*_SELECTION, *chosen),
        data={**data, f"hpke-vectors/{hpke.name}": hpke},
        environment={
            "MLS_TEST_VECTORS": f"{HOME}/mls-vectors",
            "MLS_HPKE_VECTORS": f"{HOME}/hpke-vectors",
        },
    )


def _interop(*chosen: str) -> Suite:
    """ts-mls in the page, and our engine in its worker."""
    return Suite(
        carried=("tests/interop", *_SHARED),
        arguments=(*_SELECTION, *chosen),
        answering="/interop/ts_mls_members.js",
    )


# To look into some of them alone: MLS_TESTS_INSIDE="tests/vectors -k welcome" .venv/bin/pytest -s tests/pyodide
_CHOSEN = shlex.split(os.environ.get("MLS_TESTS_INSIDE", ""))
_UNIT_AND_VECTORS: list[Any] = (
    ["chosen"] if _CHOSEN else ["unit", "vectors", pytest.param("all of unit", marks=pytest.mark.long)]
)
# What differs there: numbers, memory, the event loop, and the cryptography.
_MOST_LIKELY_TO_DIFFER = [
    f"tests/unit/{package}" for package in ("browser", "client", "codec", "crypto", "media")
]
_LONG = 40 * 60
# In a page a random walk takes several times as long as in Node.
_SOME_WALKS = "test_ts_mls.py or test_random_walk[0-1] or test_random_walk[1-2]"
SUITES: dict[str, Callable[[], Suite]] = {
    "unit": lambda: _vectors(*_MOST_LIKELY_TO_DIFFER),
    "all of unit": lambda: replace(_vectors("tests/unit"), limit=_LONG),
    "vectors": lambda: _vectors("tests/vectors"),
    "chosen": lambda: _vectors(*_CHOSEN),
    "ts-mls": lambda: _interop("tests/interop", "-k", _SOME_WALKS),
    "all of ts-mls": lambda: replace(_interop("tests/interop"), limit=_LONG),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def web_root() -> Path:
    """The served tree, up to date with the sources, and beside it the wheels that the tests need."""
    return environment.prepare(development=True).web_root


@pytest.fixture(scope="module")
async def reports(
    request: pytest.FixtureRequest, web_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Reports:
    """The reports of all suites that are to run in Chromium. They run at the same time, each on a core if there are so many."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    names = [str(item.callspec.params["name"]) for item in items if "reports" in item.fixturenames]
    suites = {name: SUITES[name]() for name in names}
    program = chromium.find_or_install(Path(sys.executable))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        done = await asyncio.gather(
            *(
                run(name, suite, browser, web_root, tmp_path_factory.mktemp("inside"))
                for name, suite in suites.items()
            )
        )
        await browser.close()
    return dict(zip(suites, done, strict=True))


def assert_all_passed(suite: Suite, report: Report) -> set[str]:
    """Every test that is to run inside has passed there, on `webjs`; their node ids."""
    assert "error" not in report, report["error"]
    passed = set(report.get("passed", []))
    assert report["exit_code"] == 0, f"failed inside: {report.get('failed')}"
    assert collected_here(suite.arguments) - passed == set()
    assert not report["cryptography"], (
        "the provider under test is webjs, and nothing else may be there to be used"
    )
    return passed


@pytest.mark.parametrize("name", _UNIT_AND_VECTORS)
async def test_unit_and_vector_tests_pass_inside_pyodide(reports: Reports, name: str) -> None:
    passed = assert_all_passed(SUITES[name](), reports[name])

    if name == "vectors":
        files = {node.partition("::")[0] for node in passed}
        families = {
            family: f"tests/vectors/test_{family.replace('-', '_')}.py" for family in vector_files.SHA256
        }
        assert [family for family, file in families.items() if file not in files] == []


@pytest.mark.parametrize("name", ["ts-mls", pytest.param("all of ts-mls", marks=pytest.mark.long)])
async def test_one_group_with_ts_mls_in_one_page(reports: Reports, name: str) -> None:
    assert_all_passed(SUITES[name](), reports[name])


@pytest.mark.long
async def test_one_group_with_ts_mls_in_one_page_of_firefox(web_root: Path, tmp_path: Path) -> None:
    # The HPKE of ts-mls fails in Firefox on the NIST curves, with errors of WebCrypto: seal, open and serialise alike.
    nist = ("suite_2", "suite_5", "suite_7", "[1-2]", "[6-2]", "[3-7]")
    everything = SUITES["all of ts-mls"]()
    chosen = " and ".join(f"not {name}" for name in nist)
    suite = replace(everything, arguments=(*everything.arguments, "-k", chosen))
    async with async_playwright() as playwright:
        program = firefox.find_or_install()
        browser = await playwright.firefox.launch(channel=firefox.CHANNEL, executable_path=program)
        report = await run("Firefox", suite, browser, web_root, tmp_path, **firefox.CONTEXT_OPTIONS)
        await browser.close()
    assert_all_passed(suite, report)
