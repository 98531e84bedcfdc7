"""The settings with their types, limits and defaults: read once and frozen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey
from facelabel.settings import SETTINGS, checks, given
from facelabel.settings.addresses import is_loopback, is_only_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from facelabel.settings.given import Given

DYNAMODB = "dynamodb://"
#: Metadata field and context key for names where none is given.
DEFAULT_FIELD = "people"
#: A folder or file; ``~`` is the user's home.
_Place = Annotated[Path, BeforeValidator(checks.place)]


class Settings(BaseModel):
    """What a user can set; construct through :func:`facelabel.settings.load`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    data: _Place = Field(default_factory=lambda: given.own_folder("data"))
    models: _Place = Field(default_factory=lambda: given.own_folder("models"))
    store: Annotated[SecretStr, AfterValidator(checks.store)] | None = None
    queue: str = Field(default="", pattern=r"^(https?://\S+)?$")
    dead_letters: str = Field(default="", pattern=r"^(https?://\S+)?$")
    collection_parameter: str = Field(default="", pattern=r"^[a-zA-Z0-9_.\-/]*$")
    training_folder: Annotated[str, AfterValidator(checks.folder)] = "training"
    face_recognition_folder: Annotated[str, AfterValidator(checks.folder)] = "assets"
    face_label_tag_prefix: Annotated[str, AfterValidator(checks.tag_prefix)] = "faceLabel"
    confidence_threshold: float = Field(default=80.0, ge=0.0, le=100.0, allow_inf_nan=False)
    margin: float = Field(default=1.25, ge=1.0, le=100.0, allow_inf_nan=False)
    stranger_chance: float | None = Field(default=None, ge=0.0, le=100.0, allow_inf_nan=False)
    rekognition_collection: Annotated[str, AfterValidator(checks.collection)] = "cld-rekog"
    cloudinary_url: Annotated[SecretStr, AfterValidator(checks.cloudinary_url)] | None = None
    transformation_params: str = "q_auto"
    library: Literal["auto", "cloudinary", "local"] = "auto"
    folder_mode: Literal["auto", "fixed", "dynamic"] = "auto"
    names_to: Annotated[str, AfterValidator(checks.names_to)] = "tags"
    names_prefix: Annotated[str, AfterValidator(checks.names_prefix)] = ""
    people_field: Annotated[str, AfterValidator(checks.external_id)] = ""
    people_context: str = Field(default=DEFAULT_FIELD, min_length=1, max_length=100)
    notification_keys: Annotated[SecretStr, AfterValidator(checks.notification_keys)] | None = None
    signature_algorithm: Literal["any", "sha1", "sha256"] = "any"
    poll_channel: Annotated[str, AfterValidator(checks.channel)] = ""
    reconcile_hours: float = Field(default=24.0, ge=0.0, le=8760.0, allow_inf_nan=False)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8765, ge=0, le=65_535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#@]+)?$")
    cloud_name: Annotated[str, AfterValidator(checks.cloud_name)] = "local"
    require_keys: bool = False
    trusted_proxies: Annotated[str, AfterValidator(checks.networks)] = ""
    allowed_origins: Annotated[str, AfterValidator(checks.origins)] = ""
    public_delivery: bool = False
    notification_hosts: Annotated[str, AfterValidator(checks.hosts)] = ""
    private_urls: bool = False
    max_upload_mb: int = Field(default=100, ge=1, le=100_000)
    derived_mb: int = Field(default=1024, ge=1, le=10_000_000)
    faces: Literal["auto", "rekognition", "local"] = "auto"
    rekognition_detection: Literal["auto", "rekognition", "local"] = "auto"
    rekognition_users: bool = False
    rekognition_rate: float = Field(default=0.0, ge=0.0, le=10_000.0, allow_inf_nan=False)
    quality_filter: Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"] = "AUTO"
    look_again_hours: float = Field(default=1.0, ge=0.0, le=8760.0, allow_inf_nan=False)
    rekognition_throttle: float = Field(default=0.0, ge=0.0, le=1_000_000.0, allow_inf_nan=False)
    s3_endpoint: str = Field(default="", pattern=r"^(https?://[^\s?#@]+)?$")
    s3_folder: _Place | None = None
    pack: Annotated[str, AfterValidator(checks.pack)] = "auto"
    max_faces: int = Field(default=100, ge=1, le=1000)
    max_image_mb: int = Field(default=50, ge=1, le=1000)
    max_image_megapixels: int = Field(default=200, ge=1, le=1000)
    threads: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 8), ge=1, le=256)
    device: Literal["auto", "cpu", "cuda", "coreml", "directml", "openvino"] = "auto"
    lease: float = Field(default=60.0, ge=2.0, le=86_400.0)
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @property
    def on_cloudinary(self) -> bool:
        """Whether the pictures are on Cloudinary; a CLOUDINARY_URL of our own server is local."""
        if self.library == "auto":
            url = self.cloudinary_url.get_secret_value() if self.cloudinary_url else ""
            return bool(url) and not _is_own(url)
        return self.library == "cloudinary"

    @property
    def more_keys(self) -> tuple[ApiKey, ...]:
        """Keys that may sign notifications besides the account's, or the library's own."""
        keys = self.notification_keys
        return ApiKey.several(keys.get_secret_value()) if keys else ()

    @property
    def origins(self) -> frozenset[str]:
        """Origins whose pages are let in."""
        return frozenset(filter(None, self.allowed_origins.split(",")))

    @property
    def notified_hosts(self) -> frozenset[str]:
        """Hosts that anybody who may call may have told of a change."""
        return frozenset(filter(None, self.notification_hosts.split(",")))

    @property
    def serves_only_here(self) -> bool:
        """Whether whoever reaches the server may be a program on this computer, without a key."""
        return is_only_here(self.host, self.public_url) and not self.require_keys

    @property
    def label_field(self) -> str:
        """external_id of the metadata field that holds people, "" for none."""
        return self.people_field or (DEFAULT_FIELD if "metadata" in self.names_to else "")

    @property
    def collection_is_set(self) -> bool:
        """Whether somebody named the collection, as the original app asked for."""
        return "rekognition_collection" in self.model_fields_set

    @model_validator(mode="after")
    def _table_and_queues(self) -> Settings:
        if bool(self.table) != bool(self.queue and self.dead_letters):
            raise ValueError("a store dynamodb://table, queue and dead_letters go together")
        return self

    @model_validator(mode="after")
    def _one_place_for_objects(self) -> Settings:
        if self.s3_endpoint and self.s3_folder:
            raise ValueError("s3_endpoint and s3_folder are both set: which one has the objects?")
        return self

    @model_validator(mode="after")
    def _account_is_there(self) -> Settings:
        if self.library == "cloudinary" and self.cloudinary_url is None:
            raise ValueError("library is cloudinary, and CLOUDINARY_URL is not set")
        return self

    @model_validator(mode="after")
    def _folders_differ(self) -> Settings:
        if self.training_folder == self.face_recognition_folder:
            raise ValueError(
                f"trainingFolder and faceRecognitionFolder are both {self.training_folder!r}:"
                " one folder cannot teach and be searched"
            )
        return self

    @property
    def table(self) -> str:
        """Name of the DynamoDB table that is the store; "" for a database."""
        url = self.store.get_secret_value() if self.store else ""
        return url.removeprefix(DYNAMODB) if url.startswith(DYNAMODB) else ""

    @property
    def store_url(self) -> str:
        """The database's URL; may hold a password."""
        if self.store:
            return self.store.get_secret_value()
        return given.database(self.data)


def _is_own(url: str) -> bool:
    """Whether the address of the API in a CLOUDINARY_URL is on this computer."""
    prefix = parse_qs(urlsplit(url).query).get("upload_prefix", [""])[0]
    return is_loopback(urlsplit(prefix).hostname or "")


def read(flags: Mapping[str, object], secret: Mapping[str, str]) -> Settings:
    """What :func:`facelabel.settings.load` says."""
    found = given.settings(flags, secret)
    try:
        return Settings.model_validate({name: one.value for name, one in found.items()})
    except ValidationError as error:
        lines = [_explained(detail, found, secret) for detail in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None


def _explained(detail: ErrorDetails, found: Mapping[str, Given], secret: Mapping[str, str]) -> str:
    """One sentence: which variable, which value, what is allowed."""
    allowed = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return allowed
    name = str(detail["loc"][0])
    one, setting = found[name], SETTINGS[name]
    shown = "**********" if setting.is_secret or one.source in secret else one.value
    return f"{one.source}={shown!s} is refused: {allowed} ({setting.help.rstrip('.')})"
