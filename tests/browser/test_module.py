"""The ES module in a page of its own: what a web developer gets, with real delivery services."""

import asyncio
import contextlib
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Route

from dev.federation import Federation
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    addresses,
    in_chromium_and_firefox,
    open_module,
    open_module_client,
    wait_for_event,
)

PROFILES = {"AES_CM_128_HMAC_SHA1_80": (16, 14), "AEAD_AES_128_GCM": (16, 12), "AEAD_AES_256_GCM": (32, 12)}


async def test_loading_reports_octets_as_they_arrive(new_context: NewContext) -> None:
    page = await open_module(await new_context())

    reports = await page.evaluate(
        """async () => {
            const reports = [];
            window.mls = await MLSFederation.load({ onprogress: (progress) => reports.push(progress) });
            return reports;
        }"""
    )

    stages = list(dict.fromkeys(report["stage"] for report in reports))
    received = [report["received"] for report in reports]
    assert stages == ["runtime", "python", "packages", "ready"]
    assert received == sorted(received)
    assert len(set(received)) > 8
    assert {report["total"] for report in reports[1:]} == {received[-1]}
    assert received[-1] > 10_000_000


@in_chromium_and_firefox
async def test_three_services_one_group(new_context: NewContext, federation: Federation) -> None:
    alice, _ = await open_module_client(await new_context(), federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    carol, carol_name = await open_module_client(await new_context(), federation, "carol", "c.example")

    await alice.evaluate("async () => { window.group = await client.createGroup(); }")
    added = await alice.evaluate("async (bob) => plain(await group.add(bob))", bob_name)
    [delivery] = added["deliveries"]
    assert len(delivery.pop("messageId")["hex"]) == 32
    assert delivery == {"identity": bob_name, "status": "accepted", "via": ["b.example"]}
    joined = await wait_for_event(bob, "group")
    assert joined["details"]["epoch"] == {"bigint": "1"}

    # The one who was added adds the next, and the first one learns of it.
    await bob.evaluate("(carol) => group.add(carol)", carol_name)
    await wait_for_event(carol, "group")
    changed = await wait_for_event(alice, "epoch", epoch={"bigint": "2"})
    assert [member["identity"] for member in changed["members"]][1:] == [bob_name, carol_name]

    details = [await _details(page) for page in (alice, bob, carol)]
    assert details[0] == details[1] == details[2]
    assert details[0]["cipherSuiteName"] == "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"
    for profile, (key_size, salt_size) in PROFILES.items():
        exported = [
            await page.evaluate("async (profile) => plain(await group.exportSrtpKeys({ profile }))", profile)
            for page in (alice, bob, carol)
        ]
        assert exported[0] == exported[1] == exported[2]
        assert [sender["leafIndex"] for sender in exported[0]] == [0, 1, 2]
        assert len({sender["key"]["hex"] for sender in exported[0]}) == 3
        assert {len(sender["key"]["hex"]) for sender in exported[0]} == {2 * key_size}
        assert {len(sender["salt"]["hex"]) for sender in exported[0]} == {2 * salt_size}
        assert {sender["mki"]["hex"] for sender in exported[0]} == {"00000002"}

    await carol.evaluate("() => group.send(new Uint8Array([0xff, 0x00]))")
    for page in (alice, bob):
        message = await wait_for_event(page, "message")
        assert message["sender"] == carol_name
        assert message["senderLeaf"] == 2
        assert message["epoch"] == {"bigint": "2"}
        assert message["data"] == {"hex": "ff00"}
        assert message.get("text") is None

    await carol.evaluate("() => group.update()")
    await alice.evaluate("(bob) => client.groups[0].remove(bob)", bob_name)
    await wait_for_event(bob, "removed")
    await wait_for_event(carol, "epoch", epoch={"bigint": "4"})
    assert await bob.evaluate("() => client.groups.length") == 0
    assert await _details(alice) == await _details(carol)
    secrets = [
        (await page.evaluate("async () => plain(await group.exportSecret('test', new Uint8Array([1]), 40))"))[
            "hex"
        ]
        for page in (alice, carol)
    ]
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) == 80


async def _details(page: Page) -> dict[str, Any]:
    details: dict[str, Any] = await page.evaluate(
        """async () => {
            const details = plain(await group.details());
            for (const member of details.members) delete member.self;
            return details;
        }"""
    )
    return details


async def test_a_bundle_has_every_field_decoded(new_context: NewContext, federation: Federation) -> None:
    page, own = await open_module_client(await new_context(), federation, "dora", "a.example")

    bundles = await page.evaluate("async (own) => plain(await client.fetchKeyBundles(own))", own)

    (bundle,) = bundles
    manifest, package = bundle["userInitKey"], bundle["keyPackage"]
    assert bundle["identity"] == manifest["credential"]["identity"] == own
    assert manifest["credential"]["credentialType"] == "basic"
    assert manifest["credential"]["signatureScheme"] == {"value": 0x0807, "name": "ed25519"}
    assert manifest["credential"]["fingerprint"] == await page.evaluate("client.fingerprint")
    assert {suite["value"]: suite["name"] for suite in manifest["cipherSuites"]} == {
        0x0000: "P256_SHA256_AES128GCM",
        0x0001: "X25519_SHA256_AES128GCM",
        0x0003: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
    }
    assert len(manifest["initKeys"]) == len(bundle["keyPackageRefs"]) == 3
    assert package["initKey"] == manifest["initKeys"][0]
    assert package["keyPackageRef"] == bundle["keyPackageRefs"][0]
    assert package["version"] == "mls10"
    assert int(package["notAfter"]["bigint"]) > int(package["notBefore"]["bigint"])
    assert len(bundle["verified"]) == 5


async def test_every_suite_of_the_client_makes_a_group(
    new_context: NewContext, federation: Federation
) -> None:
    page, _ = await open_module_client(await new_context(), federation, "erin", "a.example")
    other, name = await open_module_client(await new_context(), federation, "frank", "b.example")

    for suite in (1, 2, 3):
        await page.evaluate(
            """async ([cipherSuite, groupId, name]) => {
                const group = await client.createGroup({ cipherSuite, groupId: unhex(groupId) });
                await group.add(name);
                await group.send(`suite ${cipherSuite}`);
            }""",
            [suite, f"{suite:02x}", name],
        )
        message = await wait_for_event(other, "message", text=f"suite {suite}")
        assert message["epoch"] == {"bigint": "1"}


async def test_a_service_says_who_it_is(new_context: NewContext, federation: Federation) -> None:
    page = await open_module(await new_context())
    url = addresses(federation)["a.example"]

    service = await page.evaluate(
        """async (url) => {
            const mls = await MLSFederation.load();
            return mls.setDeliveryService("a.example", url + "/");
        }""",
        url,
    )

    assert service == {"domain": "a.example", "url": url, "versions": [1]}


async def test_who_gives_up_waiting_loses_nothing(new_context: NewContext, federation: Federation) -> None:
    context = await new_context()
    alice, _ = await open_module_client(context, federation, "alice", "a.example")
    bob, bob_name = await open_module_client(await new_context(), federation, "bob", "b.example")
    _, carol_name = await open_module_client(await new_context(), federation, "carol", "c.example")
    await alice.evaluate("async () => { window.group = await client.createGroup(); }")
    await alice.evaluate("async (bob) => void await group.add(bob)", bob_name)
    await wait_for_event(bob, "group")

    unanswered: list[Route] = []
    asked = asyncio.Queue[str]()

    async def leave_unanswered(route: Route) -> None:
        unanswered.append(route)
        await asked.put(route.request.url)

    async def begin(call: str, arg: Any = None) -> None:
        """Begin a call in alice's page, and give it up once a service was asked."""
        await alice.evaluate(
            f"""(arg) => {{
                window.giving = new AbortController();
                const signal = giving.signal;
                window.given = caught(async () => {{ window.result = await {call}; }});
            }}""",
            arg,
        )
        await asked.get()
        await alice.evaluate("() => giving.abort(new MLSError('given-up', 'The visitor gave up.'))")

    # What has changed nothing yet does not happen.
    await context.route("**/v1/bundles", leave_unanswered)
    await begin("group.add(arg, { signal })", carol_name)
    assert (await alice.evaluate("() => given"))["code"] == "given-up"
    assert len((await _details(alice))["members"]) == 2

    # What is made already goes out all the same.
    await context.route("**/v1/messages", leave_unanswered)
    await begin("group.send('made already', { signal })")
    assert await alice.evaluate("() => given") is None
    assert await alice.evaluate("() => result.deliveries.map((one) => one.status)") == ["pending"]
    await context.unroute("**/v1/messages")
    for route in unanswered:
        with contextlib.suppress(PlaywrightError):
            await route.continue_()
    assert (await wait_for_event(bob, "message"))["text"] == "made already"
    assert await alice.evaluate("() => seen.filter(({ name }) => name === 'error')") == []
