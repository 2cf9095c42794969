"""Requests of other domains' services, and of those who pretend to be one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mls_delivery.__main__ import main
from mls_delivery.config import Federation, Policy
from mls_delivery.service import Limits
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import MEDIA_TYPE
from mls_federation.federation.relay import RelayRequest, RelayResponse
from tests.delivery.peer import Peer, relay_request, running_peer
from tests.delivery.support import MESSAGE, Clock, Device, Running, checked, refusal, running_service


@dataclass(frozen=True)
class Neighbours:
    """The service of b.example, with Bob; and that of a.example, which the test plays."""

    a: Peer
    b: Running
    bob: Device


Setting = Callable[..., contextlib.AbstractContextManager[Neighbours]]


@pytest.fixture
def setting(
    provider: CryptoProvider, tmp_path: Path, clock: Clock, ending: list[threading.Thread]
) -> Setting:
    """Makes neighbours."""

    @contextlib.contextmanager
    def neighbours(
        policy: Policy = Policy.open, *domains: str, limits: Limits | None = None
    ) -> Iterator[Neighbours]:
        with running_peer("a.example", clock) as a:
            federation = Federation(policy, frozenset(domains), {"a.example": a.url})
            with running_service(
                provider,
                tmp_path / "b.sqlite3",
                clock=clock,
                ending=ending,
                federation=federation,
                limits=limits,
            ) as b:
                yield Neighbours(a, b, Device.registered(provider, b))

    return neighbours


@pytest.fixture
def both(setting: Setting) -> Iterator[Neighbours]:
    """Neighbours who speak with everybody."""
    with setting() as neighbours:
        yield neighbours


REQUEST = relay_request("bob@b.example", message=MESSAGE)


def statuses(response: httpx.Response) -> list[list[int]]:
    """What became of each relayed message, for each recipient."""
    results = RelayResponse.decode(checked(response)).results
    return [[int(result.status) for result in one.results] for one in results]


def test_a_relayed_message_is_delivered(both: Neighbours) -> None:
    request = relay_request("bob@b.example", "nobody@b.example", message=MESSAGE)
    assert statuses(both.a.relay(both.b, request)) == [[0, 1]]
    with both.bob.inbox() as inbox:
        inbox.ready()
        assert inbox.delivery().message == MESSAGE


def test_the_same_message_is_delivered_once(both: Neighbours) -> None:
    for _ in range(2):
        assert statuses(both.a.relay(both.b, REQUEST)) == [[0]]
    other = relay_request("bob@b.example", message=MESSAGE, message_id=bytes(16))
    assert statuses(both.a.relay(both.b, other)) == [[0]]
    with both.bob.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().sequence for _ in range(2)] == [1, 2]


def test_nothing_overtakes_what_found_an_inbox_full(setting: Setting) -> None:
    with setting(limits=Limits(inbox_messages=2)) as both:
        first, *others = (
            relay_request("bob@b.example", message=MESSAGE, message_id=bytes([number]) * 16).messages[0]
            for number in range(4)
        )
        request = RelayRequest(messages=(first, *others), notices=())
        assert statuses(both.a.relay(both.b, request)) == [[0], [0], [2], [2]]


def test_an_identity_is_not_flooded_from_another_domain(setting: Setting, clock: Clock) -> None:
    with setting(limits=Limits(inbox_messages_per_minute=2)) as both:
        messages = tuple(
            relay_request("bob@b.example", message=MESSAGE, message_id=bytes([number]) * 16).messages[0]
            for number in range(4)
        )
        assert statuses(both.a.relay(both.b, RelayRequest(messages=messages, notices=()))) == [
            [0],
            [0],
            [2],
            [2],
        ]
        clock.now += 60
        assert statuses(both.a.relay(both.b, RelayRequest(messages=messages[2:], notices=()))) == [[0], [0]]


# -- those who pretend


def test_an_unsigned_request_is_refused(both: Neighbours) -> None:
    response = both.b.post("/v1/relay", REQUEST, MEDIA_TYPE)
    assert refusal(response) == (401, "unsigned-request")


def test_a_replayed_request_is_refused(both: Neighbours, clock: Clock) -> None:
    body = REQUEST.encode()
    headers = both.a.headers(body)
    assert statuses(both.b.request("POST", "/v1/relay", body, headers)) == [[0]]
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (409, "replayed-request")
    # For as long as the nonce need not be known any more, the signature is too old.
    clock.now += 119
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (409, "replayed-request")
    clock.now += 1
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (401, "bad-request-signature")


def test_a_replay_after_a_restart_is_refused(provider: CryptoProvider, tmp_path: Path, clock: Clock) -> None:
    body = REQUEST.encode()
    with running_peer("a.example", clock) as a:
        headers = a.headers(body)
        federation = Federation(peers={"a.example": a.url})
        for expected in (200, 409):
            with running_service(provider, tmp_path / "b.sqlite3", clock=clock, federation=federation) as b:
                assert b.request("POST", "/v1/relay", body, headers).status_code == expected


def test_one_domain_cannot_pass_for_another(both: Neighbours, clock: Clock) -> None:
    mallory = Peer("mallory.example", clock)
    body = REQUEST.encode()
    headers = mallory.headers(body, sender="a.example")
    for _ in range(2):  # before a.example's key is known, and after
        assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (401, "bad-request-signature")
        assert statuses(both.a.relay(both.b, REQUEST)) == [[0]]


def test_impostors_do_not_make_us_ask_around_each_time(both: Neighbours, clock: Clock) -> None:
    mallory, body = Peer("mallory.example", clock), REQUEST.encode()
    for _ in range(5):
        both.b.request("POST", "/v1/relay", body, mallory.headers(body, sender="a.example"))
    assert both.a.described == 1


def test_a_body_that_was_altered_is_refused(both: Neighbours) -> None:
    body = REQUEST.encode()
    headers = both.a.headers(body)
    altered = body[:-1] + b"!"
    assert refusal(both.b.request("POST", "/v1/relay", altered, headers)) == (401, "bad-request-signature")


def test_a_digest_of_another_body_is_refused(both: Neighbours) -> None:
    body = REQUEST.encode()
    other = both.a.headers(b"another body")
    headers = {**both.a.headers(body), "Content-Digest": other["Content-Digest"]}
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (401, "bad-request-signature")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/relay?twice", "/v1/bundles", "/v1/challenge"])
def test_a_signature_is_for_one_target(both: Neighbours, path: str) -> None:
    body = REQUEST.encode()
    headers = both.a.headers(body)
    assert refusal(both.b.request("POST", path, body, headers)) == (401, "bad-request-signature")


def test_a_signature_is_for_one_service(both: Neighbours) -> None:
    body = REQUEST.encode()
    headers = both.a.headers(body, receiver="c.example")
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (401, "bad-request-signature")


def test_an_expired_signature_is_refused(both: Neighbours, clock: Clock) -> None:
    body = REQUEST.encode()
    headers = both.a.headers(body)
    clock.now += 120
    assert refusal(both.b.request("POST", "/v1/relay", body, headers)) == (401, "bad-request-signature")


def test_a_domain_cannot_change_its_key_unnoticed(both: Neighbours, clock: Clock) -> None:
    assert statuses(both.a.relay(both.b, REQUEST)) == [[0]]
    both.a.key = Ed25519PrivateKey.generate()
    clock.now += 60
    response = both.a.relay(both.b, REQUEST)
    assert refusal(response) == (403, "peer-key-changed")
    assert response.json()["domain"] == "a.example"


@pytest.mark.parametrize("by_config", [False, True])
def test_the_operator_accepts_another_key(
    both: Neighbours, tmp_path: Path, clock: Clock, by_config: bool
) -> None:
    database = f"sqlite:///{(tmp_path / 'b.sqlite3').as_posix()}"
    config = tmp_path / "b.toml"
    config.write_text(f'domain = "b.example"\nlisten = "127.0.0.1:1"\ndatabase = "{database}"\n')
    where = ["--config", str(config)] if by_config else ["--database", database]
    assert main(["forget-peer", "a.example", *where]) == 1  # it was never seen
    assert statuses(both.a.relay(both.b, REQUEST)) == [[0]]
    both.a.key = Ed25519PrivateKey.generate()
    clock.now += 60
    assert refusal(both.a.relay(both.b, REQUEST)) == (403, "peer-key-changed")
    assert main(["forget-peer", "a.example", *where]) == 0
    assert statuses(both.a.relay(both.b, REQUEST)) == [[0]]


def test_a_domain_that_the_policy_denies_is_refused(setting: Setting) -> None:
    with setting(Policy.deny, "a.example") as both:
        response = both.a.relay(both.b, REQUEST)
        assert refusal(response) == (403, "peer-not-allowed")
        assert both.a.described == 0


@pytest.mark.parametrize(("named", "status"), [("a.example", 200), ("c.example", 403)])
def test_only_domains_that_the_policy_allows_are_served(setting: Setting, named: str, status: int) -> None:
    with setting(Policy.allow, named) as both:
        assert both.a.relay(both.b, REQUEST).status_code == status


@pytest.mark.parametrize("domain", ["127.0.0.1", "localhost"])
def test_nobody_makes_us_ask_around_at_home(both: Neighbours, clock: Clock, domain: str) -> None:
    mallory, body = Peer(domain, clock), REQUEST.encode()
    response = both.b.request("POST", "/v1/relay", body, mallory.headers(body))
    assert refusal(response) == (502, "peer-unreachable")
    assert "no name of the public Internet" in response.json()["detail"]


def test_a_service_that_says_it_is_another_is_not_believed(both: Neighbours) -> None:
    both.a.says_domain = "c.example"
    response = both.a.relay(both.b, REQUEST)
    assert refusal(response) == (502, "peer-unreachable")


def test_a_request_that_is_too_large_is_refused(both: Neighbours) -> None:
    request = relay_request("bob@b.example", message=MESSAGE + bytes(1 << 20))
    assert refusal(both.a.relay(both.b, request)) == (413, "too-large")


def test_a_malformed_message_is_refused_as_in_a_submission(both: Neighbours) -> None:
    request = relay_request("bob@b.example", message=b"\x00\x02\x00\x02")
    assert refusal(both.a.relay(both.b, request)) == (400, "malformed")


# -- asking through us


def proxied(both: Neighbours, endpoint: str, body: bytes = b"", *, session: bool = True) -> httpx.Response:
    """The answer to what Bob asks of a.example through his own service."""
    headers = {"Content-Type": MEDIA_TYPE, **(both.bob.authorization if session else {})}
    return both.b.request("POST", f"/v1/proxy/{endpoint}", body, headers)


def test_a_proxied_request_is_signed_and_answered_as_it_is(both: Neighbours) -> None:
    both.a.answer = lambda _path, body: (409, "application/problem+json", b"{}" + body)
    response = proxied(both, "a.example/bundles", b"a key request")
    assert (response.status_code, response.content) == (409, b"{}a key request")
    assert response.headers["content-type"] == "application/problem+json"
    ((path, headers, body),) = both.a.asked
    assert (path, body) == ("/v1/bundles", b"a key request")
    assert headers["mls-federation-from"] == "b.example"
    assert "signature" in headers
    assert "authorization" not in headers


def test_the_description_of_another_domain(both: Neighbours) -> None:
    response = proxied(both, "a.example/description")
    assert response.content == both.a.description.encode()


def test_only_clients_with_a_session_may_ask_through_us(both: Neighbours) -> None:
    response = proxied(both, "a.example/bundles", session=False)
    assert refusal(response) == (401, "unauthorized")
    assert both.a.asked == []


@pytest.mark.parametrize(
    "target", ["a.example/messages", "a.example/relay", "a.example/sessions", "b.example/bundles", "x/../y"]
)
def test_not_everything_may_be_asked_through_us(both: Neighbours, target: str) -> None:
    assert refusal(proxied(both, target)) == (404, "not-found")
    assert both.a.asked == []


def test_a_denied_domain_is_not_asked(setting: Setting) -> None:
    with setting(Policy.deny, "a.example") as both:
        assert refusal(proxied(both, "a.example/bundles")) == (403, "peer-not-allowed")
        assert both.a.described == 0


def test_an_answer_that_is_too_large_is_not_passed_on(both: Neighbours) -> None:
    both.a.answer = lambda _path, _body: (200, MEDIA_TYPE, bytes((4 << 20) + 1))
    assert refusal(proxied(both, "a.example/bundles")) == (502, "peer-unreachable")


def test_a_request_that_is_too_large_is_not_passed_on(both: Neighbours) -> None:
    assert refusal(proxied(both, "a.example/bundles", bytes((1 << 20) + 1))) == (413, "too-large")
    assert both.a.asked == []


def test_who_is_asked_must_have_the_key_that_was_first_seen(both: Neighbours, clock: Clock) -> None:
    assert proxied(both, "a.example/description").status_code == 200
    both.a.key = Ed25519PrivateKey.generate()
    clock.now += 301
    assert refusal(proxied(both, "a.example/bundles")) == (403, "peer-key-changed")
    assert both.a.asked == []


def test_an_unknown_domain_is_not_reached(both: Neighbours) -> None:
    assert refusal(proxied(both, "nowhere.invalid/bundles")) == (502, "peer-unreachable")
