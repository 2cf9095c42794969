"""A second tab is a second device of the same person: admitted by the first, in groups with it, and revoked by it."""

from typing import Any

from playwright.async_api import BrowserContext, Page

from dev.federation import Federation
from tests.browser.conftest import NewContext
from tests.browser.pages import addresses, caught, open_module, open_module_client, wait_for_event


async def _open_device(context: BrowserContext, federation: Federation, identity: str) -> Page:
    """A page with a client that is still to be admitted, in `window.client`."""
    page = await open_module(context)
    await page.evaluate(
        """async ([services, identity]) => {
            window.mls = await MLSFederation.load({ crypto: "webjs" });
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
            window.client = await mls.createDevice({ identity });
            watch(client);
        }""",
        [addresses(federation), identity],
    )
    return page


async def _devices(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate("async () => plain(await client.devices())")
    return found


async def test_a_second_tab_of_alice(new_context: NewContext, federation: Federation) -> None:
    phone, alice = await open_module_client(await new_context(), federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    tablet = await _open_device(await new_context(), federation, alice)

    taken = await caught(bob, "mls.createClient({ identity: arg })", alice)
    assert (taken["type"], taken["code"]) == ("MLSError", "not-admitted")
    assert (await caught(tablet, "client.register()"))["code"] == "not-admitted"
    request = await tablet.evaluate("() => client.deviceRequest()")
    assert (await caught(phone, "client.admitDevice(arg)", "hello"))["code"] == "bad-device-request"
    assert (await caught(bob, "client.admitDevice(arg)", request))["code"] == "wrong-identity"
    admitted = await phone.evaluate("async (request) => plain(await client.admitDevice(request))", request)
    await tablet.evaluate("() => client.register()")
    await wait_for_event(tablet, "connection", state="connected")

    assert admitted == await tablet.evaluate("() => plain(client.clientId)")
    fingerprints = [await page.evaluate("() => client.fingerprint") for page in (phone, tablet)]
    listed = await _devices(tablet)
    assert [device["fingerprint"] for device in listed] == fingerprints
    assert [(device["self"], device["active"]) for device in listed] == [(False, True), (True, True)]

    # Who adds alice adds both, and both hear what is said.
    await bob.evaluate(
        "async (alice) => { window.group = await client.createGroup(); await group.add(alice); }", alice
    )
    for page in (phone, tablet):
        await wait_for_event(page, "group")
    await bob.evaluate("() => group.send('hello, both of you')")
    for page in (phone, tablet):
        heard = await wait_for_event(page, "message")
        assert (heard["sender"], heard["text"]) == (bob_name, "hello, both of you")
    await tablet.evaluate("() => group.send('from the second tab')")
    for page in (phone, bob):
        heard = await wait_for_event(page, "message")
        assert (heard["sender"], heard["text"]) == (alice, "from the second tab")
    members = await bob.evaluate("async () => plain((await group.details()).members)")
    assert {member["fingerprint"] for member in members if member["identity"] == alice} == set(fingerprints)

    # And when the tab is lost, the first one says so.
    left = await phone.evaluate(
        """async ([alice, clientId]) => {
            const groups = await client.revokeDevice(unhex(clientId));
            for (const group of groups) await group.removeDevice(alice, unhex(clientId));
            return groups.length;
        }""",
        [alice, admitted["hex"]],
    )
    assert left == 1
    assert (await wait_for_event(tablet, "error", code="device-revoked"))["code"] == "device-revoked"
    assert [device["active"] for device in await _devices(phone)] == [True, False]
    await wait_for_event(bob, "epoch", epoch={"bigint": "2"})
    await bob.evaluate("() => group.send('to one of you')")
    assert (await wait_for_event(phone, "message"))["text"] == "to one of you"
    assert (await caught(tablet, "client.register()"))["code"] == "device-revoked"
