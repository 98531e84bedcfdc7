"""What every endpoint needs, handed to it when the routes are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from facelabel.core.label_policy import LabelPolicy
from facelabel.web.http.budget import Budget
from facelabel.web.http.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.cloudinary.ports import Renderer
    from facelabel.core.clock import Clock
    from facelabel.core.model import Box
    from facelabel.media.ports import MediaLibrary, Messages
    from facelabel.media.types import ApiKey, ImageHeader

#: Uploads worked on at once: each has its file in memory.
_UPLOADS = 8
#: Files fetched at once.
_FETCHES = 16


class DerivedCache(Protocol):
    """Bytes made of originals, by key."""

    def get(self, etag: str, key: str) -> bytes | None:
        """Return what was kept of an original under a key."""

    def put(self, etag: str, key: str, data: bytes) -> None:
        """Keep something made of an original; the least recently used goes when it is too much."""

    def drop(self, etag: str) -> None:
        """Delete everything made of an original."""


@dataclass(frozen=True, slots=True)
class Context:
    """The local library and everything around it."""

    media: MediaLibrary
    messages: Messages
    renderer: Renderer
    derived: DerivedCache
    clock: Clock
    #: The active keys, the oldest first; read anew for every request, as keys may be rotated.
    keys: Callable[[], Sequence[ApiKey]]
    #: Downloads a remote file safely: (bytes, file name); Rejected, Unavailable.
    fetch: Callable[[str], tuple[bytes, str]]
    #: Format and size of an image; UnreadableImage.
    inspect: Callable[[bytes], ImageHeader]
    #: Boxes of the faces of an image, as ratios of the upright image.
    detect: Callable[[bytes], Sequence[Box]]
    cloud_name: str = "local"
    fixed_folders: bool = False
    #: Where this server is reached, for the URLs in answers: "http://127.0.0.1:8765".
    base_url: str = "http://127.0.0.1:8765"
    #: What the bodies of all requests may take.
    budget: Budget = field(default_factory=Budget)
    #: Where uploads are worked on, and where those wait whose file another server has.
    uploads: Lanes = field(default_factory=lambda: Lanes(_UPLOADS, _UPLOADS // 2))
    fetches: Lanes = field(default_factory=lambda: Lanes(_FETCHES, _FETCHES // 4))
    #: Of one request's body.
    max_body_bytes: int = 100 << 20
    #: Of one file, chunked uploads included.
    max_file_bytes: int = 200 << 20
    #: A folder for the parts of chunked uploads.
    scratch: str = ""
    #: Whether the delivery URLs in answers are signed even of pictures of the type upload: others
    #: than the programs on this computer are to follow them.
    signs_urls: bool = False
    #: Which folders, tags and fields say who is on a picture.
    label_policy: LabelPolicy = field(default_factory=LabelPolicy)
    #: Hosts that a notification_url may name which the call's signature says nothing of.
    notified_hosts: frozenset[str] = frozenset()
