"""Test vectors of RFC 9420 in the working group's format: verified, whoever made them, and made anew.

Each family is a module with a `FAMILY`. What family a file is of shows in its entries' keys, not in its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..crypto import CipherSuite, CryptoProvider
from ..errors import MLSError, UsageError
from . import (
    crypto_basics,
    deserialization,
    key_schedule,
    message_protection,
    messages,
    passive_client,
    psk_secret,
    secret_tree,
    transcript_hashes,
    tree_math,
    tree_operations,
    tree_validation,
    treekem,
    welcome,
)
from .entry import Entry, Family, Vector, VectorFormatError, VectorMismatch

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (
        tree_math,
        crypto_basics,
        deserialization,
        messages,
        tree_operations,
        tree_validation,
        treekem,
        secret_tree,
        message_protection,
        key_schedule,
        psk_secret,
        transcript_hashes,
        welcome,
        passive_client,
    )
}

_MAX_DEPTH = 32
# A string that does not end takes all that is left: were it passed over, its every quotation mark would be tried anew.
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[][{}]")


@dataclass(frozen=True)
class Failure:
    """An entry that is not right.

    Attributes:
        entry: its place in the file, from 0.
        error: a VectorMismatch, or what the engine refused it with.
    """

    entry: int
    error: MLSError


@dataclass(frozen=True)
class Result:
    """What came of verifying a file.

    Attributes:
        family: name of the family.
        passed: entries that are right.
        failed: entries that are not.
        skipped: entries of cipher suites that the provider lacks.
        failures: one for each that failed, in their order.
    """

    family: str
    passed: int
    failed: int
    skipped: int
    failures: tuple[Failure, ...]


def verify_file(provider: CryptoProvider, data: bytes | str) -> Result:
    """Verify every entry of a vector file.

    Args:
        data: the file's content, JSON.

    Raises:
        VectorFormatError: it is no vector file.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        _check_depth(text)
        entries = json.loads(text)
    except ValueError as error:
        raise VectorFormatError(f"this is not JSON: {error}") from None
    return verify_entries(provider, entries)


def verify_entries(provider: CryptoProvider, entries: Any) -> Result:
    """Verify the entries of a vector file, as JSON has them.

    Raises:
        VectorFormatError: they are no vectors.
    """
    family = recognise(entries)
    passed = skipped = 0
    failures = []
    for number, fields in enumerate(entries):
        entry = Entry(fields)
        try:
            if family.by_suite and not _has_suite(provider, entry):
                skipped += 1
                continue
            family.verify(provider, entry)
            passed += 1
        except MLSError as error:
            failures.append(Failure(number, error))
    return Result(family.name, passed, len(failures), skipped, tuple(failures))


def recognise(entries: Any) -> Family:
    """The family that all of a file's entries are of.

    Raises:
        VectorFormatError: there is none.
    """
    if not isinstance(entries, list) or not entries:
        raise VectorFormatError("a vector file is a JSON array of objects, and not empty")
    for family in FAMILIES.values():
        if all(isinstance(fields, dict) and family.keys <= fields.keys() for fields in entries):
            return family
    raise VectorFormatError("the entries' keys are not those of any family of test vectors")


def generate_file(
    provider: CryptoProvider, family: str, cipher_suites: Sequence[CipherSuite]
) -> list[Vector]:
    """New entries of a family, with every parameter and cipher suite, as `verify_entries` takes them.

    Args:
        cipher_suites: the suites wanted. A family whose entries are of no suite takes the first for what it needs.

    Raises:
        UsageError: there is no such family, or no suite that `provider` has.
    """
    found = FAMILIES.get(family)
    if found is None:
        raise UsageError(f"{family} is no family of test vectors; there are {', '.join(FAMILIES)}")
    missing = [f"0x{suite:04x}" for suite in cipher_suites if not provider.supports(suite)]
    if missing or not cipher_suites:
        raise UsageError(f"{provider.name} lacks cipher suite {', '.join(missing) or 'of any kind'}")
    wanted: Iterable[CipherSuite] = cipher_suites if found.by_suite else cipher_suites[:1]
    return [found.generate(provider, suite, parameter) for suite in wanted for parameter in found.parameters]


def _check_depth(text: str) -> None:
    """Refuse what is nested deeper than any vector.

    The JSON decoder calls itself for each level, and in a browser's WebAssembly that ends the interpreter.
    """
    depth = 0
    for sign in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if sign in "[{" else -1
        if depth > _MAX_DEPTH:
            raise VectorFormatError(f"this is nested deeper than {_MAX_DEPTH} levels")


def _has_suite(provider: CryptoProvider, entry: Entry) -> bool:
    return provider.supports(CipherSuite(entry.number("cipher_suite", size=2)))


__all__ = [
    "FAMILIES",
    "Failure",
    "Family",
    "Result",
    "Vector",
    "VectorFormatError",
    "VectorMismatch",
    "generate_file",
    "recognise",
    "verify_entries",
    "verify_file",
]
