"""Official vectors: the key schedule and the exporter (§8)."""

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls import key_schedule
from mls_federation.mls.group_context import GroupContext
from mls_federation.mls.nodes import ProtocolVersion
from tests.support.vector_files import Vector, verify_each

SECRETS = (
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


def test_key_schedule(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("key-schedule", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    init_secret = bytes.fromhex(vector["initial_init_secret"])
    assert vector["epochs"]
    for epoch, case in enumerate(vector["epochs"]):
        context = GroupContext(
            version=ProtocolVersion.mls10,
            cipher_suite=suite.suite.cipher_suite,
            group_id=bytes.fromhex(vector["group_id"]),
            epoch=epoch,
            tree_hash=bytes.fromhex(case["tree_hash"]),
            confirmed_transcript_hash=bytes.fromhex(case["confirmed_transcript_hash"]),
            extensions=(),
        ).encode()
        assert context.hex() == case["group_context"]

        psk_secret = bytes.fromhex(case["psk_secret"])
        joiner = key_schedule.joiner_secret(suite, init_secret, bytes.fromhex(case["commit_secret"]), context)
        assert joiner.hex() == case["joiner_secret"]
        assert key_schedule.welcome_secret(suite, joiner, psk_secret).hex() == case["welcome_secret"]
        secrets = key_schedule.epoch_secrets(suite, joiner, psk_secret, context)
        assert {name: getattr(secrets, name).hex() for name in SECRETS} == {
            name: case[name] for name in SECRETS
        }

        external = key_schedule.external_key_pair(suite, secrets.external_secret)
        assert external.public_key.hex() == case["external_pub"]
        exporter = case["exporter"]
        exported = key_schedule.export(
            suite,
            secrets.exporter_secret,
            exporter["label"],
            bytes.fromhex(exporter["context"]),
            exporter["length"],
        )
        assert exported.hex() == exporter["secret"]
        init_secret = secrets.init_secret
