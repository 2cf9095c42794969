"""Delivery services to test against, and a client of theirs that does exactly what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from sqlalchemy import create_engine, select
from websockets import Origin
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mls_delivery.app import application
from mls_delivery.config import Federation
from mls_delivery.context import delivery_service
from mls_delivery.service import Limits
from mls_delivery.store import open_store
from mls_delivery.store.schema import metadata
from mls_federation.codec import Struct, replace
from mls_federation.crypto import (
    CipherSuite,
    CryptoProvider,
    KeyPair,
    SignatureScheme,
    crypto,
    generate_signature_key,
)
from mls_federation.errors import ServiceError
from mls_federation.federation import binding, devices, log, seed
from mls_federation.federation.devices import DeviceEvent
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.identity import FEDERATION_IDENTITY, identity_extension
from mls_federation.federation.manifest import build_key_set
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.key_package import KeyPackage, create_key_package
from mls_federation.mls.nodes import Capabilities, Lifetime, ProtocolVersion
from tests.support.ending import EndingServer

ORIGIN = "http://127.0.0.1:8000"
SUITE_1 = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
SUITE_2 = CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
SUITE_3 = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
MESSAGE = b"\x00\x01\x00\x02" + b"an MLS message that the service cannot read"

_DEADLINE_SECONDS = 20
# Reading the system's certificates, which a client does else, takes longer than most tests.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Clock:
    """A clock that stands still until it is told to move."""

    now: int = 1_800_000_000

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Running:
    """A service that listens."""

    domain: str
    url: str

    @property
    def inbox_url(self) -> str:
        """Of its WebSocket."""
        return self.url.replace("http", "ws", 1) + "/v1/inbox"

    def post(self, path: str, body: Struct | bytes, kind: str = binding.MEDIA_TYPE) -> httpx.Response:
        """The answer to a POST."""
        return self.request("POST", path, body, {"Content-Type": kind})

    def request(
        self, method: str, path: str, body: Struct | bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """The answer to a request."""
        content = body.encode() if isinstance(body, Struct) else body
        # A proxy that is configured for the outside has nothing to do with this machine's own ports.
        with httpx.Client(trust_env=False, verify=_NO_TLS, timeout=_DEADLINE_SECONDS) as client:
            return client.request(method, self.url + path, content=content, headers=headers)


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{file.as_posix()}"


@contextlib.contextmanager
def running_service(
    provider: CryptoProvider,
    database: Path | str,
    *,
    clock: Clock,
    limits: Limits | None = None,
    domain: str = "b.example",
    sign_in_url: str | None = None,
    ending: list[threading.Thread] | None = None,
    federation: Federation | None = None,
) -> Iterator[Running]:
    """A service on a real socket and a real file, in a thread of this process, so that a test can set its clock.

    Args:
        database: its URL, or an SQLite file.
        ending: at the end, the service's thread is put here while it ends; without it, the end is waited for.
    """
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    async def serve() -> None:
        service = await delivery_service(
            domain=domain,
            provider=provider,
            store=open_store(database if isinstance(database, str) else sqlite_url(database)),
            clock=clock,
            allowed_origins=(ORIGIN,),
            limits=limits or Limits(),
            federation=federation,
            sign_in_url=sign_in_url,
        )
        config = uvicorn.Config(
            application(service), log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=2
        )
        servers.append(EndingServer(config))
        await servers[0].serve(sockets=[listening])

    servers: list[EndingServer] = []
    listening.listen()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        running = Running(domain, f"http://127.0.0.1:{port}")
        # The socket listens already, so this waits until the service answers, however long it takes to start.
        assert running.request("GET", binding.WELL_KNOWN_PATH).status_code == 200
        yield running
    finally:
        for server in servers:
            server.should_exit = True
        if ending is None:
            wait_for_end(thread)
        else:
            ending.append(thread)


def everything_kept(database_url: str) -> bytes:
    """All octets in all tables of a store."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    engine.dispose()
    return b"\n".join(value for row in rows for value in row if isinstance(value, bytes))


def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for_end(thread: threading.Thread) -> None:
    """Return when a service's thread has ended."""
    thread.join(_DEADLINE_SECONDS)
    assert not thread.is_alive()


@dataclass(frozen=True)
class Process(Running):
    """A service that is a process of its own."""

    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        self.popen.kill()
        self.popen.wait(_DEADLINE_SECONDS)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(_DEADLINE_SECONDS)


@contextlib.contextmanager
def service_process(
    folder: Path, *options: str, domain: str = "b.example", database: str | None = None
) -> Iterator[Process]:
    """A service as a user starts it, on a port of its own; without a database's URL, that is a file in `folder`."""
    database = database or sqlite_url(folder / "delivery.sqlite3")
    with _launched(folder, database, *options, domain=domain) as process:
        _wait_until_it_answers(process)
        yield process


@contextlib.contextmanager
def service_processes(folder: Path, database_url: str, *options: str) -> Iterator[tuple[Process, Process]]:
    """The service of b.example as two processes, started at the same time, that share a database."""
    with (
        _launched(folder, database_url, *options) as one,
        _launched(folder, database_url, *options) as other,
    ):
        for process in (one, other):
            _wait_until_it_answers(process)
        yield one, other


@contextlib.contextmanager
def _launched(folder: Path, database_url: str, *options: str, domain: str = "b.example") -> Iterator[Process]:
    port = unused_port()
    command = [sys.executable, "-m", "mls_delivery", "--domain", domain, "--port", str(port)]
    command += ["--database", database_url, "--allow-origin", ORIGIN, *options]
    log = folder / f"delivery-{port}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ)
    process = Process(domain, f"http://127.0.0.1:{port}", popen, log)
    try:
        yield process
    finally:
        if popen.poll() is None:
            process.kill()


def _wait_until_it_answers(process: Process) -> None:
    while process.popen.poll() is None:
        with contextlib.suppress(httpx.ConnectError):
            assert process.request("GET", binding.WELL_KNOWN_PATH).status_code == 200
            return
    raise AssertionError(process.log.read_text())


@dataclass
class Device:
    """A client: its identity key, and its session at a service."""

    provider: CryptoProvider
    service: Running
    identity: bytes
    key: KeyPair
    client_id: bytes
    token_secret: bytes = field(default=b"", repr=False)
    lineage: tuple[DeviceEvent, ...] = ()
    scheme: SignatureScheme = SignatureScheme.ed25519

    @classmethod
    def new(
        cls,
        provider: CryptoProvider,
        service: Running,
        identity: str = "bob@b.example",
        key: KeyPair | None = None,
    ) -> Device:
        """A device without a session, that nobody has admitted."""
        key = key or generate_signature_key(provider, SignatureScheme.ed25519)
        return cls(provider, service, identity.encode(), key, provider.random(binding.CLIENT_ID_SIZE))

    @classmethod
    def claiming(cls, provider: CryptoProvider, service: Running, identity: str = "bob@b.example") -> Device:
        """A device that has claimed its identity, without a session."""
        device = cls.new(provider, service, identity)
        device.claim()
        return device

    @classmethod
    def registered(
        cls,
        provider: CryptoProvider,
        service: Running,
        identity: str = "bob@b.example",
        by: Device | None = None,
    ) -> Device:
        """A device with a session, that has claimed the identity, or that another one has admitted."""
        device = cls.new(provider, service, identity)
        if by is None:
            device.claim()
        else:
            by.admit(device)
        device.open_session()
        return device

    def claim_event(self) -> DeviceEvent:
        """The event by which it claims its identity."""
        return devices.claim_event(self.provider, self.client_id, self.credential, self.key)

    def request(self) -> devices.DeviceRequest:
        """Its request to be admitted."""
        return devices.device_request(self.provider, self.client_id, self.credential, self.key)

    def chain(self) -> devices.Devices:
        """The chain of its identity, as the service has it."""
        asked = log.HistoryRequest(identity=self.identity)
        history = log.IdentityHistory.decode(checked(self.service.post("/v1/history", asked)))
        return devices.devices_of(self.provider, [logged.event for logged in history.events])

    def send(self, event: DeviceEvent) -> httpx.Response:
        """The answer to an event."""
        return self.service.post("/v1/devices", event)

    def claim(self) -> None:
        """Claim its identity."""
        checked(self.send(self.claim_event()))

    def admission(self, new: Device) -> DeviceEvent:
        """The event by which it admits another."""
        return devices.admit_event(self.provider, self.chain(), new.request(), self.credential, self.key)

    def admit(self, new: Device) -> None:
        """Admit another."""
        event = self.admission(new)
        checked(self.send(event))
        new.lineage = (*self.lineage, event)

    def revocation(self, gone: Device) -> DeviceEvent:
        """The event by which it revokes one."""
        return devices.revoke_event(self.provider, self.chain(), gone.client_id, self.credential, self.key)

    def revoke(self, gone: Device) -> None:
        """Revoke one."""
        checked(self.send(self.revocation(gone)))

    @property
    def credential(self) -> seed.Credential:
        """Its identity credential."""
        return seed.Credential(
            credential_type=seed.CredentialType.basic,
            credential=seed.BasicCredential(
                identity=self.identity, algorithm=self.scheme, public_key=self.key.public_key
            ),
        )

    def challenge(self) -> bytes:
        """A challenge of the service."""
        return binding.Challenge.decode(checked(self.service.post("/v1/challenge", b""))).challenge

    def session_request(self, **changes: object) -> binding.SessionRequest:
        """A request as the rules want it, or with some fields changed before it is signed."""
        fields = {
            "identity": self.identity,
            "client_id": self.client_id,
            "credential": self.credential,
            "challenge": b"",
            "domain": self.service.domain,
        } | changes
        fields["challenge"] = fields["challenge"] or self.challenge()
        signed = binding.session_sign_content(**fields)  # type: ignore[arg-type]
        del fields["domain"]
        signature = self.provider.sign(self.scheme, self.key.private_key, signed)
        return binding.SessionRequest(signature=signature, **fields)  # type: ignore[arg-type]

    def open_session(self) -> binding.SessionResponse:
        """Open a session and use it from now on."""
        response = binding.SessionResponse.decode(
            checked(self.service.post("/v1/sessions", self.session_request()))
        )
        self.token_secret = response.token_secret
        return response

    @property
    def authorization(self) -> dict[str, str]:
        """The header that carries its session's token."""
        return {"Authorization": f"Bearer {binding.to_base64url(self.token_secret)}"}

    def key_set(
        self, now: int, *suites: CipherSuite, last_resort: bool = False, seconds: int = 1000
    ) -> binding.KeySet:
        """A new key set, good for some seconds from `now`."""
        packages = [
            self.key_package(suite, now, seconds, last_resort=last_resort) for suite in suites or (SUITE_1,)
        ]
        return build_key_set(self.provider, self.credential, self.key, packages, last_resort=last_resort)

    def key_package(
        self, suite: CipherSuite, now: int, seconds: int = 1000, *, last_resort: bool = False
    ) -> KeyPackage:
        """A new KeyPackage, good for some seconds from `now`."""
        primitives = crypto(self.provider, suite)
        signature_key = primitives.generate_signature_key()
        return create_key_package(
            primitives,
            credential=basic_credential(self.identity),
            signature_key=signature_key,
            capabilities=Capabilities(
                versions=(ProtocolVersion.mls10,),
                cipher_suites=(suite,),
                extensions=(FEDERATION_IDENTITY, ExtensionType.last_resort),
                proposals=(),
                credentials=(CredentialType.basic,),
            ),
            lifetime=Lifetime(not_before=now, not_after=now + seconds),
            leaf_extensions=[
                identity_extension(
                    self.provider, self.credential, self.key, suite, signature_key.public_key, self.lineage
                )
            ],
            extensions=[Extension(extension_type=ExtensionType.last_resort, extension_data=b"")]
            * last_resort,
        ).key_package

    def put(self, *key_sets: binding.KeySet) -> httpx.Response:
        """The answer to publishing key sets."""
        headers = self.authorization | {"Content-Type": binding.MEDIA_TYPE}
        return self.service.request("PUT", "/v1/key-sets", binding.PublishRequest(key_sets=key_sets), headers)

    def publish(self, *key_sets: binding.KeySet) -> int:
        """Publish key sets; returns how many are there now."""
        return binding.PublishResponse.decode(checked(self.put(*key_sets))).available

    def inbox(self, cursor: int = 0) -> contextlib.AbstractContextManager[Inbox]:
        """Its inbox, open, after the hello."""
        return open_inbox(self.service, self.token_secret, cursor)


@dataclass(frozen=True)
class Inbox:
    """An open inbox."""

    connection: ClientConnection

    def frame(
        self,
    ) -> binding.InboxReady | binding.InboxDelivery | binding.InboxKeyCount | binding.InboxNotice:
        """The next frame."""
        data = self.connection.recv(timeout=_DEADLINE_SECONDS)
        assert isinstance(data, bytes)
        return binding.InboxFrame.decode(data).frame

    def ready(self) -> int:
        """The first frame; returns up to where the service knows of acknowledgements."""
        frame = self.frame()
        assert isinstance(frame, binding.InboxReady)
        return frame.last_acknowledged

    def delivery(self) -> binding.InboxDelivery:
        """The next delivery, with the MLSMessage alone; key counts before it are passed over."""
        frame = self.frame()
        while isinstance(frame, binding.InboxKeyCount):
            frame = self.frame()
        assert isinstance(frame, binding.InboxDelivery)
        return replace(frame, message=Envelope.decode(frame.message).message)

    def acknowledge(self, cursor: int) -> None:
        """Acknowledge up to `cursor`."""
        self.connection.send(binding.InboxAck(cursor=cursor).encode())

    def close_code(self) -> int:
        """The code with which the service closes the connection; frames before that are passed over."""
        try:
            while True:
                self.connection.recv(timeout=_DEADLINE_SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


@contextlib.contextmanager
def open_inbox(
    service: Running, token_secret: bytes, cursor: int = 0, headers: dict[str, str] | None = None
) -> Iterator[Inbox]:
    """An inbox, after the hello."""
    with websocket(service, headers=headers) as connection:
        connection.send(binding.InboxHello(token_secret=token_secret, cursor=cursor).encode())
        yield Inbox(connection)


def until_acknowledged(device: Device) -> int:
    """Return up to where a device has acknowledged, once the service has acted on it; it does not answer to that."""
    for _ in range(1000):
        with device.inbox() as inbox:
            if acknowledged := inbox.ready():
                return acknowledged
    raise AssertionError("nothing was acknowledged")


def websocket(
    service: Running, *, origin: str | None = None, headers: dict[str, str] | None = None
) -> ClientConnection:
    """A WebSocket to the inbox end point, before the hello."""
    return connect(
        service.inbox_url,
        proxy=None,
        origin=None if origin is None else Origin(origin),
        additional_headers=headers,
    )


def checked(response: httpx.Response) -> bytes:
    """The body of a good answer.

    Raises:
        ServiceError: it is a refusal.
    """
    if response.status_code != 200:
        raise binding.service_error(response.status_code, response.content)
    return response.content


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which must be a complete problem report."""
    report = response.json()
    assert response.headers["content-type"] == binding.MEDIA_TYPE_PROBLEM
    assert report["status"] == response.status_code
    assert report["title"]
    assert report["detail"]
    error = binding.service_error(response.status_code, response.content)
    assert error.code != ServiceError.default_code
    return error.status, error.code


def enveloped(message: bytes) -> bytes:
    """An MLSMessage as it is submitted, without a receipt."""
    return Envelope(message=message, receipt=None).encode()


def submit(
    service: Running, *recipients: str, message: bytes = MESSAGE, message_id: bytes = b""
) -> list[int]:
    """Submit an MLSMessage; returns the status for each recipient."""
    request = binding.SubmitRequest(
        message_id=message_id or os.urandom(16),
        recipients=tuple(recipient.encode() for recipient in recipients),
        message=enveloped(message),
    )
    response = binding.SubmitResponse.decode(checked(service.post("/v1/messages", request)))
    assert [result.identity.decode() for result in response.results] == list(recipients)
    return [int(result.status) for result in response.results]


def key_request(identity: str, *suites: CipherSuite) -> seed.GetUserInitKeyRequest:
    """A request for the keys of an identity, by suites of RFC 9420."""
    return seed.GetUserInitKeyRequest(
        identity=identity.encode(), supported_suites=tuple(seed.from_rfc9420(suite) for suite in suites)
    )


def fetch(service: Running, identity: str, *suites: CipherSuite) -> tuple[binding.KeyBundle, ...]:
    """The bundles of an identity, by the extended end point."""
    request = key_request(identity, *suites or (SUITE_1,))
    response = service.post("/v1/bundles", request, binding.MEDIA_TYPE_KEY_REQUEST)
    body = checked(response)
    assert response.headers["content-type"] == binding.MEDIA_TYPE_KEY_RESPONSE
    return bundles_in(body)


def bundles_in(body: bytes) -> tuple[binding.KeyBundle, ...]:
    """The bundles of a `KeyResponse`."""
    results = [client.result for client in log.KeyResponse.decode(body).clients]
    return tuple(result for result in results if isinstance(result, binding.KeyBundle))
