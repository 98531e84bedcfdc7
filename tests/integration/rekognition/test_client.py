"""Calls of Amazon: errors told apart, tried again, slowed down, counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import PATIENCE

from facelabel.adapters.rekognition.client import TRIES, Client, NoFace
from facelabel.errors import (
    AlreadyExists,
    ConfigurationError,
    Denied,
    FacelabelError,
    NotFound,
    QuotaExceeded,
    Rejected,
    Throttled,
    Unavailable,
    UnreadableImage,
)

if TYPE_CHECKING:
    from tests.integration.rekognition.conftest import Naps, Refusal, Stage

FINE: dict[str, Any] = {"FaceModelVersion": "7.0"}
ARN = "User: arn:aws:iam::123456789012:user/x is not authorized to perform: that"


def ask(client: Client) -> dict[str, Any]:
    """Make a call."""
    return client.call("DescribeCollection", CollectionId="family")


@pytest.mark.parametrize(
    ("code", "status", "message", "kind"),
    [
        ("ResourceNotFoundException", 400, "The collection id: x does not exist", NotFound),
        ("ResourceAlreadyExistsException", 400, "already exists", AlreadyExists),
        ("InvalidImageFormatException", 400, "invalid image format", UnreadableImage),
        ("ImageTooLargeException", 400, "Image size is too large", UnreadableImage),
        ("InvalidParameterException", 400, "Request has invalid parameters", Rejected),
        ("ValidationException", 400, "1 validation error detected", Rejected),
        ("InvalidPaginationTokenException", 400, "Invalid Token", Rejected),
        ("ServiceQuotaExceededException", 400, "too many", QuotaExceeded),
        ("AccessDeniedException", 400, ARN, Denied),
        ("UnrecognizedClientException", 400, "security token is invalid", ConfigurationError),
        ("InvalidSignatureException", 400, "does not match", ConfigurationError),
        ("ExpiredTokenException", 400, "expired", ConfigurationError),
        ("ExpiredToken", 403, "expired", ConfigurationError),
        ("com.amazonaws#ResourceNotFoundException:http://x", 400, "none", NotFound),
        ("InvalidParameterException", 400, "There are no faces in the image. Should be at least 1.",
         NoFace),
    ],
)  # fmt: skip
def test_what_will_not_change_is_asked_once(
    client: Client, stage: Stage, refusal: type[Refusal], code: str, status: int, message: str,
    kind: type[FacelabelError],
) -> None:  # fmt: skip
    stage.script["DescribeCollection"] = [refusal(code, message, status)]
    with pytest.raises(FacelabelError) as refused:
        ask(client)
    assert type(refused.value) is kind
    assert message in str(refused.value)
    assert client.calls == {"DescribeCollection": 1}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ThrottlingException", 500),
        ("ProvisionedThroughputExceededException", 400),
        ("LimitExceededException", 400),
        ("TooManyUpdates", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
        ("ConflictException", 400),
    ],
)
def test_what_may_change_is_asked_again(
    client: Client, stage: Stage, naps: Naps, refusal: type[Refusal], code: str, status: int
) -> None:
    stage.answers["DescribeCollection"] = lambda _: FINE
    stage.script["DescribeCollection"] = [refusal(code, "Slow down", status)] * (TRIES - 1)
    assert ask(client)["FaceModelVersion"] == "7.0"
    assert client.calls == {"DescribeCollection": TRIES}
    pauses = [nap for nap in naps.seconds if nap > 0.05]
    assert len(pauses) >= TRIES - 1
    assert sum(pauses) < 10


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("ProvisionedThroughputExceededException", 400, Throttled), ("Broken", 500, Unavailable)],
)
def test_it_gives_up_in_the_end(
    client: Client, stage: Stage, refusal: type[Refusal], code: str, status: int,
    kind: type[Unavailable],
) -> None:  # fmt: skip
    stage.answers["DescribeCollection"] = lambda _: refusal(code, "no", status)
    with pytest.raises(Unavailable) as refused:
        ask(client)
    assert type(refused.value) is kind
    assert (refused.value.retry_after is not None) == (kind is Throttled)
    assert len(stage.asked) == TRIES


def test_a_page_that_is_no_answer_is_no_answer(
    client: Client, stage: Stage, refusal: type[Refusal]
) -> None:
    page = b"<html>" + b"Bad gateway " * 100
    stage.script["DescribeCollection"] = [refusal("", status=502, raw=page)]
    stage.answers["DescribeCollection"] = lambda _: FINE
    assert ask(client)["FaceModelVersion"] == "7.0"
    stage.answers["DescribeCollection"] = lambda _: refusal("", status=502, raw=page)
    with pytest.raises(Unavailable) as refused:
        ask(client)
    assert len(str(refused.value)) < 500


def test_nobody_there_is_not_now(naps: Naps, keys: tuple[str, str]) -> None:
    client = Client("eu-west-1", endpoint="http://127.0.0.1:9", keys=keys, sleep=naps)
    with pytest.raises(Unavailable, match="does not answer"):
        ask(client)


def test_silence_is_not_waited_for(stage: Stage, naps: Naps, keys: tuple[str, str]) -> None:
    gate = threading.Event()
    stage.answers["DescribeCollection"] = lambda _: {**FINE, "late": gate.wait(PATIENCE)}
    client = Client("eu-west-1", endpoint=stage.url, keys=keys, timeout=0.1, sleep=naps)
    try:
        with pytest.raises(Unavailable):
            ask(client)
    finally:
        gate.set()


def test_no_message_tells_a_secret(
    client: Client, stage: Stage, refusal: type[Refusal], keys: tuple[str, str]
) -> None:
    stage.script["DescribeCollection"] = [refusal("UnrecognizedClientException", "invalid")]
    with pytest.raises(ConfigurationError) as refused:
        ask(client)
    assert keys[1] not in str(refused.value)
    assert keys[1] not in repr(client)


def test_settings_that_cannot_be_used_are_told(keys: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Client("eu-west-1", endpoint="no address", keys=keys)
    with pytest.raises(ConfigurationError):
        Client("not a region!", keys=keys)


def test_denied_names_the_action(client: Client, stage: Stage, refusal: type[Refusal]) -> None:
    stage.script["DescribeCollection"] = [refusal("AccessDeniedException", ARN)]
    with pytest.raises(Denied, match="rekognition:DescribeCollection"):
        ask(client)


def test_all_threads_keep_to_one_rate(stage: Stage, naps: Naps, keys: tuple[str, str]) -> None:
    """On a clock that stands still each call waits for its own turn."""
    stage.answers["DescribeCollection"] = lambda _: FINE
    client = Client(
        "eu-west-1", endpoint=stage.url, keys=keys, rate=50.0, now=lambda: 0.0, sleep=naps
    )
    threads = [threading.Thread(target=lambda: [ask(client) for _ in range(8)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stage.asked) == 64
    assert sorted(naps.seconds) == pytest.approx([turn / 50 for turn in range(1, 64)])


def test_throttling_slows_down_what_comes_next(
    stage: Stage, naps: Naps, refusal: type[Refusal], keys: tuple[str, str]
) -> None:
    client = Client(
        "eu-west-1", endpoint=stage.url, keys=keys, rate=2.0, now=lambda: 0.0, sleep=naps
    )
    stage.answers["DescribeCollection"] = lambda _: FINE
    stage.script["DescribeCollection"] = [refusal("ThrottlingException", "Slow down")] * 2
    for _ in range(2):
        ask(client)
    assert naps.seconds[-1] > 3  # it would be the fourth call, due after a second and a half


def test_a_user_that_exists_is_told(client: Client, stage: Stage, refusal: type[Refusal]) -> None:
    stage.script["CreateUser"] = [refusal("ConflictException", "A User with the same Id exists")]
    with pytest.raises(AlreadyExists):
        client.call("CreateUser", CollectionId="family", UserId="n1:Dad")


def test_pages_are_followed(client: Client, stage: Stage) -> None:
    pages = {"": "a", "a": "b", "b": ""}

    def page(asked: Any) -> dict[str, Any]:  # noqa: ANN401 - the stage's
        token = asked.parameters.get("NextToken", "")
        following = pages[token]
        return {"CollectionIds": [token or "first"]} | (
            {"NextToken": following} if following else {}
        )

    stage.answers["ListCollections"] = page
    found = [name for answer in client.pages("ListCollections") for name in answer["CollectionIds"]]
    assert found == ["first", "a", "b"]
