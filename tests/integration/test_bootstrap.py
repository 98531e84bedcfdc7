"""The application as it is built from settings: face engines, and who knows faces."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.manifests import manifest
from tests.waiting import PATIENCE

import facelabel
from facelabel import settings
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql.database import Database
from facelabel.bootstrap import records
from facelabel.bootstrap.app import face_engines, opened
from facelabel.cli import report
from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs, former_packs
from facelabel.engine.own_calibrations import OwnCalibration
from facelabel.errors import ConfigurationError
from facelabel.images import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.engine.engines import Engines
    from facelabel.engine.models.model_store import ModelStore

#: A pack of the user's own, whose files nobody loads here.
OWN = manifest("own.toml")
UNCALIBRATED = "own/1"


def uncalibrated(folder: Path) -> Engines:
    (folder / "own.toml").write_text(OWN, "utf-8")
    return engines(folder, pack=str(folder / "own.toml"))


def engines(folder: Path, models: Path | None = None, pack: str = "auto") -> Engines:
    flags = {"data": folder, "models": models or folder, "pack": pack}
    return face_engines(settings.load(flags), lambda *_: None, lambda _: None)


def calibrated(made: Engines) -> dict[str, bool]:
    return {pack.model: pack.calibrated for pack in made.packs()}


def test_a_calibration_of_the_users_own_is_kept(tmp_path: Path) -> None:
    assert not calibrated(uncalibrated(tmp_path))[UNCALIBRATED]
    path = uncalibrated(tmp_path).calibrate(UNCALIBRATED, ((0.9, 90.0), (1.0, 80.0)))
    assert path.is_relative_to(tmp_path)
    assert calibrated(uncalibrated(tmp_path))[UNCALIBRATED]


def test_a_calibration_that_older_versions_wrote_goes_on(tmp_path: Path) -> None:
    """A list of points, for packs that have none; one that has its own keeps that."""
    made = uncalibrated(tmp_path)
    for model in (UNCALIBRATED, "classic/1"):
        path = made.calibrations.path(model)
        path.parent.mkdir(exist_ok=True)
        path.write_text("[[0.9, 90.0], [1.0, 80.0]]", "utf-8")
    packs = {pack.model: pack for pack in made.packs()}
    assert packs[UNCALIBRATED].own == OwnCalibration(((0.9, 90.0), (1.0, 80.0)))
    assert packs["classic/1"].own is None
    assert made.meaning(UNCALIBRATED) == ""  # pictures were named by it


def test_a_stricter_calibration_takes_the_place_of_the_packs_own(tmp_path: Path) -> None:
    made, model = engines(tmp_path), "classic/1"
    published = builtin_packs()["classic"].calibration
    assert published
    points = tuple((distance - 0.02, similarity) for distance, similarity in published)
    path = made.calibrate(model, points, people=50, pairs=1225, now=5.0)
    own = OwnCalibration(points, 50, 1225, 5.0, stricter=True)
    assert {pack.model: pack.own for pack in made.packs()} == {
        **dict.fromkeys((pack.model for pack in builtin_packs().values()), None), model: own,
    }  # fmt: skip
    assert made.published(model) == published
    first = made.meaning(model)
    assert first
    nearer = tuple((distance - 0.03, similarity) for distance, similarity in published)
    made.calibrate(model, nearer, people=51, pairs=1275, now=6.0)
    assert engines(tmp_path).meaning(model) not in {"", first}
    path.unlink()
    assert engines(tmp_path).meaning(model) == ""
    assert not any(pack.own for pack in engines(tmp_path).packs())


def test_what_names_no_picture_puts_none_out_of_date(tmp_path: Path) -> None:
    """The same measured again, models that nothing is named with, a copy beside the file."""
    nearer = ((0.2, 80.0),)
    assert engines(tmp_path).meaning("classic/1") == ""
    engines(tmp_path).calibrate("sface-omz/1", nearer, people=50, pairs=1225)
    assert engines(tmp_path).meaning("classic/1") == ""
    path = engines(tmp_path).calibrate("classic/1", nearer, people=50, pairs=1225, now=5.0)
    first = engines(tmp_path).meaning("classic/1")
    assert first
    engines(tmp_path).calibrate("classic/1", nearer, people=51, pairs=1275, now=6.0)
    path.with_name("classic-1 copy.json").write_bytes(path.read_bytes())
    path.with_name("other.json").write_text("damaged", "utf-8")
    path.with_name("folder.json").mkdir()
    assert engines(tmp_path).meaning("classic/1") == first
    path.write_text('{"points": [[1.9, 99]], "stricter": true}', "utf-8")  # says nothing new
    assert engines(tmp_path).meaning("classic/1") == ""
    path.write_text("damaged", "utf-8")  # by which nothing can be named
    assert engines(tmp_path).meaning("classic/1") not in {"", first}


def test_the_models_of_a_new_collection_count_before_there_is_one(tmp_path: Path) -> None:
    """A rebuild may begin with the one and end with the other."""
    engines(tmp_path).calibrate("classic/1", ((0.2, 80.0),), people=50, pairs=1225)
    alone = engines(tmp_path, pack="classic").meaning(None)
    assert alone
    assert engines(tmp_path, pack="classic").meaning("opencv-zoo/2") == alone
    assert engines(tmp_path, pack="opencv-zoo").meaning("opencv-zoo/2") == ""
    assert engines(tmp_path).meaning(None) == alone  # the only ones that may be had, who knows
    for live in ("classic/1", "opencv-zoo/2", None):
        assert engines(tmp_path, pack=str(tmp_path / "none.toml")).meaning(live) == alone
    own = uncalibrated(tmp_path)
    own.calibrate(UNCALIBRATED, ((1.0, 80.0),), people=50, pairs=1225)
    assert own.meaning(UNCALIBRATED) not in {"", alone}


def test_a_process_goes_by_the_calibrations_that_its_pictures_are_marked_with(
    classic_pack_store: ModelStore, model_cache: Path, tmp_path: Path
) -> None:
    """Also where its engine is loaded long after somebody calibrated."""
    flags = {"data": tmp_path, "models": model_cache, "pack": "classic", "faces": "local"}
    loaded = settings.load(flags)
    with opened(loaded) as app:
        engines(tmp_path, model_cache).calibrate("classic/1", ((0.2, 80.0),), people=50, pairs=1225)
        assert app.label_policy.rules.calibration == ""
        assert app.engines("classic/1").similarity(0.338) == 80.0
    with opened(loaded) as app:
        assert app.label_policy.rules.calibration
        app.engines.calibrations.path("classic/1").unlink()
        assert app.engines("classic/1").similarity(0.2) == 80.0
        assert app.engines.measured("classic/1")


def test_pictures_are_marked_by_the_models_of_the_live_collection(tmp_path: Path) -> None:
    loaded = settings.load(
        {"data": tmp_path, "models": tmp_path, "pack": "opencv-zoo", "faces": "local"}
    )
    engines(tmp_path).calibrate("classic/1", ((0.2, 80.0),), people=50, pairs=1225)
    with opened(loaded) as app, closing(Database(loaded.store_url)) as database:
        assert app.label_policy.rules.calibration == ""
        StoreGalleries(database, SystemClock()).create("family", "classic/1", 128)
        app.ledger.begin("family")
    with opened(loaded) as app:
        assert app.label_policy.rules.calibration
        app.ledger.switch("elsewhere")
    with opened(loaded) as app:
        assert app.label_policy.rules.calibration == ""


def test_no_file_makes_a_pack_looser(tmp_path: Path) -> None:
    """Whatever it says of itself: 99 from opposite faces, or only some similarities nearer."""
    published = {level: far for far, level in builtin_packs()["classic"].calibration or ()}
    engines(tmp_path).calibrate("classic/1", ((1.9, 99.0),), people=50, pairs=1225)
    assert not any(pack.own for pack in engines(tmp_path).packs())
    engines(tmp_path).calibrate("classic/1", ((published[80] - 0.02, 80.0), (1.9, 50.0)))
    (own,) = [pack.own for pack in engines(tmp_path).packs() if pack.own]
    used = {level: far for far, level in own.points}
    assert used[80] == published[80] - 0.02
    assert all(used[level] <= far for level, far in published.items())


def test_an_engine_measures_as_the_user_did(
    classic_pack_store: ModelStore, model_cache: Path, tmp_path: Path
) -> None:
    made = engines(tmp_path, model_cache, "classic")
    made.calibrate("classic/1", ((0.2, 80.0),))
    assert made("classic/1").similarity(0.2) == 80.0
    (made.calibrations.path("classic/1")).unlink()
    assert engines(tmp_path, model_cache, "classic")("classic/1").similarity(0.338) == 80.0


def test_a_calibration_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """By whoever needs it; the rest goes on."""
    engines(tmp_path).calibrations.path("classic/1").mkdir(parents=True)
    loaded = settings.load({"data": tmp_path, "models": tmp_path, "faces": "local"})
    with opened(loaded) as app:
        with pytest.raises(
            ConfigurationError, match=r"calibration .*classic-1\.json cannot be read"
        ):
            app.engines.packs()
        assert app.engines.problems("classic")


def test_a_first_calibration_gives_way_to_the_packs_own(tmp_path: Path) -> None:
    made = uncalibrated(tmp_path)
    made.calibrate(UNCALIBRATED, ((1.0, 80.0),), people=50, pairs=1225)
    manifest = tmp_path / "own.toml"
    manifest.write_text("calibration = [[1.2, 80]]\n" + manifest.read_text("utf-8"), "utf-8")
    (own,) = [pack for pack in made.packs() if pack.model == UNCALIBRATED]
    assert (own.calibrated, own.own) == (True, None)


#: What a calibration holds beside its points.
BESIDE = '{"points": [[0.5, 80]], %s}'


@pytest.mark.parametrize(
    "damaged",
    [
        "", "{}", "[[1]]", "[[0.9, 80], [1.0, 90]]", "[null]", "\udcff", "[[NaN, 80]]", '"x"', "1",
        pytest.param("[" * 200_000, id="deep"),
        pytest.param('{"points":' * 100_000, id="deep tables"),
        pytest.param(f"[[1{'0' * 400}, 80]]", id="a number beyond all others"),
        pytest.param("[[0.5, 80]]" + " " * (1 << 20), id="large"),
        *(
            BESIDE % pair
            for pair in (
                '"people": 1e999', '"people": Infinity', '"people": -1', '"people": true',
                '"pairs": -1', '"pairs": 1.5', '"pairs": "3"', '"pairs": null',
                '"measured_at": 1e300', '"measured_at": NaN', '"measured_at": -1',
                '"measured_at": "today"', f'"measured_at": 1{"0" * 400}',
                '"stricter": "false"', '"stricter": 1', '"stricter": null',
            )
        ),
    ],
)  # fmt: skip
def test_a_damaged_calibration_is_said_with_its_file(tmp_path: Path, damaged: str) -> None:
    path = uncalibrated(tmp_path).calibrate(UNCALIBRATED, ((1.0, 80.0),))
    path.write_text(damaged, "utf-8", errors="surrogateescape")
    with pytest.raises(ConfigurationError, match=r"own-1\.json.*(delete it|larger than 1 MB)"):
        uncalibrated(tmp_path).packs()


def test_every_calibration_that_can_be_read_can_be_told(tmp_path: Path) -> None:
    """To people, whenever it says that it was made."""
    path = uncalibrated(tmp_path).calibrate(UNCALIBRATED, ((1.0, 80.0),))
    path.write_text(BESIDE % '"people": 3, "pairs": 3, "measured_at": 32503680000', "utf-8")
    (own,) = [pack.own for pack in uncalibrated(tmp_path).packs() if pack.own]
    says = "calibrated on your own portraits of 1 Jan 3000: 3 people, 3 pairs"
    assert report.calibrated(own) == says


def test_a_pack_of_the_users_own_is_read_once(
    classic_pack_store: ModelStore, tmp_path: Path
) -> None:
    paths = classic_pack_store.paths(builtin_packs()["classic"])
    (tmp_path / "own.onnx").write_bytes(paths.embedders[0].read_bytes())
    path = tmp_path / "own.toml"
    detector = f'kind = "centerface"\nscore = 0.7\nfile = "{paths.detector}"'
    path.write_text(manifest("own.onnx", "calibration = [[1.0, 80]]", detector=detector), "utf-8")
    made = engines(tmp_path, pack=str(path))
    engine = made(None)
    path.unlink()
    assert made("own/1") is engine


def test_a_collection_goes_on_with_the_pack_as_it_was(tmp_path: Path) -> None:
    """Its vectors are of two views of a face; the pack of that name now looks at one."""
    models = tmp_path / "models"
    old, new = former_packs()[0], builtin_packs()["opencv-zoo"]
    assert (old.model, old.embedders[0].views, new.embedders[0].views) == ("opencv-zoo/1", 2, 1)
    assert not engines(tmp_path, models).present("opencv-zoo/1")
    with pytest.raises(ConfigurationError, match="opencv-zoo/3"):
        engines(tmp_path, models)("opencv-zoo/3")
    assert "opencv-zoo/1" not in calibrated(engines(tmp_path, models))
    (models / "opencv-zoo-1").mkdir(parents=True)
    (models / "opencv-zoo-1" / "detector.onnx").write_bytes(b"spoilt")
    assert not calibrated(engines(tmp_path, models))["opencv-zoo/1"]
    (spoilt,) = engines(tmp_path, models).problems().items()
    assert spoilt[0] == "opencv-zoo/1"
    assert "yunet" in str(spoilt[1])
    both = engines(tmp_path, models).problems("opencv-zoo")
    assert list(both) == ["opencv-zoo/2", "opencv-zoo/1"]
    assert all(both.values())
    with pytest.raises(ConfigurationError, match="index --rebuild --pack opencv-zoo"):
        Engine(old, models, [models], limits=Limits()).similarity(1.0)


def test_a_pack_of_the_users_own_is_present_once_its_files_are(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN, "utf-8")
    assert not engines(tmp_path, tmp_path / "models", str(path)).present(None)


def test_from_a_folder_auto_takes_what_is_there(data: Path, tmp_path: Path) -> None:
    made = engines(tmp_path, tmp_path / "models")
    assert made.pull("auto", data / "models") == "mobilefacenet/1"


# ---- who knows faces

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "v3rySecretIndeed"}
REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}
COLLECTION = {"rekognitionCollection": "family"}
#: Everything that the original app had, with somebody's keys.
ALL = COLLECTION | KEYS | REGION
WHO = """
from facelabel import settings
from facelabel.bootstrap.app import opened
with opened(settings.load()) as app:
    print("Amazon" if app.amazon else "we")
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment without anybody's own settings, also in effect here."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "FACELABEL_")) or name in COLLECTION:
            monkeypatch.delenv(name)
    ours = {
        "FACELABEL_DATA": str(tmp_path / "data"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


def who_knows(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> str:
    with monkeypatch.context() as change:
        for name, value in environment.items():
            change.setenv(name, value)
        with opened(settings.load()) as app:
            return "Amazon" if app.amazon else "we"


@pytest.mark.parametrize(
    ("environment", "who"),
    [
        (ALL, "Amazon"),
        (COLLECTION | REGION, "we"),
        (KEYS | REGION, "we"),
        (ALL | {"FACELABEL_FACES": "local"}, "we"),
        (KEYS | REGION | {"FACELABEL_FACES": "rekognition"}, "Amazon"),
        (REGION | {"FACELABEL_FACES": "rekognition"}, "Amazon"),  # a role may turn up
        (COLLECTION | REGION | {"AWS_PROFILE": "nobody"}, "we"),
        (COLLECTION | REGION | {"AWS_ACCESS_KEY_ID": "half a key"}, "we"),
    ],
)
def test_who_knows_faces(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], who: str
) -> None:
    assert who_knows(monkeypatch, environment) == who


def test_keys_may_be_in_awss_own_file(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{name.lower()} = {value}" for name, value in KEYS.items()]
    path = Path(bare["AWS_SHARED_CREDENTIALS_FILE"])
    path.write_text("\n".join(["[work]", *lines]), "utf-8")
    assert who_knows(monkeypatch, COLLECTION | REGION) == "we"
    assert who_knows(monkeypatch, COLLECTION | REGION | {"AWS_PROFILE": "work"}) == "Amazon"


def test_a_data_folder_goes_on_with_what_it_began_with(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings.load()) as app, closing(Database(app.settings.store_url)) as database:
        StoreGalleries(database, SystemClock()).create("family", "classic/1", 128)
        app.ledger.begin("family")
    assert who_knows(monkeypatch, ALL) == "we"
    assert who_knows(monkeypatch, ALL | {"FACELABEL_FACES": "rekognition"}) == "Amazon"
    with opened(settings.load()) as app:
        app.ledger.switch("learnt-there")
    assert who_knows(monkeypatch, ALL) == "Amazon"


def test_the_region_is_asked_for(bare: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"region.*AWS_DEFAULT_REGION"):
        who_knows(monkeypatch, COLLECTION | KEYS)


def test_commands_that_only_look_ask_for_it_too(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = settings.load({"faces": "rekognition"})
    with pytest.raises(ConfigurationError, match=r"region.*AWS_DEFAULT_REGION"):
        records.opened(chosen).__enter__()
    file = tmp_path / "config"
    file.write_text("[default]\nregion = eu-central-1\n")
    with monkeypatch.context() as named:
        named.setenv("AWS_CONFIG_FILE", str(file))
        with records.opened(chosen) as found:
            assert found.ledger.collection() is None
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with records.opened(chosen) as found:
        assert found.ledger.collection() is None


def without_amazons_sdk(folder: Path) -> Path:
    """All that is installed here and Facelabel, but not Amazon's SDK."""
    folder.mkdir()
    (folder / "facelabel").symlink_to(Path(facelabel.__file__).parent)
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith(("boto3", "botocore", "facelabel")):
                (folder / entry.name).symlink_to(entry)
    return folder


def test_without_amazons_sdk(bare: dict[str, str], tmp_path: Path) -> None:
    ours = bare | ALL | {"PYTHONPATH": str(without_amazons_sdk(tmp_path / "site"))}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-S", "-c", WHO], env=ours | more, text=True,
                              capture_output=True, timeout=PATIENCE, check=False)  # fmt: skip

    auto, asked = run(), run(FACELABEL_FACES="rekognition")
    assert auto.stdout == "we\n", auto.stderr
    assert "pip install 'facelabel[rekognition]'" in asked.stderr


@pytest.mark.parametrize(
    ("more", "beside"), [({}, True), ({"cloudinary_url": "cloudinary://key:secret@cloud"}, False)]
)
def test_a_ledger_knows_whether_names_go_to_its_own_database(
    tmp_path: Path, more: Mapping[str, str], *, beside: bool
) -> None:
    """Where they go elsewhere, what announces them has to be on disk before."""
    flags = {"data": tmp_path, "models": tmp_path, "pack": "classic", **more}
    with opened(settings.load(flags)) as app:
        assert isinstance(app.stores.ledger, StoreLedger)
        assert app.stores.ledger.names_beside is beside
