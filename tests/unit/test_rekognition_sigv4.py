"""Signatures made by botocore, verified; and all that may be wrong with one."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from facelabel.rekognition import sigv4
from facelabel.rekognition.error_codes import Refusal
from facelabel.web.rekognition_api.endpoint import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


def signed(
    body: bytes = b"{}", query: str = "", extra: dict[str, str] | None = None
) -> sigv4.Request:
    """A request signed by botocore, now."""
    url = "http://127.0.0.1:8765/" + (f"?{query}" if query else "")
    headers = {"X-Amz-Target": "RekognitionService.ListFaces", **(extra or {})}
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(Credentials(KEY, SECRET), "rekognition", "eu-west-1").add_auth(request)
    sent = {name.lower(): value for name, value in request.headers.items()}
    return sigv4.Request("POST", "/", query, sent | {"host": "127.0.0.1:8765"}, body)


def verify(request: sigv4.Request, secret: str = SECRET, now: float | None = None) -> None:
    """Verify, at the time it was signed or at another."""
    header = request.headers["authorization"]
    now = when(request) if now is None else now
    sigv4.verify(request, sigv4.parse(header), secret, now)


def when(request: sigv4.Request) -> float:
    """When a request was signed."""
    stamp = request.headers["x-amz-date"].removesuffix("Z")
    return datetime.strptime(f"{stamp}+0000", "%Y%m%dT%H%M%S%z").timestamp()


def refusal(action: Callable[[], object]) -> tuple[str, str]:
    """How it is refused."""
    with pytest.raises(Refusal) as caught:
        action()
    assert SECRET not in caught.value.message
    return caught.value.code, caught.value.message


@examples(100)
@given(st.binary(max_size=50), st.dictionaries(st.sampled_from(["X-Amz-Meta", "X-B"]), VALUES))
def test_what_botocore_signs_is_right(body: bytes, extra: dict[str, str]) -> None:
    verify(signed(body, extra=extra))


def test_spaces_in_headers_count_once() -> None:
    verify(signed(extra={"X-B": "  a   b "}))


def test_queries_are_signed_in_their_order() -> None:
    verify(signed(query="b=2&a=1%2F"))


def test_any_change_is_noticed() -> None:
    request = signed(b'{"CollectionId":"a"}')
    target = {**request.headers, "x-amz-target": "RekognitionService.DeleteCollection"}
    changed = [
        replace(request, body=b'{"CollectionId":"b"}'),
        replace(request, method="PUT"),
        replace(request, path="/rekognition"),
        replace(request, query="a=1"),
        replace(request, headers=target),
        replace(request, headers={**request.headers, "host": "other"}),
    ]
    for other in changed:
        code, message = refusal(lambda other=other: verify(other))  # type: ignore[misc]
        assert code == "InvalidSignatureException"
        assert message.startswith("The request signature we calculated does not match")
    assert refusal(lambda: verify(request, "another"))[0] == "InvalidSignatureException"
    verify(request)


def test_headers_of_amazons_that_are_not_signed_are_refused() -> None:
    request = signed()
    added = replace(request, headers={**request.headers, "x-amz-security-token": "t"})
    code, message = refusal(lambda: verify(added))
    assert (code, "'x-amz-security-token' must be a 'SignedHeader'" in message) == (
        "InvalidSignatureException", True,
    )  # fmt: skip


def test_a_signature_is_good_for_a_quarter_of_an_hour() -> None:
    request = signed()
    for seconds in (-900, 900):
        verify(request, now=when(request) + seconds)
    code, message = refusal(lambda: verify(request, now=when(request) + 901))
    assert code == "InvalidSignatureException"
    stamp = r"\d{8}T\d{6}Z"
    assert re.fullmatch(
        rf"Signature expired: {stamp} is now earlier than {stamp} \({stamp} - 15 min\.\)", message
    )
    assert "not yet current" in refusal(lambda: verify(request, now=when(request) - 901))[1]


INVALID, INCOMPLETE = "InvalidSignatureException", "IncompleteSignatureException"


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("/rekognition/", "/s3/", INVALID, "scoped to"),
        (r"/\d{8}/", "/20200101/", INVALID, "scoped to"),
        (r"Signature=\w+", "Signature=ä", INVALID, "does not match"),
        (r"Signature=\w+", "Signature=", INCOMPLETE, "'Signature'"),
        (r"Credential=\S+,", "Credential=a/b,", INCOMPLETE, "5 slash-delimited"),
        (r"SignedHeaders=\S+,", "", INCOMPLETE, "'SignedHeaders'"),
        ("SignedHeaders=", "SignedHeaders=absent;", INCOMPLETE, "'absent' did not come"),
        ("host;", "", INVALID, "'host' must be"),
        (";x-amz-target", "", INVALID, "'x-amz-target' must be"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", INCOMPLETE, "algorithm"),
        (".*", "Bearer abc", INCOMPLETE, "algorithm"),
    ],
)
def test_headers_that_are_not_as_they_should_be(
    old: str, new: str, code: str, message: str
) -> None:
    request = signed()
    header = re.sub(old, new, request.headers["authorization"], count=1)
    changed = replace(request, headers={**request.headers, "authorization": header})
    said = refusal(lambda: verify(changed, now=when(request)))
    assert said[0] == code
    assert message in said[1]


@pytest.mark.parametrize("stamp", ["", "yesterday", "20261399T000000Z", "2026-11-23T00:00:00Z"])
def test_times_that_are_none(stamp: str) -> None:
    request = signed()
    changed = replace(request, headers={**request.headers, "x-amz-date": stamp})
    code = refusal(lambda: verify(changed, now=when(request)))[0]
    assert code == "IncompleteSignatureException"


def test_little_of_an_algorithm_that_is_none_is_repeated() -> None:
    message = refusal(lambda: sigv4.parse("X" * 50 + " Credential=a"))[1]
    assert message.endswith("'" + "X" * 40 + "'")


def test_a_key_may_hold_what_divides_names_and_values() -> None:
    credential = "Credential=a=b/20261126/eu-west-1/rekognition/aws4_request"
    read = sigv4.parse(f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=c=d")
    assert (read.key, read.signature) == ("a=b", "c=d")


def test_what_we_sign_is_what_botocore_signs() -> None:
    request = signed(b'{"CollectionId": "people"}')
    header = request.headers["authorization"]
    named = sigv4.parse(header).signed_headers
    bare = replace(request, headers={name: request.headers[name] for name in named})
    ours = sigv4.sign(bare, KEY, SECRET, region="eu-west-1", service="rekognition")
    assert sigv4.parse(ours) == sigv4.parse(header)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer whose clock shows another time than UTC."""
    if sys.platform == "win32":
        pytest.skip("Windows has one clock for all programs")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_times_are_utc_wherever_we_are() -> None:
    assert sigv4.stamp(0) == "19700101T000000Z"
    request = signed()
    assert sigv4.stamp(when(request)) == request.headers["x-amz-date"]
    verify(request)


@examples(200)
@given(st.text(max_size=80))
def test_any_header_is_read_or_refused(rest: str) -> None:
    try:
        read = sigv4.parse(f"AWS4-HMAC-SHA256 {rest}").key
    except Refusal as error:
        read = error.code
    assert read == "IncompleteSignatureException" or read in rest


def test_what_is_claimed_does_not_show_the_secret() -> None:
    claim = Claim(sigv4.parse(signed().headers["authorization"]), SECRET)
    assert SECRET not in repr(claim)
