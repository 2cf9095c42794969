"""`python -m mls_federation`: fetch somebody's keys, or be in groups from a terminal.

    fetch bob@b.example --service b.example=http://127.0.0.1:8102
    chat carol@c.example --service a.example=… --service b.example=… --service c.example=…

A chat reads commands and messages from standard input, one a line, and writes what happens to standard output:

    /invite bob@b.example    begin a group if there is none, and add somebody
    /remove bob@b.example    remove somebody
    /update                  renew our own keys
    /group                   group, epoch, cipher suite, safety number, members
    /srtp AEAD_AES_128_GCM   the SRTP keys of every sender (secret)
    /quit                    leave the program
    anything else            is sent to the group
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from ..client import (
    BackgroundFailure,
    Client,
    ConnectionChanged,
    EpochChanged,
    Event,
    GroupDetails,
    GroupJoined,
    MessageReceived,
    MessageRefused,
    RemovedFromGroup,
)
from ..client.account import supported_suites
from ..client.delivery_service import fetch_bundles, find_service
from ..crypto.pyca import PycaProvider
from ..errors import MLSError, UsageError
from ..federation.binding import domain_of
from ..federation.manifest import VerifiedBundle
from ..media import srtp_profile
from ..mls.nodes import Lifetime
from .client import connected_client
from .transport import HttpTransport


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
    for command in (fetch, chat):
        command.add_argument(
            "--service",
            action="append",
            required=True,
            metavar="DOMAIN=URL",
            help="where the delivery service of a domain is; give one for each domain",
        )
    options = parser.parse_args(arguments)
    try:
        services = _services(options.service)
        if options.command == "fetch":
            asyncio.run(_fetch(options.identity, services))
        else:
            asyncio.run(_chat(options.identity, services))
    except MLSError as error:
        sys.exit(f"{error.code}: {error.message}")
    except KeyboardInterrupt:
        sys.exit(130)


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
        bundles = await fetch_bundles(
            transport, service, provider, identity, supported_suites(provider), int(time.time())
        )
    for bundle in bundles:
        print("\n".join(describe_bundle(bundle)))


def describe_bundle(bundle: VerifiedBundle) -> list[str]:
    """A bundle field by field, as the seed and RFC 9420 name them, in lines of text."""
    manifest, package = bundle.user_init_key, bundle.key_package
    lifetime = package.leaf_node.source
    lines = [
        "UserInitKeyBundle (draft-omara-mls-federation-00), verified",
        f"  identity           {bundle.identity}",
        f"  user_init_key_id   {manifest.user_init_key_id.hex()}",
    ]
    for seed_suite, suite, init_key, ref in zip(
        manifest.cipher_suites, bundle.cipher_suites, manifest.init_keys, bundle.refs, strict=True
    ):
        lines += [
            f"  cipher_suite       0x{seed_suite:04x}, RFC 9420's 0x{suite:04x} {suite.name}",
            f"    init_key         {init_key.hex()}",
            f"    KeyPackageRef    {ref.hex()}",
        ]
    lines += [
        f"  credential         basic, {bundle.scheme.name}, {bundle.identity_key.hex()}",
        f"  signature          {manifest.signature.hex()}",
        f"  last resort        {'yes' if bundle.last_resort else 'no'}",
        f"KeyPackage (RFC 9420) for {bundle.chosen.name}, verified",
        f"  init_key           {package.init_key.hex()}",
        f"  encryption_key     {package.leaf_node.encryption_key.hex()}",
        f"  signature_key      {package.leaf_node.signature_key.hex()}",
    ]
    if isinstance(lifetime, Lifetime):
        lines.append(f"  lifetime           {_date(lifetime.not_before)} to {_date(lifetime.not_after)}")
    return [*lines, f"  signature          {package.signature.hex()}"]


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


# -- chat


async def _chat(identity: str, services: Mapping[str, str]) -> None:
    async with connected_client(identity, services, _show) as client:
        _say(f"* registered as {identity}; type /invite name@domain, or wait to be added to a group")
        async for line in _lines():
            if line == "/quit":
                return
            try:
                await _obey(client, line)
            except MLSError as error:
                _say(f"! {error.code}: {error.message}")


async def _lines() -> AsyncIterator[str]:
    """Lines of standard input, without the loop waiting for them."""
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            return
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


def _show(event: Event) -> None:
    match event:
        case GroupJoined(group_id=group_id):
            _say(f"* joined group {group_id.hex()}")
        case MessageReceived(sender=sender, data=data):
            _say(f"{sender}: {data.decode('utf-8', 'replace')}")
        case EpochChanged(epoch=epoch, added=added, removed=removed):
            changes = [f"{who} came" for who in added] + [f"{who} left" for who in removed]
            _say(f"* epoch {epoch}: {', '.join(changes) or 'keys were renewed'}")
        case RemovedFromGroup(group_id=group_id):
            _say(f"* removed from group {group_id.hex()}")
        case MessageRefused(error=error, held=held):
            _say(f"! {error.code}: {error.message}{' (kept for later)' if held else ''}")
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
    """Write a line, without the control characters that a peer could send to a terminal."""
    print("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line), flush=True)
