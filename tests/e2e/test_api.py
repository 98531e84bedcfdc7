"""Facelabel from Python: a session, and the original's own calls."""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import facelabel
from facelabel import (
    LabelRefused,
    NotFound,
    OutcomeKind,
    Portrait,
    Rejected,
    UnreadableImage,
    UnusableFace,
    Verdict,
    actions,
)
from facelabel.bootstrap.app import opened
from facelabel.engine.models.samples import two_people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Program

    from facelabel import Progress, Session, Settings
    from facelabel.engine.models.model_store import ModelStore

#: What may not be loaded before it is needed.
HEAVY = (
    "onnxruntime",
    "numpy",
    "PIL",
    "sqlalchemy",
    "pydantic",
    "rich",
    "httpx2",
    "httpcore2",
    "onnx",
)


@pytest.fixture
def settings(tmp_path: Path, model_cache: Path, classic_pack_store: ModelStore) -> Settings:
    """A data folder of its own and the pack "classic"."""
    return facelabel.load_settings(data=tmp_path / "data", models=model_cache, pack="classic")


@pytest.fixture
def faces(settings: Settings) -> Iterator[Session]:
    """A session that knows nobody yet."""
    with facelabel.open(settings) as session:
        yield session


@pytest.fixture
def people(photos: Path) -> Path:
    """Folder of portraits, three of each person, and of a party with all four."""
    return photos / "people"


def test_upload_index_and_identify(settings: Settings, samples: Path, tmp_path: Path) -> None:
    """The three calls of the README, in its order."""
    party = tmp_path / "party.jpg"
    party.write_bytes(two_people(samples))
    learnt = facelabel.upload_and_index(
        samples / "obama.jpg", "faceLabel:Barack Obama", settings=settings
    )
    assert (learnt.kind, learnt.names) == ("learnt", ("Barack Obama",))
    assert learnt.public_id.startswith("training/obama-")
    (again,) = facelabel.index_faces("training/", settings=settings)
    assert (again.kind, again.asset_id) == ("unchanged", learnt.asset_id)

    named, unknown = facelabel.identify(party, settings=settings)
    assert named.name == "Barack Obama"
    assert named.best is not None
    assert named.best.similarity > 95
    assert (unknown.name, unknown.verdict) == (None, Verdict.BELOW_THRESHOLD)

    facelabel.upload_and_index(samples / "biden.jpg", "Joe Biden", settings=settings)
    people = {face.name for face in facelabel.identify(party, settings=settings)}
    assert people == {"Barack Obama", "Joe Biden"}


def test_what_cannot_be_learnt_is_raised(settings: Settings, samples: Path, tmp_path: Path) -> None:
    """With the reason; the original swallowed it."""
    party = tmp_path / "party.jpg"
    party.write_bytes(two_people(samples))
    with pytest.raises(Rejected, match="2 "):
        facelabel.upload_and_index(party, "faceLabel:Both", settings=settings)
    with pytest.raises(LabelRefused, match="no name"):
        facelabel.upload_and_index(party, "faceLabel:", settings=settings)
    with pytest.raises(Rejected, match="cannot be read"):
        facelabel.upload_and_index(tmp_path / "none.jpg", "Nobody", settings=settings)
    for url in ("http://127.0.0.1:9/x.jpg", "http://169.254.169.254/latest/meta-data"):
        with pytest.raises(Rejected):
            facelabel.upload_and_index(url, "Nobody", settings=settings)
    assert [outcome.kind for outcome in facelabel.index_faces(settings=settings)] == ["refused"]


def test_people_are_learnt_by_what_was_agreed_to(
    faces: Session, settings: Settings, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another session's folder forgets nobody, unless that is said; a service's does, if few."""
    faces.learn(people / "Obama1.jpg", "Barack Obama")
    others = settings.model_copy(update={"training_folder": "elsewhere"})
    with facelabel.open(others) as session:
        assert "learnt by training_folder training, as was agreed to" in caplog.text
        assert session.learn(people / "Biden1.jpg", "Joe Biden").public_id.startswith("training/")
        assert session.index() != []
        assert [person.name for person in session.people()] == ["Barack Obama", "Joe Biden"]
        assert session.index(by_settings=True) == []
        assert session.people() == []
        learnt = session.learn(people / "Hopper1.jpg", "Grace Hopper")
        assert learnt.public_id.startswith("elsewhere/")
    with opened(settings) as app:
        assert app.label_policy.training == "elsewhere"
    with opened(settings, serves=True) as app:
        assert app.label_policy.training == "training"
        actions.work_all(app)
    assert [person.name for person in faces.people()] == ["Barack Obama", "Joe Biden"]


def test_a_session_from_the_first_portrait_to_the_last(faces: Session, people: Path) -> None:
    """Learn, identify, upload, look through, forget."""
    learnt = faces.learn(people / "Obama1.jpg", "Barack Obama")
    assert (learnt.kind, learnt.names) == (OutcomeKind.LEARNT, ("Barack Obama",))
    assert learnt.source == str(people / "Obama1.jpg")
    same = faces.learn(people / "Obama1.jpg", "faceLabel:Barack Obama")
    assert (same.kind, same.public_id) == (OutcomeKind.UNCHANGED, learnt.public_id)

    seen = faces.identify(people / "Obama2.jpg")
    (face,) = seen
    assert (face.name, face.verdict, seen.names) == (
        "Barack Obama", Verdict.NAMED, ("Barack Obama",),
    )  # fmt: skip
    assert face.similarity is not None
    assert face.similarity > 95
    assert face.box == face.face.box
    assert list(faces.pictures("assets")) == []

    party = faces.upload(people / "party.jpg", public_id="party", tags=["summer"])
    assert (party.kind, party.names, party.public_id) == (
        OutcomeKind.SEARCHED, ("Barack Obama",), "party",
    )  # fmt: skip
    (found,) = faces.pictures("assets", person="Barack Obama")
    assert set(found.tags) == {"summer", "Barack Obama"}
    assert list(faces.pictures("assets", person=["Barack Obama", "Joe Biden"])) == []

    faces.learn(people / "Biden1.jpg", "Joe Biden")
    known = [(person.name, len(person.portraits)) for person in faces.people()]
    assert known == [("Barack Obama", 1), ("Joe Biden", 1)]
    assert [one.public_id for one in faces.pictures(person=["Barack Obama", "Joe Biden"])] == [
        "party"
    ]

    gone = faces.forget("Barack Obama")
    assert [outcome.kind for outcome in gone] == [OutcomeKind.GONE]
    assert [person.name for person in faces.people()] == ["Joe Biden"]
    assert [found.tags for found in faces.pictures("assets")] == [("summer", "Joe Biden")]
    with pytest.raises(NotFound, match="Barack Obama"):
        faces.forget("Barack Obama")


def test_a_folder_of_portraits(faces: Session, people: Path, tmp_path: Path) -> None:
    """What became of each, in their order; again, nothing changes."""
    for name, photo in (("Barack Obama", "Obama1"), ("Grace Hopper", "Hopper1"), ("Two", "party")):
        (tmp_path / "portraits" / name).mkdir(parents=True)
        copy = tmp_path / "portraits" / name / "photo.jpg"
        copy.write_bytes((people / f"{photo}.jpg").read_bytes())
    steps: list[Progress] = []
    outcomes = faces.index(tmp_path / "portraits", progress=steps.append)
    kinds = [OutcomeKind.LEARNT, OutcomeKind.LEARNT, OutcomeKind.REFUSED]
    assert [outcome.kind for outcome in outcomes] == kinds
    assert [Path(outcome.source).parent.name for outcome in outcomes] == [
        "Barack Obama", "Grace Hopper", "Two",
    ]  # fmt: skip
    assert "faces" in outcomes[2].note
    assert outcomes[2].public_id.startswith("training/photo-")
    assert [(step.done, step.total) for step in steps] == [(at, 6) for at in range(1, 7)]
    assert [step.outcome.kind for step in steps if step.outcome] == kinds

    again = faces.index(str(tmp_path / "portraits"))
    assert [outcome.kind for outcome in again[:2]] == [OutcomeKind.UNCHANGED] * 2
    labelled = {outcome.names for outcome in faces.index()}
    assert labelled == {("Barack Obama",), ("Grace Hopper",), ()}
    with pytest.raises(NotFound):
        faces.index(tmp_path / "nowhere")


def test_portraits_one_by_one(faces: Session, people: Path, tmp_path: Path) -> None:
    """The same picture twice is learnt once; what cannot be had is told of where it stands."""
    copy = tmp_path / "Obama1.jpg"
    copy.write_bytes((people / "Obama1.jpg").read_bytes())
    outcomes = faces.index([
        Portrait(str(people / "Obama1.jpg"), "Barack Obama"),
        Portrait(str(tmp_path / "none.jpg"), "Nobody"),
        Portrait(str(copy), "Barack Obama"),
        Portrait(str(people / "Biden1.jpg"), "Barack"),
        Portrait(str(people / "Biden1.jpg"), "Joe Biden"),
    ])  # fmt: skip
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.LEARNT, OutcomeKind.REFUSED, OutcomeKind.LEARNT, OutcomeKind.REFUSED,
        OutcomeKind.LEARNT,
    ]  # fmt: skip
    assert outcomes[0].public_id == outcomes[2].public_id
    assert "cannot be read" in outcomes[1].note
    assert "same picture" in outcomes[3].note
    assert [person.name for person in faces.people()] == ["Barack Obama", "Joe Biden"]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda path: path, id="path"),
        pytest.param(str, id="text"),
        pytest.param(Path.read_bytes, id="bytes"),
        pytest.param(lambda path: bytearray(path.read_bytes()), id="bytearray"),
        pytest.param(lambda path: memoryview(path.read_bytes()), id="memoryview"),
        pytest.param(lambda path: io.BytesIO(path.read_bytes()), id="file in memory"),
    ],
)
def test_a_picture_may_come_in_many_ways(
    faces: Session, people: Path, given: Callable[[Path], facelabel.Picture]
) -> None:
    """All read the same."""
    assert len(faces.identify(given(people / "party.jpg")).faces) == 4


def test_files_keep_their_names(faces: Session, people: Path) -> None:
    """A picture without one gets a name all the same."""
    with (people / "Obama1.jpg").open("rb") as file:
        assert faces.learn(file, "Barack Obama").public_id.startswith("training/Obama1-")
    nameless = faces.upload((people / "Obama2.jpg").read_bytes())
    assert nameless.names == ("Barack Obama",)
    assert [asset.public_id for asset in faces.pictures("assets")] == [nameless.public_id]


def test_what_is_no_picture(faces: Session, people: Path, tmp_path: Path) -> None:
    """Is raised, with the file that was meant."""
    with pytest.raises(UnreadableImage, match="cannot be read") as missing:
        faces.identify(tmp_path / "none.jpg")
    assert missing.value.__notes__ == [f"picture: {tmp_path / 'none.jpg'}"]
    with pytest.raises(UnreadableImage):
        faces.identify(b"no image")
    with pytest.raises(Rejected):
        faces.identify("http://169.254.169.254/latest/meta-data")
    with pytest.raises(TypeError, match="binary"):
        faces.identify(io.StringIO("text"))  # type: ignore[arg-type] # what is tested
    with (people / "party.jpg").open() as text, pytest.raises(TypeError, match="binary"):
        faces.identify(text)  # type: ignore[arg-type] # same: not a word about its encoding
    with pytest.raises(Rejected, match="faces"):
        faces.learn(people / "party.jpg", "Everybody")
    with pytest.raises(LabelRefused):
        faces.learn(people / "Obama1.jpg", "")
    with pytest.raises(Rejected, match="outside"):
        faces.tag("training")


def test_search_by_picture_and_by_embedding(faces: Session, people: Path) -> None:
    """The same people, as like, however the embedding is written down."""
    faces.index([
        Portrait(str(people / f"{name}{at}.jpg"), name)
        for name in ("Obama", "Biden", "Hopper") for at in (1, 2)
    ])  # fmt: skip
    found = faces.search(people / "Obama3.jpg")
    assert found[0].person == "Obama"
    assert {one.person for one in found} == {"Obama", "Biden", "Hopper"}
    assert found[0].similarity > 95 > found[1].similarity

    (template,) = faces.analyse(people / "Obama3.jpg").templates
    assert faces.search(template) == found
    embedding = np.frombuffer(template.vector, "<f4")
    for numbers in (embedding, embedding.tolist(), 7 * embedding.astype(float)):
        again = faces.search(numbers)
        assert [one.person for one in again] == [one.person for one in found]
        assert again[0].similarity == pytest.approx(found[0].similarity, abs=0.01)

    for wrong in ([1.0, 2.0], [0.0] * len(embedding), [float("nan")] * len(embedding), []):
        with pytest.raises(Rejected):
            faces.search(wrong)
    with pytest.raises(UnusableFace):
        faces.search(people.parent / "groups" / "nobody.jpg")


def test_amazon_takes_no_embeddings(program: Program, people: Path) -> None:
    """Those of our own models are found all the same."""
    script = """
import facelabel, sys
with facelabel.open(faces="rekognition") as faces:
    print(len(faces.analyse(sys.argv[1]).templates))
    try:
        faces.search([1.0, 0.0])
    except facelabel.ConfigurationError as error:
        print(error)
"""
    printed = subprocess.check_output(
        [sys.executable, "-c", script, str(people / "Obama1.jpg")], text=True,
        env=program.environment | {"AWS_DEFAULT_REGION": "eu-central-1"}, cwd=program.folder,
    )  # fmt: skip
    assert printed == "1\nAmazon Rekognition takes no embeddings (setting faces)\n"


def test_nobody_is_known_yet(faces: Session, people: Path) -> None:
    """Faces are found; they are nobody's."""
    assert faces.people() == []
    assert faces.search(people / "Obama1.jpg") == ()
    (face,) = faces.identify(people / "Obama1.jpg")
    assert (face.name, face.best, face.similarity) == (None, None, None)
    assert faces.tag() == faces.index() == []


def test_names_are_drawn(faces: Session, people: Path) -> None:
    """On a picture of the same size."""
    drawn = faces.draw(people / "party.jpg", faces.identify(people / "party.jpg"))
    with Image.open(io.BytesIO(drawn)) as after, Image.open(people / "party.jpg") as before:
        assert (after.format, after.size) == ("JPEG", before.size)


def test_work_may_wait(faces: Session, people: Path) -> None:
    """For the next call that waits, or for a worker."""
    later = faces.learn(people / "Obama1.jpg", "Barack Obama", wait=False)
    assert (later.kind, later.public_id[:9]) == (OutcomeKind.WAITING, "training/")
    for at in (2, 3):
        faces.upload(people / f"Obama{at}.jpg", wait=False)
    assert faces.people() == []
    steps: list[Progress] = []
    outcomes = faces.tag(progress=steps.append)
    assert [outcome.names for outcome in outcomes] == [("Barack Obama",)] * 2
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]
    assert faces.tag() == []
    assert [outcome.names for outcome in faces.tag(again=True)] == [("Barack Obama",)] * 2


def test_threads_share_a_session(faces: Session, people: Path) -> None:
    """Each gets its own answer, and learns what became of its own picture."""
    faces.index([Portrait(str(people / f"{name}1.jpg"), name) for name in ("Obama", "Biden")])
    pictures = [people / f"{name}{at}.jpg" for name in ("Obama", "Biden") for at in (2, 3)] * 2
    expected = [("Obama",)] * 2 + [("Biden",)] * 2
    with ThreadPoolExecutor(len(pictures)) as pool:
        assert [seen.names for seen in pool.map(faces.identify, pictures)] == expected * 2
        uploads = list(pool.map(faces.upload, pictures[:4]))
    assert [(outcome.kind, outcome.added) for outcome in uploads] == [
        (OutcomeKind.SEARCHED, names) for names in expected
    ]
    assert len(list(faces.pictures("assets"))) == 4
    portraits = [
        (people / f"{name}{at}.jpg", name) for name in ("Hopper", "Collins") for at in (1, 2)
    ]
    with ThreadPoolExecutor(len(portraits)) as pool:
        learnt = list(pool.map(lambda one: faces.learn(*one), portraits))
    assert [(outcome.kind, outcome.names) for outcome in learnt] == [
        (OutcomeKind.LEARNT, (name,)) for _, name in portraits
    ]


def test_a_portrait_under_two_names_counts_for_the_last(faces: Session, people: Path) -> None:
    """Also where it has been in the library under a third one."""
    portrait = str(people / "Obama1.jpg")
    faces.learn(portrait, "Somebody")
    first, last = faces.index([Portrait(portrait, "First"), Portrait(portrait, "Barack Obama")])
    assert (first.kind, last.kind) == (OutcomeKind.REFUSED, OutcomeKind.LEARNT)
    assert "labelled Barack Obama: that label counts" in first.note
    assert [person.name for person in faces.people()] == ["Barack Obama"]


def test_one_tag_is_one_tag(faces: Session, people: Path) -> None:
    """And not its letters."""
    faces.upload(people / "Obama1.jpg", tags="summer")
    assert [asset.tags for asset in faces.pictures()] == [("summer",)]


def test_whoever_is_told_of_progress_may_call(faces: Session, people: Path) -> None:
    """Of the same session, in the same thread."""

    def show(step: Progress) -> None:
        if step.outcome:
            faces.upload(people / "Obama2.jpg")

    faces.index([Portrait(str(people / "Obama1.jpg"), "Barack Obama")], progress=show)
    assert [asset.tags for asset in faces.pictures("assets")] == [("Barack Obama",)]


def test_after_the_end(settings: Settings, people: Path) -> None:
    """Every call says that the session is closed; to close it again is no error."""
    faces = facelabel.open(settings)
    assert faces.settings is settings
    faces.upload(people / "Obama1.jpg")
    pictures = faces.pictures()
    faces.close()
    faces.close()
    assert faces.closed
    calls: list[Callable[[], object]] = [
        lambda: faces.identify(people / "Obama1.jpg"), lambda: faces.search([1.0]),
        lambda: faces.analyse(b""), lambda: faces.draw(b"", ()), lambda: faces.learn(b"", "J"),
        lambda: faces.upload(b""), faces.index, faces.tag, lambda: faces.forget("J"),
        faces.people, faces.pictures, lambda: next(pictures), lambda: faces.settings,
        faces.__enter__,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_settings_by_name(settings: Settings) -> None:
    """Are checked as those of the environment; a misspelt one is an error."""
    overrides: dict[str, Any] = {
        "data": settings.data,
        "models": settings.models,
        "pack": "classic",
    }
    with facelabel.open(**overrides, margin=2) as faces:
        assert (faces.settings.data, faces.settings.margin) == (settings.data, 2.0)
    with pytest.raises(facelabel.ConfigurationError, match="margin"):
        facelabel.open(**overrides, margin=0)
    with pytest.raises(TypeError, match="confidense"):
        facelabel.open(confidense=90)
    with pytest.raises(TypeError, match="not both"):
        facelabel.open(settings, margin=2)


class _Endless(io.RawIOBase):
    """A file without an end that gives a little at a time, and counts."""

    given = 0

    def read(self, size: int = -1, /) -> bytes:
        part = bytes(min(size, 1 << 20))
        self.given += len(part)
        return part


def test_a_file_is_read_no_further_than_a_picture_may_be_large(faces: Session) -> None:
    file, largest = _Endless(), faces.settings.max_image_mb << 20
    with pytest.raises(UnreadableImage, match="larger than"):
        faces.identify(file)
    assert file.given == largest + 1
    with pytest.raises(UnreadableImage, match="larger than"):
        faces.upload(_Endless())


def test_outcomes_read_as_the_text_they_were() -> None:
    """In comparisons and in JSON."""
    assert facelabel.Outcome(OutcomeKind.LEARNT).kind == "learnt"
    assert json.dumps({"kind": OutcomeKind.FORGOTTEN}) == '{"kind": "forgotten"}'
    assert f"{OutcomeKind.WAITING}" == "waiting"


def test_importing_loads_no_model() -> None:
    """Nor anything that could: the API arrives at its first use, types and errors without it."""
    program = (
        "import facelabel, sys; facelabel.Outcome, facelabel.Verdict, facelabel.FacelabelError;"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert all(map(find_spec, HEAVY)), "a package that is not there is never loaded"


def test_every_name_is_there() -> None:
    """For programs, for those who look around, and for type checkers."""
    for name in facelabel.__all__:
        assert getattr(facelabel, name).__doc__
    assert set(facelabel.__all__) == {n for n in dir(facelabel) if not n.startswith("_")}
    with pytest.raises(AttributeError, match="no_such_call"):
        getattr(facelabel, "no_such" + "_call")
    module = ast.parse(Path(facelabel.__file__).read_text("utf-8"))
    typed = [
        (node.module, alias.name)
        for branch in module.body if isinstance(branch, ast.If)
        for node in branch.body if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]  # fmt: skip
    homes = facelabel._HOMES.items()  # noqa: SLF001 - that it says the same is what is tested
    assert typed == [(home, name) for home, names in homes for name in names]
    assert (Path(facelabel.__file__).parent / "py.typed").exists()


def test_what_is_not_there_is_answered_with_what_is_near(
    faces: Session, samples: Path, tmp_path: Path
) -> None:
    """Names, folders, labels, and attributes as Python itself does."""
    faces.learn(samples / "obama.jpg", "Barack Obama")
    with pytest.raises(NotFound, match="as 'barack obama'; did you mean 'Barack Obama'"):
        faces.forget("barack obama")
    with pytest.raises(Rejected, match="did you mean 'assets/2026'"):
        faces.tag("Assets/2026")
    with pytest.raises(NotFound, match="no folder 'trainng' in the library; did you mean 'trai"):
        list(faces.pictures("trainng"))
    assert list(faces.pictures("assets")) == []
    assert list(faces.pictures("training", person="Nobody")) == []
    for label in ("facelabel:Ann", "faceLabel=Ann"):
        with pytest.raises(LabelRefused, match="a label is written 'faceLabel:Ann'"):
            faces.learn(samples / "biden.jpg", label)
        with pytest.raises(LabelRefused, match="a label is written 'faceLabel:Ann'"):
            faces.upload(samples / "biden.jpg", "training", tags=label)
    with pytest.raises(TypeError, match="confidence_treshold; did you mean 'confidence_threshold"):
        facelabel.load_settings(confidence_treshold=90)
    with pytest.raises(AttributeError) as caught:
        facelabel.identfy  # type: ignore[attr-defined] # noqa: B018 - for what it raises
    assert (caught.value.name, caught.value.obj) == ("identfy", facelabel)


def test_nothing_to_learn_is_said(
    settings: Settings,
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Why, and what to call where a folder of this computer was meant."""
    monkeypatch.chdir(tmp_path)
    assert facelabel.index_faces(settings=settings) == []
    assert "there are no portraits in the library's folder 'training'" in caplog.text
    shutil.copytree(samples, tmp_path / "training" / "Barack Obama")
    with pytest.raises(NotFound, match=r"faces\.index\('training/'\)"):
        facelabel.index_faces("training/", settings=settings)
    with pytest.raises(NotFound, match="no folder 'trainng' in the library"):
        facelabel.index_faces("trainng", settings=settings)
    with facelabel.open(settings) as faces:
        assert faces.index() == []
        faces.upload(samples / "obama.jpg", "training")
        caplog.clear()
        assert faces.index() == []
    said = "1 picture has no label, such as faceLabel:John Doe, in the folder 'training'"
    assert said in caplog.text
    facelabel.upload_and_index(samples / "obama.jpg", "Barack Obama", settings=settings)
    assert len(facelabel.index_faces("training/", settings=settings)) == 1


def test_a_variable_that_is_no_setting_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, where settings are read."""
    monkeypatch.setenv("FACELABEL_PAK", "classic")
    facelabel.load_settings()
    assert (
        "FACELABEL_PAK is no setting and is not read; did you mean 'FACELABEL_PACK'?" in caplog.text
    )
