"""Searching assets through the official SDK and by hand, over HTTP."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cloudinary import Search, uploader
from PIL import Image
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2
    from tests.integration.conftest import ApiServer

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK's own connections


@dataclass(frozen=True)
class Cloud:
    """A server, and the official SDK with its credentials."""

    server: ApiServer

    def upload(self, public_id: str, *, side: int = 8, **more: object) -> None:
        file = io.BytesIO()
        Image.new("RGB", (side, side), "red").save(file, "PNG")
        file.seek(0)
        uploader.upload(file, **{**self.server.sdk, "public_id": public_id, **more})

    def search(self, expression: str = "", **more: object) -> dict[str, Any]:
        query = Search().expression(expression)
        for name, value in more.items():
            getattr(query, name)(*(value if isinstance(value, tuple) else (value,)))
        answer: dict[str, Any] = query.execute(**self.server.sdk)
        return answer


def names(answer: Mapping[str, Any]) -> list[str]:
    return [each["public_id"] for each in answer["resources"]]


@pytest.fixture
def cloud(api_server: ApiServer) -> Cloud:
    return Cloud(api_server)


@pytest.fixture
def client(cloud: Cloud) -> Iterator[httpx2.Client]:
    auth = (cloud.server.sdk["api_key"], cloud.server.sdk["api_secret"])
    with loopback.client(base_url=cloud.server.at(""), auth=auth) as client:
        yield client


def test_a_search_says_how_many_there_are(cloud: Cloud) -> None:
    for name in ("a", "b", "c"):
        cloud.upload(name, tags=["t"], context={"k": name})
    seen: list[str] = []
    answer: dict[str, Any] = {"next_cursor": ""}
    while "next_cursor" in answer:
        answer = cloud.search(
            "tags=t", sort_by=("public_id", "asc"), max_results=2, next_cursor=answer["next_cursor"]
        )
        assert answer["total_count"] == 3
        seen += names(answer)
    assert seen == ["a", "b", "c"]


def test_context_is_flat_in_a_search(cloud: Cloud) -> None:
    cloud.upload("a", tags=["t"], context={"k": "v"})
    (plain,) = cloud.search("tags=t")["resources"]
    assert not {"context", "tags", "metadata"} & set(plain)
    (full,) = cloud.search("tags=t", with_field="context")["resources"]
    assert full["context"] == {"k": "v"}
    (some,) = cloud.search("tags=t", fields=("tags",))["resources"]
    assert set(some) == {"asset_id", "public_id", "tags"}


def test_a_search_as_node_sends_it(cloud: Cloud, client: httpx2.Client) -> None:
    cloud.upload("a", tags=["t"])
    answer = client.post("resources%2Fsearch", json={"expression": "tags=t"}).json()
    assert names(answer) == ["a"]


EXPRESSIONS = {
    "folder:training/*": ["one", "two"],
    "folder=training": ["one"],
    "asset_folder=trainings": ["three"],
    "tags:doe": ["one", "two"],
    'tags="John Doe"': ["one"],
    "tags=john*": [],
    "tags=John*": ["one"],
    "-tags:doe": ["three"],
    "public_id=(one OR three)": ["one", "three"],
    "context.city=Köln AND NOT tags:jane": ["one"],
    "context.city:*": ["one", "two"],
    "width>8": ["three"],
    "moderation_status=pending": ["three"],
    "-moderation_kind:*": ["one", "two"],
    "bytes<1m AND uploaded_at>1d AND format:png": ["one", "three", "two"],
    "köln": ["one", "two"],
    "created_at<2020-01-01": [],
}


def test_expressions(cloud: Cloud) -> None:
    city = {"city": "Köln"}
    cloud.upload("one", asset_folder="training", tags=["John Doe"], context=city)
    cloud.upload("two", asset_folder="training/x", tags=["Jane Doe"], context=city)
    cloud.upload("three", side=20, asset_folder="trainings", moderation="manual")
    found = {each: sorted(names(cloud.search(each))) for each in EXPRESSIONS}
    assert found == EXPRESSIONS


def test_aggregates(cloud: Cloud) -> None:
    cloud.upload("a", tags=["x", "y"])
    cloud.upload("b", tags=["x"])
    sizes = {"type": "width", "ranges": [{"key": "small", "to": 10}, {"key": "big", "from": 11}]}
    answer = cloud.search("*", aggregate=["format", "tags", sizes])
    assert answer["aggregations"] == {
        "format": {"png": 2},
        "tags": {"x": 2, "y": 1},
        "width": {"small": 2, "big": 0},
    }


NONSENSE: list[dict[str, Any]] = [
    {"expression": "(((("},
    {"expression": "x" * 5000},
    {"expression": ["tags=a"]},
    {"sort_by": "secret"},
    {"sort_by": [{"public_id": "sideways"}]},
    {"sort_by": [{"public_id": "asc"}] * 9},
    {"max_results": "many"},
    {"max_results": 0},
    {"next_cursor": "%%%"},
    {"next_cursor": base64.b64encode(b'[["a"],["b"]]').decode()},
    {"aggregate": "secret"},
    {"aggregate": ["format"] * 11},
    {"aggregate": {"type": "bytes", "ranges": [{"key": "a", "from": "x"}]}},
    {"aggregate": {"type": "bytes", "ranges": [{"from": 1}]}},
    {"aggregate": {"type": "bytes", "ranges": [{"key": "a"}] * 21}},
]


def test_a_search_that_makes_no_sense(client: httpx2.Client) -> None:
    for query in NONSENSE:
        answer = client.post("resources/search", json=query)
        assert (answer.status_code, query) == (400, query)
        assert answer.json()["error"]["message"]
