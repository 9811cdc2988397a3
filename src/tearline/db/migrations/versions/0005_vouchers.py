"""vouchers"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_campaign_kind"), "campaign", type_="check")
    op.create_check_constraint(op.f("ck_campaign_kind"), "campaign", "kind IN ('password','sale')")
    op.create_table(
        "code_file_row",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('duplicate','held','invalid')", name=op.f("ck_code_file_row_outcome")
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name=op.f("pk_code_file_row")),
    )
    op.create_index(
        "ix_code_file_row_outcome", "code_file_row", ["file_id", "outcome", "number"], unique=False
    )
    op.create_table(
        "order_lookup",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_order_lookup")),
        sa.UniqueConstraint("number", name=op.f("uq_order_lookup_number")),
    )
    op.create_table(
        "partner_code",
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="available", nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("coupon_id", sa.Uuid(), nullable=True),
        sa.Column("hand_back_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(state = 'sold') <= (coupon_id IS NOT NULL)", name=op.f("ck_partner_code_coupon")
        ),
        sa.CheckConstraint(
            "state IN ('available','reserved','sold','withdrawn','void')", name=op.f("ck_partner_code_state")
        ),
        sa.PrimaryKeyConstraint("pool_id", "position", name=op.f("pk_partner_code")),
        sa.UniqueConstraint("code", "merchant_id", name=op.f("uq_partner_code_code_merchant_id")),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("charge", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refund_reference", sa.Text(), nullable=True),
        sa.Column("refund_tries", sa.BigInteger(), nullable=False),
        sa.Column("refund_after", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('begun','paid','failed','expired','refund_due','refunded')",
            name=op.f("ck_payment_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("provider", "reference", name=op.f("uq_payment_provider_reference")),
    )
    op.create_index(
        "ix_payment_begun",
        "payment",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'begun'"),
    )
    op.create_index(op.f("ix_payment_order_id"), "payment", ["order_id"], unique=False)
    op.create_index(
        "ix_payment_refund_due",
        "payment",
        ["refund_after"],
        unique=False,
        postgresql_where=sa.text("state = 'refund_due'"),
    )
    op.create_table(
        "payment_event",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_payment_event")),
    )
    op.create_table(
        "purchase",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("bought", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bought >= 0", name=op.f("ck_purchase_bought")),
        sa.PrimaryKeyConstraint("member_id", "item_id", name=op.f("pk_purchase")),
    )
    op.create_table(
        "returned_code",
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "position", name=op.f("pk_returned_code")),
    )
    op.create_table(
        "sale_hour",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("vouchers", sa.BigInteger(), nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "hour", name=op.f("pk_sale_hour")),
    )
    op.create_index("ix_sale_hour_campaign_id", "sale_hour", ["campaign_id", "hour"], unique=False)
    op.create_table(
        "voucher",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("use_reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("use_place", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("member_id", "coupon_id", name=op.f("pk_voucher")),
    )
    op.create_table(
        "voucher_order",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=True),
        sa.Column("pool_id", sa.Uuid(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("face_value", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("positions", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("reserved_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "release_reason IN ('expired','failed','cancelled')", name=op.f("ck_voucher_order_release_reason")
        ),
        sa.CheckConstraint(
            "state IN ('reserved','paid','released','refund_due','refunded')",
            name=op.f("ck_voucher_order_state"),
        ),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_voucher_order")),
        sa.UniqueConstraint(
            "member_id", "idempotency_key", name=op.f("uq_voucher_order_member_id_idempotency_key")
        ),
    )
    op.create_index("ix_voucher_order_campaign", "voucher_order", ["campaign_id", "created_at"], unique=False)
    op.create_index(
        "ix_voucher_order_merchant",
        "voucher_order",
        ["merchant_id", "paid_at"],
        unique=False,
        postgresql_where=sa.text("state = 'paid'"),
    )
    op.create_index(
        "ix_voucher_order_refund_due",
        "voucher_order",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'refund_due'"),
    )
    op.create_index(
        "ix_voucher_order_reserved",
        "voucher_order",
        ["reserved_until"],
        unique=False,
        postgresql_where=sa.text("state = 'reserved'"),
    )
    op.create_table(
        "code_pool",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("symbology", sa.Text(), server_default="text", nullable=False),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("low_stock", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("available", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sold", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("void", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "available >= 0 AND reserved >= 0 AND sold >= 0 AND withdrawn >= 0 AND void >= 0",
            name=op.f("ck_code_pool_counts"),
        ),
        sa.CheckConstraint("next_position BETWEEN 0 AND size", name=op.f("ck_code_pool_next_position")),
        sa.CheckConstraint(
            "size = available + reserved + sold + withdrawn + void", name=op.f("ck_code_pool_conservation")
        ),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_code_pool_merchant_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_code_pool_offer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_pool")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_code_pool_offer_id")),
    )
    op.create_index(op.f("ix_code_pool_merchant_id"), "code_pool", ["merchant_id"], unique=False)
    op.create_table(
        "sale_item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("face_value", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("limit_per_member", sa.BigInteger(), nullable=True),
        sa.Column("limit_per_order", sa.BigInteger(), nullable=False),
        sa.Column("commission_basis_points", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sold", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "quantity IS NULL OR reserved + sold <= quantity", name=op.f("ck_sale_item_quantity")
        ),
        sa.CheckConstraint("reserved >= 0 AND sold >= 0", name=op.f("ck_sale_item_counts")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_sale_item_campaign_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_sale_item_offer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_item")),
        sa.UniqueConstraint("campaign_id", "offer_id", name=op.f("uq_sale_item_campaign_id_offer_id")),
        sa.UniqueConstraint("campaign_id", "position", name=op.f("uq_sale_item_campaign_id_position")),
    )
    op.create_index(op.f("ix_sale_item_offer_id"), "sale_item", ["offer_id"], unique=False)
    op.create_table(
        "code_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="uploading", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("column_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_heading", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("added", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("invalid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("source IN ('console','api','command')", name=op.f("ck_code_file_source")),
        sa.CheckConstraint(
            "state <> 'imported' OR rows = added + duplicate + held + invalid",
            name=op.f("ck_code_file_outcomes"),
        ),
        sa.CheckConstraint(
            "state IN ('uploading','uploaded','importing','imported','failed','discarded')",
            name=op.f("ck_code_file_state"),
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["code_pool.id"], name=op.f("fk_code_file_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_file")),
    )
    op.create_index(op.f("ix_code_file_pool_id"), "code_file", ["pool_id"], unique=False)
    op.create_table(
        "hand_back",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("codes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["code_pool.id"], name=op.f("fk_hand_back_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_back")),
    )
    op.create_index(op.f("ix_hand_back_pool_id"), "hand_back", ["pool_id"], unique=False)
    op.create_table(
        "code_file_part",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["code_file.id"], name=op.f("fk_code_file_part_file_id")),
        sa.PrimaryKeyConstraint("file_id", "number", name=op.f("pk_code_file_part")),
    )
    op.add_column("coupon", sa.Column("order_id", sa.Uuid(), nullable=True))
