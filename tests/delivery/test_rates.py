"""Rate limits and connection limits, by themselves."""

from __future__ import annotations

import contextlib
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from mls_delivery import rates
from mls_delivery.connections import Connections
from mls_delivery.rates import Buckets
from mls_delivery.refusals import Refused
from mls_delivery.sources import source_of

_NOW = 1_800_000_000
_PROXIES = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_a_full_bucket_has_a_minutes_worth_and_fills_evenly() -> None:
    buckets = Buckets(3)
    assert [buckets.take("a", _NOW) for _ in range(5)] == [0, 0, 0, 20, 20]
    assert buckets.take("a", _NOW + 19) == 1
    assert [buckets.take("a", _NOW + 20) for _ in range(2)] == [0, 20]
    assert [buckets.take("a", _NOW + 80) for _ in range(4)] == [0, 0, 0, 20]


@pytest.mark.parametrize("per_minute", [1, 7, 59, 61, 6000])
def test_fractions_of_a_second_are_not_lost(per_minute: int) -> None:
    buckets = Buckets(per_minute)
    for minute in range(3):
        now = _NOW + 60 * minute
        assert [buckets.take("a", now) for _ in range(per_minute)] == [0] * per_minute
        assert buckets.take("a", now) >= 1


def test_keys_do_not_share_a_bucket() -> None:
    buckets = Buckets(1)
    assert [buckets.take(key, _NOW) for key in ("a", "b", b"a", "a", None, None)] == [0, 0, 0, 60, 0, 0]


def test_zero_is_no_limit() -> None:
    buckets = Buckets(0)
    assert not any(buckets.take("a", _NOW) for _ in range(1000))


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    buckets = Buckets(2)
    for _ in range(2):
        buckets.take("a", _NOW)
    assert buckets.take("a", _NOW - 1000) == 30
    assert buckets.take("a", _NOW - 940) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MAX_BUCKETS", 10)
    buckets = Buckets(1)
    for number in range(100):
        buckets.take(number, _NOW)
    assert len(buckets) == 10
    assert [buckets.take(number, _NOW) for number in (99, 0)] == [60, 0]
    buckets.take("later", _NOW + 60)
    assert len(buckets) == 1


def test_a_refusal_says_when_to_come_again() -> None:
    buckets = Buckets(1)
    buckets.spend("a", _NOW)
    with pytest.raises(Refused) as caught:
        buckets.spend("a", _NOW + 18)
    assert (caught.value.code, caught.value.kind.status) == ("rate-limited", 429)
    assert caught.value.members == {"retry_after": 42}


def _request(client: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    address = None if client is None else (client, 40000)
    return Request({"type": "http", "client": address, "headers": headers})


@pytest.mark.parametrize(
    ("client", "forwarded", "source"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        # This machine itself, and a Unix socket.
        ("127.0.0.1", [], None),
        ("::1", [], None),
        (None, [], None),
        # Somebody who is no proxy of ours may say what they like.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        # What the client itself sent stands on the left.
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["198.51.100.1, 203.0.113.7, 10.2.2.2"], "203.0.113.7"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::/64"),
        # A proxy on the way that says nothing we understand is the source itself.
        ("10.1.1.1", ["unknown"], "10.1.1.1"),
        ("10.1.1.1", ["203.0.113.7, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.1.1.1", [""], "10.1.1.1"),
    ],
)
def test_sources(client: str | None, forwarded: list[str], source: str | None) -> None:
    assert source_of(_request(client, *forwarded), _PROXIES) == source


def test_nobody_is_trusted_unless_named() -> None:
    assert source_of(_request("10.1.1.1", "203.0.113.7"), ()) == "10.1.1.1"


def test_connections_are_counted_while_they_last() -> None:
    connections = Connections(3, 2)
    with contextlib.ExitStack() as held:
        held.enter_context(connections.enter("a"))
        with connections.enter("a"), pytest.raises(Refused) as caught, connections.enter("a"):
            pass
        assert (caught.value.code, caught.value.kind.status) == ("too-many-connections", 429)
        held.enter_context(connections.enter("a"))
        held.enter_context(connections.enter(None))
        with pytest.raises(Refused) as caught, connections.enter(None):
            pass
        assert (caught.value.code, caught.value.kind.status) == ("busy", 503)
    with connections.enter("a"), connections.enter("a"):
        pass


def test_connections_without_limits() -> None:
    connections = Connections(0, 0)
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            held.enter_context(connections.enter("a"))
