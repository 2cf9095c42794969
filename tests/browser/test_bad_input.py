"""What the module makes of bad input: each kind has its own typed error, nothing is lost, and the client goes on."""

from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, Request, Route

from dev.federation import Federation, free_port
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite
from mls_federation.federation.binding import (
    MEDIA_TYPE,
    KeyBundle,
    RecipientStatus,
    SubmitRequest,
    SubmitResponse,
)
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.log import KeyResponse
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    addresses,
    caught,
    open_module,
    open_module_client,
    unique_name,
    wait_for_event,
)


async def _goes_on(page: Page, own: str) -> None:
    """The page's client still answers."""
    assert await page.evaluate("async (own) => (await client.fetchKeyBundles(own)).length", own) == 1


# -- calls that cannot be served


async def test_calls_that_cannot_be_served(new_context: NewContext, federation: Federation) -> None:
    page, own = await open_module_client(await new_context(), federation, "gina", "a.example")
    nobody = f"{unique_name('nobody')}@b.example"
    closed = f"http://127.0.0.1:{free_port()}"
    b_url = addresses(federation)["b.example"]
    await page.evaluate("async () => { window.group = await client.createGroup(); }")

    for call, arg, code, says in [
        ("client.fetchKeyBundles(arg)", nobody, "unknown-identity", "spelled"),
        ("client.fetchKeyBundles(arg)", "gina@d.example", "unknown-domain", "d.example"),
        ("client.fetchKeyBundles(arg)", "no address", "bad-identity", "name@domain"),
        ("client.fetchKeyBundles(arg)", 7, "bad-argument", "identity must be a string"),
        ("group.add(arg)", nobody, "unknown-identity", "spelled"),
        ("group.add(arg)", own, "already-member", own),
        ("group.remove(arg)", nobody, "not-a-member", nobody),
        ("group.send(arg)", {}, "bad-argument", "Uint8Array"),
        ("group.exportSrtpKeys({ profile: arg })", "NULL_CIPHER", "unknown-srtp-profile", "AEAD_AES_128_GCM"),
        ("group.exportSecret('label', new Uint8Array(), arg)", -1, "bad-argument", "length"),
        ("group.exportSecret('label', new Uint8Array(), arg)", 1.5, "bad-argument", "whole number"),
        ("client.createGroup({ cipherSuite: arg })", 0x7777, "unsupported-cipher-suite", "0x7777"),
        ("client.createGroup({ cipherSuite: arg })", 65536, "bad-argument", "65535"),
        ("client.createGroup({ groupId: group.id })", None, "group-exists", "id"),
        ("client.createGroup({ groupId: () => arg })", None, "bad-argument", "cannot be sent"),
        ("mls.createClient({ identity: arg })", own, "account-exists", "openClient"),
        ("mls.createClient({ identity: arg, keep: false })", own, "not-admitted", "another name"),
        ("mls.setDeliveryService('b.example', arg)", closed, "unreachable", closed),
        ("mls.setDeliveryService('a.example', arg)", b_url, "wrong-domain", "b.example"),
        ("mls.setDeliveryService('a.example', arg)", "ftp://a.example", "bad-url", "https://"),
        ("mls.setDeliveryService('a.example', arg)", federation.url, "service-error", "404"),
    ]:
        error = await caught(page, call, arg)
        assert error["type"] == error["name"] == "MLSError", call
        assert error["code"] == code, call
        assert says in error["message"], call

    await _goes_on(page, own)


async def test_a_closed_client_and_a_disposed_engine_say_so(
    new_context: NewContext, federation: Federation
) -> None:
    page, _ = await open_module_client(await new_context(), federation, "hugo", "a.example")

    await page.evaluate("() => client.close()")
    assert (await caught(page, "client.createGroup()"))["code"] == "closed"

    under_way = "(() => { const call = mls.createClient({ identity: 'x@a.example' }); mls.dispose(); return call; })()"
    assert (await caught(page, under_way))["code"] == "disposed"
    assert (await caught(page, "mls.createClient({ identity: 'y@a.example' })"))["code"] == "disposed"


async def test_signals_end_what_takes_long(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    page, own = await open_module_client(context, federation, "iris", "a.example")
    held: list[Route] = []
    await context.route("**/v1/bundles", lambda route: held.append(route))

    outcome = await page.evaluate(
        """async (own) => {
            const controller = new AbortController();
            const call = client.fetchKeyBundles(own, { signal: controller.signal });
            setTimeout(() => controller.abort());
            return call.catch((error) => error.name);
        }""",
        own,
    )
    loading = await page.evaluate(
        """() => {
            const signal = AbortSignal.timeout(1);
            return MLSFederation.load({ signal }).catch((error) => error.name);
        }"""
    )

    assert outcome == "AbortError"
    assert loading == "TimeoutError"
    await context.unroute("**/v1/bundles")
    await _goes_on(page, own)


@pytest.mark.expects_page_errors
async def test_a_worker_that_ends_fails_every_call(new_context: NewContext, federation: Federation) -> None:
    page, _ = await open_module_client(await new_context(), federation, "jana", "a.example")
    await page.evaluate("() => mls.addEventListener('error', ({ detail }) => { window.told = detail.code; })")

    call = "new Promise((_, reject) => { mls.createClient({ identity: 'x@a.example' }).catch(reject); arg; })"
    (worker,) = page.workers
    await worker.evaluate("() => { setTimeout(() => { throw new Error('planted'); }); }")
    await page.wait_for_function("window.told !== undefined")

    assert await page.evaluate("window.told") == "worker-ended"
    error = await caught(page, call)
    assert error["code"] == "worker-ended"
    assert "planted" in error["message"]


@pytest.mark.expects_page_errors
@pytest.mark.parametrize(
    "file",
    [
        "*/worker.js",
        "*/assets.json",
        "pyodide-*/pyodide.asm.wasm",
        "pyodide-*/python_stdlib.zip",
        "*/vendor/primitives.js",
        "*/wheels/mls_federation-*.whl",
    ],
)
async def test_a_file_that_is_missing_at_start_is_named(new_context: NewContext, file: str) -> None:
    context = await new_context()
    page = await open_module(context)
    await context.route(f"**/mls-federation/{file}", lambda route: route.fulfill(status=404))

    error = await caught(page, "MLSFederation.load()")

    assert error["code"] == "load-failed"
    if file != "*/worker.js":
        if file != "*/vendor/primitives.js":  # why a module cannot be imported, a browser does not say
            assert error["details"]["reason"] == "HTTP 404"
        assert PurePosixPath(file).name.partition("-")[0] in error["details"]["file"]
        assert "reload the page" in error["message"]


@pytest.mark.expects_page_errors
@pytest.mark.parametrize(
    ("body", "content_type"), [(b"\0asm\1\0\0\0", "text/plain"), (b"no WebAssembly", "application/wasm")]
)
async def test_webassembly_that_cannot_be_compiled_is_named(
    new_context: NewContext, body: bytes, content_type: str
) -> None:
    context = await new_context()
    page = await open_module(context)
    served = "**/mls-federation/pyodide-*/pyodide.asm.wasm"
    await context.route(served, lambda route: route.fulfill(body=body, content_type=content_type))

    error = await caught(page, "MLSFederation.load()")

    assert error["code"] == "load-failed"
    assert "pyodide.asm.wasm" in error["details"]["file"]
    assert "compile" in error["details"]["reason"]


async def test_a_provider_that_is_not_there_is_an_error(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    assert (await caught(page, "MLSFederation.load({ crypto: 'none' })"))["code"] == "bad-argument"
    assert (await caught(page, "MLSFederation.load({ crypto: 'pyca' })"))["code"] == "no-cryptography"


# -- bundles that a delivery service has meddled with


def _flip(octets: bytes) -> bytes:
    return octets[:-1] + bytes([octets[-1] ^ 1])


def _inside(envelope: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An envelope whose message was changed; what is no envelope, a service does not take."""
    opened = Envelope.decode(envelope)
    return replace(opened, message=change(opened.message)).encode()


def _with_manifest(bundle: KeyBundle, **changes: Any) -> KeyBundle:
    seed = bundle.bundle
    return replace(bundle, bundle=replace(seed, user_init_key=replace(seed.user_init_key, **changes)))


def _other_key_package(bundle: KeyBundle) -> KeyBundle:
    return replace(bundle, key_package=_flip(bundle.key_package))


def _stronger_suites_hidden(bundle: KeyBundle) -> KeyBundle:
    manifest = bundle.bundle.user_init_key
    return _with_manifest(bundle, cipher_suites=manifest.cipher_suites[1:], init_keys=manifest.init_keys[1:])


Meddling = Callable[[KeyBundle], KeyBundle]
MEDDLINGS: dict[str, tuple[Meddling, str]] = {
    "signature": (
        lambda bundle: _with_manifest(bundle, signature=_flip(bundle.bundle.user_init_key.signature)),
        "bad-manifest-signature",
    ),
    "identity": (
        lambda bundle: replace(bundle, bundle=replace(bundle.bundle, identity=b"mallory@b.example")),
        "wrong-identity",
    ),
    "suites": (_stronger_suites_hidden, "bad-manifest-signature"),
    "choice": (
        lambda bundle: replace(bundle, chosen=CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256),
        "downgraded",
    ),
    "key-package": (_other_key_package, "bad-manifest"),
    "refs": (lambda bundle: replace(bundle, refs=bundle.refs[1:] + bundle.refs[:1]), "bad-manifest"),
}


async def _meddle_with_bundles(
    context: BrowserContext, change: Callable[[bytes], bytes]
) -> Callable[[], Awaitable[None]]:
    async def meddle(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=change(await response.body()))

    await context.route("**/v1/bundles", meddle)
    return lambda: context.unroute("**/v1/bundles")


async def test_bundles_that_were_meddled_with_are_refused(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    page, own = await open_module_client(context, federation, "kim", "a.example")

    for change, code in MEDDLINGS.values():

        def meddle(body: bytes, change: Meddling = change) -> bytes:
            answer = KeyResponse.decode(body)
            changed = [
                replace(client, result=change(client.result))
                for client in answer.clients
                if isinstance(client.result, KeyBundle)
            ]
            return replace(answer, clients=tuple(changed)).encode()

        restore = await _meddle_with_bundles(context, meddle)
        error = await caught(page, "client.fetchKeyBundles(arg)", own)
        assert error["code"] == code
        await restore()

    for body, code in [
        (lambda body: body[:-1], "malformed"),
        (lambda body: body + b"\0", "malformed"),
        (lambda _: b"", "malformed"),
        (lambda body: replace(KeyResponse.decode(body), clients=()).encode(), "no-bundles"),
        (lambda body: body + bytes(5 << 20), "response-too-large"),
    ]:
        restore = await _meddle_with_bundles(context, body)
        error = await caught(page, "client.fetchKeyBundles(arg)", own)
        assert error["code"] == code
        await restore()

    await _goes_on(page, own)


# -- messages that nobody sent so


async def _submit(federation: Federation, recipient: str, message: bytes) -> RecipientStatus:
    """Put a message into the inbox of `recipient`, as anybody may."""
    request = SubmitRequest(
        message_id=unique_name("")[-8:].encode() * 2,
        recipients=(recipient.encode(),),
        message=message,
    )
    url = federation.services[recipient.partition("@")[2]].url
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.post(
            f"{url}/v1/messages", content=request.encode(), headers={"Content-Type": MEDIA_TYPE}
        )
    assert response.status_code == 200, response.text
    (result,) = SubmitResponse.decode(response.content).results
    return RecipientStatus(result.status)


def _collect_submissions(context: BrowserContext) -> list[bytes]:
    """The MLS messages that the context's clients hand to delivery services from now on."""
    messages: list[bytes] = []

    def collect(request: Request) -> None:
        if request.url.endswith("/v1/messages") and request.post_data_buffer is not None:
            messages.append(SubmitRequest.decode(request.post_data_buffer).message)

    context.on("request", collect)
    return messages


async def test_messages_that_do_not_belong_are_refused(
    new_context: NewContext, federation: Federation
) -> None:
    alice_context = await new_context()
    alice, alice_name = await open_module_client(alice_context, federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    eve, eve_name = await open_module_client(await new_context(), federation, "eve", "c.example")
    submissions = _collect_submissions(alice_context)
    await alice.evaluate(
        "async (bob) => { window.group = await client.createGroup(); await group.add(bob); }", bob_name
    )
    (welcome,) = submissions
    await alice.evaluate("() => group.send('for Bob alone')")
    message = submissions[-1]
    first = await wait_for_event(bob, "message")
    assert first["text"] == "for Bob alone"

    # A third client that is not in the group gets the ciphertext, and can read nothing of it.
    assert await _submit(federation, eve_name, message) == RecipientStatus.accepted
    refused = await wait_for_event(eve, "error")
    assert refused["code"] == "unknown-group"
    assert "not in" in refused["message"]
    # The Welcome names none of her clients.
    assert await _submit(federation, eve_name, welcome) == RecipientStatus.unknown

    # What Bob has read already, is cut short, or was for keys that he has used and erased.
    for altered, code in [
        (message, "replayed"),
        (_inside(message, lambda octets: octets[:-1]), "malformed"),
        (welcome, "not-for-us"),
    ]:
        assert await _submit(federation, bob_name, altered) == RecipientStatus.accepted
        error = await wait_for_event(bob, "error")
        assert error["code"] == code
        assert error["details"]["refused"] is True

    # Tampered with on its way; the true one, which comes later, can still be read.
    await alice_context.route("**/v1/messages", lambda route: route.abort())
    await alice.evaluate("() => group.send('unaltered')")
    assert await _submit(federation, bob_name, _inside(submissions[-1], _flip)) == RecipientStatus.accepted
    assert (await wait_for_event(bob, "error"))["code"] == "decryption-failed"
    await alice_context.unroute("**/v1/messages")
    await alice.evaluate("() => client.flush()")
    assert (await wait_for_event(bob, "message"))["text"] == "unaltered"

    # An old epoch's message, replayed after the group has moved on.
    await alice.evaluate("() => group.update()")
    await wait_for_event(bob, "epoch")
    assert await _submit(federation, bob_name, message) == RecipientStatus.accepted
    assert (await wait_for_event(bob, "error"))["code"] in ("replayed", "old-epoch")

    # Nothing was lost by any of it.
    assert not [event for event in await eve.evaluate("seen") if event["name"] in ("group", "message")]
    assert await eve.evaluate("client.groups.length") == 0
    await alice.evaluate("() => group.send('still here')")
    assert (await wait_for_event(bob, "message"))["text"] == "still here"
    await bob.evaluate("() => group.send('so am I')")
    assert (await wait_for_event(alice, "message"))["sender"] == bob_name
    await _goes_on(alice, alice_name)


async def test_messages_that_are_too_large_are_refused_at_the_sender(
    new_context: NewContext, federation: Federation
) -> None:
    alice, alice_name = await open_module_client(await new_context(), federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    await alice.evaluate(
        "async (bob) => { window.group = await client.createGroup(); await group.add(bob); }", bob_name
    )

    error = await caught(alice, "group.send(new Uint8Array(2 * 1024 * 1024))")
    assert error["code"] == "message-too-large"

    await alice.evaluate("() => group.send('smaller')")
    assert (await wait_for_event(bob, "message"))["text"] == "smaller"
    await _goes_on(alice, alice_name)


async def test_a_service_that_is_away_keeps_nothing_from_the_others(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    alice, _ = await open_module_client(context, federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    carol, carol_name = await open_module_client(await new_context(), federation, "carol", "c.example")
    await alice.evaluate(
        "async (names) => { window.group = await client.createGroup(); for (const name of names) await group.add(name); }",
        [bob_name, carol_name],
    )
    b_url = federation.services["b.example"].url
    await context.route(f"{b_url}/**", lambda route: route.abort())

    sent = await alice.evaluate("async () => plain(await group.send('one'))")

    assert {one["identity"]: one["status"] for one in sent["deliveries"]} == {
        bob_name: "pending",
        carol_name: "accepted",
    }
    assert (await wait_for_event(alice, "error", code="unreachable"))["message"].count("b.example") == 1
    assert (await wait_for_event(carol, "message"))["text"] == "one"
    await context.unroute(f"{b_url}/**")
    assert await alice.evaluate(
        "async () => (await client.flush()).every(({ status }) => status === 'accepted')"
    )
    assert (await wait_for_event(bob, "message"))["text"] == "one"


@pytest.mark.expects_page_errors
async def test_an_interpreter_that_dies_is_told_to_the_page(new_context: NewContext) -> None:
    """After its fatal error Pyodide settles nothing any more: without a word, every call would wait for ever."""
    context = await new_context()

    async def let_us_reach_it(route: Route) -> None:
        response = await route.fetch()
        line = "pyodide._api.on_fatal = reportError;"
        body = await response.text()
        assert line in body
        await route.fulfill(response=response, body=body.replace(line, f"{line} self.interpreter = pyodide;"))

    await context.route("**/mls-federation/*/worker.js", let_us_reach_it)
    page = await open_module(context)
    await page.evaluate("async () => { window.mls = await MLSFederation.load({ crypto: 'webjs' }); }")
    (worker,) = page.workers
    await worker.evaluate("() => { setTimeout(() => interpreter._api.fatal_error(new Error('planted'))); }")

    error = await caught(page, "mls.createClient({ identity: 'x@a.example' })")
    assert error["code"] == "worker-ended"
