"""What every test shares. The unit and vector tests run on CPython and once more inside Pyodide, in a browser."""

import sys

import pytest
from hypothesis import settings

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto

IN_BROWSER = sys.platform == "emscripten"

if not IN_BROWSER:
    # A shared machine is slow now and then, which is no fault of the code under test.
    settings.register_profile("cpython", deadline=None)
    settings.load_profile("cpython")


@pytest.fixture(scope="session")
def provider() -> CryptoProvider:
    """The provider that the platform has: `pyca` on CPython, `webjs` in a browser."""
    if IN_BROWSER:
        from mls_federation.browser.provider import load_webjs_provider

        return load_webjs_provider()
    from mls_federation.crypto.pyca import PycaProvider

    return PycaProvider()


@pytest.fixture(scope="session")
def suite_1(provider: CryptoProvider) -> Crypto:
    """The cipher suite that every implementation must have (§17.1), where a test needs any one."""
    return crypto(provider, CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519)
