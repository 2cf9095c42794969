"""What the worker does for `web/src/mls.js`, which has the interface of Firefox's experimental `MLS` object.

State belongs to the origin, as in Firefox: all tabs have the same, and each request is a turn of its own in which it is read,
changed and kept, before anything leaves. Cipher suite 0x0001 and basic credentials are all there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ...crypto import CipherSuite, CryptoProvider, crypto
from ...errors import UnsupportedError, ValidationError
from ...mls import (
    OwnKeyPackage,
    PrivateMessage,
    PublicMessage,
    Welcome,
    create_group,
    create_key_package,
    decode_message,
    find_key_package,
    join,
    key_package_ref,
    mls_message,
)
from ...mls.credentials import Credential, CredentialType, basic_credential
from ...mls.nodes import Capabilities, Lifetime, ProtocolVersion
from ..shapes import Shape
from . import views
from .state import Identity, Offer, Record, State, changes, decode_record
from .storage import BrowserStorage, FacadeStorage
from .views import View, client_id_of

_SUITE = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
_GROUP_ID_SIZE = 32
_CLOCK_TOLERANCE = 3600
# As long as Firefox's.
_KEY_LIFETIME = 365 * 24 * 3600

Answer = TypeVar("Answer")


class Facade:
    """Answers the requests of `web/src/mls.js`. The parameters of each are keyword-only.

    Args:
        now: the time, Unix seconds.
    """

    def __init__(self, provider: CryptoProvider, storage: FacadeStorage, now: Callable[[], int]) -> None:
        self._crypto = crypto(provider, _SUITE)
        self._storage = storage
        self._now = now
        # What the last turn left, and its octets: what no other tab has changed since need not be decoded again.
        self._state = State()
        self._octets: dict[tuple[int, int], bytes] = {}

    async def delete_state(self) -> None:
        async with self._storage.turn():
            await self._storage.erase()
            self._state, self._octets = State(), {}

    async def generate_identity(self) -> Shape:
        keys = self._crypto.generate_signature_key()
        await self._turn(lambda state: (state.with_new(Identity(keys)), None))
        return {"content": client_id_of(keys.public_key), "type": "client-identifier"}

    async def generate_credential(self, *, content: bytes) -> Shape:
        return {"content": basic_credential(content).encode(), "type": "credential-basic"}

    async def generate_key_package(self, *, client_id: bytes, credential: bytes) -> Shape:
        def work(state: State) -> tuple[State, bytes]:
            own = self._new_key_package(state, client_id, credential)
            return state.with_new(Offer(client_id, own)), mls_message(own.key_package).encode()

        return {"content": await self._turn(work), "type": "key-package"}

    async def group_create(self, *, client_id: bytes, credential: bytes) -> bytes:
        def work(state: State) -> tuple[State, bytes]:
            own = self._new_key_package(state, client_id, credential)
            group = create_group(self._crypto, self._crypto.random(_GROUP_ID_SIZE), own)
            return state.with_view(View(client_id, group)), group.group_id

        return await self._turn(work)

    async def group_get(self, *, group_id: bytes, client_id: bytes) -> bytes:
        return await self._turn(lambda state: (state, state.view(group_id, client_id)[1].group.group_id))

    async def group_join(self, *, client_id: bytes, welcome: bytes) -> bytes:
        message = decode_message(welcome)
        if not isinstance(message, Welcome):
            raise UnsupportedError("this message is no Welcome", code="unexpected-message")

        def work(state: State) -> tuple[State, bytes]:
            state.identity(client_id)
            offers = state.offers(client_id)
            refs = [(key_package_ref(self._crypto, own.key_package), own) for _, own in offers]
            own = find_key_package(message, refs)
            if own is None:
                raise ValidationError(
                    "the Welcome is for no KeyPackage of this client, or for one that was used",
                    code="not-for-us",
                )
            group = join(self._crypto, message, own, now=self._now())
            views.check_distinct_credentials(group)
            used = next(place for place, offered in offers if offered is own)
            return state.without(used).with_view(View(client_id, group)), group.group_id

        return await self._turn(work)

    async def group_id_of(self, *, message: bytes) -> Shape:
        return {"content": _group_and_epoch(message)[0], "type": "group-identifier"}

    async def group_epoch_of(self, *, message: bytes) -> Shape:
        return {"content": views.epoch_octets(_group_and_epoch(message)[1]), "type": "group-epoch"}

    async def delete_view(self, *, group_id: bytes, client_id: bytes) -> None:
        def work(state: State) -> tuple[State, None]:
            places = [
                place
                for place, record in state.records.items()
                if isinstance(record, View)
                and (record.group.group_id, record.client_id) == (group_id, client_id)
            ]
            for place in places:
                state = state.without(place)
            return state, None

        await self._turn(work)

    async def add(self, *, group_id: bytes, client_id: bytes, key_package: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.add_client(view, key_package, self._now())
        )

    async def propose_add(self, *, group_id: bytes, client_id: bytes, key_package: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.propose_to_add(view, key_package, self._now())
        )

    async def remove(self, *, group_id: bytes, client_id: bytes, removed: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.remove_client(view, removed, self._now())
        )

    async def propose_remove(self, *, group_id: bytes, client_id: bytes, removed: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.propose_to_remove(view, removed, self._now())
        )

    async def close(self, *, group_id: bytes, client_id: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.remove_all_others(view, self._now())
        )

    async def details(self, *, group_id: bytes, client_id: bytes) -> Shape:
        return await self._in_view(group_id, client_id, lambda view: (view, views.details(view)))

    async def inspect(self, *, group_id: bytes, client_id: bytes) -> Shape:
        return await self._in_view(group_id, client_id, lambda view: (view, views.inspect(view)))

    async def send(self, *, group_id: bytes, client_id: bytes, message: bytes) -> Shape:
        return await self._in_view(group_id, client_id, lambda view: views.send(view, message))

    async def receive(self, *, group_id: bytes, client_id: bytes, message: bytes) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: views.receive_message(view, message, self._now())
        )

    async def has_pending_proposals(self, *, group_id: bytes, client_id: bytes) -> bool:
        return await self._in_view(group_id, client_id, lambda view: (view, bool(view.group.proposals)))

    async def clear_pending_proposals(self, *, group_id: bytes, client_id: bytes) -> bool:
        return await self._in_view(group_id, client_id, lambda view: (views.forget_proposals(view), True))

    async def has_pending_commit(self, *, group_id: bytes, client_id: bytes) -> bool:
        return await self._in_view(group_id, client_id, lambda view: (view, view.own_commit is not None))

    async def clear_pending_commit(self, *, group_id: bytes, client_id: bytes) -> bool:
        return await self._in_view(group_id, client_id, lambda view: (views.forget_own_commit(view), True))

    async def apply_pending_commit(self, *, group_id: bytes, client_id: bytes) -> Shape:
        return await self._in_view(group_id, client_id, views.apply_own_commit)

    async def export_secret(
        self, *, group_id: bytes, client_id: bytes, label: bytes, context: bytes, length: int
    ) -> Shape:
        return await self._in_view(
            group_id, client_id, lambda view: (view, views.export(view, label, context, length))
        )

    async def _in_view(
        self, group_id: bytes, client_id: bytes, work: Callable[[View], tuple[View, Answer]]
    ) -> Answer:
        def on_state(state: State) -> tuple[State, Answer]:
            place, view = state.view(group_id, client_id)
            after, answer = work(view)
            return (state if after is view else state.with_record(place, after)), answer

        return await self._turn(on_state)

    async def _turn(self, work: Callable[[State], tuple[State, Answer]]) -> Answer:
        """One change of the state: read, made, and kept before anybody learns of it."""
        async with self._storage.turn():
            before = await self._read()
            after, answer = work(before)
            writes, deletes = changes(before, after)
            if writes or deletes:
                await self._storage.write(writes, deletes)
            octets = {**self._octets, **{(kind, number): data for kind, number, data in writes}}
            self._octets = {place: octets[place] for place in after.records}
            self._state = after
            return answer

    async def _read(self) -> State:
        records: dict[tuple[int, int], Record] = {}
        octets: dict[tuple[int, int], bytes] = {}
        for kind, number, data in await self._storage.read():
            place = (kind, number)
            known = self._state.records.get(place)
            if known is None or self._octets.get(place) != data:
                known = decode_record(self._crypto.provider, kind, data)
            records[place], octets[place] = known, data
        self._state, self._octets = State(records), octets
        return self._state

    def _new_key_package(self, state: State, client_id: bytes, credential: bytes) -> OwnKeyPackage:
        keys = state.identity(client_id)
        said = Credential.decode(credential)
        if said.credential_type != CredentialType.basic:
            raise UnsupportedError("only basic credentials can be used here", code="unsupported-credential")
        now = self._now()
        return create_key_package(
            self._crypto,
            credential=said,
            signature_key=keys,
            capabilities=Capabilities(
                versions=(ProtocolVersion.mls10,),
                cipher_suites=(_SUITE,),
                extensions=(),
                proposals=(),
                credentials=(CredentialType.basic,),
            ),
            lifetime=Lifetime(not_before=now - _CLOCK_TOLERANCE, not_after=now + _KEY_LIFETIME),
        )


def _group_and_epoch(message: bytes) -> tuple[bytes, int]:
    """Of which group and epoch a message says that it is."""
    match decode_message(message):
        case PublicMessage(content=content):
            return content.group_id, content.epoch
        case PrivateMessage(group_id=group_id, epoch=epoch):
            return group_id, epoch
    raise UnsupportedError("a message that is not for the members of a group", code="unexpected-message")


# By the names of `Requests` in `web/src/protocol.d.ts`.
HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "mlsDeleteState": Facade.delete_state,
    "mlsGenerateIdentity": Facade.generate_identity,
    "mlsGenerateCredential": Facade.generate_credential,
    "mlsGenerateKeyPackage": Facade.generate_key_package,
    "mlsGroupCreate": Facade.group_create,
    "mlsGroupGet": Facade.group_get,
    "mlsGroupJoin": Facade.group_join,
    "mlsGetGroupId": Facade.group_id_of,
    "mlsGetGroupEpoch": Facade.group_epoch_of,
    "viewDeleteState": Facade.delete_view,
    "viewAdd": Facade.add,
    "viewProposeAdd": Facade.propose_add,
    "viewRemove": Facade.remove,
    "viewProposeRemove": Facade.propose_remove,
    "viewClose": Facade.close,
    "viewDetails": Facade.details,
    "viewInspect": Facade.inspect,
    "viewSend": Facade.send,
    "viewReceive": Facade.receive,
    "viewHasPendingProposals": Facade.has_pending_proposals,
    "viewClearPendingProposals": Facade.clear_pending_proposals,
    "viewHasPendingCommit": Facade.has_pending_commit,
    "viewClearPendingCommit": Facade.clear_pending_commit,
    "viewApplyPendingCommit": Facade.apply_pending_commit,
    "viewExportSecret": Facade.export_secret,
}

__all__ = ["HANDLERS", "BrowserStorage", "Facade", "FacadeStorage"]
