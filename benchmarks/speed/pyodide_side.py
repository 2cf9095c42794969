"""Our side inside Pyodide, on the provider that a page has."""

import time

from mls_federation.browser.provider import load_webjs_provider

from .ours import OurSide


def side() -> OurSide:
    """What answers the requests."""
    # Pyodide's clock is the browser's `performance.now()`.
    return OurSide(load_webjs_provider(), time.perf_counter)
