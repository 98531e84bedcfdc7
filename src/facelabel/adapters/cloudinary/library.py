"""Pictures on Cloudinary.

Reading goes through the Admin API, which answers so many calls an hour, and writing through the
Upload API, which has no such limit. Names and labels are written with ``add_tag`` and
``remove_tag`` alone, which change what they name and nothing else.

Images are fetched from where they are delivered, in the form that recognition wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from cloudinary import api, uploader
from cloudinary.utils import cloudinary_url

from facelabel.adapters.cloudinary.catalogue import Catalogue, escaped
from facelabel.adapters.cloudinary.client import Api
from facelabel.adapters.cloudinary.uploads import Picture, Uploads, checked_context, checked_tags
from facelabel.core.model import Asset
from facelabel.errors import AlreadyExists, Denied, NotFound, OriginalMissing
from facelabel.media.types import ASSET_ID, AssetKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.adapters.cloudinary.account import Account
    from facelabel.adapters.cloudinary.catalogue import FolderMode
    from facelabel.adapters.cloudinary.client import Client, SdkCall
    from facelabel.core.clock import Clock

#: Tags in one call; tags times assets may be 1000.
TAGS_AT_ONCE = 500


class CloudinaryLibrary:
    """Pictures on Cloudinary; implements :class:`facelabel.media.ports.EditableLibrary`."""

    def __init__(
        self,
        client: Client,
        download: Callable[[str], bytes],
        clock: Clock,
        *,
        transformation: str = "q_auto",
        max_side: int = 2048,
        folder_mode: FolderMode = "auto",
        page: int = 500,
    ) -> None:
        """Nothing is asked before it is needed.

        ``download`` gets a file from one of the account's delivery hosts; NotFound, Denied,
        Rejected, Unavailable. ``transformation``: the user's, of images to recognise.
        ``max_side``: pixels, of the same images. ``folder_mode``: "auto" asks the account.
        ``page``: assets asked for in one call, 500 at most.
        """
        self._client = client
        self._download = download
        self._steps = recognition_steps(transformation, max_side)
        self._catalogue = Catalogue(client, clock, folder_mode, page)
        self._uploads = Uploads(client, self._catalogue)

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""
        return self._catalogue.asset(asset_id)

    def find(self, public_id: str) -> Asset | None:
        """Return the image of that public_id, whatever its delivery type.

        As in any list of Cloudinary's, its etag and its file name are not told.
        """
        return self._catalogue.find(public_id)

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, each once, fetched page by page.

        Folder by folder where folders are told apart from public_ids, else in Cloudinary's order.
        """
        return self._catalogue.images(folder.strip("/"))

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """Uploaded images whose public_id begins so, so many at most; asset_ids are not looked at.

        Takes one call; where there are more, Cloudinary chooses.
        """
        return self._catalogue.beginning(text, limit)

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """Paths of the folders right below a parent, by name; none without the parent."""
        return self._catalogue.subfolders(parent.strip("/"))

    def fetch(self, asset: Asset) -> bytes:
        """Return the image as a JPEG, upright and not larger than needed.

        Raises NotFound if it is gone, OriginalMissing if it is only not delivered, as for a while
        after it was renamed, Denied where Cloudinary does not deliver it.
        """
        self._client.count(Api.DELIVERY)
        url = delivery_url(self._client.account, asset, self._steps)
        try:
            return self._download(url)
        except NotFound as error:
            if self.asset(asset.asset_id) is None:
                raise
            raise OriginalMissing(
                f"Cloudinary knows {asset.public_id!r} and does not deliver it: {error}"
            ) from error
        except Denied as error:
            raise Denied(
                f"Cloudinary does not deliver {asset.public_id!r}: {error}. Does the account allow"
                " this transformation (strict transformations), and is the API secret right?"
            ) from error

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Add tags atomically; those already there stay. NotFound if the asset is gone."""
        self._tag(uploader.add_tag, asset_id, tags)

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Remove tags atomically; those not there are no error. NotFound if the asset is gone."""
        self._tag(uploader.remove_tag, asset_id, tags)

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """Set contextual metadata keys; None removes a key. NotFound if the asset is gone.

        Cloudinary can add keys, and replace all. To remove one the others are read and written
        back at once: a key that somebody else sets between these two calls is lost.
        """
        added = {key: value for key, value in values.items() if value is not None}
        if len(added) < len(values):
            asset = self._catalogue.required(asset_id)
            kept = {k: v for k, v in {**asset.context, **values}.items() if v is not None}
            if asset.context.keys() - kept.keys():
                self._replace_context(asset, kept)
                return
        if added:
            self._write(asset_id, uploader.add_context, checked_context(added))

    def set_metadata(self, asset_id: str, field: str, values: Sequence[str]) -> None:
        """Make these the values of a structured metadata field; none clears it.

        A field that does not exist is made: a set, open for new values. NotFound if the asset is
        gone, Rejected if the field takes no such values.
        """
        fields = self._catalogue.fields
        if values or fields.exists(field):
            written = {field: fields.values(field, list(dict.fromkeys(values)))}
            self._write(asset_id, uploader.update_metadata, written)

    def upload(
        self,
        data: bytes,
        *,
        folder: str = "",
        filename: str = "",
        public_id: str | None = None,
        tags: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
        on_existing: Callable[[], None] | None = None,
    ) -> Asset:
        """Store an image; same public_id replaces content, and tags where given.

        As :class:`facelabel.media.ports.EditableLibrary` says, except that a file name goes along
        with new content only, and that a public_id rules where it has the folder in it.
        """
        wanted = None if tags is None else checked_tags(tags)
        picture = Picture(data, folder.strip("/"), filename, public_id, wanted, context or {})
        asset = self._uploads.store(picture, on_existing or (lambda: None))
        if not self._catalogue.is_dynamic or picture.folder in {"", asset.folder}:
            return asset
        return self.move(asset.asset_id, picture.folder)

    def move(self, asset_id: str, folder: str) -> Asset:
        """Put the asset into another folder, keeping its asset_id.

        With a fixed folder mode the public_id changes with it.
        """
        asset, folder = self._catalogue.required(asset_id), folder.strip("/")
        if asset.folder == folder:
            return asset
        if not self._catalogue.is_dynamic:
            name = asset.public_id.rpartition("/")[2]
            return self.rename(asset_id, f"{folder}/{name}".lstrip("/"))
        # The Upload API drops the empty name of the root.
        raw = self._client.admin(
            api.update, escaped(asset.public_id), type=asset.type, asset_folder=folder
        )
        return self._catalogue.read(raw)

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """Give the asset another public_id; AlreadyExists if it is taken."""
        asset = self._catalogue.required(asset_id)
        if asset.public_id == public_id:
            return asset
        try:
            raw = self._client.upload(
                uploader.rename, asset.public_id, public_id, type=asset.type, invalidate=True
            )
        except (AlreadyExists, NotFound):
            # Or it is ours already: the answer to a first try was lost.
            now = self._catalogue.asset(asset_id)
            if now is None or now.public_id != public_id:
                raise
            return now
        return self._catalogue.read(raw)

    def delete(self, asset_id: str) -> None:
        """Delete the asset and its copies in the CDN; no error if it is gone."""
        if ASSET_ID.fullmatch(asset_id):
            self._client.admin(api.delete_resources_by_asset_ids, [asset_id], invalidate=True)

    def _tag(self, command: SdkCall, asset_id: str, tags: Sequence[str]) -> None:
        wanted = checked_tags(tags)
        for at in range(0, len(wanted), TAGS_AT_ONCE):
            self._write(asset_id, command, wanted[at : at + TAGS_AT_ONCE])

    def _write(self, asset_id: str, command: SdkCall, values: object) -> None:
        """Change an asset by its public_id; by its new one, if it has just been renamed."""
        known = self._catalogue.keys.get(asset_id)
        if known and self._reached(known, command, values):
            return
        asset = self._catalogue.required(asset_id)
        if not self._reached(AssetKey.of(asset), command, values):
            raise NotFound(f"there is no asset {asset_id!r} any more")

    def _reached(self, key: AssetKey, command: SdkCall, values: object) -> bool:
        """Whether there was such an asset: the API leaves out those that are not there."""
        answer = self._client.upload(
            command, values, [key.public_id], resource_type=key.resource_type, type=key.type
        )
        return bool(answer.get("public_ids"))

    def _replace_context(self, asset: Asset, context: Mapping[str, str]) -> None:
        if context:
            encoded = checked_context(context)
            self._client.upload(
                uploader.explicit, asset.public_id, type=asset.type, context=encoded
            )
        else:
            self._client.upload(uploader.remove_all_context, [asset.public_id], type=asset.type)


def recognition_steps(transformation: str, max_side: int) -> str:
    """The user's transformation, then ours as a step of its own.

    Ours comes last, so that whatever the user's step makes is a JPEG of a bearable size: smaller
    if it must be, never larger. Cloudinary turns pictures upright on its own.
    """
    ours = f"c_limit,f_jpg,h_{max_side},w_{max_side}"
    return "/".join(filter(None, [transformation.strip().strip("/"), ours]))


def delivery_url(account: Account, asset: Asset, transformation: str) -> str:
    """The signed URL of this very version of the asset, as a JPEG.

    Signed whatever its type, because an account may refuse transformations that are not.
    """
    url, _ = cloudinary_url(
        quote(asset.public_id, safe="/"),  # the SDK unquotes before it quotes
        resource_type=asset.resource_type,
        type=asset.type,
        version=asset.version,
        format="jpg",  # or the last part of "john.smith" would be taken for one
        raw_transformation=transformation,
        sign_url=True,
        auth_token=False,
        long_url_signature=account.long_url_signature,
        **_place(account),
        **account.call_options(),
    )
    return str(url)


def delivery_hosts(account: Account) -> frozenset[str]:
    """The hosts, with a port where it is not the scheme's own, that the account delivers from."""
    any_asset = Asset("", "x", "", 1, "jpg", 0, "")
    return frozenset({urlsplit(delivery_url(account, any_asset, "")).netloc})


def _place(account: Account) -> dict[str, object]:
    return {
        "secure": account.secure,
        # The SDK heeds a CNAME for http alone.
        "secure_distribution": account.secure_distribution or account.cname or None,
        "cname": account.cname or None,
        "private_cdn": account.private_cdn,
        "cdn_subdomain": False,
        "secure_cdn_subdomain": False,
        "force_version": True,
        "shorten": False,
        "use_root_path": False,
    }
