"""Signatures: known ones, and the official SDK as the judge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import cloudinary
import pytest
from cloudinary import utils
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.cloudinary.signing import Algorithm
    from facelabel.core.model import Json, JsonValue

SECRET = "abcd"
NOW = 1_315_060_600.0
BODY = b'{"notification_type": "upload"}'
STAMP = str(int(NOW))
ALGORITHMS: list[Algorithm] = ["sha1", "sha256"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = texts | st.integers() | st.booleans() | st.lists(texts.filter(bool), max_size=3)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,9}(\[[a-z]*\])?", fullmatch=True)
calls = st.dictionaries(names.filter(lambda name: name not in signing.UNSIGNED), values, max_size=6)


@pytest.fixture(autouse=True)
def _sdk() -> Iterator[None]:
    """The SDK verifies with the one secret of its global configuration."""
    cloudinary.reset_config()
    cloudinary.config(cloud_name="local", api_key="key", api_secret=SECRET)
    yield
    cloudinary.reset_config()


def is_notification(
    body: bytes = BODY,
    timestamp: str = STAMP,
    *,
    signature: str | None = None,
    secrets: Sequence[str] = (SECRET,),
    window: float = signing.WINDOW,
    algorithm: Algorithm | None = None,
) -> bool:
    if signature is None:
        signature = signing.sign_notification(body, timestamp, SECRET)
    return signing.is_notification(
        body, timestamp, signature, secrets=secrets, now=NOW, window=window, algorithm=algorithm
    )


def test_what_stands_in_the_address_of_a_call_is_not_signed() -> None:
    call: Json = {"public_id": "p", "resource_type": "image", "cloud_name": "c", "api_key": "k"}
    assert signing.string_to_sign(call | {"file": "f", "signature": "s"}) == "public_id=p"


class TestNotifications:
    """X-Cld-Signature."""

    def test_the_known_sha1_signature(self) -> None:
        signature = signing.sign_notification(b"{public_id: 'sample'}", "1315060510", "abcd")
        assert signature == "25f7e91709c858b97d688ce8da799dedb290d9ef"

    def test_the_known_sha256_signature(self) -> None:
        body = (
            b'{"public_id":"b8sjhoslj8cq8ovoa0ma","version":"1555337587","width":1000,"height":800}'
        )
        signature = signing.sign_notification(body, "7952342400000", "hardcoded", "sha256")
        assert signature == "6c5a29fd8815772fbac2f10ae741e093d0859313947ef8fadeb29126ded6649c"

    @given(body=texts, stamp=st.integers(0, 10**11), algorithm=st.sampled_from(ALGORITHMS))
    def test_what_we_sign_the_official_sdk_verifies(
        self, body: str, stamp: int, algorithm: Algorithm
    ) -> None:
        signature = signing.sign_notification(body.encode(), str(stamp), SECRET, algorithm)
        assert utils.verify_notification_signature(
            body, stamp, signature, valid_for=10**12, algorithm=algorithm
        )

    @given(body=texts, algorithm=st.sampled_from(ALGORITHMS))
    def test_what_the_official_sdk_signs_we_verify(self, body: str, algorithm: Algorithm) -> None:
        signature = utils.compute_hex_hash(f"{body}{STAMP}{SECRET}", algorithm)
        assert is_notification(body.encode(), signature=signature)
        assert is_notification(body.encode(), signature=signature, algorithm=algorithm)

    def test_any_of_several_secrets_will_do(self) -> None:
        assert is_notification(secrets=["new", SECRET, "old"])
        assert not is_notification(secrets=["new", "old"])
        assert not is_notification(secrets=[])

    def test_an_empty_secret_verifies_nothing(self) -> None:
        forged = signing.sign_notification(BODY, STAMP, "")
        assert not is_notification(signature=forged, secrets=["", SECRET])

    @pytest.mark.parametrize("off", [7200, -7200])
    def test_a_timestamp_within_the_window_passes(self, off: int) -> None:
        assert is_notification(timestamp=str(int(NOW) + off))

    @pytest.mark.parametrize("off", [7201, -7201, 10**9, -(10**9)])
    def test_a_timestamp_outside_the_window_does_not(self, off: int) -> None:
        assert not is_notification(timestamp=str(int(NOW) + off))

    def test_the_window_can_be_narrower(self) -> None:
        earlier = str(int(NOW) - 11)
        assert is_notification(timestamp=earlier, window=11)
        assert not is_notification(timestamp=earlier, window=10)

    @pytest.mark.parametrize(
        "timestamp",
        [
            "", " ", "soon", "-1", "1.5", "1e9", "0x1", "1_000", f" {STAMP}", f"{STAMP}\n",
            f"+{STAMP}", "9" * 400, "١٣١٥٠٦٠٦٠٠", "\ud800",
        ],
    )  # fmt: skip
    def test_garbage_is_no_timestamp_even_if_it_is_signed(self, timestamp: str) -> None:
        assert not is_notification(timestamp=timestamp, window=float("inf"))

    @pytest.mark.parametrize("signature", ["", "0" * 40, "ä" * 40, "\ud800", "x" * 100_000])
    def test_garbage_is_no_signature(self, signature: str) -> None:
        assert not is_notification(signature=signature)

    def test_one_byte_more_less_or_other_is_another_body(self) -> None:
        signature = signing.sign_notification(BODY, STAMP, SECRET)
        assert is_notification(signature=signature)
        for other in (BODY + b" ", BODY[:-1], BODY.replace(b" ", b""), BODY.swapcase()):
            assert not is_notification(other, signature=signature)

    def test_the_timestamp_is_signed_too(self) -> None:
        signature = signing.sign_notification(BODY, STAMP, SECRET)
        assert not is_notification(timestamp=str(int(NOW) + 1), signature=signature)

    def test_a_pinned_algorithm_refuses_the_other(self) -> None:
        weak = signing.sign_notification(BODY, STAMP, SECRET, "sha1")
        assert not is_notification(signature=weak, algorithm="sha256")
        strong = signing.sign_notification(BODY, STAMP, SECRET, "sha256")
        assert not is_notification(signature=strong, algorithm="sha1")


class TestCalls:
    """The parameter signature, and that of an answer."""

    @given(call=calls, version=st.sampled_from([1, 2]), algorithm=st.sampled_from(ALGORITHMS))
    def test_a_call_is_signed_as_by_the_official_sdk(
        self, call: Json, version: int, algorithm: Algorithm
    ) -> None:
        expected = utils.api_sign_request(call, SECRET, algorithm, version)
        assert signing.sign(call, SECRET, algorithm, version) == expected
        assert signing.is_signed(call, expected, SECRET)

    def test_what_is_not_signed_is_left_out(self) -> None:
        call: Json = {"tags": "a", "file": "x", "api_key": "k", "signature": "s", "empty": ""}
        assert signing.string_to_sign(call) == "tags=a"

    def test_only_version_1_lets_a_value_pose_as_a_parameter(self) -> None:
        one: Json = {"tags": "a&type=private"}
        two: Json = {"tags": "a", "type": "private"}
        assert signing.string_to_sign(one, 1) == signing.string_to_sign(two, 1)
        assert signing.string_to_sign(one, 2) == "tags=a%26type=private"

    def test_a_value_that_could_be_parameters_is_signed_by_version_2_alone(self) -> None:
        many: JsonValue = ["a", "b&tags[]=c"]
        for value in ("a=b&overwrite=false", "https://x.test/?a=1&b=2", many):
            call: Json = {"context": value}
            assert signing.is_signed(call, signing.sign(call, SECRET, version=2), SECRET)
            assert not signing.is_signed(call, signing.sign(call, SECRET, version=1), SECRET)

    @pytest.mark.parametrize("value", ["AT&T", "a&b", "a=b & c=d", "company=AT&T|role=boss", "&"])
    def test_other_ampersands_are_fine_in_version_1(self, value: str) -> None:
        call: Json = {"context": value}
        assert signing.is_signed(call, signing.sign(call, SECRET, version=1), SECRET)

    @pytest.mark.parametrize(
        "name", ["allowed_formats=png&asset_folder", "a=b", "a&b", "", "a b", "é", "1", "a[", "[a]"]
    )
    def test_what_is_no_name_cannot_be_signed(self, name: str) -> None:
        call: Json = {name: "x", "timestamp": "1"}
        for version in (1, 2):
            assert not signing.is_signed(call, signing.sign(call, SECRET, version=version), SECRET)

    @pytest.mark.parametrize("value", [{"a": "b"}, [{"a": "b"}], [["a"]]])
    def test_an_object_has_no_text_to_sign(self, value: JsonValue) -> None:
        call: Json = {"context": value}
        assert not signing.is_signed(call, signing.sign(call, SECRET), SECRET)

    def test_names_that_clients_use(self) -> None:
        for name in ("public_ids", "context[alt]", "eager[0]", "x1", "Tags", "faces.x", "a-b", "_"):
            call: Json = {name: "x"}
            assert signing.is_signed(call, signing.sign(call, SECRET), SECRET)

    def test_a_signed_text_cannot_be_cut_into_other_parameters(self) -> None:
        signed: Json = {"allowed_formats": "png", "context": "a=b|c=d", "overwrite": "false"}
        text = signing.string_to_sign(signed)
        readings = list(_readings(text))
        assert len(readings) > 10
        for reading in readings:
            for version in (1, 2):
                assert signing.string_to_sign(reading, 1) == text
                signature = signing.sign(signed, SECRET, version=version)
                assert signing.is_signed(reading, signature, SECRET) == (reading == signed)

    def test_another_secret_or_parameter_is_another_signature(self) -> None:
        signature = signing.sign({"tags": "a"}, SECRET)
        assert signing.is_signed({"tags": "a"}, signature, SECRET)
        assert not signing.is_signed({"tags": "b"}, signature, SECRET)
        assert not signing.is_signed({"tags": "a"}, signature, "other")
        assert not signing.is_signed({"tags": "a"}, signing.sign({"tags": "a"}, ""), "")

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_the_official_sdk_verifies_the_signature_of_an_answer(
        self, algorithm: Algorithm
    ) -> None:
        signature = signing.sign_answer("tëst/a&b", 1234, SECRET, algorithm)
        assert utils.verify_api_response_signature("tëst/a&b", 1234, signature, algorithm)


def _readings(text: str) -> Iterator[Json]:
    """Every set of parameters that could be read out of a text."""
    if not text:
        yield {}
    ends = [*(i for i, character in enumerate(text) if character == "&"), len(text)]
    for end in ends:
        pair = text[:end]
        for equals in (i for i, character in enumerate(pair) if character == "="):
            for rest in _readings(text[end + 1 :]):
                yield {pair[:equals]: pair[equals + 1 :], **rest}


class TestDeliveryUrls:
    """The s--…-- in a URL."""

    @pytest.mark.parametrize("long", [False, True])
    @given(name=st.text("abcß ?/#", min_size=1, max_size=12), step=st.booleans())
    def test_a_url_is_signed_as_by_the_official_sdk(
        self,
        name: str,
        step: bool,  # noqa: FBT001 - hypothesis passes it
        long: bool,  # noqa: FBT001 - pytest passes it
    ) -> None:
        options: dict[str, Any] = {"width": 9, "crop": "limit"} if step else {}
        url, _ = utils.cloudinary_url(
            f"x{name}", sign_url=True, format="jpg", long_url_signature=long, version=7,
            secure=True, **options,
        )  # fmt: skip
        part, rest = re.fullmatch(r".*?/(s--[\w-]+--)/(.*)", url).groups()  # type: ignore[union-attr]
        path = rest.replace("v7/", "", 1)
        assert signing.sign_delivery(path, SECRET, long=long) == part
        assert long or signing.sign_delivery(path, SECRET) == part
        assert signing.is_delivery(path, part, ["other", SECRET])
        assert not signing.is_delivery(path, part, ["other"])
        assert not signing.is_delivery(f"{path}x", part, [SECRET])

    def test_a_signature_may_end_with_a_hyphen(self) -> None:
        path = next(
            path
            for path in map(str, range(10_000))
            if signing.sign_delivery(path, SECRET).endswith("---")
        )
        assert signing.is_delivery(path, signing.sign_delivery(path, SECRET), [SECRET])

    @pytest.mark.parametrize("part", ["", "s----", "s--abc--", "s--12345678", "s--ääääääää--"])
    def test_garbage_is_no_signature(self, part: str) -> None:
        assert not signing.is_delivery("sample.jpg", part, [SECRET])
