"""Whether more is asked of a face where many are known, and how many there were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """In a gallery that was begun before, the threshold alone goes on to count."""
    with op.batch_alter_table("gallery") as gallery:
        gallery.add_column(
            sa.Column("weighs_strangers", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("search") as search:
        search.add_column(sa.Column("portraits", sa.Integer()))
    op.create_index(
        "ix_template_nameless", "template", ["collection_id"],
        sqlite_where=sa.text("person = ''"), postgresql_where=sa.text("person = ''"),
    )  # fmt: skip


def downgrade() -> None:
    """Forget it."""
    op.drop_index("ix_template_nameless", "template")
    with op.batch_alter_table("search") as search:
        search.drop_column("portraits")
    with op.batch_alter_table("gallery") as gallery:
        gallery.drop_column("weighs_strangers")
