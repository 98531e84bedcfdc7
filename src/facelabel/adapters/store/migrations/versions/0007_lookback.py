"""What searches rest on, so that those which stand need not be decided again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Of searches made before it is not known: the next sweep decides them again and notes it.

    Columns are added where the table stands, which takes no longer for many rows.
    """
    op.add_column("search", sa.Column("note", sa.LargeBinary()))
    op.add_column("search", sa.Column("below", sa.Float(53)))
    op.add_column("search", sa.Column("upto", sa.Float(53)))
    op.create_index(
        "ix_search_noted", "search", ["generation", "below", "upto"],
        sqlite_where=sa.text("note IS NOT NULL"), postgresql_where=sa.text("note IS NOT NULL"),
    )  # fmt: skip
    op.add_column("template_deletion", sa.Column("first_row", _NUMBER))
    op.create_index(
        "ix_template_collection_id_person_row", "template", ["collection_id", "person", "row"]
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_index("ix_template_collection_id_person_row", "template")
    op.drop_index("ix_search_noted", "search")
    with op.batch_alter_table("template_deletion") as deletion:
        deletion.drop_column("first_row")
    with op.batch_alter_table("search") as search:
        for column in ("upto", "below", "note"):
            search.drop_column(column)
