"""The delivery service of another domain, played by a test: it says who it is, signs, and notes what it is asked."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mls_delivery.context import ENDPOINTS
from mls_delivery.signatures import sign_request
from mls_federation.codec import Struct
from mls_federation.federation.binding import MEDIA_TYPE, VERSION, WELL_KNOWN_PATH, ServiceDescription
from mls_federation.federation.relay import RelayedMessage, RelayRequest
from tests.delivery.support import Clock, Running, enveloped

_nonces = itertools.count(1)
Answer = tuple[int, str, bytes]


@dataclass
class Peer:
    """Another domain's service.

    Attributes:
        asked: path, headers and body of each request but those for its description.
        answer: to a path and a body.
        described: how often it was asked for its description.
    """

    domain: str
    clock: Clock
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    url: str = ""
    says_domain: str = ""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[str, bytes], Answer] = lambda _path, _body: (404, "text/plain", b"")
    described: int = 0

    @property
    def public_key(self) -> bytes:
        """That of its signing key."""
        return self.key.public_key().public_bytes_raw()

    @property
    def description(self) -> ServiceDescription:
        """What it says of itself."""
        return ServiceDescription(
            self.says_domain or self.domain, (VERSION,), self.public_key, ENDPOINTS, {"body": 1 << 20}
        )

    def headers(
        self,
        body: bytes,
        *,
        receiver: str = "b.example",
        path: str = "/v1/relay",
        sender: str = "",
        nonce: bytes | None = None,
        content_type: str = MEDIA_TYPE,
    ) -> dict[str, str]:
        """Those of a request that it signs."""
        return sign_request(
            private_key=self.key.private_bytes_raw(),
            key=self.public_key,
            sender=sender or self.domain,
            receiver=receiver,
            path=path,
            content_type=content_type,
            body=body,
            nonce=nonce or next(_nonces).to_bytes(16, "big"),
            now=self.clock(),
        )

    def relay(self, service: Running, request: RelayRequest) -> httpx.Response:
        """The answer to messages and notices that it relays."""
        body = request.encode()
        return service.request("POST", "/v1/relay", body, self.headers(body, receiver=service.domain))


def relay_request(
    *recipients: str, message: bytes, message_id: bytes = bytes(range(0xB0, 0xC0))
) -> RelayRequest:
    """A request to relay one message."""
    relayed = RelayedMessage(
        message_id=message_id,
        recipients=tuple(name.encode() for name in recipients),
        message=enveloped(message),
    )
    return RelayRequest(messages=(relayed,), notices=())


@contextlib.contextmanager
def running_peer(domain: str, clock: Clock) -> Iterator[Peer]:
    """A peer that listens."""
    peer = Peer(domain, clock)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == WELL_KNOWN_PATH:
                peer.described += 1
                self._reply(200, "application/json", peer.description.encode())
            else:
                self._reply(404, "text/plain", b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            peer.asked.append((self.path, headers, body))
            self._reply(*peer.answer(self.path, body))

        def _reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def encoded(struct: Struct) -> Answer:
    """A good answer."""
    return 200, MEDIA_TYPE, struct.encode()
