"""Three delivery services for the participants that are no browsers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.services import Addresses, services_running


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Of the delivery services of a.example, b.example and c.example, which are processes of their own."""
    with services_running(tmp_path_factory.mktemp("services")) as services:
        yield Addresses({domain: service.url for domain, service in services.items()})
