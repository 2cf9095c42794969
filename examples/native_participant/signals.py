"""What members of a call say to each other: JSON in application messages of the group."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

from aiortc import RTCIceCandidate, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from mls_federation.errors import ValidationError

from .frames import Media

_LARGEST = 60_000
_MOST_CANDIDATES = 100
_SESSION = re.compile("[0-9a-f]{16}")
_FORMATS: dict[Media, str] = {"audio": "opus", "video": "vp8"}
_KINDS = frozenset({"join", "here", "offer", "answer", "candidates", "state", "leave"})
_ADDRESSED = frozenset({"offer", "answer", "candidates"})


@dataclass(frozen=True)
class Signal:
    """Something that a participant says.

    Attributes:
        kind: `join`, `here`, `offer`, `answer`, `candidates`, `state` or `leave`.
        session: the sender's start of the call.
        to: the leaf that it is for; None: everybody.
        peer: the start of the call that it is for.
        description: SDP, of an offer or answer.
        candidates: of a connection that is described already.
    """

    kind: str
    session: str
    to: int | None = None
    peer: str | None = None
    description: str = ""
    candidates: tuple[RTCIceCandidate, ...] = ()


def new_session() -> str:
    """Names a start of the call: 8 random octets in hexadecimal."""
    return secrets.token_hex(8)


def is_signal(data: bytes) -> bool:
    """Whether a message belongs to a call, of this version or another; else it is for people to read."""
    said = _object(data)
    return said is not None and isinstance(said.get("call"), int)


def read_signal(data: bytes) -> Signal | None:
    """What a message says, if it is a signal that can be used. Who it is from, only its message tells."""
    said = _object(data)
    if said is None or said.get("call") != 1 or said.get("kind") not in _KINDS:
        return None
    kind, session, to, peer = said["kind"], said.get("session"), said.get("to"), said.get("peer")
    if not isinstance(session, str) or _SESSION.fullmatch(session) is None:
        return None
    if kind in _ADDRESSED and not (isinstance(to, int) and isinstance(peer, str)):
        return None
    description, candidates = said.get("description", ""), said.get("candidates", [])
    if not isinstance(description, str) or not isinstance(candidates, list):
        return None
    return Signal(
        kind=kind,
        session=session,
        to=to if isinstance(to, int) else None,
        peer=peer if isinstance(peer, str) else None,
        description=description,
        candidates=tuple(
            found for one in candidates[:_MOST_CANDIDATES] if (found := _candidate(one)) is not None
        ),
    )


def say(kind: str, session: str, **members: Any) -> bytes:
    """A signal of ours."""
    return json.dumps({"call": 1, "kind": kind, "session": session, **members}).encode("utf-8")


def _object(data: bytes) -> dict[str, Any] | None:
    if len(data) > _LARGEST or not data.startswith(b"{"):
        return None
    try:
        said = json.loads(data)
    except ValueError:
        # A person may write a brace.
        return None
    return said if isinstance(said, dict) else None


def _candidate(given: Any) -> RTCIceCandidate | None:
    """A candidate as browsers write it; None if it is one that is no use here."""
    if not isinstance(given, dict) or not isinstance(given.get("candidate"), str):
        return None
    try:
        candidate = candidate_from_sdp(given["candidate"].removeprefix("candidate:"))
    except (AssertionError, ValueError, IndexError):
        return None
    candidate.sdpMid, candidate.sdpMLineIndex = given.get("sdpMid"), given.get("sdpMLineIndex")
    return candidate


def described(kind: str, sdp: str) -> RTCSessionDescription:
    """A description that was received.

    Raises:
        ValidationError: code `bad-description`: it has other media than one stream of sound and one of pictures;
            `unsupported-codec`: another format would be sent than Opus and VP8, which are those that can be protected.
    """
    _, *sections = re.split("^m=", sdp, flags=re.MULTILINE)
    if [section.partition(" ")[0] for section in sections] != ["audio", "video"]:
        raise ValidationError(
            "a call has one stream of sound and one of pictures; the description has others",
            code="bad-description",
        )
    for media, section in zip(_FORMATS, sections, strict=True):
        payload_type = section.split(maxsplit=4)[3]
        codec = re.search(rf"^a=rtpmap:{re.escape(payload_type)} ([\w-]+)/", section, re.MULTILINE)
        if codec is None or codec[1].lower() != _FORMATS[media]:
            raise ValidationError(
                f"a participant would not use {_FORMATS[media]} for {media}", code="unsupported-codec"
            )
    return RTCSessionDescription(sdp=sdp, type=kind)
