"""What the calls of the Admin API have in common: routes, pages, parameters that recur."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from facelabel.errors import Rejected
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facelabel.core.model import JsonValue
    from facelabel.web.cloudinary_api.auth import Action
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params

#: Results of one page: unless asked for otherwise, and at most.
PAGE = 10
MAX_PAGE = 500
#: Names in one call.
MAX_IDS = 100


def route(context: Context, method: str, path: str, action: Action) -> ApiRoute:
    """The route of one call; ``path`` is what follows the cloud's name."""
    return ApiRoute(
        Api.ADMIN, f"/v1_1/{{cloud}}/{path}", auth.admin(context, action), methods=[method]
    )


def page_size(params: Params, default: int = PAGE) -> int:
    """How many results are asked for; too many are as many as there may be."""
    return min(params.number("max_results", default, low=1, high=10**9), MAX_PAGE)


def ids(params: Params, name: str) -> list[str]:
    """A list of names of assets, each once."""
    found = list(dict.fromkeys(params.texts(name)))
    if len(found) > MAX_IDS:
        raise ApiError(400, f"Too many {name} in one call, at most {MAX_IDS}")
    return found


def cut(names: Iterable[str], params: Params, default: int = PAGE) -> tuple[list[str], str | None]:
    """One page of names by the alphabet, and the cursor that continues behind it.

    The cursor is the last name shown: whatever comes and goes, no other is shown twice or left out.
    """
    size = page_size(params, default)
    shown_before = _opened(params.text("next_cursor"))
    rest = sorted(name for name in names if shown_before is None or name > shown_before)
    page = rest[:size]
    return page, _sealed(page[-1]) if len(rest) > size else None


def json_object(params: Params, name: str) -> Mapping[str, JsonValue]:
    """A parameter that is a JSON object; empty where it is not given."""
    value = params.values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ApiError(400, f"Invalid value for parameter {name}")
    return value


def moment(text: str) -> float:
    """A time in epoch seconds; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Rejected(f"{text[:40]!r} is no time: write 2026-01-31T12:00:00Z") from None


def _sealed(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _opened(cursor: str) -> str | None:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode() if cursor else None
    except (binascii.Error, ValueError):
        raise ApiError(400, "Invalid value for parameter next_cursor") from None
