"""`mls.js` beside Firefox's own `MLS`: what a page sees of either, and both in one group."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Page

from dev import firefox
from dev.federation import Federation
from tests.browser.conftest import NewContext
from tests.browser.pages import MODULE_PATH, in_chromium_and_firefox, open_module

Transcript: TypeAlias = list[tuple[str, str]]

# What Firefox cannot be asked: it ends itself, the whole browser.
ENDS_FIREFOX = [
    "when a welcome is",
    "when a key package is",
    "exporting: length 8161",
    "exporting: length -1",
    "exporting: length 2^53",
]
# How Firefox refuses nearly everything: by an error of its own code, which has no message and is no DOMException. Ours are
# DOMExceptions of the kind that Firefox has for the rest.
FIREFOX_REFUSES, REFUSED = "refused: NS_ERROR_FAILURE", "refused: UnknownError"

_KEY_PACKAGE = '{"content":"a KeyPackage","type":"key-package"}'


def _commit_output(group: str, *, welcome: bool) -> str:
    output = {"commit": "a PublicMessage", "groupId": f"<{group}>", "type": "commit-output"}
    return json.dumps(output | ({"welcome": "a Welcome"} if welcome else {}), separators=(",", ":"))


# What comes of a step in Firefox, and with ours. docs/mls-facade.md says why.
DIFFERENCES = {
    # Ours has more.
    "statics of MLS": ("[]", '["load","use"]'),
    "other members of MLSGroupView": ("[]", '["inspect"]'),
    # Firefox takes a commit of its own that was cleared, if it adds only; others it refuses.
    "a commit that was cleared, received": (
        '{"groupEpoch":"0100000000000000","groupId":"<otherwise>","type":"commit-processed"}',
        REFUSED,
    ),
    # Firefox lets a client join by the key package of another, whose place it then has.
    "joining as another client than the key package's": ('"a view"', REFUSED),
    # Firefox keeps back the Welcome for whom a proposal adds.
    "closing, with a proposal to add": (
        _commit_output("closed", welcome=False),
        _commit_output("closed", welcome=True),
    ),
    # Firefox takes any octets for a credential, and whatever follows a message.
    "an X.509 credential": (_KEY_PACKAGE, REFUSED),
    "a credential and more": (_KEY_PACKAGE, REFUSED),
    "a message and more": ('{"content":"<closed>","type":"group-identifier"}', REFUSED),
    # Firefox fails where there is nothing to delete.
    "deleting nothing": (FIREFOX_REFUSES, "undefined"),
}

with_and_without_firefox = pytest.mark.parametrize("browser", ["chromium", "firefox_with_mls"], indirect=True)
in_firefox_with_mls = pytest.mark.parametrize("browser", ["firefox_with_mls"], indirect=True)


async def _require_mls(page: Page) -> None:
    if await page.evaluate("typeof MLS") == "undefined":
        reason = "this Firefox has no MLS; 153 has it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
async def firefox_transcript(firefox_with_mls_running: Browser, federation_running: Federation) -> Transcript:
    """What comes of each step in Firefox's own MLS."""
    context = await firefox_with_mls_running.new_context(
        base_url=federation_running.url, **firefox.CONTEXT_OPTIONS
    )
    page = await context.new_page()
    await page.goto(MODULE_PATH)
    await _require_mls(page)
    steps = await page.evaluate(
        """async (skip) => {
            const { transcript } = await import("/browser-tests/facade.js");
            return transcript(MLS, MLSGroupView, skip);
        }""",
        ENDS_FIREFOX,
    )
    await context.close()
    return [(step, outcome) for step, outcome in steps]


def _expected(transcript: Sequence[tuple[str, str]]) -> Transcript:
    """What is to come of each step with ours."""
    expected = []
    for step, outcome in transcript:
        if step in DIFFERENCES:
            assert outcome == DIFFERENCES[step][0], f"Firefox has changed: {step}"
            expected.append((step, DIFFERENCES[step][1]))
        elif outcome in (FIREFOX_REFUSES, "skipped"):
            expected.append((step, REFUSED))
        else:
            expected.append((step, outcome))
    return expected


@with_and_without_firefox
async def test_a_page_sees_what_it_sees_in_firefox(
    new_context: NewContext, federation: Federation, browser: Browser, firefox_transcript: Transcript
) -> None:
    page = await open_module(await new_context())
    ours: list[list[str]] = await page.evaluate(
        """async () => {
            const { transcript } = await import("/browser-tests/facade.js");
            if (typeof MLS !== "undefined") {
                const ours = await import("/mls-federation/mls.js");
                return transcript(ours.MLS, ours.MLSGroupView);
            }
            await import("/mls-federation/mls-polyfill.js");
            return transcript(MLS, MLSGroupView);
        }"""
    )

    assert len(firefox_transcript) > 600
    assert {*DIFFERENCES, *ENDS_FIREFOX} <= {step for step, _ in firefox_transcript}
    expected = _expected(firefox_transcript)
    assert [step for step, _ in ours] == [step for step, _ in expected]
    differing = {
        step: (wanted, outcome)
        for (step, wanted), (_, outcome) in zip(expected, ours, strict=True)
        if outcome != wanted
    }
    assert differing == {}


@in_firefox_with_mls
async def test_a_browsers_own_is_left_in_its_place(new_context: NewContext, federation: Federation) -> None:
    page = await open_module(await new_context())
    await _require_mls(page)
    assert await page.evaluate(
        """async () => {
            const before = [MLS, MLSGroupView];
            await import("/mls-federation/mls-polyfill.js");
            return MLS === before[0] && MLSGroupView === before[1];
        }"""
    )


def _agreed(step: str, epoch: int, *members: str) -> dict[str, Any]:
    return {
        "step": step,
        "epochs": [epoch.to_bytes(8, "little").hex()],
        "details": 1,
        "secrets": 1,
        "secretsOfOctetLabels": 1,
        "members": list(members),
    }


def _said(sender: str, text: str, *readers: str) -> dict[str, Any]:
    return {"step": f"{sender} says {text}", "read": dict.fromkeys(readers, text)}


MIXED = [
    _agreed("alice adds bob", 1, "alice", "bob"),
    _said("alice", "hello", "bob"),
    _said("bob", "hello yourself", "alice"),
    _agreed("bob adds carol", 2, "alice", "bob", "carol"),
    _said("carol", "I am here", "alice", "bob"),
    _agreed("alice commits to bob's proposal to add dave", 3, "alice", "bob", "carol", "dave"),
    {"step": "alice is told", "epoch": "ff" * 8},
    _agreed("bob commits to carol's proposal to remove alice", 4, "bob", "carol", "dave"),
    _said("dave", "she is gone", "bob", "carol"),
    _said("carol", "she is", "bob", "dave"),
    _agreed("carol removes bob", 5, "carol", "dave"),
    _said("dave", "and so is he", "carol"),
    _agreed("dave closes the group", 6, "dave"),
]


@in_firefox_with_mls
@pytest.mark.parametrize("creator", ["firefox", "ours"])
async def test_firefox_and_ours_in_one_group(
    new_context: NewContext, federation: Federation, creator: str
) -> None:
    page = await open_module(await new_context())
    await _require_mls(page)
    seen = await page.evaluate(
        """async (creator) => {
            const { mixedGroup } = await import("/browser-tests/facade_mixed.js");
            const ours = await import("/mls-federation/mls.js");
            return creator === "ours" ? mixedGroup(ours.MLS, MLS) : mixedGroup(MLS, ours.MLS);
        }""",
        creator,
    )
    assert seen == MIXED


async def _open_ours(context: BrowserContext) -> Page:
    """A page with our class as `MLS`, whatever the browser has."""
    page = await open_module(context)
    await page.evaluate(
        """async () => {
            Object.assign(window, await import("/mls-federation/mls.js"));
            window.mls = new MLS();
        }"""
    )
    return page


async def _begin(page: Page) -> dict[str, str]:
    """A group of Alice and Bob, both of this page, with a commit of Alice's pending; what finds it again, in hexadecimal."""
    found: dict[str, str] = await page.evaluate(
        """async () => {
            const person = async (name) => [await mls.generateIdentity(), await mls.generateCredential(name)];
            const [alice, bob, carol] = [await person("alice"), await person("bob"), await person("carol")];
            window.alice = await mls.groupCreate(...alice);
            const { commit, welcome } = await window.alice.add(await mls.generateKeyPackage(...bob));
            await window.alice.receive(commit);
            window.bob = await mls.groupJoin(bob[0], welcome);
            const pending = await window.alice.add(await mls.generateKeyPackage(...carol));
            return {
                groupId: hex(window.alice.groupId),
                alice: hex(alice[0].content),
                bob: hex(bob[0].content),
                carol: hex(carol[0].content),
                commit: hex(pending.commit),
                welcome: hex(pending.welcome),
            };
        }"""
    )
    return found


async def _find(page: Page, begun: dict[str, str]) -> None:
    await page.evaluate(
        """async ({ groupId, alice, bob }) => {
            window.alice = await mls.groupGet(unhex(groupId), unhex(alice));
            window.bob = await mls.groupGet(unhex(groupId), unhex(bob));
        }""",
        begun,
    )


@in_chromium_and_firefox
async def test_groups_survive_the_page_until_they_are_deleted(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    page = await _open_ours(context)
    begun = await _begin(page)
    sent = await page.evaluate("async () => hex((await alice.send('before')).content)")
    await page.close()

    page = await _open_ours(context)
    await _find(page, begun)
    heard = await page.evaluate(
        """async ([sent, { commit, welcome, carol }]) => {
            const text = async (received) => new TextDecoder().decode((await received).content);
            const heard = [await alice.hasPendingCommit(), await text(bob.receive(unhex(sent)))];
            await alice.receive(unhex(commit));
            await bob.receive(unhex(commit));
            // Her key package was kept, too.
            window.carol = await mls.groupJoin(unhex(carol), unhex(welcome));
            heard.push(await text(window.carol.receive(await alice.send("after"))));
            heard.push(await text(alice.receive(await bob.send("back"))));
            return heard;
        }""",
        [sent, begun],
    )
    assert heard == [True, "before", "after", "back"]

    kept = """() => new Promise((resolve, reject) => {
        const opening = indexedDB.open("mls-federation");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
            const reading = opening.result.transaction(["account", "part"]);
            const counting = ["account", "part"].map((name) => reading.objectStore(name).count());
            reading.oncomplete = () => {
                opening.result.close();
                resolve(counting.map((request) => request.result));
            };
        };
    })"""
    # Three people, and a view of each.
    assert await page.evaluate(kept) == [1, 6]
    await page.evaluate("() => mls.deleteState()")
    assert await page.evaluate(kept) == [0, 0]
    with pytest.raises(Error, match="the client has no such group"):
        await _find(page, begun)


@in_chromium_and_firefox
async def test_tabs_share_groups_and_never_use_a_key_twice(
    new_context: NewContext, federation: Federation
) -> None:
    context = await new_context()
    first = await _open_ours(context)
    begun = await _begin(first)
    second = await _open_ours(context)
    await _find(second, begun)

    await second.evaluate("() => alice.applyPendingCommit()")
    assert await first.evaluate("async () => hex((await alice.details()).groupEpoch)") == "02" + "00" * 7
    await first.evaluate("(commit) => bob.receive(unhex(commit))", begun["commit"])

    # Both send at once; a key that both used would make Bob refuse the second of two messages.
    send = """async (name) => {
        const texts = Array.from({ length: 10 }, (_, index) => `${name} ${index}`);
        return Promise.all(texts.map(async (text) => hex((await alice.send(text)).content)));
    }"""
    sent = await asyncio.gather(first.evaluate(send, "first"), second.evaluate(send, "second"))
    heard = await first.evaluate(
        """async (sent) => {
            const heard = [];
            for (const message of sent) heard.push(new TextDecoder().decode((await bob.receive(unhex(message))).content));
            return heard;
        }""",
        [message for messages in sent for message in messages],
    )
    assert heard == [f"{name} {index}" for name in ("first", "second") for index in range(10)]

    await first.evaluate("() => mls.deleteState()")
    with pytest.raises(Error, match="the client has no such group"):
        await second.evaluate("() => alice.details()")


async def test_the_page_says_how_the_engine_is_loaded_and_what_went_wrong(
    new_context: NewContext, federation: Federation
) -> None:
    page = await _open_ours(await new_context())
    seen = await page.evaluate(
        """async () => {
            const stages = new Set();
            await MLS.load({ crypto: "webjs", onprogress: ({ stage }) => stages.add(stage) });
            const error = await mls.groupGet(Uint8Array.of(1), Uint8Array.of(2)).catch((error) => error);
            const seen = {
                stages: [...stages],
                error: [error instanceof DOMException, error.name, error.message, error.cause.code],
            };
            // Another engine has the same state.
            const id = await mls.generateIdentity();
            const group = await mls.groupCreate(id, await mls.generateCredential("alice"));
            const federation = await MLSFederation.load({ crypto: "webjs" });
            MLS.use(federation);
            seen.members = (await group.details()).members.length;
            federation.dispose();
            seen.disposed = await group.details().catch((error) => error.cause.code);
            seen.again = (await group.details()).members.length;
            return seen;
        }"""
    )
    assert seen == {
        "stages": ["runtime", "python", "packages", "ready"],
        "error": [True, "UnknownError", "the client has no such group", "no-such-group"],
        "members": 1,
        "disposed": "disposed",
        "again": 1,
    }


async def test_an_argument_is_the_pages_again_once_the_call_has_begun(
    new_context: NewContext, federation: Federation
) -> None:
    page = await _open_ours(await new_context())
    credential = await page.evaluate(
        """async () => {
            const content = new TextEncoder().encode("alice");
            const making = mls.generateCredential(content);
            content.fill(0);
            return hex((await making).content);
        }"""
    )
    assert credential == "000105" + b"alice".hex()


@in_chromium_and_firefox
async def test_a_worker_of_the_pages_has_it_too(new_context: NewContext, federation: Federation) -> None:
    page = await open_module(await new_context())
    heard = await page.evaluate(
        """() => new Promise((resolve, reject) => {
            const worker = new Worker("/browser-tests/facade_worker.js", { type: "module" });
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = ({ message }) => reject(new Error(message));
        })"""
    )
    assert heard == "from a worker"
