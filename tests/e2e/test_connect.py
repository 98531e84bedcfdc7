"""Pictures on Cloudinary: one installation stands for Cloudinary, another one works for it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Inside
from tests.e2e.served import Cloud, Served, free_port, people_known, serving, status, text_of
from tests.photographs import PEOPLE
from tests.waiting import until

from facelabel import actions, settings
from facelabel.adapters.cloudinary.subscriptions import EVENTS
from facelabel.bootstrap.app import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Program

#: The original app's own variables, and nothing else but where the account is.
ORIGINAL = {
    "trainingFolder": "people/known",
    "faceRecognitionFolder": "uploads",
    "rekognitionCollection": "cld-rekog-collection",
    "confidenceThreshold": "85",
    "faceLabelTagPrefix": "who",
    "transformationParams": "q_auto,w_900,h_900,c_limit",
}


#: For what has nothing to do with folders.
one_mode = pytest.mark.parametrize("mode", ["dynamic"])


@pytest.fixture(params=["dynamic", pytest.param("fixed", marks=pytest.mark.soak)])
def mode(request: pytest.FixtureRequest) -> str:
    """Return a folder mode."""
    return str(request.param)


@pytest.fixture
def account(program: Program, mode: str) -> Iterator[Served]:
    """Return a server that keeps pictures and recognises nobody: it stands for Cloudinary."""
    idle = {"trainingFolder": "no-training", "faceRecognitionFolder": "no-assets",
            "FACELABEL_FOLDER_MODE": mode}  # fmt: skip
    cloud = replace(program, environment={**program.environment, **idle})
    with serving(cloud, log=program.folder / "account.log") as server:
        yield server


@pytest.fixture
def worker(program: Program, account: Served, tmp_path: Path) -> Program:
    """Return an installation whose pictures are in that account."""
    ours = {**ORIGINAL, "CLOUDINARY_URL": account.cloudinary_url, "FACELABEL_LIBRARY": "cloudinary",
            "FACELABEL_DATA": str(tmp_path / "worker")}  # fmt: skip
    return replace(program, environment={**program.environment, **ours})


def put(cloud: Cloud, file: Path, folder: str, mode: str, **options: object) -> str:
    """Upload to a folder, as it is done in that folder mode; return the public_id."""
    place = {"asset_folder": folder} if mode == "dynamic" else {"folder": folder}
    return str(cloud.upload(str(file), **place, **options)["public_id"])


def fill(cloud: Cloud, pictures: Path, mode: str) -> str:
    """Upload four labelled portraits and the group photo; return its public_id."""
    for person in PEOPLE:
        put(cloud, pictures / f"{person}1.jpg", "people/known", mode, tags=f"who:{person}")
    return put(cloud, pictures / "party.jpg", "uploads", mode, tags="summer")


def test_the_originals_configuration_with_a_webhook(
    account: Served, worker: Program, photos: Path, mode: str
) -> None:
    cloud, port = account.cloud(), free_port()
    told = worker("connect", "--public-url", f"http://127.0.0.1:{port}")
    assert f"made: {len(EVENTS)} triggers to http://127.0.0.1:{port}/webhook" in told
    assert "connected" in told
    assert "made" not in worker("connect", "--public-url", f"http://127.0.0.1:{port}")
    with serving(worker, port=port) as served:
        group = fill(cloud, photos / "people", mode)
        until(lambda: cloud.tags(group) == {"summer", *PEOPLE})
        assert people_known(served) == dict.fromkeys(PEOPLE, 1)
        cloud.call("remove_tag", "Obama", [group])
        until(lambda: "Obama" in worker("show", group).partition("not them")[2])
        portrait = cloud.call("resources_by_tag", "who:Hopper")["resources"][0]["public_id"]
        cloud.call("destroy", portrait)
        until(lambda: cloud.tags(group) == {"summer", "Biden", "Collins"})
    log = text_of(worker.folder / "serve.log")
    assert cloud.options["api_secret"] not in log
    assert "Traceback" not in log


@one_mode
def test_without_a_public_address(
    account: Served, worker: Program, photos: Path, mode: str
) -> None:
    worker.environment["FACELABEL_POLL_CHANNEL"] = "faces"
    assert "poll://faces" in worker("connect", "--poll")
    cloud = account.cloud()
    with serving(worker):
        group = fill(cloud, photos / "people", mode)
        until(lambda: cloud.tags(group) == {"summer", *PEOPLE})


def test_what_was_missed_is_made_good(
    account: Served, worker: Program, photos: Path, mode: str
) -> None:
    cloud = account.cloud()
    group = fill(cloud, photos / "people", mode)
    plan = worker("reconcile", "--dry-run")
    assert "5 pictures listed: 5 to look at, 0 gone" in plan
    assert "calls of Cloudinary's Admin API" in plan
    with serving(worker):  # it looks when it starts
        until(lambda: cloud.tags(group) == {"summer", *PEOPLE})
    assert "5 pictures listed: 0 to look at, 0 gone" in worker("reconcile")


def test_the_commands_work_on_an_account(
    account: Served, worker: Program, photos: Path, mode: str
) -> None:
    worker = Inside.of(worker)
    pictures = photos / "people"
    portraits = worker.folder / "labels.csv"
    portraits.write_text("".join(f"{pictures}/{p}1.jpg,{p}\n" for p in PEOPLE))
    assert "4 portraits of 4 people" in worker("index", "--dry-run", portraits)
    assert "4 portraits learnt; 4 people known" in worker("index", portraits)
    assert "nothing new: 4 portraits known already; 4 people known" in worker("index", portraits)
    cloud = account.cloud()
    group = put(cloud, pictures / "party.jpg", "uploads", mode)
    assert "1 picture would be searched" in worker("tag", "--dry-run")
    assert "1 picture searched, 1 with names (4 names)" in worker("tag")
    assert cloud.tags(group) == {*PEOPLE}
    assert "0 pictures would be searched" in worker("tag", "--dry-run")
    assert {line["name"] for line in worker.json("people")} == {*PEOPLE}
    assert "the key opens 'local'" in worker("doctor")
    assert "what is learnt and the training folder agree" in worker("index")
    assert "Hopper" in worker("show", group)
    for more in ([], ["--public-id", "assets/another"]):
        assert "1 uploaded; `facelabel worker" in worker("upload", pictures / "party.jpg", *more)
        assert "nothing new: 1 there already" in worker("upload", pictures / "party.jpg", *more)


@one_mode
def test_a_wrong_secret_is_said_to_be_wrong(worker: Program) -> None:
    url = worker.environment["CLOUDINARY_URL"]
    secret = url.partition("@")[0].rpartition(":")[2]
    worker.environment["CLOUDINARY_URL"] = url.replace(secret, "wrong")
    said = worker("reconcile", status=2)
    assert "CLOUDINARY_URL" in said
    assert secret not in said


@one_mode
def test_a_notification_of_somebody_else_is_refused(account: Served, worker: Program) -> None:
    with serving(worker) as served:
        body = json.dumps({"notification_type": "upload", "asset_id": "a" * 32}).encode()
        signed = {"X_Cld_Timestamp": "1", "X_Cld_Signature": "0" * 40}
        assert status(f"{served.url}/webhook", body, **signed) == 401
        assert status(f"{served.url}/cloudinary-rekog", body) == 401
        # The local library is not served here.
        assert status(f"{served.url}/v1_1/local/ping") == 404


def test_an_account_out_of_reach(facelabel: Program) -> None:
    account = f"cloudinary://1:secret@local?upload_prefix=http://127.0.0.1:{free_port()}"
    facelabel.environment.update(CLOUDINARY_URL=account, FACELABEL_LIBRARY="cloudinary")
    flags = {"data": facelabel.environment["FACELABEL_DATA"], "cloudinary_url": account}
    with opened(settings.load(flags)) as app:
        actions.enqueue(app, [digit * 32 for digit in "abcdef"])
    said = facelabel("doctor", status=1)
    assert "✗ Cloudinary: Cloudinary does not answer" in said
    assert "✗ store" not in said
    said = facelabel("worker", "--once", status=75)
    assert "what is left waits" in said
    assert said.count("does not answer") == 1
    assert f"picture {'f' * 32}" in facelabel("jobs", "list", "--all")


def uris(account: Served) -> dict[str, int]:
    """Where the account's triggers go, and how many."""
    found = account.cloud().call("triggers")["triggers"]
    return dict(Counter(trigger["uri"] for trigger in found))


def hints(said: str) -> list[str]:
    """Commands that are offered."""
    return re.findall(r"`facelabel (connect [^`]*)`", said)


@one_mode
def test_its_own_triggers_are_known_moved_and_removed(account: Served, worker: Program) -> None:
    worker = Inside.of(worker)
    worker.environment["FACELABEL_POLL_CHANNEL"] = "faces"
    theirs = "https://example.com/theirs"
    account.cloud().call("create_trigger", theirs, "upload")
    address = "https://faces.example.com"
    steps = (
        (("--public-url", address), f"{address}/webhook"),
        (("--poll",), "poll://faces"),
        (("--public-url", "https://new.example.com"), "https://new.example.com/webhook"),
        (("--public-url", address), f"{address}/webhook"),
        (("--poll",), "poll://faces"),
    )
    for arguments, uri in steps:
        before = uris(account)
        said = worker("connect", "--dry-run")
        assert uris(account) == before
        assert f"of others: 1 trigger to {theirs} (upload)" in said
        for _ in range(2):  # the second changes nothing
            said = worker("connect", *arguments)
            assert uris(account) == {theirs: 1, uri: len(EVENTS)}
        assert f"there already: {len(EVENTS)} triggers to {uri}\n" in said
        assert hints(said) == []
    assert f"{len(EVENTS)} triggers of ours to poll://faces" in worker("doctor")
    del worker.environment["FACELABEL_POLL_CHANNEL"]
    said = worker("doctor", status=1)
    assert "set FACELABEL_POLL_CHANNEL=faces for `facelabel serve`" in said
    assert f"removed: {len(EVENTS)} triggers to poll://faces\n" in worker("connect", "--remove")
    assert "no trigger of this account is known to be ours" in worker("connect", "--remove")
    assert uris(account) == {theirs: 1}
    assert "no trigger of it is known to be ours" in worker("doctor")


@one_mode
def test_triggers_of_before_are_offered_and_not_touched(account: Served, worker: Program) -> None:
    worker = Inside.of(worker)
    old, address = "https://old.example.com/webhook", "https://faces.example.com"
    for uri in (old, f"{address}/webhook", "https://example.com/theirs"):
        account.cloud().call("create_trigger", uri, "upload")
    said = worker("connect", "--dry-run", "--public-url", address)
    assert f"probably ours: 1 trigger to {address}/webhook (upload)" in said
    said = worker("connect", "--public-url", "https://new.example.com")
    assert uris(account)[old] == uris(account)[f"{address}/webhook"] == 1
    offers = hints(said)
    assert f"connect --former {old}" in offers
    assert f"connect --remove --former {old}" in offers
    worker("connect", "--former", old, "--public-url", "https://new.example.com")
    worker("connect", "--former", address, "--public-url", "https://new.example.com")
    new = {"https://new.example.com/webhook": len(EVENTS)}
    assert uris(account) == {"https://example.com/theirs": 1, **new}


@one_mode
def test_notes_that_are_lost_or_broken(account: Served, worker: Program) -> None:
    """What is at our address is ours; else somebody has to say so."""
    worker = Inside.of(worker)
    address = ("--public-url", "https://faces.example.com")
    worker("connect", *address)
    notes = Path(worker.environment["FACELABEL_DATA"], "triggers.json")
    assert notes.stat().st_mode & 0o077 == 0
    notes.write_text("{}")
    assert "no trigger of it is known to be ours" in worker("doctor")
    worker("connect", *address)
    assert uris(account) == {"https://faces.example.com/webhook": len(EVENTS)}
    for broken in ("[", "[1]", '{"local": 1}', '{"local": {"uri": "x", "ids": [1]}}'):
        notes.write_text(broken)
        assert "`facelabel connect --former ADDRESS`" in worker("connect", *address, status=2)
        assert "✗ Cloudinary" in worker("doctor", status=1)
    notes.unlink()
    worker("connect", "--remove", "--former", "https://faces.example.com")
    assert uris(account) == {}
