"""By what people are learnt, whatever a process has in its settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody noted it until now: the settings of whoever comes first say it."""
    with op.batch_alter_table("gallery") as gallery:
        gallery.add_column(sa.Column("learning", sa.Text()))
        gallery.add_column(sa.Column("learning_configured", sa.Text()))


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("gallery") as gallery:
        gallery.drop_column("learning")
        gallery.drop_column("learning_configured")
