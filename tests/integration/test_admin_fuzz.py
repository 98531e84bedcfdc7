"""Nonsense of every kind, sent to every endpoint of the Admin API: refused, never a crash."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from cloudinary import uploader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import loopback
from tests.examples import examples

from facelabel.cloudinary.metadata_fields import MAX_ENTRIES
from facelabel.web.cloudinary_api.admin import admin, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from starlette.routing import Route
    from tests.integration.conftest import ApiServer

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK's own connections

PLACEHOLDER = re.compile(r"\{(\w+)(?::path)?\}")
#: What stands in the paths and, most often, means something there.
LIKELY = {
    "cloud": ["local"],
    "resource_type": ["image", "raw", "video"],
    "type": ["upload", "private"],
    "public_id": ["a", "a/b"],
    "external_id": ["people", "order"],
    "name": ["p"],
    "path": ["f", "f/g"],
    "tag": ["t"],
    "kind": ["manual"],
    "status": ["pending"],
}
NAMES = [
    *("expression", "sort_by", "max_results", "next_cursor", "with_field", "fields", "aggregate"),
    *("prefix", "public_ids", "asset_ids", "tags", "context", "metadata", "moderations", "all"),
    *("direction", "start_at", "key", "value", "keep_original", "transformations", "named"),
    *("asset_folder", "display_name", "face_coordinates", "custom_coordinates", "to_folder"),
    *("moderation_status", "clear_invalid", "notification_url", "type", "external_id", "label"),
    *("mandatory", "default_value", "validation", "datasource", "restrictions", "values"),
    *("external_ids", "order_by", "term", "name", "unsigned", "settings", "uri", "new_uri"),
    *("event_type", "uri_type", "additive", "filter", "auth_scheme", "sample_data", "channel"),
    *("batch_id", "max_messages", "visibility_timeout", "receipt_handles", "transformation"),
    *("unsafe_update", "allowed_for_strict", "coordinates", "faces", "versions", "coordinates"),
]
WORDS = [
    *("", "a", "a,b", "k=v|l=w", "1", "0", "true", "-1", "999999999999999999999", "1e999", "nan"),
    *("image", "upload", "all", "asc", "desc", "value", "people", "string", "set", "date", "t_p"),
    *("tags=a OR (b", "folder:a/*", "c_scale,w_4", "poll://x", "https://example.com", "../..", "%"),
    *(
        "2024-01-31",
        "0001-01-01",
        "9999-12-31T23:59:59+00:00",
        "[[1,2,3,4]]",
        "1,2,3,4|",
        "é\u0301",
    ),
    *("e\u0301", "\u202e", "\ud800", "\0", "☃" * 300, "[" * 300, "Zm9v", "W10=", "bnVsbA=="),
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=10)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)


def routes(server: ApiServer) -> list[Route]:
    return [*admin.routes(server.context), *messages.routes(server.context)]


@st.composite
def paths(draw: st.DrawFn, template: str) -> str:
    """The path of a call, its placeholders filled in."""

    def fill(match: re.Match[str]) -> str:
        likely = st.sampled_from(LIKELY.get(match[1], ["x"]))
        text = draw(likely | likely | TEXTS)
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    return PLACEHOLDER.sub(fill, template)


def filled(server: ApiServer) -> None:
    """Something of every kind, for calls to find."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, "PNG")
    for name in ("a", "a/b"):
        file.seek(0)
        options = {"tags": ["t"], "context": {"k": "v"}, "asset_folder": "f", "backup": True}
        uploader.upload(file, public_id=name, **options, **server.sdk)


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[httpx2.Client]:
    filled(api_server)
    auth = (api_server.sdk["api_key"], api_server.sdk["api_secret"])
    with loopback.client(base_url=api_server.url, auth=auth) as client:
        yield client


def send(client: httpx2.Client, method: str, path: str, how: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - as httpx2's
    if how == "json":
        body = json.dumps(params)  # with halves of surrogate pairs, which httpx2 would not send
        headers = {"content-type": "application/json"}
        return client.request(method, path, content=body, headers=headers)
    pairs = {f"{k}[]" if isinstance(v, list) else k: v for k, v in params.items()}
    texts = {
        key: [as_text(item) for item in value] if isinstance(value, list) else as_text(value)
        for key, value in pairs.items()
    }
    if how == "query":
        return client.request(method, path, params=texts)
    return client.request(method, path, data=texts)


def as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


@settings(
    examples(300),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_call_crashes_the_server(
    api_server: ApiServer, client: httpx2.Client, data: st.DataObject
) -> None:
    route = data.draw(st.sampled_from(routes(api_server)))
    method = data.draw(st.sampled_from(sorted(route.methods or {"GET"})))
    path = data.draw(paths(route.path))
    how = data.draw(st.sampled_from(["json", "query", "form"]))
    params = {**data.draw(PARAMS), "wait_seconds": 0}
    answer = send(client, method, path, how, params)
    assert answer.status_code < 500, (method, path, how, params, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json()["error"]["message"]


TERMS = st.sampled_from(
    [
        *("tags=t", "tags:*", "-tags=t", "t*", "folder:f/*", "folder=f", "public_id:a*", "NOT a"),
        *("bytes>1k", "width:[1 TO *]", "aspect_ratio=4:3", "pixels<5", "version>=1", "*"),
        *("context.k=v", "context.k:v", "context.k:*", "metadata.x>5", "metadata.x<a", "etag:0"),
        *("created_at>1d", "uploaded_at:2024-01-01", "updated_at<9999-12-31", "display_name:a"),
        *(
            "tags=%",
            "tags='",
            "tags=_",
            'tags="\\""',
            "context.;--=1",
            "tags=(a OR b)",
            "filename:a",
        ),
    ]
)
FIELDS = st.sampled_from(
    [
        *("public_id", "created_at", "uploaded_at", "updated_at", "bytes", "filename", "format"),
        *("aspect_ratio", "pixels", "display_name", "asset_folder", "tags", "score", "context.k"),
    ]
)


@settings(examples(200), suppress_health_check=list(HealthCheck))
@given(
    terms=st.lists(TERMS, min_size=1, max_size=6),
    glue=st.sampled_from([" ", " AND ", " OR ", " AND NOT ", ") OR ("]),
    order=FIELDS,
)
def test_what_can_be_read_can_be_searched(
    client: httpx2.Client, terms: list[str], glue: str, order: str
) -> None:
    query = {"expression": f"({glue.join(terms)})", "sort_by": [{order: "asc"}], "max_results": 1}
    answer = client.post("/v1_1/local/resources/search", json=query)
    assert answer.status_code in {200, 400}, answer.text
    cursor = answer.json().get("next_cursor")
    if cursor:
        rest = client.post("/v1_1/local/resources/search", json=query | {"next_cursor": cursor})
        assert rest.json()["resources"] != answer.json()["resources"]


BODIES = [
    b"{",
    b"[]",
    b"null",
    b'{"a":' * 3000,
    b'{"expression":' + b"[" * 100_000,
    b'{"expression":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"expression": NaN}',
    b'{"expression": "\\ud800"}',
    b'{"expression": "\xff"}',
    b'{"expression": 1' + b"0" * 5000 + b"}",
    json.dumps({str(number): "x" for number in range(10_000)}).encode(),
    b'{"expression": "' + b"x" * (3 << 20) + b'"}',
]


@pytest.mark.parametrize("path", ["resources/search", "metadata_fields", "triggers"])
def test_bodies_no_client_would_send(client: httpx2.Client, path: str) -> None:
    headers = {"content-type": "application/json"}
    for body in BODIES:
        answer = client.post(f"/v1_1/local/{path}", content=body, headers=headers)
        assert (answer.status_code, body[:80]) == (400, body[:80])
        assert answer.json()["error"]["message"]


def test_ten_thousand_fields_of_a_form(client: httpx2.Client) -> None:
    form = {f"field{number}": "x" for number in range(10_000)}
    answer = client.post("/v1_1/local/triggers", data=form)
    assert answer.status_code == 400


def test_as_many_values_as_a_list_takes(client: httpx2.Client) -> None:
    values = [{"external_id": f"v{n}", "value": f"Person {n}"} for n in range(MAX_ENTRIES)]
    field = {"external_id": "many", "type": "set", "datasource": {"values": values}}
    assert client.post("/v1_1/local/metadata_fields", json=field).status_code == 200
    more = {"values": [{"external_id": "x", "value": "One more"}]}
    answer = client.put("/v1_1/local/metadata_fields/many/datasource", json=more)
    assert answer.status_code == 400
