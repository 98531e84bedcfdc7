"""Settings that are given and change nothing, as things are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from facelabel.settings import Settings

#: What they are for, where that is not what is in use.
_OF_AN_ACCOUNT = ("transformation_params", "signature_algorithm", "poll_channel")
_OF_OUR_LIBRARY = ("cloud_name", "derived_mb", "public_delivery", "notification_hosts")
_OF_AMAZON = (
    *("rekognition_detection", "rekognition_users", "rekognition_rate"),
    *("quality_filter", "look_again_hours"),
)
_OF_OUR_ENDPOINT = ("rekognition_throttle", "s3_endpoint", "s3_folder")
_OF_OUR_MODELS = ("pack", "models", "device", "threads", "max_faces")


def without_effect(
    settings: Settings, *, with_amazon: bool, with_models: bool
) -> Mapping[str, str]:
    """The settings that are given and change nothing, with the reason; values are not shown.

    Args:
        settings: those that were read.
        with_amazon: whether Rekognition knows the faces.
        with_models: whether models of ours find them.

    """
    reasons = dict(_reasons(settings, with_amazon=with_amazon, with_models=with_models))
    return {
        setting.original or name: reasons[name]
        for name, setting in SETTINGS.items()
        if name in reasons and name in settings.model_fields_set
    }


def _reasons(
    settings: Settings, *, with_amazon: bool, with_models: bool
) -> Iterator[tuple[str, str]]:
    places = settings.names_to.split(",")
    if settings.on_cloudinary:
        yield from dict.fromkeys(_OF_OUR_LIBRARY, "the pictures are on Cloudinary").items()
    else:
        yield from dict.fromkeys(_OF_AN_ACCOUNT, "the pictures are in a library of our own").items()
        yield "cloudinary_url", _why_own(settings)
    if with_amazon:
        yield "stranger_chance", "Amazon's similarities are not calibrated"
    else:
        yield from dict.fromkeys(_OF_AMAZON, "faces are learnt on this computer").items()
    if settings.table:
        yield from dict.fromkeys(_OF_OUR_ENDPOINT, "no faces are kept in DynamoDB").items()
        if not with_models:
            yield from dict.fromkeys(_OF_OUR_MODELS, "Rekognition finds the faces").items()
    else:
        yield "collection_parameter", "the store is not DynamoDB"
    if "tags" not in places:
        yield "names_prefix", "names do not go to tags (names_to)"
    if "context" not in places:
        yield "people_context", "names do not go to context (names_to)"


def _why_own(settings: Settings) -> str:
    if settings.library == "local":
        return "the setting library is local"
    return "it is the address of a server on this computer, whose library this is"
