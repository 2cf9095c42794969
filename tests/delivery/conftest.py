"""A service for each test, with a clock that stands still."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mls_federation.crypto import CryptoProvider
from tests.delivery.support import Clock, Running, running_service, wait_for_end


@pytest.fixture
def clock() -> Clock:
    """The service's clock."""
    return Clock()


@pytest.fixture(scope="session")
def ending() -> Iterator[list[threading.Thread]]:
    """Services that end while other tests run already: ending takes longer than most tests."""
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        wait_for_end(thread)


@pytest.fixture
def service(
    provider: CryptoProvider, tmp_path: Path, clock: Clock, ending: list[threading.Thread]
) -> Iterator[Running]:
    """The delivery service of b.example."""
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock, ending=ending) as running:
        yield running
