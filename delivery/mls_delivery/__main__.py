"""`mls-delivery`, or `python -m mls_delivery`: run the delivery service of one domain (docs/operating.md)."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mls_federation.crypto.pyca import PycaProvider

from .config import Config, ConfigError, read_config
from .context import DeliveryService, delivery_service
from .forgetting import COMMAND, forget_peer
from .logs import log_event, set_up_logging
from .service import Limits
from .serving import Ending, ListenError, listen, serve
from .store import StoreError, open_store

_HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == [COMMAND]:
        return forget_peer(given[1:])
    options = _parser().parse_args(given)
    try:
        config = read_config(options.config, _flags(options))
    except ConfigError as fault:
        print(f"mls-delivery: {fault}", file=sys.stderr)
        return 2
    # The database has the service's signing key in it.
    os.umask(0o077)
    set_up_logging(config.log)
    try:
        asyncio.run(_run(config))
    except (StoreError, ListenError) as fault:
        print(f"mls-delivery: {fault}", file=sys.stderr)
        return 1
    return 0


async def _run(config: Config) -> None:
    ending = Ending()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.begin())
    service = await _service(config)
    try:
        listening = listen(config.listen)
        operating = None if config.operations is None else listen(config.operations)
    except ListenError:
        await service.store.close()
        raise
    log_event(logging.INFO, "listening", domain=config.domain, address=str(config.listen))
    await serve(service, listening, operating, ending)
    log_event(logging.INFO, "ended", domain=config.domain)


async def _service(config: Config) -> DeliveryService:
    return await delivery_service(
        domain=config.domain,
        provider=PycaProvider(),
        store=open_store(config.database),
        clock=lambda: int(time.time()),
        allowed_origins=config.allowed_origins,
        limits=config.limits,
        trusted_proxies=config.trusted_proxies,
        federation=config.federation,
        sign_in_url=config.sign_in_url,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mls-delivery",
        description="The delivery service of one domain.",
        epilog="Flags override the file. Without a file, --domain, --port and --database are needed."
        f" There is also a command: mls-delivery {COMMAND} DOMAIN.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML; see docs/operating.md")
    parser.add_argument("--domain", help="whose identities it serves: name@DOMAIN")
    parser.add_argument("--host", help=f"the address to listen on (default: {_HOST})")
    parser.add_argument("--port", type=int, help="the port to listen on")
    parser.add_argument("--database", metavar="URL", help="such as sqlite:///folder/file.sqlite3")
    parser.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="an origin whose web pages may use the service; may be given several times",
    )
    parser.add_argument(
        "--peer",
        action="append",
        metavar="DOMAIN=URL",
        help="where the service of another domain is, if not at https://DOMAIN; may be given several times",
    )
    parser.add_argument(
        "--max-body", type=int, metavar="OCTETS", help=f"of a request (default: {Limits.body})"
    )
    return parser


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if options.domain is not None:
        flags["domain"] = options.domain
    if options.database is not None:
        flags["database"] = options.database
    if options.port is not None:
        host = options.host or _HOST
        flags["listen"] = f"[{host}]:{options.port}" if ":" in host else f"{host}:{options.port}"
    elif options.host is not None:
        raise ConfigError("--host: it needs --port")
    if options.allow_origin is not None:
        flags["allowed_origins"] = options.allow_origin
    if options.peer is not None:
        flags["federation"] = {"peers": dict(_peer(text) for text in options.peer)}
    if options.max_body is not None:
        flags["limits"] = {"body": options.max_body}
    return flags


def _peer(text: str) -> tuple[str, str]:
    domain, equals, url = text.partition("=")
    if not equals:
        raise ConfigError(f"--peer {text}: write DOMAIN=URL")
    return domain, url


if __name__ == "__main__":
    sys.exit(main())
