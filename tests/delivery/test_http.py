"""What all HTTP end points have in common: the description, media types, sizes, CORS, unknown paths."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mls_delivery.context import ENDPOINTS
from mls_delivery.service import Limits
from mls_federation.crypto import CryptoProvider
from mls_federation.federation import binding, seed
from tests.delivery.support import (
    ORIGIN,
    Clock,
    Device,
    Running,
    checked,
    enveloped,
    refusal,
    running_service,
    submit,
)


def test_the_description(provider: CryptoProvider, service: Running) -> None:
    response = service.request("GET", "/.well-known/mls-federation")
    assert response.headers["content-type"] == "application/json"
    description = binding.ServiceDescription.decode(checked(response))
    assert (description.domain, description.versions) == ("b.example", (1,))
    assert description.endpoints == ENDPOINTS
    assert description.limits["body"] == 1 << 20
    assert description.limits["inbox_messages"] == 10_000
    assert len(description.signing_key) == 32


def test_the_signing_key_stays(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> None:
    def signing_key(database: str) -> bytes:
        with running_service(provider, tmp_path / database, clock=clock) as service:
            body = service.request("GET", binding.WELL_KNOWN_PATH).content
            return binding.ServiceDescription.decode(body).signing_key

    first = signing_key("b.sqlite3")
    assert signing_key("b.sqlite3") == first
    assert signing_key("other.sqlite3") != first


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", (404, "not-found")),
        ("POST", "/v1/nothing", (404, "not-found")),
        ("POST", "/v1/bundles/", (404, "not-found")),
        ("GET", "/v1/bundles", (405, "method-not-allowed")),
        ("POST", "/v1/key-sets", (405, "method-not-allowed")),
        ("DELETE", "/v1/messages", (405, "method-not-allowed")),
    ],
)
def test_unknown_paths_and_methods(
    service: Running, method: str, path: str, expected: tuple[int, str]
) -> None:
    response = service.request(method, path)
    assert refusal(response) == expected
    assert (response.status_code == 405) == ("allow" in response.headers)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/sessions", "application/json"),
        ("POST", "/v1/sessions", ""),
        ("PUT", "/v1/key-sets", "text/plain"),
        ("POST", "/v1/bundles", binding.MEDIA_TYPE),
        ("POST", "/v1/messages", binding.MEDIA_TYPE_KEY_REQUEST),
    ],
)
def test_media_types(service: Running, method: str, path: str, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert refusal(service.request(method, path, b"", headers)) == (415, "unsupported-media-type")


def test_a_media_type_may_have_parameters_and_capitals(service: Running) -> None:
    response = service.post("/v1/messages", b"", "Application/MLS-Federation; v=1")
    assert refusal(response) == (400, "malformed")


@pytest.mark.parametrize(
    ("path", "kind", "body", "struct", "field", "offset"),
    [
        ("/v1/sessions", binding.MEDIA_TYPE, "", "SessionRequest", "identity", 0),
        ("/v1/sessions", binding.MEDIA_TYPE, "0161 00 07", "Credential", "credential_type", 3),
        ("/v1/bundles", binding.MEDIA_TYPE_KEY_REQUEST, "0003 6162", "GetUserInitKeyRequest", "identity", 2),
        (
            "/v1/bundles",
            seed.MEDIA_TYPE_REQUEST,
            "0000 01 00",
            "GetUserInitKeyRequest",
            "supported_suites",
            3,
        ),
        ("/v1/bundles", seed.MEDIA_TYPE_REQUEST, "0000 00 00", "GetUserInitKeyRequest", "(end)", 3),
        ("/v1/messages", binding.MEDIA_TYPE, "00 4001 61", "SubmitRequest", "recipients", 1),
        ("/v1/messages", binding.MEDIA_TYPE, "00 00 c0", "SubmitRequest", "message", 2),
    ],
)
def test_malformed_bodies(
    service: Running, path: str, kind: str, body: str, struct: str, field: str, offset: int
) -> None:
    response = service.post(path, bytes.fromhex(body), kind)
    assert refusal(response) == (400, "malformed")
    report = response.json()
    assert (report["struct"], report["field"], report["offset"]) == (struct, field, offset)


def test_asking_for_a_challenge_has_no_body(service: Running) -> None:
    assert refusal(service.post("/v1/challenge", b"x")) == (400, "malformed")


_SMALL = Limits(body=2000, body_seconds=1)


@pytest.fixture
def small_service(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> Iterator[Running]:
    """A service that takes 2,000 octets at most, and waits for them a second."""
    with running_service(provider, tmp_path / "small.sqlite3", clock=clock, limits=_SMALL) as running:
        yield running


def _in_chunks(octets: int) -> Iterator[bytes]:
    while octets:
        size = min(octets, 500)
        octets -= size
        yield bytes(size)


@pytest.mark.parametrize("octets", [2001, 5000, 8000])
def test_bodies_that_are_too_large(small_service: Running, octets: int) -> None:
    response = small_service.post("/v1/messages", bytes(octets))
    assert refusal(response) == (413, "too-large")
    assert response.json()["limit"] == 2000


@pytest.mark.parametrize("octets", [2001, 5000, 8000])
def test_chunked_bodies_that_are_too_large(small_service: Running, octets: int) -> None:
    with httpx.Client(trust_env=False) as client:
        response = client.post(
            small_service.url + "/v1/messages",
            content=_in_chunks(octets),
            headers={"Content-Type": binding.MEDIA_TYPE},
        )
    assert "content-length" not in response.request.headers
    assert refusal(response) == (413, "too-large")


def test_an_endless_body_is_cut_off(small_service: Running) -> None:
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: b.example\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {binding.MEDIA_TYPE}\r\n\r\n"
    )
    chunk = b"400\r\n" + bytes(0x400) + b"\r\n"
    with _raw(small_service) as connection:
        connection.sendall(head.encode())
        with pytest.raises(ConnectionError):
            connection.sendall(chunk * 100_000)


def test_a_huge_body_is_refused_before_it_is_sent(small_service: Running) -> None:
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: b.example\r\nContent-Length: 1000000000\r\n"
        f"Content-Type: {binding.MEDIA_TYPE}\r\n\r\n"
    )
    with _raw(small_service) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_comes(small_service: Running) -> None:
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: b.example\r\nContent-Length: 100\r\n"
        f"Content-Type: {binding.MEDIA_TYPE}\r\n\r\nand then nothing"
    )
    with _raw(small_service) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_sender_that_goes_away_harms_nobody(provider: CryptoProvider, small_service: Running) -> None:
    with _raw(small_service) as connection:
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n")
        connection.sendall(f"Content-Type: {binding.MEDIA_TYPE}\r\n\r\nhalf".encode())
    Device.registered(provider, small_service)
    assert submit(small_service, "bob@b.example") == [0]


def _raw(service: Running) -> socket.socket:
    url = httpx.URL(service.url)
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=20)


def _preflight(service: Running, origin: str, path: str, method: str, headers: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return service.request("OPTIONS", path, headers=asked)


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/key-sets", "PUT", "authorization,content-type"),
        ("/v1/bundles", "POST", "content-type"),
        ("/.well-known/mls-federation", "GET", ""),
    ],
)
def test_pages_of_named_origins_may_ask(service: Running, path: str, method: str, headers: str) -> None:
    response = _preflight(service, ORIGIN, path, method, headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert method in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower()
    assert all(header in allowed for header in headers.split(",") if header)


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8001", "https://127.0.0.1:8000", "null", ORIGIN + ".evil"]
)
def test_pages_of_other_origins_may_not(service: Running, origin: str) -> None:
    response = _preflight(service, origin, "/v1/bundles", "POST", "content-type")
    assert response.status_code == 400
    assert "access-control-allow-origin" not in response.headers
    plain = service.request("GET", binding.WELL_KNOWN_PATH, headers={"Origin": origin})
    assert "access-control-allow-origin" not in plain.headers


def test_pages_can_read_refusals_too(service: Running) -> None:
    for path in ("/v1/bundles", "/v1/nothing"):
        response = service.request("POST", path, headers={"Origin": ORIGIN})
        assert response.status_code in (404, 415)
        assert response.headers["access-control-allow-origin"] == ORIGIN


def test_answers_are_not_kept_by_caches(service: Running) -> None:
    for path in ("/v1/challenge", "/v1/bundles", "/v1/nothing"):
        assert service.post(path, b"").headers["cache-control"] == "no-store"


def test_a_failure_is_reported_without_its_cause(
    provider: CryptoProvider, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    request = binding.SubmitRequest(
        message_id=b"0123456789abcdef",
        recipients=(b"bob@b.example",),
        message=enveloped(b"\x00\x01\x00\x02ciphertext"),
    )
    headers = {"Content-Type": binding.MEDIA_TYPE, "Origin": ORIGIN}
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock) as service:
        Device.registered(provider, service)
        with contextlib.closing(sqlite3.connect(tmp_path / "b.sqlite3")) as database:
            database.execute("DROP TABLE received")
        response = service.request("POST", "/v1/messages", request, headers)
    assert refusal(response) == (500, "internal-error")
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "received" not in response.text
    assert "no such table" in caplog.text
    assert "ciphertext" not in caplog.text
    assert "0123456789abcdef" not in caplog.text
