"""Start-up: from files, from the snapshot that an earlier visit made, and without a network."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, Route

from dev.federation import Federation, running
from dev.webdriver import WebDriver
from tests.browser.conftest import NewContext
from tests.browser.pages import (
    MODULE_PATH,
    SERVED,
    SERVED_AT,
    addresses,
    caught,
    first_visit,
    in_chromium_and_firefox,
    in_chromium_and_seldom_in_firefox,
    open_module,
    open_module_client,
    unique_name,
    wait_for_event,
)

_VISIT = """
    const reports = [];
    window.mls = await MLSFederation.load({ crypto: "webjs", onprogress: (report) => reports.push(report) });
    return { startedFrom: mls.startedFrom, reports };
"""
# Of WebKit, on a machine that may be busy with two browsers: ninety seconds for a start and a snapshot were once not enough.
_SNAPSHOT_SECONDS = 300
# Runs the rest of a function on the folder of the snapshots.
_IN_FOLDER = """const origin = await navigator.storage.getDirectory();
    const folder = await origin.getDirectoryHandle("mls-federation-snapshots", { create: true });
    const names = [];
    for await (const name of folder.keys()) names.push(name);"""
# Changes the kept snapshot: `[at, length]` octets are changed, or it is cut off at `length` where `at` is negative.
_DAMAGE = f"""async ([at, length]) => {{
    {_IN_FOLDER}
    const file = await folder.getFileHandle(names[0]);
    const octets = new Uint8Array(await (await file.getFile()).arrayBuffer());
    for (let index = at; index >= 0 && index < at + length; index += 1) octets[index] ^= 1;
    const writable = await file.createWritable();
    await writable.write(at < 0 ? octets.slice(0, length) : octets);
    await writable.close();
}}"""
_KEPT = f"async () => {{ {_IN_FOLDER} return names.length; }}"


async def visit(context: BrowserContext) -> tuple[Page, dict[str, Any]]:
    """Load the module in a new page."""
    page = await open_module(context)
    return page, await page.evaluate(f"async () => {{ {_VISIT} }}")


@in_chromium_and_firefox
async def test_the_second_visit_starts_from_a_snapshot(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    await first_visit(context)

    fingerprints = []
    for _ in range(2):
        page, loaded = await visit(context)
        assert loaded["startedFrom"] == "snapshot"
        received = [report["received"] for report in loaded["reports"]]
        stages = list(dict.fromkeys(report["stage"] for report in loaded["reports"]))
        assert stages == ["runtime", "python", "packages", "ready"]
        assert received == sorted(received)
        # The snapshot is read, and what cannot be in it: WebAssembly, and the primitives.
        assert received[-1] == loaded["reports"][-1]["total"] > 31_000_000 + 10_000_000
        fingerprints.append(
            await page.evaluate(
                """async ([services, identity]) => {
                    for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
                    window.client = await mls.createClient({ identity });
                    const group = await client.createGroup();
                    const secret = await group.exportSecret("test", new Uint8Array(), 32);
                    return [client.fingerprint, hex(client.clientId), hex(group.id), hex(secret)];
                }""",
                [addresses(federation), f"{unique_name('sam')}@a.example"],
            )
        )
    # Nothing that was drawn at random in one is in the other.
    assert len({value for each in fingerprints for value in each}) == 8


async def test_what_a_snapshot_does_not_have_is_imported_when_it_is_needed(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    await first_visit(context)
    page, loaded = await visit(context)
    assert loaded["startedFrom"] == "snapshot"

    vectors = await page.evaluate("async () => (await fetch('/demo/vectors/index.json')).json()")
    results = await page.evaluate(
        """async (names) => {
            const files = {};
            for (const name of names) files[name] = await (await fetch(`/demo/vectors/${name}`)).text();
            return plain(await mls.selfTest(files));
        }""",
        vectors[:2],
    )

    assert [(result["failed"], result["passed"] > 0) for result in results] == [(0, True)] * 2


@in_chromium_and_seldom_in_firefox
async def test_a_start_from_a_snapshot_does_without_the_archives_of_python_modules(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    await first_visit(context)
    asked: set[str] = set()
    both = asyncio.Event()

    async def never_answered(route: Route) -> None:
        asked.add(route.request.url.rpartition(".")[2])
        if len(asked) == 2:
            both.set()

    for archive in ("**/*.zip", "**/*.whl"):
        await context.route(archive, never_answered)
    page, loaded = await visit(context)
    assert loaded["startedFrom"] == "snapshot"
    other_context = await new_context()
    other, address = await open_module_client(other_context, federation, "ann", "b.example")

    said = await page.evaluate(
        """async ([services, identity, other]) => {
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
            window.client = await mls.createClient({ identity });
            const group = await client.createGroup();
            await group.add(other);
            await group.send("hello");
            await group.update();
            const keys = await group.exportSrtpKeys({ profile: "AES_CM_128_HMAC_SHA1_80" });
            const secret = await group.exportSecret("test", new Uint8Array(), 32);
            const tree = await mls.ratchetTree(await group.exportRatchetTree());
            const exported = await client.exportAccount("correct horse");
            const fault = await mls.setDeliveryService("c.example", "http://127.0.0.1:1").catch(({ code }) => code);
            return [keys.length, secret.length, tree.nodes.length, exported.length > 0, fault];
        }""",
        [addresses(federation), f"{unique_name('sam')}@a.example", address],
    )

    assert said == [2, 32, 3, True, "unreachable"]
    assert (await wait_for_event(other, "message", text="hello"))["text"] == "hello"
    # They are asked for all the same, when there is time.
    async with asyncio.timeout(30):
        await both.wait()
    assert asked == {"zip", "whl"}


# One bit in the middle of the memory; its label and header; most of it is missing; all is.
@pytest.mark.parametrize(
    "damage",
    [
        (15_000_000, 1),
        *(pytest.param(seldom, marks=pytest.mark.long) for seldom in ((0, 64), (-1, 1_000_000), (-1, 0))),
    ],
)
async def test_a_damaged_snapshot_is_dropped(new_context: NewContext, damage: tuple[int, int]) -> None:
    context = await new_context()
    await first_visit(context)
    page = await open_module(context)
    assert await page.evaluate(_KEPT) == 1
    await page.evaluate(_DAMAGE, list(damage))

    loaded = await page.evaluate(f"async () => {{ {_VISIT} }}")

    assert loaded["startedFrom"] == "files"
    assert loaded["reports"][-1]["received"] == loaded["reports"][-1]["total"]
    assert await page.evaluate(_KEPT) == 0


@in_chromium_and_seldom_in_firefox
async def test_snapshots_can_be_switched_off(new_context: NewContext) -> None:
    context = await new_context()
    await first_visit(context)
    page = await open_module(context)

    started = await page.evaluate(
        "async () => (window.mls = await MLSFederation.load({ snapshot: false })).startedFrom"
    )

    assert started == "files"


async def test_start_up_asks_for_each_file_once_and_later_only_whether_there_is_a_new_release(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    page = await context.new_page()
    requested: list[str] = []
    context.on("response", lambda response: requested.append(response.url.removeprefix(federation.url)))
    await page.goto(MODULE_PATH)
    await page.evaluate("async () => { await MLSFederation.load({ snapshot: false }); }")

    module = [path for path in requested if path.startswith("/mls-federation/")]
    assert [path for path in module if module.count(path) > 1] == []
    assert len(module) > 10
    assert [path for path in module if "lock" in path] == []

    sizes = """() => performance.getEntriesByType("resource")
        .filter((entry) => entry.name.includes("/mls-federation/"))
        .map((entry) => [new URL(entry.name).pathname, entry.transferSize])"""
    again = await context.new_page()
    await again.goto(MODULE_PATH)
    await again.wait_for_function("window.MLSFederation !== undefined")
    transferred = dict(await again.evaluate(sizes))
    assert {path for path, octets in transferred.items() if octets > 0} == {"/mls-federation/index.js"}


@in_chromium_and_firefox
@pytest.mark.expects_page_errors
async def test_a_page_starts_while_nobody_answers(
    new_context: NewContext, web_root: Path, tmp_path: Path
) -> None:
    context = await new_context()
    page = await context.new_page()
    mounts = {SERVED_AT: SERVED}
    with running(Path(sys.executable), web_root, tmp_path, domains=(), mounts=mounts) as site:
        await page.goto(f"{site.url}{MODULE_PATH}")
        await page.evaluate(
            "(also) => MLSFederation.registerServiceWorker({ also }).then(() => {})", [MODULE_PATH]
        )

    # The web server has ended.
    await page.goto(f"{site.url}{MODULE_PATH}?again")
    await page.wait_for_function("window.MLSFederation !== undefined")
    assert (await page.evaluate(f"async () => {{ {_VISIT} }}"))["startedFrom"] == "files"
    # It is the client that answers, and says what it can without a network.
    error = await caught(page, "mls.setDeliveryService('a.example', 'http://127.0.0.1:1')")
    assert error["code"] == "unreachable"


@pytest.mark.expects_page_errors
async def test_a_service_worker_that_is_not_served_is_an_error(new_context: NewContext) -> None:
    page = await open_module(await new_context())
    error = await caught(page, "MLSFederation.registerServiceWorker({ script: '/nowhere.js' })")
    assert error["code"] == "no-service-worker"


def test_webkit_starts_from_a_snapshot_too(webkit: WebDriver, federation: Federation) -> None:
    for expected in ("files", "snapshot"):
        webkit.open(f"{federation.url}{MODULE_PATH}")
        webkit.wait_until("return window.MLSFederation !== undefined")
        started = webkit.run(
            """window.mls = await MLSFederation.load({ crypto: "webjs" });
            mls.addEventListener("snapshot", ({ detail }) => { window.outcome = detail; });
            return mls.startedFrom;"""
        )
        assert started == expected
        if expected == "files":
            outcome = webkit.wait_until("return window.outcome", seconds=_SNAPSHOT_SECONDS)
            assert outcome == {"kept": True}
        webkit.run("mls.dispose()")
