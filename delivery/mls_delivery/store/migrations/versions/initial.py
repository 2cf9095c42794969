"""All tables of the first release. Made by `python -m dev.initial_migration`."""

import sqlalchemy as sa
from alembic import op

revision = "initial"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "challenge_key",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("challenge_key_key")),
    )
    op.create_table(
        "groups",
        sa.Column("group_id", sa.LargeBinary(), nullable=False),
        sa.Column("registrar", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("moved_to", sa.Text(), nullable=True),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.Column("group_info", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("groups_key")),
    )
    op.create_index("groups_by_registrar", "groups", ["registrar"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("identities_key")),
        sa.UniqueConstraint("identity", name=op.f("identities_unique_identity")),
    )
    op.create_table(
        "log_entries",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("appended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("log_entries_key")),
    )
    op.create_table(
        "log_hashes",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("log_hashes_key")),
    )
    op.create_table(
        "nonces",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "nonce", name=op.f("nonces_key")),
    )
    op.create_index(op.f("nonces_by_until"), "nonces", ["until"], unique=False)
    op.create_table(
        "peers",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=True),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("queued_octets", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.LargeBinary(), nullable=True),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("peers_key")),
    )
    op.create_table(
        "redeemed_challenges",
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("redeemed_challenges_key")),
    )
    op.create_index(op.f("redeemed_challenges_by_ends"), "redeemed_challenges", ["ends"], unique=False)
    op.create_table(
        "relay_held",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "recipient", name=op.f("relay_held_key")),
    )
    op.create_table(
        "relay_notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("notice", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("relay_notices_key")),
    )
    op.create_index(op.f("relay_notices_by_domain"), "relay_notices", ["domain"], unique=False)
    op.create_table(
        "relay_origins",
        sa.Column("message_id", sa.LargeBinary(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "domain", name=op.f("relay_origins_key")),
    )
    op.create_index(op.f("relay_origins_by_forgotten_at"), "relay_origins", ["forgotten_at"], unique=False)
    op.create_table(
        "service",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("service_key")),
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client_id", sa.LargeBinary(), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["identity"], ["identities.id"], name=op.f("clients_identity")),
        sa.PrimaryKeyConstraint("id", name=op.f("clients_key")),
        sa.UniqueConstraint("identity", "client_id", name=op.f("clients_unique_identity_client_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "commits",
        sa.Column("group_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("commit_hash", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("commit", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.group_id"], name=op.f("commits_group_id")),
        sa.PrimaryKeyConstraint("group_id", "epoch", name=op.f("commits_key")),
    )
    op.create_table(
        "device_events",
        sa.Column("identity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("log_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["identity"], ["identities.id"], name=op.f("device_events_identity")),
        sa.PrimaryKeyConstraint("identity", "sequence", name=op.f("device_events_key")),
    )
    op.create_table(
        "inboxes",
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.BigInteger(), nullable=False),
        sa.Column("waiting_messages", sa.BigInteger(), nullable=False),
        sa.Column("waiting_octets", sa.BigInteger(), nullable=False),
        sa.Column("opening", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["client"], ["clients.id"], name=op.f("inboxes_client"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("client", name=op.f("inboxes_key")),
    )
    op.create_table(
        "key_package_refs",
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client"], ["clients.id"], name=op.f("key_package_refs_client"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ref", "client", name=op.f("key_package_refs_key")),
    )
    op.create_index(
        op.f("key_package_refs_by_client_expires"), "key_package_refs", ["client", "expires"], unique=False
    )
    op.create_table(
        "key_sets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_init_key_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("suites", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("last_resort", sa.Boolean(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["client"], ["clients.id"], name=op.f("key_sets_client"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("key_sets_key")),
        sa.UniqueConstraint(
            "client", "user_init_key_id", name=op.f("key_sets_unique_client_user_init_key_id")
        ),
    )
    op.create_table(
        "messages",
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("relayed_by", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["client"], ["clients.id"], name=op.f("messages_client"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("client", "sequence", name=op.f("messages_key")),
    )
    op.create_table(
        "received",
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client"], ["clients.id"], name=op.f("received_client"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("client", "fingerprint", name=op.f("received_key")),
    )
    op.create_index(op.f("received_by_received_at"), "received", ["received_at"], unique=False)
    op.create_table(
        "relay_messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("message_id", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender"], ["clients.id"], name=op.f("relay_messages_sender"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("relay_messages_key")),
    )
    op.create_index(op.f("relay_messages_by_forgotten_at"), "relay_messages", ["forgotten_at"], unique=False)
    op.create_index(op.f("relay_messages_by_message_id"), "relay_messages", ["message_id"], unique=False)
    op.create_index(
        op.f("relay_messages_by_sender_fingerprint"),
        "relay_messages",
        ["sender", "fingerprint"],
        unique=False,
    )
    op.create_table(
        "sessions",
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client"], ["clients.id"], name=op.f("sessions_client"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("client", name=op.f("sessions_key")),
        sa.UniqueConstraint("token_hash", name=op.f("sessions_unique_token_hash")),
    )
    op.create_table(
        "relay_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message"], ["relay_messages.id"], name=op.f("relay_outbox_message"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("relay_outbox_key")),
    )
    op.create_index(
        op.f("relay_outbox_by_domain_waits_id"), "relay_outbox", ["domain", "waits", "id"], unique=False
    )
    op.create_index(op.f("relay_outbox_by_message"), "relay_outbox", ["message"], unique=False)
