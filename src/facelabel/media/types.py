"""The words of the media library, in Cloudinary's sense: what its API speaks of.

The pipeline gets by with :class:`~facelabel.core.model.Asset`; these are for whoever serves,
fills and searches a library. Frozen values, no input or output.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from facelabel.core.names import MAX_TAG_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.jobs import JobRequest
    from facelabel.core.model import Asset, Json, JsonValue

RESOURCE_TYPES = ("image", "raw", "video")
#: Of what lies in the library, in the order we look for one.
DELIVERY_TYPES = ("upload", "private", "authenticated")
MODERATION_STATUSES = ("pending", "approved", "rejected")
#: Characters of a public_id, a folder, a key, the name of anything, as of a tag.
MAX_NAME = MAX_TAG_LENGTH
#: What can be an asset_id, whatever was typed: a driver may choke on the rest.
ASSET_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class AssetKey:
    """What names an asset: two of different kinds may share a public_id."""

    public_id: str
    resource_type: str = "image"
    #: Delivery type: upload, private or authenticated.
    type: str = "upload"

    @classmethod
    def of(cls, asset: Asset) -> AssetKey:
        """What names the asset."""
        return cls(asset.public_id, asset.resource_type, asset.type)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One pair of credentials; the secret never leaves the process in clear."""

    key: str
    secret: str = field(repr=False)

    @classmethod
    def several(cls, text: str) -> tuple[ApiKey, ...]:
        """Read ``key:secret``, several with commas between."""
        return tuple(cls(*pair.strip().split(":", 1)) for pair in text.split(",") if pair.strip())


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a change, and who else wants to hear of it."""

    #: The API key used.
    id: str = ""
    source: str = "api"
    request_id: str = ""
    #: Notification URLs given with this one call.
    notification_urls: tuple[str, ...] = ()
    #: What the caller calls everything that belongs together; "" if nothing does.
    batch_id: str = ""


#: Of a change that nobody is named for.
NOBODY = Origin()


class ChangeKind(enum.StrEnum):
    """What happened, by the notification_type that tells of it."""

    UPLOAD = "upload"
    TAGS = "resource_tags_changed"
    CONTEXT = "resource_context_changed"
    METADATA = "resource_metadata_changed"
    DISPLAY_NAME = "resource_display_name_changed"
    RENAME = "rename"
    MOVE = "move"
    DELETE = "delete"
    MOVE_FOLDER = "move_or_rename_asset_folder"
    CREATE_FOLDER = "create_folder"
    DELETE_FOLDER = "delete_folder"


@dataclass(frozen=True, slots=True)
class AssetChange:
    """One asset before and after; None where it was not or is not there."""

    before: Asset | None
    after: Asset | None

    @property
    def added_tags(self) -> list[str]:
        """Those that it did not have before, in their order."""
        former = self.before.tags if self.before else ()
        return [tag for tag in self.after.tags if tag not in former] if self.after else []

    @property
    def removed_tags(self) -> list[str]:
        """Those that it has no longer, in their order."""
        kept = self.after.tags if self.after else ()
        return [tag for tag in self.before.tags if tag not in kept] if self.before else []


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened in the library, to one asset or to many at once."""

    kind: ChangeKind
    assets: tuple[AssetChange, ...] = ()
    #: Of folder changes: where it was …
    from_path: str = ""
    #: … and is.
    to_path: str = ""
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of an image file says; pixels of the upright picture."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be stored and everything known about it."""

    key: AssetKey
    data: bytes = field(repr=False)
    format: str
    width: int = 0
    height: int = 0
    folder: str = ""
    #: Original file name with extension; "" if there is none.
    filename: str = ""
    display_name: str = ""
    #: None leaves what stands there as it is; all others replace it.
    tags: Sequence[str] | None = None
    context: Mapping[str, str] | None = None
    #: Merged field by field.
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    #: Merged key by key: face_coordinates, custom_coordinates, moderation …
    details: Json = field(default_factory=dict)
    #: Without it an asset that stands there is returned untouched.
    overwrite: bool = True


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of assets, all of it in one step; what is None or empty stays."""

    #: Replaces all tags …
    tags: Sequence[str] | None = None
    #: … then these are added …
    add_tags: Sequence[str] = ()
    #: … and these removed.
    remove_tags: Sequence[str] = ()
    #: Replaces the whole context …
    context: Mapping[str, str] | None = None
    #: … then these keys are set, None removing one.
    set_context: Mapping[str, str | None] = field(default_factory=dict)
    #: Fields to set, None removing one.
    set_metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    folder: str | None = None
    display_name: str | None = None
    #: Keys to set, None removing one.
    set_details: Mapping[str, JsonValue] = field(default_factory=dict)
    public_id: str | None = None
    #: Delivery type.
    type: str | None = None
    #: With ``public_id``: delete who has it, instead of AlreadyExists.
    overwrite: bool = False


class Compare(enum.StrEnum):
    """How a field is compared."""

    EQUALS = "="
    #: Contains the word, case-insensitive; on lists: one of their words.
    TOKEN = ":"  # noqa: S105 - no password
    PREFIX = "^"
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    #: Has any value at all.
    EXISTS = "*"


@dataclass(frozen=True, slots=True)
class Where:
    """A test of one field.

    Fields: public_id, asset_id, resource_type, type, format, folder (the asset's folder; with
    PREFIX that folder and all below), filename, display_name, tags, context.<key>,
    metadata.<external_id>, bytes, width, height, aspect_ratio, pixels, version, created_at,
    uploaded_at, updated_at (seconds since the epoch), etag, details.<key>, and "" for any text
    (public_id, display_name, filename, folder, tags, context values).
    """

    field: str
    test: Compare
    value: str | float = ""


@dataclass(frozen=True, slots=True)
class And:
    """All conditions hold; none: always true."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """One of the conditions holds; none: never true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition: TypeAlias = Where | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some assets of a selection."""

    assets: tuple[Asset, ...]
    #: Continues the same selection; None at its end.
    cursor: str | None
    #: How many the whole selection has; -1 where nobody asked.
    total: int = -1


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the library."""

    path: str
    external_id: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified notification, read."""

    #: SHA-256 of the raw body, hexadecimal: the same body again is the same delivery.
    digest: str
    requests: tuple[JobRequest, ...]


class DocumentKind(enum.StrEnum):
    """Small things of the library that are kept as they came, by name."""

    METADATA_FIELD = "metadata_field"
    UPLOAD_PRESET = "upload_preset"
    TRIGGER = "trigger"
    TRANSFORMATION = "transformation"
