"""What every way of running has: where everything is kept, and the rules of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from socket import gethostname
from typing import TYPE_CHECKING

from facelabel.core import naming
from facelabel.core.label_policy import LabelPolicy, NameTargets
from facelabel.errors import ConfigurationError
from facelabel.images import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.cloudinary.ports import Inbox
    from facelabel.recognition.ports import Ledger, Queue
    from facelabel.recognition.worker import Hold
    from facelabel.settings import Settings

#: Faces assumed on a picture that nobody has looked at yet.
USUAL_FACES = 3
#: Not addresses but "all there are".
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Stores:
    """Where everything is kept: in a database, or by Amazon."""

    ledger: Ledger
    queue: Queue
    #: Keeps what notifications ask for.
    inbox: Inbox
    #: Reads from the store; Unavailable or ConfigurationError where it is not to be had.
    reach: Callable[[], object]
    #: A lock on an asset, where the queue may hand out two jobs about one; None where it does not.
    hold: Hold | None = None
    #: Statements that the database needs to be told, as a pooler keeps our own settings from us.
    unkept: Callable[[], Sequence[str]] = lambda: ()


def label_policy(settings: Settings, calibration: str = "") -> LabelPolicy:
    """The part of the settings that the core decides by.

    ``calibration``: tells apart what similarities mean by the user's own calibrations.
    """
    targets = settings.names_to.split(",")
    return LabelPolicy(
        training=settings.training_folder,
        recognition=settings.face_recognition_folder,
        prefix=settings.face_label_tag_prefix,
        label_field=settings.label_field,
        collection=settings.rekognition_collection,
        folder_mode=settings.folder_mode if settings.on_cloudinary else "",
        rules=naming.Rules(
            settings.confidence_threshold,
            settings.margin,
            None if settings.stranger_chance is None else settings.stranger_chance / 100,
            calibration,
        ),
        targets=NameTargets(
            tags="tags" in targets,
            prefix=settings.names_prefix,
            field=settings.label_field if "metadata" in targets else "",
            context=settings.people_context if "context" in targets else "",
        ),
    )


def agreed_settings(settings: Settings, learning: str | None) -> Settings:
    """The same with folders of an account read as was agreed to, where something was."""
    mode = label_policy(settings).learnt_by(learning).folder_mode
    return settings.model_copy(update={"folder_mode": mode}) if mode else settings


#: The settings by which names are decided.
RULE_SETTINGS = (
    "confidence_threshold", "margin", "stranger_chance",
    "names_to", "names_prefix", "people_field", "people_context",
)  # fmt: skip


def rule_settings(policy: LabelPolicy) -> dict[str, str]:
    """The settings that decide about names, as a policy has them: what is written for them.

    "" for what is not set, or has no effect.
    """
    rules, targets = policy.rules, policy.targets
    places = {"tags": targets.tags, "metadata": targets.field, "context": targets.context}
    return {
        "confidence_threshold": f"{rules.threshold:g}",
        "margin": f"{rules.margin:g}",
        "stranger_chance": "" if rules.strangers is None else f"{100 * rules.strangers:g}",
        "names_to": ",".join(place for place, is_meant in places.items() if is_meant),
        "names_prefix": targets.prefix,
        "people_field": targets.field,
        "people_context": targets.context,
    }


def limits(settings: Settings) -> Limits:
    """What an image may measure."""
    return Limits(settings.max_image_mb << 20, settings.max_image_megapixels * 1_000_000)


def has_amazons_sdk() -> bool:
    """Whether it is installed: an extra."""
    return find_spec("botocore") is not None


def require_amazons_sdk() -> None:
    """ConfigurationError without it."""
    if not has_amazons_sdk():
        raise ConfigurationError(
            "faces with Rekognition need Amazon's SDK: pip install 'facelabel[rekognition]'"
        )


def base_url(settings: Settings) -> str:
    """Where clients reach the server that these settings start."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = gethostname() if settings.host in _ANY else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}"
