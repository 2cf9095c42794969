"""The project's negative vectors: each is refused, with the error that it names and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mls_federation import vectors
from mls_federation.codec import Struct
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import DecodeError
from tests.support.own_vectors import FOLDER
from tests.support.strategies import all_structs

Item = dict[str, Any]

FILES: dict[str, list[Item]] = {
    file.stem: json.loads(file.read_text()) for file in sorted((FOLDER / "negative").iterdir())
}
ITEMS = [pytest.param(item, id=f"{name}: {item['what']}") for name, items in FILES.items() for item in items]
STRUCTS: dict[str, type[Struct]] = {
    struct.__name__: struct for struct in all_structs() if struct.__module__.startswith("mls_federation.mls.")
}


@pytest.mark.parametrize("item", ITEMS)
def test_refused(provider: CryptoProvider, item: Item) -> None:
    if "struct" in item:
        refuse_octets(item)
    else:
        refuse_entry(provider, item)


@pytest.mark.cpython_only  # they are made with the other provider
def test_what_is_made_is_what_is_there(provider: CryptoProvider) -> None:
    from tests.support.negative_vectors import make

    made = make()
    assert made["encodings"] == FILES["encodings"]
    assert {name: described(items) for name, items in made.items()} == {
        name: described(items) for name, items in FILES.items()
    }
    for items in made.values():
        for item in items:
            test_refused(provider, item)


def described(items: list[Item]) -> list[tuple[str, str]]:
    """What is wrong with each, and its error."""
    return [(item["what"], item["expect"]) for item in items]


def refuse_octets(item: Item) -> None:
    struct = STRUCTS[item["struct"]]
    valid = bytes.fromhex(item["valid"])
    assert struct.decode(valid).encode() == valid
    with pytest.raises(DecodeError) as caught:
        struct.decode(bytes.fromhex(item["data"]))
    error = caught.value
    assert (error.code, f"{error.struct}.{error.field}") == (item["expect"], item["at"])


def refuse_entry(provider: CryptoProvider, item: Item) -> None:
    result = vectors.verify_entries(provider, [item["entry"]])
    assert result.family == item["family"]
    assert [failure.error.code for failure in result.failures] == [item["expect"]]
