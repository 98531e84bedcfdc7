"""Client-side lists: which pictures have a tag."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests import loopback
from tests.integration.conftest import KEY

from facelabel.media.types import AssetKey, Upload
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2
    from tests.integration.conftest import ApiServer

    from facelabel.web.cloudinary_api.context import Context

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture
def server(context: Context, serve: Callable[[Context], ApiServer]) -> ApiServer:
    clock = ManualClock()
    server = serve(replace(context, clock=clock))
    for name, tags, values in (
        ("b", ["Ann Lee"], {"context": {"alt": "x"}}),
        ("a", ["Ann Lee", "Bob"], {}),
        ("c", ["a/b.c"], {}),
        ("hidden", ["Ann Lee"], {"type": "private"}),
        ("d", [], {}),
    ):
        key = AssetKey(name, type=str(values.pop("type", "upload")))
        context.media.put(Upload(key, b"x", "jpg", width=4, height=3, tags=tags, **values))
    return server


def get(server: ApiServer, path: str, **options: object) -> httpx2.Response:
    return loopback.get(f"{server.url}/local/{path}", **options)  # type: ignore[arg-type] # httpx2's own


def test_what_a_page_needs_to_show_the_pictures(server: ApiServer) -> None:
    answer = get(server, "image/list/Ann%20Lee.json")
    found = {entry["public_id"]: entry for entry in answer.json()["resources"]}
    assert found.keys() == {"a", "b"}  # and not the private one
    assert found["b"].pop("version") > 0
    # "a" was uploaded after "b", in the same second or in the next one.
    assert found["b"].pop("created_at") <= found["a"]["created_at"] == answer.json()["updated_at"]
    assert found["b"] == {
        "public_id": "b", "format": "jpg", "width": 4, "height": 3, "type": "upload",
        "context": {"custom": {"alt": "x"}},
    }  # fmt: skip
    assert "context" not in found["a"]
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["image/list/v123/Bob.json", "image/list/a/b.c.json"])
def test_versions_and_odd_names(server: ApiServer, path: str) -> None:
    assert len(get(server, path).json()["resources"]) == 1


@pytest.mark.parametrize("path", ["image/list/Nobody.json", "video/list/Bob.json"])
def test_no_such_tag(server: ApiServer, path: str) -> None:
    assert get(server, path).status_code == 404


def test_names_are_not_for_everybody(server: ApiServer) -> None:
    path = "image/list/Bob.json"
    assert get(server, path, headers=FORWARDED).status_code == 401
    assert get(server, path, headers=FORWARDED, auth=(KEY.key, "wrong")).status_code == 401
    assert get(server, path, headers=FORWARDED, auth=(KEY.key, KEY.secret)).status_code == 200
    evil = {"Origin": "http://evil.example"}
    assert get(server, path, headers=evil, auth=(KEY.key, KEY.secret)).status_code == 403
