"""Every setting, read once and frozen.

The first of these that names a setting wins: command-line flag, environment, ``.env`` in the
working folder, ``facelabel.toml`` (in the working folder, else in the user's configuration
folder, or where ``FACELABEL_CONFIG`` points), default. The original app's environment variables
keep their exact names; each setting also has a ``FACELABEL_…`` name.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import parse_qs, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from facelabel.errors import ConfigurationError
from facelabel.inputs import reading
from facelabel.media.types import ApiKey
from facelabel.settings import checks
from facelabel.settings.addresses import is_loopback, is_only_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX = "FACELABEL_"
DYNAMODB = "dynamodb://"
CONFIG_VARIABLE = "FACELABEL_CONFIG"
FILE_NAME = "facelabel.toml"
ENV_FILE = ".env"
#: Metadata field and context key for names where none is given.
DEFAULT_FIELD = "people"
#: Settings whose default says something, and the empty value something else.
_MEANT_EMPTY = frozenset({"face_recognition_folder", "transformation_params"})
#: A folder or file; ``~`` is the user's home.
_Place = Annotated[Path, BeforeValidator(checks.place)]


class Settings(BaseSettings):
    """What a user can set; construct through :func:`load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    data: _Place = Field(
        default_factory=lambda: _own("data"),
        description="Data folder: database, originals, search index; with PostgreSQL the same one"
        " for all machines.",
    )
    models: _Place = Field(
        default_factory=lambda: _own("models"),
        description="Cache folder of the face models; may be baked into an image.",
    )
    store: Annotated[SecretStr, AfterValidator(checks.store)] | None = Field(
        default=None,
        description="sqlite:///path, postgresql://user:password@host/name (see"
        " docs/howto/postgresql.md) or dynamodb://table; default: facelabel.db in the data folder.",
    )
    queue: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="With store dynamodb://…: URL of the SQS queue of jobs …",
    )
    dead_letters: str = Field(
        default="", pattern=r"^(https?://\S+)?$", description="… and of those that failed."
    )
    collection_parameter: str = Field(
        default="",
        pattern=r"^[a-zA-Z0-9_.\-/]*$",
        description="SSM parameter that keeps the name of the live collection, too.",
    )
    training_folder: Annotated[str, AfterValidator(checks.folder)] = Field(
        default="training",
        validation_alias="trainingFolder",
        description="Folder whose labelled images teach the faces.",
    )
    face_recognition_folder: Annotated[str, AfterValidator(checks.folder)] = Field(
        default="assets",
        validation_alias="faceRecognitionFolder",
        description="Folder whose images are searched and tagged; empty: the whole library.",
    )
    face_label_tag_prefix: Annotated[str, AfterValidator(checks.tag_prefix)] = Field(
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
    stranger_chance: float | None = Field(
        default=None,
        ge=0.0,
        le=100.0,
        allow_inf_nan=False,
        description="Largest chance, in percent, that a stranger gets some name (1, or 0 where"
        " people were known before there was this setting): the more portraits, the more alike a"
        " face has to be; 0: the threshold alone. Not with Amazon's similarities.",
    )
    rekognition_collection: Annotated[str, AfterValidator(checks.collection)] = Field(
        default="cld-rekog",
        validation_alias="rekognitionCollection",
        description="Name of the face collection.",
    )
    cloudinary_url: Annotated[SecretStr, AfterValidator(checks.cloudinary_url)] | None = Field(
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
    names_to: Annotated[str, AfterValidator(checks.names_to)] = Field(
        default="tags",
        description="Where names go: tags, metadata, context; several with commas between.",
    )
    names_prefix: Annotated[str, AfterValidator(checks.names_prefix)] = Field(
        default="", description="What stands before a name in a tag, such as person: or nothing."
    )
    people_field: Annotated[str, AfterValidator(checks.external_id)] = Field(
        default="",
        description="Metadata field (external_id) that labels training images and takes names.",
    )
    people_context: str = Field(
        default=DEFAULT_FIELD,
        min_length=1,
        max_length=100,
        description="Context key that takes names.",
    )
    notification_keys: Annotated[SecretStr, AfterValidator(checks.notification_keys)] | None = (
        Field(
            default=None,
            description="More keys that may sign notifications, while keys change: key:secret,…",
        )
    )
    signature_algorithm: Literal["any", "sha1", "sha256"] = Field(
        default="any", description="What Cloudinary signs with, as set in the account."
    )
    poll_channel: Annotated[str, AfterValidator(checks.channel)] = Field(
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
    cloud_name: Annotated[str, AfterValidator(checks.cloud_name)] = Field(
        default="local", description="Cloud name of the local library."
    )
    require_keys: bool = Field(
        default=False,
        description="Ask programs on this computer for a key, too: behind a proxy that hides"
        " whom it passes on.",
    )
    trusted_proxies: Annotated[str, AfterValidator(checks.networks)] = Field(
        default="",
        description="Proxies of yours whose X-Forwarded-For tells clients apart for limits:"
        " addresses or networks, with commas between.",
    )
    allowed_origins: Annotated[str, AfterValidator(checks.origins)] = Field(
        default="",
        description="Origins whose pages may call with keys, such as https://app.example.com;"
        " several with commas between.",
    )
    public_delivery: bool = Field(
        default=False,
        description="Deliver pictures to anybody who knows their URL when serving other computers.",
    )
    notification_hosts: Annotated[str, AfterValidator(checks.hosts)] = Field(
        default="",
        description="Hosts that a notification_url which nobody signed may name, with commas"
        " between.",
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
    faces: Literal["auto", "rekognition", "local"] = Field(
        default="auto",
        description="Who knows faces; auto: rekognition if rekognitionCollection is set and AWS"
        " credentials are found, else local.",
    )
    rekognition_detection: Literal["auto", "rekognition", "local"] = Field(
        default="auto",
        description="Who finds the faces that Rekognition learns and searches; local: our models,"
        " free; auto: local where models are installed.",
    )
    rekognition_users: bool = Field(
        default=False,
        description="Make a Rekognition user of each person, whose faces are searched as one.",
    )
    rekognition_rate: float = Field(
        default=0.0,
        ge=0.0,
        le=10_000.0,
        allow_inf_nan=False,
        description="Most calls a second of each Rekognition operation; 0: the region's quota.",
    )
    quality_filter: Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"] = Field(
        default="AUTO",
        description="How poor a face Rekognition may search for or learn: its QualityFilter.",
    )
    look_again_hours: float = Field(
        default=1.0,
        ge=0.0,
        le=8760.0,
        allow_inf_nan=False,
        description="With Rekognition: hours in which a picture with unnamed faces is searched"
        " again when somebody is learnt.",
    )
    rekognition_throttle: float = Field(
        default=0.0,
        ge=0.0,
        le=1_000_000.0,
        allow_inf_nan=False,
        description="Calls a second that our Rekognition endpoint answers; 0: all.",
    )
    s3_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Where our Rekognition endpoint gets S3 objects: the address of an S3 store …",
    )
    s3_folder: _Place | None = Field(
        default=None, description="… or a folder, in it one for each bucket."
    )
    pack: Annotated[str, AfterValidator(checks.pack)] = Field(
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
    device: Literal["auto", "cpu", "cuda", "coreml", "directml", "openvino"] = Field(
        default="auto",
        description=(
            "What face models run on; auto: CUDA, DirectML or OpenVINO where its package is"
            " installed and works, else the processor."
        ),
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
        toml = InitSettingsSource(settings_cls, _table(config_file()))
        return init_settings, env_settings, dotenv_settings, toml


def _is_own(url: str) -> bool:
    """Whether the address of the API in a CLOUDINARY_URL is on this computer."""
    prefix = parse_qs(urlsplit(url).query).get("upload_prefix", [""])[0]
    return is_loopback(urlsplit(prefix).hostname or "")


def config_file() -> Path | None:
    """The TOML file to read, if there is one."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    places = [Path(FILE_NAME)]
    with suppress(ConfigurationError):
        places.append(_own("config") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _own(what: str) -> Path:
    """The user's own folder for data, models or configuration."""
    try:
        path = {
            "data": platformdirs.user_data_path,
            "models": platformdirs.user_cache_path,
            "config": platformdirs.user_config_path,
        }[what]("facelabel")
    except RuntimeError:
        path = Path("~")
    if path.parts[0] == "~":  # as older versions leave it
        raise ConfigurationError(
            "no home folder is known here: set HOME, or FACELABEL_DATA and FACELABEL_MODELS"
        )
    return path / "models" if what == "models" else path


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
    try:
        _check_file(config_file())
        return Settings(**given)  # type: ignore[arg-type] # checked by pydantic itself
    except ValidationError as error:
        lines = [_explain(detail, given) for detail in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{ENV_FILE} is no text in UTF-8: {error}") from None
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} {reading.why(error)}; {CONFIG_VARIABLE} may name another file"
        ) from None


def _table(path: Path | None) -> dict[str, object]:
    """What the TOML file says, if there is one; ConfigurationError if it cannot be read."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Windows' editors put a mark before it
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = reading.why(error) if isinstance(error, OSError) else f"cannot be read: {error}"
        raise ConfigurationError(f"{path} {why}") from None


def _check_file(path: Path | None) -> None:
    """A key in the TOML file that would do nothing is refused, not ignored."""
    known = {key for name in Settings.model_fields for key in _keys(name)}
    unknown = sorted(_table(path).keys() - known)
    if unknown:
        told = (f"{key}{_meant(key)}" for key in unknown)
        raise ConfigurationError(f"{path} has unknown settings: {', '.join(told)}")


def _keys(name: str) -> tuple[str, ...]:
    """How the TOML file may call a setting: the original app's name first where there is one."""
    alias = Settings.model_fields[name].validation_alias
    return (alias, name) if isinstance(alias, str) else (name,)


def _meant(key: str) -> str:
    """Which key it should be, where somebody wrote the environment variable's name."""
    name = key.removeprefix(PREFIX).lower()
    return f" (there it is {name})" if key != name and name in Settings.model_fields else ""


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
    kept = DotEnvSettingsSource(Settings).env_vars  # its keys are in small letters
    for variable in variables(name):
        if variable.lower() in kept:
            return f"{variable} (in {ENV_FILE})", kept[variable.lower()]
    path = config_file()
    table = _table(path)
    key = next((key for key in _keys(name) if key in table), name)
    return f"{key} (in {path})", table.get(key)


def may_be_empty(name: str) -> bool:
    """Whether an empty value of a setting says something; of a path, it never does."""
    return Settings.model_fields[name].default == "" or name in _MEANT_EMPTY


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def _help(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")
