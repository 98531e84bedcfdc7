"""What browsers are told: which pages may ask, read and show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.asgi import Answer, ask
from tests.integration.whole_site import ALLOWED, EVIL, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.integration.whole_site import Site

HOST = {"Host": "127.0.0.1:8765"}
UPLOAD, DESTROY = "/v1_1/local/image/upload", "/v1_1/local/image/destroy"
ADMIN, PICTURE = "/v1_1/local/resources/image", "/local/image/upload/x.jpg"
LIST, FACES = "/local/image/list/x.json", "/"
DOORS = {UPLOAD: "POST", DESTROY: "POST", ADMIN: "GET", PICTURE: "GET", LIST: "GET", FACES: "POST"}
NOTHING: Mapping[str, str] = {}
#: What the browser versions of the SDKs send beyond what is always allowed.
BY_CLOUDINARY = ("x-requested-with", "x-unique-upload-id", "content-range", "content-type")
BY_AWS = (
    *("authorization", "x-amz-target", "x-amz-user-agent", "x-amz-content-sha256", "x-amz-date"),
    *("x-amz-security-token", "amz-sdk-request", "amz-sdk-invocation-id", "content-type"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), "local") as made:
        yield made


def at(
    site: Site, method: str, path: str, headers: Mapping[str, str] = NOTHING, body: bytes = b""
) -> Answer:
    return asyncio.run(ask(site.app, method, path, {**HOST, **headers}, body=body))


def preflight(site: Site, path: str, origin: str, method: str = "") -> Answer:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method or DOORS[path],
        "Access-Control-Request-Headers": ",".join(sorted({*BY_CLOUDINARY, *BY_AWS})),
        "Sec-Fetch-Site": "cross-site",
    }
    return at(site, "OPTIONS", path, asked)


def names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


@pytest.mark.parametrize("path", DOORS)
def test_a_page_of_an_allowed_origin_may_ask(site: Site, path: str) -> None:
    """Without a key: browsers send none with this question."""
    answer = preflight(site, path, ALLOWED)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == DOORS[path]
    allowed = names(answer.headers["access-control-allow-headers"])
    assert {*BY_CLOUDINARY, *BY_AWS} <= allowed
    assert "*" not in allowed
    assert "origin" in names(answer.headers["vary"])


@pytest.mark.parametrize("origin", [EVIL, "null", "https://app.example.evil.example"])
@pytest.mark.parametrize("path", DOORS)
def test_pages_of_others_may_upload_with_a_preset_and_nothing_else(
    site: Site, path: str, origin: str
) -> None:
    answer = preflight(site, path, origin)
    assert "access-control-allow-credentials" not in answer.headers
    if path == UPLOAD:
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")
        assert set(BY_CLOUDINARY) <= names(answer.headers["access-control-allow-headers"])
    else:
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_what_is_not_there_may_be_asked_for_to_be_told_so(site: Site) -> None:
    for path, method in (("/nowhere", "POST"), (UPLOAD, "PATCH")):
        assert preflight(site, path, ALLOWED, method).status == 204
        assert preflight(site, path, EVIL, method).status == 403
    lost = at(site, "POST", "/nowhere", {"Origin": ALLOWED})
    assert (lost.status, lost.headers["access-control-allow-origin"]) == (404, ALLOWED)
    assert "access-control-allow-origin" not in at(
        site, "POST", "/nowhere", {"Origin": EVIL}
    ).headers  # fmt: skip
    # No preflight, and no method of ours.
    assert at(site, "OPTIONS", UPLOAD, {"Origin": ALLOWED}).status == 405


def test_a_preflight_under_another_name_is_refused(site: Site) -> None:
    headers = {"Host": "evil.example", "Origin": EVIL, "Access-Control-Request-Method": "POST"}
    answer = at(site, "OPTIONS", UPLOAD, headers)
    assert answer.status == 421
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", DOORS)
def test_an_allowed_page_can_read_why_it_was_refused(site: Site, path: str) -> None:
    far = {"Origin": ALLOWED, "X-Forwarded-For": "203.0.113.9"}
    answer = at(site, DOORS[path], path, far)
    assert answer.status in {400, 401, 403}
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    exposed = names(answer.headers["access-control-expose-headers"])
    assert {"x-amzn-requestid", "x-cld-error", "x-request-id"} <= exposed
    assert "origin" in names(answer.headers["vary"])


def test_a_page_of_another_site_can_read_what_is_wrong_with_its_upload(site: Site) -> None:
    form = {"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"}
    unknown = at(site, "POST", UPLOAD, form, b"upload_preset=nix&file=x")
    assert (unknown.status, unknown.headers["access-control-allow-origin"]) == (400, "*")
    assert unknown.json["error"]["message"] == "Upload preset not found"
    signed = at(site, "POST", UPLOAD, form, b"signature=x&api_key=y&timestamp=1")
    assert (signed.status, signed.headers["access-control-allow-origin"]) == (403, "*")
    assert "unsigned preset alone" in signed.json["error"]["message"]


@pytest.mark.parametrize("path", [DESTROY, ADMIN, LIST, FACES])
def test_a_page_of_another_site_can_read_nothing_else(site: Site, path: str) -> None:
    answer = at(site, DOORS[path], path, {"Origin": EVIL, **site.basic})
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    if path == FACES:
        assert answer.json["Code"] == "AccessDeniedException"


def test_caches_keep_apart_what_differs(site: Site) -> None:
    """Also what is answered to who is no page: the next one to ask the cache may be one."""
    for path, method in DOORS.items():
        assert "origin" in names(at(site, method, path).headers["vary"])


def test_pictures_are_shown_where_they_may_be(site: Site, tmp_path: Path) -> None:
    """In pages of allowed origins, by signed URL in any, and by public delivery to anybody."""
    policy = "cross-origin-resource-policy"
    assert at(site, "GET", PICTURE).headers[policy] == "same-origin"
    assert at(site, "GET", PICTURE, {"Origin": ALLOWED}).headers[policy] == "cross-origin"
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    shown = at(site, "GET", PICTURE, {**image, "Referer": f"{ALLOWED}/gallery"})
    assert (shown.status, shown.headers[policy]) == (404, "cross-origin")  # let in, and not there
    stolen = at(site, "GET", PICTURE, {**image, "Referer": f"{EVIL}/"})
    assert (stolen.status, stolen.headers[policy]) == (401, "cross-origin")
    with serving(tmp_path / "public", "local", host="0.0.0.0", public_delivery="1") as public:
        for origin in (EVIL, ALLOWED):
            answer = at(public, "GET", PICTURE, {"Origin": origin})
            assert (answer.status, answer.headers[policy]) == (404, "cross-origin")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "origin" not in names(answer.headers.get("vary", ""))
            assert preflight(public, PICTURE, origin).status == 204
        assert preflight(public, LIST, EVIL).status == 403
