"""A client that is killed at any moment, and goes on: nothing is lost, nothing shown twice, and no key used twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from mls_federation.client import EpochChanged, MessageReceived
from mls_federation.federation.envelope import Envelope
from mls_federation.mls import Group, PrivateMessage, decode_message
from mls_federation.mls.protection import open_sender_data
from tests.chaos.processes import ClientProcess, Killed, Line
from tests.chaos.record import Record
from tests.support.services import PATIENCE, Addresses, Person, person, proxy_before, unique

ROUNDS = 6
# Within this time after the first of some commands the process is killed: some are done by then, some are not.
LATEST_KILL = 0.25


def group_of(somebody: Person, group_id: bytes) -> Group:
    """The group as somebody in this process has it."""
    return somebody.client._core.state.group(group_id).group


async def say(bob: ClientProcess, record: Record, group: str, alice: str) -> None:
    """Bob sends a message, and perhaps does not live to say so."""
    text, message = record.new_message(group, bob.name, [alice])
    try:
        record.sent(message, await bob.ask("send", group=group, data=text))
    except Killed:
        return


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
async def test_killed_at_any_moment(addresses: Addresses, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    record = Record()
    joined = asyncio.Event()

    def told(client: str, line: Line) -> None:
        record.happened(client, line)
        if line["event"] == "joined":
            joined.set()

    async with (
        asyncio.timeout(5 * PATIENCE),
        proxy_before(addresses.by_domain["a.example"]) as proxy,
        person(unique("alice", "a.example"), addresses.by_domain) as alice,
    ):
        bob = ClientProcess(unique("bob", "b.example"), tmp_path, addresses.but(a=proxy.url), told)
        await bob.start()
        try:
            group_id = (await alice.client.create_group(ordering="members")).group_id
            await alice.client.add(group_id, bob.name)
            await joined.wait()
            epochs = [group_of(alice, group_id)]
            for number in range(ROUNDS):
                talk = [
                    asyncio.create_task(say(bob, record, group_id.hex(), alice.identity)) for _ in range(4)
                ]
                text, message = record.new_message(group_id.hex(), alice.identity, [bob.name])
                sent = await alice.client.send(group_id, text.encode())
                record.sent(message, {"deliveries": {each.identity: each.status for each in sent.deliveries}})
                await asyncio.sleep(chance.uniform(0, LATEST_KILL))
                await bob.kill()
                await asyncio.gather(*talk)
                await bob.start()
                if number % 3 == 0:
                    await bob.ask("update", group=group_id.hex())
                    await alice.told(EpochChanged)
                    epochs.append(group_of(alice, group_id))
            # Messages arrive in order, so when this one has come, all have.
            text, message = record.new_message(group_id.hex(), bob.name, [alice.identity])
            record.sent(message, await bob.ask("send", group=group_id.hex(), data=text))
            last = await alice.told(MessageReceived, data=text.encode())
            while record.under_way(group_id.hex()) > sum(
                alice.identity in message.missing for message in record.messages.values()
            ):
                await record.until_news(1)
        finally:
            await bob.stop()
        heard = [event for event in alice.events if isinstance(event, MessageReceived)]
        for number, event in enumerate([*heard, last], 1):
            line = {
                "event": "message",
                "number": number,
                "group": group_id.hex(),
                "sender": event.sender,
                "data": event.data.decode(),
            }
            record.happened(alice.identity, line)
        assert record.verdict() == []
        assert len([message for message in record.messages.values() if message.fate == "sent"]) > ROUNDS
        assert_no_key_was_used_twice(proxy.messages, epochs)


def assert_no_key_was_used_twice(messages: list[bytes], epochs: list[Group]) -> None:
    """Two ciphertexts of one sender in one epoch have two generations of one ratchet, so two keys and nonces."""
    generations: dict[tuple[int, int, int, int], bytes] = {}
    for message in messages:
        body = decode_message(Envelope.decode(message).message)
        if not isinstance(body, PrivateMessage):
            continue
        [group] = [known for known in epochs if known.epoch == body.epoch]
        data = open_sender_data(group.crypto, group.secrets, body, group.context)
        place = body.epoch, data.leaf_index, int(body.content_type), data.generation
        # What was sent again, because the answer was lost, is the very same message.
        assert generations.setdefault(place, message) == message
    assert len(generations) > ROUNDS


async def test_a_process_that_is_killed_before_it_is_registered(addresses: Addresses, tmp_path: Path) -> None:
    """It has its identity key from the beginning, so that its name is its own when it comes back."""
    chance = random.Random(0)
    joined = asyncio.Event()

    def told(_: str, line: Line) -> None:
        if line["event"] == "joined":
            joined.set()

    bob = ClientProcess(unique("bob", "b.example"), tmp_path, addresses.by_domain, told)
    try:
        for _ in range(4):
            starting = asyncio.create_task(bob.start())
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await bob.kill()
            starting.cancel()
            await asyncio.wait([starting])
        await bob.start()
        async with person(unique("alice", "a.example"), addresses.by_domain) as alice:
            group_id = (await alice.client.create_group(ordering="members")).group_id
            sent = await alice.client.add(group_id, bob.name)
            assert [each.status for each in sent.deliveries] == ["accepted"]
            async with asyncio.timeout(PATIENCE):
                await joined.wait()
            await bob.ask("send", group=group_id.hex(), data="here I am")
            await alice.told(MessageReceived, data=b"here I am", sender=bob.name)
    finally:
        await bob.stop()
