"""Every route of the whole application, asked by every kind of caller."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.integration.asgi import Answer, ask
from tests.integration.whole_site import ALLOWED, EVIL, Site, is_api_route, serving

from facelabel import settings
from facelabel.bootstrap.app import opened
from facelabel.errors import ConfigurationError
from facelabel.web.access.policy import Api
from facelabel.web.serving import server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from facelabel.web.access.gate import ApiRoute

OWN = "127.0.0.1:8765"
PUBLIC = "faces.example.com"
NOTHING: Mapping[str, str] = {}
#: What stands in a route's placeholders; of all others "x".
PLACES = {"cloud": "local", "resource_type": "image", "type": "upload", "path": "upload/x"}
FROM_EVIL = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@dataclass(frozen=True)
class Asks:
    """A kind of caller."""

    headers: Mapping[str, str] = field(default_factory=dict)
    host: str | None = OWN
    peer: str = "127.0.0.1"
    http: str = "1.1"


#: Each kind of caller, and how it stands to a server on loopback that has no public_url …
CALLERS: Mapping[str, tuple[Asks, str]] = {
    "an SDK on this computer": (Asks({"User-Agent": "CloudinaryPython/1.46"}), "local"),
    "localhost": (Asks(host="localhost:8765"), "local"),
    "a page of our own": (
        Asks({"Origin": f"http://{OWN}", "Sec-Fetch-Site": "same-origin"}), "local"),
    "typed into the browser": (Asks({**LINK, "Sec-Fetch-Site": "none"}), "local"),
    "an allowed page": (Asks({"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"}), "guest"),
    "an allowed page far away": (Asks({"Origin": ALLOWED, "X-Forwarded-For": "1.2.3.4"}), "remote"),
    "forwarded": (Asks({"X-Forwarded-For": "203.0.113.9"}), "remote"),
    "forwarded, as the standard says": (Asks({"Forwarded": "for=203.0.113.9"}), "remote"),
    "through Cloudflare": (Asks({"CF-Connecting-IP": "203.0.113.9"}), "remote"),
    "a proxy that says nothing": (Asks(http="1.0"), "remote"),
    "no headers at all": (Asks(host=None), "remote"),
    "HTTP/1.0 without Host": (Asks(host=None, http="1.0"), "remote"),
    "another computer": (Asks(peer="192.168.1.4"), "remote"),
    "a script of another site": (Asks(FROM_EVIL), "foreign"),
    "a form of another site": (
        Asks({**FROM_EVIL, **LINK, "Content-Type": "application/x-www-form-urlencoded"}),
        "foreign"),
    "a page on another port": (
        Asks({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}), "foreign"),
    "a page that hides its origin": (Asks({"Origin": "null"}), "foreign"),
    "an old browser": (Asks({"Origin": EVIL}), "foreign"),
    "a picture in another page": (
        Asks({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors",
              "Sec-Fetch-Dest": "image", "Referer": f"{EVIL}/"}), "foreign"),
    "a link on another site": (Asks(LINK), "link"),
    "another name": (Asks(host="evil.example"), "misdirected"),
    "the public name": (Asks(host=PUBLIC), "misdirected"),
}  # fmt: skip
#: … and what each finds at a door: "in" is let in without proof, "asked" for it, "no" refused.
WITHOUT_KEY: Mapping[Api, Mapping[str, str]] = {
    Api.PAGE: {"local": "in", "guest": "in", "remote": "in", "link": "in", "foreign": "in"},
    Api.WEBHOOK: {"local": "asked", "guest": "asked", "remote": "asked", "link": "no",
                   "foreign": "no"},
    Api.UPLOAD: {"local": "asked", "guest": "asked", "remote": "asked", "link": "asked",
                  "foreign": "asked"},
    Api.CALL: {"local": "asked", "guest": "asked", "remote": "asked", "link": "no",
                "foreign": "no"},
    Api.ADMIN: {"local": "asked", "guest": "asked", "remote": "asked", "link": "no",
                 "foreign": "no"},
    Api.DELIVERY: {"local": "in", "guest": "in", "remote": "asked", "link": "asked",
                    "foreign": "asked"},
    Api.LIST: {"local": "in", "guest": "in", "remote": "asked", "link": "no", "foreign": "no"},
    Api.REKOGNITION: {"local": "in", "guest": "asked", "remote": "asked", "link": "no",
                       "foreign": "no"},
}  # fmt: skip
#: Where the browser's or the client's HTTP Basic login counts.
WITH_BASIC: Mapping[Api, Mapping[str, str]] = {
    api: {"local": "in", "guest": "in", "remote": "in", "link": "no", "foreign": "no"}
    for api in (Api.UPLOAD, Api.CALL, Api.ADMIN, Api.LIST)
}


def outcome(api: Api, answer: Answer) -> str:
    """What an answer says of the door, not of what is behind it."""
    if answer.status == 421:
        return "misdirected"
    text = answer.body.decode()
    match api:
        case Api.REKOGNITION:
            code = answer.json["Code"]
            if code == "MissingAuthenticationTokenException":
                assert answer.status == 403
                return "asked"
            return "no" if code == "AccessDeniedException" else "in"
        case Api.UPLOAD if "Upload preset" in text or "upload_preset" in text:
            return "asked"
    if answer.status == 403:
        return "no"
    return "asked" if answer.status == 401 else "in"


@pytest.fixture(scope="module", params=["local", "cloudinary"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """On loopback, for both kinds of library."""
    with serving(tmp_path_factory.mktemp("site"), request.param) as made:
        yield made


async def come(
    site: Site, route: ApiRoute, method: str, asks: Asks, more: Mapping[str, str] = NOTHING
) -> str:
    """What somebody finds who comes to a route."""
    host = {} if asks.host is None else {"Host": asks.host}
    path = re.sub(r"\{(\w+)(:path)?\}", lambda found: PLACES.get(found[1], "x"), route.path)
    headers = {**host, **asks.headers, **more}
    answer = await ask(site.app, method, path, headers, peer=asks.peer, http=asks.http)
    assert answer.status < 500, (path, answer)
    assert "x-content-type-options" in answer.headers or answer.status == 421
    return outcome(route.api, answer)


def expected(table: Mapping[Api, Mapping[str, str]], api: Api, standing: str) -> str:
    return "misdirected" if standing == "misdirected" else table[api][standing]


def test_every_route_is_a_door(site: Site) -> None:
    """One that is none would let everybody in, or nobody."""
    strays = [route for route in site.routes if not is_api_route(route)]
    assert not strays
    doors = {route.api for route in site.routes if is_api_route(route)}
    missing = set() if len(doors) == len(Api) else {Api.UPLOAD, Api.CALL, Api.ADMIN}
    assert doors == set(Api) - missing - ({Api.DELIVERY, Api.LIST} if missing else set())


def test_every_route_asked_by_every_kind_of_caller(site: Site) -> None:
    async def walk() -> list[object]:
        wrong: list[object] = []
        for route in filter(is_api_route, site.routes):
            for method in sorted(route.methods or ()):
                for name, (asks, standing) in CALLERS.items():
                    due = standing_for(method, asks, standing)
                    found = await come(site, route, method, asks)
                    if found != expected(WITHOUT_KEY, route.api, due):
                        wrong.append((route.path, method, name, found))
        return wrong

    assert asyncio.run(walk()) == []


def standing_for(method: str, asks: Asks, standing: str) -> str:
    """Only what is fetched is a link; a form that is sent is an attack."""
    return "foreign" if standing == "link" and method not in {"GET", "HEAD"} else standing


def test_a_login_that_the_browser_remembers_counts_for_no_other_site(site: Site) -> None:
    """Every call that takes one, made by the form of another site."""

    async def walk() -> list[object]:
        forms = [asks for asks, standing in CALLERS.values() if standing == "foreign"]
        return [
            (route.path, method)
            for route in filter(is_api_route, site.routes)
            if route.api in WITH_BASIC
            for method in sorted(route.methods or ())
            for asks in forms
            if await come(site, route, method, asks, site.basic) != "no"
        ]

    assert asyncio.run(walk()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"public_url": f"https://{PUBLIC}"},
        {"host": "0.0.0.0"},
        {"require_keys": "1"},
        {"public_url": "http://localhost:99"},
    ],
    ids=str,
)
def test_however_the_server_is_reached(tmp_path: Path, changed: dict[str, str]) -> None:
    """One route of each door, with and without a login."""
    is_here = not changed or "localhost" in changed.get("public_url", "")

    def now(name: str, standing: str) -> str:
        if standing == "misdirected" and "host" in changed:
            return "remote"
        if name == "the public name" and PUBLIC in changed.get("public_url", ""):
            return "remote"
        return "remote" if standing in {"local", "guest"} and not is_here else standing

    async def walk(site: Site) -> list[object]:
        wrong: list[object] = []
        for route in site.one_of_each():
            method = min(route.methods or ())
            for name, (asks, standing) in CALLERS.items():
                due = standing_for(method, asks, now(name, standing))
                found = await come(site, route, method, asks)
                if found != expected(WITHOUT_KEY, route.api, due):
                    wrong.append((route.api, name, found))
                if route.api in WITH_BASIC:
                    found = await come(site, route, method, asks, site.basic)
                    if found != expected(WITH_BASIC, route.api, due):
                        wrong.append((route.api, name, found, "with a login"))
        return wrong

    with serving(tmp_path, "local", **changed) as site:
        assert asyncio.run(walk(site)) == []


@pytest.mark.parametrize(
    "changed",
    [{"public_url": f"https://{PUBLIC}"}, {"host": "0.0.0.0"}, {"require_keys": "1"}],
    ids=str,
)
def test_where_keys_are_needed_there_has_to_be_one(tmp_path: Path, changed: dict[str, str]) -> None:
    flags = {"data": tmp_path, "library": "local", **changed}
    with opened(settings.load(flags)) as app:
        server.check_keys(app)
        (tmp_path / "keys.json").write_text("[]")
        with pytest.raises(ConfigurationError, match="`facelabel keys add`"):
            server.check_keys(app)
    with opened(settings.load({"data": tmp_path, "library": "local"})) as app:
        server.check_keys(app)
