"""Between HTTP and the operations: who asks, for what, and what they are answered."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from facelabel.errors import FacelabelError, NotFound, Rejected, TokenReused
from facelabel.inputs import scanning
from facelabel.rekognition import error_codes, sigv4, validation
from facelabel.rekognition.error_codes import (
    Refusal,
    missing_collection,
    missing_face,
    reused,
    throttled,
)
from facelabel.web.access import policy
from facelabel.web.access.policy import Requirement
from facelabel.web.http.budget import Limits, bounded
from facelabel.web.http.refusals import ApiError, Crowded, TooLarge
from facelabel.web.rekognition_api import collections, faces, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from facelabel.core.clock import Clock
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

_LOG = logging.getLogger(__name__)
#: An image of Amazon's 5 MiB makes 6.7 MiB of base64; bodies are held before anybody is verified.
LIMITS = Limits(body=8 << 20, window=10.0, patience=60.0)
_TYPE = "application/x-amz-json-1.1"
_PREFIX = "RekognitionService."
OPERATIONS: Mapping[str, Callable[[Context, Parameters], Json]] = {
    "AssociateFaces": users.associate,
    "CompareFaces": faces.compare,
    "CreateCollection": collections.create,
    "CreateUser": users.create,
    "DeleteCollection": collections.delete,
    "DeleteFaces": faces.delete,
    "DeleteUser": users.delete,
    "DescribeCollection": collections.describe,
    "DetectFaces": faces.detect,
    "DisassociateFaces": users.disassociate,
    "IndexFaces": faces.index,
    "ListCollections": collections.list_all,
    "ListFaces": faces.list_all,
    "ListTagsForResource": collections.list_tags,
    "ListUsers": users.list_all,
    "SearchFaces": faces.search,
    "SearchFacesByImage": faces.search_image,
    "SearchUsers": users.search,
    "SearchUsersByImage": users.search_image,
    "TagResource": collections.tag,
    "UntagResource": collections.untag,
}
#: Images of a call that compares two.
_IMAGES = 2
#: Status of what is refused to who shows no key, as Amazon documents.
FORBIDDEN = 403


class Endpoint:
    """Answers every call."""

    def __init__(self, context: Context, limits: Limits = LIMITS) -> None:
        """``limits``: what a call may take."""
        self._context = context
        self._limits = limits
        self._throttle = Throttle(context.throttle, context.clock)

    async def answer(self, request: Request) -> Response:
        """Read a call within limits, perform it where it may block, answer."""
        request_id = str(uuid.uuid4())
        try:
            async with bounded(request, self._limits) as arriving:
                # Whose call it is said to be: refused before its body is read.
                needs_key = policy.noted(request.scope) is not Requirement.OPEN
                header = ",".join(request.headers.getlist("authorization"))
                claim = claimed(self._context, header, needs_key=needs_key)
                body = await arriving.read()
                response = await run_in_threadpool(self._answered, request, body, claim, request_id)
        except ClientDisconnect:
            return Response(status_code=400)
        except Refusal as refusal:
            response = refused(refusal, request_id)
        except FacelabelError as error:  # the keys cannot be read
            response = self._failed(error, "", request_id)
        except ApiError as error:
            response = refused(_unread(error), request_id)
            response.headers.update(error.headers)
        response.headers["x-amzn-RequestId"] = request_id
        return response

    def _answered(
        self, request: Request, body: bytes, claim: Claim | None, request_id: str
    ) -> Response:
        operation = ""
        try:
            if claim:
                claim.check(request, body, self._context.clock.now())
            operation = _named(self._context, request.headers.get("x-amz-target", ""))
            self._throttle.take(operation)
            answer = _performed(self._context, operation, body)
            # No body at all where there is nothing to say, as Amazon documents.
            return Response(json.dumps(answer) if answer else b"", media_type=_TYPE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return self._failed(error, operation, request_id)

    def _failed(self, error: Exception, operation: str, request_id: str) -> Response:
        known = error_codes.refusal(operation, error)
        if known is None or known.status == error_codes.FAULT:
            _LOG.error("request %s (%s) failed", request_id, operation, exc_info=error)
        return refused(known or error_codes.internal(), request_id)


def forbidden(error: ApiError) -> Response:
    """The answer to who is not let in to begin with."""
    refusal = Refusal("AccessDeniedException", error.message, error.status)
    response = refused(refusal, str(uuid.uuid4()))
    response.headers.update(error.headers)
    return response


def refused(refusal: Refusal, request_id: str) -> Response:
    """The answer that tells of an error, in the form the developer guide shows."""
    content: Json = {
        "__type": refusal.code,
        "Code": refusal.code,
        "Logref": request_id,
        "Message": refusal.message,
    }
    return Response(json.dumps(content), refusal.status, media_type=_TYPE)


def _unread(error: ApiError) -> Refusal:
    """Why a body was not read to its end."""
    if isinstance(error, TooLarge):
        return Refusal("RequestEntityTooLargeException", error.message, 413)
    if isinstance(error, Crowded):
        return Refusal("ThrottlingException", "Slow down; sudden increase in rate of requests.")
    return validation.unserialisable(error.message)


# ---- what is called


def _named(context: Context, target: str) -> str:
    """The operation of an X-Amz-Target header.

    An operation of Rekognition's that there is not here is one that nobody may call: that error
    is declared for all of them, and no client tries it again.

    Raises:
        Refusal: UnknownOperationException or AccessDeniedException.

    """
    name = target.removeprefix(_PREFIX)
    if target.startswith(_PREFIX) and name in OPERATIONS:
        return name
    if target.startswith(_PREFIX) and name in validation.model().others:
        raise Refusal(
            "AccessDeniedException",
            f"User: arn:aws:iam::{context.account}:root is not authorized to perform: "
            f"rekognition:{name} on resource: *: Facelabel has the face operations only",
        )
    raise Refusal("UnknownOperationException", "The operation is not known")


def _performed(context: Context, operation: str, body: bytes) -> Json:
    """The answer to a call, once it is checked. Raises Refusal, and what the collections raise."""
    try:
        request = scanning.json_value(body, long_texts=_IMAGES)
    except Rejected as error:
        raise validation.unserialisable(str(error)) from None
    except ValueError:
        raise validation.unserialisable("The request's body is not JSON") from None
    params = validation.check(operation, request)
    try:
        return OPERATIONS[operation](context, params)
    except NotFound:
        name = params.get("CollectionId")
        if name and not _exists(context, name):
            raise missing_collection(name) from None
        if operation in {"SearchFaces", "SearchUsers"} and "FaceId" in params:
            raise missing_face() from None
        raise
    except TokenReused:
        raise reused(params["ClientRequestToken"]) from None


def _exists(context: Context, collection: str) -> bool:
    try:
        context.collections.model(collection)
    except NotFound:
        return False
    return True


# ---- who may call: signatures of the configured keys, or anybody where no key is needed


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature, and the secret that it should have been made with."""

    authorization: sigv4.Authorization
    secret: str = field(repr=False)

    def check(self, request: Request, body: bytes, now: float) -> None:
        """Return if the request was signed with that secret. Raises Refusal, as sigv4 does."""
        scope = request.scope
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = scope.get("query_string", b"").decode("latin-1")
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        signed = sigv4.Request(request.method, path, query, headers, body)
        sigv4.verify(signed, self.authorization, self.secret, now)


def claimed(context: Context, header: str, *, needs_key: bool) -> Claim | None:
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


# ---- how often: Amazon's quotas, so that clients can be seen to bear with them


class Throttle:
    """A token bucket for each operation: a second's worth at once, then at the rate."""

    def __init__(self, rate: float, clock: Clock) -> None:
        """``rate``: calls a second; 0 lets all through."""
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        #: Calls that are left and when that was so, by operation.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, operation: str) -> None:
        """Count a call. Raises Refusal: ProvisionedThroughputExceededException."""
        if not self._rate:
            return
        full = max(1.0, self._rate)
        with self._lock:
            now = self._clock.now()
            left, since = self._left.get(operation, (full, now))
            left = min(full, left + max(0.0, now - since) * self._rate)
            is_over = left < 1.0
            self._left[operation] = (left if is_over else left - 1.0, now)
        if is_over:
            raise throttled()
