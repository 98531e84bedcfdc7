"""Settings: the original's variables, precedence, and refusals that say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from facelabel import settings
from facelabel.errors import ConfigurationError
from facelabel.settings import effects, given

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
    for name in settings.SETTINGS:
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


def test_a_secret_wins_over_the_environment_and_a_flag_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("trainingFolder", "environment")
    monkeypatch.setenv("FACELABEL_MARGIN", "3")
    secret = {"TRAININGFOLDER": "secret", "FACELABEL_TRAINING_FOLDER": "later", "OTHER": "x"}
    assert settings.load(secret=secret).training_folder == "secret"
    assert settings.load(secret={"FACELABEL_TRAINING_FOLDER": "own"}).training_folder == "own"
    assert settings.load(secret={"trainingFolder": ""}).training_folder == "environment"
    assert settings.load(secret=secret).margin == 3
    assert settings.load({"training_folder": "flag"}, secret).training_folder == "flag"
    assert settings.unknown(secret) == ["OTHER"]
    assert settings.load().training_folder == "environment"


def test_a_secret_that_is_refused_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"^CLOUDINARY_URL=\*+ is refused") as refused:
        settings.load(secret={"CLOUDINARY_URL": "hush"})
    assert "hush" not in str(refused.value)
    with pytest.raises(ConfigurationError, match=r"^FACELABEL_MARGIN=\*+ is refused"):
        settings.load(secret={"FACELABEL_MARGIN": "wide"})


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


def test_precedence_by_either_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The source decides, however each of them calls the setting; in one the original's name."""
    (tmp_path / "facelabel.toml").write_text("trainingFolder = 'toml'\n")
    assert settings.load().training_folder == "toml"
    (tmp_path / ".env").write_text("FACELABEL_TRAINING_FOLDER=file\n")
    assert settings.load().training_folder == "file"
    (tmp_path / ".env").write_text("trainingFolder=file\n")
    monkeypatch.setenv("FACELABEL_TRAINING_FOLDER", "environment")
    assert settings.load().training_folder == "environment"
    monkeypatch.setenv("trainingFolder", "original")
    assert settings.load().training_folder == "original"
    assert settings.load({"training_folder": "flag"}).training_folder == "flag"


def test_the_toml_file_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FACELABEL_CONFIG points anywhere; a missing file is refused."""
    elsewhere = tmp_path / "elsewhere.toml"
    monkeypatch.setenv("FACELABEL_CONFIG", str(elsewhere))
    with pytest.raises(ConfigurationError, match=r"elsewhere\.toml cannot be read"):
        settings.load()
    elsewhere.write_text("max_faces = 7")
    assert settings.load().max_faces == 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tresholt = 3", "tresholt$"),
        ("max_faces = ", "cannot be read"),
        ("[max_faces]\nx=1", r"max_faces \(in facelabel\.toml\)"),
        ("FACELABEL_PORT = 1", r"FACELABEL_PORT \(there it is port\)$"),
        ("cloudinary_URL = 'x'", "cloudinary_URL"),
    ],
)
def test_a_bad_toml_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A key that is none would otherwise silently do nothing."""
    (tmp_path / "facelabel.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        settings.load()


def test_a_toml_file_of_windows(tmp_path: Path) -> None:
    """Notepad writes a mark before the text."""
    (tmp_path / "facelabel.toml").write_text("max_faces = 7\n", "utf-8-sig")
    assert settings.load().max_faces == 7


def test_a_wrong_value_names_the_file_it_is_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real one; a secret is not shown from there either."""
    (tmp_path / "own.toml").write_text("confidenceThreshold = 101\nthreads = 'x'\n")
    monkeypatch.setenv("FACELABEL_CONFIG", str(tmp_path / "own.toml"))
    (tmp_path / ".env").write_text("FACELABEL_MAX_FACES=y\nFACELABEL_NOTIFICATION_KEYS=k:hush,x\n")
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    said = str(caught.value)
    assert f"confidenceThreshold (in {tmp_path}/own.toml)=101 is refused" in said
    assert f"threads (in {tmp_path}/own.toml)=x is refused" in said
    assert "FACELABEL_MAX_FACES (in .env)=y is refused" in said
    assert "hush" not in said


def test_secrets_print_as_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor an error about them shows one."""
    monkeypatch.setenv("CLOUDINARY_URL", "cloudinary://key:hush@demo")
    monkeypatch.setenv("FACELABEL_STORE", "postgresql://me:hush@db/x")
    assert "hush" not in repr(settings.load())
    assert "hush" not in str(settings.load().model_dump())
    assert "hush" not in repr(given.settings({}))
    monkeypatch.setenv("confidenceThreshold", "x")
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    assert "hush" not in str(caught.value)


def test_settings_are_frozen() -> None:
    """Read once."""
    found = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        found.margin = 3.0


# ---- where the pictures are


@pytest.mark.parametrize(
    ("url", "library", "on_cloudinary"),
    [
        (None, "auto", False),
        (None, "local", False),
        ("cloudinary://k:s@demo", "auto", True),
        ("cloudinary://k:s@demo", "local", False),
        ("cloudinary://k:s@demo?upload_prefix=https://api-eu.cloudinary.com", "auto", True),
        ("cloudinary://k:s@local?upload_prefix=http://127.0.0.1:8765&cname=x", "auto", False),
        ("cloudinary://k:s@local?upload_prefix=http://localhost:8765", "auto", False),
        ("cloudinary://k:s@local?upload_prefix=http://[::1]:8765", "auto", False),
        ("cloudinary://k:s@local?upload_prefix=http://127.0.0.1:8765", "cloudinary", True),
    ],
)
def test_a_real_account_is_the_library_and_our_own_server_is_not(
    url: str | None, library: str, *, on_cloudinary: bool
) -> None:
    assert settings.load({"cloudinary_url": url, "library": library}).on_cloudinary is on_cloudinary


def test_cloudinary_needs_an_account() -> None:
    with pytest.raises(ConfigurationError, match="CLOUDINARY_URL is not set"):
        settings.load({"library": "cloudinary"})


@pytest.mark.parametrize(
    ("names_to", "people_field", "label_field"),
    [("tags", "", ""), ("tags", "who", "who"), ("tags, metadata", "", "people"),
     ("metadata,context", "who", "who"), ("context", "", "")],
)  # fmt: skip
def test_the_field_of_people(names_to: str, people_field: str, label_field: str) -> None:
    found = settings.load({"names_to": names_to, "people_field": people_field})
    assert found.label_field == label_field


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("names_to", ""), ("names_to", "tags,albums"), ("names_prefix", "a,b"),
        ("names_prefix", "faceId:"), ("people_field", "a b"), ("cloud_name", "Local"),
        ("cloud_name", "a/b"), ("notification_keys", "key"), ("notification_keys", "k:s,x"),
        ("poll_channel", "a/b"), ("public_url", "faces.example.com"),
        ("public_url", "https://faces.example.com/path"), ("port", "70000"), ("host", ""),
        ("signature_algorithm", "md5"), ("reconcile_hours", "-1"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_start(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load({name: value})
    assert settings.flag(name) in str(caught.value) or name in str(caught.value)


def test_a_secret_of_the_notifications_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load({"notification_keys": "key:hush,oops"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("FACELABEL_CONFIDENCE_TRESHOLD",
         "is no setting and is not read; did you mean 'FACELABEL_CONFIDENCE_THRESHOLD'?"),
        ("facelabel_stranger_chances",
         "is no setting and is not read; did you mean 'FACELABEL_STRANGER_CHANCE'?"),
        ("FACELABEL_FOO", "is no setting and is not read; `--help-settings` lists them"),
        ("confidenceThreshhold", "is not read; did you mean 'confidenceThreshold'?"),
        ("TRAINING_FOLDER", "is not read; did you mean 'trainingFolder'?"),
        ("recognitionCollection", "is not read; did you mean 'rekognitionCollection'?"),
        ("CLOUDINARYURL", "is not read; did you mean 'CLOUDINARY_URL'?"),
        ("CLOUDINARY_CLOUD_NAME", "is not read; did you mean 'CLOUDINARY_URL'?"),
    ],
)  # fmt: skip
def test_a_variable_that_looks_like_a_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, says: str
) -> None:
    """By the environment and by .env; its value is nobody's business."""
    monkeypatch.delenv("FACELABEL_TEST_DATA", raising=False)
    monkeypatch.setenv(variable, "hush")
    assert settings.unread(settings.load()) == [f"{variable} {says}"]
    monkeypatch.delenv(variable)
    Path(".env").write_text(f"{variable}=hush\n")
    assert settings.unread(settings.load()) == [f"{variable} (in .env) {says}"]


@pytest.mark.parametrize(
    "variable",
    ["REKOGNITIONCOLLECTION", "FACELABEL_CONFIG", "FACELABEL_ALLOW_DIRECT_EVENTS",
     "CLOUDINARY_API_KEY", "CLOUDINARY_URL_STAGING", "TRAIN", "FACE", "confidence",
     "TRANSFORMERS_CACHE", "_FACELABEL_X"],
)  # fmt: skip
def test_other_variables_are_nobodys_business(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Capitals do not count, and most programs have variables."""
    monkeypatch.setenv(variable, "")
    assert settings.unread(settings.load()) == []
    if variable != "FACELABEL_CONFIG":
        monkeypatch.setenv(variable, "x")
        assert settings.unread(settings.load()) == []


def test_what_nearly_is_a_name_is_left_alone_where_the_setting_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be somebody else's, or meant to be out of use."""
    monkeypatch.setenv("trainingFolders", "old")
    monkeypatch.setenv("FACELABEL_TRAINING_FOLDER", "new")
    assert settings.unread(settings.load()) == []


def test_a_key_that_nearly_is_one_is_refused_with_the_right_one() -> None:
    """In facelabel.toml."""
    Path("facelabel.toml").write_text("confidence_treshold = 90\nfoo = 1\n")
    with pytest.raises(
        ConfigurationError, match=r"confidence_treshold \(is it confidence_threshold\?\), foo$"
    ):
        settings.load()


ACCOUNT = {"CLOUDINARY_URL": "cloudinary://key:hush@demo"}
TABLE = {
    **ACCOUNT,
    "FACELABEL_STORE": "dynamodb://table",
    "FACELABEL_QUEUE": "https://sqs/q",
    "FACELABEL_DEAD_LETTERS": "https://sqs/d",
    "FACELABEL_FACES": "rekognition",
}


@pytest.mark.parametrize(
    ("given_ones", "with_amazon", "vain"),
    [
        ({}, False, {}),
        ({"rekognitionCollection": "friends", "FACELABEL_PORT": "9000"}, False, {}),
        ({"FACELABEL_REKOGNITION_USERS": "true", "transformationParams": "q_auto"}, False,
         {"transformationParams": "the pictures are in a library of our own",
          "rekognition_users": "faces are learnt on this computer"}),
        ({**ACCOUNT, "FACELABEL_REKOGNITION_USERS": "true", "FACELABEL_STRANGER_CHANCE": "1",
          "FACELABEL_CLOUD_NAME": "mine"}, True,
         {"stranger_chance": "Amazon's similarities are not calibrated",
          "cloud_name": "the pictures are on Cloudinary"}),
        ({**ACCOUNT, "FACELABEL_LIBRARY": "local"}, False,
         {"CLOUDINARY_URL": "the setting library is local"}),
        ({"CLOUDINARY_URL": "cloudinary://key:hush@local?upload_prefix=http://127.0.0.1:8765"},
         False, {"CLOUDINARY_URL":
                 "it is the address of a server on this computer, whose library this is"}),
        ({"FACELABEL_NAMES_TO": "metadata", "FACELABEL_NAMES_PREFIX": "p:",
          "FACELABEL_PEOPLE_CONTEXT": "who", "FACELABEL_PEOPLE_FIELD": "who"}, False,
         {"names_prefix": "names do not go to tags (names_to)",
          "people_context": "names do not go to context (names_to)"}),
        ({"FACELABEL_COLLECTION_PARAMETER": "/x", "FACELABEL_PACK": "classic"}, False,
         {"collection_parameter": "the store is not DynamoDB"}),
        ({**TABLE, "FACELABEL_COLLECTION_PARAMETER": "/x", "FACELABEL_PACK": "classic",
          "FACELABEL_S3_FOLDER": "x"}, True,
         {"s3_folder": "no faces are kept in DynamoDB", "pack": "Rekognition finds the faces"}),
    ],
)  # fmt: skip
def test_what_is_set_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    given_ones: dict[str, str],
    *,
    with_amazon: bool,
    vain: dict[str, str],
) -> None:
    """With the reason, by the name under which it is known; values are not shown."""
    for variable, value in given_ones.items():
        monkeypatch.setenv(variable, value)
    found = effects.without_effect(
        settings.load(), with_amazon=with_amazon, with_models=not with_amazon
    )
    assert dict(found) == vain
