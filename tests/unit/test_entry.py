"""Who stands how to the server, and what is asked of them: the policy alone, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facelabel import settings
from facelabel.errors import ConfigurationError
from facelabel.web.access.policy import (
    ENTRY,
    TERMS,
    Api,
    Caller,
    CallerKind,
    Policy,
    Requirement,
    noted,
)

HERE = Policy(allowed_origins=frozenset({"https://app.example"}))
PUBLIC = Policy(public_url="https://faces.example.com")
NETWORK = Policy(host="0.0.0.0")
STRICT = Policy(require_keys=True)
#: What proxies and the services that put one in front are known to add.
FORWARDING = (
    *("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
    *("X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded"),
    *("X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
    *("CF-Ray", "CF-Visitor", "Fly-Client-IP", "Fastly-Client-IP", "Client-IP", "CDN-Loop"),
    *("X-Azure-ClientIP", "X-Original-Forwarded-For", "X-Original-Host", "X-Remote-IP"),
    *("X-Remote-Addr", "X-Originating-IP", "X-ProxyUser-IP", "WL-Proxy-Client-IP"),
    *("X-Envoy-External-Address", "X-Appengine-User-IP", "X-ARR-LOG-ID", "Tailscale-User-Login"),
    *("ngrok-trace-id", "x-vercel-forwarded-for", "X-NF-Client-Connection-IP", "x-forwarded-FOR"),
)


def caller(
    method: str = "POST",
    *,
    host: str | None = "127.0.0.1:8765",
    peer: str | None = "127.0.0.1",
    http: str = "1.1",
    **headers: str,
) -> Caller:
    """A request; header names with underscores."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    lines |= {"Host": host} if host is not None else {}
    return Caller.of(
        {
            "method": method,
            "client": (peer, 50_000) if peer is not None else None,
            "http_version": http,
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in lines.items()],
        }
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8765", "127.8.9.1", "localhost", "LOCALHOST:80", "[::1]:80"]
)
def test_a_program_on_this_computer_is_local(host: str) -> None:
    assert HERE.standing(caller(host=host)) is CallerKind.LOCAL
    assert HERE.standing(caller(host=host, peer="::1")) is CallerKind.LOCAL


@pytest.mark.parametrize("name", FORWARDING)
def test_whoever_comes_through_a_proxy_is_not(name: str) -> None:
    through = caller(**{name: "203.0.113.9"})
    assert HERE.standing(through) is CallerKind.REMOTE
    assert HERE.standing(caller(**{name: ""})) is CallerKind.REMOTE


@pytest.mark.parametrize(
    "name",
    ["Accept", "User-Agent", "X-Amz-Target", "Amz-Sdk-Request", "X-Request-Id", "Authorization"],
)
def test_what_clients_send_makes_nobody_remote(name: str) -> None:
    assert HERE.standing(caller(**{name: "x"})) is CallerKind.LOCAL


@pytest.mark.parametrize("peer", ["203.0.113.9", "192.168.1.4", "2001:db8::1", "", None])
def test_another_computer_is_not_local_whatever_it_says(peer: str | None) -> None:
    assert HERE.standing(caller(peer=peer)) is CallerKind.REMOTE


def test_another_users_program_is_not_local() -> None:
    """It may be a proxy that says nothing of itself, as nginx 1.30 left alone."""
    here = caller()
    assert HERE.standing(replace(here, is_others=True)) is CallerKind.REMOTE
    assert HERE.standing(replace(here, is_others=False)) is CallerKind.LOCAL


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1/.example.com", "127.0.0.1#.example.com", "127.0.0.1?.example.com"),
        *("evil.example@127.0.0.1", "127.0.0.1:80:80", "127.0.0.1:x", "[::1]x", "127.0.0.1 x"),
    ],
)
def test_a_host_that_programs_may_read_differently_is_not_ours(host: str) -> None:
    assert HERE.standing(caller(host=host)) is CallerKind.MISDIRECTED


def test_who_names_no_host_or_speaks_as_proxies_do_is_not_local() -> None:
    """HTTP/1.0 to 127.0.0.1, with no word of the client, is what nginx sends if left alone."""
    assert HERE.standing(caller(host=None)) is CallerKind.REMOTE
    assert HERE.standing(caller(host="")) is CallerKind.REMOTE
    assert HERE.standing(caller(http="1.0")) is CallerKind.REMOTE
    assert HERE.standing(caller(http="1.0", host=None)) is CallerKind.REMOTE


@pytest.mark.parametrize("policy", [PUBLIC, NETWORK, STRICT])
def test_nobody_is_local_where_others_are_served(policy: Policy) -> None:
    assert policy.standing(caller()) is CallerKind.REMOTE


@pytest.mark.parametrize("url", ["http://localhost:9000", "http://127.0.0.1", "http://[::1]:1"])
def test_a_public_url_on_this_computer_changes_nothing(url: str) -> None:
    assert Policy(public_url=url).standing(caller()) is CallerKind.LOCAL


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "faces.example.com", "127.0.0.1.nip.io", "localhost.", "127.1"),
        *(
            "0.0.0.0",
            "127.0.0.1,evil.example",
            "[::1",
            "[",
            "user@evil.example",
            "127.0.0.1.",
            "a b",
        ),
    ],
)
def test_asked_for_under_another_name(host: str) -> None:
    assert HERE.standing(caller(host=host)) is CallerKind.MISDIRECTED
    assert all(TERMS[door][CallerKind.MISDIRECTED] is Requirement.REFUSED for door in Api)
    open_to_all = Policy(public_delivery=True)
    assert open_to_all.standing(caller(host=host)) is CallerKind.MISDIRECTED
    assert open_to_all.terms[Api.DELIVERY][CallerKind.MISDIRECTED] is Requirement.REFUSED


def test_the_public_name_is_ours_and_needs_keys() -> None:
    for host in ("faces.example.com", "FACES.example.com:443"):
        assert PUBLIC.standing(caller(host=host)) is CallerKind.REMOTE
    assert PUBLIC.standing(caller(host="other.example.com")) is CallerKind.MISDIRECTED


def test_beyond_loopback_any_name_will_do() -> None:
    assert NETWORK.standing(caller(host="nas.home:8765", peer="192.168.1.9")) is CallerKind.REMOTE


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://app.example, http://evil.example"},
        {"Origin": "http://app.example"},  # allowed is https
        {"Origin": "https://app.example:8443"},
        {"Origin": "https://app.example.evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:8765"},  # not what was asked for
        {"Origin": "file://"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "something-new"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1:8765"},
        {"Sec_Fetch_Site": "none", "Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Referer": "http://evil.example/page"},
        {"Referer": "http://evil.example/page"},
        # A form that is posted moves the window; that is no link.
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document",
         "Origin": "http://evil.example"},
    ],
)  # fmt: skip
def test_the_page_of_another_site(headers: dict[str, str]) -> None:
    for policy in (HERE, Policy(host="0.0.0.0", allowed_origins=HERE.allowed_origins)):
        assert policy.standing(caller(**headers)) is CallerKind.FOREIGN


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:8765", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://127.0.0.1:8765"},
        {"Referer": "http://127.0.0.1:8765/", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Referer": "not a url"},
    ],
)
def test_a_page_of_our_own_and_what_is_typed_in(headers: dict[str, str]) -> None:
    assert HERE.standing(caller("GET", **headers)) is CallerKind.LOCAL


def test_our_own_page_behind_a_proxy_that_ends_tls() -> None:
    page = {"Origin": "https://faces.example.com", "Sec_Fetch_Site": "same-origin"}
    assert PUBLIC.standing(caller(host="faces.example.com", **page)) is CallerKind.REMOTE


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://app.example", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "https://app.example"},
        {"Origin": "https://APP.example:443"},
        {"Referer": "https://app.example/gallery", "Sec_Fetch_Site": "cross-site"},
    ],
)
def test_an_allowed_page(headers: dict[str, str]) -> None:
    assert HERE.standing(caller(**headers)) is CallerKind.GUEST
    assert HERE.standing(caller(**headers, Via="x")) is CallerKind.REMOTE


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_following_a_link(method: str) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    follows = HERE.standing(caller(method, **link, Sec_Fetch_Dest="document"))
    assert follows is (CallerKind.LINK if method in {"GET", "HEAD"} else CallerKind.FOREIGN)
    framed = HERE.standing(caller(method, **link, Sec_Fetch_Dest="iframe"))
    assert framed is CallerKind.FOREIGN


def test_public_pictures_are_there_for_all() -> None:
    policy = Policy(host="0.0.0.0", public_delivery=True)
    for asks in (caller(), caller(Origin="http://evil.example"), caller(Via="x")):
        assert policy.terms[Api.DELIVERY][policy.standing(asks)] is Requirement.OPEN
        assert policy.terms[Api.ADMIN][policy.standing(asks)] is not Requirement.OPEN


def test_where_nothing_was_decided_a_key_is_needed() -> None:
    assert noted({}) is Requirement.KEY
    scope: dict[str, object] = {}
    scope[ENTRY] = Requirement.OPEN
    assert noted(scope) is Requirement.OPEN


def test_only_what_is_local_is_open() -> None:
    """The rule behind the table: without proof nobody else gets at pictures or faces."""
    for door in (Api.WEBHOOK, Api.UPLOAD, Api.CALL, Api.ADMIN):
        assert Requirement.OPEN not in TERMS[door].values()
    for door in (Api.DELIVERY, Api.LIST, Api.REKOGNITION):
        is_open = {standing for standing, entry in TERMS[door].items() if entry is Requirement.OPEN}
        assert is_open <= {CallerKind.LOCAL, CallerKind.GUEST}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", set()),
        ("https://app.example", {"https://app.example"}),
        (" HTTPS://App.example:443/ ,, http://127.0.0.1:3000", {"https://app.example",
         "http://127.0.0.1:3000"}),
        ("http://[::1]:80", {"http://[::1]"}),
        ("capacitor://localhost", {"capacitor://localhost"}),
    ],
)  # fmt: skip
def test_allowed_origins(value: str, expected: set[str]) -> None:
    assert settings.load({"allowed_origins": value}).origins == expected


@pytest.mark.parametrize(
    "value",
    ["*", "https://*", "null", "app.example", "https://app.example/path", "https://u:p@a.example",
     "https://app.example?x", "https://a.example:notaport", "//a.example", "https://"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed-origins") as error:
        settings.load({"allowed_origins": value})
    if value == "*":
        assert "would let the pages of every site use the keys" in str(error.value)


@pytest.mark.parametrize("value", ["https://a.example", "a.example/x", "a b", "*.example"])
def test_what_is_no_host_is_refused(value: str) -> None:
    assert settings.load({"notification_hosts": "A.example, ::1"}).notified_hosts == {
        "a.example",
        "::1",
    }
    with pytest.raises(ConfigurationError, match="is no host"):
        settings.load({"notification_hosts": value})
