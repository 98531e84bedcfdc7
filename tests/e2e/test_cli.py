"""The main job from the command line, on photos of two public figures."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image
from tests.waiting import PATIENCE

from facelabel.cli import cli
from facelabel.engine.models.samples import two_people
from facelabel.engine.own_calibrations import Calibrations, OwnCalibration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program


@pytest.fixture
def portraits(samples: Path, tmp_path: Path) -> Path:
    """A folder per person."""
    for name, person in (("obama.jpg", "Barack Obama"), ("biden.jpg", "Joe Biden")):
        (tmp_path / "portraits" / person).mkdir(parents=True)
        shutil.copy(samples / name, tmp_path / "portraits" / person / name)
    return tmp_path / "portraits"


@pytest.fixture
def party(samples: Path, tmp_path: Path) -> Path:
    """A picture with both."""
    path = tmp_path / "party.jpg"
    path.write_bytes(two_people(samples))
    return path


def _tags(facelabel: Program, public_id: str) -> set[str]:
    return set(facelabel.json("show", public_id)["tags"])


def originals(facelabel: Program) -> set[Path]:
    """The files of all pictures in the library."""
    return set((facelabel.folder.parent / "data" / "originals").glob("??/*"))


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends on to a signed address, where there is nothing."""

    def do_GET(self) -> None:
        self.send_response(404 if "signature" in self.path else 302)
        self.send_header("Location", "/picture.jpg?signature=hush")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nobody needs to know."""


@contextmanager
def elsewhere() -> Iterator[str]:
    """The address of a server that sends on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/picture.jpg"
        finally:
            server.shutdown()
            thread.join()


def test_no_signed_address_is_logged(program: Program) -> None:
    """Not even where everything is."""
    with elsewhere() as url:
        said = program("upload", url, "--private-urls", "true", "--log-level", "debug", status=1)
    assert "/picture.jpg answered 404" in said
    assert "hush" not in said


def test_another_process(program: Program, portraits: Path, party: Path) -> None:
    """The shortest way to a name, as a shell starts it."""
    assert "2 portraits learnt; 2 people known" in program.bare("index", portraits)
    program("upload", party)
    assert "1 picture searched, 1 with names (2 names)" in program.bare("worker", "--once")
    assert _tags(program, "assets/party") == {"Barack Obama", "Joe Biden"}
    assert "no such command" in program.bare("unknown", status=2).lower()


def test_help_and_usage_errors_are_quick() -> None:
    """They load neither the database nor the engine, which take longer than all the rest."""
    program = "import sys, facelabel.cli; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"sqlalchemy", "numpy", "onnxruntime", "httpcore2", "uvicorn"} & {*loaded}


def test_the_main_job(facelabel: Program, portraits: Path, party: Path, samples: Path) -> None:
    """Index, identify, upload, work, tag; then correct, relabel, forget."""
    assert "nobody is known yet" in facelabel("people")
    assert "2 portraits of 2 people would be" in facelabel("index", portraits, "--dry-run")
    assert "2 portraits learnt; 2 people known" in facelabel("index", portraits)
    assert "nothing new: 2 portraits known already; 2 people known" in facelabel("index", portraits)

    seen, stranger = facelabel.json("identify", party, samples / "32bit.png")
    assert seen["names"] == ["Barack Obama", "Joe Biden"]
    best, runner_up = seen["faces"][0]["candidates"]
    assert best["similarity"] > 95
    assert runner_up["similarity"] < 60
    assert set(seen["faces"][0]["face"]["box"]) == {"left", "top", "width", "height"}
    assert stranger["model"] == "facelabel classic/1"

    facelabel("upload", party, "--folder", "assets")
    facelabel("upload", samples / "obama2.jpg", "--folder", "assets")
    said = facelabel("worker", "--once")
    assert said.splitlines()[-1] == "2 pictures searched, 2 with names (3 names)"
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "Joe Biden"}
    assert _tags(facelabel, "assets/obama2") == {"Barack Obama"}
    together = facelabel.json("library", "--person", "Joe Biden", "--person", "Barack Obama")
    assert [row["public_id"] for row in together] == ["assets/party"]
    alone = facelabel.json("library", "assets", "--person", "Barack Obama", "--only")
    assert [row["public_id"] for row in alone] == ["assets/obama2"]

    # "Not them" sticks; a name typed by hand stays.
    facelabel("tag-remove", "assets/obama2", "Barack Obama")
    facelabel("tag-add", "assets/obama2", "holiday", "Michelle Obama")
    facelabel("worker", "--once")
    facelabel("tag")
    assert _tags(facelabel, "assets/obama2") == {"holiday", "Michelle Obama"}
    assert "not them, said a person: Barack Obama" in facelabel("show", "assets/obama2")

    # A relabelled portrait carries its new name to every picture.
    (biden,) = (p["portraits"][0] for p in facelabel.json("people") if p["name"] == "Joe Biden")
    assert "two labels" in facelabel("tag-add", biden, "faceLabel:President Biden")
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "Joe Biden"}
    facelabel("tag-remove", biden, "faceLabel:Joe Biden")
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "President Biden"}
    assert "facelabel_error" not in facelabel.json("show", biden)["context"]

    # Deleting the portrait forgets the person at once, everywhere.
    facelabel("rm", biden, "--yes")
    assert [p["name"] for p in facelabel.json("people")] == ["Barack Obama"]
    assert _tags(facelabel, "assets/party") == {"Barack Obama"}
    assert "what is learnt and the training folder agree" in facelabel("index", "--check")
    facelabel("doctor")


def test_a_picture_searched_before_a_person_was_learnt(
    facelabel: Program, portraits: Path, party: Path
) -> None:
    """It gets the name later, by itself, without the image."""
    facelabel("upload", party)
    facelabel("worker", "--once")
    assert _tags(facelabel, "assets/party") == set()
    for original in originals(facelabel):
        original.unlink()  # the kept faces must do
    facelabel("index", portraits)
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "Joe Biden"}


def test_moving_and_renaming(facelabel: Program, samples: Path, party: Path) -> None:
    """What leaves the training folder is un-learnt; a rename changes nothing else."""
    label = ("--label", "Barack Obama")
    facelabel("upload", samples / "obama.jpg", "--folder", "training", *label, "--now")
    facelabel("upload", party, "--now")
    assert _tags(facelabel, "assets/party") == {"Barack Obama"}
    facelabel("rename", "training/obama", "portraits/president")
    facelabel("worker", "--once")
    assert [p["name"] for p in facelabel.json("people")] == ["Barack Obama"]
    facelabel("move", "portraits/president", "archive")
    assert facelabel.json("people") == []
    assert _tags(facelabel, "portraits/president") == {"faceLabel:Barack Obama"}
    assert _tags(facelabel, "assets/party") == set()


def test_refusals_are_told_where_the_user_looks(
    facelabel: Program, samples: Path, party: Path, tmp_path: Path
) -> None:
    """On the image, in the jobs list, by the exit status; and cleared when mended."""
    facelabel("upload", party, "--label", "Both", "--public-id", "training/both")
    facelabel("worker", "--once", status=1)
    assert "2 " in facelabel.json("show", "training/both")["context"]["facelabel_error"]
    assert "training/both" in facelabel("jobs", "list")
    facelabel("upload", samples / "obama.jpg", "--label", "Both", "--public-id", "training/both")
    facelabel("worker", "--once")
    assert facelabel.json("show", "training/both")["context"] == {}
    assert "none has failed" in facelabel("jobs", "list")

    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    assert "not a picture" in facelabel("upload", text, status=1)
    assert "not a picture" in facelabel("identify", text, status=1)
    assert facelabel.json("identify", text, party, status=1)[1]["faces"]
    assert "comma" in facelabel("upload", party, "--label", "Smith, John", status=1)
    assert "there is no picture" in facelabel("show", "nothing", status=1)
    assert "--confidence-threshold=x" in facelabel(
        "people", "--confidence-threshold", "x", status=2
    )
    assert "outside" in facelabel("tag", "elsewhere", status=1)
    assert "neither folders named" in facelabel("index", facelabel.folder, status=1)


def test_labels_csv(facelabel: Program, samples: Path, tmp_path: Path) -> None:
    """Files and labels.csv, with the prefix or without, header or not; bad lines are named."""
    folder = tmp_path / "listed"
    folder.mkdir()
    shutil.copy(samples / "obama.jpg", folder)
    shutil.copy(samples / "biden.jpg", folder)
    lines = "url-or-path,label\nobama.jpg,faceLabel:Barack Obama\nbiden.jpg,Joe Biden\n"
    (folder / "labels.csv").write_text(lines)
    assert "2 people known" in facelabel("index", folder)
    (folder / "labels.csv").write_text(lines + "missing.jpg,Nobody\nhttp://127.0.0.1/x.jpg,Me\n")
    printed = facelabel("index", folder, status=1)
    assert "missing.jpg" in printed
    assert "127.0.0.1" in printed
    (folder / "labels.csv").write_text("obama.jpg\n")
    assert "line 1" in facelabel("index", folder, status=1)


def test_changing_the_label_in_the_list_moves_the_face(
    facelabel: Program, samples: Path, tmp_path: Path
) -> None:
    """The same file under another label is the same image with a new label."""
    shutil.copy(samples / "obama.jpg", tmp_path)
    for name in ("Barack Obama", "B. Obama"):
        (tmp_path / "labels.csv").write_text(f"obama.jpg,{name}\n")
        assert "1 person known" in facelabel("index", tmp_path / "labels.csv")
        assert [p["name"] for p in facelabel.json("people")] == [name]


def test_rebuild_and_drawing(facelabel: Program, portraits: Path, party: Path) -> None:
    """A rebuilt index names the same people; annotated pictures are pictures."""
    facelabel("index", portraits)
    facelabel("upload", party, "--now")
    assert "rebuilt as cld-rekog-" in facelabel("index", "--rebuild")
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "Joe Biden"}
    facelabel("identify", party, "--draw", "drawn")
    with Image.open(facelabel.folder / "drawn" / "party-named.jpg") as drawn:
        assert drawn.size == (1096, 640)
    assert "what is learnt and the training folder agree" in facelabel(
        "index", "--check", "--dry-run"
    )


def test_a_rebuild_waits_for_nobody(facelabel: Program, portraits: Path, samples: Path) -> None:
    """Jobs that cannot be done now may wait for just this one; their turn comes after it."""
    facelabel("index", portraits)
    learnt = originals(facelabel)
    facelabel(
        "upload", *(samples / f"{name}.jpg" for name in ("obama2", "obama3", "obama_partial_face"))
    )
    for original in originals(facelabel) - learnt:
        original.unlink()
    said = facelabel("index", "--rebuild", status=75)
    assert "; 2 people known" in said
    assert said.index("rebuilt as cld-rekog-") < said.index("what is left waits")


def test_tag_is_a_backfill_that_says_what_it_would_do(
    facelabel: Program, portraits: Path, party: Path
) -> None:
    """Dry run first; a new threshold decides anew without searching twice."""
    facelabel("upload", party)
    assert "1 picture would be searched" in facelabel("tag", "--dry-run")
    facelabel("index", portraits)
    assert "0 pictures would be searched" in facelabel("tag", "--dry-run")
    strict = ("--confidence-threshold", "100")
    told = "with confidence_threshold 100 (--confidence-threshold), 2 names would go from 1 picture"
    assert told in facelabel("tag", "--dry-run", *strict)
    assert told in facelabel("tag", *strict, status=1)
    assert _tags(facelabel, "assets/party") == {"Barack Obama", "Joe Biden"}
    assert told in facelabel("tag", *strict, "--yes")
    assert _tags(facelabel, "assets/party") == set()


def test_what_a_face_needs_is_said_when_portraits_are_learnt(
    facelabel: Program, portraits: Path, party: Path
) -> None:
    """Once, and only where it is more than the threshold; identify goes by its own settings."""
    assert "a face needs" not in facelabel("index", portraits)
    rare = ("--stranger-chance", "0.001")
    told = "with 2 portraits known, a face needs "
    assert told not in facelabel("identify", party)
    assert told in facelabel("identify", party, *rare)
    facelabel("upload", party, "--now")
    facelabel("tag", *rare, "--yes")
    said = facelabel("index", portraits)
    assert said.count(told) == 1
    assert " for a name, so that about 0.001 of 100 strangers is given one" in said


def test_a_calibration_of_ones_own_decides_pictures_anew(
    facelabel: Program, portraits: Path, party: Path
) -> None:
    """As another threshold does; deleting its file undoes it."""
    facelabel("index", portraits)
    facelabel("upload", party)
    facelabel("tag")
    both = {"Barack Obama", "Joe Biden"}
    assert _tags(facelabel, "assets/party") == both
    model = facelabel.json("show", "assets/party")["search"]["model"].removeprefix("facelabel ")
    own = OwnCalibration(
        ((0.001, 99.0), (0.002, 80.0)), 150, 31_025, 1_764_115_200.0, stricter=True
    )
    path = Calibrations(facelabel.folder.parent / "data" / "calibration").keep(model, own)
    says = "calibrated on your own portraits of 26 Nov 2025: 150 people, 31,025 pairs"
    for command in (("models", "list"), ("doctor",)):
        assert says in facelabel(*command)
    assert says not in facelabel("show", "assets/party")  # whose names are of before
    planned = facelabel("tag", "--dry-run")
    assert "0 pictures would be searched" in planned  # what was seen is decided again
    assert "with the calibration of today, 2 names would go from 1 picture" in planned
    assert "`facelabel tag --yes` decides so" in facelabel("tag", status=1)
    assert "`facelabel tag` decides about every picture" in facelabel("worker", "--once")
    facelabel("tag", "--yes")
    assert _tags(facelabel, "assets/party") == set()
    assert says in facelabel("show", "assets/party")
    assert "0 pictures would be searched" in facelabel("tag", "--dry-run")

    path.unlink()
    assert "2 names would come, on 1 picture" in facelabel("tag", "--dry-run")
    facelabel("tag", "--yes")
    assert _tags(facelabel, "assets/party") == both
    assert "0 pictures would be searched" in facelabel("tag", "--dry-run")


def test_faces_beyond_the_limit_are_told(facelabel: Program, party: Path) -> None:
    """How many, by every command that looks at pictures; JSON has them, too."""
    facelabel("upload", party)
    one = ("--max-faces", "1")
    assert "1 picture searched, none with names; 1 face left out" in facelabel(
        "worker", "--once", *one
    )
    assert "1 face left out" in facelabel("upload", party, "--public-id", "x", "--now", *one)
    (seen,) = facelabel.json("identify", party, *one)
    assert [face["reasons"] for face in seen["left_out"]] == [["EXCEEDS_MAX_FACES"]]
    (told,) = facelabel.json("upload", party, "--public-id", "y", "--now", *one)["pictures"]
    assert told["faces_left_out"] == 1


def test_models(facelabel: Program) -> None:
    """What is installed can be listed and verified."""
    packs = {pack["name"]: pack for pack in facelabel.json("models", "list")}
    assert packs["classic"]["installed"]
    assert {file["licence"] for file in packs["classic"]["files"]} == {"MIT", "CC0-1.0"}
    assert "classic/1: good" in facelabel("models", "verify", "classic")
    assert "Apache-2.0" in facelabel("models", "list")
    assert "there is no model pack" in facelabel("models", "pull", "nonsense", status=2)


def test_what_repairs_a_model_is_named(facelabel: Program, model_cache: Path) -> None:
    """A command to copy, the pack's name in it."""
    own = facelabel.folder / "models"
    shutil.copytree(model_cache / "classic-1", own / "classic-1")
    (own / "classic-1" / "embedder.onnx").write_bytes(b"damaged")
    facelabel.environment["FACELABEL_MODELS"] = str(own)
    for command in (("models", "verify"), ("doctor",)):
        said = facelabel(*command, status=1)
        assert "embedder.onnx is damaged" in said
        assert "`facelabel models pull classic` repairs it" in said


def test_a_models_folder_that_is_a_file(facelabel: Program) -> None:
    """Is a wrong setting; doctor says so of the models alone and looks at the rest."""
    (facelabel.folder / "file").touch()
    wrong = ("--models", "file")
    for command in ("models list", "models verify", "models pull", "demo"):
        assert "models=file is a file, not a folder" in facelabel(
            *command.split(), *wrong, status=2
        )
    said = facelabel("doctor", *wrong, status=1)
    assert "✗ models: models=file is a file, not a folder" in said
    assert "! people: nobody is known yet" in said
    assert "✓ jobs: nothing waits, none failed" in said
    assert "start" not in said


def test_the_demo(facelabel: Program) -> None:
    """From nothing to names, ending by itself, leaving no data folder."""
    shutil.rmtree(facelabel.folder.parent / "data")
    facelabel.environment["CLOUDINARY_URL"] = "cloudinary://key:hush@never-called"
    printed = facelabel("demo")
    for picture in ("obama2.jpg", "obama3.jpg", "obama_partial_face.jpg"):
        assert f"{picture}: Barack Obama" in printed
    assert "two-people.jpg: Barack Obama, Joe Biden" in printed
    assert "re-encoded" in printed
    assert "hush" not in printed
    assert len(list((facelabel.folder / "demo-output").glob("*.jpg"))) == 5
    assert not (facelabel.folder.parent / "data").exists()


def test_the_demo_with_own_pictures(facelabel: Program, portraits: Path, party: Path) -> None:
    """PORTRAITS and PHOTOS."""
    printed = facelabel("demo", "--portraits", portraits, "--photos", party)
    assert "party.jpg: Barack Obama, Joe Biden" in printed
    assert "give both" in facelabel("demo", "--photos", party, status=2)


def test_looking_around_needs_no_models(facelabel: Program, tmp_path: Path, party: Path) -> None:
    """Nothing is fetched, and no models are chosen, before a face is to be looked at."""
    facelabel.environment["FACELABEL_MODELS"] = str(tmp_path / "no-models")
    facelabel("upload", party)
    for command in ("people", "library", "show assets/party", "index --check --dry-run"):
        facelabel(*command.split())
    said = facelabel("doctor")
    assert "nobody is known yet" in said
    for place in ("FACELABEL_DATA", "FACELABEL_MODELS"):  # what is to be removed with the program
        assert facelabel.environment[place] in said
    assert not (tmp_path / "no-models").exists()


def test_the_same_picture_of_two_people_is_told(
    facelabel: Program, portraits: Path, samples: Path
) -> None:
    """It can only be one of them; hidden folders name nobody."""
    shutil.copy(samples / "obama.jpg", portraits / "Joe Biden" / "obama.jpg")
    (portraits / ".cache").mkdir()
    shutil.copy(samples / "obama2.jpg", portraits / ".cache" / "obama2.jpg")
    said = facelabel("index", portraits, status=1)
    assert "labelled Barack Obama, is the same picture as" in said
    assert [p["name"] for p in facelabel.json("people")] == ["Joe Biden"]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["upload", "PICTURE", "--label", ""], 2, "is empty"),
        (["upload", "PICTURE", "--label", "\u200b"], 1, "no name behind the colon"),
        (["upload", "PICTURE", "--folder", "assets", "--label", "Joe"], 1, "teaches only in"),
        (["upload", "EMPTY"], 1, "there are no pictures in"),
        (["identify", "EMPTY"], 1, "there are no pictures in"),
        (["index", "EMPTY", "--check"], 2, "give one of PATH, --check and --rebuild"),
        (["index", "--force"], 2, "--force goes with --rebuild"),
        (["index", "NUL.csv"], 1, "cannot be read: embedded null byte"),
        (["index", "NOBODY.csv"], 1, "lists nobody"),
        (["demo", "--output", "/dev/null/x"], 75, "cannot be written"),
        (["people", "--data", "/dev/null/x"], 2, "cannot be made"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    facelabel: Program, party: Path, arguments: list[str], status: int, reason: str
) -> None:
    """In one line, and nothing happens."""
    (facelabel.folder / "EMPTY").mkdir()
    (facelabel.folder / "NUL.csv").write_bytes(b"a\0b.jpg,Joe\n")
    (facelabel.folder / "NOBODY.csv").write_text("path,label\n")
    shutil.copy(party, facelabel.folder / "PICTURE")
    assert reason in facelabel(*arguments, status=status)
    assert "the library is empty" in facelabel("library")


def test_doctor_says_what_is_wrong_with_the_store(facelabel: Program) -> None:
    """And what the configuration is, all the same."""
    (facelabel.folder / "no.db").write_bytes(b"no database, whatever its name is" * 9)
    said = facelabel("doctor", "--store", f"sqlite:///{facelabel.folder / 'no.db'}", status=1)
    assert "✓ configuration" in said
    assert "✗ start: sqlite:///" in said
    assert "no.db: database: file is not a database" in said


def test_pictures_of_one_name_are_drawn_apart(facelabel: Program, party: Path) -> None:
    for folder in ("a", "b"):
        (facelabel.folder / folder).mkdir()
        shutil.copy(party, facelabel.folder / folder / "party.jpg")
    facelabel("identify", "a", "b", "--draw", "named")
    drawn = sorted(path.name for path in (facelabel.folder / "named").iterdir())
    assert drawn == ["party-2-named.jpg", "party-named.jpg"]


def test_names_a_terminal_cannot_show(program: Program, party: Path) -> None:
    """Are escaped, and JSON stays JSON."""
    program.environment["PYTHONIOENCODING"] = "ascii"
    program("upload", party, "--tag", "Zoë 🎉")
    assert "Zo\\xeb" in program.bare("library")
    shown = program.bare("show", "assets/party", "--json")
    assert json.loads(shown)["result"]["tags"] == ["Zoë 🎉"]


@pytest.mark.parametrize(
    ("argument", "redirection"),
    [("library", ">&-"), ("library", ">/dev/full"), ("--help", ">/dev/full")],
)
def test_a_closed_or_full_output_is_no_crash(
    program: Program, argument: str, redirection: str
) -> None:
    """One line at most."""
    command = shlex.join(program.command(argument)) + redirection
    done = subprocess.run(
        ["sh", "-c", command], env=program.environment, cwd=program.folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1
    assert done.returncode == (75 if "full" in redirection else 0)


def _interrupt_at_work(process: subprocess.Popen[str], database: Path, left: int) -> None:
    """Send Ctrl-C when so many jobs are left, while nothing can be written that ends another."""
    with contextlib.closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        while True:
            connection.execute("BEGIN IMMEDIATE")
            (jobs,) = connection.execute("SELECT count(*) FROM job").fetchone()
            if jobs <= left:
                break
            connection.rollback()
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        connection.rollback()


def test_ctrl_c_leaves_nothing_locked(program: Program, samples: Path, tmp_path: Path) -> None:
    """The next run goes on at once, the picture in hand included."""
    faces = tmp_path / "faces"
    faces.mkdir()
    for number in range(10):
        with Image.open(samples / "obama2.jpg") as photo:
            photo.resize((300 + number, 600)).save(faces / f"{number}.jpg")
    program("upload", faces)
    with subprocess.Popen(
        program.command("tag", interrupted=True), env=program.environment, cwd=program.folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as tag:  # fmt: skip
        try:
            _interrupt_at_work(tag, tmp_path / "data" / "facelabel.db", left=8)
            said, _ = tag.communicate(timeout=PATIENCE)
        finally:
            tag.kill()
    assert tag.returncode == 130, said
    assert "Traceback" not in said
    assert "stopped; the same command goes on from here" in said
    program("tag")
    assert program.json("jobs", "list", "--all") == []


#: No folder of this name can be made: to get the models is not possible now.
NO_MODELS = ("--models", "x" * 300)


def test_work_that_cannot_be_done_now_does_not_swallow_the_report(
    facelabel: Program, tmp_path: Path
) -> None:
    """Everything that was done and refused is told, the reason once, and the rest waits."""
    (tmp_path / "many").mkdir()
    for number in range(4):
        Image.new("RGB", (64, 64 + number)).save(tmp_path / f"many/{number}.png")
    shutil.copytree(tmp_path / "many", tmp_path / "people/Ann")
    (tmp_path / "bad.jpg").write_text("no picture")
    pictures = ("upload", tmp_path / "many")

    facelabel(*pictures, "--label", "Bo")
    said = facelabel("index", "--check", *NO_MODELS, status=75)
    assert "4 labelled, not learnt" in said
    assert said.count("what is left waits") == 1
    facelabel(*pictures)
    said = facelabel("rm", "assets/3", "--yes", *NO_MODELS)  # whatever waits besides
    assert said == (
        "1 picture deleted\n"
        "7 pictures wait besides: `facelabel worker --once`, if no worker is running\n"
    )
    facelabel(*pictures)
    assert "left for later" in facelabel("worker", "--once", *NO_MODELS, status=75)
    told = facelabel.json(*pictures, tmp_path / "bad.jpg", "--now", *NO_MODELS, status=1)
    outcomes = [picture["outcome"] for picture in told["pictures"]]
    assert outcomes == ["waiting"] * 4 + ["refused"]
    said = facelabel(*pictures, "--now", *NO_MODELS, status=75)
    assert all(f"assets/{number} (there already)\n" in said for number in range(4))
    assert "4 pictures: waiting: xxx" in said
    assert said.count("File name too long") == 1
    said = facelabel("index", tmp_path / "people", *NO_MODELS, status=75)
    assert "no portrait learnt, 4 left for later; nobody is known" in said
    assert "4 pictures: waiting: xxx" in said


def test_identify_tells_what_it_found_before_trouble(
    facelabel: Program, party: Path, tmp_path: Path
) -> None:
    """As JSON, too: where nothing more can be looked at, and where pictures cannot be saved."""
    (tmp_path / "bad.jpg").write_text("no picture")
    (row,) = facelabel.json("identify", "missing.jpg", party, *NO_MODELS, status=1)
    assert "No such file" in row["error"]
    assert facelabel.json("identify", party, *NO_MODELS, status=75) == []
    Image.new("RGB", (64, 64)).save(tmp_path / "nobody.png")
    drawn = ("--draw", "/dev/null/x")
    rows = facelabel.json("identify", party, tmp_path / "nobody.png", *drawn, status=75)
    assert [len(row["faces"]) for row in rows] == [2, 0]


def test_more_failed_jobs_than_are_shown(facelabel: Program) -> None:
    """Are counted everywhere, and all in JSON."""
    Image.new("RGB", (64, 64)).save(facelabel.folder / "a.png")
    facelabel("upload", "a.png", "--folder", "training")
    with contextlib.closing(
        sqlite3.connect(facelabel.folder.parent / "data/facelabel.db")
    ) as store:
        store.execute("DELETE FROM job")
        _, _, *columns = (name for _, name, *_ in store.execute("PRAGMA table_info(asset)"))
        more = ", ".join(columns)
        store.executemany(
            f"INSERT INTO asset (asset_id, public_id, {more}) SELECT ?, ?, {more} FROM asset"
            " WHERE public_id = 'training/a'",
            [(f"{number:032x}", f"training/{number}") for number in range(1001)],
        )
        store.executemany(
            "INSERT INTO job (kind, key, payload, state, tries, run_at, reason, enqueued_at)"
            " VALUES ('asset', ?, '{}', 'dead', 5, 0, 'no face', 0)",
            [(f"{number:032x}",) for number in range(1001)],
        )
        store.commit()
    said = facelabel("jobs", "list")
    assert said.count("no face") == 1000
    assert "and 1 more: `facelabel jobs list --limit 1001`" in said
    assert "and 999 more" in facelabel("jobs", "list", "--limit", "2")
    assert len(facelabel.json("jobs", "list")) == 1001
    assert "1,001 portraits refused" in facelabel("people")
    assert "1,001 failed" in facelabel("doctor", status=1)


class CtrlC(io.BytesIO):
    """A terminal at which somebody presses it instead of an answer."""

    def read1(self, _size: int | None = -1) -> bytes:
        raise KeyboardInterrupt


def test_ctrl_c_is_no_answer(facelabel: Program) -> None:
    """The program was stopped: 130, as anywhere else, and nothing is deleted."""
    Image.new("RGB", (64, 64)).save(facelabel.folder / "a.png")
    facelabel("upload", "a.png")
    with contextlib.chdir(facelabel.folder):
        runner = CliRunner(env=facelabel.environment)
        stopped = runner.invoke(cli, ["rm", "assets/a"], input=CtrlC())
    assert stopped.exit_code == 130, stopped.output
    assert "facelabel: stopped" in stopped.output
    facelabel("show", "assets/a")


def test_a_list_is_looked_through_before_it_is_learnt(facelabel: Program, party: Path) -> None:
    """What it names and is not there is no portrait that would be learnt."""
    listed = party.parent / "labels.csv"
    listed.write_text("party.jpg,Ann\nmissing.jpg,Bo\n")
    said = facelabel("index", listed, "--dry-run", status=1)
    assert "1 portrait of 1 person would be" in said
    assert "line 2" in said
    rows = facelabel.json("index", listed, "--dry-run", status=1)["portraits"]
    assert [bool(row["note"]) for row in rows] == [False, True]


@pytest.mark.parametrize("strays", [10, 11])
def test_doctor_tells_of_files_of_no_picture(facelabel: Program, strays: int) -> None:
    """Killed processes leave a few; more mean that an older database was put back."""
    Image.new("RGB", (64, 64)).save(facelabel.folder / "a.png")
    facelabel("upload", "a.png")
    (original,) = originals(facelabel)
    for number in range(strays):
        original.with_name(f"{original.name[:2]}{number:030x}").touch()
    found = {finding["what"]: finding for finding in facelabel.json("doctor", status=strays > 10)}
    assert ("originals" in found) == (strays > 10)
    if strays > 10:
        assert "11 of 12 files in" in found["originals"]["says"]
