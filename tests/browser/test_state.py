"""What a client is survives its tab: reloads, several tabs of one client, moving it elsewhere, and forgetting it."""

from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, Route, expect

from dev.federation import Federation
from dev.steps import BUILD
from mls_federation.client import Event, MessageReceived
from mls_federation.io import connected_client, import_account
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    addresses,
    caught,
    in_chromium_and_firefox,
    invite,
    open_demo,
    open_module,
    open_module_client,
    unique_name,
    wait_for_event,
)

SCREENSHOTS = BUILD / "screenshots"


async def open_engine(context: BrowserContext, federation: Federation) -> Page:
    """A page with the engine loaded and the addresses set."""
    page = await open_module(context)
    await page.evaluate(
        """async (services) => {
            window.mls = await MLSFederation.load({ crypto: "webjs" });
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
        }""",
        addresses(federation),
    )
    return page


async def open_kept(context: BrowserContext, federation: Federation) -> Page:
    """A page with the one client that is kept in this browser, in `window.client`."""
    page = await open_engine(context, federation)
    await page.evaluate(
        """async () => {
            const [kept] = await mls.accounts();
            window.client = await mls.openClient(kept.account);
            watch(client);
            [window.group] = client.groups;
        }"""
    )
    return page


async def accounts(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate("async () => plain(await mls.accounts())")
    return found


async def two_in_a_group(
    new_context: NewContext, federation: Federation
) -> tuple[BrowserContext, Page, Page, str]:
    """Alice's context and page, Bob's page, Alice's address; `window.group` is the group they are in."""
    context = await new_context()
    alice, address = await open_module_client(context, federation, "alice", "a.example")
    bob, bob_address = await open_module_client(await new_context(), federation, "bob", "b.example")
    await alice.evaluate(
        "async (bob) => { window.group = await client.createGroup(); await group.add(bob); }", bob_address
    )
    await wait_for_event(bob, "group")
    return context, alice, bob, address


@in_chromium_and_firefox
async def test_a_reload_goes_on_where_the_page_was(new_context: NewContext, federation: Federation) -> None:
    context, alice, bob, address = await two_in_a_group(new_context, federation)
    before = await alice.evaluate("async () => [client.fingerprint, plain(await group.details())]")
    await alice.close()
    await bob.evaluate("() => group.send('while you were away')")

    again = await open_kept(context, federation)
    assert [one["identity"] for one in await accounts(again)] == [address]
    assert await again.evaluate("async () => [client.fingerprint, plain(await group.details())]") == before
    came = await wait_for_event(again, "message", text="while you were away")
    assert came["sender"].startswith("bob")
    await again.evaluate("() => group.send('back again')")
    assert (await wait_for_event(bob, "message", text="back again"))["sender"] == address
    assert (await caught(again, "mls.createClient({ identity: arg })", address))["code"] == "account-exists"


async def test_a_message_is_told_again_until_the_page_has_taken_it(
    new_context: NewContext, federation: Federation
) -> None:
    context, alice, bob, _ = await two_in_a_group(new_context, federation)
    await alice.evaluate(
        """() => {
            window.takers = [];
            client.addEventListener("message", (event) =>
                event.waitUntil(new Promise((resolve) => takers.push([event.detail.text, resolve]))));
        }"""
    )
    for text in ("one", "two"):
        await bob.evaluate("(text) => group.send(text)", text)
    await alice.wait_for_function("takers.length === 2")
    await alice.evaluate("() => takers[0][1]()")
    # What was taken is kept with the next state, at the latest.
    await bob.evaluate("() => group.send('three')")
    await alice.wait_for_function("takers.length === 3")
    numbers = await alice.evaluate(
        "() => seen.filter((one) => one.name === 'message').map((one) => one.detail.number)"
    )
    assert numbers == [1, 2, 3]
    await alice.close()

    again = await open_kept(context, federation)
    told = [await wait_for_event(again, "message", text=text) for text in ("two", "three")]
    assert [one["number"] for one in told] == [2, 3]
    assert await again.evaluate("() => seen.filter((one) => one.name === 'message').length") == 0


@in_chromium_and_firefox
async def test_two_tabs_of_one_client_stay_consistent_and_the_second_takes_over(
    new_context: NewContext, federation: Federation
) -> None:
    context, first, bob, address = await two_in_a_group(new_context, federation)
    second = await open_kept(context, federation)
    assert [await page.evaluate("() => client.leads") for page in (first, second)] == [True, False]

    await second.evaluate("() => group.send('from the second tab')")
    assert (await wait_for_event(bob, "message", text="from the second tab"))["sender"] == address
    await bob.evaluate("() => group.send('to both')")
    for page in (first, second):
        await wait_for_event(page, "message", text="to both")
    epochs = await second.evaluate(
        "async () => { await group.update(); return plain((await group.details()).epoch) }"
    )
    for page in (first, bob):
        await wait_for_event(page, "epoch", epoch=epochs)
    secrets = [
        await page.evaluate("async () => hex(await group.exportSecret('test', new Uint8Array(), 32))")
        for page in (first, second, bob)
    ]
    assert len(set(secrets)) == 1
    refused = await caught(second, "group.exportSecret('', new Uint8Array(), -1)")
    assert (refused["type"], refused["code"]) == ("MLSError", "bad-argument")

    await second.evaluate(
        "() => { window.leads = new Promise((resolve) => client.addEventListener('lead', resolve)).then(() => performance.now()) }"
    )
    closing = await second.evaluate("() => performance.now()")
    await first.close()
    took = await second.evaluate("async () => await leads") - closing
    print(f"the second tab took over {took:.0f} ms after the first began to close")
    assert await second.evaluate("() => client.leads")
    await second.evaluate("() => group.send('and on')")
    await wait_for_event(bob, "message", text="and on")
    await bob.evaluate("() => group.send('to whoever leads')")
    await wait_for_event(second, "message", text="to whoever leads")


async def test_a_client_moves_to_another_browser_and_is_told_so_in_every_tab(
    new_context: NewContext, federation: Federation, tmp_path: Path
) -> None:
    context, first, bob, address = await two_in_a_group(new_context, federation)
    second = await open_kept(context, federation)
    for page in (first, second):
        await page.evaluate(
            "() => { window.ended = new Promise((done) => client.addEventListener('closed', (e) => done(e.detail))) }"
        )
    assert (await caught(second, "client.exportAccount('')"))["code"] == "bad-argument"
    exported: str = await second.evaluate("async () => hex(await client.exportAccount('correct horse'))")
    assert [await page.evaluate("() => ended") for page in (first, second)] == [{"reason": "exported"}] * 2
    assert (await caught(first, "group.send('too late')"))["code"] == "closed"
    [left] = await accounts(first)
    assert left["exported"] is True
    assert (await caught(first, "mls.openClient(arg)", left["account"]))["code"] == "account-exported"

    other = await open_engine(await new_context(), federation)
    wrong = "mls.importAccount(unhex(arg), 'wrong horse')"
    assert (await caught(other, wrong, exported))["code"] == "wrong-passphrase"
    assert (await caught(other, "mls.importAccount(unhex(arg), 'x')", "00ff"))["code"] == "not-a-state"
    assert await accounts(other) == []
    await other.evaluate(
        """async (exported) => {
            const { account } = await mls.importAccount(unhex(exported), "correct horse");
            window.client = await mls.openClient(account);
            watch(client);
            [window.group] = client.groups;
        }""",
        exported,
    )
    again = await caught(other, "mls.importAccount(unhex(arg), 'correct horse')", exported)
    assert again["code"] == "account-exists"
    await other.evaluate("() => group.send('from my new browser')")
    assert (await wait_for_event(bob, "message", text="from my new browser"))["sender"] == address

    # And on to a program: the same file would do, but it is the state of then; so it is exported anew.
    exported = await other.evaluate("async () => hex(await client.exportAccount('correct horse'))")
    heard: list[Event] = []
    assert await import_account(bytes.fromhex(exported), "correct horse", tmp_path / "alice") == address
    async with connected_client(
        address, addresses(federation), heard.append, storage=tmp_path / "alice"
    ) as client:
        await client.send(client.groups[0], b"from a program")
        assert (await wait_for_event(bob, "message", text="from a program"))["sender"] == address
    assert not any(isinstance(event, MessageReceived) for event in heard)


async def test_a_tab_that_does_not_hear_of_an_export_does_not_take_over(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    # The lock may be let go of before the others have heard why: here they never do.
    await _in_every_worker(
        context,
        """const { postMessage } = BroadcastChannel.prototype;
        BroadcastChannel.prototype.postMessage = function (said) {
            if (said.closed === undefined) postMessage.call(this, said);
        };""",
    )
    first, _ = await open_module_client(context, federation, "alice", "a.example")
    second = await open_kept(context, federation)
    await second.evaluate(
        """() => {
            window.ended = new Promise((done) => {
                for (const name of ["closed", "lead"]) client.addEventListener(name, (e) => done([name, e.detail]));
            });
        }"""
    )
    await first.evaluate("async () => void (await client.exportAccount('correct horse'))")
    assert await second.evaluate("() => ended") == ["closed", {"reason": "exported"}]
    assert [one["exported"] for one in await accounts(second)] == [True]


async def _in_every_worker(context: BrowserContext, script: str) -> None:
    """Have the engines' workers run this before they have anything to do with a client: in a module that they load."""

    async def with_script(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=f"{await response.text()}\n{{ {script} }}")

    await context.route("**/mls-federation/*/vendor/primitives.js", with_script)


async def test_an_account_is_deleted_in_all_tabs(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    first, address = await open_module_client(context, federation, "alice", "a.example")
    second = await open_kept(context, federation)
    for page in (first, second):
        await page.evaluate(
            "() => { window.ended = new Promise((done) => client.addEventListener('closed', (e) => done(e.detail))) }"
        )
    await second.evaluate("() => mls.deleteAccount(client.account)")
    assert [await page.evaluate("() => ended") for page in (first, second)] == [{"reason": "deleted"}] * 2
    assert await accounts(first) == []
    stored = await first.evaluate(
        """async () => {
            const open = indexedDB.open("mls-federation");
            const database = await new Promise((done) => (open.onsuccess = () => done(open.result)));
            const names = [...database.objectStoreNames];
            const counts = names.map((name) => database.transaction(name).objectStore(name).count());
            return Promise.all(counts.map((count) => new Promise((done) => (count.onsuccess = () => done(count.result)))));
        }"""
    )
    assert stored == [0, 0]
    assert (await caught(second, "mls.createClient({ identity: arg })", address))["code"] == "not-admitted"
    assert await accounts(first) == []


async def test_nothing_of_what_is_kept_can_be_read_without_the_key(
    new_context: NewContext, federation: Federation
) -> None:
    _, alice, _, address = await two_in_a_group(new_context, federation)
    found = await alice.evaluate(
        """async () => {
            const open = indexedDB.open("mls-federation");
            const database = await new Promise((done) => (open.onsuccess = () => done(open.result)));
            const all = (name) => new Promise((done) => {
                const asked = database.transaction(name).objectStore(name).getAll();
                asked.onsuccess = () => done(asked.result);
            });
            const [rows, parts] = [await all("account"), await all("part")];
            const octets = [...rows.map((row) => row.about.octets), ...parts.map((part) => part.octets)];
            return {
                fields: [...new Set([...rows, ...parts].flatMap(Object.keys))].sort(),
                extractable: rows.map((row) => row.key.extractable),
                text: octets.map((one) => Array.from(new Uint8Array(one), (o) => String.fromCharCode(o)).join("")),
            };
        }"""
    )
    assert found["fields"] == ["about", "account", "iv", "key", "octets"]
    assert found["extractable"] == [False]
    assert len(found["text"]) > 10
    assert not any(address.partition("@")[0] in text or "example" in text for text in found["text"])


async def test_what_was_altered_is_refused_and_nothing_is_overwritten(
    new_context: NewContext, federation: Federation
) -> None:
    context, alice, _, _ = await two_in_a_group(new_context, federation)
    await alice.close()
    page = await open_engine(context, federation)
    await page.evaluate(
        """async () => {
            const open = indexedDB.open("mls-federation");
            const database = await new Promise((done) => (open.onsuccess = () => done(open.result)));
            const store = database.transaction("part", "readwrite").objectStore("part");
            const cursor = await new Promise((done) => (store.openCursor().onsuccess = (e) => done(e.target.result)));
            const { iv, octets } = cursor.value;
            const altered = new Uint8Array(octets);
            altered[0] ^= 1;
            await new Promise((done) => (cursor.update({ iv, octets: altered.buffer }).onsuccess = done));
        }"""
    )
    [kept] = await accounts(page)
    for _ in range(2):
        refused = await caught(page, "mls.openClient(arg)", kept["account"])
        assert (refused["type"], refused["code"]) == ("MLSError", "unreadable-state")


async def test_a_client_that_is_not_kept_leaves_nothing(
    new_context: NewContext, federation: Federation
) -> None:
    page = await open_engine(await new_context(), federation)
    identity = f"{unique_name('alice')}@a.example"
    account = await page.evaluate(
        "async (identity) => (await mls.createClient({ identity, keep: false })).account ?? null", identity
    )
    assert account is None
    assert await accounts(page) == []


async def test_registration_that_was_not_answered_goes_on_with_the_same_key(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    page = await open_engine(context, federation)
    identity = f"{unique_name('alice')}@a.example"
    service = federation.services["a.example"].url
    # The claim arrives; its answer does not.
    lost = 0

    async def lose(route: Any) -> None:
        nonlocal lost
        await route.fetch()
        lost += 1
        await route.abort()

    await context.route(f"{service}/**/devices*", lose)
    failed = await caught(page, "mls.createClient({ identity: arg })", identity)
    assert failed["code"] == "unreachable"
    assert lost > 0
    await context.unroute(f"{service}/**/devices*")
    assert [one["identity"] for one in await accounts(page)] == [identity]
    assert await page.evaluate(
        "async (identity) => (await mls.createClient({ identity })).registered", identity
    )


async def test_where_nothing_can_be_kept_that_is_said(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    # As browsers do where a person has forbidden a site to store data.
    await _in_every_worker(
        context,
        """Object.defineProperty(globalThis, "indexedDB", {
            value: { open() { throw new DOMException("The operation is insecure.", "SecurityError"); } },
        });""",
    )
    page = await open_engine(context, federation)
    identity = f"{unique_name('alice')}@a.example"
    for call in ("mls.createClient({ identity: arg })", "mls.accounts()"):
        refused = await caught(page, call, identity)
        assert (refused["type"], refused["code"]) == ("MLSError", "storage-refused")
    assert await page.evaluate(
        "async (identity) => (await mls.createClient({ identity, keep: false })).registered", identity
    )


async def test_the_demo_goes_on_after_a_reload(new_context: NewContext, federation: Federation) -> None:
    alice, address = await open_demo(await new_context(), "alice", "a.example")
    bob, bob_address = await open_demo(await new_context(), "bob", "b.example")
    await invite(alice, bob_address)
    await expect(bob.locator("#epoch")).to_have_text("1")

    await alice.goto("about:blank")
    await bob.fill("#message", "while you were away")
    await bob.press("#message", "Enter")
    await alice.goto("/")
    await alice.get_by_role("button", name=f"Go on as {address}").click()
    await expect(alice.locator("#identity")).to_have_text(address)
    await expect(alice.locator(f'#members [data-identity="{bob_address}"]')).to_be_visible()
    await expect(alice.locator("#messages")).to_contain_text("while you were away")
    await alice.screenshot(full_page=True, path=SCREENSHOTS / "kept-client.png")
    await alice.fill("#message", "back again")
    await alice.press("#message", "Enter")
    await expect(bob.locator("#messages")).to_contain_text("back again")

    await bob.goto("/")
    await expect(bob.get_by_role("button", name=f"Go on as {bob_address}")).to_be_visible()
    await bob.screenshot(full_page=True, path=SCREENSHOTS / "kept-in-this-browser.png")
    await bob.get_by_role("button", name=f"Forget {bob_address}").click()
    await expect(bob.locator("#kept")).to_be_hidden()
