"""Between HTTP and the operations: who asks, for what, and what they are answered."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from facelabel.errors import FacelabelError, Rejected
from facelabel.inputs import scanning
from facelabel.rekognition import error_codes, sigv4, validation
from facelabel.rekognition.error_codes import Refusal
from facelabel.web.access import policy
from facelabel.web.access.policy import Requirement
from facelabel.web.http.budget import Limits, bounded
from facelabel.web.http.refusals import ApiError, Crowded, TooLarge
from facelabel.web.rekognition_api import auth, operations
from facelabel.web.rekognition_api.throttle import Throttle

if TYPE_CHECKING:
    from starlette.requests import Request

    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

_LOG = logging.getLogger(__name__)
#: An image of Amazon's 5 MiB makes 6.7 MiB of base64; bodies are held before anybody is verified.
LIMITS = Limits(body=8 << 20, window=10.0, patience=60.0)
_TYPE = "application/x-amz-json-1.1"
#: Images of a call that compares two.
_IMAGES = 2


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
                claim = auth.claim(self._context, header, needs_key=needs_key)
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
        self, request: Request, body: bytes, claim: auth.Claim | None, request_id: str
    ) -> Response:
        operation = ""
        try:
            if claim:
                signed, now = auth.signed(request, body), self._context.clock.now()
                sigv4.verify(signed, claim.authorization, claim.secret, now)
            operation = operations.named(self._context, request.headers.get("x-amz-target", ""))
            self._throttle.take(operation)
            return _written(operations.perform(self._context, operation, _read(operation, body)))
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
    return _written(content, refusal.status)


def _written(content: Json, status: int = 200) -> Response:
    """JSON; no body at all where there is nothing to say, as Amazon documents."""
    return Response(json.dumps(content) if content else b"", status, media_type=_TYPE)


def _read(operation: str, body: bytes) -> Parameters:
    try:
        request = scanning.json_value(body, long_texts=_IMAGES)
    except Rejected as error:
        raise validation.unserialisable(str(error)) from None
    except ValueError:
        raise validation.unserialisable("The request's body is not JSON") from None
    return validation.check(operation, request)


def _unread(error: ApiError) -> Refusal:
    """Why a body was not read to its end."""
    if isinstance(error, TooLarge):
        return Refusal("RequestEntityTooLargeException", error.message, 413)
    if isinstance(error, Crowded):
        return Refusal("ThrottlingException", "Slow down; sudden increase in rate of requests.")
    return validation.unserialisable(error.message)
