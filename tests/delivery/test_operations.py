"""Operating a service: its health, its metrics, its log, its end. With real processes, as an operator has them."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mls_delivery.logs import TextFormatter, failure_text
from mls_delivery.metrics import Metrics
from mls_federation.crypto import CryptoProvider
from mls_federation.federation import binding
from tests.delivery.support import (
    MESSAGE,
    Device,
    Inbox,
    Process,
    checked,
    enveloped,
    fetch,
    open_inbox,
    refusal,
    service_process,
    submit,
    websocket,
)

_CONFIG = """
operations = "127.0.0.1:{port}"
trusted_proxies = ["127.0.0.1"]
[log]
format = "{format}"
level = "debug"
[limits]
bundles_per_minute = 5
devices_per_minute = 5
ordering_per_minute = 5
connections_source = 2
body_seconds = 5
"""


@dataclass(frozen=True)
class Operated:
    """A service, and where its operator asks."""

    process: Process
    url: str

    def metrics(self) -> dict[str, float]:
        """Every sample, by name and labels as Prometheus writes them."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False).text
        return {
            sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@contextlib.contextmanager
def _operated(folder: Path, log_format: str = "json", limits: str = "") -> Iterator[Operated]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "delivery.toml"
    config.write_text(_CONFIG.format(port=port, format=log_format) + limits)
    with service_process(folder, "--config", str(config)) as process:
        yield Operated(process, f"http://127.0.0.1:{port}")


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[Operated]:
    """A service whose operator has said everything in a file."""
    with _operated(tmp_path) as running:
        yield running


def _now() -> int:
    return int(time.time())


def test_health(operated: Operated, tmp_path: Path) -> None:
    answer = httpx.get(f"{operated.url}/health", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "store": "ok"})


def test_a_store_that_fails(operated: Operated, tmp_path: Path) -> None:
    # What is overwritten from outside is cached in part, or mapped into memory, whose end would be the process's own.
    with contextlib.closing(sqlite3.connect(tmp_path / "delivery.sqlite3")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for name in tables:
            if not name.startswith("sqlite_"):
                database.execute(f"DROP TABLE {name}")
    answer = httpx.get(f"{operated.url}/health", trust_env=False)
    assert (answer.status_code, answer.json()) == (503, {"status": "failing", "store": "failing"})
    assert "the store does not answer" in operated.process.log.read_text()


def test_operations_are_not_for_everybody(operated: Operated) -> None:
    for path in ("/health", "/metrics"):
        assert refusal(operated.process.request("GET", path)) == (404, "not-found")
    assert httpx.get(operated.url + binding.WELL_KNOWN_PATH, trust_env=False).status_code == 404


def test_what_happens_is_counted(provider: CryptoProvider, operated: Operated) -> None:
    process = operated.process
    bob = Device.registered(provider, process)
    bob.publish(bob.key_set(_now()), bob.key_set(_now(), last_resort=True))
    for _ in range(3):
        fetch(process, "bob@b.example")
    submit(process, "bob@b.example", "nobody@b.example")
    submit(process, "bob@b.example")
    process.request("GET", "/v1/bob@b.example")
    process.post("/v1/bundles", b"", "text/plain")
    with bob.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().sequence for _ in range(2)] == [1, 2]
        assert operated.metrics()["mls_delivery_open_inboxes"] == 1
        inbox.acknowledge(1)
    with open_inbox(process, b"wrong") as inbox:
        assert inbox.close_code() == binding.CLOSE_BAD_TOKEN
    found = operated.metrics()
    expected = {
        "mls_delivery_requests_total bundles 200": 3,
        "mls_delivery_requests_total bundles 415": 1,
        "mls_delivery_requests_total other 404": 1,
        "mls_delivery_requests_total messages 200": 2,
        "mls_delivery_request_seconds_count bundles": 4,
        "mls_delivery_refusals_total not-found": 1,
        "mls_delivery_refusals_total unsupported-media-type": 1,
        "mls_delivery_key_sets_handed_out_total single": 1,
        "mls_delivery_key_sets_handed_out_total last_resort": 2,
        "mls_delivery_messages_accepted_total": 2,
        "mls_delivery_messages_delivered_total": 2,
        "mls_delivery_inboxes_closed_total 4401": 1,
        "mls_delivery_open_inboxes": 0,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["mls_delivery_waiting_messages"] == 1
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert "bob" not in " ".join(found)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_log_says_nothing_of_people(provider: CryptoProvider, tmp_path: Path, log_format: str) -> None:
    source = "203.0.113.77"
    secret = b"octets-of-a-message"
    with _operated(tmp_path, log_format) as operated:
        process = operated.process
        bob = Device.registered(provider, process)
        bob.publish(bob.key_set(_now()))
        for _ in range(8):
            request = binding.SubmitRequest(
                message_id=b"id-of-a-message!",
                recipients=(bob.identity,),
                message=enveloped(MESSAGE + secret),
            )
            checked(process.request("POST", "/v1/messages", request, _headers(source)))
            process.request("POST", "/v1/bundles", bob.identity, _headers(source))
        process.request("GET", "/v1/bob@b.example?token=opensesame")
        with bob.inbox() as inbox:
            inbox.ready()
            inbox.delivery()
        with websocket(process) as connection:
            connection.send(b"\x20" + bob.token_secret + b"broken")
        # And a failure, with the message in its hands.
        _drop_table(tmp_path / "delivery.sqlite3", "messages")
        request = binding.SubmitRequest(
            message_id=b"another-message!", recipients=(bob.identity,), message=enveloped(MESSAGE + secret)
        )
        assert refusal(process.request("POST", "/v1/messages", request, _headers(source)))[0] == 500
        assert process.end() == 0
        log = process.log.read_text()
    assert "no such table: messages" in log
    assert "Traceback" in log
    assert "429" in log
    # Its own address it may name.
    assert len([line for line in log.splitlines() if "127.0.0.1" in line]) == 1
    private = [
        "bob",
        source,
        "opensesame",
        secret.decode(),
        "id-of-a-message",
        "another-message",
        bob.token_secret.hex(),
        binding.to_base64url(bob.token_secret),
        bob.client_id.hex(),
        binding.to_base64url(bob.client_id),
        repr(bob.client_id)[2:-1],
    ]
    assert [text for text in private if text in log] == []
    lines = log.splitlines()
    if log_format == "json":
        events = [json.loads(line) for line in lines]
        assert {event["event"] for event in events} >= {"listening", "request", "ended"}
        requests = [event for event in events if event["event"] == "request"]
        assert {"messages", "bundles", "sessions", "other"} <= {event["endpoint"] for event in requests}
        assert all(event["seconds"] >= 0 for event in requests)
        assert any("Traceback" in event.get("failure", "") for event in events)
    else:
        assert any(
            re.search(r"DEBUG mls_delivery: request endpoint=bundles status=429", line) for line in lines
        )


def _headers(source: str) -> dict[str, str]:
    return {"Content-Type": binding.MEDIA_TYPE, "X-Forwarded-For": source}


def _drop_table(database: Path, table: str) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(f"DROP TABLE {table}")


def test_failures_are_shown_without_their_values() -> None:
    private = "bob" + "@b.example"

    def fail() -> None:
        try:
            {"": ""}[private]
        except KeyError as fault:
            raise ValueError(private) from fault

    with pytest.raises(ValueError, match=private) as caught:
        fail()
    text = failure_text(caught.value)
    assert "raise ValueError(private)" in text
    assert "KeyError" in text
    assert private not in text


def test_sources_have_limits_and_do_not_share_them(operated: Operated) -> None:
    process = operated.process

    def status(source: str) -> int:
        headers = {"Content-Type": binding.MEDIA_TYPE_KEY_REQUEST, "X-Forwarded-For": source}
        return process.request("POST", "/v1/bundles", b"", headers).status_code

    assert [status("203.0.113.1") for _ in range(6)] == [400] * 5 + [429]
    assert [status(f"203.0.113.{number}") for number in range(2, 5)] == [400] * 3
    assert [status("127.0.0.1") for _ in range(6)] == [400] * 6
    headers = {"Content-Type": binding.MEDIA_TYPE_KEY_REQUEST, "X-Forwarded-For": "203.0.113.1"}
    answer = process.request("POST", "/v1/bundles", b"", headers)
    assert refusal(answer) == (429, "rate-limited")
    assert 0 < int(answer.headers["retry-after"]) <= 12
    assert answer.json()["retry_after"] == int(answer.headers["retry-after"])


@pytest.mark.parametrize("path", ["/v1/devices", "/v1/groups", "/v1/commits", "/v1/missed", "/v1/group-info"])
def test_other_requests_have_limits_too(operated: Operated, path: str) -> None:
    headers = {"Content-Type": binding.MEDIA_TYPE, "X-Forwarded-For": "203.0.113.1"}
    answers = [operated.process.request("POST", path, b"", headers).status_code for _ in range(6)]
    assert answers == [400] * 5 + [429]


def test_what_waits_for_other_domains_is_counted_and_not_named(
    provider: CryptoProvider, tmp_path: Path
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        peer = f'[federation.peers]\n"c.example" = "http://127.0.0.1:{nobody.getsockname()[1]}"\n'
        with _operated(tmp_path, "text", peer) as operated:
            process = operated.process
            bob = Device.registered(provider, process)
            outgoing = binding.SubmitRequest(
                message_id=bytes(16),
                recipients=(b"carol@c.example", b"dave@c.example"),
                message=enveloped(MESSAGE),
            )
            headers = {**bob.authorization, "Content-Type": binding.MEDIA_TYPE}
            checked(process.request("POST", "/v1/outgoing", outgoing, headers))
            found = operated.metrics()
            assert found["mls_delivery_relay_waiting"] == 2
            assert found["mls_delivery_requests_total outgoing 200"] == 1
            for _ in range(1000):
                if found["mls_delivery_relay_postponed_total"]:
                    break
                found = operated.metrics()
            assert found["mls_delivery_relay_postponed_total"] >= 1
            assert process.end() == 0
            log = process.log.read_text()
    assert "c.example is not reached" in log
    assert [name for name in ("bob", "carol", "dave") if name in log] == []


def test_every_metric_is_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    documented = set(re.findall(r"^\| `(mls_delivery_\w+)` \|", document, re.MULTILINE))
    families = [family for family in Metrics().registry.collect() if family.name.startswith("mls_")]
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert names == documented


def test_an_event_is_one_line() -> None:
    record = logging.makeLogRecord({"msg": "c.example says: %s", "args": ("\n\x1b[2J\u2028forged",)})
    assert TextFormatter().format(record).endswith(r"c.example says: \n\x1b[2J\u2028forged")


def test_requests_of_all_kinds_are_counted_together(provider: CryptoProvider, tmp_path: Path) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9"}
    with _operated(tmp_path, limits="requests_per_minute = 3\n") as operated:
        process = operated.process
        bob = Device.registered(provider, process)
        with open_inbox(process, bob.token_secret, headers=headers) as inbox:
            inbox.ready()
        checked(process.request("POST", "/v1/challenge", b"", headers))
        assert refusal(process.request("GET", "/v1/nothing", b"", headers)) == (404, "not-found")
        assert refusal(process.request("GET", "/v1/nothing", b"", headers)) == (429, "rate-limited")
        with websocket(process, headers=headers) as connection:
            assert Inbox(connection).close_code() == binding.CLOSE_TRY_LATER
        assert operated.metrics()["mls_delivery_refusals_total rate-limited"] == 1


def test_a_source_may_have_so_many_connections(provider: CryptoProvider, operated: Operated) -> None:
    process = operated.process
    devices = [Device.registered(provider, process, f"bob{number}@b.example") for number in range(3)]
    headers = {"X-Forwarded-For": "203.0.113.9"}
    with contextlib.ExitStack() as held:
        for device in devices[:2]:
            held.enter_context(open_inbox(process, device.token_secret, headers=headers)).ready()
        third = held.enter_context(websocket(process, headers=headers))
        assert Inbox(third).close_code() == binding.CLOSE_TRY_LATER
        answer = process.request("POST", "/v1/challenge", b"", headers)
        assert refusal(answer) == (429, "too-many-connections")
        assert answer.headers["retry-after"] == "10"
        # Others are served.
        held.enter_context(devices[2].inbox()).ready()
    checked(process.request("POST", "/v1/challenge", b"", headers))


def test_the_end_lets_requests_finish_and_closes_inboxes(
    provider: CryptoProvider, operated: Operated
) -> None:
    process = operated.process
    bob = Device.registered(provider, process)
    request = binding.SubmitRequest(
        message_id=bytes(16), recipients=(bob.identity,), message=enveloped(MESSAGE)
    ).encode()
    url = httpx.URL(process.url)
    assert url.port is not None
    with bob.inbox() as inbox, socket.create_connection((url.host, url.port), timeout=20) as slow:
        inbox.ready()
        head = f"POST /v1/messages HTTP/1.1\r\nHost: b\r\nContent-Type: {binding.MEDIA_TYPE}\r\n"
        slow.sendall(f"{head}Content-Length: {len(request)}\r\n\r\n".encode() + request[:10])
        # Its request is in progress when it has been counted as a connection: the answer to another comes after that.
        checked(process.post("/v1/challenge", b""))
        process.popen.send_signal(signal.SIGTERM)
        assert inbox.close_code() == 1012
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((url.host, url.port), timeout=20).close()
        slow.sendall(request[10:])
        answer = slow.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200")
    assert process.popen.wait(20) == 0
    assert "Traceback" not in process.log.read_text()


def test_the_end_comes_though_a_request_does_not(provider: CryptoProvider, operated: Operated) -> None:
    process = operated.process
    url = httpx.URL(process.url)
    assert url.port is not None
    with socket.create_connection((url.host, url.port), timeout=20) as slow:
        slow.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n")
        slow.sendall(f"Content-Type: {binding.MEDIA_TYPE}\r\n\r\nhalf".encode())
        checked(process.post("/v1/challenge", b""))
        began = time.monotonic()
        assert process.end() == 0
        # The body's time was over first.
        assert time.monotonic() - began < 8
