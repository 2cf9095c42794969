"""A service for each test, with a clock that stands still."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mls_delivery.store import open_store
from mls_federation.crypto import CryptoProvider
from tests.delivery.support import Clock, Running, running_service, sqlite_url, wait_for_end
from tests.support.postgres import Server, server_or_skip

# What these test comes before the store, so that one database shows it.
_ON_SQLITE_ALONE = ("test_http", "test_ordering_attacks", "test_protocol_doc")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that has a database, of its own or its service's, on both kinds."""
    if "database_url" in metafunc.fixturenames:
        alone = metafunc.module.__name__.rpartition(".")[2] in _ON_SQLITE_ALONE
        kinds = ["sqlite"] if alone else ["sqlite", "postgresql"]
        metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgres(ending: list[threading.Thread]) -> Iterator[Server]:
    """A PostgreSQL server, which ends after the services that use it."""
    with server_or_skip() as server:
        yield server
        for thread in ending:
            wait_for_end(thread)


@pytest.fixture(scope="session")
def postgres_template(postgres: Server) -> str:
    """A database with the store's tables, of which copies are made faster than it is itself."""
    name = postgres.fresh()
    asyncio.run(open_store(postgres.url(name)).close())
    return name


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database for one test."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "b.sqlite3")
        return
    server: Server = request.getfixturevalue("postgres")
    with server.lent(request.getfixturevalue("postgres_template")) as name:
        yield server.url(name)


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
    provider: CryptoProvider, database_url: str, clock: Clock, ending: list[threading.Thread]
) -> Iterator[Running]:
    """The delivery service of b.example."""
    with running_service(provider, database_url, clock=clock, ending=ending) as running:
        yield running
