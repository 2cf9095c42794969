"""`mls-delivery forget-peer DOMAIN`: the operator accepts whatever signing key a domain shows next."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from mls_federation.federation.binding import is_domain

from .config import ConfigError, read_config
from .store import StoreError, open_store, peers

COMMAND = "forget-peer"


def forget_peer(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status. The service may run meanwhile."""
    options = _parser().parse_args(arguments)
    try:
        database = options.database or read_config(options.config, {}).database
        known = asyncio.run(_forget(database, options.peer))
    except (ConfigError, StoreError) as fault:
        print(f"mls-delivery: {fault}", file=sys.stderr)
        return 1
    if not known:
        print(f"mls-delivery: No key of {options.peer} is known.", file=sys.stderr)
        return 1
    print(f"The key of {options.peer} is forgotten; the one that it shows next is taken for its own.")
    return 0


async def _forget(database: str, domain: str) -> bool:
    store = open_store(database)
    try:
        return await store.write(peers.forget_key, domain)
    finally:
        await store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"mls-delivery {COMMAND}",
        description="Take whatever signing key the service of a domain shows next. Ask its operator first whether the key has"
        " changed: who can put another key in its place can read nothing, but can relay and drop in its name.",
    )
    parser.add_argument("peer", metavar="DOMAIN", type=_domain, help="whose key has changed")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", type=Path, metavar="FILE", help="the service's own")
    where.add_argument("--database", metavar="URL", help="the service's own")
    return parser


def _domain(text: str) -> str:
    if not is_domain(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a domain name in lower case")
    return text
