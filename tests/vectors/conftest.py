"""Each official vector file is checked once for each cipher suite, so that a report names the suite."""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider


@pytest.fixture(params=list(CipherSuite), ids=[suite.name for suite in CipherSuite])
def cipher_suite(request: pytest.FixtureRequest, provider: CryptoProvider) -> CipherSuite:
    """Each registered cipher suite. Both providers must have all seven on the platforms that we test."""
    suite: CipherSuite = request.param
    assert provider.supports(suite), f"{provider.name} lacks {suite.name}"
    return suite
