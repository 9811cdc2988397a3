"""uploads by merchants: files of codes come from the merchants' own pages, too"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_code_file_source"), "code_file")
    op.create_check_constraint(
        op.f("ck_code_file_source"), "code_file", "source IN ('console','merchant','api','command')"
    )
