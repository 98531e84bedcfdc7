"""Every setting: what it is called, and what it is for.

The first of these that names a setting wins: command-line flag, environment, ``.env`` in the
working folder, ``facelabel.toml`` (in the working folder, else in the user's configuration
folder, or where ``FACELABEL_CONFIG`` points), default. The original app's environment variables
keep their exact names; each setting also has a ``FACELABEL_…`` name.

Help and completion need no more than this module. Types, limits and defaults are in
:mod:`~facelabel.settings.typed`, which takes as long to load as many a command takes to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.settings.typed import Settings as Settings

PREFIX = "FACELABEL_"


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is to say of a setting before it is read."""

    #: What it does.
    help: str
    #: The original app's environment variable; "" where it had no such setting.
    original: str = ""
    is_secret: bool = False
    #: Whether an empty value says something: nothing of that, or everything.
    may_be_empty: bool = False


#: In the order in which help lists them.
SETTINGS = {
    "data": Setting(
        "Data folder: database, originals, search index; with PostgreSQL the same one for all"
        " machines."
    ),
    "models": Setting("Cache folder of the face models; may be baked into a container."),
    "store": Setting(
        "sqlite:///path, postgresql://user:password@host/name (see docs/howto/postgresql.md) or"
        " dynamodb://table; default: facelabel.db in the data folder.",
        is_secret=True,
    ),
    "queue": Setting("With store dynamodb://…: URL of the SQS queue of jobs …", may_be_empty=True),
    "dead_letters": Setting("… and of those that failed.", may_be_empty=True),
    "collection_parameter": Setting(
        "SSM parameter that keeps the name of the live collection, too.",
        may_be_empty=True,
    ),
    "training_folder": Setting(
        "Folder whose labelled pictures teach the faces.",
        original="trainingFolder",
    ),
    "face_recognition_folder": Setting(
        "Folder whose pictures are searched and tagged; empty: the whole library.",
        original="faceRecognitionFolder",
        may_be_empty=True,
    ),
    "face_label_tag_prefix": Setting(
        "What stands before the colon of a label tag: faceLabel:John Doe.",
        original="faceLabelTagPrefix",
    ),
    "confidence_threshold": Setting(
        "Least similarity (0-100) for a name; 80 lets 1 stranger pair in 10,000 pass.",
        original="confidenceThreshold",
    ),
    "margin": Setting("How many times farther from 100 the runner-up must be; 1: no margin."),
    "stranger_chance": Setting(
        "Largest chance, in percent, that a stranger gets some name (1, or 0 where people were"
        " known before there was this setting): the more portraits, the more alike a face has to"
        " be; 0: the threshold alone. Not with Amazon's similarities."
    ),
    "rekognition_collection": Setting(
        "Name of the face collection.",
        original="rekognitionCollection",
    ),
    "cloudinary_url": Setting(
        "Cloudinary account: cloudinary://key:secret@cloud.",
        original="CLOUDINARY_URL",
        is_secret=True,
    ),
    "transformation_params": Setting(
        "Transformation in which Cloudinary delivers the pictures to recognise.",
        original="transformationParams",
        may_be_empty=True,
    ),
    "library": Setting(
        "Where pictures are; auto: cloudinary if CLOUDINARY_URL is set, else local."
    ),
    "folder_mode": Setting(
        "Whether public_ids hold the folder; auto: as Cloudinary says, else dynamic."
    ),
    "names_to": Setting("Where names go: tags, metadata, context; several with commas between."),
    "names_prefix": Setting(
        "What stands before a name in a tag, such as person: or nothing.",
        may_be_empty=True,
    ),
    "people_field": Setting(
        "Metadata field (external_id) that labels portraits and takes names.",
        may_be_empty=True,
    ),
    "people_context": Setting("Context key that takes names."),
    "notification_keys": Setting(
        "More keys that may sign notifications, while keys change: key:secret,…",
        is_secret=True,
    ),
    "signature_algorithm": Setting("What Cloudinary signs with, as set in the account."),
    "poll_channel": Setting(
        "Cloudinary channel to fetch notifications from, without a public address.",
        may_be_empty=True,
    ),
    "reconcile_hours": Setting(
        "Hours between two looks for what no notification told of; 0: never."
    ),
    "host": Setting("Address that serve listens on."),
    "port": Setting("Port that serve listens on."),
    "public_url": Setting(
        "Where serve is reached from outside, such as https://faces.example.com.",
        may_be_empty=True,
    ),
    "cloud_name": Setting("Cloud name of the local library."),
    "require_keys": Setting(
        "Ask programs on this computer for a key, too: behind a proxy that hides whom it passes on."
    ),
    "trusted_proxies": Setting(
        "Proxies of yours whose X-Forwarded-For tells clients apart for limits: addresses or"
        " networks, with commas between.",
        may_be_empty=True,
    ),
    "allowed_origins": Setting(
        "Origins whose pages may call with keys, such as https://app.example.com; several with"
        " commas between.",
        may_be_empty=True,
    ),
    "public_delivery": Setting(
        "Deliver pictures to anybody who knows their URL when serving other computers."
    ),
    "notification_hosts": Setting(
        "Hosts that a notification_url which nobody signed may name, with commas between.",
        may_be_empty=True,
    ),
    "private_urls": Setting("Let uploads by URL reach addresses of the local network, too."),
    "max_upload_mb": Setting("Largest request body that serve takes, in MB."),
    "derived_mb": Setting("Disk kept for transformed pictures, in MB."),
    "faces": Setting(
        "Who knows faces; auto: rekognition if rekognitionCollection is set and AWS credentials"
        " are found, else local."
    ),
    "rekognition_detection": Setting(
        "Who finds the faces that Rekognition learns and searches; local: our models, free;"
        " auto: local where models are installed."
    ),
    "rekognition_users": Setting(
        "Make a Rekognition user of each person, whose faces are searched as one."
    ),
    "rekognition_rate": Setting(
        "Most calls a second of each Rekognition operation; 0: the region's quota."
    ),
    "quality_filter": Setting(
        "How poor a face Rekognition may search for or learn: its QualityFilter."
    ),
    "look_again_hours": Setting(
        "With Rekognition: hours in which a picture with unnamed faces is searched again when"
        " somebody is learnt."
    ),
    "rekognition_throttle": Setting(
        "Calls a second that our Rekognition endpoint answers; 0: all."
    ),
    "s3_endpoint": Setting(
        "Where our Rekognition endpoint gets S3 objects: the address of an S3 store …",
        may_be_empty=True,
    ),
    "s3_folder": Setting("… or a folder, in it one for each bucket."),
    "pack": Setting("Face models of new collections: auto, a pack's name or a manifest file."),
    "max_faces": Setting("Faces looked at per picture, the largest first; the rest is reported."),
    "max_image_mb": Setting("Largest picture accepted, in MB."),
    "max_image_megapixels": Setting("Most pixels of a picture, in millions."),
    "threads": Setting("Threads for face models and search; default: one per core, 8 at most."),
    "device": Setting(
        "What face models run on; auto: CUDA, DirectML or OpenVINO where its package is"
        " installed and works, else the processor."
    ),
    "lease": Setting("Seconds after which the job of a worker that died is taken over by another."),
    "log_level": Setting("What is logged to standard error."),
}


def load(
    flags: Mapping[str, object] | None = None, secret: Mapping[str, str] | None = None
) -> Settings:
    """Read all sources once.

    Args:
        flags: settings given on the command line, by name; they win.
        secret: environment variables that are kept somewhere else; they win over the environment.

    Raises:
        ConfigurationError: naming the variable, the value and what is allowed.

    """
    from facelabel.settings import typed  # noqa: PLC0415 - pydantic, which help does without

    return typed.read(flags or {}, secret or {})


def unread(settings: Settings) -> list[str]:
    """Variables that look like settings and are none, each in a sentence that says what is meant.

    ``settings``: those that were read.
    """
    from facelabel.settings import misspelt  # noqa: PLC0415 - what reads files, as above

    return misspelt.unread(settings.model_fields_set)


def unknown(secret: Mapping[str, str]) -> list[str]:
    """The environment variables that are no setting's."""
    known = {one.lower() for name in SETTINGS for one in variables(name)}
    return sorted(name for name in secret if name.lower() not in known)


def variables(name: str) -> tuple[str, ...]:
    """Environment variables of a setting, the original app's name first where there is one."""
    original, own = SETTINGS[name].original, PREFIX + name.upper()
    return (original, own) if original else (own,)


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")
