"""The key schedule: from one epoch's secrets to the next's (§8).

               init_secret[n-1]
                     |
commit_secret --> Extract
                     |
              "joiner", GroupContext[n] --> joiner_secret
                     |
   psk_secret --> Extract --> "welcome" --> welcome_secret
                     |
              "epoch", GroupContext[n] --> epoch_secret
                     |
   +-----------------+----- "sender data", "encryption", "exporter", "external", "confirm",
   |                        "membership", "resumption", "authentication"
 "init" --> init_secret[n]
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from ..crypto import Crypto, KeyPair, hpke
from ..errors import VerificationError

_EXTERNAL_INIT = b"MLS 1.0 external init secret"


@dataclass(frozen=True)
class EpochSecrets:
    """All secrets of an epoch but `epoch_secret`, which is forgotten once they are derived (§9.2).

    `epoch_authenticator` alone may be shown: members compare it to see that they agree (§8.7).
    """

    sender_data_secret: bytes = field(repr=False)
    encryption_secret: bytes = field(repr=False)
    exporter_secret: bytes = field(repr=False)
    external_secret: bytes = field(repr=False)
    confirmation_key: bytes = field(repr=False)
    membership_key: bytes = field(repr=False)
    resumption_psk: bytes = field(repr=False)
    epoch_authenticator: bytes
    init_secret: bytes = field(repr=False)


def joiner_secret(crypto: Crypto, init_secret: bytes, commit_secret: bytes, group_context: bytes) -> bytes:
    """What a Welcome gives to new members. Secret.

    Args:
        init_secret: of the epoch before.
        group_context: of the new epoch, encoded.
    """
    extracted = crypto.extract(init_secret, commit_secret)
    return crypto.expand_with_label(extracted, "joiner", group_context, crypto.Nh)


def welcome_secret(crypto: Crypto, joiner: bytes, psk_secret: bytes) -> bytes:
    """The secret that a Welcome's GroupInfo is sealed with. Secret."""
    return crypto.derive_secret(crypto.extract(joiner, psk_secret), "welcome")


def epoch_secrets(crypto: Crypto, joiner: bytes, psk_secret: bytes, group_context: bytes) -> EpochSecrets:
    """The secrets of the epoch that `group_context`, encoded, describes. Secret."""
    member_secret = crypto.extract(joiner, psk_secret)
    return secrets_from(crypto, crypto.expand_with_label(member_secret, "epoch", group_context, crypto.Nh))


def secrets_from(crypto: Crypto, epoch_secret: bytes) -> EpochSecrets:
    """The secrets that an `epoch_secret` gives; a group's creator begins with a random one (§11). Secret."""

    def derive(label: str) -> bytes:
        return crypto.derive_secret(epoch_secret, label)

    return EpochSecrets(
        sender_data_secret=derive("sender data"),
        encryption_secret=derive("encryption"),
        exporter_secret=derive("exporter"),
        external_secret=derive("external"),
        confirmation_key=derive("confirm"),
        membership_key=derive("membership"),
        resumption_psk=derive("resumption"),
        epoch_authenticator=derive("authentication"),
        init_secret=derive("init"),
    )


def external_key_pair(crypto: Crypto, external_secret: bytes) -> KeyPair:
    """The key pair to which joiners by external commit encapsulate (§8.3)."""
    return crypto.derive_key_pair(external_secret)


def sent_init_secret(crypto: Crypto, external_pub: bytes) -> tuple[bytes, bytes]:
    """A joiner's `kem_output` and init secret for an external commit (§8.3). Secret.

    Raises:
        ValidationError: code `invalid-public-key`.
    """
    kem_output, context = hpke.setup_base_sender(crypto.provider, crypto.suite, external_pub, b"")
    return kem_output, context.export(_EXTERNAL_INIT, crypto.Nh)


def received_init_secret(crypto: Crypto, external_keys: KeyPair, kem_output: bytes) -> bytes:
    """The init secret that a joiner sent (§8.3). Secret.

    Raises:
        ValidationError: code `invalid-public-key`: `kem_output` is no public key.
    """
    context = hpke.setup_base_receiver(crypto.provider, crypto.suite, kem_output, external_keys, b"")
    return context.export(_EXTERNAL_INIT, crypto.Nh)


def export(crypto: Crypto, exporter_secret: bytes, label: str | bytes, context: bytes, length: int) -> bytes:
    """A secret for the application (MLS-Exporter, §8.5). Secret.

    Args:
        context: any octets; hashed before use.
        length: octets wanted.

    Raises:
        UsageError: `length` is more than the KDF can give.
    """
    secret = crypto.derive_secret(exporter_secret, label)
    return crypto.expand_with_label(secret, "exported", crypto.hash(context), length)


def confirmation_tag(crypto: Crypto, confirmation_key: bytes, confirmed_transcript_hash: bytes) -> bytes:
    """Proves that the sender of a commit reached the same epoch (§6.1)."""
    return crypto.mac(confirmation_key, confirmed_transcript_hash)


def verify_confirmation_tag(
    crypto: Crypto, confirmation_key: bytes, confirmed_transcript_hash: bytes, tag: bytes | None
) -> None:
    """Check a confirmation tag.

    Raises:
        VerificationError: code `bad-confirmation-tag`.
    """
    expected = confirmation_tag(crypto, confirmation_key, confirmed_transcript_hash)
    if tag is None or not hmac.compare_digest(expected, tag):
        raise VerificationError(
            "the confirmation tag does not match", code="bad-confirmation-tag", section="6.1"
        )
