"""Which originals are to be deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for what steps leave without a user."""
    op.create_table(
        "released",
        sa.Column("etag", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("etag", name="pk_released"),
    )


def downgrade() -> None:
    """Forget it; a sweep finds the files."""
    op.drop_table("released")
