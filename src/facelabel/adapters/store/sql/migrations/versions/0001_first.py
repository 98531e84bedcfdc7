"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PATH = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SECONDS = sa.Float(53)


def upgrade() -> None:
    """Create everything."""
    _create_job()
    _create_gallery()
    _create_enrolment()
    _create_search()
    _create_template()
    _create_kept()
    _create_asset()


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "asset_tag",
        "asset",
        "kept",
        "template_deletion",
        "template",
        "collection",
        "name_mark",
        "search",
        "leftover",
        "intention",
        "enrolment",
        "gallery",
        "job",
    ):
        op.drop_table(table)


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("run_at", _SECONDS, nullable=False),
        sa.Column("token", sa.String(32)),
        sa.Column("again_at", _SECONDS),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("enqueued_at", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("kind", "key", name="uq_job_kind_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_state_run_at_id", "job", ["state", "run_at", "id"])


def _create_gallery() -> None:
    gallery = op.create_table(
        "gallery",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("collection", sa.Text()),
        sa.Column("generation", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gallery"),
    )
    op.bulk_insert(gallery, [{"id": 1, "collection": None, "generation": 0}])


def _create_enrolment() -> None:
    op.create_table(
        "enrolment",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("asset_id", _PATH, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("version", _NUMBER, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("face_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "asset_id", name="pk_enrolment"),
    )
    op.create_index("ix_enrolment_collection_digest", "enrolment", ["collection", "digest"])
    op.create_index("ix_enrolment_collection_face_id", "enrolment", ["collection", "face_id"])
    op.create_table(
        "intention",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "asset_id", name="pk_intention"),
    )
    op.create_table(
        "leftover",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("face_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "face_id", name="pk_leftover"),
    )


def _create_search() -> None:
    op.create_table(
        "search",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("version", _NUMBER, nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("generation", _NUMBER, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("faces", sa.JSON(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("searched_at", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name="pk_search"),
    )
    op.create_index(
        "ix_search_generation_searched_at_asset_id",
        "search",
        ["generation", "searched_at", "asset_id"],
    )
    op.create_table(
        "name_mark",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "name", name="pk_name_mark"),
    )


def _create_template() -> None:
    op.create_table(
        "collection",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "template",
        sa.Column("row", _NUMBER, nullable=False),
        sa.Column("collection_id", _NUMBER, nullable=False),
        sa.Column("face_id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text()),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("face", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_template"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_template_collection_id_collection"
        ),
        sa.UniqueConstraint("collection_id", "face_id", name="uq_template_collection_id_face_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_template_collection_id_row", "template", ["collection_id", "row"])
    op.create_table(
        "template_deletion",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("collection_id", _NUMBER, nullable=False),
        sa.Column("row", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_template_deletion"),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collection.id"],
            name="fk_template_deletion_collection_id_collection",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_template_deletion_collection_id_id", "template_deletion", ["collection_id", "id"]
    )


def _create_kept() -> None:
    op.create_table(
        "kept",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("version", _NUMBER, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("analysis", sa.JSON(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name="pk_kept"),
    )


def _create_asset() -> None:
    op.create_table(
        "asset",
        sa.Column("asset_id", sa.String(32), nullable=False),
        sa.Column("public_id", _PATH, nullable=False),
        sa.Column("folder", _PATH, nullable=False),
        sa.Column("version", _NUMBER, nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("bytes", _NUMBER, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("created_at", _SECONDS, nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name="pk_asset"),
        sa.UniqueConstraint("public_id", name="uq_asset_public_id"),
    )
    op.create_index("ix_asset_etag", "asset", ["etag"])
    op.create_table(
        "asset_tag",
        sa.Column("asset_id", sa.String(32), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "tag", name="pk_asset_tag"),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.asset_id"],
            name="fk_asset_tag_asset_id_asset",
            ondelete="CASCADE",
        ),
    )
