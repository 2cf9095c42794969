"""Signed requests between delivery services: HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).

A library builds the signature base, signs and verifies. What it leaves to its caller is done here: which components must be
covered, and no others; for how long a signature may be good, by our own clock; that there is a nonce; that the body is the one
whose digest was signed; and that nothing of the target is left uncovered. Whether the nonce was seen before, the store knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
)
from http_message_signatures.algorithms import ED25519

from mls_federation.federation.binding import from_base64url, is_domain, to_base64url

from .refusals import Refused

FROM = "MLS-Federation-From"
TO = "MLS-Federation-To"
LABEL = "federation"
COVERED = ("@method", "@path", "content-type", "content-digest", "mls-federation-from", "mls-federation-to")
NONCE_SIZE = 16
KEY_SIZE = 32

# Seconds for which a signature is made to be good, and for which one may be; and how far clocks may differ.
LIFETIME = 60
LONGEST_LIFETIME = 300
CLOCK_TOLERANCE = 60

_PARAMETERS = frozenset({"created", "expires", "nonce", "keyid"})
_AUTHORITY = "http://service"  # not covered: a service may be known by several names, and proxies change it


@dataclass(frozen=True)
class SignedRequest:
    """A request as far as it is signed.

    Attributes:
        method: in upper case.
        path: as it is in the request line.
        headers: by their names in lower case; of several with one name, the values in order, joined by commas.
        query: as it is in the request line. No request between services has one, and no signature of theirs covers it.
    """

    method: str
    path: str
    headers: dict[str, str]
    query: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether it says that it is."""
        return "signature" in self.headers or "signature-input" in self.headers

    @property
    def url(self) -> str:
        """An absolute URL, which the library wants; only its path is covered."""
        return _AUTHORITY + self.path


@dataclass(frozen=True)
class Claim:
    """What a request says of its signature, before that is verified.

    Attributes:
        sender: the domain that it says it comes from.
        key: the public key that it says it is signed by.
        nonce: for one request of that domain.
        until: the second from which it is not good any more, even by a clock that is late.
    """

    sender: str
    key: bytes
    nonce: str
    until: int


def sign_request(
    *,
    private_key: bytes,
    key: bytes,
    sender: str,
    receiver: str,
    path: str,
    content_type: str,
    body: bytes,
    nonce: bytes,
    now: int,
) -> dict[str, str]:
    """The headers of a signed POST.

    Args:
        private_key: 32 octets. Secret.
        key: the public key that belongs to it.
        path: of the URL, as it is sent.
        nonce: 16 random octets.
        now: Unix seconds.
    """
    headers = {"Content-Type": content_type, FROM: sender, TO: receiver}
    keyid = to_base64url(key)
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={}, private_keys={keyid: Ed25519PrivateKey.from_private_bytes(private_key)}
        ),
    )
    signer.sign(
        SignedRequest("POST", path, headers),
        key_id=keyid,
        created=datetime.fromtimestamp(now, UTC),
        expires=datetime.fromtimestamp(now + LIFETIME, UTC),
        nonce=to_base64url(nonce),
        label=LABEL,
        include_alg=False,
        covered_component_ids=COVERED,
        body=body,
    )
    return headers


def claim_of(request: SignedRequest, domain: str, now: int) -> Claim:
    """What a signed request claims, if it could be good at all; nothing is verified yet.

    Args:
        domain: our own.
        now: Unix seconds.

    Raises:
        Refused: code `bad-request-signature`.
    """
    components, parameters = _signature_input(request.headers.get("signature-input", ""))
    if components != [(component, {}) for component in COVERED]:
        raise _bad(f"A signature covers {', '.join(COVERED)}, in this order.")
    if parameters.keys() != _PARAMETERS:
        raise _bad(f"A signature has the parameters {', '.join(sorted(_PARAMETERS))}, and no others.")
    _check_time(parameters, now)
    nonce, key = _octets(parameters, "nonce", NONCE_SIZE), _octets(parameters, "keyid", KEY_SIZE)
    sender = request.headers.get(FROM.lower(), "")
    if not is_domain(sender) or sender == domain:
        raise _bad(f"The header {FROM} must name the domain of the service that asks.")
    if request.headers.get(TO.lower()) != domain:
        raise _bad(f"The request is not meant for {domain}: see its header {TO}.")
    if request.query:
        raise _bad("A signed request has no query.")
    return Claim(sender, key, to_base64url(nonce), int(parameters["expires"]) + CLOCK_TOLERANCE)


def verify_request(request: SignedRequest, claim: Claim, body: bytes) -> None:
    """Return if the key that the request claims has signed it, and its body.

    Raises:
        Refused: code `bad-request-signature`.
    """
    verifier = _Verifier(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={to_base64url(claim.key): Ed25519PublicKey.from_public_bytes(claim.key)},
            private_keys={},
        ),
    )
    try:
        verifier.verify(request, max_age=None, require_components=COVERED, body=body)
    except (InvalidSignature, ValueError):
        raise _bad("The signature is not one of the key that it names over this request.") from None


class _Verifier(HTTPMessageVerifier):
    """The library's, but for the times, which it would compare with the machine's clock and with bounds of its own."""

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        """Nothing: `claim_of` has done so."""


def _check_time(parameters: Mapping[str, Any], now: int) -> None:
    created, expires = parameters["created"], parameters["expires"]
    if type(created) is not int or type(expires) is not int:
        raise _bad("created and expires are whole numbers.")
    if not 0 < expires - created <= LONGEST_LIFETIME:
        raise _bad(f"A signature may be good for {LONGEST_LIFETIME} seconds.")
    if created > now + CLOCK_TOLERANCE:
        raise _bad("The signature is from the future. Compare the clocks.")
    if expires <= now - CLOCK_TOLERANCE:
        raise _bad("The signature has expired. Compare the clocks.")


def _octets(parameters: Mapping[str, Any], name: str, size: int) -> bytes:
    try:
        octets = from_base64url(parameters[name])
    except ValueError:
        octets = b""
    if len(octets) != size:
        raise _bad(f"The parameter {name} must be {size} octets in base64url.")
    return octets


def _signature_input(field: str) -> tuple[Any, dict[str, Any]]:
    """The covered components and the parameters of the one signature that a request has."""
    try:
        members: Any = http_sf.parse(field.encode(), tltype="dictionary")
    except ValueError:
        members = {}
    # More than one would let a request say two things of itself.
    if len(members) != 1:
        raise _bad("There must be one signature, in the headers Signature and Signature-Input.")
    ((components, parameters),) = members.values()
    return components, parameters


def _bad(detail: str) -> Refused:
    return Refused("bad-request-signature", detail)
