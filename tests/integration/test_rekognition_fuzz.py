"""Whatever is asked, the answer is one of Amazon's, and never a fault of ours."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.integration import amazon_shapes
from tests.integration.face_collections import MemoryCollections, picture
from tests.waiting import PATIENCE

from facelabel.media.types import ApiKey
from facelabel.rekognition import validation
from facelabel.testing.clock import ManualClock
from facelabel.web import rekognition_api
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded
from facelabel.web.rekognition_api.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Switch

SERVICE = botocore.session.get_session().get_service_model("rekognition")
COMMON = {"InvalidPaginationTokenException", "SerializationException", "ValidationException"}
FACE = "00000000-0000-4000-8000-000000000000"
ARN = "arn:aws:rekognition:us-east-1:000000000000:collection/people"
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["people", "Ann", FACE, ARN, "YQ==", "ALL", "AUTO", "\ud800", "\0", "../x"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(0, 100) | TEXTS
NAMES = st.sampled_from(
    sorted({name for shape in validation.model().shapes.values() for name in shape.members or {}})
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
REQUESTS = st.fixed_dictionaries({"CollectionId": st.just("people")}, optional={
    "FaceId": st.just(FACE) | VALUES, "FaceIds": st.just([FACE]) | VALUES,
    "UserId": st.just("Ann") | VALUES, "NextToken": VALUES, "MaxResults": st.integers(-1, 5),
    "MaxFaces": st.integers(-1, 5), "Tags": st.dictionaries(TEXTS, TEXTS, max_size=3),
    "TagKeys": st.lists(TEXTS, max_size=3), "ResourceArn": TEXTS, "Attributes": VALUES,
    "Image": VALUES | st.just({"S3Object": {"Bucket": "abc", "Name": "x"}}),
}) | st.dictionaries(NAMES, VALUES, max_size=5)  # fmt: skip


class Caller:
    """Calls over one connection."""

    def __init__(self, url: str) -> None:
        """``url``: the server's."""
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)

    def post(self, body: bytes, target: str) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.connection.request("POST", "/", body, {"X-Amz-Target": target})
        response = self.connection.getresponse()
        return response.status, response.read()


@pytest.fixture(scope="module")
def caller(shared: Switch) -> Iterator[Caller]:
    """An endpoint with a collection."""
    memory = MemoryCollections()
    memory.create("people", {})
    memory.create_user("people", "Ann", None)

    def fetch(bucket: str, key: str, version: str | None) -> bytes:
        return picture("Ann")

    keys = [ApiKey("k", "s")]
    context = Context(memory, lambda: keys, ManualClock(), fetch_object=fetch)
    shared.site = guarded(rekognition_api.routes(context), Policy())
    caller = Caller(shared.url)
    yield caller
    caller.connection.close()


@examples(600)
@given(st.sampled_from(sorted(validation.model().operations)), REQUESTS | VALUES)
def test_any_request(caller: Caller, operation: str, request: Any) -> None:  # noqa: ANN401 - JSON
    target = f"RekognitionService.{operation}"
    status, body = caller.post(json.dumps(request).encode(), target)
    assert status in {200, 400}, body
    model = SERVICE.operation_model(operation)
    amazon_shapes.check(model, status, body)
    if status == 400:
        declared = {shape.name for shape in model.error_shapes}
        assert json.loads(body)["Code"] in declared | COMMON


@examples(200)
@given(st.binary(max_size=40), st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_any_bytes(caller: Caller, body: bytes, target: str) -> None:
    for name in (target, "RekognitionService.DeleteCollection"):
        status, answer = caller.post(body, name)
        assert status == 400
        assert json.loads(answer)["Code"].endswith("Exception")
