"""Which branch wins where members order commits themselves, and how a newcomer tells (docs/protocol.md).

Two members may commit in one epoch. Of the commits of one epoch that with the smallest confirmed transcript hash wins, so all
who know the same commits are in the same epoch. A newcomer knows none that came before; the Welcome tells it by which
epochs the group has come to where it is, so that it can choose between two Welcomes as the members have chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..codec import Struct, Vec, opaque, uint64
from ..errors import ValidationError
from ..mls.extensions import Extension, ExtensionType, find_extension

# From the range for private use (RFC 9420 §17.3); it stands in the GroupInfo of a Welcome.
GROUP_HISTORY = ExtensionType(0xF4D3)


class EpochHash(Struct):
    """What names an epoch among all that have its number."""

    epoch: uint64
    confirmed_transcript_hash: opaque


class GroupHistory(Struct):
    """The extension's data: the latest epochs of the group before the one that the Welcome leads to, in order."""

    epochs: Vec[EpochHash]


def history_extension(history: Mapping[int, bytes]) -> Extension:
    """The extension that tells of these epochs."""
    epochs = tuple(
        EpochHash(epoch=epoch, confirmed_transcript_hash=history[epoch]) for epoch in sorted(history)
    )
    return Extension(extension_type=GROUP_HISTORY, extension_data=GroupHistory(epochs=epochs).encode())


def history_of(
    extensions: Sequence[Extension], epoch: int, confirmed_transcript_hash: bytes
) -> dict[int, bytes]:
    """The history among a GroupInfo's extensions, and its own epoch.

    Args:
        epoch: the GroupInfo's.
        confirmed_transcript_hash: likewise.

    Raises:
        ValidationError: code `bad-history`: it does not lead to the epoch, or has gaps.
        DecodeError: it is malformed.
    """
    data = find_extension(extensions, GROUP_HISTORY)
    history = {}
    if data is not None:
        epochs = GroupHistory.decode(data).epochs
        history = {item.epoch: item.confirmed_transcript_hash for item in epochs}
        if [item.epoch for item in epochs] != list(range(epoch - len(epochs), epoch)):
            raise ValidationError("a group's history does not lead to where the group is", code="bad-history")
    return {**history, epoch: confirmed_transcript_hash}


def parting(ours: Mapping[int, bytes], theirs: Mapping[int, bytes]) -> int | None:
    """The last epoch that two histories have in common before they part; None if they do not tell."""
    last = None
    for epoch in sorted(ours.keys() & theirs.keys()):
        if ours[epoch] != theirs[epoch]:
            break
        last = epoch
    return last


def wins(theirs: Mapping[int, bytes], ours: Mapping[int, bytes]) -> bool:
    """Whether a history is of a branch that wins over ours, or of ours further on."""
    for epoch in sorted(ours.keys() & theirs.keys()):
        if ours[epoch] != theirs[epoch]:
            return theirs[epoch] < ours[epoch]
    return max(theirs) > max(ours)
