"""Delivery over HTTP: a real server, a real library, URLs of the official SDK."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import pytest
import uvicorn
from cloudinary.utils import cloudinary_url
from PIL import Image
from tests import loopback
from tests.waiting import PATIENCE, until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.transaction import StoreMessages
from facelabel.adapters.store.sql.database import Database
from facelabel.core.model import Box
from facelabel.images import Limits, decoding
from facelabel.media.types import And, ApiKey, AssetKey, DocumentKind, Edit, ImageHeader, Upload
from facelabel.rendering.renderer import PillowRenderer
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded
from facelabel.web.cloudinary_api.context import Context
from facelabel.web.cloudinary_api.delivery import delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx2

    from facelabel.cloudinary.transformations import Regions, Rendered, Transformation
    from facelabel.core.model import Asset, JsonValue

OLD, NEW = ApiKey("1", "oldsecret"), ApiKey("2", "newsecret")
YEAR = "public, max-age=31536000, immutable"


def file_of(image: Image.Image, name: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()


def opened(answer: httpx2.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def striped(width: int = 400, height: int = 200) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8))


@dataclass
class Watched:
    """A renderer that counts, and can be made to wait."""

    inner: PillowRenderer
    rendered: int = 0
    at_once: int = 0
    most_at_once: int = 0
    may_go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def price(self, transformation: Transformation, size: tuple[int, int]) -> int:
        return self.inner.price(transformation, size)

    def render(
        self, data: bytes, transformation: Transformation, regions: Regions | None = None
    ) -> Rendered:
        with self.lock:
            self.rendered += 1
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        assert self.may_go.wait(PATIENCE)
        try:
            return self.inner.render(data, transformation, regions)
        finally:
            with self.lock:
                self.at_once -= 1


@dataclass
class Detector:
    """Finds one face, always in the same place, and counts."""

    asked: int = 0

    def __call__(self, _: bytes) -> Sequence[Box]:
        self.asked += 1
        return [Box(0.05, 0.55, 0.2, 0.4)]


def unreachable(url: str) -> tuple[bytes, str]:
    raise AssertionError(url)


@dataclass
class Site:
    """A running server and everything behind it."""

    library: LocalLibrary
    renderer: Watched
    detector: Detector
    derived: DerivedCache
    keys: list[ApiKey]
    client: httpx2.Client
    port: int
    #: The folder that they are in.
    originals: Path

    def put(
        self,
        public_id: str,
        data: bytes,
        *,
        resource_type: str = "image",
        type_: str = "upload",
        details: dict[str, JsonValue] | None = None,
    ) -> Asset:
        key = AssetKey(public_id, resource_type, type_)
        name, width, height = "", 0, 0
        if resource_type == "image":
            name, width, height = decoding.inspect(data, Limits())
        elif resource_type == "video":
            name = "mp4"
        asset, _ = self.library.put(Upload(key, data, name, width, height, details=details or {}))
        return asset

    def url(self, public_id: str, **options: object) -> str:
        """What the official SDK makes of it."""
        url, _ = cloudinary_url(
            public_id,
            **{"cloud_name": "local", "cname": f"127.0.0.1:{self.port}", "secure": False} | options,
        )
        return str(url)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def raw(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask for exactly these bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        result = answer.status, headers, answer.read()
        connection.close()
        return result


@pytest.fixture(scope="module")
def server(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from served(migrated_sqlite, tmp_path_factory.mktemp("site"), Policy())


@pytest.fixture
def site(server: Site) -> Site:
    """Return the server with nothing in it."""
    page = server.library.select(And(), limit=500)
    server.library.delete_all([asset.asset_id for asset in page.assets])
    server.derived.clear()
    server.keys[:] = [OLD, NEW]
    server.renderer.rendered = server.renderer.most_at_once = server.detector.asked = 0
    return server


@pytest.fixture
def closed_site(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Site]:
    yield from served(migrated_sqlite, tmp_path, Policy(require_keys=True))


def served(empty: Path, folder: Path, policy: Policy) -> Iterator[Site]:
    database = Database(f"sqlite:///{shutil.copy(empty, folder / 'facelabel.db')}")
    clock, keys, detector = SystemClock(), [OLD, NEW], Detector()

    def check(data: bytes) -> ImageHeader:
        return ImageHeader(*decoding.inspect(data, Limits()))

    library = LocalLibrary(database, folder / "originals", clock, on_change=None, check=check)
    renderer = Watched(PillowRenderer(Limits(), detector))
    renderer.may_go.set()
    derived = DerivedCache(folder / "derived", 64 << 20)
    context = Context(
        media=library,
        messages=StoreMessages(database, clock),
        renderer=renderer,
        derived=derived,
        clock=clock,
        keys=lambda: keys,
        fetch=unreachable,
        inspect=lambda data: ImageHeader(*decoding.inspect(data, Limits())),
        detect=detector,
        signs_urls=policy.require_keys,
    )
    app = guarded(delivery.routes(context), policy)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with loopback.client(base_url=f"http://127.0.0.1:{port}") as client:
            yield Site(
                library, renderer, detector, derived, keys, client, port, folder / "originals"
            )
    finally:
        renderer.may_go.set()
        server.should_exit = True
        thread.join()
        listener.close()
        database.close()


# ---- originals


def test_an_original_is_delivered_as_it_is(site: Site) -> None:
    data = file_of(striped())
    asset = site.put("people/ann", data)

    answer = site.get(site.url("people/ann", version=asset.version, format="png"))

    assert answer.content == data
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["etag"] == f'"{asset.etag}"'
    assert answer.headers["cache-control"] == YEAR
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]
    assert site.renderer.rendered == 0
    assert site.get("/local/image/upload/people/ann").content == data
    assert site.get("/local/image/upload/people/ann.PNG").content == data


def test_only_a_url_of_this_version_lasts(site: Site) -> None:
    asset = site.put("ann", file_of(striped()))

    for path in ("/local/image/upload/ann.png", "/local/image/upload/v1/ann.png"):
        assert site.get(path).headers["cache-control"] == "public, no-cache"
    url = f"/local/image/upload/v{asset.version}/ann.jpg"
    assert site.get(url).headers["cache-control"] == YEAR


def test_who_has_it_already_gets_nothing(site: Site) -> None:
    site.put("ann", file_of(striped()))
    for path in ("/local/image/upload/ann.png", "/local/image/upload/w_10/ann.png"):
        first = site.get(path)
        tag = first.headers["etag"]
        for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = site.get(path, If_None_Match=condition)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
        assert site.get(path, If_None_Match='"x"').status_code == 200
        since = first.headers["last-modified"]
        assert site.get(path, If_Modified_Since=since).status_code == 304
        assert site.get(path, If_Modified_Since="yesterday").status_code == 200
        assert site.get(path, If_Modified_Since=since, If_None_Match='"x"').status_code == 200


def test_a_new_content_has_another_etag(site: Site) -> None:
    site.put("ann", file_of(striped()))
    before = [site.get(f"/local/image/upload/{p}ann.png") for p in ("", "w_10/")]
    site.put("ann", file_of(striped(300)))
    after = [site.get(f"/local/image/upload/{p}ann.png") for p in ("", "w_10/")]

    for old, new in zip(before, after, strict=True):
        assert old.headers["etag"] != new.headers["etag"]
        assert old.content != new.content


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=10-", 206, (10, None)),
        ("bytes=-7", 206, (-7, None)),
        ("bytes=5-999999999", 206, (5, None)),
        ("bytes=-999999999", 206, (0, None)),
        ("bytes=0-0,5-6", 200, (0, None)),
        ("lines=1-2", 200, (0, None)),
        ("bytes=5-2", 416, (0, 0)),
        ("bytes=999999999-", 416, (0, 0)),
        ("bytes=-0", 416, (0, 0)),
    ],
)
def test_ranges(site: Site, asked: str, status: int, span: tuple[int, int | None]) -> None:
    data = file_of(striped())
    site.put("ann", data)

    answer = site.get("/local/image/upload/ann.png", Range=asked)

    assert answer.status_code == status
    assert answer.content == data[slice(*span)]
    if status == 206:
        start = len(data) - len(answer.content) if span[1] is None else span[0]
        last = start + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {start}-{last}/{len(data)}"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(data)}"


def test_a_range_of_what_has_changed_is_the_whole(site: Site) -> None:
    data = file_of(striped())
    asset = site.put("ann", data)
    path = "/local/image/upload/ann.png"

    assert site.get(path, Range="bytes=0-4", If_Range='"old"').content == data
    assert site.get(path, Range="bytes=0-4", If_Range=f'"{asset.etag}"').content == data[:5]


def test_head_says_what_get_would(site: Site) -> None:
    site.put("ann", file_of(striped()))
    for path in ("/local/image/upload/ann.png", "/local/image/upload/w_10/ann.jpg"):
        head, get = site.client.head(path), site.get(path)
        assert head.content == b""
        for name in ("content-length", "content-type", "etag", "cache-control", "last-modified"):
            assert head.headers[name] == get.headers[name]


def test_head_of_an_original_that_is_missing_is_no_success(site: Site) -> None:
    asset = site.put("ann", file_of(striped()))
    (site.originals / asset.etag[:2] / asset.etag).unlink()
    answers = [site.client.head("/local/image/upload/ann.png"), site.get("/local/image/upload/ann")]
    assert [answer.status_code for answer in answers] == [503, 503]


# ---- derived images


def test_another_extension_converts(site: Site, photos: Path) -> None:
    site.put("anim", (photos / "hostile" / "animation.gif").read_bytes())
    site.put("web", (photos / "hostile" / "photo.webp").read_bytes())
    site.put("phone", heic())

    for public_id in ("anim", "web", "phone"):
        answer = site.get(site.url(public_id, format="jpg"))
        assert opened(answer).format == "JPEG"
        assert answer.headers["content-type"] == "image/jpeg"
    assert site.get("/local/image/upload/anim.gif").content.startswith(b"GIF89a")


def heic() -> bytes:
    import pillow_heif  # noqa: PLC0415 - one test's

    file = io.BytesIO()
    pillow_heif.from_pillow(striped()).save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "public_id", ["sample", "My People/Zoë 100", "família/ações", "👩‍👩‍👧/ש", "w_50/x", "a.b.c"]
)
@pytest.mark.parametrize("signing", [{}, {"sign_url": True}, {"sign_url": True, "long": True}])
def test_urls_of_the_official_sdk(site: Site, public_id: str, signing: dict[str, bool]) -> None:
    asset = site.put(public_id, file_of(striped()))
    steps: list[dict[str, object]] = [
        {"width": 100, "height": 80, "crop": "fill"},
        {"angle": 90},
        {"quality": "auto"},
    ]
    options = {"long_url_signature": signing.get("long"), "sign_url": signing.get("sign_url")}

    for version in (None, asset.version):
        url = site.url(
            public_id,
            transformation=[dict(step) for step in steps],
            format="jpg",
            version=version,
            api_secret=NEW.secret,
            **options,
        )
        assert opened(site.get(f"{url}?_a=BAMAA")).size == (80, 100)


def test_a_folder_may_be_named_like_a_step(site: Site) -> None:
    site.put("w_50/ann", file_of(striped()))
    site.put("ann", file_of(striped(100, 100)))

    assert opened(site.get("/local/image/upload/w_50/ann.png")).size == (400, 200)
    assert opened(site.get("/local/image/upload/w_50/v1/ann.png")).size == (50, 50)
    assert opened(site.get("/local/image/upload/w_40/w_50/ann.png")).size == (40, 20)


def test_an_image_is_made_once(site: Site) -> None:
    site.put("ann", file_of(striped()))
    url = "/local/image/upload/w_50/ann.jpg"

    first, second = site.get(url), site.get(url)

    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert site.renderer.rendered == 1


def test_an_image_many_ask_for_at_once_is_made_once(site: Site) -> None:
    site.put("ann", file_of(striped()))
    site.renderer.may_go.clear()

    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(site.get, "/local/image/upload/w_50/ann.jpg") for _ in range(12)]
        until(lambda: site.renderer.at_once == 1)
        site.renderer.may_go.set()

    assert {answer.result().status_code for answer in answers} == {200}
    assert len({answer.result().content for answer in answers}) == 1
    assert site.renderer.rendered == 1


def test_only_so_many_images_are_made_at_once_and_the_rest_is_served(site: Site) -> None:
    original = file_of(striped())
    site.put("ann", original)
    site.renderer.may_go.clear()

    with ThreadPoolExecutor(90) as pool:
        urls = [f"/local/image/upload/w_{width}/ann.jpg" for width in range(10, 100)]
        answers = [pool.submit(site.get, url) for url in urls]
        until(lambda: sum(answer.done() for answer in answers) == 90 - 64)
        refused = [answer.result() for answer in answers if answer.done()]
        assert site.get("/local/image/upload/ann.png").content == original
        site.renderer.may_go.set()

    for answer in refused:
        assert_refused(answer, "too many pictures are being made", 503)
        assert answer.headers["retry-after"] == "5"
    assert [answer.result().status_code for answer in answers].count(200) == 64
    assert site.renderer.most_at_once == min(4, os.cpu_count() or 1)


def test_the_format_a_client_accepts(site: Site) -> None:
    site.put("ann", file_of(striped()))
    url = site.url("ann", width=50, fetch_format="auto")

    modern = site.get(url, Accept="image/avif,image/webp,*/*")
    simple = site.get(url, Accept="*/*")

    assert modern.headers["content-type"] == "image/webp"
    assert simple.headers["content-type"] == "image/jpeg"
    assert modern.headers["vary"] == simple.headers["vary"] == "Accept, Origin"
    assert modern.headers["etag"] != simple.headers["etag"]


def test_a_picture_too_tall_for_webp_comes_as_something_else(site: Site) -> None:
    site.put("tall", file_of(Image.new("RGB", (60, 16_500), "teal")))

    for text in ("f_auto", "f_auto,q_auto"):
        answer = site.get(f"/local/image/upload/{text}/tall.jpg", Accept="image/webp,*/*")
        assert opened(answer).size == (60, 16_500)
        assert answer.headers["content-type"] == "image/jpeg"
    assert_refused(site.get("/local/image/upload/f_webp/tall"), "cannot be written as webp", 400)


def test_another_picture_stands_in_for_one_that_is_not_there(site: Site) -> None:
    avatar = file_of(striped(40, 40))
    site.put("people/avatar", avatar)
    site.put("ann", file_of(striped()))

    whole = site.get("/local/image/upload/d_people:avatar.png/v7/gone.png")
    small = site.get("/local/image/upload/c_scale,w_20/d_people:avatar.png/gone")
    assert whole.content == avatar
    assert whole.headers["cache-control"] == "public, no-cache"
    assert opened(small).size == (20, 20)
    there = site.get("/local/image/upload/c_scale,w_20/d_people:avatar.png/ann.png")
    assert opened(there).size == (20, 10)
    for path in ("d_nobody.png/gone.png", "d_nobody.png,w_x/gone.png", "w_20/gone.png"):
        assert site.get(f"/local/image/upload/{path}").status_code == 404
    assert site.get("/local/raw/upload/d_people:avatar.png/gone.png").status_code == 404


def test_what_stands_in_needs_a_signature_where_all_do(closed_site: Site) -> None:
    closed_site.put("avatar", file_of(striped(40, 40)))
    path = "/local/image/upload/d_avatar.png/gone.png"

    assert closed_site.get(path).status_code == 401
    signed = closed_site.url(
        "gone", sign_url=True, default_image="avatar.png", api_secret=NEW.secret
    )
    assert opened(closed_site.get(signed)).size == (40, 40)


def test_too_much_work_is_refused_without_a_place_in_the_queue(site: Site) -> None:
    site.put("ann", file_of(striped()))
    site.renderer.may_go.clear()  # whoever came to be rendered would wait
    steps = "/".join(["c_scale,w_5000,h_5000,e_blur:2000"] * 19)

    try:
        for last in ("c_scale,w_5000,h_5000,e_blur:2000", "f_auto", "c_scale,w_1"):
            answer = site.get(f"/local/image/upload/{steps}/{last}/ann.jpg")
            assert_refused(answer, "too much work", 400)
    finally:
        site.renderer.may_go.set()

    assert site.renderer.rendered == 0


def test_faces_are_looked_for_once_per_picture(site: Site) -> None:
    asset = site.put("ann", file_of(striped()))

    for width in (10, 20, 30):
        url = f"/local/image/upload/c_thumb,g_face,w_{width},h_{width}/v{asset.version}/ann.png"
        answer = site.get(url)
        assert opened(answer).size == (width, width)
        assert answer.headers["cache-control"] == "public, no-cache"  # faces may be corrected

    assert site.detector.asked == 1
    cut = opened(site.get("/local/image/upload/c_crop,g_face/ann.png"))
    assert np.array_equal(np.asarray(cut), np.asarray(striped())[110:190, 20:100])


def test_coordinates_of_faces_and_ones_own_count_first(site: Site) -> None:
    asset = site.put(
        "ann",
        file_of(striped()),
        details={"face_coordinates": [[100, 50, 60, 40]], "custom_coordinates": [[5, 6, 70, 80]]},
    )
    pixels = np.asarray(striped())

    face = opened(site.get("/local/image/upload/c_crop,g_face/ann.png"))
    custom = opened(site.get("/local/image/upload/c_crop,g_custom/ann.png"))
    site.library.edit([asset.asset_id], Edit(set_details={"face_coordinates": [[0, 0, 10, 10]]}))
    corrected = opened(site.get("/local/image/upload/c_crop,g_face/ann.png"))

    assert np.array_equal(np.asarray(face), pixels[50:90, 100:160])
    assert np.array_equal(np.asarray(custom), pixels[6:86, 5:75])
    assert np.array_equal(np.asarray(corrected), pixels[:10, :10])
    assert site.detector.asked == 0


def test_a_named_transformation(site: Site) -> None:
    site.put("ann", file_of(striped()))
    site.library.documents.change(
        DocumentKind.TRANSFORMATION, "small", lambda _: {"transformation": "c_fit,w_40"}
    )

    assert opened(site.get(site.url("ann", transformation="small"))).size == (40, 20)
    assert site.get("/local/image/upload/t_other/ann.png").status_code == 400


def test_a_download_has_a_name(site: Site) -> None:
    data = file_of(striped())
    site.put('people/zoë "x"', data)

    plain = site.get(site.url('people/zoë "x"', flags="attachment", format="png"))
    named = site.get(site.url('people/zoë "x"', flags="attachment:holiday", width=10))

    assert plain.content == data
    expected = "attachment; filename*=UTF-8''zo%C3%AB%20%22x%22.png"
    assert plain.headers["content-disposition"] == expected
    assert named.headers["content-disposition"] == "attachment; filename*=UTF-8''holiday.png"


# ---- who may see it


@pytest.mark.parametrize("type_", ["private", "authenticated"])
@pytest.mark.parametrize("key", [OLD, NEW])
@pytest.mark.parametrize("steps", [{}, {"width": 50}])
def test_private_pictures_need_a_signature(
    site: Site, type_: str, key: ApiKey, steps: dict[str, int]
) -> None:
    asset = site.put("people/ann", file_of(striped()), type_=type_)
    options = {"type": type_, "version": asset.version, **steps}
    signed = {"sign_url": True, "api_secret": key.secret}

    for url in (
        site.url("people/ann", **options, **signed),
        site.url("people/ann", **options, **signed, long_url_signature=True, format="jpg"),
    ):
        answer = site.get(url)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"

    wrong = site.url("people/ann", **options, sign_url=True, api_secret="guess")
    for url in (site.url("people/ann", **options), wrong, site.url("nobody", **options)):
        answer = site.get(url)
        assert answer.status_code == 401
        assert "signature" in answer.headers["x-cld-error"].lower()
        assert answer.headers["cache-control"] == "no-store"


def test_a_signature_is_for_one_picture_and_one_transformation(site: Site) -> None:
    for name in ("ann", "bob"):
        site.put(name, file_of(striped()), type_="private")
    url = site.url("ann", type="private", width=50, sign_url=True, api_secret=OLD.secret)

    assert site.get(url).status_code == 200
    assert site.get(url.replace("ann", "bob")).status_code == 401
    assert site.get(url.replace("w_50", "w_51")).status_code == 401
    assert site.get(url.replace("w_50/", "")).status_code == 401
    assert site.get(url.replace("/ann", "/v7/ann")).status_code == 200


def test_a_key_that_is_gone_signs_no_more(site: Site) -> None:
    site.put("ann", file_of(striped()), type_="private")
    url = site.url("ann", type="private", sign_url=True, api_secret=OLD.secret)
    assert site.get(url).status_code == 200

    site.keys.remove(OLD)

    assert site.get(url).status_code == 401


def test_a_wrong_signature_is_refused_where_none_is_needed(site: Site) -> None:
    site.put("ann", file_of(striped()))

    assert site.get(site.url("ann", sign_url=True, api_secret="guess")).status_code == 401


def test_a_private_picture_is_not_public_by_another_path(site: Site) -> None:
    site.put("ann", file_of(striped()), type_="private")

    for path in ("/local/image/upload/ann", "/local/image/upload/private/ann.png"):
        assert site.get(path).status_code == 404


def test_a_closed_server_wants_every_url_signed(closed_site: Site) -> None:
    closed_site.put("ann", file_of(striped()))

    assert closed_site.get(closed_site.url("ann")).status_code == 401
    assert closed_site.get(closed_site.url("nobody")).status_code == 401
    signed = closed_site.url("ann", sign_url=True, api_secret=OLD.secret)
    assert closed_site.get(signed).status_code == 200


# ---- files that are no pictures


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page.html", None),
        ("drawing.svg", None),
        ("paper.pdf", None),
        ("code.js", None),
        ("nothing", None),
        ("list.CSV", "text/csv; charset=utf-8"),
        ("note.txt", "text/plain; charset=utf-8"),
        ("photo.jpg", "image/jpeg"),
    ],
)
def test_no_raw_file_is_ever_a_page(site: Site, name: str, media_type: str | None) -> None:
    content = b"<script>alert(1)</script>"
    site.put(f"docs/{name}", content, resource_type="raw")

    answer = site.get(site.url(f"docs/{name}", resource_type="raw"))

    assert answer.content == content
    assert answer.headers["content-type"] == (media_type or "application/octet-stream")
    assert ("content-disposition" in answer.headers) == (media_type is None)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_video_is_delivered_but_not_changed(site: Site) -> None:
    site.put("clip", b"moving", resource_type="video")

    assert site.get("/local/video/upload/clip.mp4", Range="bytes=0-2").content == b"mov"
    for path in ("/local/video/upload/w_10/clip.mp4", "/local/video/upload/clip.jpg"):
        assert_refused(site.get(path), "unsupported")


# ---- what goes wrong


def assert_refused(answer: httpx2.Response, reason: str, status: int = 400) -> None:
    assert answer.status_code == status
    assert reason in answer.headers["x-cld-error"]
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "steps",
    [
        "l_logo",
        "l_text:Arial_20:hi",
        "u_x",
        "$a_10",
        "if_w_gt_10,w_5",
        "e_cartoonify",
        "c_fill_pad,g_auto",
    ],
)
def test_what_is_unsupported_is_refused_and_never_the_original(site: Site, steps: str) -> None:
    site.put("ann", file_of(striped()))

    assert_refused(site.get(f"/local/image/upload/{steps}/v1/ann.png"), "unsupported")
    assert_refused(site.get(f"/local/image/upload/w_10/{steps}/ann.png"), "unsupported")


def test_other_formats_are_refused(site: Site) -> None:
    site.put("ann", file_of(striped()))

    assert_refused(site.get("/local/image/upload/ann.pdf"), "the format 'pdf' is unsupported")


def test_what_is_not_there(site: Site) -> None:
    for path in (
        "/local/image/upload/w_10/nobody.jpg",
        "/local/image/upload/nobody",
        "/local/image/fetch/https://example.org/x.jpg",
        "/local/image/upload/",
    ):
        assert site.get(path).status_code == 404
    assert_refused(site.get("/other/image/upload/x.jpg"), "no cloud 'other'", 404)
    found = site.get("/local/image/upload/w_10/nobody.jpg")
    assert_refused(found, "Resource not found - w_10/nobody", 404)


def test_a_damaged_original_is_an_error_not_a_picture(site: Site) -> None:
    broken = bytearray(file_of(striped()))
    broken[len(broken) // 2] ^= 0x55
    site.put("broken", bytes(broken))

    assert site.get("/local/image/upload/broken.png").content == broken
    assert_refused(site.get("/local/image/upload/w_10/broken.png"), "damaged or incomplete")
    assert_refused(site.get("/local/image/upload/w_10/broken.png"), "damaged or incomplete")


def test_a_pixel_bomb_is_never_opened(site: Site, photos: Path) -> None:
    bomb = (photos / "hostile" / "bomb.png").read_bytes()
    site.put("bomb.png", bomb, resource_type="raw")
    key = AssetKey("bomb2", "image")
    site.library.put(Upload(key, bomb, "png", 65_536, 65_536))

    assert site.get("/local/image/upload/bomb.png").status_code == 404
    assert site.get("/local/image/upload/w_10/bomb.png").status_code == 404
    assert_refused(site.get("/local/raw/upload/w_10/v1/bomb.png"), "raw are unsupported")
    assert site.get("/local/raw/upload/bomb.png").content == bomb
    assert_refused(site.get("/local/image/upload/w_10/bomb2.png"), "65,536 x 65,536 pixels")


@pytest.mark.parametrize(
    "path",
    [
        "/local/image/upload/../../../etc/passwd",
        "/local/image/upload/%2e%2e/%2e%2e/etc/passwd",
        "/local/image/upload/..%2f..%2fetc%2fpasswd",
        "/local/image/upload/%252e%252e%252fpasswd",
        "/local/raw/upload//etc/passwd",
        "/local/image/upload/%00",
        "/local/image/upload/ann%00.png",
        "/local/image/upload/%0d%0aSet-Cookie:x",
        "/local/image/upload/%ff%fe",
        "/local/image/upload/%ED%A0%80",
        "/local/image/upload/" + "a" * 10_000,
        "/local/image/upload/" + "a/" * 5_000,
        "/local/image/upload/" + "w_1/" * 1_000 + "ann.png",
        "/local/image/upload/" + "w_1," * 2_000 + "/v1/ann.png",
        "/local/image/upload/s--" + "a" * 5_000 + "--/ann.png",
        "/local/image/upload/%",
        "/local/image/upload/w_99999999999999999999/ann.png",
    ],
)
def test_hostile_paths_end_in_a_clear_error(site: Site, path: str) -> None:
    site.put("ann", file_of(striped()))

    status, headers, body = site.raw(path)

    assert status in {400, 401, 404}
    assert "set-cookie" not in headers
    assert json.loads(body)["error"]["message"]
    assert headers["x-cld-error"].isprintable()


def test_a_slash_may_be_escaped(site: Site) -> None:
    data = file_of(striped())
    site.put("people/ann", data)

    for path in ("people%2Fann.png", "//people//ann.png", unquote("people%2Fann.png")):
        assert site.raw(f"/local/image/upload/{path}")[2] == data
