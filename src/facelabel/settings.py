"""Every setting, read once and frozen.

The first of these that names a setting wins: command-line flag, environment, ``.env`` in the
working folder, ``facelabel.toml`` (in the working folder, else in the user's configuration
folder, or where ``FACELABEL_CONFIG`` points), default. The original app's environment variables
keep their exact names; each setting also has a ``FACELABEL_…`` name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import parse_qs, urlsplit

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from facelabel.errors import ConfigurationError
from facelabel.media import ApiKey
from facelabel.names import FACE_ID_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX = "FACELABEL_"
CONFIG_VARIABLE = "FACELABEL_CONFIG"
FILE_NAME = "facelabel.toml"
#: Where the names of the people on a picture can go.
NAME_PLACES = ("tags", "metadata", "context")
#: Metadata field and context key for names where none is given.
DEFAULT_FIELD = "people"


def _folder(value: str) -> str:
    folder = value.strip("/")
    if any(part in {"", ".", ".."} for part in folder.split("/")) and folder:
        raise ValueError("a folder path like training or people/training")
    return folder


def _collection(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_.\-]{1,240}", value):
        raise ValueError("1 to 240 of the characters A-Z a-z 0-9 _ . -")
    return value


def _tag_prefix(value: str) -> str:
    if not re.fullmatch(r"[^:,\s][^:,]{0,99}", value):
        raise ValueError("1 to 100 characters without colon and comma")
    return value


def _cloudinary_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(
        r"cloudinary://[^:@/]+:[^:@/]+@[\w.-]+(/.*)?(\?.*)?", value.get_secret_value()
    ):
        raise ValueError("cloudinary://key:secret@cloud")
    return value


def _cloud_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value):
        raise ValueError("1 to 63 of the characters a-z 0-9 _ - (an SDK lowers capitals)")
    return value


def _names_to(value: str) -> str:
    places = [place.strip() for place in value.split(",") if place.strip()]
    if not places or not {*places} <= {*NAME_PLACES}:
        raise ValueError("one or several of " + ", ".join(NAME_PLACES) + ", with commas between")
    return ",".join(dict.fromkeys(places))


def _names_prefix(value: str) -> str:
    if "," in value or len(value) > 100 or value.startswith(FACE_ID_PREFIX):  # noqa: PLR2004 - of 255
        raise ValueError("at most 100 characters, no comma")
    return value


def _external_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,255}", value):
        raise ValueError("the external_id of a metadata field: letters, digits, _ and -")
    return value


def _notification_keys(value: SecretStr) -> SecretStr:
    pairs = value.get_secret_value().split(",")
    if not all(re.fullmatch(r"\s*[^:,\s]+:[^:,\s]+\s*", pair) for pair in pairs):
        raise ValueError("key:secret, several with commas between")
    return value


def _channel(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", value):
        raise ValueError("at most 64 letters, digits, _ and -")
    return value


def _pack(value: str) -> str:
    if not value.strip():
        raise ValueError("auto, the name of a pack (`facelabel models list`) or a manifest file")
    return value.strip()


class Settings(BaseSettings):
    """What a user can set; construct through :func:`load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    data: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("facelabel"),
        description="Data folder: database, originals, search index.",
    )
    models: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("facelabel") / "models",
        description="Cache folder of the face models; may be baked into an image.",
    )
    store: SecretStr | None = Field(
        default=None,
        description="Database URL (sqlite:///path); default: facelabel.db in the data folder.",
    )
    training_folder: Annotated[str, AfterValidator(_folder)] = Field(
        default="training",
        validation_alias="trainingFolder",
        description="Folder whose labelled images teach the faces.",
    )
    face_recognition_folder: Annotated[str, AfterValidator(_folder)] = Field(
        default="assets",
        validation_alias="faceRecognitionFolder",
        description="Folder whose images are searched and tagged; empty: the whole library.",
    )
    face_label_tag_prefix: Annotated[str, AfterValidator(_tag_prefix)] = Field(
        default="faceLabel",
        validation_alias="faceLabelTagPrefix",
        description="What stands before the colon of a label tag: faceLabel:John Doe.",
    )
    confidence_threshold: float = Field(
        default=80.0,
        ge=0.0,
        le=100.0,
        allow_inf_nan=False,
        validation_alias="confidenceThreshold",
        description="Least similarity (0-100) for a name; 80 lets 1 stranger pair in 10,000 pass.",
    )
    margin: float = Field(
        default=1.25,
        ge=1.0,
        le=100.0,
        allow_inf_nan=False,
        description="How many times farther from 100 the runner-up must be; 1: no margin.",
    )
    rekognition_collection: Annotated[str, AfterValidator(_collection)] = Field(
        default="cld-rekog",
        validation_alias="rekognitionCollection",
        description="Name of the face collection.",
    )
    cloudinary_url: Annotated[SecretStr, AfterValidator(_cloudinary_url)] | None = Field(
        default=None,
        validation_alias="CLOUDINARY_URL",
        description="Cloudinary account: cloudinary://key:secret@cloud.",
    )
    transformation_params: str = Field(
        default="q_auto",
        validation_alias="transformationParams",
        description="Transformation in which Cloudinary delivers the images to recognise.",
    )
    library: Literal["auto", "cloudinary", "local"] = Field(
        default="auto",
        description="Where pictures are; auto: cloudinary if CLOUDINARY_URL is set, else local.",
    )
    folder_mode: Literal["auto", "fixed", "dynamic"] = Field(
        default="auto",
        description="Whether public_ids hold the folder; auto: as Cloudinary says, else dynamic.",
    )
    names_to: Annotated[str, AfterValidator(_names_to)] = Field(
        default="tags",
        description="Where names go: tags, metadata, context; several with commas between.",
    )
    names_prefix: Annotated[str, AfterValidator(_names_prefix)] = Field(
        default="", description="What stands before a name in a tag, such as person: or nothing."
    )
    people_field: Annotated[str, AfterValidator(_external_id)] = Field(
        default="",
        description="Metadata field (external_id) that labels training images and takes names.",
    )
    people_context: str = Field(
        default=DEFAULT_FIELD,
        min_length=1,
        max_length=100,
        description="Context key that takes names.",
    )
    notification_keys: Annotated[SecretStr, AfterValidator(_notification_keys)] | None = Field(
        default=None,
        description="More keys that may sign notifications, while keys change: key:secret,…",
    )
    signature_algorithm: Literal["any", "sha1", "sha256"] = Field(
        default="any", description="What Cloudinary signs with, as set in the account."
    )
    poll_channel: Annotated[str, AfterValidator(_channel)] = Field(
        default="",
        description="Cloudinary channel to fetch notifications from, without a public address.",
    )
    reconcile_hours: float = Field(
        default=24.0,
        ge=0.0,
        le=8760.0,
        allow_inf_nan=False,
        description="Hours between two looks for what no notification told of; 0: never.",
    )
    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address that serve listens on."
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="Port that serve listens on.")
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+)?$",
        description="Where serve is reached from outside, such as https://faces.example.com.",
    )
    cloud_name: Annotated[str, AfterValidator(_cloud_name)] = Field(
        default="local", description="Cloud name of the local library."
    )
    public_delivery: bool = Field(
        default=False,
        description="Deliver pictures to anybody who knows their URL when serving other computers.",
    )
    private_urls: bool = Field(
        default=False,
        description="Let uploads by URL reach addresses of the local network, too.",
    )
    max_upload_mb: int = Field(
        default=100, ge=1, le=100_000, description="Largest request body that serve takes, in MB."
    )
    derived_mb: int = Field(
        default=1024, ge=1, le=10_000_000, description="Disk kept for transformed images, in MB."
    )
    pack: Annotated[str, AfterValidator(_pack)] = Field(
        default="auto",
        description="Face models of new collections: auto, a pack's name or a manifest file.",
    )
    max_faces: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="Faces looked at per picture, the largest first; the rest is reported.",
    )
    max_image_mb: int = Field(
        default=50, ge=1, le=1000, description="Largest image file accepted, in MB."
    )
    max_image_megapixels: int = Field(
        default=200, ge=1, le=1000, description="Most pixels of an image, in millions."
    )
    threads: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 8),
        ge=1,
        le=256,
        description="Threads for face models and search; default: one per core, 8 at most.",
    )
    lease: float = Field(
        default=60.0,
        ge=2.0,
        le=86_400.0,
        description="Seconds after which the job of a worker that died is taken over by another.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="What is logged to standard error."
    )

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
        text = self.notification_keys.get_secret_value() if self.notification_keys else ""
        return tuple(ApiKey(*pair.strip().split(":", 1)) for pair in text.split(",") if pair)

    @property
    def label_field(self) -> str:
        """external_id of the metadata field that holds people, "" for none."""
        return self.people_field or (DEFAULT_FIELD if "metadata" in self.names_to else "")

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
    def store_url(self) -> str:
        """The database's URL; may hold a password."""
        if self.store:
            return self.store.get_secret_value()
        return f"sqlite:///{(self.data / 'facelabel.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, .env, TOML file; the first one wins."""
        del file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, dotenv_settings, toml


def _is_own(url: str) -> bool:
    """Whether the address of the API in a CLOUDINARY_URL is on this computer."""
    prefix = parse_qs(urlsplit(url).query).get("upload_prefix", [""])[0]
    return is_loopback(urlsplit(prefix).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this computer, and reached from nowhere else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def config_file() -> Path | None:
    """The TOML file to read, if there is one."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    places = (Path(FILE_NAME), platformdirs.user_config_path("facelabel") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def variables(name: str) -> tuple[str, ...]:
    """Environment variables of a setting, the original app's name first where there is one."""
    alias = Settings.model_fields[name].validation_alias
    own = PREFIX + name.upper()
    return (alias, own) if isinstance(alias, str) else (own,)


def load(flags: Mapping[str, object] | None = None) -> Settings:
    """Read all sources once.

    Args:
        flags: settings given on the command line, by field name; they win.

    Raises:
        ConfigurationError: naming the variable, the value and what is allowed.

    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _check_file(config_file())
    try:
        return Settings(**given)  # type: ignore[arg-type] # checked by pydantic itself
    except ValidationError as error:
        lines = [_explain(detail, given) for detail in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None


def _check_file(path: Path | None) -> None:
    """A misspelt key in the TOML file is refused, not ignored."""
    if path is None:
        return
    try:
        keys = tomllib.loads(path.read_text("utf-8")).keys()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    known = set(Settings.model_fields) | {variables(name)[0] for name in Settings.model_fields}
    unknown = sorted(keys - known)
    if unknown:
        raise ConfigurationError(f"{path} has unknown settings: {', '.join(unknown)}")


def _explain(detail: ErrorDetails, flags: Mapping[str, object]) -> str:
    """One sentence: which variable, which value, what is allowed."""
    if not detail["loc"]:
        return detail["msg"].removeprefix("Value error, ")
    name = _field_of(str(detail["loc"][0]))
    field = Settings.model_fields[name]
    allowed = detail["msg"].removeprefix("Value error, ")
    source, value = _origin(name, flags)
    shown = "**********" if "SecretStr" in str(field.annotation) else value
    return f"{source}={shown!s} is refused: {allowed} ({_help(field)})"


def _field_of(location: str) -> str:
    by_alias = {variables(name)[0]: name for name in Settings.model_fields}
    return location if location in Settings.model_fields else by_alias[location]


def _origin(name: str, flags: Mapping[str, object]) -> tuple[str, object]:
    """Where the value of a setting came from, and the value."""
    if name in flags:
        return flag(name), flags[name]
    environment = {key.lower(): (key, value) for key, value in os.environ.items()}
    for variable in variables(name):
        if variable.lower() in environment:
            return environment[variable.lower()]
    return f"{variables(name)[0]} (in .env or {FILE_NAME})", "…"


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def _help(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")
