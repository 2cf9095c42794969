"""What clients hand to their own service for other domains: taken on, sent, tried again, and reported."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from mls_delivery.config import Federation, Policy
from mls_delivery.service import Limits
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import (
    MEDIA_TYPE,
    InboxNotice,
    Notice,
    NoticeReason,
    RecipientResult,
    RecipientStatus,
    SubmitRequest,
    SubmitResponse,
)
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.relay import RelayRequest, RelayResponse
from tests.delivery.peer import Answer, Peer, encoded, running_peer
from tests.delivery.support import (
    MESSAGE,
    Clock,
    Device,
    Running,
    checked,
    enveloped,
    refusal,
    running_service,
    submit,
)

_PATIENCE = 30
_ids = itertools.count(1)


def contents(request: RelayRequest) -> list[bytes]:
    """What is in the envelopes that are relayed."""
    return [Envelope.decode(message.message).message for message in request.messages]


@dataclass
class Neighbours:
    """The service of b.example, with Bob; and that of a.example, which the test plays.

    Attributes:
        relayed: what a.example was asked to take, in order.
        statuses: what it answers for each recipient, else `accepted`.
    """

    a: Peer
    b: Running
    bob: Device
    relayed: queue.Queue[RelayRequest] = field(default_factory=queue.Queue)
    statuses: dict[str, RecipientStatus] = field(default_factory=dict)

    def take(self, path: str, body: bytes) -> Answer:
        """Answer as a service does."""
        assert path == "/v1/relay"
        request = RelayRequest.decode(body)
        answer = RelayResponse(
            results=tuple(
                SubmitResponse(
                    results=tuple(
                        RecipientResult(
                            identity=recipient,
                            status=self.statuses.get(recipient.decode(), RecipientStatus.accepted),
                        )
                        for recipient in message.recipients
                    )
                )
                for message in request.messages
            )
        )
        self.relayed.put(request)
        return encoded(answer)

    def next_request(self) -> RelayRequest:
        """What a.example is asked to take next. Time goes on while nothing comes, so that no pause is for ever."""
        for _ in range(_PATIENCE):
            with contextlib.suppress(queue.Empty):
                return self.relayed.get(timeout=1)
            self.a.clock.now += 10
        raise AssertionError("a.example is asked nothing")

    def next_messages(self, count: int) -> list[bytes]:
        """So many messages that a.example is asked to take next, in however many requests."""
        messages: list[bytes] = []
        while len(messages) < count:
            messages += contents(self.next_request())
        return messages


Setting = Callable[..., contextlib.AbstractContextManager[Neighbours]]


@pytest.fixture
def setting(
    provider: CryptoProvider, database_url: str, clock: Clock, ending: list[threading.Thread]
) -> Setting:
    """Makes neighbours."""

    @contextlib.contextmanager
    def neighbours(
        limits: Limits | None = None, policy: Policy = Policy.open, *domains: str
    ) -> Iterator[Neighbours]:
        with running_peer("a.example", clock) as a:
            federation = Federation(policy, frozenset(domains), {"a.example": a.url})
            with running_service(
                provider,
                database_url,
                clock=clock,
                ending=ending,
                federation=federation,
                limits=limits,
            ) as b:
                both = Neighbours(a, b, Device.registered(provider, b))
                a.answer = both.take
                yield both

    return neighbours


@pytest.fixture
def both(setting: Setting) -> Iterator[Neighbours]:
    """Neighbours who speak with everybody."""
    with setting() as neighbours:
        yield neighbours


def post(both: Neighbours, request: SubmitRequest, *, session: bool = True) -> httpx.Response:
    """The answer to what Bob hands over."""
    headers = {"Content-Type": MEDIA_TYPE, **(both.bob.authorization if session else {})}
    return both.b.request("POST", "/v1/outgoing", request, headers)


def outgoing(*recipients: str, message: bytes = MESSAGE, message_id: bytes = b"") -> SubmitRequest:
    """A message for identities of any domain."""
    return SubmitRequest(
        message_id=message_id or next(_ids).to_bytes(16, "big"),
        recipients=tuple(recipient.encode() for recipient in recipients),
        message=enveloped(message),
    )


def hand_over(both: Neighbours, *recipients: str, message: bytes = MESSAGE) -> list[int]:
    """Hand over a message; returns the status for each recipient."""
    response = SubmitResponse.decode(checked(post(both, outgoing(*recipients, message=message))))
    assert [result.identity.decode() for result in response.results] == list(recipients)
    return [int(result.status) for result in response.results]


def notice(device: Device) -> Notice:
    """The next notice in a device's inbox, which has nothing else but key counts."""
    with device.inbox() as inbox:
        while True:
            frame = inbox.frame()
            if isinstance(frame, InboxNotice):
                return frame.notice


# -- taken on


def test_a_message_for_several_domains(both: Neighbours) -> None:
    recipients = ("bob@b.example", "alice@a.example", "nobody@b.example", "no identity", "anna@a.example")
    assert hand_over(both, *recipients) == [0, 3, 1, 1, 3]
    (relayed,) = both.next_request().messages
    assert relayed.recipients == (b"alice@a.example", b"anna@a.example")
    assert relayed.message == enveloped(MESSAGE)
    with both.bob.inbox() as inbox:
        inbox.ready()
        assert inbox.delivery().message == MESSAGE


def test_only_our_own_clients_may_hand_over(both: Neighbours) -> None:
    response = post(both, outgoing("alice@a.example"), session=False)
    assert refusal(response) == (401, "unauthorized")


def test_handing_over_again_sends_once(both: Neighbours) -> None:
    request = outgoing("alice@a.example", "bob@b.example")
    for _ in range(3):
        results = SubmitResponse.decode(checked(post(both, request))).results
        assert [int(result.status) for result in results] == [3, 0]
    hand_over(both, "alice@a.example", message=MESSAGE + b"!")
    assert both.next_messages(2) == [MESSAGE, MESSAGE + b"!"]


def test_a_domain_that_the_policy_denies(setting: Setting) -> None:
    with setting(None, Policy.deny, "a.example") as both:
        assert hand_over(both, "alice@a.example", "bob@b.example") == [5, 0]


def test_a_queue_has_an_end(setting: Setting) -> None:
    with setting(Limits(relay_messages=3)) as both:
        both.a.answer = lambda _path, _body: (503, "text/plain", b"")
        assert hand_over(both, "one@a.example", "two@a.example") == [3, 3]
        assert hand_over(both, "one@a.example", "two@a.example") == [3, 4]


def test_a_queue_is_bounded_in_octets(setting: Setting) -> None:
    with setting(Limits(relay_octets=3 * len(enveloped(MESSAGE)))) as both:
        both.a.answer = lambda _path, _body: (503, "text/plain", b"")
        assert hand_over(both, "one@a.example", "two@a.example") == [3, 3]
        assert hand_over(both, "one@a.example", message=2 * MESSAGE) == [3]
        assert hand_over(both, "one@a.example", message=MESSAGE) == [4]


# -- sent


def test_messages_go_in_order_and_many_in_a_request(both: Neighbours, clock: Clock) -> None:
    both.a.answer = lambda _path, _body: (503, "text/plain", b"")
    messages = [MESSAGE + b"%d" % number for number in range(20)]
    for message in messages:
        assert hand_over(both, "alice@a.example", message=message) == [3]
    both.a.answer = both.take
    clock.now += 10
    request = both.next_request()
    assert contents(request) == messages


def test_a_domain_that_speaks_is_tried_at_once(both: Neighbours) -> None:
    # The clock stands still, so the pause would never end.
    both.a.answer = lambda _path, _body: (503, "text/plain", b"")
    hand_over(both, "alice@a.example")
    while not both.a.asked:
        hand_over(both, "nobody@b.example")
    both.a.answer = both.take
    while both.relayed.empty():
        both.a.relay(both.b, RelayRequest(messages=(), notices=()))
    assert both.next_messages(1) == [MESSAGE]


def test_a_full_inbox_holds_up_only_its_owner(both: Neighbours, clock: Clock) -> None:
    both.statuses["full@a.example"] = RecipientStatus.inbox_full
    first, second = MESSAGE + b"1", MESSAGE + b"2"
    hand_over(both, "full@a.example", "alice@a.example", message=first)
    (relayed,) = both.next_request().messages
    assert relayed.recipients == (b"full@a.example", b"alice@a.example")
    hand_over(both, "full@a.example", "alice@a.example", message=second)
    (relayed,) = both.next_request().messages
    assert (relayed.recipients, relayed.message) == ((b"alice@a.example",), enveloped(second))
    del both.statuses["full@a.example"]
    clock.now += 10
    assert both.next_messages(2) == [first, second]


def test_what_is_accepted_survives_a_restart(
    provider: CryptoProvider, database_url: str, clock: Clock
) -> None:
    with running_peer("a.example", clock) as a:
        federation = Federation(peers={"a.example": a.url})
        a.answer = lambda _path, _body: (503, "text/plain", b"")
        with running_service(provider, database_url, clock=clock, federation=federation) as b:
            both = Neighbours(a, b, Device.registered(provider, b))
            hand_over(both, "alice@a.example")
        a.answer = both.take
        clock.now += 10
        with running_service(provider, database_url, clock=clock, federation=federation):
            assert both.next_messages(1) == [MESSAGE]


def test_one_message_that_is_refused_does_not_stop_the_others(both: Neighbours, clock: Clock) -> None:
    both.a.answer = lambda _path, _body: (503, "text/plain", b"")
    bad = MESSAGE + b"bad"
    hand_over(both, "alice@a.example", message=MESSAGE)
    hand_over(both, "alice@a.example", message=bad)
    hand_over(both, "alice@a.example", message=MESSAGE + b"3")

    def picky(path: str, body: bytes) -> Answer:
        return (413, "text/plain", b"") if bad in body else both.take(path, body)

    both.a.answer = picky
    clock.now += 10
    assert both.next_messages(2) == [MESSAGE, MESSAGE + b"3"]
    assert notice(both.bob).reason is NoticeReason.refused


# -- reported


def test_a_sender_is_told_of_an_identity_that_is_not_there(both: Neighbours) -> None:
    both.statuses["nobody@a.example"] = RecipientStatus.unknown
    request = outgoing("nobody@a.example", "alice@a.example")
    post(both, request)
    told = notice(both.bob)
    assert told == Notice(
        message_id=request.message_id, identity=b"nobody@a.example", reason=NoticeReason.unknown
    )


def test_a_notice_is_in_the_inbox_until_it_is_acknowledged(both: Neighbours) -> None:
    both.statuses["nobody@a.example"] = RecipientStatus.unknown
    post(both, outgoing("nobody@a.example"))
    first = notice(both.bob)
    assert notice(both.bob) == first
    submit(both.b, "bob@b.example")
    with both.bob.inbox(cursor=1) as inbox:
        inbox.ready()
        assert inbox.delivery().sequence == 2


def test_a_sender_is_told_of_a_message_that_waited_for_too_long(setting: Setting, clock: Clock) -> None:
    with setting(Limits(relay_seconds=2)) as both:
        both.a.answer = lambda _path, _body: (503, "text/plain", b"")
        post(both, outgoing("alice@a.example"))
        clock.now += 2
        assert notice(both.bob).reason is NoticeReason.expired


def test_a_domain_that_refuses_us(both: Neighbours) -> None:
    problem = b'{"type": "urn:mls-federation:error:peer-not-allowed", "detail": "no"}'
    both.a.answer = lambda _path, _body: (403, "application/problem+json", problem)
    post(both, outgoing("alice@a.example"))
    assert notice(both.bob).reason is NoticeReason.refused


def test_a_notice_of_another_domain_reaches_the_sender_once(both: Neighbours) -> None:
    request = outgoing("alice@a.example")
    post(both, request)
    both.next_request()
    told = Notice(message_id=request.message_id, identity=b"alice@a.example", reason=NoticeReason.expired)
    for _ in range(2):
        both.a.relay(both.b, RelayRequest(messages=(), notices=(told,)))
    assert notice(both.bob) == told
    submit(both.b, "bob@b.example")
    with both.bob.inbox(cursor=1) as inbox:
        inbox.ready()
        assert inbox.delivery().sequence == 2


def test_a_domain_cannot_speak_of_another_ones_identities(both: Neighbours) -> None:
    request = outgoing("bob@b.example", "alice@a.example")
    post(both, request)
    both.next_request()
    false = Notice(message_id=request.message_id, identity=b"bob@b.example", reason=NoticeReason.expired)
    both.a.relay(both.b, RelayRequest(messages=(), notices=(false,)))
    submit(both.b, "bob@b.example", message=MESSAGE + b"!")
    with both.bob.inbox() as inbox:
        inbox.ready()
        assert [inbox.delivery().sequence for _ in range(2)] == [1, 2]
