"""Which cipher suite and which version of the federation a group has (docs/protocol.md).

A suite is as good as the weakest of its parts: first the bits of security of its curve, hash and AEAD, the least of them;
among equals, what is faster in a browser. In bits:

    suite    curve        hash          AEAD                    weakest
    0x0005   P-521  256   SHA-512 256   AES-256-GCM       256   256
    0x0004   X448   224   SHA-512 256   AES-256-GCM       256   224
    0x0006   X448   224   SHA-512 256   ChaCha20Poly1305  256   224
    0x0007   P-384  192   SHA-384 192   AES-256-GCM       256   192
    0x0001   X25519 128   SHA-256 128   AES-128-GCM       128   128
    0x0003   X25519 128   SHA-256 128   ChaCha20Poly1305  256   128
    0x0002   P-256  128   SHA-256 128   AES-128-GCM       128   128

Which of them a client supports is its own choice, and it says so in its manifest and in each of its leaves; both are signed.
So whoever joins can see what would have been the best for all, and refuses a group that took less without saying so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..codec import replace
from ..crypto import CipherSuite
from ..errors import ValidationError
from ..mls.extensions import find_extension
from ..mls.grease import GREASE_VALUES
from ..mls.nodes import LeafNode
from .group_agreement import GroupAgreement, OrderingRule
from .identity import FEDERATION_IDENTITY, FederationIdentity, VerifiedIdentity
from .manifest import VerifiedBundle

# The best first: the table above.
POLICY = (
    CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521,
    CipherSuite.MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448,
    CipherSuite.MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448,
    CipherSuite.MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
)


@dataclass(frozen=True)
class Support:
    """What a client says, under its signature, that it supports.

    Attributes:
        identity: `name@domain`.
        client_id: which client of that identity; empty if it is not known.
        cipher_suites: in any order, with or without values that nobody knows.
        versions: of the federation, likewise.
    """

    identity: str
    client_id: bytes
    cipher_suites: tuple[CipherSuite, ...]
    versions: tuple[int, ...]


class NoCommonSuite(ValidationError):
    """No cipher suite is supported by all.

    Attributes:
        clients: each, and what it supports.
    """

    default_code = "no-common-suite"

    def __init__(self, clients: Sequence[Support]) -> None:
        super().__init__("no cipher suite is supported by all: " + "; ".join(map(_described, clients)))
        self.clients = tuple(clients)


def leaf_support(leaf: LeafNode, who: VerifiedIdentity, client_id: bytes = b"") -> Support:
    """What a leaf says, whose identity was verified."""
    return Support(who.identity, client_id, leaf.capabilities.cipher_suites, who.versions)


def bundle_support(bundle: VerifiedBundle) -> Support:
    """What a manifest and its KeyPackage say, both verified."""
    data = find_extension(bundle.key_package.leaf_node.extensions, FEDERATION_IDENTITY)
    assert data is not None  # or the bundle would not have been verified
    return Support(
        bundle.identity, bundle.client_id, bundle.cipher_suites, FederationIdentity.decode(data).versions
    )


def common_suites(
    clients: Iterable[Support], policy: Sequence[CipherSuite] = POLICY
) -> tuple[CipherSuite, ...]:
    """The suites that all support, the best first. Suites that the policy does not know, GREASE among them, do not count."""
    listed = [frozenset(client.cipher_suites) for client in clients]
    return tuple(suite for suite in policy if all(suite in suites for suites in listed))


def best_common_suite(clients: Sequence[Support], policy: Sequence[CipherSuite] = POLICY) -> CipherSuite:
    """The best suite that all support.

    Raises:
        NoCommonSuite: there is none; it says who supports what.
    """
    common = common_suites(clients, policy)
    if not common:
        raise NoCommonSuite(clients)
    return common[0]


def best_common_version(clients: Sequence[Support]) -> int:
    """The highest version of the federation that all speak; nobody speaks GREASE (RFC 9420 §13.5), even if all say so.

    Args:
        clients: at least one.

    Raises:
        ValidationError: code `no-common-version`.
    """
    common = set.intersection(*(set(client.versions) for client in clients))
    spoken = common.difference(GREASE_VALUES)
    if not spoken:
        named = "; ".join(f"{client.identity} speaks {sorted(client.versions)}" for client in clients)
        raise ValidationError(
            f"no version of the federation is spoken by all: {named}", code="no-common-version"
        )
    return max(spoken)


def new_agreement(
    clients: Sequence[Support],
    suite: CipherSuite,
    *,
    ordering: OrderingRule = OrderingRule.members,
    domain: str = "",
    signing_key: bytes = b"",
) -> GroupAgreement:
    """The agreement of a group of these clients; `domain` and `signing_key` are of the service that orders.

    Raises:
        ValidationError: code `no-common-version`.
    """
    return GroupAgreement(
        version=best_common_version(clients),
        ordering=ordering,
        domain=domain.encode("ascii"),
        signing_key=signing_key,
        passed_over=_better(clients, suite),
    )


def renewed_agreement(
    clients: Sequence[Support], agreement: GroupAgreement, suite: CipherSuite
) -> GroupAgreement:
    """The agreement as it must be when the group has these members; the same if nothing is to be changed.

    Whoever adds somebody commits it along, if it is another: who lacked the better suites, or spoke only old versions,
    may have left, or the newcomer may be the first who does.

    Raises:
        ValidationError: code `no-common-version`.
    """
    better = _better(clients, suite)
    passed_over = agreement.passed_over
    if not set(better) <= set(passed_over):
        passed_over = better
    return replace(agreement, version=best_common_version(clients), passed_over=passed_over)


def check_agreement(clients: Sequence[Support], agreement: GroupAgreement, suite: CipherSuite) -> None:
    """Return if a group of these members took nothing less than it says and than it could have had.

    Each joiner checks it, and each member at a commit that adds somebody or changes the extensions of the GroupContext.

    Args:
        clients: of all leaves.
        suite: the group's.

    Raises:
        ValidationError: code `version-downgrade`: all speak a higher version; `version-not-common`: somebody does not speak
            the group's; `suite-downgrade`: all support a better suite, and the agreement does not say that it was
            passed over; `bad-agreement`: it says that the group's own was.
        NoCommonSuite: somebody does not support the group's suite.
    """
    best = best_common_version(clients)
    if agreement.version < best:
        raise ValidationError(
            f"a group of version {agreement.version} of the federation, though all speak {best}",
            code="version-downgrade",
        )
    if agreement.version > best:
        raise ValidationError(
            f"a group of version {agreement.version} of the federation, which not all speak",
            code="version-not-common",
        )
    if suite in agreement.passed_over:
        raise ValidationError(
            "a group that has the cipher suite that it says to have passed over", code="bad-agreement"
        )
    common = common_suites(clients)
    if suite not in common:
        raise NoCommonSuite(clients)
    offered = [better for better in common if better not in agreement.passed_over]
    if offered[0] != suite:
        raise ValidationError(
            f"a group of cipher suite {_name(suite)}, though all support {_name(offered[0])}",
            code="suite-downgrade",
        )


def _better(clients: Sequence[Support], suite: CipherSuite) -> tuple[CipherSuite, ...]:
    """The suites that all support and that are better."""
    common = common_suites(clients)
    return common[: common.index(suite)] if suite in common else common


def _described(client: Support) -> str:
    known = [suite for suite in POLICY if suite in client.cipher_suites]
    of = f" (client {client.client_id.hex()})" if client.client_id else ""
    return f"{client.identity}{of} supports {', '.join(map(_name, known)) or 'none that is known here'}"


def _name(suite: CipherSuite) -> str:
    return f"0x{suite:04x}"
