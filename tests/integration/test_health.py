"""What tells those who watch over the server, and whoever opens it in a browser, how it is."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from tests.integration.asgi import Answer, ask

from facelabel import settings
from facelabel.bootstrap.app import opened
from facelabel.web.app import create
from facelabel.web.health import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from facelabel.engine.models.model_store import ModelStore

HOST = {"Host": "127.0.0.1:8765"}
BROWSER = {**HOST, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NO_FLAGS: Mapping[str, object] = {}
CHECKS = {"store": True, "models": True, "workers": True}


def asked(
    path: str,
    data: Path,
    headers: Mapping[str, str] = HOST,
    *,
    method: str = "GET",
    is_staffed: Callable[[], bool] = lambda: True,
    flags: Mapping[str, object] = NO_FLAGS,
) -> Answer:
    """What the whole application answers."""
    with opened(settings.load({"data": data, "library": "local", **flags})) as app:
        assert app.keys is not None
        app.keys.ensure()
        keys = app.keys()
        answer = asyncio.run(ask(create(app, is_staffed), method, path, headers))
    text = answer.body.decode() + str(answer.headers)
    assert not any(
        secret in text
        for secret in [str(data), *(key.secret for key in keys), *(key.key for key in keys)]
    )
    return answer


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_alive(tmp_path: Path, path: str) -> None:
    for headers in (HOST, {**HOST, "X-Forwarded-For": "203.0.113.9"}):
        answer = asked(path, tmp_path, headers)
        assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_ready(tmp_path: Path, classic_pack_store: ModelStore, model_cache: Path) -> None:
    answer = asked("/readyz", tmp_path, flags={"models": model_cache, "pack": "classic"})
    assert (answer.status, answer.json) == (200, {"status": "ok", **CHECKS})
    assert answer.headers["cache-control"] == "no-store"


def test_not_ready_without_models(tmp_path: Path) -> None:
    for pack in ("auto", "classic", str(tmp_path / "mine.toml")):
        answer = asked(
            "/readyz", tmp_path / "data", flags={"models": tmp_path / "none", "pack": pack}
        )
        assert answer.status == 503
        assert answer.json == {"status": "not ready", **CHECKS, "models": False}


def test_not_ready_without_workers(
    tmp_path: Path, classic_pack_store: ModelStore, model_cache: Path
) -> None:
    here = {"models": model_cache, "pack": "classic"}
    answer = asked("/readyz", tmp_path, is_staffed=lambda: False, flags=here)
    assert (answer.status, answer.json["workers"]) == (503, False)
    page = asked("/", tmp_path, BROWSER, is_staffed=lambda: False, flags=here)
    assert "not all is well" in page.body.decode()


def test_not_ready_without_a_store(tmp_path: Path) -> None:
    with opened(settings.load({"data": tmp_path, "library": "local"})) as app:
        site = create(app, lambda: True)
        (tmp_path / "facelabel.db").write_bytes(b"no database" * 1000)
        for rest in ("facelabel.db-wal", "facelabel.db-shm"):
            (tmp_path / rest).unlink(missing_ok=True)
        answer = asyncio.run(ask(site, "GET", "/readyz", HOST))
    assert (answer.status, answer.json["store"]) == (503, False)


def test_one_look_a_second_however_many_ask() -> None:
    """Counted; a look that does not end is no reason to begin another one."""
    looks: list[int] = []
    may_end = threading.Event()
    now = [100.0]

    def check() -> bool:
        looks.append(1)
        assert may_end.wait(120)
        return True

    async def scenario() -> None:
        readiness = Readiness({"store": check}, clock=lambda: now[0], patience=0.01)
        assert set(await asyncio.gather(*(all_of(readiness) for _ in range(50)))) == {False}
        now[0] += 60
        assert await readiness() == {"store": False}
        assert len(looks) == 1
        may_end.set()
        patient = Readiness({"store": check}, clock=lambda: now[0], patience=120)
        assert set(await asyncio.gather(*(all_of(patient) for _ in range(50)))) == {True}
        assert len(looks) == 2
        now[0] += 0.9
        assert await patient() == {"store": True}
        assert len(looks) == 2
        now[0] += 0.2
        assert await patient() == {"store": True}
        assert len(looks) == 3

    asyncio.run(scenario())


async def all_of(readiness: Readiness) -> bool:
    return all((await readiness()).values())


class Read(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_first_page(tmp_path: Path, classic_pack_store: ModelStore, model_cache: Path) -> None:
    here = {"models": model_cache, "pack": "classic"}
    answer = asked("/", tmp_path, BROWSER, flags=here)
    page = answer.body.decode()
    read = Read(page)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert {"script", "img", "link", "iframe", "form", "a"}.isdisjoint(read.tags)
    assert "style" not in read.attributes  # the policy would not let it count
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for text in ("It works", "on this computer", "facelabel keys", "docs/howto/serve.md"):
        assert text in read.text
    assert "prefers-color-scheme:dark" in page
    head = asked("/", tmp_path, BROWSER, method="HEAD", flags=here)
    assert head.headers["content-length"] == str(len(answer.body))


def test_the_first_page_says_where_the_pictures_are(tmp_path: Path) -> None:
    account = {"library": "cloudinary", "cloudinary_url": "cloudinary://key:hush@demo"}
    text = Read(asked("/", tmp_path, BROWSER, flags=account).body.decode()).text
    assert "Pictures are on Cloudinary" in text
    assert "hush" not in text
    assert "demo" not in text


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/plain, */*"])
def test_programs_that_want_json_are_told_that_there_is_none(tmp_path: Path, accept: str) -> None:
    answer = asked("/", tmp_path, {**HOST, "Accept": accept})
    assert (answer.status, answer.json) == (405, {"error": {"message": "Method Not Allowed"}})
    assert asked("/", tmp_path, {**HOST, "Accept": "*/*"}).status == 200
    assert asked("/", tmp_path).status == 200


@pytest.mark.parametrize("path", ["/", "/rekognition"])
def test_amazons_clients_find_their_endpoint_where_it_was(tmp_path: Path, path: str) -> None:
    headers = {**HOST, "X-Amz-Target": "RekognitionService.ListCollections"}
    answer = asked(path, tmp_path, headers, method="POST")
    assert answer.status in {200, 400}
    assert "x-amzn-requestid" in answer.headers
