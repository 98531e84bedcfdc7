"""Jobs, and what they come to: frozen values, no input or output."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facelabel.core.model import Json


class JobState(enum.StrEnum):
    """A job is ready (new, running under a lease, or waiting for a retry) or dead."""

    READY = "ready"
    DEAD = "dead"


class JobKind(enum.StrEnum):
    """What a job asks for; its key says of what."""

    #: Look at this asset, whatever happened to it: key = asset_id.
    ASSET = "asset"
    #: Decide again about every picture searched before the gallery last changed.
    SWEEP = "sweep"
    #: Build a new collection from the training folder and switch to it: payload "collection".
    REBUILD = "rebuild"
    #: Some tags of an asset changed: see whether that concerns us, before anybody is asked about
    #: the asset: key = digest of the notification, payload "asset_id", "added", "removed".
    TAGS = "tags"
    #: Find the asset of this public_id and look at it: key = public_id.
    FIND = "find"
    #: Look at every asset of this folder and below: key = its path.
    FOLDER = "folder"
    #: Compare the whole library with the ledger and look at what differs.
    RECONCILE = "reconcile"
    #: Tell a subscriber of a change: payload "url", "body", "timestamp".
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that somebody asks for."""

    kind: JobKind
    key: str
    payload: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A promise on disk."""

    job_id: int
    kind: JobKind
    key: str
    payload: Json
    state: JobState
    #: Claims so far, this one included.
    tries: int
    #: When it may be claimed; for a running job the end of its lease.
    run_at: float
    #: Fences a worker that lost its lease; None while nobody runs the job.
    token: str | None = None
    reason: str = ""
    enqueued_at: float = 0.0


class OutcomeKind(enum.StrEnum):
    """What became of a picture, or of a job about many of them."""

    #: A portrait: its face was learnt …
    LEARNT = "learnt"
    #: … or forgotten, because its label is gone.
    FORGOTTEN = "forgotten"
    #: A picture was searched, and its names are written.
    SEARCHED = "searched"
    #: It was as it should be.
    UNCHANGED = "unchanged"
    #: It is in none of our folders, or a portrait without a label.
    IGNORED = "ignored"
    #: It was deleted, and what was known of it is forgotten.
    GONE = "gone"
    #: The image is at fault: trying again changes nothing.
    REFUSED = "refused"
    #: It is done later, here or by another worker.
    WAITING = "waiting"
    #: A notification was turned into jobs about pictures.
    NOTED = "noted"
    #: Pictures searched before the gallery changed were decided again.
    SWEPT = "swept"
    #: What notifications missed was found.
    RECONCILED = "reconciled"
    #: A new collection is being built …
    REBUILDING = "rebuilding"
    #: … and took the place of the old one.
    REBUILT = "rebuilt"
    #: A subscriber was told of a change.
    NOTIFIED = "notified"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to."""

    kind: OutcomeKind
    #: The picture, where it is about one.
    asset_id: str = ""
    public_id: str = ""
    #: Who is on it, as far as we know, …
    names: tuple[str, ...] = ()
    #: … and which names were written on it and taken away.
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    #: Why it was refused or waits, or what there is to ask about it.
    note: str = ""
    #: Faces found and not looked at: beyond max_faces, or too poor for the recogniser.
    left_out: int = 0
    #: Path or address of the file, where one was given.
    source: str = ""
