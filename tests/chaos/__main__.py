"""`python -m tests.chaos --messages 10000 --commits 500 --database sqlite --seed 1`: one run, and its report."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .run import Options, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if anything was lost, doubled, out of order or not agreed on."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="A federation under attack.")
    parser.add_argument("--messages", type=int, default=300, help="default %(default)s")
    parser.add_argument("--commits", type=int, default=20, help="default %(default)s")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, help="default: any")
    parser.add_argument(
        "--kill-seconds", type=float, default=5.0, help="between kills, on average; default %(default)s"
    )
    parser.add_argument("--folder", type=Path, help="for databases, states and logs; default: a new one")
    given = parser.parse_args(arguments)
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(given.messages, given.commits, given.database, seed, given.kill_seconds)
    print(f"seed {seed}, in {folder}", file=sys.stderr)
    outcome = asyncio.run(run(options, folder))
    print(outcome.report())
    if outcome.wrong:
        print(f"What they wrote is in {folder}.")
        return 1
    if given.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
