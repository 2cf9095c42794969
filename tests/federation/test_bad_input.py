"""Bad input: each fault is an error of its own type and code, nothing is lost, and the client goes on working."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mls_federation.client import (
    BackgroundFailure,
    ConnectionChanged,
    EpochChanged,
    GroupJoined,
    MessageReceived,
    MessageRefused,
)
from mls_federation.client.account import PREFERRED_SUITES
from mls_federation.client.delivery_service import DeliveryService, find_service, submit
from mls_federation.client.results import WithoutKeys
from mls_federation.client.state import Outgoing
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite
from mls_federation.errors import (
    DecodeError,
    EpochError,
    MLSError,
    ServiceError,
    StateError,
    TransportError,
    UnsupportedError,
    UsageError,
    ValidationError,
    VerificationError,
)
from mls_federation.federation.binding import (
    MEDIA_TYPE,
    MEDIA_TYPE_KEY_RESPONSE,
    MEDIA_TYPE_PROBLEM,
    Boolean,
    CipherSuites,
    ClientKeys,
    InboxFrame,
    InboxFrameType,
    KeyBundle,
    KeyStatus,
    problem_type,
)
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.log import KeyResponse
from mls_federation.io import HttpTransport
from tests.support.services import (
    HOST,
    Addresses,
    Person,
    Proxy,
    person,
    proxy_before,
    serving,
    unique,
    unregistered,
    unused_port,
)

X25519, CHACHA, P256 = PREFERRED_SUITES
_message_ids = itertools.count()


async def friends(alice: Person, bob: Person) -> bytes:
    """A group of two."""
    group_id = (await alice.client.create_group(ordering="members")).group_id
    await alice.client.add(group_id, bob.identity)
    await bob.told(GroupJoined, group_id=group_id)
    return group_id


async def still_talk(alice: Person, bob: Person, group_id: bytes) -> None:
    """Whatever it was, both go on."""
    for speaker, listener in ((alice, bob), (bob, alice)):
        await speaker.client.send(group_id, b"still here")
        heard = await listener.told(MessageReceived, data=b"still here")
        assert (speaker.identity, group_id) == (heard.sender, heard.group_id)


# -- services that are not there, or not what they should be


async def test_nobody_listens() -> None:
    url = f"http://{HOST}:{unused_port()}"
    async with HttpTransport() as transport:
        with pytest.raises(TransportError) as caught:
            await find_service(transport, "b.example", url)
    assert caught.value.code == "unreachable"
    assert url in caught.value.message


async def test_a_service_of_another_domain(addresses: Addresses) -> None:
    async with person(unique("alice", "a.example"), addresses.by_domain) as alice:
        bob = unique("bob", "b.example")
        with pytest.raises(ValidationError) as caught:
            await alice.client.set_delivery_service("b.example", addresses.by_domain["c.example"])
        assert caught.value.code == "wrong-domain"
        assert "c.example, not of b.example" in caught.value.message

        async with person(bob, addresses.by_domain):
            assert len((await alice.client.fetch_key_bundles(bob)).bundles) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "b.example",
        "http://",
        "https:///",
        "ftp://b.example",
        "//b.example",
        "HTTP//b.example",
        "javascript:alert(1)",
    ],
)
async def test_what_is_no_address(url: str) -> None:
    async with HttpTransport() as transport:
        with pytest.raises(UsageError) as caught:
            await find_service(transport, "b.example", url)
    assert caught.value.code == "bad-url"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://[::1",
        "http://a b/",
        "http://\ud800/",
        "http://127.0.0.1/\ud800",
    ],
)
async def test_addresses_that_lead_nowhere(url: str) -> None:
    async with HttpTransport() as transport:
        with pytest.raises(TransportError) as caught:
            await find_service(transport, "b.example", url)
        assert caught.value.code == "unreachable"


def description(**changed: object) -> dict[str, object]:
    """What a service could say of itself."""
    return {
        "domain": "b.example",
        "versions": [1],
        "signing_key": "A" * 43,
        "endpoints": {
            name: f"/v1/{name}"
            for name in (
                "challenge",
                "devices",
                "history",
                "sessions",
                "key_sets",
                "bundles",
                "messages",
                "inbox",
                "tree_head",
                "consistency",
                "log_entries",
            )
        },
        "limits": {},
        **changed,
    }


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        pytest.param(HTMLResponse("<h1>It works!</h1>"), DecodeError, "malformed", id="a web page"),
        pytest.param(Response(b""), DecodeError, "malformed", id="nothing"),
        pytest.param(JSONResponse([1]), DecodeError, "malformed", id="a list"),
        pytest.param(Response(b"[" * 200_000), DecodeError, "malformed", id="a deep list"),
        pytest.param(HTMLResponse("<h1>Not found</h1>", 404), ServiceError, "service-error", id="404"),
        pytest.param(HTMLResponse("<h1>Gateway</h1>", 502), ServiceError, "service-error", id="502"),
        pytest.param(Response(b"", 302, {"Location": "/elsewhere"}), ServiceError, "service-error", id="302"),
        pytest.param(
            JSONResponse(description(versions=[2, 3])), UnsupportedError, "unsupported-version", id="version"
        ),
        pytest.param(
            JSONResponse(description(versions=[])), UnsupportedError, "unsupported-version", id="no version"
        ),
        pytest.param(JSONResponse(description(endpoints={})), DecodeError, "malformed", id="no end points"),
        pytest.param(
            JSONResponse(description(endpoints={"inbox": "https://evil.example"})),
            DecodeError,
            "malformed",
            id="URL",
        ),
        pytest.param(JSONResponse(description(signing_key="short")), DecodeError, "malformed", id="key"),
        pytest.param(JSONResponse(description(domain="B.example")), DecodeError, "malformed", id="domain"),
        pytest.param(Response(b" " * ((4 << 20) + 1)), TransportError, "response-too-large", id="too much"),
    ],
)
async def test_what_is_no_delivery_service(answer: Response, kind: type[MLSError], code: str) -> None:
    async def anything(_: Request) -> Response:
        return answer

    async with (
        serving(Starlette(routes=[Route("/{path:path}", anything)])) as url,
        HttpTransport() as transport,
    ):
        with pytest.raises(kind) as caught:
            await find_service(transport, "b.example", url)
    assert code == caught.value.code


async def test_a_description_by_hand_is_one() -> None:
    """So the faults above are the ones that are meant."""

    async def anything(_: Request) -> Response:
        return JSONResponse(description())

    async with (
        serving(Starlette(routes=[Route("/{path:path}", anything)])) as url,
        HttpTransport() as transport,
    ):
        service = await find_service(transport, "b.example", url + "/")
    assert (url, "b.example", f"{url}/v1/inbox") == (service.url, service.domain, service.address("inbox"))


# -- identities


async def test_an_unknown_identity(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(alice, bob)
        for command in (
            alice.client.fetch_key_bundles("nobody@b.example"),
            alice.client.add(group_id, "nobody@b.example"),
        ):
            with pytest.raises(ServiceError) as caught:
                await command
            assert (caught.value.code, caught.value.status) == ("unknown-identity", 404)
            assert "spelled" in caught.value.message
        await still_talk(alice, bob, group_id)


async def test_an_identity_of_another_key(addresses: Addresses) -> None:
    name = unique("alice", "a.example")
    async with person(name, addresses.by_domain) as alice:
        with pytest.raises(StateError) as caught:
            async with person(name, addresses.by_domain):
                pass
        assert caught.value.code == "not-admitted"

        async with person(unique("bob", "b.example"), addresses.by_domain) as bob:
            [bundle] = (await bob.client.fetch_key_bundles(name)).bundles
            assert alice.client.account.identity_key.public_key == bundle.identity_key
            await still_talk(alice, bob, await friends(alice, bob))


async def test_no_suite_in_common(addresses: Addresses) -> None:
    """Bob publishes for three suites; somebody asks for none of them."""
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        with pytest.raises(ServiceError) as caught:
            await alice.client.fetch_key_bundles(
                bob.identity, [CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521]
            )
        assert caught.value.code == "no-common-suite"
        await still_talk(alice, bob, await friends(alice, bob))


async def test_somebody_who_is_in_the_group_already(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(alice, bob)
        for identity in (bob.identity, alice.identity):
            with pytest.raises(StateError) as caught:
                await alice.client.add(group_id, identity)
            assert caught.value.code == "already-member"
        await still_talk(alice, bob, group_id)


# -- bundles that somebody changed on the way


def flipped(octets: bytes, place: int = 0) -> bytes:
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]


def in_bundle(change: Callable[[KeyBundle], KeyBundle]) -> Callable[[bytes], bytes]:
    """A change of the one bundle in a response."""

    def changed(body: bytes) -> bytes:
        answer = KeyResponse.decode(body)
        [client] = answer.clients
        assert isinstance(client.result, KeyBundle)
        return replace(answer, clients=(replace(client, result=change(client.result)),)).encode()

    return changed


def in_answer(change: Callable[[ClientKeys], tuple[ClientKeys, ...]]) -> Callable[[bytes], bytes]:
    """A change of what a response says of the one client."""

    def changed(body: bytes) -> bytes:
        answer = KeyResponse.decode(body)
        [client] = answer.clients
        return replace(answer, clients=change(client)).encode()

    return changed


def in_manifest(**new: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """A change of fields of the UserInitKey."""

    def change(bundle: KeyBundle) -> KeyBundle:
        manifest = bundle.bundle.user_init_key
        fields = {name: make(getattr(manifest, name)) for name, make in new.items()}
        return replace(bundle, bundle=replace(bundle.bundle, user_init_key=replace(manifest, **fields)))

    return in_bundle(change)


_CHANGES = [
    pytest.param(
        in_manifest(signature=flipped),
        VerificationError,
        "bad-manifest-signature",
        id="signature",
    ),
    pytest.param(
        in_manifest(init_keys=lambda keys: (flipped(keys[0]), *keys[1:])),
        VerificationError,
        "bad-manifest-signature",
        id="init_key",
    ),
    pytest.param(
        in_bundle(lambda b: replace(b, bundle=replace(b.bundle, identity=b"eve@b.example"))),
        ValidationError,
        "wrong-identity",
        id="identity",
    ),
    pytest.param(
        in_manifest(cipher_suites=lambda suites: suites[2:]),
        ValidationError,
        "bad-manifest",
        id="suites hidden",
    ),
    pytest.param(
        in_manifest(cipher_suites=lambda suites: suites[2:], init_keys=lambda keys: keys[2:]),
        VerificationError,
        "bad-manifest-signature",
        id="suites and their keys hidden",
    ),
    pytest.param(
        in_bundle(lambda b: replace(b, chosen=P256)), ValidationError, "downgraded", id="weaker suite"
    ),
    pytest.param(
        in_bundle(lambda b: replace(b, key_package=flipped(b.key_package, 40))),
        ValidationError,
        "bad-manifest",
        id="KeyPackage",
    ),
    pytest.param(
        in_bundle(lambda b: replace(b, refs=b.refs[::-1])), ValidationError, "bad-manifest", id="refs"
    ),
    pytest.param(
        in_bundle(lambda b: replace(b, key_package=b.key_package[:-1])),
        DecodeError,
        "malformed",
        id="KeyPackage cut",
    ),
    pytest.param(
        in_answer(lambda client: (client, client)), ValidationError, "bad-answer", id="a client twice"
    ),
    pytest.param(
        in_answer(lambda client: (replace(client, client_id=bytes(16)),)),
        ValidationError,
        "bad-answer",
        id="a client of two names",
    ),
    pytest.param(
        in_answer(lambda client: (replace(client, status=KeyStatus.exhausted, result=None),)),
        ValidationError,
        "no-bundles",
        id="no client with keys",
    ),
    pytest.param(lambda body: body[:-1], DecodeError, "malformed", id="truncated"),
    pytest.param(lambda body: body + b"\x00", DecodeError, "malformed", id="trailing octet"),
    pytest.param(lambda _: b"<html>", DecodeError, "malformed", id="a web page"),
    pytest.param(
        lambda body: replace(KeyResponse.decode(body), clients=()).encode(),
        ValidationError,
        "no-bundles",
        id="no bundles",
    ),
    pytest.param(lambda body: body + bytes(4 << 20), TransportError, "response-too-large", id="oversized"),
]


async def test_clients_without_keys_are_named(addresses: Addresses) -> None:
    """Bob has three devices, of which two have no keys that would do."""
    bob_name = unique("bob", "b.example")
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(bob_name, addresses.by_domain) as bob,
        unregistered(bob_name, addresses.by_domain) as laptop,
        unregistered(bob_name, addresses.by_domain) as phone,
    ):
        for device in (laptop, phone):
            await bob.client.admit_device(device.client.device_request())
        own, other, spent = (device.client.account.client_id for device in (bob, laptop, phone))
        elsewhere = ClientKeys(
            client_id=other, status=KeyStatus.no_common_suite, result=CipherSuites(offered=(P256,))
        )

        def changed(body: bytes) -> bytes:
            answer = KeyResponse.decode(body)
            clients = {client.client_id: client for client in answer.clients} | {other: elsewhere}
            return replace(answer, clients=tuple(clients.values())).encode()

        changing(proxy, "/v1/bundles", changed, MEDIA_TYPE_KEY_RESPONSE)
        fetched = await alice.client.fetch_key_bundles(bob.identity)
        assert set(fetched.without) == {WithoutKeys(other, (P256,)), WithoutKeys(spent, ())}
        assert [bundle.client_id for bundle in fetched.bundles] == [own]
        # Those who have keys can be added.
        await still_talk(alice, bob, await friends(alice, bob))


@pytest.mark.parametrize(("change", "kind", "code"), _CHANGES)
async def test_a_bundle_that_was_changed_on_the_way(
    addresses: Addresses, change: Callable[[bytes], bytes], kind: type[MLSError], code: str
) -> None:
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = (await alice.client.create_group(ordering="members")).group_id
        before = alice.client.group_details(group_id)
        changing(proxy, "/v1/bundles", change, MEDIA_TYPE_KEY_RESPONSE)
        for command in (
            alice.client.fetch_key_bundles(bob.identity),
            alice.client.add(group_id, bob.identity),
        ):
            with pytest.raises(kind) as caught:
                await command
            assert code == caught.value.code
        assert before == alice.client.group_details(group_id)
        assert alice.client.waiting == ()

        proxy.change = unchanged
        await alice.client.add(group_id, bob.identity)
        await bob.told(GroupJoined)
        await still_talk(alice, bob, group_id)


async def test_a_service_that_hands_out_an_old_set_again(addresses: Addresses) -> None:
    """It has kept what it once answered: every signature and proof in it is right."""
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("carol", "c.example"), addresses.but(b=proxy.url)) as carol,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        answers: list[bytes] = []

        def keep_first(body: bytes) -> bytes:
            answers.append(body)
            return answers[0]

        changing(proxy, "/v1/bundles", keep_first, MEDIA_TYPE_KEY_RESPONSE)
        group_id = await friends(alice, bob)

        # Who has had it before is not deceived, whatever the service calls it.
        other = (await alice.client.create_group()).group_id
        before = alice.client.group_details(other)
        with pytest.raises(ValidationError) as caught:
            await alice.client.add(other, bob.identity)
        assert caught.value.code == "keys-handed-out-twice"
        changing(
            proxy,
            "/v1/bundles",
            lambda _: in_bundle(lambda b: replace(b, last_resort=Boolean.true))(answers[0]),
            MEDIA_TYPE_KEY_RESPONSE,
        )
        with pytest.raises(ValidationError) as caught:
            await alice.client.add(other, bob.identity)
        assert caught.value.code == "bad-manifest"
        assert before == alice.client.group_details(other)

        # Who has not adds a client that cannot come, and whose owner is told: those keys are used and erased.
        changing(proxy, "/v1/bundles", lambda _: answers[0], MEDIA_TYPE_KEY_RESPONSE)
        theirs = (await carol.client.create_group()).group_id
        await carol.client.add(theirs, bob.identity)
        refused = await bob.told(MessageRefused)
        assert refused.error.code == "not-for-us"
        assert theirs not in bob.client.groups

        proxy.change = unchanged
        await alice.client.add(other, bob.identity)
        await bob.told(GroupJoined, group_id=other)
        await still_talk(alice, bob, group_id)


def changing_keys(proxy: Proxy, answer: Response, *, taken: bool) -> None:
    """Let the proxy answer so to the publication of keys, in the place of the service or after it."""

    def apply(path: str, response: Response) -> Response:
        return answer if path == "/v1/key-sets" else response

    proxy.answer_to, proxy.answer = "/v1/key-sets", None if taken else answer
    proxy.change = apply


def unchanged(_: str, response: Response) -> Response:
    """An honest proxy."""
    return response


def changing(proxy: Proxy, path: str, change: Callable[[bytes], bytes], media_type: str) -> None:
    """Let the proxy change the bodies of good answers of one end point."""

    def apply(asked: str, response: Response) -> Response:
        if asked != path or response.status_code != 200:
            return response
        return Response(change(bytes(response.body)), media_type=media_type)

    proxy.change = apply


# -- messages that do not fit


def inside(envelope: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An envelope whose message was changed; what is no envelope, a service does not take."""
    opened = Envelope.decode(envelope)
    return replace(opened, message=change(opened.message)).encode()


async def test_a_service_that_wants_to_be_left_alone_is(addresses: Addresses) -> None:
    report = {"type": problem_type("rate-limited"), "detail": "Try again in 600 seconds.", "retry_after": 600}
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(alice, bob)
        proxy.answer = JSONResponse(report, 429, media_type=MEDIA_TYPE_PROBLEM)
        asked = len(proxy.messages)
        for data in (b"one", b"two", b"three"):
            (delivery,) = (await alice.client.send(group_id, data)).deliveries
            assert delivery.status == "pending"
        assert len(proxy.messages) == asked + 1
        failure = await alice.told(BackgroundFailure)
        assert isinstance(failure.error, ServiceError)
        assert (failure.error.code, failure.error.retry_after) == ("rate-limited", 600)
        assert alice.client._core.lanes["b.example"].not_before > time.time() + 500

        # Whoever asks to try now may: the time may be over, for all that we know.
        proxy.answer = None
        assert {delivery.status for delivery in await alice.client.flush()} == {"accepted"}
        for data in (b"one", b"two", b"three"):
            await bob.told(MessageReceived, data=data)


class Postman:
    """Puts octets into somebody's inbox, as anybody can."""

    def __init__(self, transport: HttpTransport, service: DeliveryService, recipient: str) -> None:
        self._transport = transport
        self._service = service
        self._recipient = recipient

    async def bring(self, message: bytes) -> None:
        """Deliver octets, as a message of its own."""
        message_id = b"%016d" % next(_message_ids)
        outgoing = Outgoing(message_id, self._service.domain, (self._recipient,), message)
        await submit(self._transport, self._service, outgoing)


async def test_messages_that_do_not_fit(addresses: Addresses) -> None:
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        person(unique("carol", "c.example"), addresses.by_domain) as carol,
        HttpTransport() as transport,
    ):
        service = await find_service(transport, "b.example", addresses.by_domain["b.example"])
        postman = Postman(transport, service, bob.identity)
        group_id = await friends(alice, bob)
        welcome = proxy.messages[-1]

        async def refused(message: bytes, kind: type[MLSError], code: str, *, held: bool = False) -> None:
            await postman.bring(message)
            event = await bob.told(MessageRefused)
            assert (kind, code, held) == (type(event.error), event.error.code, event.held)
            assert [other for other in bob.events if isinstance(other, MessageReceived)] == []

        # replayed, under another message id
        await alice.client.send(group_id, b"once")
        await bob.told(MessageReceived, data=b"once")
        once = proxy.messages[-1]
        await refused(once, EpochError, "replayed")
        await refused(once, EpochError, "replayed")
        await refused(welcome, ValidationError, "already-joined")

        # truncated, and more than there should be
        for change in (
            lambda octets: octets[:-1],
            lambda octets: octets[:20],
            lambda octets: octets + b"\x00",
        ):
            await refused(inside(once, change), DecodeError, "malformed")

        # changed on the way; what was really sent comes later
        proxy.answer = HTMLResponse("<h1>Bad gateway</h1>", 502)
        await alice.client.send(group_id, b"a while later")
        [waiting] = alice.client.waiting
        await refused(
            flipped(waiting.message, len(waiting.message) - 5),
            VerificationError,
            "decryption-failed",
            held=True,  # it may be of a branch that is not known yet
        )
        proxy.answer = None
        await alice.client.flush()
        await bob.told(MessageReceived, data=b"a while later")

        # of another group
        elsewhere = (await alice.client.create_group(ordering="members")).group_id
        await alice.client.add(elsewhere, carol.identity)
        await carol.told(GroupJoined)
        async with proxy_before(addresses.by_domain["c.example"]) as carols:
            await alice.client.set_delivery_service("c.example", carols.url)
            await alice.client.send(elsewhere, b"not for bob")
            await carol.told(MessageReceived)
            await refused(carols.messages[-1], EpochError, "unknown-group", held=True)

        # of epochs that are past
        old = []
        for _ in range(5):
            await alice.client.update(group_id)
            await bob.told(EpochChanged)
            old.append(proxy.messages[-1])
        await refused(old[0], EpochError, "replayed")
        await refused(once, EpochError, "replayed")

        await still_talk(alice, bob, group_id)


async def test_a_message_that_overtakes_its_commit(addresses: Addresses) -> None:
    """Both wait in alice's outbox, since bob's service is not reached; somebody brings the second one first."""
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        HttpTransport() as transport,
    ):
        service = await find_service(transport, "b.example", addresses.by_domain["b.example"])
        group_id = await friends(alice, bob)
        proxy.answer = HTMLResponse("<h1>Bad gateway</h1>", 502)
        await alice.client.update(group_id)
        await alice.client.send(group_id, b"in the new epoch")
        [_, early] = alice.client.waiting

        await Postman(transport, service, bob.identity).bring(early.message)
        event = await bob.told(MessageRefused)
        assert (EpochError, "future-epoch", True) == (type(event.error), event.error.code, event.held)
        proxy.answer = None
        assert [delivery.status for delivery in await alice.client.flush()] == ["accepted", "accepted"]

        await bob.told(EpochChanged, epoch=2)
        await bob.told(MessageReceived, data=b"in the new epoch")
        assert (await bob.told(MessageRefused)).error.code == "replayed"
        await still_talk(alice, bob, group_id)


async def test_oversized_messages(addresses: Addresses) -> None:
    async with (
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        HttpTransport() as transport,
    ):
        group_id = await friends(alice, bob)
        service = await find_service(transport, "b.example", addresses.by_domain["b.example"])
        limit = service.description.limits["body"]

        with pytest.raises(UsageError) as too_large:
            await alice.client.send(group_id, bytes(limit))
        assert too_large.value.code == "message-too-large"
        assert alice.client.waiting == ()
        with pytest.raises(ServiceError) as caught:
            await Postman(transport, service, bob.identity).bring(b"\x00\x01\x00\x02" + bytes(limit))
        assert (caught.value.code, caught.value.status) == ("too-large", 413)

        largest = bytes(limit - 80 * 1024)
        sent = await alice.client.send(group_id, largest)
        assert [delivery.status for delivery in sent.deliveries] == ["accepted"]
        await bob.told(MessageReceived, data=largest)
        await still_talk(alice, bob, group_id)


# -- answers that say nothing of what became of a request


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HTMLResponse("<h1>Sign in to this network</h1>"), id="a web page"),
        pytest.param(Response(b"", media_type=MEDIA_TYPE), id="nothing"),
        pytest.param(HTMLResponse("<h1>Not found</h1>", 404), id="404 of a proxy"),
        pytest.param(HTMLResponse("<h1>Forbidden</h1>", 403), id="403 of a proxy"),
        pytest.param(HTMLResponse("<h1>Gateway</h1>", 502), id="502"),
        pytest.param(Response(b"", 302, {"Location": "/login"}), id="302"),
        # Results for nobody, and for somebody else: 5 octets, 1 result, "eve", accepted.
        pytest.param(Response(b"\x00", media_type=MEDIA_TYPE), id="no results"),
        pytest.param(Response(b"\x05\x03eve\x00", media_type=MEDIA_TYPE), id="results for another"),
    ],
)
@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
async def test_nothing_is_lost_by_an_answer_that_is_none(
    addresses: Addresses, answer: Response, taken: bool
) -> None:
    """Nobody knows whether the service has the message, so it is offered again, and arrives once."""
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(alice, bob)
        if not taken:
            proxy.answer = answer
        proxy.change = lambda _, __: answer
        for data in (b"one", b"two"):
            sent = await alice.client.send(group_id, data)
            assert [delivery.status for delivery in sent.deliveries] == ["pending"]
            assert isinstance(
                (await alice.told(BackgroundFailure)).error, ServiceError | DecodeError | ValidationError
            )
        assert len(alice.client.waiting) == 2

        proxy.answer, proxy.change = None, unchanged
        assert [delivery.status for delivery in await alice.client.flush()] == ["accepted", "accepted"]

        await bob.told(MessageReceived, data=b"one")
        await bob.told(MessageReceived, data=b"two")
        await still_talk(alice, bob, group_id)
        assert [event for event in bob.events if isinstance(event, MessageReceived | MessageRefused)] == []


async def test_a_message_that_a_service_refuses_for_good_does_not_hold_up_the_next(
    addresses: Addresses,
) -> None:
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.but(b=proxy.url)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        group_id = await friends(alice, bob)
        proxy.answer = JSONResponse({"type": "urn:mls-federation:error:too-many-recipients"}, 400)
        sent = await alice.client.send(group_id, b"lost")
        assert [(bob.identity, "refused")] == [(each.identity, each.status) for each in sent.deliveries]
        assert (await alice.told(BackgroundFailure)).error.code == "too-many-recipients"
        assert alice.client.waiting == ()

        proxy.answer = None
        await still_talk(alice, bob, group_id)


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
async def test_keys_are_published_though_the_first_answer_was_lost(addresses: Addresses, taken: bool) -> None:
    """With the set of last resort, however often it is tried; so bob can always be added."""
    name = unique("bob", "b.example")
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        unregistered(name, addresses.but(b=proxy.url)) as bob,
    ):
        for _ in range(2):
            changing_keys(proxy, HTMLResponse("<h1>Gateway</h1>", 502), taken=taken)
            with pytest.raises(ServiceError) as caught:
                await bob.client.register()
            assert caught.value.status == 502
        proxy.answer, proxy.change = None, unchanged
        await bob.client.register()

        bundles = [(await alice.client.fetch_key_bundles(name)).bundles[0] for _ in range(5)]
        assert [bundle.last_resort for bundle in bundles] == [False] * 3 + [True] * 2
        assert len({bundle.user_init_key.user_init_key_id for bundle in bundles}) == 4
        # The keys that are handed out are keys that bob has: he joins with the last of them.
        receiving = asyncio.create_task(bob.client.run())
        await still_talk(alice, bob, await friends(alice, bob))
        await bob.client.close()
        await receiving


async def test_a_broken_frame_from_the_inbox(addresses: Addresses) -> None:
    """It is reported, the client connects again, and what the frame was to bring comes once."""
    async with (
        proxy_before(addresses.by_domain["b.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
        person(unique("bob", "b.example"), addresses.but(b=proxy.url)) as bob,
    ):
        group_id = await friends(alice, bob)

        def broken_once(frame: bytes) -> bytes:
            if InboxFrame.decode(frame).frame_type is not InboxFrameType.delivery:
                return frame
            proxy.frames = lambda frame: frame
            return frame[:-1]

        proxy.frames = broken_once
        await alice.client.send(group_id, b"hello")

        failure = await bob.told(BackgroundFailure)
        assert (DecodeError, "malformed") == (type(failure.error), failure.error.code)
        await bob.told(ConnectionChanged, state="connected")
        await bob.told(MessageReceived, data=b"hello")
        await still_talk(alice, bob, group_id)
        assert [event for event in bob.events if isinstance(event, MessageReceived | MessageRefused)] == []
        assert proxy.left_by_client == 1
