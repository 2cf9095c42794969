"""A delivery service as its clients see it: the HTTP binding of docs/protocol.md, from their side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..codec import Struct
from ..crypto import CipherSuite, CryptoProvider
from ..errors import DecodeError, TransportError, UnsupportedError, UsageError, ValidationError
from ..federation.binding import (
    MEDIA_TYPE,
    MEDIA_TYPE_KEY_REQUEST,
    MEDIA_TYPE_KEY_RESPONSE,
    VERSION,
    WELL_KNOWN_PATH,
    Challenge,
    CipherSuites,
    KeyBundle,
    KeySet,
    PublishRequest,
    PublishResponse,
    RecipientResult,
    ServiceDescription,
    SessionRequest,
    SessionResponse,
    SubmitRequest,
    SubmitResponse,
    service_error,
    session_sign_content,
    to_base64url,
)
from ..federation.devices import DeviceEvent
from ..federation.log import (
    ConsistencyProof,
    ConsistencyRequest,
    EntriesRequest,
    EntriesResponse,
    HistoryRequest,
    IdentityHistory,
    KeyResponse,
    SignedTreeHead,
)
from ..federation.manifest import verify_bundle
from ..federation.seed import GetUserInitKeyRequest, from_rfc9420
from .account import Account
from .ports import Connection, Response, Transport
from .results import FetchedKeys, WithoutKeys
from .state import Outgoing

S = TypeVar("S", bound=Struct)

# Octets that an answer may have: larger ones are not read to their end.
_MAX_RESPONSE = 4 << 20
_ENDPOINTS = (
    "challenge",
    "devices",
    "sessions",
    "key_sets",
    "bundles",
    "messages",
    "inbox",
    "history",
    "tree_head",
    "consistency",
    "log_entries",
)


@dataclass(frozen=True)
class Through:
    """Our own service, through which others are asked, and the token of our session there. Secret."""

    own: DeliveryService
    token: bytes = field(repr=False)

    def address(self, domain: str, endpoint: str) -> str:
        """The URL of an end point of another domain's service."""
        return f"{self.own.address('proxy')}/{domain}/{endpoint}"


@dataclass(frozen=True)
class DeliveryService:
    """A service that was reached and has said who it is.

    Attributes:
        url: its base address, without a slash at the end.
        description: what it says of itself.
        through: if it is to be asked through our own service, that one, and the token of our session there. Secret.
    """

    url: str
    description: ServiceDescription
    through: Through | None = field(default=None, repr=False)

    @property
    def domain(self) -> str:
        """Whose identities it serves."""
        return self.description.domain

    def address(self, endpoint: str) -> str:
        """The URL of an end point.

        Raises:
            UnsupportedError: code `unsupported-endpoint`: the service does not have it.
        """
        if self.through is not None:
            return self.through.address(self.domain, endpoint)
        path = self.description.endpoints.get(endpoint)
        if path is None:
            raise UnsupportedError(
                f"the delivery service of {self.domain} has no end point {endpoint!r}",
                code="unsupported-endpoint",
            )
        return self.url + path

    @property
    def headers(self) -> dict[str, str]:
        """Those that each request needs."""
        return {} if self.through is None else authorization(self.through.token)


def authorization(token: bytes) -> dict[str, str]:
    """The header that carries a session's token. Secret."""
    return {"Authorization": f"Bearer {to_base64url(token)}"}


def through(own: DeliveryService, description: ServiceDescription, token: bytes) -> DeliveryService:
    """A service as it is asked through our own: what needs no session there.

    Args:
        token: of our session at our own. Secret.
    """
    return DeliveryService(own.url, description, Through(own, token))


async def describe_through(
    transport: Transport, own: DeliveryService, domain: str, token: bytes
) -> ServiceDescription:
    """What the service of a domain says of itself, as our own service has learned.

    Raises:
        ServiceError: code `peer-unreachable`, `peer-not-allowed` or `peer-key-changed` among others.
        TransportError, DecodeError, ValidationError, UnsupportedError: as `find_service`.
    """
    response = await transport.request(
        "POST",
        Through(own, token).address(domain, "description"),
        headers={"Content-Type": MEDIA_TYPE, **authorization(token)},
        body=b"",
        limit=_MAX_RESPONSE,
    )
    return _described(response, domain, own.url)


async def find_service(transport: Transport, domain: str, url: str) -> DeliveryService:
    """Reach the delivery service of `domain` at `url`, and see that it is that.

    Raises:
        UsageError: code `bad-url`.
        TransportError: code `unreachable`.
        ServiceError: it refuses.
        DecodeError: what answers is no delivery service.
        ValidationError: code `wrong-domain`: it serves another domain.
        UnsupportedError: code `unsupported-version`: we have no version in common.
    """
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{url!r} is no address of a delivery service: it must begin with https://", code="bad-url"
        )
    response = await transport.request(
        "GET", url + WELL_KNOWN_PATH, headers={}, body=b"", limit=_MAX_RESPONSE
    )
    return DeliveryService(url, _described(response, domain, url))


def _described(response: Response, domain: str, url: str) -> ServiceDescription:
    """A description that is one of the right domain, and of a service that we can use."""
    if response.status != 200:
        raise service_error(response.status, response.body)
    description = ServiceDescription.decode(response.body)
    if description.domain != domain:
        raise ValidationError(
            f"{url} is the delivery service of {description.domain}, not of {domain}", code="wrong-domain"
        )
    if VERSION not in description.versions:
        raise UnsupportedError(
            f"the delivery service of {domain} does not speak version {VERSION} of the federation",
            code="unsupported-version",
        )
    for endpoint in _ENDPOINTS:
        if endpoint not in description.endpoints:
            raise DecodeError("it lacks an end point", struct="ServiceDescription", field=endpoint, offset=0)
    return description


async def open_session(
    transport: Transport, service: DeliveryService, provider: CryptoProvider, account: Account
) -> bytes:
    """Prove that we hold our identity key. Returns a token. Secret.

    Raises:
        ServiceError: code `unknown-identity`: nobody has claimed the identity; `not-a-device`: it is another's, or has not
            admitted us yet, or has revoked us; and others.
        TransportError: code `unreachable`.
    """
    challenge = await _post(transport, service, "challenge", None, Challenge)
    identity = account.identity.encode("utf-8")
    content = session_sign_content(
        domain=service.domain,
        challenge=challenge.challenge,
        identity=identity,
        client_id=account.client_id,
        credential=account.credential,
    )
    request = SessionRequest(
        identity=identity,
        client_id=account.client_id,
        credential=account.credential,
        challenge=challenge.challenge,
        signature=provider.sign(account.scheme, account.identity_key.private_key, content),
    )
    return (await _post(transport, service, "sessions", request, SessionResponse)).token_secret


async def add_device_event(
    transport: Transport, service: DeliveryService, event: DeviceEvent, sign_in_token: str | None = None
) -> IdentityHistory:
    """Have an event put at the end of an identity's chain; doing so again changes nothing. Returns the chain.

    Args:
        sign_in_token: for a claim, what the operator's sign-in has given us. Secret.

    Raises:
        ServiceError: code `identity-claimed`, `claim-refused`, `stale-event`, `not-a-device` among others.
        TransportError: code `unreachable`.
    """
    headers = {} if sign_in_token is None else {"Authorization": f"Bearer {sign_in_token}"}
    response = await _send(transport, service, "POST", "devices", MEDIA_TYPE, event.encode(), headers)
    return _decode(response, IdentityHistory)


async def fetch_history(transport: Transport, service: DeliveryService, identity: str) -> IdentityHistory:
    """All events of an identity, in order; nothing of it is verified.

    Raises:
        ServiceError: code `unknown-identity` among others.
        TransportError: code `unreachable`.
    """
    request = HistoryRequest(identity=identity.encode("utf-8"))
    return await _post(transport, service, "history", request, IdentityHistory)


async def fetch_tree_head(transport: Transport, service: DeliveryService) -> SignedTreeHead:
    """The present head of the service's log; nothing of it is verified.

    Raises:
        ServiceError, TransportError: it is not to be had.
    """
    return await _post(transport, service, "tree_head", None, SignedTreeHead)


async def fetch_consistency(
    transport: Transport, service: DeliveryService, question: ConsistencyRequest
) -> tuple[bytes, ...]:
    """What the service shows for its log having grown from one size to another; nothing of it is verified.

    Raises:
        ServiceError: code `no-such-tree` among others.
        TransportError: code `unreachable`.
    """
    return (await _post(transport, service, "consistency", question, ConsistencyProof)).path


async def fetch_entries(transport: Transport, service: DeliveryService, start: int) -> tuple[bytes, ...]:
    """Entries of the service's log from number `start` on, as many as it gives at once; nothing of it is verified.

    Raises:
        ServiceError, TransportError: they are not to be had.
    """
    request = EntriesRequest(start=start, count=2**32 - 1)
    return (await _post(transport, service, "log_entries", request, EntriesResponse)).entries


async def publish(
    transport: Transport, service: DeliveryService, token: bytes, key_sets: Sequence[KeySet]
) -> int:
    """Publish key sets; returns how many are there to be handed out.

    Raises:
        ServiceError: code `unauthorized`: the session has ended.
        TransportError: code `unreachable`.
    """
    request = PublishRequest(key_sets=tuple(key_sets))
    response = await _send(
        transport, service, "PUT", "key_sets", MEDIA_TYPE, request.encode(), authorization(token)
    )
    return _decode(response, PublishResponse).available


async def fetch_bundles(
    transport: Transport,
    service: DeliveryService,
    provider: CryptoProvider,
    identity: str,
    wanted: Sequence[CipherSuite],
    now: int,
) -> tuple[FetchedKeys, IdentityHistory]:
    """The keys of all clients of an identity, each verified (`manifest.verify_bundle`), and the clients that have none.

    Whether these are the clients of the identity, its history is to say, which is not verified.

    Raises:
        ServiceError: code `unknown-identity`, `keys-exhausted`, `no-common-suite` among others.
        TransportError: code `unreachable`.
        ValidationError, VerificationError, DecodeError: the service gave what the client did not publish.
    """
    request = GetUserInitKeyRequest(
        identity=identity.encode("utf-8"), supported_suites=tuple(from_rfc9420(suite) for suite in wanted)
    )
    headers = {"Accept": MEDIA_TYPE_KEY_RESPONSE}
    response = await _send(
        transport, service, "POST", "bundles", MEDIA_TYPE_KEY_REQUEST, request.encode(), headers
    )
    answer = _decode(response, KeyResponse)
    clients = answer.clients
    if len({client.client_id for client in clients}) != len(clients):
        raise ValidationError("the delivery service named a client twice", code="bad-answer")
    bundles = []
    without = []
    for client in clients:
        if not isinstance(client.result, KeyBundle):
            offered = client.result.offered if isinstance(client.result, CipherSuites) else ()
            without.append(WithoutKeys(client.client_id, offered))
            continue
        if client.result.client_id != client.client_id:
            raise ValidationError("the delivery service named a client by two names", code="bad-answer")
        bundles.append(verify_bundle(provider, identity, client.result, wanted=wanted, now=now))
    if not bundles:
        raise ValidationError("the delivery service answered without any keys", code="no-bundles")
    return FetchedKeys(tuple(bundles), tuple(without)), answer.history


async def submit(
    transport: Transport,
    service: DeliveryService,
    outgoing: Outgoing,
    recipients: Sequence[str] | None = None,
    token: bytes | None = None,
) -> tuple[RecipientResult, ...]:
    """Hand over a message. Doing so again, with the same message id, delivers it no second time.

    Args:
        recipients: those of its recipients that are meant, if not all.
        token: of our session there: then the recipients may be of any domain. Secret.

    Raises:
        ServiceError: it refuses.
        TransportError: code `unreachable`.
    """
    request = SubmitRequest(
        message_id=outgoing.message_id,
        recipients=tuple(
            identity.encode("utf-8")
            for identity in (outgoing.recipients if recipients is None else recipients)
        ),
        message=outgoing.message,
    )
    if token is None:
        response = await _post(transport, service, "messages", request, SubmitResponse)
    else:
        headers = authorization(token)
        sent = await _send(transport, service, "POST", "outgoing", MEDIA_TYPE, request.encode(), headers)
        response = _decode(sent, SubmitResponse)
    named = tuple(result.identity for result in response.results)
    if named != request.recipients:
        raise ValidationError(
            "the delivery service answered for other recipients than were asked for", code="bad-answer"
        )
    return response.results


async def ask(
    transport: Transport,
    service: DeliveryService,
    endpoint: str,
    body: Struct,
    answer: type[S],
    token: bytes | None = None,
) -> S:
    """The answer of an end point to a struct.

    Args:
        token: of our session there, if the end point needs one. Secret.

    Raises:
        ServiceError: it refuses.
        TransportError: code `unreachable`.
        DecodeError: what it answers is malformed.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {to_base64url(token)}"}
    return _decode(
        await _send(transport, service, "POST", endpoint, MEDIA_TYPE, body.encode(), headers), answer
    )


async def open_inbox(transport: Transport, service: DeliveryService) -> Connection:
    """Connect to the inbox; the hello is still to be sent.

    Raises:
        TransportError: code `unreachable`.
    """
    return await transport.connect("ws" + service.address("inbox").removeprefix("http"))


async def _post(
    transport: Transport, service: DeliveryService, endpoint: str, body: Struct | None, answer: type[S]
) -> S:
    encoded = b"" if body is None else body.encode()
    return _decode(await _send(transport, service, "POST", endpoint, MEDIA_TYPE, encoded, {}), answer)


async def _send(
    transport: Transport,
    service: DeliveryService,
    method: str,
    endpoint: str,
    media_type: str,
    body: bytes,
    headers: Mapping[str, str],
) -> Response:
    try:
        response = await transport.request(
            method,
            service.address(endpoint),
            headers={"Content-Type": media_type, **service.headers, **headers},
            body=body,
            limit=_MAX_RESPONSE,
        )
    except TransportError as error:
        raise TransportError(
            f"the delivery service of {service.domain}: {error.message}", code=error.code
        ) from error
    if response.status != 200:
        raise service_error(response.status, response.body)
    return response


def _decode(response: Response, answer: type[S]) -> S:
    return answer.decode(response.body)
