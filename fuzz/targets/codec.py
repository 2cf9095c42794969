"""Decoding of every struct (§2.1)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from mls_federation.codec import Struct
from mls_federation.codec.generator import ImplicitSpec, SelectSpec
from mls_federation.errors import DecodeError
from mls_federation.vectors.messages import rebuilt
from tests.support.strategies import all_structs

from ..mutation import Pool, made
from ..octets import Octets
from ..scenes import scenes
from ..target import Finding, Target


def run(data: bytes) -> None:
    """Two octets choose the struct, one its implicit fields; the rest is decoded."""
    source = Octets(data)
    struct = source.choice(_structs())
    told = _told(source, struct)
    encoded = source.rest()
    try:
        value = struct.decode(encoded, **told)
    except DecodeError as error:
        if not 0 <= error.offset <= len(encoded):
            raise Finding(f"an offset of {error.offset} in {len(encoded)} octets") from error
        return
    # `rebuilt` has no octets kept from decoding, so it encodes field by field.
    if value.encode() != encoded or rebuilt(value).encode() != encoded:
        raise Finding(f"two encodings of one {struct.__name__}")
    if rebuilt(value) != value or not repr(value):
        raise Finding(f"a {struct.__name__} is not equal to itself")


def _seeds() -> Iterable[bytes]:
    """An encoding of each struct, real if there is one."""
    pool = Pool()
    for scene in scenes():
        for values in scene.pool.structs.values():
            pool.structs.setdefault(type(values[0]), []).extend(values[:20])
    for place, struct in enumerate(_structs()):
        chosen = place.to_bytes(max(1, ((len(_structs()) - 1).bit_length() + 7) // 8), "big")
        for real in pool.structs.get(struct, [])[:8]:
            if not _implicit(struct):
                yield chosen + real.encode()
        for variant in range(4):
            value = made(Octets(bytes([variant]) * 200), struct, Pool())
            if not _implicit(struct):
                yield chosen + value.encode()
            else:
                yield chosen + bytes([variant]) + bytes(40)


@functools.cache
def _structs() -> list[type[Struct]]:
    return all_structs()


def _implicit(struct: type[Struct]) -> list[str]:
    return [name for name, spec in struct._specs.items() if isinstance(spec, ImplicitSpec)]


def _told(source: Octets, struct: type[Struct]) -> dict[str, Any]:
    """Values of the implicit fields; selects say which there can be."""
    told = {}
    for name in _implicit(struct):
        arms = next(
            spec.arms for spec in struct._specs.values() if isinstance(spec, SelectSpec) and spec.on == name
        )
        told[name] = source.choice(list(arms))
    return told


TARGET = Target("codec", "octets, decoded as any struct", run, _seeds, weight=3)
