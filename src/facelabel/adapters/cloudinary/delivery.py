"""Where an image is delivered from, in the form that recognition wants."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from cloudinary.utils import cloudinary_url

from facelabel.core.model import Asset

if TYPE_CHECKING:
    from facelabel.adapters.cloudinary.account import Account


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
