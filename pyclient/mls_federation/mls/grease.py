"""GREASE (§13.5): values without meaning in what we send, so that nobody comes to rely on seeing only those that they know.

They are put where a receiver must ignore what it does not know, and nowhere else: not into the GroupContext, nor into anything
that members compare. What we receive is never looked at for them: they are unknown values like any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from ..codec import OpenEnum16, replace
from ..crypto import CipherSuite, Crypto
from .credentials import CredentialType
from .extensions import Extension, ExtensionType, ProposalType
from .nodes import Capabilities

# 0x0A0A, 0x1A1A … 0xEAEA, the same in every registry.
GREASE_VALUES = tuple(0x0A0A + 0x1010 * number for number in range(15))
# Octets of data in an extension, at most.
_MAX_DATA = 15

E = TypeVar("E", bound=OpenEnum16)
T = TypeVar("T")


def grease_leaf(
    crypto: Crypto, capabilities: Capabilities, extensions: Sequence[Extension]
) -> tuple[Capabilities, tuple[Extension, ...]]:
    """Capabilities and extensions of a new leaf, with one value more in each list of the former but the versions.

    The extension that is added is of the type that is added to `capabilities.extensions`, as §7.3 wants it.
    """
    octets = iter(crypto.random(8))
    greased = replace(
        capabilities,
        cipher_suites=_with_value(CipherSuite, capabilities.cipher_suites, octets),
        extensions=_with_value(ExtensionType, capabilities.extensions, octets),
        proposals=_with_value(ProposalType, capabilities.proposals, octets),
        credentials=_with_value(CredentialType, capabilities.credentials, octets),
    )
    added = [kind for kind in greased.extensions if kind not in capabilities.extensions]
    return greased, _with_extension(crypto, extensions, added)


def grease_extensions(crypto: Crypto, extensions: Sequence[Extension]) -> tuple[Extension, ...]:
    """The extensions of a KeyPackage or GroupInfo with one more, somewhere among the others."""
    return _with_extension(crypto, extensions, GREASE_VALUES)


def _with_extension(
    crypto: Crypto, extensions: Sequence[Extension], types: Sequence[int]
) -> tuple[Extension, ...]:
    """`extensions` with one more of one of `types`, as far as they are free, and with data of any size."""
    kind, place, length, *data = crypto.random(3 + _MAX_DATA)
    present = {extension.extension_type for extension in extensions}
    unused = [value for value in types if value not in present]
    if not unused:
        return tuple(extensions)
    added = Extension(
        extension_type=ExtensionType(unused[kind % len(unused)]),
        extension_data=bytes(data[: length % (_MAX_DATA + 1)]),
    )
    return _inserted(extensions, added, place)


def _with_value(registry: type[E], values: Sequence[E], octets: Iterator[int]) -> tuple[E, ...]:
    """`values` with one more that is not among them."""
    kind, place = next(octets), next(octets)
    unused = [value for value in GREASE_VALUES if value not in values]
    if not unused:
        return tuple(values)
    return _inserted(values, registry(unused[kind % len(unused)]), place)


def _inserted(values: Sequence[T], value: T, place: int) -> tuple[T, ...]:
    at = place % (len(values) + 1)
    return (*values[:at], value, *values[at:])
