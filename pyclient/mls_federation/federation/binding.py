"""The HTTP binding between clients and delivery services, version 1 (docs/protocol.md): structs, names, identities.

Client and delivery service both use this module, so the two cannot differ. Bodies are these structs; the description
of a service and its problem reports (RFC 9457) are JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..codec import ClosedEnum8, Struct, Vec, opaque, select, uint32, uint64
from ..crypto import CipherSuite
from ..errors import DecodeError, ServiceError, UsageError, ValidationError
from .seed import Credential, UserInitKey, UserInitKeyBundle

VERSION = 1
WELL_KNOWN_PATH = "/.well-known/mls-federation"
MEDIA_TYPE = "application/mls-federation"
MEDIA_TYPE_KEY_REQUEST = "application/mls-federation-key-request"
MEDIA_TYPE_KEY_RESPONSE = "application/mls-federation-key-response"
MEDIA_TYPE_PROBLEM = "application/problem+json"

CLIENT_ID_SIZE = 16
MESSAGE_ID_SIZE = 16
CHALLENGE_SIZE = 32
TOKEN_SIZE = 32

CLOSE_REPLACED = 4001
CLOSE_MALFORMED = 4400
CLOSE_BAD_TOKEN = 4401
CLOSE_REVOKED = 4403
CLOSE_BAD_CURSOR = 4409
CLOSE_TRY_LATER = 4429

_LABEL_PREFIX = b"MLS Federation 1.0 "
_USER_INIT_KEY_ID_SIZE = 32
_PROBLEM_PREFIX = "urn:mls-federation:error:"
_MAX_IDENTITY_SIZE = 255
_LONGEST_RETRY_AFTER = 3600  # a service that wants more gets to be asked nevertheless
_MAX_CONTAINERS = 200  # arrays and objects in one document
_DOMAIN_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+")  # RFC 3986 §3.3
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


# -- sessions


class Challenge(Struct):
    """What a client signs to open a session. Good for one session, and for a minute."""

    challenge: opaque


class SessionTBS(Struct):
    """What `SessionRequest.signature` covers, under the label "Session"."""

    domain: opaque
    challenge: opaque
    identity: opaque
    client_id: opaque
    credential: Credential


class SessionRequest(Struct):
    """Proves that a client holds its identity key; that is of an active device of the identity."""

    identity: opaque
    client_id: opaque
    credential: Credential
    challenge: opaque
    signature: opaque


class SessionResponse(Struct):
    """A bearer token (secret) and when it ends, in seconds since 1970."""

    token_secret: opaque
    expires: uint64


# -- key sets


class Boolean(ClosedEnum8):
    """Yes or no in one octet."""

    false = 0
    true = 1


class KeySet(Struct):
    """A UserInitKey with the KeyPackages that it covers, in the order of its `cipher_suites`."""

    user_init_key: UserInitKey
    key_packages: Vec[opaque]
    last_resort: Boolean


class PublishRequest(Struct):
    """Key sets that a client leaves at its delivery service."""

    key_sets: Vec[KeySet]


class PublishResponse(Struct):
    """How many key sets are there now to be handed out, without the last resort."""

    available: uint32


class KeyBundle(Struct):
    """The keys of one client: the seed's bundle, and what RFC 9420 needs to add it."""

    client_id: opaque
    bundle: UserInitKeyBundle
    refs: Vec[opaque]
    chosen: CipherSuite
    key_package: opaque
    last_resort: Boolean


class KeyStatus(ClosedEnum8):
    """Whether there are keys of a client, and why not."""

    keys = 0
    no_common_suite = 1
    exhausted = 2


class CipherSuites(Struct):
    """The suites for which a client has keys: none of them was asked for."""

    offered: Vec[CipherSuite]


class ClientKeys(Struct):
    """What there is of one client."""

    client_id: opaque
    status: KeyStatus
    result: KeyBundle | CipherSuites | None = select(
        "status",
        {KeyStatus.keys: KeyBundle, KeyStatus.no_common_suite: CipherSuites, KeyStatus.exhausted: None},
    )


# -- messages


class SubmitRequest(Struct):
    """An MLSMessage for all clients of some identities of one delivery service."""

    message_id: opaque
    recipients: Vec[opaque]
    message: opaque


class RecipientStatus(ClosedEnum8):
    """What became of a message for one recipient."""

    accepted = 0
    unknown = 1
    inbox_full = 2
    relayed = 3
    queue_full = 4
    refused = 5


class RecipientResult(Struct):
    """What became of a message for the recipient named."""

    identity: opaque
    status: RecipientStatus


class SubmitResponse(Struct):
    """A result for each recipient, in the order of the request."""

    results: Vec[RecipientResult]


class NoticeReason(ClosedEnum8):
    """Why a message that was taken on will never reach a recipient."""

    expired = 1
    refused = 2
    unknown = 3


class Notice(Struct):
    """What a sender is told, later, of a message that did not reach the recipient named."""

    message_id: opaque
    identity: opaque
    reason: NoticeReason


# -- the inbox


class InboxHello(Struct):
    """First frame of a client: who it is, and what it has already."""

    token_secret: opaque
    cursor: uint64


class InboxAck(Struct):
    """Every later frame of a client: it has stored all up to `cursor`, which the service may now forget."""

    cursor: uint64


class InboxFrameType(ClosedEnum8):
    """Kinds of frames that a delivery service sends."""

    ready = 1
    delivery = 2
    key_count = 3
    notice = 4


class InboxReady(Struct):
    """Answers the hello."""

    last_acknowledged: uint64


class InboxDelivery(Struct):
    """One message. `received_at` is the service's clock, in seconds since 1970.

    `relayed_by` is the domain whose service brought it, and empty if its sender did.
    """

    sequence: uint64
    message_id: opaque
    received_at: uint64
    relayed_by: opaque
    message: opaque


class InboxKeyCount(Struct):
    """Few key sets are left: how many."""

    available: uint32


class InboxNotice(Struct):
    """A notice, which has its place in the inbox like a message, and is acknowledged like one."""

    sequence: uint64
    notice: Notice


class InboxFrame(Struct):
    """A frame from the delivery service."""

    frame_type: InboxFrameType
    frame: InboxReady | InboxDelivery | InboxKeyCount | InboxNotice = select(
        "frame_type",
        {
            InboxFrameType.ready: InboxReady,
            InboxFrameType.delivery: InboxDelivery,
            InboxFrameType.key_count: InboxKeyCount,
            InboxFrameType.notice: InboxNotice,
        },
    )


# -- signatures


class FederationSignContent(Struct):
    """What an identity key signs: as `SignContent` of RFC 9420 §5.1.2, under a prefix of our own."""

    label: opaque
    content: opaque


def federation_sign_content(label: str, content: bytes) -> bytes:
    """The octets to sign for one purpose of the federation.

    Args:
        label: ASCII, without the "MLS Federation 1.0 " prefix.
        content: what is signed.

    Raises:
        UsageError: the prefixed label has 32 octets, the one size with which the octets could begin as those of a
            `UserInitKey` do, which the identity key signs without a label.
    """
    if len(_LABEL_PREFIX) + len(label) == _USER_INIT_KEY_ID_SIZE:
        raise UsageError("a label of this length could be taken for a UserInitKey")
    return FederationSignContent(label=_LABEL_PREFIX + label.encode("ascii"), content=content).encode()


def session_sign_content(
    *, domain: str, challenge: bytes, identity: bytes, client_id: bytes, credential: Credential
) -> bytes:
    """The octets that a `SessionRequest` is signed over."""
    to_be_signed = SessionTBS(
        domain=domain.encode("ascii"),
        challenge=challenge,
        identity=identity,
        client_id=client_id,
        credential=credential,
    )
    return federation_sign_content("Session", to_be_signed.encode())


# -- identities


def split_identity(identity: bytes) -> tuple[str, str]:
    """The name and the domain of an identity `name@domain`.

    There is one spelling of each: the name in NFC without white space, control and format characters, the domain in
    lower-case ASCII (an internationalised one as its A-labels).

    Raises:
        ValidationError: code `bad-identity`: it is not such an identity; the message says in what.
    """
    if len(identity) > _MAX_IDENTITY_SIZE:
        raise _bad_identity(f"it has {len(identity)} octets and may have {_MAX_IDENTITY_SIZE}")
    try:
        text = identity.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad_identity("it is not UTF-8") from None
    name, at, domain = text.partition("@")
    if not at or not name or not domain or "@" in domain:
        raise _bad_identity("it must be written name@domain")
    if any(unicodedata.category(sign)[0] in "CZ" for sign in name):
        raise _bad_identity("its name has white space or invisible characters in it")
    if not unicodedata.is_normalized("NFC", name):
        raise _bad_identity("its name is not in Unicode's normal form C")
    if not is_domain(domain):
        raise _bad_identity("its domain is not a domain name in lower-case ASCII")
    return name, domain


def domain_of(identity: str) -> str:
    """The domain of an identity `name@domain`.

    Raises:
        ValidationError: code `bad-identity`, as `split_identity`.
    """
    # JavaScript's strings may have lone surrogates; they become octets that are not UTF-8.
    return split_identity(identity.encode("utf-8", "surrogatepass"))[1]


def is_domain(text: str) -> bool:
    """Whether `text` is a domain name as identities carry it: lower-case labels of letters, digits and hyphens."""
    return len(text) <= 253 and all(_DOMAIN_LABEL.fullmatch(label) for label in text.split("."))


def _bad_identity(reason: str) -> ValidationError:
    return ValidationError(f"This is no identity of the federation: {reason}.", code="bad-identity")


# -- the description of a service


@dataclass(frozen=True)
class ServiceDescription:
    """What a delivery service says of itself at `WELL_KNOWN_PATH`.

    Attributes:
        domain: whose identities it serves.
        versions: of this binding.
        signing_key: its Ed25519 public key, 32 octets.
        endpoints: URL path of each end point, by its name.
        limits: what it accepts at most, in octets, seconds or pieces, by name.
    """

    domain: str
    versions: tuple[int, ...]
    signing_key: bytes
    endpoints: Mapping[str, str]
    limits: Mapping[str, int]

    def encode(self) -> bytes:
        """The JSON document."""
        return json.dumps(
            {
                "domain": self.domain,
                "versions": list(self.versions),
                "signing_key": to_base64url(self.signing_key),
                "endpoints": dict(self.endpoints),
                "limits": dict(self.limits),
            }
        ).encode()

    @classmethod
    def decode(cls, data: bytes) -> ServiceDescription:
        """Read the JSON document; members that are not known are passed over.

        Raises:
            DecodeError: it is no description of a service.
        """
        document = _json_object(data, cls.__name__)
        domain = document.get("domain")
        if not isinstance(domain, str) or not is_domain(domain):
            raise _bad_member(cls.__name__, "domain", "is not a domain name")
        versions = document.get("versions")
        if not isinstance(versions, list) or not all(type(version) is int for version in versions):
            raise _bad_member(cls.__name__, "versions", "is not a list of numbers")
        try:
            signing_key = from_base64url(document.get("signing_key"))
        except ValueError:
            raise _bad_member(cls.__name__, "signing_key", "is not base64url") from None
        if len(signing_key) != 32:
            raise _bad_member(cls.__name__, "signing_key", "is not a key of 32 octets")
        endpoints = document.get("endpoints")
        if not isinstance(endpoints, dict) or not all(
            isinstance(path, str) and _PATH.fullmatch(path) for path in endpoints.values()
        ):
            raise _bad_member(cls.__name__, "endpoints", "is not a set of URL paths")
        limits = document.get("limits")
        if not isinstance(limits, dict) or not all(type(limit) is int for limit in limits.values()):
            raise _bad_member(cls.__name__, "limits", "is not a set of numbers")
        return cls(domain, tuple(versions), signing_key, endpoints, limits)


def to_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: object) -> bytes:
    """Octets from unpadded base64url.

    Raises:
        ValueError: it is not the one encoding of some octets.
    """
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base64url")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64url") from None
    if to_base64url(data) != text:
        raise ValueError("not base64url")
    return data


# -- problem reports


def problem_type(code: str) -> str:
    """The `type` of a problem report (RFC 9457) for an error's stable code."""
    return _PROBLEM_PREFIX + code


def service_error(status: int, body: bytes) -> ServiceError:
    """The error that a refusal of a delivery service stands for.

    Never fails: what is no problem report of ours, such as a proxy's page, becomes code `service-error`.
    """
    try:
        problem = _json_object(body, "Problem")
    except DecodeError:
        problem = {}
    kind, detail = problem.get("type"), problem.get("detail")
    code = (
        kind.removeprefix(_PROBLEM_PREFIX)
        if isinstance(kind, str) and kind.startswith(_PROBLEM_PREFIX)
        else ""
    )
    if not _CODE.fullmatch(code):
        code = ServiceError.default_code
    if not isinstance(detail, str):
        detail = f"The delivery service answered with HTTP status {status}."
    # JSON can have lone surrogates, which nothing can print.
    detail = detail.encode("utf-8", "replace").decode("utf-8")
    retry_after = problem.get("retry_after")
    if type(retry_after) is not int:
        retry_after = 0
    suites = problem.get("offered_suites")
    offered = suites if isinstance(suites, list) else []
    return ServiceError(
        detail,
        code=code,
        status=status,
        retry_after=min(max(retry_after, 0), _LONGEST_RETRY_AFTER),
        offered_suites=tuple(suite for suite in offered if type(suite) is int and 0 <= suite <= 0xFFFF),
    )


def _json_object(data: bytes, name: str) -> dict[str, Any]:
    # What is nested deeper than the stack of WebAssembly overflows it, which ends a browser's interpreter for good.
    if data.count(b"[") + data.count(b"{") > _MAX_CONTAINERS:
        raise DecodeError("this JSON has too many arrays and objects", struct=name, field="(start)", offset=0)
    try:
        document = json.loads(data)
    except ValueError:
        raise DecodeError("this is not JSON", struct=name, field="(start)", offset=0) from None
    if not isinstance(document, dict):
        raise DecodeError("this is not a JSON object", struct=name, field="(start)", offset=0)
    return document


def _bad_member(name: str, member: str, reason: str) -> DecodeError:
    return DecodeError(f"the member {reason}", struct=name, field=member, offset=0)
