"""Requests that others could read differently, and paths that the service takes, too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

#: Calls of the Upload API, however many slashes there are.
_UPLOADING = re.compile(r"/+v1_1/+([^/]+)/+(image|video|raw|auto|asset)/+([^/]+)/*")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"


def is_ambiguous(scope: Scope) -> bool:
    """Whether a proxy before us may have seen the request end elsewhere (RFC 9112, 6.1).

    Everything else of the kind (several lengths, several codings, unknown ones, a space before a
    colon) h11 refuses by itself.
    """
    names = {name for name, _ in scope["headers"]}
    return _CODING in names and (_LENGTH in names or scope["http_version"] == "1.0")


def tidied(scope: Scope) -> Scope:
    """The request with a path as our routes have it: clients put slashes behind it, or too many."""
    found = _UPLOADING.fullmatch(scope["path"])
    return {**scope, "path": "/".join(["/v1_1", *found.groups()])} if found else scope
