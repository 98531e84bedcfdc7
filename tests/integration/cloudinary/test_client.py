"""Calls on a bad day: slow, throttled, broken, and clear about none of it."""

from __future__ import annotations

import base64
import dataclasses
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from types import ModuleType
from typing import TYPE_CHECKING

import cloudinary
import pytest
import urllib3
from cloudinary import api, uploader
from tests.integration.cloudinary.conftest import (
    CUT,
    DRIP,
    HANG,
    ID,
    OK,
    SECRET,
    Reply,
    Stage,
    account,
    asset_named,
    described,
    failure,
)
from tests.waiting import PATIENCE, until

from facelabel.adapters.cloudinary.client import MAX_BYTES, TRIES, Client, Exchange, install
from facelabel.adapters.cloudinary.library import CloudinaryLibrary, delivery_url
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from facelabel.testing import ManualClock

    Ask: TypeAlias = Callable[[Client], object]


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
    client = Client(account(stage.url), timeout=1.0, clock=clock)
    stage.script = [trouble] * 9
    with pytest.raises(Unavailable):
        client.admin(api.ping)
    with pytest.raises(Unavailable):
        client.upload(uploader.add_tag, ["a"], ["x"])
    until(lambda: len(stage.asked) == 2)


def test_an_endless_answer_is_not_read_to_its_end(stage: Stage) -> None:
    stage.script = [Reply(body="x" * (MAX_BYTES + 1))]
    exchange = Exchange(time.monotonic() + PATIENCE)
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
    assert library.upload(bytes(6_000_000), filename="x.jpg").public_id == "x"
    assert len(stage.asked) == 1


def test_a_server_cannot_put_us_to_sleep(stage: Stage, client: Client) -> None:
    stage.script = [failure(429, Retry_After="3600"), failure(503, Retry_After="3600")]
    assert client.admin(api.ping) == OK


def test_credentials_do_not_follow_a_redirect(stage: Stage, client: Client) -> None:
    stage.script = [Reply(302, {}, {"Location": f"{stage.url}/elsewhere"})] * 9
    with pytest.raises(FacelabelError):
        client.admin(api.ping)
    assert {*stage.paths} == {"ping"}


def test_nobody_there_is_unavailable(stage: Stage, clock: ManualClock) -> None:
    client = Client(account("http://127.0.0.1:9"), timeout=PATIENCE, clock=clock)
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
            account(stage.url, f"cloud{number}", f"key{number}"), timeout=PATIENCE, clock=clock
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


#: Tells whether the SDK's pools are as they came, before and after.
UNTOUCHED = """
from cloudinary import uploader
from cloudinary.api_client import call_api
before = uploader._http, call_api._http
from facelabel.adapters.cloudinary import client, library
print(before == (uploader._http, call_api._http), end=" ")
client.install()
once = uploader._http, call_api._http
client.install()
print(before[0] is once[0], once == (uploader._http, call_api._http))
"""


def test_the_sdk_is_touched_when_that_is_asked_for_and_once() -> None:
    said = subprocess.check_output([sys.executable, "-c", UNTOUCHED], text=True)
    assert said == "True False True\n"


def test_an_sdk_that_sends_in_another_way_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=re.escape(cloudinary.VERSION)):
        install([ModuleType("uploader")])


def test_other_users_of_the_sdk_are_left_alone(stage: Stage) -> None:
    """Their requests are repeated by urllib3, as ever, and their errors are the SDK's."""
    options = account(stage.url).call_options()
    stage.script = [CUT]
    assert api.ping(**options, timeout=PATIENCE) == OK
    assert len(stage.asked) == 2
    stage.script = [failure(420)]
    with pytest.raises(cloudinary.exceptions.RateLimited):
        api.ping(**options)
