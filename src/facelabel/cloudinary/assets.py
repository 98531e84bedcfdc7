"""An asset as Cloudinary's answers and notifications describe it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json

#: What stands in a delivery URL as it is.
_PLAIN = "_.-/:"
#: The same of a transformation.
_STEPS = ",:_.-/$!()"
#: Hexadecimal digits of an MD5, which clients expect of an etag.
_MD5 = 32


def describe(
    asset: Asset, *, cloud_name: str, base_url: str, fixed_folders: bool, secret: str = ""
) -> Json:
    """What an upload answers about the asset, without the signature.

    ``base_url``: where files are delivered from, without the cloud's name and a slash at its end.
    ``secret``: see :func:`delivery_url`.
    Keys that say nothing (size of a raw file, context and metadata where there are none) are
    absent, as Cloudinary's are; tags are always there.
    """
    # What names this very content.
    version = f"{asset.asset_id}/{asset.version}".encode()
    url = delivery_url(asset, cloud_name=cloud_name, base_url=base_url, secret=secret)
    optional: Json = {
        "width": asset.width,
        "height": asset.height,
        "format": asset.format,
        "original_filename": PurePosixPath(asset.filename).stem,
        "context": {"custom": dict(asset.context)} if asset.context else None,
        "metadata": dict(asset.metadata),
    }
    return {
        "asset_id": asset.asset_id,
        "public_id": asset.public_id,
        "version": asset.version,
        "version_id": hashlib.md5(version, usedforsecurity=False).hexdigest(),
        "resource_type": asset.resource_type,
        "created_at": iso(asset.created_at),
        "tags": list(asset.tags),
        "bytes": asset.bytes,
        "type": asset.type,
        "etag": asset.etag[:_MD5],
        "placeholder": False,
        "url": url,
        "secure_url": url,
        **place(asset, fixed_folders=fixed_folders),
        **{key: value for key, value in optional.items() if value},
    }


def place(asset: Asset, *, fixed_folders: bool) -> Json:
    """Where the asset lies, in the words of the folder mode."""
    if fixed_folders:
        return {"folder": asset.folder}
    return {"asset_folder": asset.folder, "display_name": display_name(asset)}


def display_name(asset: Asset) -> str:
    """The asset's title; the last part of its public_id if it was never given one."""
    return asset.display_name or asset.public_id.rpartition("/")[2]


def delivery_url(
    asset: Asset, *, cloud_name: str, base_url: str, steps: str = "", secret: str = ""
) -> str:
    """Where the original, or an image made of it, is delivered, escaped as by Cloudinary's SDKs.

    ``steps``: the transformation as it is, not escaped. With a ``secret`` the URL is signed.
    """
    name = asset.public_id
    if asset.resource_type != "raw":  # a raw file's public_id has its extension
        name = f"{name}.{asset.format}"
    # A name that is escaped already stays as it is.
    name = quote(unquote(name), safe=_PLAIN).replace("~", "%7E")
    parts = [base_url, cloud_name, asset.resource_type, asset.type]
    if secret:
        parts.append(signing.sign_delivery("/".join(filter(None, [steps, name])), secret))
    if steps:
        parts.append(quote(steps, safe=_STEPS))
    return "/".join([*parts, f"v{asset.version}", name])


def iso(at: float) -> str:
    """A time in whole seconds, as in created_at: 2024-06-25T10:21:27Z."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
