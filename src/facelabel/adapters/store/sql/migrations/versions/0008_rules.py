"""By what names are decided, whatever a process has in its settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Where pictures were searched before: by what most of them were decided by."""
    with op.batch_alter_table("gallery") as gallery:
        gallery.add_column(sa.Column("rules", sa.Text()))
        gallery.add_column(sa.Column("configured", sa.Text()))
    op.execute(
        "UPDATE gallery SET rules = (SELECT rules FROM standing"
        " WHERE rules <> '' AND rules NOT LIKE ';%'"
        " GROUP BY rules ORDER BY count(*) DESC, rules LIMIT 1)"
    )
    op.execute("UPDATE gallery SET configured = rules")


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("gallery") as gallery:
        gallery.drop_column("rules")
        gallery.drop_column("configured")
