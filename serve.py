#!/usr/bin/env python3
"""Set everything up, then run three delivery services and the page, and open it: `python3 serve.py`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one must get an answer, not a syntax error
    sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")

import argparse
import time
import webbrowser
from pathlib import Path

from dev import environment, federation
from dev.steps import BUILD, BusyError, SetupError, locked

_WEB_PORT = 8000
_FIRST_SERVICE_PORT = 8101
_WATCH_SECONDS = 0.2


def main() -> int:
    """Run until Ctrl-C; non-zero if the set-up failed or a process died."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=_WEB_PORT, help="port of the page (default: %(default)s)")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.add_argument("--fresh", action="store_true", help="begin with empty databases")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin use the delivery services too; may be given several times",
    )
    parser.add_argument(
        "--pyodide",
        type=Path,
        metavar="DIR",
        help="serve this Pyodide distribution, such as a full one, with whose wheel of 'cryptography' the client is faster",
    )
    options = parser.parse_args()

    try:
        ready = environment.prepare(development=False, pyodide=options.pyodide)
    except SetupError as error:
        print(f"The set-up failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130

    # A second federation beside the first needs another port and gets databases of its own.
    run_folder = BUILD / ("run" if options.port == _WEB_PORT else f"run-{options.port}")
    try:
        with locked(run_folder / ".lock", wait=False), federation.end_requests() as end_request:
            return _serve(ready, run_folder, options, end_request)
    except BusyError:
        print(
            "serve.py is running from this folder already. End it first, or give this one a port: --port 9000",
            file=sys.stderr,
        )
    except federation.FederationError as error:
        print(error, file=sys.stderr)
    return 1


def _serve(
    ready: environment.Environment,
    run_folder: Path,
    options: argparse.Namespace,
    end_request: federation.EndRequest,
) -> int:
    if options.fresh:
        for database in run_folder.glob("*.sqlite3*"):
            database.unlink()
    with federation.running(
        ready.python,
        ready.web_root,
        run_folder,
        web_port=options.port,
        first_service_port=_FIRST_SERVICE_PORT,
        origins=options.allow_origin,
        end_request=end_request,
    ) as running:
        _introduce(running, wanted_port=options.port)
        if not options.no_open:
            webbrowser.open(running.url)
        while not end_request.made:
            running.check_alive()
            time.sleep(_WATCH_SECONDS)
        print("\nEnding.", flush=True)
    return 0


def _introduce(running: federation.Federation, *, wanted_port: int) -> None:
    if not running.url.endswith(f":{wanted_port}"):
        print(f"Port {wanted_port} is in use; the page has the next free one.")
    for service in running.services.values():
        print(f"  delivery service {service.domain}: {service.url}")
    print(f"\n  The page: {running.url}/\n\nOpen it in two tabs. Ctrl-C ends everything.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
