"""A call of members of one group on three delivery services: whose media are decrypted when, in Chromium with a fake camera.

How long that takes depends on what else the machine does, so it is printed in every run, and held to limits where a test is `long`.
"""

import itertools
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest
from playwright.async_api import Browser

from dev.browser import PageFaults
from dev.federation import Federation
from tests.browser.calls import Caller, all_verified, call_context, in_one_group, open_caller
from tests.browser.pages import addresses

# What somebody in a call may be made to wait, in milliseconds.
REMOVED_WITHIN = 2000
JOINED_WITHIN = 3000
LONGEST_GAP = 500
# What else the machine does can only make a time longer; what the call itself takes, it takes each time. So one good turn is enough.
TURNS = 3

in_every_run_and_within_limits = pytest.mark.parametrize(
    "within_limits", [False, pytest.param(True, marks=pytest.mark.long)]
)

Trio: TypeAlias = tuple[Caller, Caller, Caller]


@pytest.fixture(scope="module")
async def trio(chromium_with_camera: Browser, federation_running: Federation) -> AsyncIterator[Trio]:
    """Alice, Bob and Carol, each of another domain, in one call. A test leaves them so."""
    faults = PageFaults(federation_running.url)
    callers = []
    for name, domain in (("alice", "a.example"), ("bob", "b.example"), ("carol", "c.example")):
        context = await call_context(chromium_with_camera, federation_running, faults)
        callers.append(await open_caller(context, federation_running, name, domain))
    alice, bob, carol = callers
    await in_one_group(alice, bob, carol)
    for caller in callers:
        await caller.do("await startCall(group);")
    await all_verified(*callers)
    yield alice, bob, carol
    for caller in callers:
        await caller.page.context.close()
    if faults.seen:
        pytest.fail("The pages reported errors:\n" + "\n".join(faults.seen))


async def test_everybody_sees_and_hears_everybody(trio: Trio) -> None:
    for caller in trio:
        for other in trio:
            if other is caller:
                continue
            await caller.sees(other)
            await caller.until('(await received(participant(arg), "audio")).samples > 0', other.identity)
            state = await caller.do("return shown(participant(arg));", other.identity)
            assert (state["state"], state["audio"], state["video"]) == ("verified", True, True)
    assert [happened for caller in trio for happened in await caller.happened("error")] == []


async def test_signals_are_no_messages_for_people(trio: Trio) -> None:
    alice, bob, _ = trio
    await bob.do(
        """window.texts = [];
        group.addEventListener("message", (event) => texts.push([isCallMessage(event), event.detail.text]));"""
    )
    await alice.do("call.setTrack('video', null); await group.send('{braces, but no signal}');")
    await bob.until("participant(arg).video === false", alice.identity)
    await bob.until("texts.length === 2")
    assert sorted(called for called, _ in await bob.do("return texts;")) == [False, True]

    await alice.do("call.setTrack('video', local.getVideoTracks()[0]);")
    await bob.until("participant(arg).video", alice.identity)


@in_every_run_and_within_limits
async def test_media_go_on_while_members_come_and_go(trio: Trio, within_limits: bool) -> None:
    alice = trio[0]
    # A member who is not in the call.
    dave = await alice.do(
        """window.dave ??= await mls.createClient({ identity: arg.replace("alice", "dave"), keep: false });
        return dave.identity;""",
        alice.identity,
    )
    # Each turn leaves Dave outside.
    changes = 12 if within_limits else 4
    longest = [await _longest_gap_in_roster_changes(trio, dave, changes)]
    if within_limits:
        while min(longest) > LONGEST_GAP and len(longest) < TURNS:
            longest.append(await _longest_gap_in_roster_changes(trio, dave, changes))
        assert min(longest) <= LONGEST_GAP

    for caller in trio:
        refusals = await caller.do("return call.participants.map(({ refusals }) => refusals);")
        print(f"refused at {caller.identity}: {refusals}")
        # Chromium sends packets again to probe the network; a frame of one packet comes again with it, and is refused.
        assert {code for one in refusals for code in one} <= {"unknown-key", "replayed-frame"}
        counters = await caller.do("return counters;")
        assert len({one["keyId"] for one in counters}) == len(counters) > changes
        assert {one["first"] for one in counters} == {"0"}
        used = [(keys["epoch"], keys["keyId"]) for keys in await caller.happened("keys")]
        assert len(used) == len(set(used))
        assert used == sorted(used, key=lambda one: int(str(one[0])))


async def _longest_gap_in_roster_changes(trio: Trio, dave: str, changes: int) -> int:
    """The longest time, in milliseconds, without a frame of somebody's at another's, while Dave comes and goes and others update."""
    alice, bob, carol = trio
    start, epoch = await alice.do("return [Date.now(), String((await group.details()).epoch)];")
    for change in range(changes):
        match change % 4:
            case 0:
                await alice.do("await group.add(arg);", dave)
            case 2:
                await alice.do("await group.remove(arg);", dave)
            case _:
                await (bob if change % 4 == 1 else carol).do("await group.update();")
    last = int(epoch) + changes
    for caller in trio:
        await caller.until(
            "happened.some(({ name, epoch }) => name === 'keys' && Number(epoch) >= arg)", last
        )
        switched = await caller.do("return Date.now();")
        for other in trio:
            if other is not caller:
                await caller.until("frames.get(arg[0]).at(-1) > arg[1] + 1000", [other.identity, switched])

    gaps = {
        f"{other.identity} at {caller.identity}": await caller.do(
            "return longestGap(...arg);", [other.identity, start]
        )
        for caller in trio
        for other in trio
        if caller is not other
    }
    # Beside each the own camera's, which shows whether the machine stood still.
    print(f"longest gaps in {changes} roster changes, milliseconds: {gaps}")
    return max(int(gap["without"]) for gap in gaps.values())


@in_every_run_and_within_limits
async def test_who_is_removed_decrypts_nothing_more_and_who_joins_does(
    trio: Trio, within_limits: bool
) -> None:
    removed, joined = [], []
    for _ in range(TURNS if within_limits else 1):
        before = [len(await caller.happened("participantleft")) for caller in trio[:2]]
        removed.append(await _time_until_carol_decrypts_nothing(trio))
        for caller, known in zip(trio[:2], before, strict=True):
            left = [one["reason"] for one in await caller.happened("participantleft")]
            assert left[known:] == ["removed"]
        joined.append(await _time_until_carol_is_back(trio))
        if removed[-1] <= REMOVED_WITHIN and joined[-1] <= JOINED_WITHIN:
            break
    if within_limits:
        assert min(removed) <= REMOVED_WITHIN
        assert min(joined) <= JOINED_WITHIN


async def _time_until_carol_decrypts_nothing(trio: Trio) -> int:
    """Milliseconds from the removal's begin to the last frame that she decoded."""
    alice, bob, carol = trio
    # She does not take it: her page goes on with all that it has, and her connections are held for a while.
    await carol.do(
        """const dispatch = group.dispatchEvent.bind(group);
        group.dispatchEvent = (event) => event.type === "removed" || dispatch(event);
        window.samples = [];
        const others = arg.map(participant);
        window.sampling = setInterval(async () => {
            const each = await Promise.all(others.map((one) => received(one)));
            const sum = (name) => each.reduce((total, one) => total + one[name], 0);
            samples.push({ at: Date.now(), decoded: sum("decoded"), packets: sum("packets") });
        }, 50);""",
        [alice.identity, bob.identity],
    )
    await carol.until("samples.length > 20")
    ended = await carol.happened("ended")

    removed_at = await alice.do("const at = Date.now(); await group.remove(arg); return at;", carol.identity)
    await carol.until("samples.at(-1).at > arg + 2800", removed_at)

    samples = await carol.do("clearInterval(sampling); return samples;")
    last = max(
        after["at"] for before, after in itertools.pairwise(samples) if after["decoded"] > before["decoded"]
    )
    later = [sample["packets"] for sample in samples if sample["at"] >= last]
    print(
        f"removed: the last frame was decoded {last - removed_at} ms after the commit began, {later[-1] - later[0]} packets followed"
    )
    assert later[-1] - later[0] > 10
    assert await carol.happened("ended") == ended
    for caller in (alice, bob):
        await caller.until("participant(arg) === undefined", carol.identity)
    return int(last - removed_at)


async def _time_until_carol_is_back(trio: Trio) -> int:
    """Milliseconds from her addition's begin until she sees all others, and they her."""
    alice, bob, carol = trio
    await carol.do(
        """call.dispose();
        frames.clear();
        client.addEventListener("group", ({ detail }) => startCall(detail.group), { once: true });"""
    )
    for caller in (alice, bob):
        await caller.do("frames.delete(arg);", carol.identity)
    added_at = await alice.do("const at = Date.now(); await group.add(arg); return at;", carol.identity)
    await all_verified(*trio)
    waits = []
    for caller, other in ((alice, carol), (bob, carol), (carol, alice), (carol, bob)):
        first = await caller.until("frames.get(arg)?.[0]", other.identity)
        waits.append(first - added_at)
    print(f"joined: first frames shown {waits} ms after the commit began")
    return int(max(waits))


async def test_a_connection_that_fails_is_made_again(trio: Trio) -> None:
    alice, bob, _ = trio
    # Who has the smaller leaf, Alice, makes the offers.
    before = await alice.do(
        """const track = participant(arg).stream.getVideoTracks()[0];
        window.failing = connections.find((one) => one.getReceivers().some((receiver) => receiver.track === track));
        const before = failing.localDescription.sdp;
        Object.defineProperty(failing, "connectionState", { value: "failed", configurable: true });
        failing.dispatchEvent(new Event("connectionstatechange"));
        delete failing.connectionState;
        return before.match(/ice-ufrag:(.*)/)[1];""",
        bob.identity,
    )
    await alice.until(
        "failing.signalingState === 'stable' && !failing.localDescription.sdp.includes(arg)", before
    )
    await all_verified(alice, bob)
    for caller, other in ((alice, bob), (bob, alice)):
        await caller.sees(other)
    assert [one["reason"] for one in await alice.happened("participantleft")].count("unreachable") == 0


async def test_a_wrong_key_never_yields_a_decoded_frame(trio: Trio) -> None:
    alice, bob, carol = trio
    await bob.do(
        """group.exportSFrameKeys = async () => {
            const keys = await Object.getPrototypeOf(group).exportSFrameKeys.call(group);
            keys.baseKey[0] ^= 1;
            return keys;
        };
        await group.update();"""
    )
    for caller in (alice, carol):
        await caller.until("participant(arg).state === 'cannot-decrypt'", bob.identity)
        before = await caller.received(bob)
        refused = await caller.do("return participant(arg).framesRefused;", bob.identity)
        # Sound alone may be all of the sixty, on a machine that is slow at pictures.
        await caller.until("participant(arg[0]).framesRefused > arg[1] + 60", [bob.identity, refused])
        await caller.until(
            "(await received(participant(arg[0]))).packets > arg[1] + 10", [bob.identity, before["packets"]]
        )
        after = await caller.received(bob)
        assert after["decoded"] == before["decoded"]
        assert "not-authentic" in await caller.do("return participant(arg).refusals;", bob.identity)

    await bob.do("delete group.exportSFrameKeys; await group.update();")
    await all_verified(*trio)
    for caller in (alice, carol):
        await caller.sees(bob)


async def test_who_reloads_comes_back_with_counters_of_their_own(trio: Trio, federation: Federation) -> None:
    alice, bob, carol = trio
    await bob.until("window.counters?.some(({ next }) => Number(next) > 0)")
    before = await bob.do("return counters;")
    session = await alice.do("return participant(arg).session;", bob.identity)

    await bob.page.reload()
    await bob.page.wait_for_function("window.Call !== undefined")
    await bob.do(
        """window.mls = await MLSFederation.load({ crypto: "webjs", snapshot: false });
        for (const [domain, url] of Object.entries(arg[0])) await mls.setDeliveryService(domain, url);
        const [account] = (await mls.accounts()).filter(({ identity }) => identity === arg[1]);
        window.client = await mls.openClient(account.account);
        window.group = client.groups[0];
        await startCall(group);""",
        [addresses(federation), bob.identity],
    )
    await all_verified(*trio)
    await bob.until("window.counters?.some(({ next }) => Number(next) > 0)")

    after = await bob.do("return counters;")
    assert {one["keyId"] for one in before} & {one["keyId"] for one in after} == set()
    assert {one["first"] for one in [*before, *after]} == {"0"}
    for caller in (alice, carol):
        found = await caller.do("return shown(participant(arg));", bob.identity)
        assert found["session"] != session
        assert "replaced" in [one["reason"] for one in await caller.happened("participantleft")]


async def test_a_page_that_stood_still_between_two_counts_goes_on(trio: Trio) -> None:
    alice, bob, _ = trio
    # The browser was asked what it has sent, and then nothing happened for long, until the worker was asked.
    await alice.do(
        """const { postMessage } = Worker.prototype;
        await new Promise((resolve) => {
            Worker.prototype.postMessage = function (message, ...more) {
                if (message.type === "count") {
                    Worker.prototype.postMessage = postMessage;
                    const until = performance.now() + 6000;
                    while (performance.now() < until);
                    setTimeout(resolve, 4000);
                }
                return postMessage.call(this, message, ...more);
            };
        });"""
    )
    assert await alice.happened("ended") == []
    await alice.sees(bob)
    await bob.sees(alice)


async def test_a_page_that_stood_still_goes_on(trio: Trio) -> None:
    alice, bob, _ = trio
    # As one does that has much to do, or whose machine slept: its timer comes before what its worker has answered long ago.
    await alice.do(
        """const { getStats } = RTCRtpSender.prototype;
        await new Promise((resolve) => {
            RTCRtpSender.prototype.getStats = function () {
                RTCRtpSender.prototype.getStats = getStats;
                const until = performance.now() + 10_500;
                while (performance.now() < until);
                setTimeout(resolve, 1000);
                return getStats.call(this);
            };
        });"""
    )
    assert await alice.happened("ended") == []
    await alice.sees(bob)
    await bob.sees(alice)
