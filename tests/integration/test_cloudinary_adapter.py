"""Cloudinary as it is on a bad day: slow, throttled, broken, and clear about none of it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import cloudinary
import pytest
import urllib3
from cloudinary import api, uploader
from cloudinary.utils import encode_context
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facelabel.adapters.cloudinary import rules
from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import TRIES, Client
from facelabel.adapters.cloudinary.delivery import (
    delivery_hosts,
    delivery_url,
    recognition_steps,
)
from facelabel.adapters.cloudinary.library import CloudinaryLibrary
from facelabel.adapters.cloudinary.transport import MAX_BYTES, Exchange
from facelabel.adapters.fetcher import Fetcher
from facelabel.cloudinary import params, signing
from facelabel.errors import (
    AlreadyExists,
    ConfigurationError,
    Denied,
    FacelabelError,
    NotFound,
    Rejected,
    Throttled,
    Unavailable,
    UnreadableImage,
)
from facelabel.model import Asset
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from tests.integration.conftest import ApiServer

    Ask: TypeAlias = Callable[[Client], object]

SECRET = "s3cret5ecret"
ID = "0123456789abcdef" * 2
OK: dict[str, Any] = {"status": "ok"}


@dataclass(frozen=True)
class Reply:
    """What a server does with one request."""

    status: int = 200
    body: object = field(default_factory=lambda: OK)
    headers: dict[str, str] = field(default_factory=dict)
    #: Seconds.
    delay: float = 0.0


#: Take the request and cut the connection.
CUT = Reply(status=0)
#: Take the request and say nothing.
HANG = Reply(status=-1)
#: Send a byte now and then.
DRIP = Reply(status=-2)


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str


class Stage:
    """A server that plays a script and then answers that all is well."""

    def __init__(self) -> None:
        """Start on a free port of this machine."""
        self.script: list[Reply] = []
        self.asked: list[Request] = []
        self.over = threading.Event()
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                stage.play(self)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - their names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def paths(self) -> list[str]:
        """What it was asked for, without the version and the cloud."""
        return [request.path.split("/", 3)[-1] for request in self.asked]

    def play(self, handler: BaseHTTPRequestHandler) -> None:
        """Note the request and do what the script says."""
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = dict(handler.headers.items())
        text = body.decode(errors="replace")
        path = unquote(parts.path)
        self.asked.append(Request(handler.command, path, parse_qs(parts.query), headers, text))
        reply = self.script.pop(0) if self.script else Reply()
        time.sleep(reply.delay)
        if reply.status > 0:
            _send(handler, reply)
        else:
            handler.close_connection = True
            if reply.status < 0:
                self._stall(handler, drip=reply is DRIP)

    def _stall(self, handler: BaseHTTPRequestHandler, *, drip: bool) -> None:
        if drip:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
        while not self.over.wait(0.05):
            try:
                handler.wfile.write(b" " * drip)
            except OSError:
                return

    def close(self) -> None:
        """End it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    is_page = isinstance(reply.body, str)
    data = str(reply.body).encode() if is_page else json.dumps(reply.body).encode()
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "text/html" if is_page else "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def failure(status: int, message: str = "it is so", **headers: str) -> Reply:
    """An error as Cloudinary sends it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message}}, names)


def described(public_id: str = "training/ann", **more: object) -> Reply:
    """An asset as Cloudinary describes it."""
    raw = {
        "asset_id": ID, "public_id": public_id, "version": 7, "format": "jpg", "bytes": 3,
        "resource_type": "image", "type": "upload", "etag": "e", "tags": [], "asset_folder": "",
        "created_at": "2024-06-25T10:21:27Z",
    }  # fmt: skip
    return Reply(body={**raw, **more})


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server that misbehaves as told."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock on which waiting takes no time, a quarter past an hour."""
    return ManualClock(1_700_000_000.0 // 3600 * 3600 + 900)


def account(url: str, cloud: str = "demo", key: str = "123") -> Account:
    """Credentials for a server on this machine."""
    return Account(
        cloud, key, SECRET, upload_prefix=url, cname=url.removeprefix("http://"), secure=False
    )


@pytest.fixture
def client(stage: Stage, clock: ManualClock) -> Client:
    """What calls the server."""
    return Client(account(stage.url), timeout=5.0, clock=clock)


@pytest.fixture
def library(client: Client, clock: ManualClock) -> CloudinaryLibrary:
    """The pictures of the account, whose folders are apart from public_ids."""
    return CloudinaryLibrary(client, lambda _: b"", clock, folder_mode="dynamic")


# ---- patience


def ask_admin(client: Client) -> object:
    """Call something that has a quota."""
    return client.admin(api.ping)


def ask_upload(client: Client) -> object:
    """Call something that has none."""
    return client.upload(uploader.add_tag, ["a"], ["x"])


either = pytest.mark.parametrize("ask", [ask_admin, ask_upload])


@pytest.mark.parametrize(
    "trouble",
    [
        failure(500),
        failure(502),
        failure(504),
        failure(429),
        failure(423),
        Reply(503, "<html>Service unavailable</html>"),
        Reply(200, "<html>Sign in</html>"),
        Reply(500, {}),
        CUT,
    ],
)
@either
def test_what_may_go_by_is_tried_again(
    stage: Stage, client: Client, clock: ManualClock, trouble: Reply, ask: Ask
) -> None:
    before = clock.now()
    stage.script = [trouble, trouble]
    assert ask(client) == OK
    assert len(stage.asked) == TRIES == 3
    assert sum(client.calls.values()) == 3
    assert 0.5 * 0.5 * 3 <= clock.now() - before <= 1.5 * 0.5 * 3


@pytest.mark.parametrize("trouble", [failure(500), failure(429), CUT])
def test_what_does_not_go_by_is_reported_after_a_few_tries(
    stage: Stage, client: Client, trouble: Reply
) -> None:
    stage.script = [trouble] * 9
    with pytest.raises(Unavailable, match="Cloudinary"):
        client.upload(uploader.add_tag, ["a"], ["x"])
    assert len(stage.asked) == TRIES


def test_a_busy_upload_api_is_left_alone_for_a_while(stage: Stage, client: Client) -> None:
    stage.script = [failure(420)] * 9
    with pytest.raises(Unavailable) as raised:
        client.upload(uploader.add_tag, ["a"], ["x"])
    assert raised.value.retry_after == 60
    assert not isinstance(raised.value, Throttled)


@pytest.mark.parametrize("trouble", [HANG, DRIP])
def test_nothing_lasts_longer_than_its_timeout(
    stage: Stage, clock: ManualClock, trouble: Reply
) -> None:
    client = Client(account(stage.url), timeout=0.4, clock=clock)
    stage.script = [trouble] * 9
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.admin(api.ping)
    with pytest.raises(Unavailable):
        client.upload(uploader.add_tag, ["a"], ["x"])
    assert 0.8 <= time.monotonic() - started < 3
    assert len(stage.asked) == 2


def test_an_endless_answer_is_not_read_to_its_end(stage: Stage) -> None:
    stage.script = [Reply(body="x" * (MAX_BYTES + 1))]
    exchange = Exchange(time.monotonic() + 30)
    with (
        urllib3.PoolManager() as pool,
        pytest.raises(urllib3.exceptions.HTTPError, match="over"),
    ):
        exchange.perform(pool, "GET", stage.url)
    assert (exchange.status, exchange.header("Content-Length")) == (0, "")


def test_a_large_file_has_the_time_it_needs(stage: Stage, clock: ManualClock) -> None:
    client = Client(account(stage.url), timeout=0.3, clock=clock)
    library = CloudinaryLibrary(client, lambda _: b"", clock, folder_mode="dynamic")
    stage.script = [dataclasses.replace(described("x"), delay=0.6)]
    assert library.upload(bytes(200_000), filename="x.jpg").public_id == "x"
    assert len(stage.asked) == 1


def test_a_server_cannot_put_us_to_sleep(stage: Stage, client: Client) -> None:
    stage.script = [failure(429, Retry_After="3600"), failure(503, Retry_After="3600")]
    started = time.monotonic()
    assert client.admin(api.ping) == OK
    assert time.monotonic() - started < 3


def test_credentials_do_not_follow_a_redirect(stage: Stage, client: Client) -> None:
    stage.script = [Reply(302, {}, {"Location": f"{stage.url}/elsewhere"})] * 9
    with pytest.raises(FacelabelError):
        client.admin(api.ping)
    assert {*stage.paths} == {"ping"}


def test_nobody_there_is_unavailable(stage: Stage, clock: ManualClock) -> None:
    client = Client(account("http://127.0.0.1:9"), timeout=5.0, clock=clock)
    with pytest.raises(Unavailable):
        client.admin(api.ping)


# ---- the quota of the hour


def test_a_used_up_quota_ends_all_calls_until_it_is_renewed(
    stage: Stage, client: Client, clock: ManualClock
) -> None:
    resets = formatdate(clock.now() + 100, usegmt=True)
    stage.script = [failure(420, X_FeatureRateLimit_Reset=resets)]
    for _ in range(3):
        with pytest.raises(Throttled) as raised:
            client.admin(api.ping)
        assert raised.value.retry_after == pytest.approx(100)
    assert len(stage.asked) == 1
    assert client.upload(uploader.add_tag, ["a"], ["x"]) == OK
    clock.sleep(100)
    assert client.admin(api.ping) == OK


@pytest.mark.parametrize("resets", ["", "soon", formatdate(1.0), formatdate(4_000_000_000.0)])
def test_a_quota_that_does_not_say_when_ends_with_the_hour(
    stage: Stage, client: Client, resets: str
) -> None:
    stage.script = [failure(420, X_FeatureRateLimit_Reset=resets)]
    with pytest.raises(Throttled) as raised:
        client.admin(api.ping)
    assert raised.value.retry_after == 2700


def test_the_last_call_of_an_hour_is_not_followed_by_another(
    stage: Stage, client: Client, clock: ManualClock
) -> None:
    headers = {
        "X-FeatureRateLimit-Limit": "500",
        "X-FeatureRateLimit-Reset": formatdate(clock.now() + 50, usegmt=True),
    }
    stage.script = [
        Reply(headers={**headers, "X-FeatureRateLimit-Remaining": left}) for left in ("1", "0")
    ]
    assert client.admin(api.ping) == client.admin(api.ping) == OK
    with pytest.raises(Throttled):
        client.admin(api.ping)
    assert len(stage.asked) == 2
    assert client.calls == {"admin": 2}


# ---- what errors mean


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (failure(400, "Unsupported"), Rejected),
        (failure(400, "Resource bob already exists"), AlreadyExists),
        (failure(400, "Invalid image file"), UnreadableImage),
        (failure(403), Denied),
        (failure(404), NotFound),
        (failure(409), AlreadyExists),
        (failure(413), Rejected),
        (failure(422), Rejected),
    ],
)
@either
def test_what_is_wrong_is_said_at_once(
    stage: Stage, client: Client, reply: Reply, meaning: type[Exception], ask: Ask
) -> None:
    stage.script = [reply]
    with pytest.raises(Rejected) as raised:
        ask(client)
    assert type(raised.value) is meaning
    assert len(stage.asked) == 1


@either
def test_wrong_credentials_name_the_setting_and_no_secret(
    stage: Stage, client: Client, ask: Ask
) -> None:
    stage.script = [failure(401, "Invalid Signature abc. String to sign - 'tag=a&timestamp=1'.")]
    with pytest.raises(ConfigurationError, match="CLOUDINARY_URL") as raised:
        ask(client)
    assert SECRET not in str(raised.value)
    assert "tag=a" not in str(raised.value)
    assert len(stage.asked) == 1


def test_an_error_page_does_not_make_an_asset_disappear(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [Reply(404, "<html>No such host</html>")] * 9
    with pytest.raises(Unavailable) as raised:
        library.asset(ID)
    assert len(str(raised.value)) < 400


def test_a_bug_is_not_hidden(client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        client.admin(lambda **_: 1 / 0)


# ---- several accounts, and others in this process


def test_two_accounts_at_once_do_not_mix(stage: Stage, clock: ManualClock) -> None:
    def work(number: int) -> None:
        client = Client(
            account(stage.url, f"cloud{number}", f"key{number}"), timeout=5.0, clock=clock
        )
        for _ in range(10):
            client.admin(api.ping)
            client.upload(uploader.add_tag, [f"tag{number}"], ["x"])

    before = dict(vars(cloudinary.config()))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(stage.asked) == 80
    for request in stage.asked:
        number = request.path.split("/")[2].removeprefix("cloud")
        if request.method == "GET":
            basic = base64.b64encode(f"key{number}:{SECRET}".encode()).decode()
            assert request.headers["authorization"] == f"Basic {basic}"
        else:
            assert f"key{number}" in request.body
            assert f"tag{number}" in request.body
    assert vars(cloudinary.config()) == before


@pytest.fixture
def somebody_elses_settings() -> Iterator[None]:
    """Set everything there is in the SDK's globals."""
    cloudinary.config(
        cloud_name="other", api_key="other", api_secret="other", oauth_token="other",
        upload_preset="other", dpr="2.0", responsive_width=True, use_fetch_format=True,
        signature_algorithm="sha256", signature_version=1, long_url_signature=True,
        cname="other.example", private_cdn=True, secure_distribution="other.example",
        cdn_subdomain=True, secure_cdn_subdomain=True, shorten=True, use_root_path=True,
        force_version=False, auth_token={"key": "aa", "duration": 9}, timeout=0.001,
    )  # fmt: skip
    yield
    cloudinary.reset_config()


def test_what_others_set_in_the_sdk_does_not_reach_us(
    stage: Stage, client: Client, library: CloudinaryLibrary, request: pytest.FixtureRequest
) -> None:
    url = delivery_url(client.account, asset_named("a/x"), "f_jpg")
    request.getfixturevalue("somebody_elses_settings")
    assert delivery_url(client.account, asset_named("a/x"), "f_jpg") == url
    stage.script = [described("x"), Reply()]
    library.upload(b"data", filename="x.jpg")
    client.admin(api.ping)
    uploaded, pinged = stage.asked
    assert pinged.headers["authorization"].startswith("Basic ")
    assert {uploaded.path.split("/")[2], pinged.path.split("/")[2]} == {"demo"}
    assert [text in uploaded.body for text in ("other", "dpr", "123")] == [False, False, True]
    assert re.search(r'name="signature"\r\n\r\n[0-9a-f]{40}\r\n', uploaded.body)


def test_other_users_of_the_sdk_are_left_alone(stage: Stage) -> None:
    """Their requests are repeated by urllib3, as ever, and their errors are the SDK's."""
    options = account(stage.url).call_options()
    stage.script = [CUT]
    assert api.ping(**options, timeout=5) == OK
    assert len(stage.asked) == 2
    stage.script = [failure(420)]
    with pytest.raises(cloudinary.exceptions.RateLimited):
        api.ping(**options)


# ---- answers that were lost


def test_a_rename_whose_answer_was_lost_succeeds(stage: Stage, library: CloudinaryLibrary) -> None:
    gone = failure(404, "Resource not found - training/ann")
    stage.script = [described(), CUT, gone, described("training/bea")]
    assert library.rename(ID, "training/bea").public_id == "training/bea"


def test_a_name_that_somebody_else_has_is_not_taken_for_ours(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described(), failure(400, "training/bea already exists"), described()]
    with pytest.raises(AlreadyExists):
        library.rename(ID, "training/bea")


def test_an_upload_whose_answer_was_lost_is_one_asset(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    data = b"picture"
    etag = hashlib.md5(data).hexdigest()
    stage.script = [CUT, described("a/x", existing=True, etag=etag, asset_folder="a", tags=["t"])]
    asset = library.upload(data, folder="a", filename="x.jpg", tags=["t"])
    assert asset.asset_id == ID
    assert stage.paths == ["image/upload"] * 2


def test_tags_go_to_the_new_name_of_an_asset_just_renamed(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    found = Reply(body={"public_ids": ["b"]})
    stage.script = [described("a"), Reply(body={"public_ids": []}), described("b"), found]
    library.asset(ID)
    library.add_tags(ID, ["t"])
    assert [part in stage.asked[-1].body for part in ("\r\nb\r\n", "\r\na\r\n")] == [True, False]


def test_an_asset_gone_in_between_is_not_found(stage: Stage, library: CloudinaryLibrary) -> None:
    nobody = Reply(body={"public_ids": []})
    stage.script = [described("a"), nobody, described("a"), nobody]
    library.asset(ID)
    with pytest.raises(NotFound):
        library.add_tags(ID, ["t"])


def test_a_public_id_is_trusted_for_a_minute(
    stage: Stage, library: CloudinaryLibrary, clock: ManualClock
) -> None:
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), there, described("a"), there]
    library.asset(ID)
    clock.sleep(59)
    library.add_tags(ID, ["t"])
    assert len(stage.asked) == 2
    clock.sleep(1)
    library.add_tags(ID, ["t"])
    assert len(stage.asked) == 4


def test_what_an_overwrite_clears_is_put_back(stage: Stage, library: CloudinaryLibrary) -> None:
    former = described(
        "a", existing=True, tags=["one", "two"], context={"custom": {"k": "v"}},
        metadata={"sku": "S1"}, original_filename="photo",
    )  # fmt: skip
    fields = Reply(body={"metadata_fields": [{"external_id": "sku", "type": "string"}]})
    stage.script = [former, fields, described("a", tags=["two"])]
    new = library.upload(b"other", public_id="a")
    assert (new.tags, new.context) == (("two", "one"), {"k": "v"})
    assert new.metadata == {"sku": "S1"}
    assert stage.paths[2:] == [
        f"image/{what}" for what in ("upload", "tags", "context", "metadata")
    ]
    assert 'filename="photo.jpg"' in stage.asked[2].body
    bodies = [request.body for request in stage.asked[3:]]
    assert ["\r\none\r\n" in bodies[0], "k=v" in bodies[1], "sku=S1" in bodies[2]] == [True] * 3
    assert "\r\ntwo\r\n" not in bodies[0]


def test_nothing_has_no_name(stage: Stage, library: CloudinaryLibrary) -> None:
    assert library.find("") is library.find(" ") is None
    assert stage.asked == []


def test_what_is_left_of_a_deleted_asset_is_no_asset(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described(placeholder=True)]
    assert library.asset(ID) is None


@pytest.mark.parametrize("raw", [{}, {"asset_id": None}, {"created_at": "yesterday"}])
def test_an_answer_in_another_form_is_not_believed(
    stage: Stage, library: CloudinaryLibrary, raw: dict[str, object]
) -> None:
    body = {"asset_id": ID, "public_id": "a", "version": "x", **raw}
    stage.script = [Reply(body=body)]
    with pytest.raises(Unavailable, match="describes"):
        library.asset(ID)


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({"folder_mode": "fixed"}, "by/id"),
        ({"folder_mode": "dynamic"}, "by folder"),
        ({}, "by folder"),
    ],
)
def test_the_account_says_once_what_folders_are(
    stage: Stage, client: Client, clock: ManualClock, settings: dict[str, str], folder: str
) -> None:
    library = CloudinaryLibrary(client, lambda _: b"", clock)
    asset = described("by/id/x", asset_folder="by folder")
    stage.script = [asset, Reply(body={"cloud_name": "demo", "settings": settings}), asset]
    for _ in range(2):
        found = library.asset(ID)
        assert found
        assert found.folder == folder
    assert stage.paths == [f"resources/{ID}", "config", f"resources/{ID}"]
    assert stage.asked[1].query == {"settings": ["true"]}


# ---- names, labels and limits


@pytest.mark.parametrize("tag", ["Smith, John", "", " ", "x" * 256, "a\nb", "a\0b", "\ud800"])
def test_a_tag_that_cloudinary_would_misread_is_not_sent(
    stage: Stage, library: CloudinaryLibrary, tag: str
) -> None:
    for change in (library.add_tags, library.remove_tags):
        with pytest.raises(Rejected, match="tag"):
            change(ID, ["fine", tag])
    with pytest.raises(Rejected, match="tag"):
        library.upload(b"x", filename="x.jpg", tags=[tag])
    assert stage.asked == []


@pytest.mark.parametrize("values", [{"k": "ends with \\"}, {"k\\": "v"}, {" ": "v"}])
def test_context_that_cloudinary_would_misread_is_not_sent(
    stage: Stage, library: CloudinaryLibrary, values: dict[str, str]
) -> None:
    with pytest.raises(Rejected):
        library.set_context(ID, values)
    assert stage.asked == []


@given(
    st.dictionaries(st.text(st.sampled_from('a=|\\,é "')), st.text(st.sampled_from('a=|\\,é "')))
)
def test_context_means_the_same_on_the_other_side(values: dict[str, str]) -> None:
    try:
        sent = encode_context(rules.context(values))
    except Rejected:
        assert any(key[-1:] in {"", "\\"} or not key.strip() for key in values) or any(
            value.endswith("\\") for value in values.values()
        )
    else:
        assert params.context(sent) == values


def test_a_tag_is_sent_once_and_many_in_several_calls(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described("a"), *[Reply(body={"public_ids": ["a"]})] * 3]
    library.asset(ID)
    library.add_tags(ID, ["twice", "twice", *(f"t{number}" for number in range(1001))])
    assert [request.body.count('name="tag[]"') for request in stage.asked[1:]] == [500, 500, 2]


def test_a_folder_is_walked_page_by_page(stage: Stage, library: CloudinaryLibrary) -> None:
    def listed(*names: str, cursor: str = "") -> Reply:
        found = [{**described(name).body, "asset_id": name * 32} for name in names]  # type: ignore[dict-item] # ours
        more = {"next_cursor": cursor} if cursor else {}
        return Reply(
            body={"resources": [{**raw, "asset_folder": "50%25 off"} for raw in found], **more}
        )

    stage.script = [
        listed("a", "b", cursor="more"),
        listed("b", "c"),
        Reply(body={"folders": [{"path": "50%25 off/x"}], "next_cursor": "more"}),
        listed(),
        Reply(body={"folders": []}),
        Reply(body={"folders": [{"path": "50%25 off/gone"}]}),
        failure(404),
        failure(404),
    ]
    assert [asset.public_id for asset in library.assets("/50%25 off/")] == ["a", "b", "c"]
    assert stage.asked[1].query["next_cursor"] == ["more"]
    assert stage.asked[0].query["max_results"] == ["500"]
    assert stage.asked[2].path.endswith("/folders/50%25 off")


# ---- structured metadata, with our own server


@pytest.fixture
def connected(api_server: ApiServer) -> CloudinaryLibrary:
    """Return a library on our own server."""
    return connected_to(api_server, account_of(api_server))


def account_of(server: ApiServer) -> Account:
    """The account of a server of ours."""
    sdk = server.sdk
    host = server.url.removeprefix("http://")
    return Account(
        sdk["cloud_name"], sdk["api_key"], sdk["api_secret"],
        upload_prefix=server.url, cname=host, secure=False,
    )  # fmt: skip


def connected_to(server: ApiServer, of: Account) -> CloudinaryLibrary:
    """A library on a server, downloads being limited to that."""
    clock = ManualClock()
    fetcher = Fetcher(
        max_bytes=1 << 20, timeout=10, allow_private=True, allowed_hosts=delivery_hosts(of)
    )
    client = Client(of, timeout=10.0, clock=clock)
    return CloudinaryLibrary(client, lambda url: fetcher.fetch(url).data, clock)


def jpeg(width: int = 60, height: int = 40, *, orientation: int = 1) -> bytes:
    """A picture, brighter on its left."""
    image = Image.new("RGB", (width, height), "black")
    image.paste("white", (0, 0, width // 2, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


def people(library: CloudinaryLibrary, asset: Asset) -> object:
    """What its field "people" holds."""
    found = library.asset(asset.asset_id)
    assert found
    return found.metadata.get("people")


def test_a_field_for_names_is_made_when_it_is_first_needed(
    connected: CloudinaryLibrary, api_server: ApiServer
) -> None:
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    names = ["Ann", "Zoë O'Neill | Co = x", "محمد", "🧑‍🚀"]
    connected.set_metadata(asset.asset_id, "people", names)
    assert people(connected, asset) == names
    field = api.metadata_field_by_field_id("people", **api_server.sdk)
    assert (field["type"], field["allow_dynamic_list_values"]) == ("set", True)
    connected.set_metadata(asset.asset_id, "people", ["Bea", "Ann", "Ann"])
    assert people(connected, asset) == ["Bea", "Ann"]
    connected.set_metadata(asset.asset_id, "people", [])
    assert not people(connected, asset)


@pytest.mark.parametrize("kind", ["set", "enum"])
def test_a_closed_list_gets_the_names_it_lacks(
    connected: CloudinaryLibrary, api_server: ApiServer, kind: str
) -> None:
    values = {"values": [{"external_id": "id_ann", "value": "Ann"}]}
    field = {"external_id": "people", "label": "P", "type": kind, "datasource": values}
    api.add_metadata_field(field, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    for name in ("Cleo", "Cleo", "Ann"):
        connected.set_metadata(asset.asset_id, "people", [name])
        assert people(connected, asset) == ([name] if kind == "set" else name)
    found = api.metadata_field_by_field_id("people", **api_server.sdk)["datasource"]["values"]
    assert [entry["value"] for entry in found] == ["Ann", "Cleo"]
    raw = api.resource_by_asset_id(asset.asset_id, **api_server.sdk)["metadata"]["people"]
    assert raw in ("id_ann", ["id_ann"])


def test_a_name_deleted_from_a_list_is_brought_back(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    entry = {"external_id": "id_bob", "value": "Bob", "state": "inactive"}
    field = {"external_id": "people", "type": "set", "datasource": {"values": [entry]}}
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), Reply(body={"metadata_fields": [field]}), Reply(), there]
    library.asset(ID)
    library.set_metadata(ID, "people", ["Bob"])
    assert stage.paths[2] == "metadata_fields/people/datasource_restore"
    assert json.loads(stage.asked[2].body) == {"external_ids": ["id_bob"]}
    assert 'people=["id_bob"]' in stage.asked[3].body


@pytest.mark.parametrize(
    ("kind", "names"), [("integer", ["1"]), ("date", ["2024-01-01"]), ("string", ["a", "b"])]
)
def test_a_field_that_cannot_hold_names_says_so(
    connected: CloudinaryLibrary, api_server: ApiServer, kind: str, names: list[str]
) -> None:
    api.add_metadata_field({"external_id": "people", "label": "P", "type": kind}, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    with pytest.raises(Rejected, match="people"):
        connected.set_metadata(asset.asset_id, "people", names)


def test_a_text_field_holds_one_name(connected: CloudinaryLibrary, api_server: ApiServer) -> None:
    field = {"external_id": "people", "label": "P", "type": "string"}
    api.add_metadata_field(field, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    connected.set_metadata(asset.asset_id, "people", ["Ann"])
    assert people(connected, asset) == "Ann"


def test_a_field_that_another_worker_just_made_is_used(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    entry = {"external_id": "id_bob", "value": "Bob"}
    field = {"external_id": "people", "type": "set", "datasource": {"values": [entry]}}
    taken = failure(400, "external id people already exists")
    made = Reply(body={"metadata_fields": [field]})
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), Reply(body={"metadata_fields": []}), taken, made, there]
    library.asset(ID)
    library.set_metadata(ID, "people", ["Bob"])
    assert 'people=["id_bob"]' in stage.asked[4].body


def test_several_workers_make_one_field(api_server: ApiServer) -> None:
    libraries = [connected_to(api_server, account_of(api_server)) for _ in range(4)]
    assets = [
        library.upload(jpeg(), folder="assets", filename=f"{number}.jpg")
        for number, library in enumerate(libraries)
    ]

    def name(number: int) -> None:
        libraries[number].set_metadata(assets[number].asset_id, "people", [f"person {number}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(name, range(4)))
    found = [people(libraries[0], asset) for asset in assets]
    assert found == [[f"person {number}"] for number in range(4)]


# ---- delivery


def asset_named(public_id: str, **more: Any) -> Asset:  # noqa: ANN401 - of any field
    """An asset of version 7."""
    return dataclasses.replace(Asset(ID, public_id, "", 7, "png", 3, "e"), **more)


@pytest.mark.parametrize(
    ("public_id", "escaped"),
    [
        ("My People/Zoë 100% ?#&+", "My%20People/Zo%C3%AB%20100%25%20%3F%23%26%2B"),
        ("100%20", "100%2520"),
        ("john.smith", "john.smith"),
        ("v12/x", "v12/x"),
        ("w_100/x", "w_100/x"),
        ("דוד", "%D7%93%D7%95%D7%93"),
    ],
)
@pytest.mark.parametrize("kind", ["upload", "private", "authenticated"])
def test_a_delivery_url_is_versioned_escaped_and_signed(
    public_id: str, escaped: str, kind: str
) -> None:
    demo = Account("demo", "1", "abcd")
    url = delivery_url(demo, asset_named(public_id, type=kind), "q_auto/c_limit,f_jpg")
    head, _, rest = url.partition(f"/demo/image/{kind}/")
    signature, _, rest = rest.partition("/")
    assert head == "https://res.cloudinary.com"
    assert rest == f"q_auto/c_limit,f_jpg/v7/{escaped}.jpg"
    signed = f"q_auto/c_limit,f_jpg/{escaped}.jpg"
    assert signing.is_delivery(signed, signature, ["abcd"])
    digest = hashlib.sha1(f"{signed}abcd".encode()).digest()
    assert signature == f"s--{base64.urlsafe_b64encode(digest)[:8].decode()}--"


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ("", "res.cloudinary.com"),
        ("?private_cdn=true", "demo-res.cloudinary.com"),
        ("/images.example.com", "images.example.com"),
        ("?secure_distribution=images.example.com", "images.example.com"),
        ("?cname=images.example.com", "images.example.com"),
        ("/", "res.cloudinary.com"),
        ("?upload_prefix=http://127.0.0.1:8765&cname=127.0.0.1:8765", "127.0.0.1:8765"),
        ("?secure=false", "res.cloudinary.com"),
    ],
)
def test_the_delivery_hosts_follow_from_the_account(options: str, host: str) -> None:
    there = Account.parse(f"cloudinary://1:abcd@demo{options}")
    assert delivery_hosts(there) == {host}
    scheme = "http" if "http:" in options or "secure=false" in options else "https"
    url = delivery_url(there, asset_named("x"), "f_jpg")
    assert url.startswith(f"{scheme}://{host}/")
    own = "private_cdn" in options or options == "/images.example.com"
    assert ("/demo/" in url) is not own


def test_a_long_signature_is_made_where_the_account_wants_it() -> None:
    demo = Account.parse("cloudinary://1:abcd@demo?long_url_signature=true")
    url = delivery_url(demo, asset_named("x"), "f_jpg")
    digest = hashlib.sha256(b"f_jpg/x.jpgabcd").digest()
    assert f"/s--{base64.urlsafe_b64encode(digest)[:32].decode()}--/" in url


@pytest.mark.parametrize(
    ("transformation", "steps"),
    [
        ("q_auto", "q_auto/c_limit,f_jpg,h_900,w_900"),
        ("", "c_limit,f_jpg,h_900,w_900"),
        (" e_improve,q_80/a_hflip/ ", "e_improve,q_80/a_hflip/c_limit,f_jpg,h_900,w_900"),
    ],
)
def test_our_step_comes_after_the_users(transformation: str, steps: str) -> None:
    assert recognition_steps(transformation, 900) == steps


@pytest.mark.parametrize(
    "url",
    [
        "", "demo", "https://1:abcd@demo", "cloudinary://demo", "cloudinary://1@demo",
        "cloudinary://1:ab/cd@demo", "cloudinary://1:abcd@", "cloudinary://1:abcd@demo:80",
        "cloudinary://1:abcd@demo?upload_prefix=ftp://x",
        "cloudinary://1:abcd@demo?signature_algorithm=md5",
    ],
)  # fmt: skip
def test_a_wrong_account_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CLOUDINARY_URL") as raised:
        Account.parse(url)
    assert "abcd" not in str(raised.value)


def test_an_account_keeps_its_secret() -> None:
    demo = Account.parse("cloudinary://123:abcd@Demo?signature_algorithm=SHA256&other=1")
    assert (demo.cloud_name, demo.api_key, demo.api_secret) == ("Demo", "123", "abcd")
    assert demo.signature_algorithm == "sha256"
    assert "abcd" not in f"{demo!r} {demo}"


@pytest.fixture
def pictures(api_server: ApiServer) -> Callable[[bytes, str], Image.Image]:
    """Return what uploads a picture, and opens what is fetched of it."""
    library = connected_to(api_server, account_of(api_server))

    def fetched(data: bytes, filename: str) -> Image.Image:
        asset = library.upload(data, folder="assets", filename=filename)
        image = Image.open(io.BytesIO(library.fetch(asset)))
        assert image.format == "JPEG"
        return image

    return fetched


def test_a_picture_is_fetched_as_a_jpeg_and_never_enlarged(
    pictures: Callable[[bytes, str], Image.Image],
) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (30, 20), (255, 0, 0, 128)).save(buffer, "PNG")
    assert pictures(buffer.getvalue(), "small.png").size == (30, 20)
    assert pictures(jpeg(3000, 1500), "large.jpg").size == (2048, 1024)


def test_a_picture_is_fetched_upright(pictures: Callable[[bytes, str], Image.Image]) -> None:
    image = pictures(jpeg(60, 40, orientation=6), "turned.jpg").convert("L")
    assert image.size == (40, 60)
    pixels = image.tobytes()
    assert pixels[20 + 10 * 40] > 245
    assert pixels[20 + 50 * 40] < 10


@pytest.mark.parametrize("kind", ["private", "authenticated"])
def test_a_picture_that_is_not_public_is_found_fetched_and_tagged(
    api_server: ApiServer, connected: CloudinaryLibrary, kind: str
) -> None:
    raw = uploader.upload(jpeg(), public_id="a/x", type=kind, asset_folder="a", **api_server.sdk)
    asset = connected.find("a/x")
    assert asset
    assert (asset.asset_id, asset.type) == (raw["asset_id"], kind)
    assert [found.asset_id for found in connected.assets("a")] == [raw["asset_id"]]
    assert [found.asset_id for found in connected.assets("")] == [raw["asset_id"]]
    assert Image.open(io.BytesIO(connected.fetch(asset))).size == (60, 40)
    connected.add_tags(asset.asset_id, ["Ann"])
    connected.set_context(asset.asset_id, {"k": "v", "l": "w"})
    connected.set_context(asset.asset_id, {"k": None})
    connected.set_metadata(asset.asset_id, "people", ["Ann"])
    moved = connected.move(asset.asset_id, "")
    assert (moved.folder, moved.tags, moved.context) == ("", ("Ann",), {"l": "w"})
    assert connected.rename(asset.asset_id, "y").metadata == {"people": ["Ann"]}
    connected.delete(asset.asset_id)
    assert connected.asset(asset.asset_id) is None


def test_a_wrong_secret_is_said_to_be_a_reason_for_no_delivery(
    api_server: ApiServer, connected: CloudinaryLibrary
) -> None:
    right = account_of(api_server)
    uploader.upload(jpeg(), public_id="x", type="private", **api_server.sdk)
    asset = connected.find("x")
    assert asset
    wrong = connected_to(api_server, dataclasses.replace(right, api_secret="other"))
    with pytest.raises(Denied, match="secret") as raised:
        wrong.fetch(asset)
    assert "other" not in str(raised.value)


def test_only_the_hosts_of_the_account_are_asked(stage: Stage) -> None:
    host = stage.url.removeprefix("http://")
    fetcher = Fetcher(
        max_bytes=100, timeout=5.0, allow_private=True, allowed_hosts=frozenset({host})
    )
    assert fetcher.fetch(f"{stage.url}/x").data
    for elsewhere in ("http://127.0.0.1:9/x", "http://localhost/x", "https://example.com/x"):
        with pytest.raises(Rejected, match="only"):
            fetcher.fetch(elsewhere)
        stage.script = [Reply(302, {}, {"Location": elsewhere})]
        with pytest.raises(Rejected, match="only"):
            fetcher.fetch(f"{stage.url}/x")


def test_an_allowed_host_may_be_asked_at_any_port_but_not_at_home(stage: Stage) -> None:
    port = urlsplit(stage.url).port
    anywhere = frozenset({"127.0.0.1"})
    fetcher = Fetcher(max_bytes=100, timeout=5.0, allow_private=True, allowed_hosts=anywhere)
    assert fetcher.fetch(f"http://127.0.0.1:{port}/x").data
    fetcher = Fetcher(max_bytes=100, timeout=5.0, allowed_hosts=anywhere)
    with pytest.raises(Rejected, match="public"):
        fetcher.fetch(f"http://127.0.0.1:{port}/x")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(401, Denied), (403, Denied), (404, NotFound), (410, NotFound), (400, Rejected),
     (420, Unavailable), (423, Unavailable)],
)  # fmt: skip
def test_what_a_delivery_host_refuses_has_a_name_and_a_reason(
    stage: Stage, status: int, meaning: type[Exception]
) -> None:
    stage.script = [failure(status, X_Cld_Error="Strict transformations")]
    fetcher = Fetcher(max_bytes=100, timeout=5.0, allow_private=True)
    with pytest.raises(FacelabelError) as raised:
        fetcher.fetch(f"{stage.url}/x")
    assert type(raised.value) is meaning
    assert ("Strict transformations" in str(raised.value)) is issubclass(meaning, Rejected)
