"""`python -m mls_delivery`: run the delivery service of one domain."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import uvicorn

from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation.binding import is_domain

from .app import application
from .context import DeliveryService, delivery_service
from .service import Limits
from .store import StoreError, open_store

_SHUTDOWN_SECONDS = 2
# A hello or an acknowledgement is much smaller.
_MAX_CLIENT_FRAME = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    options = _parser().parse_args(arguments)
    # The database has the service's signing key in it.
    os.umask(0o077)
    try:
        service = asyncio.run(_service(options))
    except StoreError as fault:
        print(f"mls_delivery: {fault}", file=sys.stderr)
        return 1
    _set_up_logging()
    logging.getLogger("mls_delivery").info("delivery service of %s", options.domain)
    # After shutting down, the server raises the signal again, for whoever handles it next: us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(
            application(service),
            host=options.host,
            port=options.port,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=_MAX_CLIENT_FRAME,
            ws_per_message_deflate=False,  # ciphertext does not shrink
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    return 0


async def _service(options: argparse.Namespace) -> DeliveryService:
    return await delivery_service(
        domain=options.domain,
        provider=PycaProvider(),
        store=open_store(options.database),
        clock=lambda: int(time.time()),
        allowed_origins=tuple(options.allow_origin),
        limits=Limits(body=options.max_body),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mls_delivery", description="The delivery service of one domain."
    )
    parser.add_argument(
        "--domain", required=True, type=_domain, help="whose identities it serves: name@DOMAIN"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", required=True, type=int, help="the port to listen on")
    parser.add_argument(
        "--database", required=True, metavar="URL", help="such as sqlite:///folder/file.sqlite3"
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        type=_origin,
        metavar="ORIGIN",
        help="an origin whose web pages may use the service; may be given several times",
    )
    parser.add_argument(
        "--max-body",
        type=int,
        default=Limits.body,
        metavar="OCTETS",
        help="of a request (default: %(default)s)",
    )
    return parser


def _domain(text: str) -> str:
    if not is_domain(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a domain name in lower case")
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or text != f"{parts.scheme}://{parts.netloc}"
    ):
        raise argparse.ArgumentTypeError(f"{text!r} is no origin; one looks like https://chat.example")
    return text


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Who talks to the service, and when, is nobody's business but theirs.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket" not in str(record.msg))


if __name__ == "__main__":
    sys.exit(main())
