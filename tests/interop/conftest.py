"""ts-mls, in a Node process or in the page around Pyodide, and members that run it or our engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from tests.conftest import IN_BROWSER
from tests.interop.clients import Clients
from tests.interop.ts_mls import TsMls


@pytest.fixture(scope="session")
def ts_mls() -> Iterator[TsMls]:
    """Where all members that run ts-mls live."""
    if IN_BROWSER:
        from tests.interop.page_peer import PagePeer

        yield TsMls(PagePeer())
        return

    from tests.interop.node_peer import NodePeer

    process = NodePeer(_node())
    yield TsMls(process)
    process.close()


def _node() -> Path:
    """Node, with the packages of `tests/interop/package-lock.json` beside the peer."""
    from dev import environment
    from dev.steps import SetupError

    try:
        return environment.prepare(development=True).node.program
    except SetupError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


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
