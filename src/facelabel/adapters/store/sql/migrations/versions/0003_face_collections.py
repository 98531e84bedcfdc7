"""Face collections as clients of Rekognition see them: external ids, users, tags, tokens."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PATH = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SECONDS = sa.Float(53)


def upgrade() -> None:
    """Add columns to the tables as they are: made anew, SQLite's would forget their numbers."""
    _widen_collection()
    op.add_column("template", sa.Column("external_image_id", sa.Text()))
    op.add_column("template", sa.Column("user_id", _PATH))
    op.create_index("ix_template_collection_id_user_id", "template", ["collection_id", "user_id"])
    _create_face_user()
    _create_client_token()


def downgrade() -> None:
    """Drop it all, the users' vectors included; the faces stay."""
    op.drop_table("client_token")
    op.drop_table("face_user")
    hidden = "(SELECT id FROM collection WHERE users_of IS NOT NULL)"
    for table in ("template", "template_deletion"):
        op.execute(f"DELETE FROM {table} WHERE collection_id IN {hidden}")  # noqa: S608 - constants
    op.execute("DELETE FROM collection WHERE users_of IS NOT NULL")
    op.drop_index("ix_template_collection_id_user_id", "template")
    op.drop_index("ix_collection_users_of", "collection")
    for table, columns in {
        "template": ("user_id", "external_image_id"),
        "collection": ("users_of", "tags", "created_at"),
    }.items():
        for column in columns:
            op.drop_column(table, column)
    _sort_names('"default"')


def _widen_collection() -> None:
    for column in (
        sa.Column("created_at", _SECONDS, nullable=False, server_default="0"),
        sa.Column("tags", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("users_of", _NUMBER),
    ):
        op.add_column("collection", column)
    # Nobody knows when they were made: not later than now.
    collection = sa.table("collection", sa.column("created_at"))
    op.execute(sa.update(collection).values(created_at=time.time()))
    op.create_index("ix_collection_users_of", "collection", ["users_of"], unique=True)
    _sort_names('"C"')


def _sort_names(collation: str) -> None:
    """Compare the names of collections so; SQLite compares byte by byte anyway."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE collection ALTER COLUMN name TYPE text COLLATE {collation}")


def _create_face_user() -> None:
    op.create_table(
        "face_user",
        sa.Column("collection_id", _NUMBER, nullable=False),
        sa.Column("user_id", _PATH, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_face_user_collection_id_collection"
        ),
        sa.PrimaryKeyConstraint("collection_id", "user_id", name="pk_face_user"),
    )


def _create_client_token() -> None:
    op.create_table(
        "client_token",
        sa.Column("collection_id", _NUMBER, nullable=False),
        sa.Column("token", _PATH, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", _SECONDS, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_client_token_collection_id_collection"
        ),
        sa.PrimaryKeyConstraint("collection_id", "token", name="pk_client_token"),
    )
    op.create_index(
        "ix_client_token_collection_id_created_at", "client_token", ["collection_id", "created_at"]
    )
