"""Who may call: signatures of the configured keys, or anybody where no key is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.rekognition import sigv4
from facelabel.rekognition.error_codes import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from facelabel.web.rekognition_api.context import Context

#: Status of what is refused to who shows no key, as Amazon documents.
FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature, and the secret that it should have been made with."""

    authorization: sigv4.Authorization
    secret: str = field(repr=False)


def claim(context: Context, header: str, *, needs_key: bool) -> Claim | None:
    """Whose key a call claims to come with, which its headers tell; None where it needs none.

    Where no key is needed AWS's clients still sign, with whatever they have: those signatures
    cannot be checked. One that claims to be of a key of ours can, and is.

    Args:
        context: knows the keys.
        header: ``Authorization``; "" where there is none.
        needs_key: whether it has to be signed with one of them.

    Raises:
        Refusal: MissingAuthenticationTokenException, UnrecognizedClientException or
            IncompleteSignatureException.

    """
    if not header:
        if needs_key:
            raise Refusal(
                "MissingAuthenticationTokenException", "Missing Authentication Token", FORBIDDEN
            )
        return None
    try:
        authorization = sigv4.parse(header)
    except Refusal:
        if needs_key:
            raise
        return None
    keys = context.keys()
    secret = next((key.secret for key in keys if key.key == authorization.key), None)
    if secret is None and needs_key:
        raise Refusal(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    return Claim(authorization, secret) if secret is not None else None


def signed(request: Request, body: bytes) -> sigv4.Request:
    """What of a request a signature is about."""
    scope = request.scope
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return sigv4.Request(request.method, path, query, headers, body)
