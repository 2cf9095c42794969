"""A service for each test, with a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mls_federation.crypto import CryptoProvider
from tests.delivery.support import Clock, Running, running_service


@pytest.fixture
def clock() -> Clock:
    """The service's clock."""
    return Clock()


@pytest.fixture
def service(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> Iterator[Running]:
    """The delivery service of b.example."""
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock, wait=False) as running:
        yield running
