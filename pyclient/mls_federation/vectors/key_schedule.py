"""Vectors of the key schedule and the exporter (§8)."""

from __future__ import annotations

from ..crypto import CipherSuite, Crypto, CryptoProvider, crypto
from ..mls import key_schedule
from ..mls.group_context import GroupContext
from ..mls.nodes import ProtocolVersion
from .entry import Entry, Family, Vector, VectorFormatError

_EPOCH_SECRETS = (
    "init_secret",
    "sender_data_secret",
    "encryption_secret",
    "exporter_secret",
    "epoch_authenticator",
    "external_secret",
    "confirmation_key",
    "membership_key",
    "resumption_psk",
)
_LABEL = "vectors"


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Every secret of every epoch, each epoch's `init_secret` going into the next."""
    suite, group_id = entry.crypto(provider), entry.octets("group_id")
    init_secret = entry.octets("initial_init_secret")
    epochs = entry.parts("epochs")
    if not epochs:
        raise VectorFormatError("epochs is empty")
    for epoch, case in enumerate(epochs):
        context = _context(
            suite, group_id, epoch, case.octets("tree_hash"), case.octets("confirmed_transcript_hash")
        )
        case.check("group_context", context)
        computed, next_init_secret = _secrets(
            suite, init_secret, case.octets("commit_secret"), case.octets("psk_secret"), context
        )
        for name, value in computed.items():
            case.check(name, value)
        exporter = case.part("exporter")
        exported = key_schedule.export(
            suite,
            computed["exporter_secret"],
            exporter.text("label"),
            exporter.octets("context"),
            exporter.number("length"),
        )
        exporter.check("secret", exported)
        init_secret = next_init_secret


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, epochs: int) -> Vector:
    """An entry of some epochs with random inputs."""
    suite = crypto(provider, cipher_suite)
    group_id, initial = suite.random(16), suite.random(suite.Nh)
    init_secret, cases = initial, []
    for epoch in range(epochs):
        chosen = {
            name: suite.random(suite.Nh)
            for name in ("tree_hash", "commit_secret", "psk_secret", "confirmed_transcript_hash")
        }
        context = _context(suite, group_id, epoch, chosen["tree_hash"], chosen["confirmed_transcript_hash"])
        computed, init_secret = _secrets(
            suite, init_secret, chosen["commit_secret"], chosen["psk_secret"], context
        )
        export_context = suite.random(suite.Nh)
        exported = key_schedule.export(suite, computed["exporter_secret"], _LABEL, export_context, suite.Nh)
        octets = {**chosen, "group_context": context, **computed}
        cases.append(
            {
                **{name: value.hex() for name, value in octets.items()},
                "exporter": {
                    "label": _LABEL,
                    "context": export_context.hex(),
                    "length": suite.Nh,
                    "secret": exported.hex(),
                },
            }
        )
    return {
        "cipher_suite": cipher_suite,
        "group_id": group_id.hex(),
        "initial_init_secret": initial.hex(),
        "epochs": cases,
    }


def _context(
    suite: Crypto, group_id: bytes, epoch: int, tree_hash: bytes, confirmed_transcript_hash: bytes
) -> bytes:
    return GroupContext(
        version=ProtocolVersion.mls10,
        cipher_suite=suite.suite.cipher_suite,
        group_id=group_id,
        epoch=epoch,
        tree_hash=tree_hash,
        confirmed_transcript_hash=confirmed_transcript_hash,
        extensions=(),
    ).encode()


def _secrets(
    suite: Crypto, init_secret: bytes, commit_secret: bytes, psk_secret: bytes, context: bytes
) -> tuple[dict[str, bytes], bytes]:
    """What the key schedule gives in one epoch, as the vectors name it, and the next epoch's init secret."""
    joiner = key_schedule.joiner_secret(suite, init_secret, commit_secret, context)
    secrets = key_schedule.epoch_secrets(suite, joiner, psk_secret, context)
    external = key_schedule.external_key_pair(suite, secrets.external_secret)
    computed = {
        "joiner_secret": joiner,
        "welcome_secret": key_schedule.welcome_secret(suite, joiner, psk_secret),
        **{name: getattr(secrets, name) for name in _EPOCH_SECRETS},
        "external_pub": external.public_key,
    }
    return computed, secrets.init_secret


FAMILY = Family(
    name="key-schedule",
    keys=frozenset({"cipher_suite", "group_id", "initial_init_secret", "epochs"}),
    verify=verify,
    generate=generate,
    parameters=(2,),
)
