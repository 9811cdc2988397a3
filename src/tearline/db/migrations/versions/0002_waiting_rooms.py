"""waiting rooms"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "room",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "messages",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("gathers_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_active", sa.BigInteger(), nullable=False),
        sa.Column("per_minute", sa.BigInteger(), nullable=True),
        sa.Column("session_seconds", sa.BigInteger(), server_default="1800", nullable=False),
        sa.Column("grace_seconds", sa.BigInteger(), server_default="120", nullable=False),
        sa.Column("queues_when_full", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("late_may_enter", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("claim_ends_session", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("proof_of_work", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("joins_per_network", sa.BigInteger(), nullable=True),
        sa.Column("sites", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("max_active >= 0", name=op.f("ck_room_max_active")),
        sa.CheckConstraint("session_seconds > 0 AND grace_seconds > 0", name=op.f("ck_room_times")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room")),
        sa.UniqueConstraint("code", name=op.f("uq_room_code")),
    )
    op.create_table(
        "room_solution",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_room_solution")),
    )
    op.create_index(op.f("ix_room_solution_expires_at"), "room_solution", ["expires_at"], unique=False)
    op.create_table(
        "room_bypass",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("uses_left", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("uses_left >= 0", name=op.f("ck_room_bypass_uses_left")),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_bypass_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_bypass")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_room_bypass_token_hash")),
    )
    op.create_index(op.f("ix_room_bypass_room_id"), "room_bypass", ["room_id"], unique=False)
    op.create_table(
        "room_call",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("came", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_call_room_id")),
        sa.PrimaryKeyConstraint("room_id", "round", "first", name=op.f("pk_room_call")),
    )
    op.create_index("ix_room_call_called_at", "room_call", ["room_id", "round", "called_at"], unique=False)
    op.create_table(
        "room_campaign",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_room_campaign_campaign_id")),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_campaign_room_id")),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_room_campaign")),
    )
    op.create_index(op.f("ix_room_campaign_room_id"), "room_campaign", ["room_id"], unique=False)
    op.create_table(
        "room_entry",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("exchange_key", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("came_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_entry_room_id")),
        sa.PrimaryKeyConstraint("room_id", "round", "place", name=op.f("pk_room_entry")),
    )
    op.create_index(
        "ix_room_entry_door",
        "room_entry",
        ["room_id", "round", "came_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND entered_at IS NULL"),
    )
    op.create_index(
        "ix_room_entry_ended",
        "room_entry",
        ["room_id", "ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "ix_room_entry_expiry",
        "room_entry",
        ["room_id", "round", "expires_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND entered_at IS NOT NULL"),
    )
    op.create_table(
        "room_sample",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inside", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("called", sa.BigInteger(), nullable=False),
        sa.Column("entered", sa.BigInteger(), nullable=False),
        sa.Column("no_shows", sa.BigInteger(), nullable=False),
        sa.Column("max_active", sa.BigInteger(), nullable=False),
        sa.Column("stock_left", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_sample_room_id")),
        sa.PrimaryKeyConstraint("room_id", "at", name=op.f("pk_room_sample")),
    )
    op.create_table(
        "room_state",
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default="closed", nullable=False),
        sa.Column("is_paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("round", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=True),
        sa.Column("gathered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("joined", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("called", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lapsed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("inside", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("at_door", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("entered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("no_shows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("allowance", sa.Double(), server_default="0", nullable=False),
        sa.Column(
            "response",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("stock_left", sa.BigInteger(), nullable=True),
        sa.Column("stock_taken", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claimed_before", sa.BigInteger(), nullable=True),
        sa.Column("slow_per_minute", sa.Double(), nullable=True),
        sa.Column("fast_per_minute", sa.Double(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ticked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("controller", sa.Uuid(), nullable=True),
        sa.Column("controller_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('closed','gathering','open','queueing','ended')", name=op.f("ck_room_state_state")
        ),
        sa.CheckConstraint("inside >= 0 AND at_door >= 0", name=op.f("ck_room_state_counts")),
        sa.CheckConstraint("lapsed <= called AND called <= joined", name=op.f("ck_room_state_called")),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_state_room_id")),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_room_state")),
    )
