"""What is in an interpreter before it answers requests: as it starts, and as it comes back from a memory snapshot.

A snapshot is an interpreter with everything imported, kept by the visitor's browser (docs/startup.md). No key may have been made in it,
and nothing drawn at random: each visit would have the same.
"""

from __future__ import annotations

import importlib
import random

# What the worker calls, and what that imports only when it is chosen.
_MODULES = ("mls_federation.browser.bridge", "mls_federation.crypto.webjs")
# What is imported only by calls that few make. When a snapshot is in use, the archives with the modules come after the start.
_SELDOM_USED = ("mls_federation.inspection", "mls_federation.vectors")


def import_all() -> None:
    """Import all modules that a client on the provider `webjs` needs."""
    for name in _MODULES:
        importlib.import_module(name)


def prepare_snapshot() -> None:
    """Do everything that is the same on every visit."""
    import_all()
    for name in _SELDOM_USED:
        importlib.import_module(name)
    from ..codec import generate_codecs  # noqa: PLC0415 - the modules whose structs it is about come first

    generate_codecs()


def resume() -> None:
    """Renew what a snapshot would repeat. `os.urandom` and `secrets` keep nothing, but `random` was seeded when it was imported."""
    random.seed()
