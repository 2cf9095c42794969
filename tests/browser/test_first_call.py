"""The page: what a new user does, from opening it to a call's keys, in a browser with real delivery services."""

import asyncio
import re
from collections.abc import Sequence
from typing import Literal

import pytest
from playwright.async_api import Page, Route, expect

from dev.federation import Federation, free_port
from dev.steps import BUILD
from mls_federation.client import EpochChanged, Event, GroupJoined, MessageReceived
from mls_federation.io import connected_client
from mls_federation.media import SrtpProfile
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    addresses,
    as_json,
    in_chromium_and_firefox,
    invite,
    open_demo,
    shown_srtp_keys,
    unique_name,
)

PROFILES = [profile.name for profile in SrtpProfile]
SCREENSHOTS = BUILD / "screenshots"
_SHARED = ("#group-id", "#epoch", "#cipher-suite", "#safety-number")


async def _same_on_all(pages: Sequence[Page], epoch: int) -> None:
    """All pages have reached the epoch and show the same group, suite and safety number."""
    for page in pages:
        await expect(page.locator("#epoch")).to_have_text(str(epoch))
    shown = [[await page.locator(name).text_content() for name in _SHARED] for page in pages]
    assert all(one == shown[0] for one in shown)
    assert re.fullmatch(r"\d{5}( \d{5}){5}", shown[0][3] or "")


async def _say(page: Page, text: str) -> None:
    await page.fill("#message", text)
    await page.click("#send")
    await expect(page.locator(f'#messages li.own[data-text="{text}"]')).to_be_visible()


async def _hear(page: Page, sender: str, text: str) -> None:
    await expect(
        page.locator(f'#messages li.other[data-from="{sender}"][data-text="{text}"]')
    ).to_be_visible()


@pytest.mark.parametrize(("fanout", "ordering"), [("client", "members"), ("server", "service")])
async def test_two_tabs_in_both_modes(
    new_context: NewContext, federation: Federation, fanout: str, ordering: str
) -> None:
    """What the user chooses happens, and the page says which services each message went through."""
    (alice, alice_name), (bob, bob_name) = await asyncio.gather(
        open_demo(await new_context(), "alice", "a.example", fanout=fanout),
        open_demo(await new_context(), "bob", "b.example", fanout="server"),
    )
    await alice.check(f'input[name="ordering"][value="{ordering}"]')
    await invite(alice, bob_name)
    await expect(bob.locator("#group")).to_be_visible()
    await _same_on_all([alice, bob], 1)

    direct, relayed = "b.example", "a.example → b.example"
    first = relayed if fanout == "server" else direct
    await _say(alice, "which way?")
    await _hear(bob, alice_name, "which way?")
    for page in (alice, bob):
        await expect(page.locator('#messages li[data-text="which way?"] .via')).to_have_text(f"via {first}")
    await _say(bob, "the other way")
    await _hear(alice, bob_name, "the other way")
    await expect(alice.locator('#messages li[data-text="the other way"] .via')).to_have_text(
        "via b.example → a.example"
    )

    # The choice can be changed at any time, by who has made it.
    other = "client" if fanout == "server" else "server"
    await alice.check(f'input[name="fanout"][value="{other}"]')
    await _say(alice, "and now?")
    await _hear(bob, alice_name, "and now?")
    second = relayed if other == "server" else direct
    for page in (alice, bob):
        await expect(page.locator('#messages li[data-text="and now?"] .via')).to_have_text(f"via {second}")
    await alice.click("#update")
    await _same_on_all([alice, bob], 2)
    await alice.screenshot(path=SCREENSHOTS / f"fanout-{fanout}.png", full_page=True)


async def test_what_is_typed_while_the_client_loads_is_kept(
    new_context: NewContext, federation: Federation
) -> None:
    page = await (await new_context()).new_page()
    await page.goto("/", wait_until="commit")
    await page.fill("#name", "early bird")
    await expect(page.locator("#identity-create")).to_be_enabled()
    await expect(page.locator("#name")).to_have_value("early bird")


@in_chromium_and_firefox
async def test_the_first_call(new_context: NewContext, federation: Federation) -> None:
    alice, alice_name = await open_demo(await new_context(), "alice", "a.example")
    bob, bob_name = await open_demo(await new_context(), "bob", "b.example")
    carol, carol_name = await open_demo(await new_context(), "carol", "c.example")

    # The other's keys arrive from the other domain, decoded.
    await alice.fill("#peer", bob_name)
    await alice.click("#fetch")
    bundle = alice.get_by_test_id("bundle")
    manifest = bundle.locator('[data-struct="UserInitKey"]')
    for field in ("user_init_key_id", "cipher_suites", "init_keys", "credential", "signature"):
        await expect(manifest.locator(f'[data-field="{field}"] dd')).not_to_be_empty()
    await expect(manifest.locator('[data-field="credential"]')).to_contain_text(bob_name)
    await expect(manifest.locator('[data-field="credential"]')).to_contain_text("ed25519 (0x0807)")
    await expect(manifest.locator('[data-field="cipher_suites"]')).to_contain_text(
        "P256_SHA256_AES128GCM (0x0000)"
    )
    await expect(bundle.locator('[data-struct="KeyPackage"] [data-field="cipher_suite"]')).to_contain_text(
        "(0x0001)"
    )
    await expect(bundle.get_by_test_id("verified").locator("li")).to_have_count(5)
    fingerprint = await bob.locator("#fingerprint").text_content()

    # A group, messages both ways, and the same state on both sides.
    await bundle.get_by_role("button", name="Start a group").click()
    await expect(bob.locator("#group")).to_be_visible()
    await _same_on_all([alice, bob], 1)
    await expect(alice.locator(f'#members [data-identity="{bob_name}"] .quiet')).to_contain_text(
        (fingerprint or "")[:19]
    )
    await _say(alice, "Read me your safety number?")
    await _hear(bob, alice_name, "Read me your safety number?")
    await _say(bob, "<b>not bold</b>")
    await _hear(alice, bob_name, "<b>not bold</b>")
    await expect(alice.locator("#messages b")).to_have_count(0)

    # SRTP keys: hidden until asked for; equal on both sides for each sender and profile, and never the same twice.
    await expect(alice.locator("[data-secret]")).to_have_text(["•••• •••• •••• ••••"] * 4)
    for page in (alice, bob):
        await page.click("#reveal")
    seen = set()
    for profile in PROFILES:
        keys = await shown_srtp_keys(alice, profile)
        assert keys == await shown_srtp_keys(bob, profile)
        assert list(keys) == [alice_name, bob_name]
        seen |= {key for key, _ in keys.values()}
    assert len(seen) == 2 * len(PROFILES)

    # A third member from a third domain.
    await alice.fill("#add-identity", carol_name)
    await alice.click("#add")
    await expect(carol.locator("#group")).to_be_visible()
    await _same_on_all([alice, bob, carol], 2)
    await carol.click("#reveal")
    assert await shown_srtp_keys(carol, PROFILES[-1]) == await shown_srtp_keys(bob, PROFILES[-1])
    await _say(carol, "Hello from the third domain")
    for page in (alice, bob):
        await _hear(page, carol_name, "Hello from the third domain")

    # New keys for one, then without one; who is out is told so and gets nothing more.
    await bob.click("#update")
    await _same_on_all([alice, bob, carol], 3)
    await alice.get_by_role("button", name=f"Remove {bob_name}").click()
    await _same_on_all([alice, carol], 4)
    await expect(bob.locator("#messages")).to_contain_text("You were removed from this group.")
    await expect(bob.locator("#send")).to_be_disabled()
    await expect(bob.locator("#srtp-keys > li")).to_have_count(0)
    await _say(alice, "Without Bob")
    await _hear(carol, alice_name, "Without Bob")
    await expect(bob.locator('[data-text="Without Bob"]')).to_have_count(0)
    await expect(alice.locator("#problems-card")).to_be_hidden()


async def test_one_page_in_two_groups(new_context: NewContext, federation: Federation) -> None:
    bob, bob_name = await open_demo(await new_context(), "bob", "b.example")
    alice, alice_name = await open_demo(await new_context(), "alice", "a.example")
    carol, carol_name = await open_demo(await new_context(), "carol", "c.example")
    await invite(alice, bob_name)
    await expect(bob.locator("#epoch")).to_have_text("1")
    await _say(alice, "in the first")
    await _hear(bob, alice_name, "in the first")

    # A second group comes up at once; the first one is still there, and goes on.
    await invite(carol, bob_name)
    await expect(bob.locator("#group-select option")).to_have_count(2)
    await _same_on_all([bob, carol], 1)
    await expect(bob.locator('[data-text="in the first"]')).to_have_count(0)
    await _say(carol, "in the second")
    await _hear(bob, carol_name, "in the second")
    await _say(alice, "meanwhile")
    first = bob.locator("#group-select option", has_text=alice_name)
    await bob.select_option("#group-select", await first.get_attribute("value"))
    await _same_on_all([bob, alice], 1)
    await _hear(bob, alice_name, "in the first")
    await _hear(bob, alice_name, "meanwhile")
    await _say(bob, "to the first")
    await _hear(alice, bob_name, "to the first")
    await expect(carol.locator('[data-text="to the first"]')).to_have_count(0)


async def test_progress_is_shown_while_files_arrive(new_context: NewContext) -> None:
    context = await new_context()
    page = await context.new_page()
    held: list[Route] = []
    await context.route("**/python_stdlib.zip", lambda route: held.append(route))

    await page.goto("/")

    await expect(page.locator("#progress-stage")).to_have_text("Starting Python")
    await expect(page.locator("#identity-create")).to_be_disabled()
    # All but the standard library can have come; what is shown says so.
    await expect(page.locator("#progress-bytes")).to_have_text(re.compile(r"^13\.\d of 23\.\d MB$"))
    assert 0.5 < await page.locator("#progress").evaluate("(bar) => bar.value / bar.max") < 0.9
    await held[0].continue_()
    await expect(page.locator("#progress-stage")).to_have_text("Ready")
    await expect(page.locator("#identity-create")).to_be_enabled()


@pytest.mark.expects_page_errors
async def test_what_cannot_be_loaded_is_said(new_context: NewContext) -> None:
    context = await new_context()
    page = await context.new_page()
    await context.route("**/python_stdlib.zip", lambda route: route.abort())

    await page.goto("/")

    await expect(page.locator("#loading-error")).to_contain_text("python_stdlib.zip could not be loaded")
    await expect(page.locator("#loading-error")).to_have_attribute("data-code", "load-failed")


async def test_mistakes_are_explained_where_they_happen(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    # One service of the list is not there.
    away = {**addresses(federation), "c.example": f"http://127.0.0.1:{free_port()}"}
    await context.route(
        "**/federation.json", lambda route: route.fulfill(body=as_json(away), content_type="application/json")
    )
    page = await context.new_page()
    await page.goto("/?service=c.example")
    create, problem = page.locator("#identity-create"), page.locator("#identity-error")

    await expect(create).to_be_enabled()
    await create.click()
    await expect(problem).to_contain_text("Type a name")
    await page.fill("#name", "lea")
    await create.click()
    await expect(problem).to_contain_text(f"{away['c.example']} cannot be reached")
    await expect(problem).to_have_attribute("data-code", "unreachable")
    await page.select_option("#service", "a.example")
    await page.fill("#name", "two words")
    await create.click()
    await expect(problem).to_have_attribute("data-code", "bad-identity")
    name = unique_name("lea")
    await page.fill("#name", name)
    await create.click()
    await expect(page.locator("#identity")).to_have_text(f"{name}@a.example")

    # Another address for a domain is tried at once, and must be that domain's.
    await page.click("#directory summary")
    await page.fill("[id='service-url-c.example']", addresses(federation)["b.example"])
    await page.get_by_test_id("set-service-c.example").click()
    error = page.locator("[id='service-error-c.example']")
    await expect(error).to_have_attribute("data-code", "wrong-domain")
    await page.fill("[id='service-url-c.example']", addresses(federation)["c.example"])
    await page.get_by_test_id("set-service-c.example").click()
    await expect(page.get_by_test_id("service-status-c.example")).to_contain_text("It answers for c.example")
    await expect(error).to_be_hidden()

    fetch, problem = page.locator("#fetch"), page.locator("#peer-error")
    for address, code in [
        (f"{unique_name('nobody')}@b.example", "unknown-identity"),
        ("somebody@d.example", "unknown-domain"),
        ("no address", "bad-identity"),
    ]:
        await page.fill("#peer", address)
        await fetch.click()
        await expect(problem).to_have_attribute("data-code", code)
        await expect(page.locator("#peer")).to_have_attribute("aria-invalid", "true")

    # A service that changes what it was given is found out.
    async def meddle(route: Route) -> None:
        response = await route.fetch()
        body = bytearray(await response.body())
        body[-70] ^= 1
        await route.fulfill(response=response, body=bytes(body))

    _, other = await open_demo(await new_context(), "mia", "b.example")
    await context.route("**/v1/bundles", meddle)
    await page.fill("#peer", other)
    await fetch.click()
    await expect(problem).to_have_attribute("data-code", re.compile("bad-|malformed|verification|invalid"))
    await expect(page.get_by_test_id("bundle")).to_have_count(0)
    await context.unroute("**/v1/bundles")

    # The page goes on working.
    await invite(page, other)
    await expect(problem).to_be_hidden()
    await page.fill("#add-identity", other)
    await page.click("#add")
    await expect(page.locator("#members-error")).to_have_attribute("data-code", "already-member")
    b_url = federation.services["b.example"].url
    await context.route(f"{b_url}/**", lambda route: route.abort())
    await page.fill("#message", "later")
    await page.click("#send")
    await expect(page.locator("#message-error")).to_contain_text(f"Not delivered to {other}")
    await expect(page.locator("#problems li")).to_have_attribute("data-code", "unreachable")
    await context.unroute(f"{b_url}/**")
    await _say(page, "now")
    await expect(page.locator("#message-error")).to_be_hidden()


async def test_a_tab_and_a_python_client_in_one_group(
    new_context: NewContext, federation: Federation
) -> None:
    page, tab_name = await open_demo(await new_context(), "tab", "a.example")
    name = f"{unique_name('terminal')}@b.example"
    events: asyncio.Queue[Event] = asyncio.Queue()

    async def next_event(kind: type[Event]) -> Event:
        async with asyncio.timeout(60):
            while True:
                event = await events.get()
                if isinstance(event, kind):
                    return event

    async with connected_client(name, addresses(federation), events.put_nowait) as client:
        await invite(page, name)
        joined = await next_event(GroupJoined)
        assert isinstance(joined, GroupJoined)
        details = client.group_details(joined.group_id)
        await expect(page.locator("#group-id")).to_have_text(joined.group_id.hex())
        await expect(page.locator("#safety-number")).to_have_text(details.safety_number)

        await client.send(joined.group_id, b"from a terminal")
        await _hear(page, name, "from a terminal")
        await _say(page, "from a tab")
        received = await next_event(MessageReceived)
        assert isinstance(received, MessageReceived)
        assert (received.sender, received.data) == (tab_name, b"from a tab")

        await page.click("#reveal")
        for epoch in (1, 2):
            if epoch > 1:
                await page.click("#update")
                changed = await next_event(EpochChanged)
                assert isinstance(changed, EpochChanged)
            await expect(page.locator(f'#srtp-keys[data-epoch="{epoch}"]')).to_be_visible()
            assert client.group_details(joined.group_id).epoch == epoch
            for profile in SrtpProfile:
                shown = await shown_srtp_keys(page, profile.name)
                exported = client.export_srtp_keys(joined.group_id, profile)
                members = client.group_details(joined.group_id).members
                assert shown == {
                    member.identity: (keys.master_key.hex(), keys.master_salt.hex())
                    for member, keys in zip(members, exported, strict=True)
                }


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
async def test_the_page_fits_desktop_and_phone(
    new_context: NewContext, federation: Federation, scheme: Literal["light", "dark"]
) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    bob, bob_name = await open_demo(await new_context(color_scheme=scheme), "bob", "b.example")
    page, _ = await open_demo(await new_context(color_scheme=scheme), "alice", "a.example")
    await page.fill("#peer", bob_name)
    await page.click("#fetch")
    await expect(page.get_by_test_id("bundle")).to_be_visible()
    await _picture(page, f"{scheme}-before")

    await page.get_by_test_id("invite").click()
    await expect(bob.locator("#group")).to_be_visible()
    await _say(page, "Can you read me your safety number?")
    await _say(bob, "The same as yours, I hope.")
    await _hear(page, bob_name, "The same as yours, I hope.")
    await _picture(page, f"{scheme}-during")


async def _picture(page: Page, name: str) -> None:
    """A picture at each width, in which nothing may hang over the edge."""
    for device, width, height in (("desktop", 1280, 900), ("phone", 360, 780)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.evaluate("scrollTo(0, 0)")
        await page.screenshot(path=SCREENSHOTS / f"{name}-{device}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
