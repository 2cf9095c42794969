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
# Which rules of tests/spec/rules.toml they show, by what is wrong.
RULES = {
    "a length in two octets where one does": ("2.1.2-02",),
    "a length in four octets where one does": ("2.1.2-02",),
    "a length in four octets where two do": ("2.1.2-02",),
    "an empty vector with a length of two octets": ("2.1.2-02",),
    "a length that begins with the bits 11": ("2.1.2-03",),
    "octets after the end": ("2.1-01",),
    "octets after the end of a message": ("2.1-01",),
    "an optional value whose flag is 2": ("2.1.1-01",),
    "an optional node whose flag is 255": ("2.1.1-01",),
    "an optional secret whose flag is 2": ("2.1.1-01",),
    "a psktype of 0": ("2.1-01",),
    "a sender_type of 5": ("2.1-01",),
    "an unknown proposal type": ("12.2-13",),
    "the path's leaf is not signed": ("7.3-01", "12.4.2-03"),
    "the path's leaf is signed for another group": ("7.2-07",),
    "the path's leaf is signed for another place": ("7.2-07",),
    "the path's leaf has the key that it had before": ("12.4.2-04",),
    "the path's leaf has another member's encryption key": ("12.4.2-05",),
    "the path's leaf has another member's signature key": ("7.3-12",),
    "the path's leaf has a parent hash that does not chain": ("7.9.2-02",),
    "the path's leaf has an extension that it does not list": ("7.2-03",),
    "the path's leaf is one of an Update": ("7.3-11",),
    "the path lacks a node": ("7.5-05",),
    "the confirmation tag is wrong": ("12.4.2-06",),
    "a Remove is committed without a path": ("12.4-04",),
    "a proposal is committed that nobody sent": ("12.4-03",),
    "the committer removes itself": ("12.2-03",),
    "the committer commits its own Update": ("12.2-02",),
    "somebody is added who is there": ("12.2-07",),
    "a KeyPackage has one key for two uses": ("10.1-04",),
    "the leaf of a KeyPackage is not signed": ("7.3-01", "10.1-02"),
    "a commit comes a second time": ("12.4.2-10",),
    "application data is not encrypted": ("6-02",),
    "a private message comes a second time": ("9.1-02",),
    "a generation is more than the bound ahead": ("15.3-01",),
    "the padding is not all zeros": ("6.3.1-02",),
    "a message is signed by another member than its sender": ("6.1-01", "6.3.1-05"),
    "the membership tag is wrong": ("6.2-02",),
    "a leaf's parent hash does not chain": ("7.9.2-01",),
    "a leaf is not signed": ("7.3-01",),
    "a leaf is signed for another group": ("7.2-07",),
    "a blank leaf is said to be unmerged": ("12.4.3.1-09",),
    "the tree ends with a blank node": ("12.4.3.3-02",),
    "a leaf stands in a parent's place": ("12.4.3.3-03",),
    "no secrets are for our KeyPackage, by its reference": ("12.4.3.1-01",),
    "the GroupInfo is not the one that was sealed": ("12.4.3.1-02",),
    "the Welcome is of another cipher suite": ("12.4.3.1-01",),
    "the GroupInfo is signed by somebody else": ("12.4.3-04",),
    "the exporter's context is not hashed": ("8.5-01",),
}
ITEMS = [
    pytest.param(item, id=f"{name}: {item['what']}", marks=pytest.mark.rule(*RULES.get(item["what"], ())))
    for name, items in FILES.items()
    for item in items
]
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


def test_the_rules_are_of_items_that_are_there() -> None:
    assert {item["what"] for items in FILES.values() for item in items} >= RULES.keys()


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
