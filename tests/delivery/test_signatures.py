"""Signed requests between services: what is accepted, and everything that is not."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mls_delivery.refusals import Refused
from mls_delivery.signatures import (
    CLOCK_TOLERANCE,
    LIFETIME,
    LONGEST_LIFETIME,
    Claim,
    SignedRequest,
    claim_of,
    sign_request,
    verify_request,
)
from mls_federation.federation.binding import MEDIA_TYPE, to_base64url

NOW = 1_780_000_000
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PRIVATE_KEY.public_key().public_bytes_raw()
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
BODY = b"a relayed message"
NONCE = bytes(range(0xC0, 0xD0))

PARAMETERS = {
    "created": NOW,
    "keyid": to_base64url(KEY),
    "expires": NOW + 60,
    "nonce": to_base64url(NONCE),
}
COMPONENTS = '"@method" "@path" "content-type" "content-digest" "mls-federation-from" "mls-federation-to"'


def signed(*, receiver: str = "b.example", sender: str = "a.example", now: int = NOW) -> SignedRequest:
    """A request as this service makes them."""
    headers = sign_request(
        private_key=PRIVATE_KEY.private_bytes_raw(),
        key=KEY,
        sender=sender,
        receiver=receiver,
        path="/v1/relay",
        content_type=MEDIA_TYPE,
        body=BODY,
        nonce=NONCE,
        now=now,
    )
    return SignedRequest("POST", "/v1/relay", {name.lower(): value for name, value in headers.items()})


def signed_by_hand(
    components: str = COMPONENTS, parameters: dict[str, object] | None = None, body: bytes = BODY
) -> SignedRequest:
    """A request whose signature is right, and made without the library, so that its rules can be broken one by one."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    values = {
        "@method": "POST",
        "@path": "/v1/relay",
        "content-type": MEDIA_TYPE,
        "content-digest": f"sha-256=:{digest}:",
        "mls-federation-from": "a.example",
        "mls-federation-to": "b.example",
    }
    chosen = PARAMETERS if parameters is None else parameters
    rest = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in chosen.items()
    )
    base = [
        f"{component}: {values[component.partition(';')[0].strip(chr(34))]}"
        for component in components.split()
    ]
    base.append(f'"@signature-params": ({components}){rest}')
    signature = base64.b64encode(PRIVATE_KEY.sign("\n".join(base).encode())).decode()
    headers = {name: value for name, value in values.items() if not name.startswith("@")}
    headers["signature-input"] = f"federation=({components}){rest}"
    headers["signature"] = f"federation=:{signature}:"
    return SignedRequest("POST", "/v1/relay", headers)


def check(request: SignedRequest, *, now: int = NOW, body: bytes = BODY) -> Claim:
    """What a service does with a signed request, until it looks at whose key it is, and whether it is a replay."""
    claim = claim_of(request, "b.example", now)
    verify_request(request, claim, body)
    return claim


def test_a_request_that_is_signed_is_accepted() -> None:
    claim = check(signed())
    assert claim == Claim("a.example", KEY, to_base64url(NONCE), NOW + LIFETIME + CLOCK_TOLERANCE)


def test_the_signature_is_that_of_the_standard() -> None:
    ours, by_hand = signed(), signed_by_hand()
    assert ours.headers == by_hand.headers
    check(by_hand)


@pytest.mark.parametrize("now", [NOW - CLOCK_TOLERANCE, NOW + LIFETIME + CLOCK_TOLERANCE - 1])
def test_clocks_may_differ_a_little(now: int) -> None:
    check(signed(), now=now)


def without(name: str) -> Callable[[SignedRequest], SignedRequest]:
    """Leaves a header away."""
    return lambda request: replace(
        request, headers={kept: value for kept, value in request.headers.items() if kept != name}
    )


def with_header(name: str, value: str) -> Callable[[SignedRequest], SignedRequest]:
    """Has another value for a header."""
    return lambda request: replace(request, headers={**request.headers, name: value})


def with_signature_twice(request: SignedRequest) -> SignedRequest:
    """Says two things of itself."""
    headers = request.headers
    twice = {
        name: f"{headers[name]}, second={headers[name].partition('=')[2]}"
        for name in ("signature", "signature-input")
    }
    return replace(request, headers={**headers, **twice})


ALTERED = {
    "method": lambda request: replace(request, method="PUT"),
    "target": lambda request: replace(request, path="/v1/messages"),
    "query": lambda request: replace(request, query="to=somebody"),
    "content type": with_header("content-type", "text/plain"),
    "sender": with_header("mls-federation-from", "c.example"),
    "sender is ourselves": with_header("mls-federation-from", "b.example"),
    "sender is no domain": with_header("mls-federation-from", "a.example, a.example"),
    "receiver": with_header("mls-federation-to", "c.example"),
    "no receiver": without("mls-federation-to"),
    "no digest": without("content-digest"),
    "digest": with_header("content-digest", f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"),
    "digest by an unknown algorithm": with_header("content-digest", "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"),
    "no signature": without("signature"),
    "no signature input": without("signature-input"),
    "two signatures": with_signature_twice,
    "signature": with_header("signature", f"federation=:{base64.b64encode(bytes(64)).decode()}:"),
    "signature under another label": with_header(
        "signature", f"other=:{base64.b64encode(bytes(64)).decode()}:"
    ),
    "signature input that cannot be read": with_header("signature-input", "federation=("),
    "signature input that is no list": with_header("signature-input", "federation=1"),
    "signature input beyond ASCII": with_header("signature-input", "fédération=()"),
}


@pytest.mark.parametrize("alteration", ALTERED.values(), ids=ALTERED)
def test_a_request_that_was_altered_is_refused(alteration: Callable[[SignedRequest], SignedRequest]) -> None:
    with pytest.raises(Refused) as caught:
        check(alteration(signed()))
    assert caught.value.code == "bad-request-signature"


def test_another_body_is_refused() -> None:
    for body in (b"another message", b""):
        with pytest.raises(Refused) as caught:
            check(signed(), body=body)
        assert caught.value.code == "bad-request-signature"


UNCOVERED = {
    name: " ".join(component for component in COMPONENTS.split() if component != name)
    for name in COMPONENTS.split()
}


@pytest.mark.parametrize("components", UNCOVERED.values(), ids=UNCOVERED)
def test_a_signature_that_leaves_something_uncovered_is_refused(components: str) -> None:
    with pytest.raises(Refused, match="covers") as caught:
        check(signed_by_hand(components))
    assert caught.value.code == "bad-request-signature"


def test_only_a_digest_of_the_whole_field_counts() -> None:
    request = signed_by_hand(COMPONENTS.replace('"content-digest"', '"content-digest";sf'))
    with pytest.raises(Refused, match="covers"):
        check(request)


UNFIT = {
    "created is missing": {"created": None},
    "expires is missing": {"expires": None},
    "nonce is missing": {"nonce": None},
    "keyid is missing": {"keyid": None},
    "an algorithm is named": {"alg": "ed25519"},
    "expired": {"created": NOW - 200, "expires": NOW - CLOCK_TOLERANCE},
    "from the future": {"created": NOW + CLOCK_TOLERANCE + 1, "expires": NOW + 200},
    "good for too long": {"expires": NOW + LONGEST_LIFETIME + 1},
    "expires before it was created": {"created": NOW, "expires": NOW},
    "time is text": {"created": "now"},
    "nonce is a number": {"nonce": 17},
    "nonce is short": {"nonce": to_base64url(bytes(15))},
    "nonce is no base64url": {"nonce": "+" * 22},
    "key is short": {"keyid": to_base64url(bytes(31))},
    "key is another": {"keyid": to_base64url(OTHER_KEY)},
    "key is no point of the curve": {"keyid": to_base64url(b"\xff" * 32)},
}


@pytest.mark.parametrize("changes", UNFIT.values(), ids=UNFIT)
def test_a_signature_with_unfit_parameters_is_refused(changes: dict[str, object]) -> None:
    parameters = {name: value for name, value in {**PARAMETERS, **changes}.items() if value is not None}
    with pytest.raises(Refused) as caught:
        check(signed_by_hand(parameters=parameters))
    assert caught.value.code == "bad-request-signature"


def test_by_hand_is_right_but_for_what_a_test_breaks() -> None:
    check(signed_by_hand(parameters={**PARAMETERS, "created": NOW - 100, "expires": NOW + 200}))
