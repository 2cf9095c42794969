"""A Node process with ts-mls, and members that run it or our engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import environment
from dev.steps import SetupError
from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from tests.interop.clients import Clients
from tests.interop.ts_mls import TsMls


@pytest.fixture(scope="session")
def node() -> Path:
    """Node, with the packages of `tests/interop/package-lock.json` beside the peer."""
    try:
        return environment.prepare(development=True).node.program
    except SetupError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def ts_mls(node: Path) -> Iterator[TsMls]:
    """The process in which all members that run ts-mls live."""
    process = TsMls(node)
    yield process
    process.close()


@pytest.fixture(params=(1, 2, 3, 7), ids=lambda number: f"suite_{number}")
def clients(request: pytest.FixtureRequest, provider: CryptoProvider, ts_mls: TsMls) -> Clients:
    """Makes clients of each cipher suite in turn, of those that are not slow."""
    return Clients(crypto(provider, CipherSuite(request.param)), ts_mls)


@pytest.fixture(params=(4, 5, 6), ids=lambda number: f"suite_{number}")
def slow_clients(request: pytest.FixtureRequest, provider: CryptoProvider, ts_mls: TsMls) -> Clients:
    """Makes clients of the cipher suites that are left."""
    return Clients(crypto(provider, CipherSuite(request.param)), ts_mls)


@pytest.fixture
def suite_1_clients(suite_1: Crypto, ts_mls: TsMls) -> Clients:
    """Makes clients, where one cipher suite shows as much as all."""
    return Clients(suite_1, ts_mls)
