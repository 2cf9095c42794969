"""Every exception that this package raises on purpose.

`LocalError` says that the caller misused us, `RemoteError` that the input from a peer is at fault.
I/O failures (`TransportError`, `StorageError`) stand outside both: nobody is at fault, and trying again may help.
Any other exception that leaves the package is a bug.

Each carries `code`, a stable kebab-case word for programs (JavaScript sees it as `MLSError.code`), and a message for people.
No message ever contains a secret.
"""


class MLSError(Exception):
    """Root of all our exceptions.

    Attributes:
        code: stable kebab-case identifier of what went wrong.
        section: the section of RFC 9420 (or of the document named) whose rule was broken; None if there is none.
    """

    default_code = "mls-error"

    def __init__(self, message: str, *, code: str | None = None, section: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.section = section


class LocalError(MLSError):
    """The caller misused the package; nothing was changed."""

    default_code = "local-error"


class UsageError(LocalError):
    """An argument is out of its stated range or of the wrong kind."""

    default_code = "bad-argument"


class StateError(LocalError):
    """The call is not possible in the present state (not a member, no such group, a commit is pending)."""

    default_code = "bad-state"


class RemoteError(MLSError):
    """Input from a peer or a service is at fault; it was refused and nothing was changed."""

    default_code = "remote-error"


class DecodeError(RemoteError):
    """Octets that are no encoding of the struct they should be (§2.1).

    Attributes:
        struct: name of the innermost struct that was being read.
        field: its field.
        offset: octets from the start of the input to where reading failed.
    """

    default_code = "malformed"

    def __init__(self, reason: str, *, struct: str, field: str, offset: int) -> None:
        super().__init__(f"{struct}.{field}: {reason} (at octet {offset})", section="2.1")
        self.reason = reason
        self.struct = struct
        self.field = field
        self.offset = offset


class ValidationError(RemoteError):
    """Well-formed input that breaks a rule of the protocol; `code` names the rule."""

    default_code = "invalid"


class VerificationError(RemoteError):
    """A signature, MAC or AEAD tag does not match. Deliberately without detail."""

    default_code = "verification-failed"


class UnsupportedError(RemoteError):
    """Valid, but asks for something that we cannot do (a cipher suite, a version, an extension)."""

    default_code = "unsupported"


class EpochError(RemoteError):
    """A message for another group or another epoch, or one that was already read."""

    default_code = "wrong-epoch"


class UnknownKeyError(RemoteError):
    """A protected frame is of a key that is not there: of another epoch, or of nobody in the group.

    Attributes:
        key_id: the KID in its header (RFC 9605 §4.3).
    """

    default_code = "unknown-key"

    def __init__(self, key_id: int) -> None:
        super().__init__(f"there is no key of the key id {key_id}")
        self.key_id = key_id


class ServiceError(RemoteError):
    """A delivery service refused a request; `code` is the stable type of its problem report (RFC 9457).

    Attributes:
        status: the HTTP status.
        retry_after: seconds for which the service wants to be left alone.
        offered_suites: with code `no-common-suite`, those for which there are keys, as the service says.
    """

    default_code = "service-error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        retry_after: int = 0,
        offered_suites: tuple[int, ...] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.retry_after = retry_after
        self.offered_suites = offered_suites


class TransportError(MLSError):
    """A service could not be reached, or the connection broke. Nothing is known of whether it acted."""

    default_code = "unreachable"


class StorageError(MLSError):
    """State could not be written or read; what was stored before is unchanged."""

    default_code = "storage-failed"
