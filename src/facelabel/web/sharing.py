"""What browsers are told: which pages may read an answer (CORS), and what may be made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.web.entry import Door, Entry

if TYPE_CHECKING:
    from facelabel.web.entry import Caller, Policy

#: What pages may send, besides what they always may: Cloudinary's uploads in parts, AWS's SDK.
SENT = (
    *("Authorization", "Cache-Control", "Content-Range", "Content-Type", "If-None-Match", "Range"),
    *("X-Requested-With", "X-Unique-Upload-Id", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request"),
    *("X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target"),
    "X-Amz-User-Agent",
)
#: What they may read, besides the same.
READ = (
    *("Content-Length", "Content-Range", "ETag", "Retry-After", "X-Amzn-RequestId", "X-Cld-Error"),
    *("X-FeatureRateLimit-Limit", "X-FeatureRateLimit-Remaining", "X-FeatureRateLimit-Reset"),
    "X-Request-Id",
)
#: The header that names who may read.
ALLOWED = "Access-Control-Allow-Origin"
#: Seconds for which a browser remembers what it may.
REMEMBERED = 600


def headers(policy: Policy, door: Door | None, caller: Caller) -> dict[str, str]:
    """What every answer says, errors too: a page that may ask has to see why it was refused."""
    told = _readers(policy, door, caller)
    is_shared = bool(told)
    if is_shared:
        told["Access-Control-Expose-Headers"] = ", ".join(READ)
    # The URL that was signed is what lets in, wherever the picture is shown.
    is_by_url = door is Door.DELIVERY and policy.entry(door, policy.standing(caller)) is Entry.KEY
    site = "cross-origin" if is_shared or is_by_url else "same-origin"
    told["Cross-Origin-Resource-Policy"] = site
    told["X-Content-Type-Options"] = "nosniff"
    is_same_for_all = told.get(ALLOWED) == "*" and door is Door.DELIVERY
    return told if is_same_for_all else told | {"Vary": "Origin"}


def preflight(policy: Policy, door: Door | None, caller: Caller, method: str) -> dict[str, str]:
    """What a browser is told that asks first; nothing that lets it go on where pages may not."""
    told = _readers(policy, door, caller)
    if told:
        told |= {
            "Access-Control-Allow-Methods": method,
            "Access-Control-Allow-Headers": ", ".join(SENT),
            "Access-Control-Max-Age": str(REMEMBERED),
        }
    asked = "Access-Control-Request-Method, Access-Control-Request-Headers"
    return told | {"Vary": f"Origin, {asked}"}


def _readers(policy: Policy, door: Door | None, caller: Caller) -> dict[str, str]:
    """Whose pages may read the answer; nothing where none may but our own."""
    is_same_for_all = door is Door.DELIVERY and door in policy.shared_doors
    if caller.origin in policy.allowed_origins and not is_same_for_all:
        return {
            ALLOWED: caller.origin,
            "Access-Control-Allow-Credentials": "true",
        }
    return {ALLOWED: "*"} if door in policy.shared_doors else {}
