"""Padding: how much a PrivateMessage is filled up, so that its size tells less of what is in it (§6.3.1, §15.1).

A policy is a function: from the octets of what is encrypted (content, signature and confirmation tag) to the octets of zeros
that are added. Handshake messages are padded like those of the application.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..errors import UsageError

Padding: TypeAlias = Callable[[int], int]

# Octets that `padme` fills up to, whatever is in a message: room for a few lines of text.
SMALLEST = 256
# Octets between two sizes that it gives, at most. Delivery services have limits, which padding is not to use up (§15.1).
LARGEST_STEP = 16 * 1024


def no_padding(_: int) -> int:
    """None: the size of a message is that of its content."""
    return 0


def padme(size: int) -> int:
    """Up to 256 octets, and from there as Padmé does: few sizes, and at most a sixteenth more.

    Padmé (Nikitin and others, PETS 2019) keeps of a size in binary only as many digits as it takes to write down their number.
    Above half a megabyte sizes are multiples of 16 KiB.
    """
    if size <= SMALLEST:
        return SMALLEST - size
    exponent = size.bit_length() - 1
    return -size % min(1 << (exponent - exponent.bit_length()), LARGEST_STEP)


def padding_to_multiples(octets: int) -> Padding:
    """Up to the next multiple of `octets`.

    Raises:
        UsageError: it is not positive.
    """
    if octets < 1:
        raise UsageError("padding goes to multiples of a positive number")
    return lambda size: -size % octets


def fixed_padding(octets: int) -> Padding:
    """The same for every message, whose size it does not hide alone: for tests, and for applications that compute their own.

    Raises:
        UsageError: it is negative.
    """
    if octets < 0:
        raise UsageError("padding cannot be negative")
    return lambda _: octets


DEFAULT_PADDING: Padding = padme
