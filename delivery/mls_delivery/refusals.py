"""Every reason for which the service refuses a request, by its stable code (docs/protocol.md, section "Errors")."""

from __future__ import annotations

from dataclasses import dataclass

from mls_federation.errors import DecodeError, RemoteError


@dataclass(frozen=True)
class Kind:
    """What all refusals with one code have in common."""

    status: int
    title: str


KINDS = {
    "malformed": Kind(400, "The request is malformed"),
    "bad-identity": Kind(400, "Not an identity"),
    "bad-credential": Kind(400, "The credential cannot be used"),
    "invalid-key-set": Kind(400, "A key set is not valid"),
    "invalid-group": Kind(400, "The group cannot be ordered here"),
    "invalid-commit": Kind(400, "The commit is not valid"),
    "too-many-recipients": Kind(400, "Too many recipients"),
    "unauthorized": Kind(401, "No session"),
    "unsigned-request": Kind(401, "The request is not signed"),
    "bad-request-signature": Kind(401, "The request's signature cannot be accepted"),
    "bad-challenge": Kind(403, "The challenge cannot be used"),
    "bad-signature": Kind(403, "The signature does not match"),
    "identity-claimed": Kind(403, "The identity belongs to somebody else"),
    "claim-refused": Kind(403, "The operator does not give out this identity"),
    "not-a-device": Kind(403, "Not a device of the identity"),
    "revoked-device": Kind(403, "The device was revoked"),
    "last-device": Kind(403, "The last device stays"),
    "lineage-too-long": Kind(403, "Too many admissions, one by the other"),
    "too-many-clients": Kind(403, "Too many clients"),
    "peer-not-allowed": Kind(403, "This domain is not spoken with"),
    "peer-key-changed": Kind(403, "The domain has another key than before"),
    "too-many-device-events": Kind(403, "Too many device events"),
    "no-such-tree": Kind(404, "The log never had this many entries"),
    "not-a-member": Kind(403, "Not a member of the group"),
    "stale-request": Kind(403, "The request is too old"),
    "too-many-groups": Kind(403, "Too many groups"),
    "not-found": Kind(404, "No such end point"),
    "unknown-identity": Kind(404, "Unknown identity"),
    "unknown-group": Kind(404, "Unknown group"),
    "method-not-allowed": Kind(405, "The end point does not have this method"),
    "request-timeout": Kind(408, "The request took too long"),
    "stale-event": Kind(409, "The event does not follow the latest one"),
    "already-a-device": Kind(409, "The device was admitted before"),
    "group-exists": Kind(409, "The group is ordered here already"),
    "group-moved": Kind(409, "The group is ordered elsewhere"),
    "keys-exhausted": Kind(409, "No keys are left"),
    "no-common-suite": Kind(409, "No common cipher suite"),
    "key-set-conflict": Kind(409, "The key set's id is taken"),
    "too-many-key-sets": Kind(409, "Too many key sets"),
    "replayed-request": Kind(409, "The request was received before"),
    "too-large": Kind(413, "The request is too large"),
    "unsupported-media-type": Kind(415, "Wrong media type"),
    "wrong-domain": Kind(421, "The identity is of another domain"),
    "rate-limited": Kind(429, "Too many requests"),
    "too-many-connections": Kind(429, "Too many connections"),
    "internal-error": Kind(500, "The service failed"),
    "peer-unreachable": Kind(502, "The other domain's service cannot be reached"),
    "sign-in-unavailable": Kind(503, "The operator's sign-in cannot be asked"),
    "busy": Kind(503, "The service is busy"),
}


class Refused(RemoteError):
    """A request that cannot be served.

    Args:
        code: one of `KINDS`.
        detail: what is wrong, in words that a person can act on, without secrets.
        members: further members of the problem report.
    """

    def __init__(self, code: str, detail: str, **members: object) -> None:
        super().__init__(detail, code=code)
        self.members = members

    @property
    def kind(self) -> Kind:
        """Status and title."""
        return KINDS[self.code]


def malformed(struct: str, field: str, reason: str) -> Refused:
    """A body that decodes but breaks a rule on one field."""
    return Refused("malformed", f"{struct}.{field}: {reason}", struct=struct, field=field)


def refusal(error: RemoteError) -> Refused:
    """The refusal that an error of the protocol's own code stands for."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, DecodeError):
        return Refused(
            "malformed", error.message, struct=error.struct, field=error.field, offset=error.offset
        )
    if error.code in KINDS:
        return Refused(error.code, error.message)
    return Refused("malformed", error.message, reason=error.code)
