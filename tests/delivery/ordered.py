"""Groups whose commits a running service orders: real members with identities, and what each would send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from mls_federation.client.account import Account, new_account, new_key_package
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, CryptoProvider, SignatureScheme, crypto
from mls_federation.federation.binding import WELL_KNOWN_PATH, ServiceDescription
from mls_federation.federation.group_agreement import (
    GroupAgreement,
    OrderingRule,
    agreement_of,
    with_agreement,
)
from mls_federation.federation.identity import verify_leaf_identity
from mls_federation.federation.negotiation import leaf_support, new_agreement
from mls_federation.federation.ordering import (
    CommitRequest,
    CommitResponse,
    CommitStatus,
    GroupInfoRequest,
    GroupInfoResponse,
    MissedCommits,
    MissedRequest,
    OrderingReceipt,
    RegisterGroupRequest,
    RegisterGroupResponse,
    commit_hash,
    group_info_sign_content,
    verify_receipt,
)
from mls_federation.mls import (
    CommitMessage,
    Group,
    OwnKeyPackage,
    PendingCommit,
    RemovedMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    create_group,
    decode_message,
    group_info,
    join,
    mls_message,
    receive,
    remove,
)
from mls_federation.mls.proposals import Proposal
from tests.delivery.support import SUITE_1, Clock, Device, Running, checked

PUBLIC = WireFormat.mls_public_message


def signing_key_of(service: Running) -> bytes:
    """The public signing key that a service says that it has."""
    return ServiceDescription.decode(checked(service.request("GET", WELL_KNOWN_PATH))).signing_key


def encoded_info(group: Group, *, with_tree: bool = False, with_external_pub: bool = True) -> bytes:
    """A member's GroupInfo of the epoch that it is in, as an MLSMessage."""
    return mls_message(group_info(group, with_tree=with_tree, with_external_pub=with_external_pub)).encode()


def request_for(pending: PendingCommit) -> CommitRequest:
    """What a committer asks."""
    return CommitRequest(commit=pending.message, group_info=encoded_info(pending.group))


class OrderedParty:
    """Members of one group, by name, and the service that orders its commits.

    Attributes:
        groups: each member's state.
        accounts: everybody, members or not.
        providers: of those who do not have all cipher suites.
    """

    def __init__(
        self,
        provider: CryptoProvider,
        service: Running,
        clock: Clock,
        *names: str,
        group_id: bytes = b"the group",
        suite: CipherSuite = SUITE_1,
        accounts: dict[str, Account] | None = None,
        providers: Mapping[str, CryptoProvider] | None = None,
    ) -> None:
        self.provider = provider
        self.service = service
        self.clock = clock
        self.crypto = crypto(provider, suite)
        self.key = signing_key_of(service)
        self.accounts = {} if accounts is None else accounts
        self.providers = providers or {}
        first, *others = names
        own = self.key_package(first)
        extensions = with_agreement((), self.agreement(own))
        self.groups = {first: create_group(self.crypto, group_id, own, extensions)}
        self.register(first)
        if others:
            self.add(first, *others)

    @property
    def suite(self) -> CipherSuite:
        """The group's."""
        return self.crypto.suite.cipher_suite

    def account(self, name: str) -> Account:
        """Somebody of the service's domain."""
        if name not in self.accounts:
            self.accounts[name] = new_account(self.provider, f"{name}@{self.service.domain}")
        return self.accounts[name]

    def device(self, name: str) -> Device:
        """The same, as a client of the service, with a session."""
        account = self.account(name)
        device = Device(
            self.provider, self.service, account.identity.encode(), account.identity_key, account.client_id
        )
        device.claim()
        device.open_session()
        return device

    def key_package(self, name: str) -> OwnKeyPackage:
        """A fresh one of somebody's."""
        provider = self.providers.get(name, self.provider)
        return new_key_package(provider, self.account(name), self.suite, self.clock.now)

    def agreement(self, own: OwnKeyPackage) -> GroupAgreement:
        """That of a group which somebody begins, and the service orders."""
        leaf = own.key_package.leaf_node
        who = leaf_support(leaf, verify_leaf_identity(self.provider, self.suite, leaf))
        return new_agreement(
            [who],
            self.suite,
            ordering=OrderingRule.service,
            domain=self.service.domain,
            signing_key=self.key,
        )

    # -- requests

    def ask_to_register(
        self, by: str, info: bytes | None = None, moved_by: OrderingReceipt | None = None
    ) -> httpx.Response:
        """The answer to somebody who registers the group."""
        info = encoded_info(self.groups[by], with_tree=True) if info is None else info
        headers = self.device(by).authorization if moved_by is None else {}
        request = RegisterGroupRequest(group_info=info, moved_by=moved_by)
        return self.service.request(
            "POST", "/v1/groups", request, headers | {"Content-Type": "application/mls-federation"}
        )

    def register(self, by: str) -> int:
        """Register the group; the epoch that the service answers with."""
        return RegisterGroupResponse.decode(checked(self.ask_to_register(by))).epoch

    def ask(self, request: CommitRequest) -> httpx.Response:
        """The answer to a commit."""
        return self.service.post("/v1/commits", request)

    def submit(self, request: CommitRequest) -> OrderingReceipt | MissedCommits:
        """Submit a commit: its receipt, which is verified, or what was missed."""
        answer = CommitResponse.decode(checked(self.ask(request)))
        if answer.status == CommitStatus.accepted:
            assert isinstance(answer.result, OrderingReceipt)
            verify_receipt(self.provider, self.key, answer.result)
            assert answer.result.commit_hash == commit_hash(request.commit)
            assert answer.result.domain == self.service.domain.encode()
        return answer.result

    def missed(self, epoch: int, group_id: bytes | None = None) -> MissedCommits:
        """The commits from that on which ends an epoch."""
        asked = MissedRequest(group_id=group_id or self.any_group.group_id, epoch=epoch)
        return MissedCommits.decode(checked(self.service.post("/v1/missed", asked)))

    def group_info_request(self, name: str, **changes: object) -> GroupInfoRequest:
        """A request of somebody who lost the thread."""
        account = self.account(name)
        domain, time = changes.get("domain", self.service.domain), changes.get("time", self.clock.now)
        group_id = changes.get("group_id", self.any_group.group_id)
        assert isinstance(domain, str)
        assert isinstance(time, int)
        assert isinstance(group_id, bytes)
        signed = group_info_sign_content(domain, group_id, account.credential, time)
        signature = self.provider.sign(SignatureScheme.ed25519, account.identity_key.private_key, signed)
        return GroupInfoRequest(
            group_id=group_id, credential=account.credential, time=time, signature=signature
        )

    def group_info(self, name: str) -> GroupInfoResponse:
        """What a member that lost the thread is given."""
        return GroupInfoResponse.decode(
            checked(self.service.post("/v1/group-info", self.group_info_request(name)))
        )

    # -- commits

    @property
    def any_group(self) -> Group:
        """The group as some member sees it."""
        return next(iter(self.groups.values()))

    def commit(self, by: str, *proposals: Proposal, joining: Sequence[OwnKeyPackage] = ()) -> PendingCommit:
        """A commit that nobody has seen."""
        adds = [add(own.key_package) for own in joining]
        return commit(self.groups[by], [*proposals, *adds], now=self.clock.now, wire_format=PUBLIC)

    def accept(self, by: str, pending: PendingCommit) -> OrderingReceipt:
        """Let the service order a commit, and all members apply it."""
        receipt = self.submit(request_for(pending))
        assert isinstance(receipt, OrderingReceipt)
        assert receipt.epoch == pending.group.epoch
        assert receipt.confirmed_transcript_hash == pending.group.context.confirmed_transcript_hash
        self.apply(by, pending)
        return receipt

    def apply(self, by: str, pending: PendingCommit) -> None:
        """Let all members apply a commit."""
        for name, group in list(self.groups.items()):
            if name == by:
                self.groups[name] = pending.group
                continue
            received = receive(group, pending.message, now=self.clock.now)
            if isinstance(received, RemovedMessage):
                del self.groups[name]
            else:
                assert isinstance(received, CommitMessage)
                self.groups[name] = received.group

    def renew(self, by: str) -> OrderingReceipt:
        """A commit without proposals."""
        return self.accept(by, self.commit(by))

    def add(
        self, by: str, *names: str, passed_over: tuple[CipherSuite, ...] | None = None
    ) -> OrderingReceipt:
        """Add somebody, and change what the members have passed over."""
        joining = {name: self.key_package(name) for name in names}
        changes = []
        if passed_over is not None:
            agreement = replace(self.agreed(), passed_over=passed_over)
            changes.append(change_extensions(with_agreement((), agreement)))
        pending = self.commit(by, *changes, joining=list(joining.values()))
        receipt = self.accept(by, pending)
        assert pending.welcome is not None
        welcome = decode_message(pending.welcome)
        assert isinstance(welcome, Welcome)
        for name, own in joining.items():
            self.groups[name] = join(self.crypto, welcome, own, now=self.clock.now)
        return receipt

    def remove(self, by: str, name: str) -> OrderingReceipt:
        """Remove somebody."""
        return self.accept(by, self.commit(by, remove(self.groups[name].own_leaf)))

    def agreed(self) -> GroupAgreement:
        """What the members have agreed on."""
        return agreement_of(self.any_group.context.extensions)
