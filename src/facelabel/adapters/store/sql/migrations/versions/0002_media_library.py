"""A whole media library: files of every kind, folders, documents, and notifications to fetch."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PATH = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SECONDS = sa.Float(53)

_ADDED: dict[str, sa.types.TypeEngine[Any]] = {
    "resource_type": sa.String(16),
    "type": sa.String(16),
    "display_name": _PATH,
    "updated_at": _SECONDS,
    "metadata": sa.JSON(),
    "details": sa.JSON(),
}
_INDEXES = [
    ["created_at", "asset_id"],
    ["folder", "created_at", "asset_id"],
    ["folder", "public_id", "asset_id"],
]
_JOB_INDEX = ["state", "run_at", "id"]


def upgrade() -> None:
    """Tell images from other files, and make what was missing."""
    _widen_asset()
    _index_asset()
    _create_asset_value()
    _create_folder_and_document()
    _create_backup()
    _create_receipt_and_message()
    op.drop_index("ix_job_state_run_at_id", "job")
    op.create_index("ix_job_state_run_at_id_kind", "job", [*_JOB_INDEX, "kind"])


def downgrade() -> None:
    """Drop it all, and the assets that the first tables have no words for."""
    op.drop_index("ix_job_state_run_at_id_kind", "job")
    op.create_index("ix_job_state_run_at_id", "job", _JOB_INDEX)
    for table in ("message", "receipt", "backup", "document", "folder", "asset_value"):
        op.drop_table(table)
    op.execute("DELETE FROM asset WHERE resource_type <> 'image' OR type <> 'upload'")
    op.execute("DELETE FROM asset_tag WHERE asset_id NOT IN (SELECT asset_id FROM asset)")
    _narrow_asset()


def _widen_asset() -> None:
    for name, kind in _ADDED.items():
        op.add_column("asset", sa.Column(name, kind))
    op.execute(
        "UPDATE asset SET resource_type = 'image', type = 'upload', updated_at = created_at, "
        "metadata = '{}', details = '{}', display_name = ''"
    )
    _name_assets()
    with op.batch_alter_table("asset") as asset:
        for name in _ADDED:
            asset.alter_column(name, nullable=False)
        asset.alter_column("filename", type_=_PATH)
        asset.drop_constraint("uq_asset_public_id", type_="unique")
        asset.create_unique_constraint(
            "uq_asset_public_id_resource_type_type", ["public_id", "resource_type", "type"]
        )
    with op.batch_alter_table("asset_tag") as tag:
        tag.alter_column("tag", type_=_PATH)


def _name_assets() -> None:
    """Show every asset by the last part of its public_id."""
    names = ("asset_id", "public_id", "display_name")
    asset = sa.table("asset", *map(sa.column, names))
    connection = op.get_bind()
    rows = [
        {"this": asset_id, "name": public_id.rpartition("/")[2]}
        for asset_id, public_id in connection.execute(
            sa.select(asset.c.asset_id, asset.c.public_id)
        )
    ]
    this = sa.update(asset).where(asset.c.asset_id == sa.bindparam("this"))
    if rows:
        connection.execute(this.values(display_name=sa.bindparam("name")), rows)


def _index_asset() -> None:
    for columns in _INDEXES:
        op.create_index(f"ix_asset_{'_'.join(columns)}", "asset", columns)
    op.create_index("ix_asset_tag_tag_asset_id", "asset_tag", ["tag", "asset_id"])


def _narrow_asset() -> None:
    op.drop_index("ix_asset_tag_tag_asset_id", "asset_tag")
    for columns in _INDEXES:
        op.drop_index(f"ix_asset_{'_'.join(columns)}", "asset")
    with op.batch_alter_table("asset_tag") as tag:
        tag.alter_column("tag", type_=sa.Text())
    with op.batch_alter_table("asset") as asset:
        asset.drop_constraint("uq_asset_public_id_resource_type_type", type_="unique")
        asset.create_unique_constraint("uq_asset_public_id", ["public_id"])
        asset.alter_column("filename", type_=sa.Text())
        for name in _ADDED:
            asset.drop_column(name)


def _create_asset_value() -> None:
    op.create_table(
        "asset_value",
        sa.Column("asset_id", sa.String(32), nullable=False),
        sa.Column("field", _PATH, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", _PATH, nullable=False),
        sa.Column("number", sa.Float(53)),
        sa.Column("words", _PATH, nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "field", "position", name="pk_asset_value"),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.asset_id"],
            name="fk_asset_value_asset_id_asset",
            ondelete="CASCADE",
        ),
    )


def _create_folder_and_document() -> None:
    op.create_table(
        "folder",
        sa.Column("path", _PATH, nullable=False),
        sa.Column("external_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_folder"),
    )
    op.create_table(
        "document",
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", _PATH, nullable=False),
        sa.Column("position", _NUMBER, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_document"),
    )


def _create_backup() -> None:
    op.create_table(
        "backup",
        sa.Column("public_id", _PATH, nullable=False),
        sa.Column("resource_type", sa.String(16), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("public_id", "resource_type", "type", name="pk_backup"),
    )
    op.create_index("ix_backup_etag", "backup", ["etag"])


def _create_receipt_and_message() -> None:
    op.create_table(
        "receipt",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received_at", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_receipt"),
    )
    op.create_index("ix_receipt_received_at", "receipt", ["received_at"])
    op.create_table(
        "message",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("handle", sa.String(32), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("signed_payload", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("timestamp", _NUMBER, nullable=False),
        sa.Column("visible_at", _SECONDS, nullable=False),
        sa.Column("created_at", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("handle", name="uq_message_handle"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_channel_visible_at_id", "message", ["channel", "visible_at", "id"])
