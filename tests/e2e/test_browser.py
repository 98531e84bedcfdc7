"""Pages in a real Chromium, on other ports and other sites than the server."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cloudinary.api
import cloudinary.utils
import pytest
from PIL import Image
from tests.e2e import chromium
from tests.e2e.conftest import program_in
from tests.e2e.served import Cloud, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import NoReturn

    from tests.e2e.chromium import Chromium, Page
    from tests.e2e.served import Served

    from facelabel.engine.models.model_store import ModelStore

#: Bytes of the parts of a file; only the last one may be smaller than 5 MiB.
PARTS = [5 << 20, 6 << 20, 1000]
HTML = "<!doctype html><title>A page</title><script src='/browser.js'></script><body>"


@dataclass(frozen=True)
class Stage:
    """A server, and pages: one of an allowed origin, others of none."""

    served: Served
    cloud: Cloud
    browser: Chromium
    allowed: str
    other_port: str
    other_site: str

    def call(self, path: str) -> str:
        """The address of a call."""
        return f"{self.served.url}/v1_1/local/{path}"

    def signed(self, **params: object) -> dict[str, Any]:
        """What a page gets from its own server to upload with."""
        params["timestamp"] = int(time.time())
        secret, key = self.cloud.options["api_secret"], self.cloud.options["api_key"]
        signature = cloudinary.utils.api_sign_request(params, secret)
        return {**params, "api_key": key, "signature": signature}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def website(folder: Path) -> Iterator[int]:
    """Serve a folder; yield the port."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield httpd.server_address[1]
        finally:
            httpd.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def pages(node_sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with AWS's SDK in it."""
    folder = tmp_path_factory.mktemp("pages")
    bundle = ["node", "node_modules/esbuild/bin/esbuild", "browser.mjs", "--bundle",
              "--platform=browser", f"--outfile={folder / 'browser.js'}"]  # fmt: skip
    made = subprocess.run(bundle, cwd=node_sdk, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (folder / "index.html").write_text(HTML)
    return folder


@pytest.fixture(scope="module")
def stage(
    pages: Path,
    tmp_path_factory: pytest.TempPathFactory,
    model_cache: Path,
    classic_pack_store: ModelStore,
    missing: Callable[[str], NoReturn],
) -> Iterator[Stage]:
    """A server that allows one of three origins."""
    found = chromium.installed()
    if found is None:
        missing("no Chromium on this machine: apt-get install chromium")
    program = program_in(tmp_path_factory.mktemp("browser"), model_cache)
    with ExitStack() as stack:
        near, far = (stack.enter_context(website(pages)) for _ in range(2))
        program.environment["FACELABEL_ALLOWED_ORIGINS"] = f"http://127.0.0.1:{near}"
        browser = chromium.running(found, tmp_path_factory.mktemp("profile"))
        served = stack.enter_context(serving(program, port=free_port()))
        cloud = served.cloud()
        for name, unsigned in (("open", True), ("closed", False)):
            cloudinary.api.create_upload_preset(
                name=name, unsigned=unsigned, settings={"tags": "by-page"}, **cloud.options
            )
        yield Stage(
            served, cloud, stack.enter_context(browser), f"http://127.0.0.1:{near}",
            f"http://127.0.0.1:{far}", f"http://evil.example:{far}",
        )  # fmt: skip


@pytest.fixture
def allowed(stage: Stage) -> Page:
    return stage.browser.open(f"{stage.allowed}/")


@pytest.fixture(params=["other_port", "other_site"])
def stranger(stage: Stage, request: pytest.FixtureRequest) -> Page:
    """A page of an origin that nobody allowed."""
    return stage.browser.open(f"{getattr(stage, request.param)}/")


def picture() -> str:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 50).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_an_unsigned_upload_works_from_every_page(
    stage: Stage, allowed: Page, stranger: Page
) -> None:
    for page in (allowed, stranger):
        preset = {"upload_preset": "open", "tags": "new"}
        answer = page.call("upload", stage.call("image/upload"), preset, picture())
        assert (answer["status"], json.loads(answer["body"])["width"]) == (200, 40)
        assert answer["id"]
        for preset, message in (
            ({"upload_preset": "nix"}, "Upload preset not found"),
            ({"upload_preset": "open", "tags": "faceLabel:Me"}, "not allowed when using unsigned"),
        ):
            refused = page.call("upload", stage.call("image/upload"), preset, picture())
            assert refused["status"] == 400
            assert message in refused["body"]


def test_a_signed_upload_works_from_an_allowed_page_alone(
    stage: Stage, allowed: Page, stranger: Page
) -> None:
    sent = stage.signed(public_id="signed", asset_folder="in")
    answer = allowed.call("upload", stage.call("image/upload"), sent, picture())
    assert (answer["status"], json.loads(answer["body"])["public_id"]) == (200, "signed")
    refused = stranger.call("upload", stage.call("image/upload"), stage.signed(), picture())
    assert refused["status"] == 403
    assert "unsigned preset alone" in refused["body"]
    changed = stage.signed(public_id="signed")
    assert stranger.call("upload", stage.call("image/destroy"), changed, "") == "unreadable"
    assert stage.cloud.call("resource", "signed")


def test_uploads_in_parts(stage: Stage, allowed: Page, stranger: Page) -> None:
    """With the headers that Cloudinary's own scripts send, for which browsers ask first."""
    for page in (allowed, stranger):
        sent = {"upload_preset": "open"}
        answer = page.call("uploadInParts", stage.call("raw/upload"), sent, PARTS)
        assert answer["status"] == 200, answer
        assert json.loads(answer["body"])["bytes"] == sum(PARTS)
    whole = allowed.call("uploadInParts", stage.call("raw/upload"), stage.signed(), PARTS)
    assert json.loads(whole["body"])["done"] is True
    first = stranger.call("uploadInParts", stage.call("raw/upload"), stage.signed(), PARTS)
    assert first["status"] == 403


def test_pictures_and_lists(stage: Stage, allowed: Page, stranger: Page) -> None:
    file = base64.b64decode(picture())
    for type_ in ("upload", "private"):
        stage.cloud.upload(io.BytesIO(file), public_id="shown", type=type_, tags="Ann")
    plain = f"{stage.served.url}/local/image/upload/shown.png"
    signed, _ = cloudinary.utils.cloudinary_url(
        "shown", format="png", type="private", sign_url=True, secure=False,
        cname=urlsplit(stage.served.url).netloc, **{
            name: stage.cloud.options[name] for name in ("cloud_name", "api_secret")},
    )  # fmt: skip
    lists = f"{stage.served.url}/local/image/list/Ann.json"
    for url in (plain, signed):
        assert allowed.call("picture", url, "anonymous") == 40
        assert stranger.call("picture", url, "anonymous") == "not shown"
    assert allowed.call("picture", plain) == "shown"
    assert stranger.call("picture", plain) == "not shown"
    assert stranger.call("picture", signed) == "shown"  # the URL is what lets in
    listed = json.loads(allowed.call("get", lists)["body"])["resources"]
    assert [entry["public_id"] for entry in listed] == ["shown"]
    assert stranger.call("get", lists) == "unreadable"


def test_amazons_sdk_in_a_page(stage: Stage, allowed: Page, stranger: Page) -> None:
    key, secret = stage.cloud.options["api_key"], stage.cloud.options["api_secret"]
    answer = allowed.call("collections", stage.served.url, key, secret)
    assert answer["ids"] == []
    assert answer["requestId"]
    wrong = allowed.call("collections", stage.served.url, key, "wrong")
    assert wrong == "InvalidSignatureException"
    assert allowed.call("collections", stage.served.url, "who", secret) == (
        "UnrecognizedClientException"
    )
    # What a browser tells of an answer that it withholds.
    assert stranger.call("collections", stage.served.url, key, secret) == "TypeError"


def test_a_login_that_the_browser_keeps_is_of_no_use_to_others(
    stage: Stage, allowed: Page, stranger: Page
) -> None:
    """A form needs no leave of any server; the same one counts where its origin is allowed."""
    stage.cloud.upload(io.BytesIO(base64.b64decode(picture())), public_id="kept")
    key, secret = stage.cloud.options["api_key"], stage.cloud.options["api_secret"]
    near = urlsplit(stage.served.url).netloc
    login = stage.browser.open(f"http://{key}:{secret}@{near}/v1_1/local/image/nothing")
    login.go(f"http://{key}:{secret}@{near}/v1_1/local/ping")
    assert "ok" in login.evaluate("document.body.innerText")
    form = stage.call("image/destroy"), {"public_id": "kept"}
    reading = stage.call("resources/image")
    assert stranger.call("withStoredLogin", reading) == "unreadable"
    assert allowed.call("withStoredLogin", reading)["status"] == 200
    submitted = "document.readyState === 'complete' && document.body.innerText.includes('{')"
    stranger.call("post", *form)
    stranger.until(submitted)
    assert "pages of this origin may not do this" in stranger.evaluate("document.body.innerText")
    assert stage.cloud.call("resource", "kept")
    allowed.call("post", *form)
    allowed.until(submitted)
    assert json.loads(allowed.evaluate("document.body.innerText")) == {"result": "ok"}


def test_the_first_page_keeps_its_own_policy(stage: Stage) -> None:
    """Its style counts, so the digest in the policy is right; nothing else does."""
    page = stage.browser.open(f"{stage.served.url}/")
    assert page.evaluate("document.title") == "Facelabel"
    assert page.evaluate("getComputedStyle(document.querySelector('li')).display") == "flex"
