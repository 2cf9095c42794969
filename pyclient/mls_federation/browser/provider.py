"""Which crypto provider the client runs on in a browser.

`js` and `pyodide` are imported when they are needed and not before: a memory snapshot of the interpreter cannot hold
references into JavaScript.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal, TypeAlias

from ..crypto import CryptoProvider
from ..errors import UsageError

CryptoChoice: TypeAlias = Literal["auto", "pyca", "webjs"]


def load_webjs_provider() -> CryptoProvider:
    """The provider on the primitives that the worker registered as the JavaScript module `mls_primitives`.

    Raises:
        UsageError: the worker has not registered them.
    """
    from pyodide.ffi import to_js  # noqa: PLC0415

    from ..crypto.webjs import WebJSProvider  # noqa: PLC0415

    try:
        primitives = importlib.import_module("mls_primitives")
    except ImportError:
        raise UsageError(
            "the worker must register the primitives first: "
            'pyodide.registerJsModule("mls_primitives", await loadPrimitives())',
            code="no-primitives",
        ) from None
    return WebJSProvider(primitives, to_js)


def choose_provider(choice: str) -> CryptoProvider:
    """The provider that the page asked for; it stays the same for as long as the worker lives.

    Args:
        choice: `auto` takes `pyca` where the wheel of `cryptography` was loaded, else `webjs`.

    Raises:
        UsageError: `choice` is none of the three, or `pyca` was asked for and is not there.
    """
    if choice not in ("auto", "pyca", "webjs"):
        raise UsageError(f"crypto must be 'auto', 'pyca' or 'webjs', not {choice!r}")
    if choice == "webjs" or (choice == "auto" and importlib.util.find_spec("cryptography") is None):
        return load_webjs_provider()
    if importlib.util.find_spec("cryptography") is None:
        raise UsageError(
            "crypto: 'pyca' needs the wheel of 'cryptography', which this page does not serve; use 'auto' or 'webjs'",
            code="no-cryptography",
        )
    from ..crypto.pyca import PycaProvider  # noqa: PLC0415

    return PycaProvider()
