"""`python -m mls_federation`: fetch somebody's keys, be in groups from a terminal, or verify test vectors.

    vectors FILE …           (`vectors_command`)
    fetch bob@b.example --service b.example=http://127.0.0.1:8102
    chat carol@c.example --service a.example=… --service b.example=… --service c.example=… --state FILE

A chat reads commands and messages from standard input, one a line, and writes what happens to standard output:

    /invite bob@b.example    begin a group if there is none, and add somebody
    /remove bob@b.example    remove somebody
    /update                  renew our own keys
    /devices                 our devices
    /admit TEXT              admit a new device of ours by its request
    /revoke CLIENT           revoke a device of ours, and remove it from the groups that we are in
    /group                   group, epoch, cipher suite, safety number, members
    /srtp AEAD_AES_128_GCM   the SRTP keys of every sender (secret)
    /quit                    leave the program
    anything else            is sent to the group
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import IntEnum

from ..client import (
    BackgroundFailure,
    Client,
    ConnectionChanged,
    DeliveryFailed,
    EpochChanged,
    Event,
    Fanout,
    GroupDetails,
    GroupJoined,
    GroupReinitialized,
    LogFault,
    MessageReceived,
    MessageRefused,
    OwnDevicesChanged,
    RemovedFromGroup,
)
from ..client.account import supported_suites
from ..client.delivery_service import fetch_bundles, find_service
from ..client.log import check_fetched
from ..crypto.pyca import PycaProvider
from ..errors import MLSError, UsageError
from ..federation.binding import domain_of
from ..federation.identity import FEDERATION_IDENTITY
from ..federation.log import verify_history
from ..federation.manifest import VerifiedBundle
from ..media import srtp_profile
from ..mls import KeyPackage
from ..mls.credentials import BasicCredential
from ..mls.extensions import Extension
from ..mls.nodes import Lifetime
from .client import connected_client
from .transport import HttpTransport
from .vectors_command import add_vectors_command, run_vectors_command

# 9999-12-31 23:59:59
_LAST_DATE = 253_402_300_799


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; exits with 1 if it fails, 2 if they cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m mls_federation", description="A client of federated MLS."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser(
        "fetch", help="fetch somebody's key bundles, verify them, and show every field"
    )
    fetch.add_argument("identity", help="name@domain")
    chat = commands.add_parser(
        "chat", help="register, wait to be added to a group or begin one, send and receive"
    )
    chat.add_argument("identity", help="our own, name@domain")
    chat.add_argument(
        "--new-device",
        action="store_true",
        help="if the identity has other devices, wait until one of them admits this one",
    )
    chat.add_argument(
        "--fanout",
        choices=[fanout.value for fanout in Fanout],
        default=Fanout.client.value,
        help="who brings messages to other domains: we, or our own delivery service, which is then the only one that"
        " has to be named (default: %(default)s)",
    )
    chat.add_argument(
        "--state",
        metavar="FILE",
        help="keep keys and groups in this file, and go on from there the next time; without it they are gone at the end",
    )
    for command in (fetch, chat):
        command.add_argument(
            "--service",
            action="append",
            required=True,
            metavar="DOMAIN=URL",
            help="where the delivery service of a domain is; give one for each domain",
        )
    add_vectors_command(commands)
    options = parser.parse_args(arguments)
    try:
        if options.command == "vectors":
            sys.exit(run_vectors_command(options))
        services = _services(options.service)
        if options.command == "fetch":
            asyncio.run(_fetch(options.identity, services))
        else:
            asyncio.run(
                _chat(
                    options.identity,
                    services,
                    options.state,
                    Fanout(options.fanout),
                    new_device=options.new_device,
                )
            )
    except MLSError as error:
        hint = " (to be one more: --new-device)" if error.code == "not-admitted" else ""
        sys.exit(_printable(f"{error.code}: {error.message}{hint}"))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has had enough, as `head` does; nothing more can be said, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _services(given: Sequence[str]) -> dict[str, str]:
    services = {}
    for entry in given:
        domain, equals, url = entry.partition("=")
        if not equals:
            raise UsageError(f"--service {entry}: write DOMAIN=URL")
        services[domain] = url
    return services


# -- fetch


async def _fetch(identity: str, services: Mapping[str, str]) -> None:
    domain = domain_of(identity)
    if domain not in services:
        raise UsageError(f"say where the delivery service of {domain} is: --service {domain}=URL")
    provider = PycaProvider()
    async with HttpTransport() as transport:
        service = await find_service(transport, domain, services[domain])
        fetched, history = await fetch_bundles(
            transport, service, provider, identity, supported_suites(provider), int(time.time())
        )
    check_fetched(
        verify_history(provider, service.description.signing_key, identity, history), identity, fetched
    )
    for bundle in fetched.bundles:
        for line in describe_bundle(bundle):
            _say(line)
    for client in fetched.without:
        offered = ", ".join(suite.name for suite in client.offered)
        _say(f"client {client.client_id.hex()}: {f'keys for {offered} only' if offered else 'no keys left'}")
    entries = ", ".join(str(logged.index) for logged in history.events)
    _say(
        f"devices shown to be in the log of {domain}: entries {entries} of {history.head.tree_head.tree_size}"
    )


def describe_bundle(bundle: VerifiedBundle) -> list[str]:
    """A bundle field by field, as the seed and RFC 9420 name them, in lines of text."""
    manifest = bundle.user_init_key
    lines = [
        "UserInitKeyBundle (draft-omara-mls-federation-00), verified",
        f"  identity           {bundle.identity}",
        f"  client             {bundle.client_id.hex()}",
        f"  user_init_key_id   {manifest.user_init_key_id.hex()}",
    ]
    for seed_suite, suite, init_key, ref in zip(
        manifest.cipher_suites, bundle.cipher_suites, manifest.init_keys, bundle.refs, strict=True
    ):
        lines += [
            f"  cipher_suite       0x{seed_suite:04x}, RFC 9420's {_code_point(suite)}",
            f"    init_key         {init_key.hex()}",
            f"    KeyPackageRef    {ref.hex()}",
        ]
    return [
        *lines,
        f"  credential         basic, {bundle.scheme.name}, {bundle.identity_key.hex()}",
        f"  signature          {manifest.signature.hex()}",
        f"  last resort        {'yes' if bundle.last_resort else 'no'}",
        *_describe_key_package(bundle.key_package),
    ]


def _describe_key_package(package: KeyPackage) -> list[str]:
    leaf = package.leaf_node
    capabilities = leaf.capabilities
    lines = [
        "KeyPackage (RFC 9420), verified",
        f"  version            {_code_point(package.version)}",
        f"  cipher_suite       {_code_point(package.cipher_suite)}",
        f"  init_key           {package.init_key.hex()}",
        "  leaf_node",
        f"    encryption_key   {leaf.encryption_key.hex()}",
        f"    signature_key    {leaf.signature_key.hex()}",
    ]
    if isinstance(leaf.credential.credential, BasicCredential):
        # Verified to be the identity of the bundle, so it is text.
        lines.append(f"    credential       basic, {leaf.credential.credential.identity.decode('utf-8')}")
    lines.append("    capabilities")
    for name, code_points in (
        ("versions", capabilities.versions),
        ("cipher_suites", capabilities.cipher_suites),
        ("extensions", capabilities.extensions),
        ("proposals", capabilities.proposals),
        ("credentials", capabilities.credentials),
    ):
        lines.append(f"      {name:15}{', '.join(map(_code_point, code_points)) or 'the default ones'}")
    if isinstance(leaf.source, Lifetime):
        lines.append(
            f"    lifetime         {_date(leaf.source.not_before)} to {_date(leaf.source.not_after)}"
        )
    return [
        *lines,
        *(_describe_extension("    ", extension) for extension in leaf.extensions),
        f"    signature        {leaf.signature.hex()}",
        *(_describe_extension("  ", extension) for extension in package.extensions),
        f"  signature          {package.signature.hex()}",
    ]


def _describe_extension(indent: str, extension: Extension) -> str:
    kind = "federation identity" if extension.extension_type == FEDERATION_IDENTITY else ""
    name = f"0x{extension.extension_type:04x} {kind}" if kind else _code_point(extension.extension_type)
    return f"{indent}{'extension':{21 - len(indent)}}{name}, {len(extension.extension_data)} octets"


def _code_point(value: IntEnum) -> str:
    """A code point with its name, if it has one."""
    number = f"0x{value:04x}"
    return number if value.name == number else f"{number} {value.name}"


def _date(seconds: int) -> str:
    # A client may give a lifetime of which calendars know nothing.
    if seconds > _LAST_DATE:
        return "the end of time"
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


# -- chat


async def _chat(
    identity: str, services: Mapping[str, str], state: str | None, fanout: Fanout, *, new_device: bool
) -> None:
    async with connected_client(
        identity, services, _show, storage=state, on_not_admitted=_show_request if new_device else None
    ) as client:
        await client.set_fanout(fanout)
        _say(f"* registered as {identity}; type /invite name@domain, or wait to be added to a group")
        if client.groups:
            _show_group(client.group_details(client.groups[-1]))
        async for line in _lines():
            if line == "/quit":
                return
            try:
                await _obey(client, line)
            except MLSError as error:
                _say(f"! {error.code}: {error.message}")


async def _lines() -> AsyncIterator[str]:
    """Lines of standard input, without the loop waiting for them."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            # Not by sys.stdin, whose lock the interpreter would wait for at its end.
            for line in io.FileIO(sys.stdin.fileno(), closefd=False):
                loop.call_soon_threadsafe(arrived.put_nowait, line.decode("utf-8", "replace"))
            loop.call_soon_threadsafe(arrived.put_nowait, None)

    # A daemon, and none of the loop's own threads: those are waited for, and Ctrl-C must not need another line.
    threading.Thread(target=read, daemon=True).start()
    while (line := await arrived.get()) is not None:
        if line.strip():
            yield line.strip()


async def _obey(client: Client, line: str) -> None:
    command, _, argument = line.partition(" ")
    if command == "/invite":
        if not client.groups:
            await client.create_group()
        await client.add(client.groups[-1], argument)
        _show_group(client.group_details(client.groups[-1]))
        return
    if command in ("/devices", "/admit", "/revoke"):
        await _change_devices(client, command, argument)
        return
    if not client.groups:
        raise UsageError("there is no group yet: type /invite name@domain, or wait to be added")
    group_id = client.groups[-1]
    if command == "/remove":
        await client.remove(group_id, argument)
    elif command == "/update":
        await client.update(group_id)
    elif command == "/srtp":
        identities = {member.leaf_index: member.identity for member in client.group_details(group_id).members}
        for keys in client.export_srtp_keys(group_id, srtp_profile(argument)):
            _say(
                f"* srtp {identities[keys.leaf_index]} mki {keys.mki.hex()}"
                f" key {keys.master_key.hex()} salt {keys.master_salt.hex()}"
            )
        return
    elif command.startswith("/") and command != "/group":
        raise UsageError(f"{command} is no command")
    elif command != "/group":
        for delivery in (await client.send(group_id, line.encode("utf-8"))).deliveries:
            if delivery.status != "accepted":
                _say(f"! {delivery.identity}: {delivery.status}")
        return
    _show_group(client.group_details(group_id))


async def _change_devices(client: Client, command: str, argument: str) -> None:
    if command == "/admit":
        admitted = await client.admit_device(argument)
        _say(f"* admitted {admitted.hex()}; /invite {client.account.identity} adds it to the group")
    elif command == "/revoke":
        try:
            client_id = bytes.fromhex(argument)
        except ValueError:
            raise UsageError(f"{argument} is no device's id; /devices shows them") from None
        for group_id in await client.revoke_device(client_id):
            await client.remove_device(group_id, client.account.identity, client_id)
    for device in await client.devices():
        state = "(this one)" if device.is_self else "" if device.is_active else "(revoked)"
        _say(f"* device {device.client_id.hex()} key {device.identity_key.hex()} {state}".rstrip())


def _show_request(request: str) -> None:
    _say("* this identity has other devices; one of them must admit this one:")
    _say(f"/admit {request}")


def _show(event: Event) -> None:
    match event:
        case GroupJoined(group_id=group_id):
            _say(f"* joined group {group_id.hex()}")
        case GroupReinitialized(old_group_id=old_id, group_id=group_id):
            _say(f"* group {old_id.hex()} goes on as {group_id.hex()}")
        case MessageReceived(sender=sender, data=data):
            _say(f"{sender}: {data.decode('utf-8', 'replace')}")
        case EpochChanged(epoch=epoch, added=added, removed=removed):
            changes = [f"{who} came" for who in added] + [f"{who} left" for who in removed]
            _say(f"* epoch {epoch}: {', '.join(changes) or 'keys were renewed'}")
        case RemovedFromGroup(group_id=group_id):
            _say(f"* removed from group {group_id.hex()}")
        case MessageRefused(error=error, held=held):
            _say(f"! {error.code}: {error.message}{' (kept for later)' if held else ''}")
        case LogFault(domain=domain, error=error):
            _say(f"! {domain}: {error.code}: {error.message}")
        case OwnDevicesChanged(admitted=admitted, revoked=revoked):
            changes = [f"{device.hex()} was admitted" for device in admitted]
            changes += [f"{device.hex()} was revoked" for device in revoked]
            _say(
                f"* your devices: {', '.join(changes)}. If that was not you, somebody else has a device of yours"
            )
        case DeliveryFailed(identity=identity, reason=reason):
            _say(f"! a message to {identity} was not delivered: {reason}")
        case BackgroundFailure(error=error):
            _say(f"! {error.code}: {error.message}")
        case ConnectionChanged(state=state):
            _say(f"* {state}")


def _show_group(details: GroupDetails) -> None:
    _say(f"* group {details.group_id.hex()} epoch {details.epoch} {details.cipher_suite.name}")
    _say(f"* safety number {details.safety_number}")
    for member in details.members:
        _say(f"*   {member.identity}{' (you)' if member.is_self else ''}")


def _say(line: str) -> None:
    """Write a line."""
    print(_printable(line), flush=True)


def _printable(line: str) -> str:
    """`line` without the control characters that a peer or a service could send to a terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
