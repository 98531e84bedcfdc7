"""The tables. Every change here needs a migration; a test compares the two."""

from __future__ import annotations

import time

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

#: Revision of the newest migration: a database that carries it needs no look at the migrations.
HEAD = "0009"
#: Where it says so: not Alembic's own name, as a PostgreSQL database may serve others too.
VERSION_TABLE = "facelabel_version"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite counts only in a column declared INTEGER; its integers have 64 bits anyway.
Number = BigInteger().with_variant(Integer(), "sqlite")
#: Compared byte by byte on both databases: PostgreSQL's default order is the locale's.
Path = Text().with_variant(Text(collation="C"), "postgresql")
#: Seconds since the epoch.
Seconds = Float(53)
Similarity = Float(53)

_PARTIAL: list[tuple[Index, str]] = []


def _partial(name: str, column: str, *, where: str) -> Index:
    """An index of some rows alone."""
    index = Index(name, column, sqlite_where=text(where))
    _PARTIAL.append((index, where))
    return index


def say_to_postgresql() -> None:
    """Say to PostgreSQL's dialect, too, what is its alone: whoever says it has loaded it."""
    for index, where in _PARTIAL:
        index.dialect_options["postgresql"]["where"] = text(where)


job = Table(
    "job",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("run_at", Seconds, nullable=False),
    Column("token", String(32)),
    #: When to run once more: set by an enqueue that met the job running.
    Column("again_at", Seconds),
    Column("reason", Text, nullable=False),
    Column("enqueued_at", Seconds, nullable=False),
    UniqueConstraint("kind", "key"),
    #: Ends in the kind, so that who claims only some kinds passes the others by in the index.
    Index(None, "state", "run_at", "id", "kind"),
    sqlite_autoincrement=True,
)

#: One row: which collection is live, how often the gallery changed, by what names are decided and
#: people learnt.
gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("collection", Text),
    Column("generation", Number, nullable=False),
    #: Whether more is asked of a face where many are known; not in what was begun before that.
    Column("weighs_strangers", Boolean, nullable=False, default=False, server_default=false()),
    #: By what names are decided, whatever a process has in its settings; None: by these.
    Column("rules", Text),
    #: What the settings asked for when that was said.
    Column("configured", Text),
    #: The same of how people are learnt.
    Column("learning", Text),
    Column("learning_configured", Text),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("asset_id", Path, primary_key=True),
    Column("public_id", Text, nullable=False),
    Column("version", Number, nullable=False),
    Column("digest", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("face_id", Text, nullable=False),
    Index(None, "collection", "digest"),
    Index(None, "collection", "face_id"),
)

intention = Table(
    "intention",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("person", Text, nullable=False),
)

leftover = Table(
    "leftover",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("face_id", Text, primary_key=True),
)

#: What was seen on pictures, and what was decided: large, and written only with a decision.
search = Table(
    "search",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("public_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("faces", JSON, nullable=False),
    Column("left_out", JSON, nullable=False),
)

#: What each search is of, and what it rests on: small, as most of them are brought to the next
#: generation whenever somebody is learnt.
standing = Table(
    "standing",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("version", Number, nullable=False),
    Column("collection", Text, nullable=False),
    Column("generation", Number, nullable=False),
    Column("rules", Text, nullable=False),
    Column("searched_at", Seconds, nullable=False),
    Column("portraits", Integer),
    #: In the recogniser's words: distances and row numbers. None: it is not known.
    Column("note", LargeBinary),
    #: The decision is the same for what a name takes above the one and up to the other.
    Column("below", Similarity),
    Column("upto", Similarity),
    Index(None, "generation", "searched_at", "asset_id"),
    _partial("ix_standing_noted", "generation", where="note IS NOT NULL"),
    sqlite_with_rowid=False,
)

name_mark = Table(
    "name_mark",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("state", String(16), nullable=False),
)

collection = Table(
    "collection",
    metadata,
    Column("id", Number, primary_key=True),
    Column("name", Path, nullable=False, unique=True),
    Column("model", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("created_at", Seconds, nullable=False, default=time.time, server_default="0"),
    Column("tags", JSON, nullable=False, default=dict, server_default="{}"),
    #: The collection whose users have their vectors here: this one is hidden, and goes with it.
    Column("users_of", Number),
    Index(None, "users_of", unique=True),
    sqlite_autoincrement=True,
)

template = Table(
    "template",
    metadata,
    Column("row", Number, primary_key=True),
    Column("collection_id", Number, ForeignKey("collection.id"), nullable=False),
    Column("face_id", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("asset_id", Text),
    Column("digest", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("face", JSON, nullable=False),
    #: As a client gave it; what the pipeline enrolled has none, and shows one made of its name.
    Column("external_image_id", Text),
    Column("user_id", Path),
    UniqueConstraint("collection_id", "face_id"),
    Index(None, "collection_id", "row"),
    Index(None, "collection_id", "user_id"),
    Index("ix_template_collection_id_person_row", "collection_id", "person", "row"),
    # Few, as a rule: counted with every search.
    _partial("ix_template_nameless", "collection_id", where="person = ''"),
    sqlite_autoincrement=True,
)

#: Tells the processes that hold vectors in memory which to drop. Numbers only: nothing of the
#: person who was forgotten stays.
template_deletion = Table(
    "template_deletion",
    metadata,
    Column("id", Number, primary_key=True),
    Column("collection_id", Number, ForeignKey("collection.id"), nullable=False),
    Column("row", Number, nullable=False),
    #: Lowest row of the same person then: it stands for the person in what searches rest on.
    Column("first_row", Number),
    Index(None, "collection_id", "id"),
    sqlite_autoincrement=True,
)

#: Users of a collection. Their vectors are rows of the hidden collection that is "users_of" it.
face_user = Table(
    "face_user",
    metadata,
    Column("collection_id", Number, ForeignKey("collection.id"), primary_key=True),
    Column("user_id", Path, primary_key=True),
)

#: What a client's request came to, so that the same request again comes to the same.
client_token = Table(
    "client_token",
    metadata,
    Column("collection_id", Number, ForeignKey("collection.id"), primary_key=True),
    Column("token", Path, primary_key=True),
    Column("request", String(64), nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", Seconds, nullable=False),
    Index(None, "collection_id", "created_at"),
)

kept = Table(
    "kept",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("version", Number, nullable=False),
    Column("model", Text, nullable=False),
    Column("analysis", JSON, nullable=False),
    #: The templates' vectors, end to end, all of one length.
    Column("vectors", LargeBinary, nullable=False),
)

#: One row: the data folder whose files the rows below are about.
installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(32), nullable=False),
)

asset = Table(
    "asset",
    metadata,
    Column("asset_id", String(32), primary_key=True),
    Column("public_id", Path, nullable=False),
    Column("resource_type", String(16), nullable=False),
    Column("type", String(16), nullable=False),
    Column("folder", Path, nullable=False),
    Column("display_name", Path, nullable=False),
    Column("version", Number, nullable=False),
    Column("format", String(16), nullable=False),
    Column("bytes", Number, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("etag", String(64), nullable=False, index=True),
    Column("created_at", Seconds, nullable=False),
    Column("updated_at", Seconds, nullable=False),
    Column("filename", Path, nullable=False),
    Column("context", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("details", JSON, nullable=False),
    UniqueConstraint("public_id", "resource_type", "type"),
    Index(None, "created_at", "asset_id"),
    Index(None, "folder", "created_at", "asset_id"),
    Index(None, "folder", "public_id", "asset_id"),
)

asset_tag = Table(
    "asset_tag",
    metadata,
    Column(
        "asset_id",
        String(32),
        ForeignKey("asset.asset_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("tag", Path, primary_key=True),
    #: Keeps the order in which tags were added.
    Column("position", Integer, nullable=False),
    Index(None, "tag", "asset_id"),
)

#: What an asset can be found by, derived from its row and its tags: one line per value, so that
#: both databases compare lists, numbers and words of any alphabet with the same plain SQL.
asset_value = Table(
    "asset_value",
    metadata,
    Column(
        "asset_id",
        String(32),
        ForeignKey("asset.asset_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("field", Path, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("text", Path, nullable=False),
    #: The value where it is a number.
    Column("number", Float(53)),
    #: The words in lower case, each between two spaces.
    Column("words", Path, nullable=False),
)

#: Folders that were made; others exist because an asset lies in them.
folder = Table(
    "folder",
    metadata,
    Column("path", Path, primary_key=True),
    Column("external_id", String(32), nullable=False),
)

document = Table(
    "document",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", Path, primary_key=True),
    #: Keeps the order in which they were made.
    Column("position", Number, nullable=False),
    Column("body", JSON, nullable=False),
)

#: Deleted assets that can come back, the last one of each name.
backup = Table(
    "backup",
    metadata,
    Column("public_id", Path, primary_key=True),
    Column("resource_type", String(16), primary_key=True),
    Column("type", String(16), primary_key=True),
    Column("etag", String(64), nullable=False, index=True),
    Column("body", JSON, nullable=False),
)

#: Digests of originals that lost their last user: written with the step that took it, deleted once
#: the files are gone, so that nothing is left of them if the process between the two dies.
released = Table("released", metadata, Column("etag", String(64), primary_key=True))

#: Deliveries that were taken: the same body again is not enqueued again.
receipt = Table(
    "receipt",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("received_at", Seconds, nullable=False, index=True),
)

#: Notifications waiting to be fetched.
message = Table(
    "message",
    metadata,
    Column("id", Number, primary_key=True),
    Column("handle", String(32), nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("batch_id", Text, nullable=False, default=""),
    Column("signed_payload", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("timestamp", Number, nullable=False),
    Column("visible_at", Seconds, nullable=False),
    Column("created_at", Seconds, nullable=False),
    Index(None, "channel", "visible_at", "id"),
    sqlite_autoincrement=True,
)
