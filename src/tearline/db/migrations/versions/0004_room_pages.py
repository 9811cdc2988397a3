"""room pages"""

from alembic import op
import sqlalchemy as sa

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "room_page",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_room_page_room_id")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_room_page")),
    )
    op.create_index(op.f("ix_room_page_room_id"), "room_page", ["room_id"], unique=False)
