"""People who have a session and keys at a delivery service: what a load test needs before it begins."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mls_federation.client.account import new_account, new_key_sets
from mls_federation.client.delivery_service import add_device_event, find_service, open_session, publish
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation.devices import claim_event
from mls_federation.io import HttpTransport

_AT_A_TIME = 4


@dataclass(frozen=True)
class People:
    """Who they are, and the paths of their service.

    Attributes:
        tokens: of their sessions.
    """

    identities: list[str]
    tokens: list[str]
    paths: dict[str, str]


async def registered(domain: str, url: str, number: int, key_sets: int) -> People:
    """So many people of a domain.

    Args:
        key_sets: that each has for one use, besides a last resort.
    """
    provider = PycaProvider()
    accounts = [new_account(provider, f"person{each}@{domain}") for each in range(number)]
    tokens: dict[str, str] = {}
    async with HttpTransport() as transport:
        service = await find_service(transport, domain, url)
        waiting = list(accounts)

        async def register() -> None:
            while waiting:
                account = waiting.pop()
                claim = claim_event(provider, account.client_id, account.credential, account.identity_key)
                await add_device_event(transport, service, claim)
                token = await open_session(transport, service, provider, account)
                tokens[account.identity] = token.hex()
                made = new_key_sets(provider, account, int(time.time()), count=key_sets, last_resort=True)
                published = [own.unconfirmed for own in made if own.unconfirmed is not None]
                await publish(transport, service, token, published)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_A_TIME):
                tasks.create_task(register())
    identities = [account.identity for account in accounts]
    return People(
        identities, [tokens[identity] for identity in identities], dict(service.description.endpoints)
    )
