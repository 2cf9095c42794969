"""The keys for media from epoch to epoch: those of the present one, and for a while those of earlier ones.

Frames and the news that an epoch has begun go different ways, so some frames of an epoch come when it has ended. Values only:
time is an argument, and an application asks again when something is to be forgotten. Python cannot overwrite octets: what is forgotten
is gone when nobody holds it any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..errors import UnknownKeyError
from .sframe import SFrameKey
from .sframe_keys import EPOCH_BITS, SFrameKeys
from .srtp import SrtpKeys, SrtpProfile

# As long as DAVE keeps them; a frame that is later than this is of no use in a call.
DEFAULT_OVERLAP = 10.0


@dataclass(frozen=True)
class EpochMediaKeys:
    """All keys of one epoch.

    Attributes:
        sframe: SFrame's.
        srtp: SRTP keys, by profile.
    """

    sframe: SFrameKeys
    srtp: Mapping[SrtpProfile, tuple[SrtpKeys, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Ending:
    keys: EpochMediaKeys
    at: float


@dataclass(frozen=True)
class MediaKeys:
    """The keys that an application has at one time.

    Attributes:
        current: of the latest epoch.
        overlap: seconds for which those of an epoch stay when the next has begun.
        ending: those of earlier epochs, and when they go; the oldest first.
    """

    current: EpochMediaKeys
    overlap: float = DEFAULT_OVERLAP
    ending: tuple[_Ending, ...] = ()

    def following(self, keys: EpochMediaKeys, now: float) -> MediaKeys:
        """These keys when another epoch has begun; itself if it is the present one.

        Args:
            now: seconds, by any clock that does not go back.
        """
        if keys.sframe == self.current.sframe:
            return self if keys.srtp == self.current.srtp else replace(self, current=keys)
        epoch, low = keys.sframe.epoch, keys.sframe.epoch % (1 << EPOCH_BITS)
        ending = (*self.forgetting(now).ending, _Ending(self.current, now + self.overlap))
        # §5.2: two epochs whose low bits are equal are not kept side by side; and one that another commit has taken the place of is no
        # epoch of the group.
        kept = tuple(
            one
            for one in ending
            if one.keys.sframe.epoch < epoch and one.keys.sframe.epoch % (1 << EPOCH_BITS) != low
        )
        return replace(self, current=keys, ending=kept)

    def forgetting(self, now: float) -> MediaKeys:
        """These keys without those whose time is over; itself if there are none."""
        kept = tuple(one for one in self.ending if one.at > now)
        return self if len(kept) == len(self.ending) else replace(self, ending=kept)

    @property
    def forgets_at(self) -> float | None:
        """When something is to be forgotten next; None if there is nothing."""
        return self.ending[0].at if self.ending else None

    @property
    def epochs(self) -> tuple[EpochMediaKeys, ...]:
        """All that are there, the latest first."""
        return (self.current, *(one.keys for one in reversed(self.ending)))

    def of(self, key_id: int) -> SFrameKeys:
        """The keys of the epoch that an SFrame key id is of.

        Raises:
            UnknownKeyError: it is not here, or not any more.
        """
        for keys in self.epochs:
            if keys.sframe.has(key_id):
                return keys.sframe
        raise UnknownKeyError(key_id)

    def receiving_key(self, key_id: int) -> SFrameKey:
        """The key for frames of another member: what a `FrameReceiver` finds keys by.

        Raises:
            UnknownKeyError: no epoch that is here has it, or it is ours.
        """
        return self.of(key_id).receiving_key(key_id)

    def srtp_keys(self, profile: SrtpProfile, mki: bytes, leaf_index: int) -> SrtpKeys | None:
        """The SRTP keys of a sender in the epoch that a packet's MKI names; None if they are not here, or not any more."""
        for epoch in self.epochs:
            for keys in epoch.srtp.get(profile, ()):
                if keys.mki == mki and keys.leaf_index == leaf_index:
                    return keys
        return None
