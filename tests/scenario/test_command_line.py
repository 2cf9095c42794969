"""The command line, as people use it: processes of their own, with a keyboard and a screen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mls_federation.client import EpochChanged, GroupJoined, MessageReceived, RemovedFromGroup
from mls_federation.federation.identity import FEDERATION_IDENTITY
from mls_federation.media import SrtpProfile
from tests.support.services import HOST, PATIENCE, Addresses, person, serving, unique, unused_port

_COMMAND = (sys.executable, "-m", "mls_federation")


def service_options(addresses: Addresses, *domains: str) -> list[str]:
    """Options that say where services are."""
    return [f"--service={domain}={addresses.by_domain[domain]}" for domain in domains or addresses.by_domain]


async def run(*arguments: str) -> tuple[int, str, str]:
    """A command that ends by itself: exit code, and what it wrote to its output and its error output."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


class Terminal:
    """A chat, and its screen."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.screen: list[str] = []

    async def type(self, line: str | bytes) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write((line.encode() if isinstance(line, str) else line) + b"\n")
        await self._process.stdin.drain()

    async def shows(self, pattern: str) -> re.Match[str]:
        """Wait for the next line that is all of a pattern."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                while line := await self._process.stdout.readline():
                    self.screen.append(line.decode().removesuffix("\n"))
                    if match := re.fullmatch(pattern, self.screen[-1]):
                        return match
        except TimeoutError:
            raise AssertionError(f"{pattern!r} did not come; on the screen: {self.screen}") from None
        raise AssertionError(f"{pattern!r} did not come before the end; on the screen: {self.screen}")

    async def end(self) -> tuple[int, str]:
        """Its exit code and error output."""
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            errors = await self._process.stderr.read()
            return await self._process.wait(), errors.decode()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def close_input(self) -> None:
        """Press Ctrl-D."""
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextlib.asynccontextmanager
async def chat(identity: str, options: Sequence[str]) -> AsyncIterator[Terminal]:
    """A chat that has registered and is connected."""
    async with started(identity, options) as terminal:
        await terminal.shows(rf"\* registered as {re.escape(identity)}; .*")
        await terminal.shows(r"\* connected")
        yield terminal


def new_device(identity: str, options: Sequence[str]) -> contextlib.AbstractAsyncContextManager[Terminal]:
    """A chat that waits to be admitted."""
    return started(identity, [*options, "--new-device"])


@contextlib.asynccontextmanager
async def started(identity: str, options: Sequence[str]) -> AsyncIterator[Terminal]:
    """A chat that has just begun."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        "chat",
        identity,
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    terminal = Terminal(process)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def srtp_lines(terminal: Terminal, profile: str, count: int) -> list[str]:
    """What the terminal shows of every sender's keys."""
    await terminal.type(f"/srtp {profile}")
    return [(await terminal.shows(r"\* srtp .*"))[0] for _ in range(count)]


async def group_lines(terminal: Terminal, members: int) -> list[str]:
    """Group and safety number, and its members without who of them it is."""
    await terminal.type("/group")
    lines = [(await terminal.shows(r"\* group .*"))[0], (await terminal.shows(r"\* safety number .*"))[0]]
    shown = [(await terminal.shows(r"\*   .*"))[0].removesuffix(" (you)") for _ in range(members)]
    return lines + shown


# -- fetch


async def test_an_output_that_nobody_reads_any_more_ends_the_command(addresses: Addresses) -> None:
    """As in `… fetch … | head -1`."""
    async with person(unique("bob", "b.example"), addresses.by_domain) as bob:
        nobody, output = os.pipe()
        os.close(nobody)
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            "fetch",
            bob.identity,
            *service_options(addresses, "b.example"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(output)
        async with asyncio.timeout(PATIENCE):
            _, errors = await process.communicate()
    assert (process.returncode, errors) == (141, b"")


async def test_fetch_shows_every_field(addresses: Addresses) -> None:
    async with person(unique("bob", "b.example"), addresses.by_domain) as bob:
        code, output, errors = await run("fetch", bob.identity, *service_options(addresses, "b.example"))
        [own] = (await bob.client.fetch_key_bundles(bob.identity)).bundles
    assert (code, errors) == (0, "")

    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        name, _, value = line.strip().partition("  ")
        values.setdefault(name, []).append(value.strip())
    assert [bob.identity] == values["identity"]
    assert [own.client_id.hex()] == values["client"]
    assert values["last resort"] == ["no"]
    assert [f"basic, ed25519, {own.identity_key.hex()}", f"basic, {bob.identity}"] == values["credential"]
    assert values["cipher_suite"] == [
        "0x0001, RFC 9420's 0x0001 MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        "0x0003, RFC 9420's 0x0003 MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
        "0x0000, RFC 9420's 0x0002 MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
        "0x0001 MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
    ]
    sizes = {
        "user_init_key_id": [32],
        "init_key": [32, 32, 65, 32],
        "KeyPackageRef": [32, 32, 32],
        "encryption_key": [32],
        "signature_key": [32],
        "signature": [64, 64, 64],
    }
    assert sizes == {name: [len(bytes.fromhex(value)) for value in values[name]] for name in sizes}
    assert values["init_key"][0] == values["init_key"][3]
    assert ["0x0001 mls10"] == values["version"] == values["versions"]
    # The fourth is GREASE, which has no name.
    named = [suite for suite in values["cipher_suites"][0].split(", ") if "MLS_" in suite]
    assert len(named) == 3
    shown = f"0x{FEDERATION_IDENTITY:04x} federation identity"
    assert len([extension for extension in values["extension"] if shown in extension]) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}Z to \d{4}-\d\d-\d\d [\d:]{8}Z", values["lifetime"][0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "nobody@b.example"], r"unknown-identity: Nobody here has this identity\..*"),
        (["fetch", "nobody"], r"bad-identity: .*name@domain.*"),
        (["fetch", "bob@d.example"], r"bad-argument: say where the delivery service of d\.example is.*"),
        (["chat", "nobody"], r"bad-identity: .*name@domain.*"),
        (["chat", "dora@d.example"], r"unknown-domain: .*d\.example.*"),
    ],
)
async def test_failures_in_words(addresses: Addresses, arguments: list[str], words: str) -> None:
    code, output, errors = await run(*arguments, *service_options(addresses))
    assert (code, output) == (1, "")
    assert re.fullmatch(words, errors.strip())


async def test_services_that_are_not_there_or_not_what_they_should_be(addresses: Addresses) -> None:
    nowhere = f"http://{HOST}:{unused_port()}"
    for option, words in (
        (f"b.example={nowhere}", r"unreachable: .*could not be reached.*"),
        (
            f"b.example={addresses.by_domain['a.example']}",
            r"wrong-domain: .* of a\.example, not of b\.example",
        ),
        ("b.example=b.example", r"bad-url: .*must begin with https://"),
        ("b.example", r"bad-argument: .*DOMAIN=URL"),
    ):
        for command in ("fetch", "chat"):
            code, output, errors = await run(command, "bob@b.example", "--service", option)
            assert (code, output) == (1, "")
            assert re.fullmatch(words, errors.strip())


async def test_what_a_service_says_cannot_steer_the_terminal() -> None:
    async def refuse(_: Request) -> Response:
        return Response(b'{"detail": "\\u001b[2J gone \\ud800\\u202e"}', 400)

    async with serving(Starlette(routes=[Route("/{path:path}", refuse)])) as url:
        code, output, errors = await run("fetch", "bob@b.example", "--service", f"b.example={url}")
    assert (code, output) == (1, "")
    mark = "\N{REPLACEMENT CHARACTER}"
    assert errors.strip() == f"service-error: {mark}[2J gone ?{mark}"


async def test_a_name_that_somebody_has(addresses: Addresses) -> None:
    async with person(unique("bob", "b.example"), addresses.by_domain) as bob:
        code, _, errors = await run("chat", bob.identity, *service_options(addresses))
    assert code == 1
    assert errors.startswith(f"not-admitted: {bob.identity} belongs to other devices.")
    assert errors.endswith(" (to be one more: --new-device)\n")


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["fetch"], ["chat", "bob@b.example"], ["--service", "x"]]
)
async def test_arguments_that_cannot_be_understood(arguments: list[str]) -> None:
    code, _, errors = await run(*arguments)
    assert code == 2
    assert errors.startswith("usage: python -m mls_federation")


# -- chat


async def test_two_terminals_and_a_program(addresses: Addresses) -> None:
    options = service_options(addresses)
    alice, bob = unique("alice", "a.example"), unique("bob", "b.example")
    async with (
        chat(alice, options) as first,
        chat(bob, options) as second,
        person(unique("carol", "c.example"), addresses.by_domain) as carol,
    ):
        await first.type(f"/invite {bob}")
        await second.shows(r"\* joined group [0-9a-f]{32}")
        await second.type("hello alice \N{WAVING HAND SIGN}")
        await first.shows(f"{bob}: hello alice \N{WAVING HAND SIGN}")
        await first.type("hello bob")
        await second.shows(f"{alice}: hello bob")

        await second.type(f"/invite {carol.identity}")
        group_id = (await carol.told(GroupJoined)).group_id
        await first.shows(rf"\* epoch 2: {carol.identity} came")
        await carol.client.send(group_id, b"I am a program")
        for terminal in (first, second):
            await terminal.shows(f"{carol.identity}: I am a program")
        await first.type("nice to meet you")
        await carol.told(MessageReceived, sender=alice, data=b"nice to meet you")

        details = carol.client.group_details(group_id)
        expected = [
            f"* group {group_id.hex()} epoch 2 {details.cipher_suite.name}",
            f"* safety number {details.safety_number}",
            *(f"*   {member.identity}" for member in details.members),
        ]
        assert await group_lines(first, 3) == await group_lines(second, 3) == expected

        identities = [member.identity for member in details.members]
        for profile in SrtpProfile:
            expected = [
                f"* srtp {identity} mki {keys.mki.hex()} key {keys.master_key.hex()} salt {keys.master_salt.hex()}"
                for identity, keys in zip(
                    identities, carol.client.export_srtp_keys(group_id, profile), strict=True
                )
            ]
            assert expected == await srtp_lines(first, profile.name, 3)
            assert expected == await srtp_lines(second, profile.name, 3)

        await first.type("/update")
        await second.shows(r"\* epoch 3: keys were renewed")
        await carol.told(EpochChanged, epoch=3)
        await second.type(f"/remove {carol.identity}")
        await carol.told(RemovedFromGroup)
        await first.shows(rf"\* epoch 4: {carol.identity} left")

        await first.type("/quit")
        assert await first.end() == (0, "")
        second.close_input()
        assert await second.end() == (0, "")


async def test_a_new_device_in_a_second_terminal(addresses: Addresses) -> None:
    options = service_options(addresses)
    alice = unique("alice", "a.example")
    async with (
        chat(alice, options) as phone,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        new_device(alice, options) as laptop,
    ):
        await laptop.shows(r"\* this identity has other devices; .*")
        request = (await laptop.shows("/admit .*"))[0]
        await phone.type(request)
        [admitted] = (await phone.shows(r"\* admitted ([0-9a-f]{32}); .*")).groups()
        for state in (r" \(this one\)", ""):
            await phone.shows(rf"\* device [0-9a-f]{{32}} key [0-9a-f]{{64}}{state}")
        await laptop.shows(rf"\* registered as {re.escape(alice)}; .*")
        await laptop.shows(r"\* connected")

        await phone.type(f"/invite {bob.identity}")
        group_id = (await bob.told(GroupJoined)).group_id
        await phone.type(f"/invite {alice}")
        await laptop.shows(rf"\* joined group {group_id.hex()}")
        await bob.told(EpochChanged, epoch=2)
        await bob.client.send(group_id, b"hello")
        for terminal in (phone, laptop):
            await terminal.shows(f"{bob.identity}: hello")

        await phone.type("/revoke 00")
        await phone.shows(r"! not-a-device: .*")
        await phone.type("/revoke it")
        await phone.shows(r"! bad-argument: it is no device's id; .*")
        await phone.type(f"/revoke {admitted}")
        await phone.shows(rf"\* device {admitted} key [0-9a-f]{{64}} \(revoked\)")
        await laptop.shows(r"! device-revoked: .*")
        assert (await bob.told(EpochChanged, epoch=3)).removed == (alice,)


async def test_errors_in_a_chat_are_words_and_it_goes_on(addresses: Addresses) -> None:
    options = service_options(addresses, "a.example", "b.example")
    async with (
        chat(unique("alice", "a.example"), options) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        await alice.type("anybody here?")
        await alice.shows(r"! bad-argument: there is no group yet.*")
        await alice.type("/group")
        await alice.shows(r"! bad-argument: there is no group yet.*")
        await alice.type("/invite nobody@b.example")
        await alice.shows(r"! unknown-identity: .*")
        await alice.type("/invite")
        await alice.shows(r"! bad-identity: .*")
        await alice.type("/invite dora@d.example")
        await alice.shows(r"! unknown-domain: .*d\.example.*")
        await alice.type(f"/invite {bob.identity}")
        await alice.shows(r"\* group .*")
        await bob.told(GroupJoined)
        for line, words in (
            (f"/invite {bob.identity}", r"! already-member: .*"),
            ("/remove nobody@b.example", r"! not-a-member: .*"),
            ("/srtp", r"! unknown-srtp-profile: .*AEAD_AES_128_GCM.*"),
            ("/srtp NONE", r"! unknown-srtp-profile: 'NONE' .*"),
            ("/dance", r"! bad-argument: /dance is no command"),
        ):
            await alice.type(line)
            await alice.shows(words)
        await alice.type("")
        await alice.type("still here")
        assert (await bob.told(MessageReceived)).data == b"still here"


async def test_what_a_peer_sends_cannot_take_over_the_terminal(addresses: Addresses) -> None:
    options = service_options(addresses)
    async with (
        chat(unique("alice", "a.example"), options) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        await alice.type(f"/invite {bob.identity}")
        group_id = (await bob.told(GroupJoined)).group_id
        await bob.client.send(group_id, b"\x1b[2J\x07\xff\nmallory@c.example: hi \xe2\x80\xae")
        mark = "\N{REPLACEMENT CHARACTER}"
        await alice.shows(
            re.escape(f"{bob.identity}: {mark}[2J{mark}{mark}{mark}mallory@c.example: hi {mark}")
        )


async def test_octets_that_are_no_text_do_not_end_a_chat(addresses: Addresses) -> None:
    async with (
        chat(unique("alice", "a.example"), service_options(addresses)) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
    ):
        await alice.type(f"/invite {bob.identity}")
        await bob.told(GroupJoined)
        await alice.type(b"caf\xe9")
        assert (await bob.told(MessageReceived)).data == "caf\N{REPLACEMENT CHARACTER}".encode()


async def test_ctrl_c_ends_a_chat_at_once(addresses: Addresses) -> None:
    """Without another line being typed, and without a traceback."""
    async with chat(unique("alice", "a.example"), service_options(addresses)) as alice:
        alice.interrupt()
        assert await alice.end() == (130, "")


async def test_a_member_whose_service_is_not_known(addresses: Addresses) -> None:
    """The message waits, and the terminal says for whom."""
    async with (
        chat(unique("alice", "a.example"), service_options(addresses, "a.example", "b.example")) as alice,
        person(unique("bob", "b.example"), addresses.by_domain) as bob,
        person(unique("carol", "c.example"), addresses.by_domain) as carol,
    ):
        await alice.type(f"/invite {bob.identity}")
        group_id = (await bob.told(GroupJoined)).group_id
        await bob.client.add(group_id, carol.identity)
        await alice.shows(rf"\* epoch 2: {carol.identity} came")

        await alice.type("hello both")
        await alice.shows(r"! unknown-domain: .*c\.example.*")
        await alice.shows(rf"! {carol.identity}: pending")
        assert (await bob.told(MessageReceived)).data == b"hello both"


# -- chat --state


async def test_a_chat_goes_on_where_it_ended(addresses: Addresses, tmp_path: Path) -> None:
    identity = unique("carol", "c.example")
    options = [*service_options(addresses), "--state", str(tmp_path / "carol.state")]
    async with person(unique("alice", "a.example"), addresses.by_domain) as alice:
        async with chat(identity, options) as carol:
            await carol.type(f"/invite {alice.identity}")
            group_id = (await alice.told(GroupJoined)).group_id
            await carol.shows(r"\*   .* \(you\)")
            await carol.type("/quit")
            assert await carol.end() == (0, "")
        await alice.client.send(group_id, b"while you were away")
        async with chat(identity, options) as carol:
            await carol.shows(rf"{re.escape(alice.identity)}: while you were away")
            assert any(line.startswith(f"* group {group_id.hex()} epoch 1 ") for line in carol.screen)
            await carol.type("I am back")
            await alice.told(MessageReceived, data=b"I am back", sender=identity)


async def test_a_state_is_for_one_process_and_one_identity(addresses: Addresses, tmp_path: Path) -> None:
    identity = unique("carol", "c.example")
    options = [*service_options(addresses), "--state", str(tmp_path / "carol.state")]
    async with chat(identity, options):
        code, output, errors = await run("chat", identity, *options)
        assert (code, output) == (1, "")
        assert errors.startswith("in-use: ")
    code, output, errors = await run("chat", "dora@c.example", *options)
    assert (code, output) == (1, "")
    assert errors.startswith(f"other-identity: the file has the state of {identity}")
