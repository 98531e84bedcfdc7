"""Settings: the original's variables, precedence, and refusals that say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facelabel import settings
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

ORIGINAL = {
    "CLOUDINARY_URL": "cloudinary://key:hush@demo",
    "trainingFolder": "faces/training",
    "faceRecognitionFolder": "uploads",
    "rekognitionCollection": "cld-rekog-collection",
    "confidenceThreshold": "85",
    "faceLabelTagPrefix": "who",
    "transformationParams": "q_auto,w_900,h_900",
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from outside: an empty working folder and no variables of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in settings.Settings.model_fields:
        for variable in settings.variables(name):
            monkeypatch.delenv(variable, raising=False)


def test_defaults_are_the_originals() -> None:
    """The README of the original names these values."""
    found = settings.load()
    assert (found.training_folder, found.face_recognition_folder) == ("training", "assets")
    assert (found.rekognition_collection, found.confidence_threshold) == ("cld-rekog", 80.0)
    assert (found.face_label_tag_prefix, found.transformation_params) == ("faceLabel", "q_auto")


def test_the_originals_environment_works_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """All seven variables, by their exact names."""
    for variable, value in ORIGINAL.items():
        monkeypatch.setenv(variable, value)
    found = settings.load()
    assert found.training_folder == "faces/training"
    assert found.face_recognition_folder == "uploads"
    assert found.rekognition_collection == "cld-rekog-collection"
    assert found.confidence_threshold == 85.0
    assert found.face_label_tag_prefix == "who"
    assert found.transformation_params == "q_auto,w_900,h_900"
    assert found.cloudinary_url is not None
    assert found.cloudinary_url.get_secret_value() == "cloudinary://key:hush@demo"


@pytest.mark.parametrize("value", ["80", "80.0", " 80 ", "8e1"])
def test_the_threshold_may_be_written_in_any_way(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The original refused "80.0" and then tagged nothing."""
    monkeypatch.setenv("confidenceThreshold", value)
    assert settings.load().confidence_threshold == 80.0


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("confidenceThreshold", "80%", "number"),
        ("confidenceThreshold", "101", "100"),
        ("confidenceThreshold", "nan", "finite"),
        ("FACELABEL_MARGIN", "0.5", "greater than or equal to 1"),
        ("rekognitionCollection", "a b", "characters"),
        ("faceLabelTagPrefix", "face:Label", "without colon"),
        ("trainingFolder", "a//b", "folder path"),
        ("trainingFolder", "../etc", "folder path"),
        ("FACELABEL_MAX_FACES", "0", "greater than or equal to 1"),
        ("FACELABEL_LOG_LEVEL", "loud", "'debug'"),
        ("CLOUDINARY_URL", "**********", "cloudinary://key:secret@cloud"),
    ],
)
def test_a_wrong_value_names_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    """Refused at start, not found out later."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    text = str(caught.value)
    assert variable in text
    assert value in text
    assert allowed in text


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to fix them one by one."""
    monkeypatch.setenv("confidenceThreshold", "x")
    monkeypatch.setenv("FACELABEL_MAX_FACES", "y")
    with pytest.raises(ConfigurationError, match=r"confidenceThreshold=x.*FACELABEL_MAX_FACES=y"):
        settings.load()


def test_equal_folders_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder cannot teach and be searched; nested ones are fine."""
    monkeypatch.setenv("trainingFolder", "assets/")
    with pytest.raises(ConfigurationError, match="both 'assets'"):
        settings.load()
    monkeypatch.setenv("trainingFolder", "assets/people")
    assert settings.load().training_folder == "assets/people"


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Flag over environment over .env over TOML over default."""
    (tmp_path / "facelabel.toml").write_text(
        "margin = 2\nmax_faces = 2\nthreads = 2\ntrainingFolder = 't'"
    )
    (tmp_path / ".env").write_text("FACELABEL_MAX_FACES=3\nFACELABEL_THREADS=3\nOTHER=1\n")
    monkeypatch.setenv("FACELABEL_THREADS", "4")
    found = settings.load({"log_level": "debug", "data": None})
    assert (found.margin, found.max_faces, found.threads) == (2.0, 3, 4)
    assert (found.log_level, found.training_folder) == ("debug", "t")
    assert settings.load({"threads": "5"}).threads == 5


def test_the_toml_file_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FACELABEL_CONFIG points anywhere; a missing file is refused."""
    elsewhere = tmp_path / "elsewhere.toml"
    monkeypatch.setenv("FACELABEL_CONFIG", str(elsewhere))
    with pytest.raises(ConfigurationError, match=r"elsewhere\.toml cannot be read"):
        settings.load()
    elsewhere.write_text("max_faces = 7")
    assert settings.load().max_faces == 7


@pytest.mark.parametrize("text", ["tresholt = 3", "max_faces = ", "[max_faces]\nx=1"])
def test_a_bad_toml_file_is_refused(tmp_path: Path, text: str) -> None:
    """A misspelt key would otherwise silently do nothing."""
    (tmp_path / "facelabel.toml").write_text(text)
    with pytest.raises(ConfigurationError):
        settings.load()


def test_secrets_print_as_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor an error about them shows one."""
    monkeypatch.setenv("CLOUDINARY_URL", "cloudinary://key:hush@demo")
    monkeypatch.setenv("FACELABEL_STORE", "postgresql://me:hush@db/x")
    assert "hush" not in repr(settings.load())
    assert "hush" not in str(settings.load().model_dump())
    monkeypatch.setenv("confidenceThreshold", "x")
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    assert "hush" not in str(caught.value)


def test_settings_are_frozen() -> None:
    """Read once."""
    found = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        found.margin = 3.0
