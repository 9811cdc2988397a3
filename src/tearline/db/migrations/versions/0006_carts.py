"""carts: the catalogue, orders, refunds and settlement"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_voucher_order_created_at", "voucher_order", ["created_at", "id"], unique=False)
    op.create_table(
        "brand",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_brand")),
    )
    op.create_table(
        "cart_order",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=True),
        sa.Column("merchant_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("list_total", sa.BigInteger(), nullable=False),
        sa.Column("discount", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("priced", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("remaining", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("collected_by", sa.Text(), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(state = 'paid') = (paid_at IS NOT NULL AND collected_by IS NOT NULL)",
            name=op.f("ck_cart_order_paid"),
        ),
        sa.CheckConstraint(
            "collected_by IN ('platform','merchant')", name=op.f("ck_cart_order_collected_by")
        ),
        sa.CheckConstraint("state IN ('open','paid','cancelled')", name=op.f("ck_cart_order_state")),
        sa.CheckConstraint("refunded BETWEEN 0 AND total", name=op.f("ck_cart_order_refunded")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_cart_order")),
        sa.UniqueConstraint(
            "member_id", "idempotency_key", name=op.f("uq_cart_order_member_id_idempotency_key")
        ),
    )
    op.create_index("ix_cart_order_created_at", "cart_order", ["created_at", "id"], unique=False)
    op.create_index("ix_cart_order_id", "cart_order", ["id"], unique=False)
    op.create_index("ix_cart_order_merchant", "cart_order", ["merchant_id", "id"], unique=False)
    op.create_index(
        "ix_cart_order_unpaid",
        "cart_order",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state <> 'paid'"),
    )
    op.create_index("ix_cart_order_reference", "cart_order", ["reference", "id"], unique=False)
    op.create_index(
        "ix_cart_order_merchant_ids", "cart_order", ["merchant_ids"], unique=False, postgresql_using="gin"
    )
    op.create_table(
        "cart_order_coupon",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('returned','reissued','forfeited')", name=op.f("ck_cart_order_coupon_outcome")
        ),
        sa.PrimaryKeyConstraint("member_id", "order_id", "coupon_id", name=op.f("pk_cart_order_coupon")),
    )
    op.create_index(
        "ix_cart_order_coupon_coupon", "cart_order_coupon", ["holder_id", "coupon_id"], unique=False
    )
    op.create_table(
        "cart_order_lookup",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_cart_order_lookup")),
    )
    op.create_table(
        "cart_refund",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("returned", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "order_id", "id", name=op.f("pk_cart_refund")),
        sa.UniqueConstraint(
            "member_id",
            "order_id",
            "idempotency_key",
            name=op.f("uq_cart_refund_member_id_order_id_idempotency_key"),
        ),
    )
    op.create_table(
        "category",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("parent_key", sa.Text(), nullable=True),
        sa.Column("path", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["parent_key"], ["category.key"], name=op.f("fk_category_parent_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_category")),
    )
    op.create_index(op.f("ix_category_parent_key"), "category", ["parent_key"], unique=False)
    op.create_table(
        "settlement_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("collected_by", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("line_key", sa.Text(), nullable=True),
        sa.Column("offer_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("by_name", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('payment','refund','adjustment')", name=op.f("ck_settlement_entry_kind")
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_settlement_entry_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_entry")),
    )
    op.create_index(
        "ix_settlement_entry_merchant", "settlement_entry", ["merchant_id", "occurred_at"], unique=False
    )
    op.create_index("ix_settlement_entry_list", "settlement_entry", ["merchant_id", "id"], unique=False)
    op.create_index(
        "ix_settlement_entry_adjustment",
        "settlement_entry",
        ["merchant_id", "id"],
        unique=False,
        postgresql_where=sa.text("kind = 'adjustment'"),
    )
    op.create_index("ix_settlement_entry_order", "settlement_entry", ["order_id"], unique=False)
    op.create_index(op.f("ix_settlement_entry_posting_id"), "settlement_entry", ["posting_id"], unique=False)
    op.create_table(
        "product",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tax_basis_points", sa.BigInteger(), nullable=False),
        sa.Column("category_key", sa.Text(), nullable=True),
        sa.Column("brand_key", sa.Text(), nullable=True),
        sa.Column("is_discountable", sa.Boolean(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active','withdrawn')", name=op.f("ck_product_state")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_product_price")),
        sa.CheckConstraint("tax_basis_points BETWEEN 0 AND 10000", name=op.f("ck_product_tax")),
        sa.ForeignKeyConstraint(["brand_key"], ["brand.key"], name=op.f("fk_product_brand_key")),
        sa.ForeignKeyConstraint(["category_key"], ["category.key"], name=op.f("fk_product_category_key")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_product_merchant_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_product")),
    )
    op.create_index(op.f("ix_product_brand_key"), "product", ["brand_key"], unique=False)
    op.create_index(op.f("ix_product_category_key"), "product", ["category_key"], unique=False)
    op.create_index("ix_product_merchant_id", "product", ["merchant_id", "key"], unique=False)
    op.create_index("ix_product_name", "product", [sa.text("(names ->> 'en')"), "key"], unique=False)
    op.add_column("coupon_hold", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.alter_column("coupon_hold", "merchant_id", existing_type=sa.UUID(), nullable=True)
    op.alter_column("coupon_hold", "store_id", existing_type=sa.UUID(), nullable=True)
    op.add_column(
        "offer", sa.Column("automatic", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_offer_automatic",
        "offer",
        ["merchant_id"],
        unique=False,
        postgresql_where=sa.text("automatic AND state = 'active'"),
    )
    op.add_column("redemption", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.alter_column("redemption", "merchant_id", existing_type=sa.UUID(), nullable=True)
    op.alter_column("redemption", "store_id", existing_type=sa.UUID(), nullable=True)
    op.alter_column("reversal", "merchant_id", existing_type=sa.UUID(), nullable=True)
    op.drop_constraint(op.f("ck_redemption_way"), "redemption")
    op.drop_constraint(op.f("ck_redemption_verified"), "redemption")
    op.create_check_constraint(
        op.f("ck_redemption_way"), "redemption", "way IN ('cashier','till','checkout')"
    )
    op.create_check_constraint(
        op.f("ck_redemption_verified"), "redemption", "verified IN ('rotating','code','order')"
    )
    op.create_check_constraint(
        op.f("ck_redemption_order"), "redemption", "(way = 'checkout') = (order_id IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("ck_redemption_counter"),
        "redemption",
        "way = 'checkout' OR (merchant_id IS NOT NULL AND store_id IS NOT NULL)",
    )
    op.create_check_constraint(
        op.f("ck_offer_automatic"), "offer", "NOT automatic OR (issuer = 'merchant' AND issued = 0)"
    )
    # What was good everywhere stays good everywhere; who had chosen one way only keeps to it.
    op.execute(
        "UPDATE offer SET redeem_by = array_append(redeem_by, 'checkout')"
        " WHERE redeem_by @> ARRAY['cashier', 'till'] AND NOT 'checkout' = ANY (redeem_by)"
    )
