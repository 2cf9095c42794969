"""Requests and events of the page, as `web/src/protocol.d.ts` lists them, for the clients that run in its worker.

The worker calls `start` once and `call` for each request. What crosses are plain values: octets, numbers, strings, lists,
dictionaries.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
import traceback
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..client import (
    Client,
    ClientState,
    DeliveryService,
    Event,
    Sent,
    Storage,
)
from ..client.account import new_account
from ..client.delivery_service import find_service
from ..crypto import CipherSuite, CryptoProvider
from ..errors import MLSError, StateError, UsageError
from ..media import srtp_profile
from ..storage import MemoryStorage
from ..storage.exported import export_account, import_account
from . import inspecting, shapes
from .events import EpochEvent, ErrorEvent, page_event
from .facade import HANDLERS as FACADE_HANDLERS
from .facade import BrowserStorage, Facade
from .ports import browser_ports
from .provider import choose_provider
from .shapes import Shape, Uint64
from .storage import IndexedDbStorage, stretch
from .transport import BrowserTransport, abort_signal

Emit: TypeAlias = Callable[[str, Mapping[str, Any]], None]

# -- requests


@dataclass(frozen=True)
class _Running:
    """A client, and the task that receives for it once it is registered."""

    client: Client
    receiving: asyncio.Task[None] | None


# What registering fails with when the identity is not ours.
_NOT_CLAIMED = {"unknown-domain", "not-admitted", "claim-refused", "device-revoked"}


class Bridge:
    """Answers the page's requests. The parameters of each are keyword-only; a missing one may be None by default."""

    def __init__(self, provider: CryptoProvider, transport: BrowserTransport, emit: Emit) -> None:
        self._provider = provider
        self._transport = transport
        self._emit = emit
        self._services: dict[str, DeliveryService] = {}
        self._clients: dict[int, _Running] = {}

    @functools.cached_property
    def facade(self) -> Facade:
        """What answers the requests of the page's `MLS` object."""
        return Facade(self._provider, BrowserStorage(), lambda: int(time.time()))

    async def set_delivery_service(self, *, domain: str, url: str) -> Shape:
        service = await find_service(self._transport, domain, url)
        self._services[domain] = service
        for running in self._clients.values():
            running.client.use_services({domain: service})
        return {"domain": domain, "url": service.url, "versions": list(service.description.versions)}

    async def create_client(
        self, *, client: int, identity: str, fanout: str | None = None, account: str | None = None
    ) -> Shape:
        made, storage = await self._new_client(client, identity, fanout, account)
        try:
            await made.register()
        except MLSError as error:
            # In all other cases the identity may have been claimed, and its key must not be lost.
            if storage is not None and error.code in _NOT_CLAIMED:
                await storage.remove()
            raise
        self._begin_to_receive(client, made)
        return shapes.client_state(client, made)

    async def create_device(
        self, *, client: int, identity: str, fanout: str | None = None, account: str | None = None
    ) -> Shape:
        made, _ = await self._new_client(client, identity, fanout, account)
        self._clients[client] = _Running(made, None)
        return shapes.client_state(client, made)

    async def open_client(self, *, client: int, account: str) -> Shape:
        storage = IndexedDbStorage(account)
        state = await storage.load(self._provider)
        if state is None:
            raise StateError("nothing is kept in this browser by that name", code="no-such-account")
        opened = self._client_of(client, state, storage)
        # It is there at once, and connects when it can; but where to, somebody must have said.
        opened.service_of(state.account.identity)
        if opened.is_registered:
            self._begin_to_receive(client, opened)
        else:
            self._clients[client] = _Running(opened, None)
        return shapes.client_state(client, opened)

    async def client_state(self, *, client: int) -> Shape:
        return shapes.client_state(client, self._client(client))

    async def register(self, *, client: int) -> None:
        holder = self._client(client)
        await holder.register()
        running = self._clients.get(client)
        if running is not None and running.receiving is None:
            self._begin_to_receive(client, holder)

    async def told(self, *, client: int, number: int) -> None:
        self._client(client).told(number)

    async def _new_client(
        self, number: int, identity: str, fanout: str | None, account: str | None
    ) -> tuple[Client, IndexedDbStorage | None]:
        storage = None if account is None else IndexedDbStorage(account)
        state = ClientState(new_account(self._provider, identity))
        if storage is not None:
            # The identity key is kept before the identity is claimed with it, or nobody could claim it again.
            await storage.save(state)
        made = self._client_of(number, state, storage or MemoryStorage())
        if fanout is not None:
            await made.set_fanout(fanout)
        return made, storage

    def _client_of(self, number: int, state: ClientState, storage: Storage) -> Client:
        ports = browser_ports(self._transport, self._provider, storage)
        client = Client(state, ports, lambda event: self._on_event(number, event), confirms=True)
        client.use_services(self._services)
        return client

    def _begin_to_receive(self, number: int, client: Client) -> None:
        # The page's signal ends the registration, but not what the client receives from then on.
        abort_signal.set(None)
        receiving = asyncio.create_task(self._receive(number, client))
        self._clients[number] = _Running(client, receiving)

    async def device_request(self, *, client: int) -> str:
        return self._client(client).device_request()

    async def admit_device(self, *, client: int, request: str) -> bytes:
        return await self._client(client).admit_device(request)

    async def devices(self, *, client: int) -> list[Shape]:
        return [shapes.device(device) for device in await self._client(client).devices()]

    async def revoke_device(self, *, client: int, client_id: bytes) -> list[bytes]:
        return list(await self._client(client).revoke_device(client_id))

    async def clear_log_fault(self, *, client: int, domain: str) -> None:
        await self._client(client).clear_log_fault(domain)

    async def set_fanout(self, *, client: int, fanout: str) -> None:
        await self._client(client).set_fanout(fanout)

    async def fetch_key_bundles(self, *, client: int, identity: str) -> list[Shape]:
        return [
            shapes.key_bundle(bundle)
            for bundle in (await self._client(client).fetch_key_bundles(identity)).bundles
        ]

    async def create_group(
        self,
        *,
        client: int,
        cipher_suite: int | None = None,
        group_id: bytes | None = None,
        ordering: str | None = None,
    ) -> Shape:
        if cipher_suite is not None and not 0 <= cipher_suite <= 0xFFFF:
            raise UsageError("cipherSuite must be a number from 0 to 65535")
        suite = None if cipher_suite is None else CipherSuite(cipher_suite)
        match ordering:
            case None | "service" | "members":
                rule: Literal["service", "members"] = ordering or "service"
            case _:
                raise UsageError('ordering must be "service" or "members"')
        return shapes.group_details(await self._client(client).create_group(suite, group_id, ordering=rule))

    async def add_member(self, *, client: int, group_id: bytes, identity: str) -> Shape:
        return self._changed(client, group_id, await self._client(client).add(group_id, identity))

    async def remove_member(self, *, client: int, group_id: bytes, identity: str) -> Shape:
        return self._changed(client, group_id, await self._client(client).remove(group_id, identity))

    async def remove_device(self, *, client: int, group_id: bytes, identity: str, client_id: bytes) -> Shape:
        removed = await self._client(client).remove_device(group_id, identity, client_id)
        return self._changed(client, group_id, removed)

    async def update_group(self, *, client: int, group_id: bytes) -> Shape:
        return self._changed(client, group_id, await self._client(client).update(group_id))

    async def send_message(self, *, client: int, group_id: bytes, data: bytes) -> Shape:
        return shapes.sent(await self._client(client).send(group_id, data))

    async def flush(self, *, client: int) -> list[Shape]:
        return [shapes.delivery(one) for one in await self._client(client).flush()]

    async def group_details(self, *, client: int, group_id: bytes) -> Shape:
        return shapes.group_details(self._client(client).group_details(group_id))

    async def export_srtp_keys(self, *, client: int, group_id: bytes, profile: str) -> list[Shape]:
        holder = self._client(client)
        identities = {member.leaf_index: member.identity for member in holder.group_details(group_id).members}
        keys = holder.export_srtp_keys(group_id, srtp_profile(profile))
        return [shapes.srtp_keys(identities[key.leaf_index], key) for key in keys]

    async def export_sframe_keys(self, *, client: int, group_id: bytes) -> Shape:
        holder = self._client(client)
        identities = {member.leaf_index: member.identity for member in holder.group_details(group_id).members}
        return shapes.sframe_keys(identities, holder.export_sframe_keys(group_id))

    async def export_ratchet_tree(self, *, client: int, group_id: bytes) -> bytes:
        return self._client(client).export_ratchet_tree(group_id)

    async def reserve_sframe_context(self, *, client: int, group_id: bytes) -> Uint64:
        return Uint64(await self._client(client).reserve_sframe_context(group_id))

    async def export_secret(
        self, *, client: int, group_id: bytes, label: str, context: bytes, length: int
    ) -> bytes:
        return self._client(client).export_secret(group_id, label, context, length)

    async def close_client(self, *, client: int) -> None:
        await self._retire(client)

    async def export_account(self, *, client: int, passphrase: str) -> bytes:
        if passphrase == "":
            raise UsageError("the passphrase is empty")
        return await export_account(self._provider, stretch, await self._retire(client), passphrase)

    async def import_account(self, *, account: str, data: bytes, passphrase: str) -> str:
        state = await import_account(self._provider, stretch, data, passphrase)
        await IndexedDbStorage(account).save(state)
        return state.account.identity

    async def _retire(self, number: int) -> ClientState:
        holder = self._client(number)
        running = self._clients.pop(number)
        state = await holder.retire()
        if running.receiving is not None:
            running.receiving.cancel()
        return state

    async def verify_vectors(self, *, data: bytes) -> Shape:
        # Whoever only calls does not wait for these modules at start-up.
        from ..vectors import verify_file  # noqa: PLC0415

        return shapes.vector_result(verify_file(self._provider, data))

    def _client(self, number: int) -> Client:
        running = self._clients.get(number)
        if running is None:
            raise StateError("this client was closed; create another", code="closed")
        return running.client

    def _changed(self, number: int, group_id: bytes, sent: Sent) -> Shape:
        """A change of our own is told to the page as everybody else's is."""
        details = shapes.group_details(self._client(number).group_details(group_id))
        self._emit("epoch", EpochEvent(client=number, group_id=group_id, details=details))
        return {**details, "deliveries": shapes.sent(sent)["deliveries"]}

    async def _receive(self, number: int, client: Client) -> None:
        try:
            await client.run()
        except MLSError as error:
            self._emit("error", ErrorEvent(client=number, fault=shapes.fault(error)))
        except Exception as error:  # noqa: BLE001 - the page must hear of a bug, or it waits in vain
            self._emit("error", ErrorEvent(client=number, fault=_bug(error)))

    def _on_event(self, number: int, event: Event) -> None:
        self._emit(*page_event(number, event, lambda group_id: self._now(number, group_id)))

    def _now(self, number: int, group_id: bytes) -> Shape:
        return shapes.group_details(self._client(number).group_details(group_id))


HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "setDeliveryService": Bridge.set_delivery_service,
    "createClient": Bridge.create_client,
    "createDevice": Bridge.create_device,
    "openClient": Bridge.open_client,
    "clientState": Bridge.client_state,
    "register": Bridge.register,
    "told": Bridge.told,
    "deviceRequest": Bridge.device_request,
    "admitDevice": Bridge.admit_device,
    "devices": Bridge.devices,
    "revokeDevice": Bridge.revoke_device,
    "setFanout": Bridge.set_fanout,
    "clearLogFault": Bridge.clear_log_fault,
    "fetchKeyBundles": Bridge.fetch_key_bundles,
    "createGroup": Bridge.create_group,
    "addMember": Bridge.add_member,
    "removeMember": Bridge.remove_member,
    "removeDevice": Bridge.remove_device,
    "updateGroup": Bridge.update_group,
    "sendMessage": Bridge.send_message,
    "flush": Bridge.flush,
    "groupDetails": Bridge.group_details,
    "exportSrtpKeys": Bridge.export_srtp_keys,
    "exportSFrameKeys": Bridge.export_sframe_keys,
    "exportRatchetTree": Bridge.export_ratchet_tree,
    "reserveSFrameContext": Bridge.reserve_sframe_context,
    "exportSecret": Bridge.export_secret,
    "closeClient": Bridge.close_client,
    "exportAccount": Bridge.export_account,
    "importAccount": Bridge.import_account,
    "verifyVectors": Bridge.verify_vectors,
    **inspecting.HANDLERS,
    **FACADE_HANDLERS,
}


async def answer(bridge: Bridge, method: str, params: Mapping[str, Any]) -> Shape:
    """The `Reply` to one request; it never raises."""
    try:
        handler = HANDLERS.get(method)
        if handler is None:
            raise UsageError(f"there is no request {method!r}")
        receiver = bridge.facade if method in FACADE_HANDLERS else bridge
        return {"ok": True, "value": await handler(receiver, **arguments_of(method, handler, params))}
    except MLSError as error:
        return {"ok": False, "fault": shapes.fault(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the page waits for a reply
        return {"ok": False, "fault": _bug(error)}


def arguments_of(
    method: str, handler: Callable[..., Awaitable[Any]], params: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a handler from what the page sent.

    Raises:
        UsageError: one is missing, of another type than the handler says, or unknown.
    """
    hints = typing.get_type_hints(handler)
    arguments = {}
    for name, parameter in inspect.signature(handler).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        value = params.get(to_camel_case(name))
        if isinstance(value, memoryview):
            value = value.tobytes()
        if value is None and parameter.default is None:
            continue
        kind = next(kind for kind in typing.get_args(hints[name]) or (hints[name],) if kind is not type(None))
        # To Python a boolean is a number, to the page it is not.
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UsageError(f"{to_camel_case(name)} must be {_TYPE_NAMES[kind]}")
        arguments[name] = value
    unknown = set(params) - {to_camel_case(name) for name in hints}
    if unknown:
        raise UsageError(f"{method} does not know {', '.join(sorted(unknown))}")
    return arguments


_TYPE_NAMES = {str: "a string", int: "a whole number", bytes: "a Uint8Array"}


def to_camel_case(name: str) -> str:
    """A name as the page spells it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _bug(error: Exception) -> Shape:
    # The console has the whole story; the message has the type alone, since what it says might quote a secret.
    traceback.print_exception(error)
    kind = type(error).__name__
    message = f"The MLS client itself has a fault ({kind}). Reload the page, and please report what the console says."
    return {"code": "internal-error", "message": message, "details": {"type": kind}}


# -- what the worker calls

_bridges: list[Bridge] = []


def start(crypto: str, emit: Callable[[Any], None]) -> Any:
    """Choose the provider and get ready.

    Args:
        crypto: `auto`, `pyca` or `webjs`.
        emit: a function of the worker that takes an `EventMessage`.

    Returns:
        A `Reply` whose value names the provider.
    """

    def emit_event(name: str, detail: Mapping[str, Any]) -> None:
        emit(_to_js({"name": name, "detail": {to_camel_case(key): value for key, value in detail.items()}}))

    try:
        provider = choose_provider(crypto)
    except MLSError as error:
        return _to_js({"ok": False, "fault": shapes.fault(error)})
    _bridges[:] = [Bridge(provider, BrowserTransport(), emit_event)]
    return _to_js({"ok": True, "value": {"crypto": provider.name}})


async def call(method: str, params: Mapping[str, Any], signal: Any) -> Any:
    """Answer a request.

    Args:
        params: with the page's names.
        signal: an `AbortSignal` that ends the network requests of this call.
    """
    abort_signal.set(signal)
    return _to_js(await answer(_bridges[0], method, params))


def _to_js(value: Shape) -> Any:
    import js  # noqa: PLC0415
    from pyodide.ffi import to_js  # noqa: PLC0415

    # Without `create_pyproxies`, what is no plain value is an error here and not a leak there.
    return to_js(_with_bigints(value), dict_converter=js.Object.fromEntries, create_pyproxies=False)


def _with_bigints(value: Any) -> Any:
    from pyodide.ffi import JsBigInt  # noqa: PLC0415

    match value:
        case dict():
            return {key: _with_bigints(one) for key, one in value.items()}
        case list():
            return [_with_bigints(one) for one in value]
        case Uint64():
            return JsBigInt(value)
        case _:
            return value
