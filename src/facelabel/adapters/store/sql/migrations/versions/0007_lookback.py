"""What searches rest on, so that those which stand need not be decided again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOVED = ("version", "collection", "generation", "rules", "searched_at", "portraits")


def upgrade() -> None:
    """Put what changes often beside what is large.

    What searches made before rest on is not known: the next sweep decides them again and notes it.
    """
    op.create_table(
        "standing",
        sa.Column("asset_id", sa.Text(), nullable=False),
        *_columns(nullable=False),
        sa.Column("note", sa.LargeBinary()),
        sa.Column("below", sa.Float(53)),
        sa.Column("upto", sa.Float(53)),
        sa.PrimaryKeyConstraint("asset_id", name="pk_standing"),
        sqlite_with_rowid=False,
    )
    moved = ", ".join(("asset_id", *_MOVED))
    op.execute(f"INSERT INTO standing ({moved}) SELECT {moved} FROM search ORDER BY asset_id")  # noqa: S608 - our own names
    op.create_index(
        "ix_standing_generation_searched_at_asset_id", "standing",
        ["generation", "searched_at", "asset_id"],
    )  # fmt: skip
    op.create_index(
        "ix_standing_noted", "standing", ["generation"],
        sqlite_where=sa.text("note IS NOT NULL"), postgresql_where=sa.text("note IS NOT NULL"),
    )  # fmt: skip
    op.drop_index("ix_search_generation_searched_at_asset_id", "search")
    with op.batch_alter_table("search") as search:
        for column in _MOVED:
            search.drop_column(column)
    op.add_column("template_deletion", sa.Column("first_row", _NUMBER))
    op.create_index(
        "ix_template_collection_id_person_row", "template", ["collection_id", "person", "row"]
    )


def downgrade() -> None:
    """Put it together again, as it stands."""
    op.drop_index("ix_template_collection_id_person_row", "template")
    with op.batch_alter_table("template_deletion") as deletion:
        deletion.drop_column("first_row")
    with op.batch_alter_table("search") as search:
        for column in _columns(nullable=True):
            search.add_column(column)
    for name in _MOVED:
        op.execute(
            f"UPDATE search SET {name} = (SELECT {name} FROM standing"  # noqa: S608 - our own names
            " WHERE standing.asset_id = search.asset_id)"
        )
    with op.batch_alter_table("search") as search:
        for column in _columns(nullable=False):
            search.alter_column(column.name, nullable=column.nullable)
    op.create_index(
        "ix_search_generation_searched_at_asset_id", "search",
        ["generation", "searched_at", "asset_id"],
    )  # fmt: skip
    op.drop_table("standing")


def _columns(*, nullable: bool) -> list[sa.Column[object]]:
    """What moves, of :data:`_MOVED`; nobody counted portraits before they mattered."""
    return [
        sa.Column("version", _NUMBER, nullable=nullable),
        sa.Column("collection", sa.Text(), nullable=nullable),
        sa.Column("generation", _NUMBER, nullable=nullable),
        sa.Column("rules", sa.Text(), nullable=nullable),
        sa.Column("searched_at", sa.Float(53), nullable=nullable),
        sa.Column("portraits", sa.Integer()),
    ]
