"""What a target is, and what is a finding whatever the target."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from mls_federation.errors import MLSError, RemoteError
from mls_federation.mls import Group, decode_group, encode_group
from mls_federation.mls.tree_hashes import tree_hash

P = ParamSpec("P")
T = TypeVar("T")

# What an input of a few kB may cost at most. Coverage makes everything several times as slow as it is.
MAX_SECONDS = 1.0
MAX_OCTETS_MORE = 200 << 20


class Finding(Exception):
    """Something that must not be so. Every exception that a target lets out is a finding; this one says what it is."""


@dataclass(frozen=True)
class Target:
    """One way into the engine.

    Attributes:
        name: for the command line.
        about: what goes in there.
        run: takes any octets; whatever it raises is a finding.
        seeds: inputs to begin with.
        weight: its part of the time when all targets run.
    """

    name: str
    about: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    weight: int = 1


def run_within_bounds(target: Target, data: bytes, slower: float = 1.0) -> None:
    """Run a target, and see what it costs.

    Args:
        slower: how many times as slow as usual everything is.
    """
    began, held = time.process_time(), _most_octets_held()
    target.run(data)
    seconds, more = time.process_time() - began, _most_octets_held() - held
    if seconds > MAX_SECONDS * slower:
        raise Finding(f"{len(data)} octets took {seconds:.1f} s")
    if more > MAX_OCTETS_MORE:
        raise Finding(f"{len(data)} octets took {more >> 20} MB")


def refused(action: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | RemoteError:
    """What comes of an action on hostile input: a result, or the error for remote faults. Anything else is let out."""
    try:
        return action(*arguments, **named)
    except RemoteError as error:
        _check_error(error)
        return error


def check_unchanged(group: Group, before: bytes) -> None:
    """A state is as it was."""
    if encode_group(group) != before:
        raise Finding("a message changed the state that it was given to")


def check_state(group: Group) -> None:
    """A new state can be stored, and what was stored is that state."""
    stored = encode_group(group)
    loaded = decode_group(group.crypto.provider, stored)
    if encode_group(loaded) != stored:
        raise Finding("a state is another one after it was stored")
    if tree_hash(group.crypto, loaded.tree) != group.context.tree_hash:
        raise Finding("the tree is not the one whose hash is in the context")
    kept, counted = group.tree.index, loaded.tree.index
    if any(getattr(kept, name) != getattr(counted, name) for name in kept.__slots__):
        raise Finding("the index of a tree is not in step with it")
    if group.tree.copy().leftmost_blank_leaf() != loaded.tree.copy().leftmost_blank_leaf():
        raise Finding("a tree has lost its leftmost blank leaf")


def _check_error(error: MLSError) -> None:
    if not error.code or not error.message:
        raise Finding(f"an error without code or message: {error!r}")


def _most_octets_held() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
