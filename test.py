#!/usr/bin/env python3
"""Set everything up, then run every check and test, browsers included: `python3 test.py [--check] [pytest arguments]`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one must get an answer, not a syntax error
    sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")

import os
import shlex
import subprocess
from pathlib import Path

from dev import chromium, environment, firefox, postgresql, webkit
from dev.environment import Environment
from dev.steps import ROOT, SetupError, announce

_USAGE = f"""{__doc__}

  --check     only the static checks: format, lint, types, layers, the module's API
  all others  go to pytest, as in: python3 test.py -k codec; with `-n 0` one test after the other, as a debugger needs it
"""


def main(arguments: list[str]) -> int:
    """The exit code of the first check that failed, else of pytest, whose closing line is the last that is printed."""
    if arguments in (["-h"], ["--help"]):
        print(_USAGE)
        return 0
    only_checks = "--check" in arguments
    pytest_arguments = [argument for argument in arguments if argument != "--check"]
    try:
        ready = environment.prepare(development=True)
        browser = None if only_checks else chromium.find_or_install(ready.python)
        if not only_checks:
            _other_programs()
    except SetupError as error:
        print(f"The set-up failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130

    # All of them, so that one run shows all there is to mend; the tests wait until it is.
    codes = [_run(check) for check in _static_checks(ready)]
    if any(codes) or browser is None:
        return next((code for code in codes if code), 0)
    # Files at the same time, each by one worker, since fixtures of a module are costly; `-n 0` does without.
    # In the order and the lanes that tests/conftest.py gives them.
    at_once = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    # A run that is cut off has said what failed. What waits for ever, beyond the end that async tests have, ends its worker for good:
    # another would begin with the same test.
    told = ["--instafail", "--timeout", "900", "--timeout-method", "thread", "--max-worker-restart", "0"]
    return _run(
        [ready.python, "-m", "pytest", *at_once, *told, *pytest_arguments], {"MLS_CHROMIUM": str(browser)}
    )


def _other_programs() -> None:
    """Find or install Firefox, WebKit and PostgreSQL, without which some tests are skipped, but never in CI."""
    for find_or_install in (firefox.find_or_install, webkit.find_or_install, postgresql.find_or_install):
        try:
            find_or_install()
        except SetupError as error:
            if os.environ.get("CI") == "true":
                raise
            announce(f"some tests will be skipped. {error}")


def _static_checks(ready: Environment) -> list[list[str | Path]]:
    tools = ready.python.parent
    return [
        [tools / "ruff", "format", "--check"],
        [tools / "ruff", "check", "--output-format", "concise"],
        [tools / "mypy"],
        [tools / "lint-imports"],
        [ready.node.program, ROOT / "web/node_modules/typescript/bin/tsc", "-p", ROOT / "web"],
        [ready.node.program, ROOT / "web/checks/api_report.mjs"],
        [ready.node.program, ROOT / "web/checks/web_idl.mjs"],
    ]


def _run(command: list[str | Path], variables: dict[str, str] | None = None) -> int:
    argv = [str(part) for part in command]
    print(f"\n$ {shlex.join(argv).replace(f'{ROOT}{os.sep}', '')}", flush=True)
    try:
        return subprocess.run(argv, cwd=ROOT, env={**os.environ, **(variables or {})}, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
