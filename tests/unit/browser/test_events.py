"""What a client tells of its groups reaches the page."""

import pytest

from mls_federation.browser.events import page_event
from mls_federation.browser.shapes import Shape
from mls_federation.client import MessageNotDelivered, OrderingFault, ThreadLost
from mls_federation.client.events import Event
from mls_federation.errors import VerificationError
from mls_federation.federation.ordering import OrderingReceipt


def no_details(_: bytes) -> Shape:
    return {}


@pytest.mark.parametrize(
    ("event", "name", "detail"),
    [
        (ThreadLost(b"group"), "lost", {"client": 7, "group_id": b"group"}),
        (
            MessageNotDelivered(b"group", b"said"),
            "unsent",
            {"client": 7, "group_id": b"group", "data": b"said"},
        ),
    ],
)
def test_what_was_lost_is_told(event: Event, name: str, detail: dict[str, object]) -> None:
    assert page_event(7, event, no_details) == (name, detail)


def test_a_service_that_orders_two_commits_is_told_with_its_receipts() -> None:
    first, second = (
        OrderingReceipt(
            domain=b"a.example",
            group_id=b"group",
            epoch=3,
            commit_hash=commit,
            confirmed_transcript_hash=b"transcript",
            accepted_at=1,
            signature=b"signed",
        )
        for commit in (b"one", b"other")
    )
    fault = OrderingFault(
        b"group", VerificationError("two commits", code="ordering-equivocation"), (first, second)
    )

    name, detail = page_event(7, fault, no_details)

    assert (name, detail["group_id"]) == ("error", b"group")
    assert detail["fault"]["code"] == "ordering-equivocation"
    assert detail["fault"]["details"]["evidence"] == [first.encode(), second.encode()]
