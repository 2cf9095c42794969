"""`web/src/protocol.d.ts`, the page's side of the RPC, against `browser/bridge.py`, the worker's."""

import inspect
import re
import typing
from pathlib import Path

import pytest

from mls_federation.browser.bridge import HANDLERS, to_camel_case
from mls_federation.browser.events import EVENTS

pytestmark = pytest.mark.cpython_only  # it reads a source file that no browser gets

_PROTOCOL = Path(__file__).parents[3] / "web" / "src" / "protocol.d.ts"
_TYPES = {"string": str, "number": int, "Uint8Array": bytes}


def _interface(name: str) -> str:
    found = re.search(rf"export interface {name} \{{\n(.*?)\n\}}", _PROTOCOL.read_text(), re.DOTALL)
    assert found is not None, f"no interface {name} in {_PROTOCOL.name}"
    return re.sub(r"/\*\*.*?\*/", "", found[1], flags=re.DOTALL)


def _members(body: str) -> dict[str, tuple[str, bool]]:
    """Type of each member of an object type, and whether it may be left out."""
    return {
        name: (kind.strip(), optional == "?")
        for name, optional, kind in re.findall(r"(\w+)(\??):\s*([^;]+);?", body)
    }


def _listed_requests() -> dict[str, dict[str, tuple[object, bool]]]:
    found = re.findall(r"(\w+): \{\s*params: \{([^}]*)\};\s*result: [^;]+;?\s*\};", _interface("Requests"))
    return {
        method: {name: (_TYPES[kind], optional) for name, (kind, optional) in _members(params).items()}
        for method, params in found
    }


def _answered_requests() -> dict[str, dict[str, tuple[object, bool]]]:
    answered = {}
    for method, handler in HANDLERS.items():
        hints = typing.get_type_hints(handler)
        parameters = {}
        for name, parameter in inspect.signature(handler).parameters.items():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            kinds = [
                kind for kind in typing.get_args(hints[name]) or (hints[name],) if kind is not type(None)
            ]
            assert len(kinds) == 1, f"{method} takes {name} in several types"
            parameters[to_camel_case(name)] = (kinds[0], parameter.default is None)
        answered[method] = parameters
    return answered


def test_every_listed_request_is_answered_with_the_same_parameters() -> None:
    listed = _listed_requests()

    assert listed == _answered_requests()
    assert len(listed) >= 12


def test_every_listed_event_is_emitted_with_the_same_members() -> None:
    listed = {
        name: {member: optional for member, (_, optional) in _members(detail).items()}
        for name, detail in re.findall(r"(\w+): \{([^}]*)\};", _interface("Events"))
    }
    emitted = {
        name: {
            to_camel_case(member): member in vars(detail)["__optional_keys__"]
            for member in typing.get_type_hints(detail)
        }
        for name, detail in EVENTS.items()
    }

    assert listed == emitted
