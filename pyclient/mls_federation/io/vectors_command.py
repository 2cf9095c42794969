"""`python -m mls_federation vectors`: verify files of test vectors, or make new ones.

vectors FILE …                           a line for each file, and the first failures; exits with 1 if there are any,
                                         2 if a file is no vector file
vectors --generate FAMILY [--suite N] …  writes new vectors to standard output, of every suite if none is given
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..crypto import CipherSuite, CryptoProvider
from ..crypto.pyca import PycaProvider
from ..vectors import FAMILIES, Failure, Result, VectorFormatError, generate_file, verify_file

_SHOWN_FAILURES = 5


def add_vectors_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to those of the program. `run_vectors_command` takes what it is given."""
    parser = commands.add_parser("vectors", help="verify files of RFC 9420's test vectors, or make new ones")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument(
        "files", nargs="*", default=[], metavar="FILE", help="to verify; its family is recognised"
    )
    task.add_argument("--generate", choices=FAMILIES, metavar="FAMILY", help=f"one of {', '.join(FAMILIES)}")
    parser.add_argument(
        "--suite",
        action="append",
        type=_suite,
        default=[],
        metavar="N",
        help="a cipher suite to generate vectors of, by its number; may be given again",
    )


def run_vectors_command(options: argparse.Namespace) -> int:
    """Do what the arguments ask for; the exit code.

    Raises:
        UsageError: vectors are to be made of a suite that the provider lacks.
    """
    provider = PycaProvider()
    if options.generate is not None:
        suites = options.suite or [suite for suite in CipherSuite if provider.supports(suite)]
        json.dump(generate_file(provider, options.generate, suites), sys.stdout, indent=1)
        print(flush=True)
        return 0
    return max(_verify(provider, file) for file in options.files)


def _verify(provider: CryptoProvider, file: str) -> int:
    try:
        result = verify_file(provider, Path(file).read_bytes())
    except OSError as error:
        print(f"{file}  cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except VectorFormatError as error:
        print(f"{file}  {error.code}: {error.message}", file=sys.stderr)
        return 2
    for line in (f"{file}  {_summary(provider, result)}", *_described(result.failures)):
        print(line, flush=True)
    return 1 if result.failed else 0


def _summary(provider: CryptoProvider, result: Result) -> str:
    line = f"{result.family}  {result.passed} passed, {result.failed} failed, {result.skipped} skipped"
    return f"{line} (suites that {provider.name} lacks)" if result.skipped else line


def _described(failures: Sequence[Failure]) -> list[str]:
    lines = [
        f"    entry {failure.entry}: {failure.error.code}: {failure.error.message}"
        for failure in failures[:_SHOWN_FAILURES]
    ]
    more = len(failures) - len(lines)
    return [*lines, f"    and {more} more"] if more else lines


def _suite(text: str) -> CipherSuite:
    try:
        return CipherSuite(int(text, 0))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not the number of a cipher suite") from None
