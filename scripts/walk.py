"""A newcomer's first hour, followed from an empty home: ``make walk``.

    python scripts/walk.py [--portraits DIR] [--photos DIR] [--program FACELABEL] [--only N4 N5]

Prints a transcript with a heading for each thing that somebody once stumbled over, N1 to N28, so
that what is seen now can be held against what was seen then. Nothing is said about wording; a
command that ends with another status than a newcomer may expect makes the walk end with 1.

It takes the sample photos, or with --portraits (one folder per person) and --photos more. The
program is that of this interpreter, or the one that is named. Models come from the user's cache, or
are fetched into it. Nothing is left behind but those.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from newcomer import Walk, free_port, furnish, named, people, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
#: Columns of a terminal that are tried.
WIDTHS = (60, 80, 200)
COMMANDS = (
    "adopt", "completion", "connect", "demo", "doctor", "eval gallery", "eval pairs", "forget",
    "identify", "index", "jobs", "jobs drop", "jobs list", "jobs retry", "keys", "keys add",
    "keys list", "keys remove", "library", "models", "models list", "models pull", "models verify",
    "move", "people", "reconcile", "rename", "rm", "serve", "show", "tag", "tag-add", "tag-remove",
    "upload", "worker",
)  # fmt: skip
STEPS: list[tuple[str, str, Callable[[Walk], None]]] = []


def step(number: str) -> Callable[[Callable[[Walk], None]], Callable[[Walk], None]]:
    """A part of the walk, in their order."""

    def known(part: Callable[[Walk], None]) -> Callable[[Walk], None]:
        STEPS.append((number, (part.__doc__ or "").rstrip("."), part))
        return part

    return known


@step("N0")
def way_in(walk: Walk) -> None:
    """The way in."""
    walk("facelabel --help")
    walk("facelabel indx", 2)
    walk("facelabel demo")
    walk("ls demo-output")
    walk("facelabel index portraits")
    walk("facelabel identify photos --draw named")
    walk("facelabel upload photos --folder assets")
    walk("facelabel worker --once")
    walk("facelabel people")
    walk("facelabel library")


@step("N1")
def threshold(walk: Walk) -> None:
    """A threshold as a flag, and the next plain command."""
    walk("facelabel library")
    walk("facelabel tag --confidence-threshold 99.95", 0, 1, 2)
    walk("facelabel tag --confidence-threshold 99.95 --dry-run")
    walk("facelabel tag --confidence-threshold 99.95 --yes", 0, 2)
    walk("facelabel library")
    walk("facelabel tag", 0, 1, 2)
    walk("facelabel tag --yes", 0, 2)
    walk("facelabel library")
    walk("facelabel tag")


@step("N2")
def strangers(walk: Walk) -> None:
    """How many strangers get a name."""
    walk("facelabel doctor", 0, 1)
    walk("facelabel people | tail -n 5")


@step("N3")
def webhooks(walk: Walk) -> None:
    """Failed webhooks are no refused pictures."""
    with walk.serving(int(walk.environment["ACCOUNT_PORT"]), FACELABEL_DATA="account"):
        there = {"CLOUDINARY_URL": walk.account(), "FACELABEL_LIBRARY": "cloudinary",
                 "FACELABEL_DATA": "connected"}  # fmt: skip
        walk("facelabel connect --public-url https://faces.example.com", **there)
        walk("facelabel index portraits", **there)
        walk("facelabel people", FACELABEL_DATA="account")
        walk("facelabel jobs list --all", FACELABEL_DATA="account")


@step("N4")
def removed(walk: Walk) -> None:
    """A name that is removed."""
    picture, person = named(walk)
    walk(f"facelabel tag-remove {picture} '{person}'")
    walk(f"facelabel show {picture}")
    walk("facelabel worker --once")
    walk(f"facelabel show {picture}")
    walk(f"facelabel tag-add {picture} '{person}'")


@step("N5")
def typing_errors(walk: Walk) -> None:
    """Names with a typing error."""
    picture, person = named(walk)
    walk(f"facelabel tag-remove {picture} '{person.lower()}'", 0, 1)
    walk(f"facelabel library --person '{person.lower()}'", 0, 1)
    walk(f"facelabel library --person '{person[:-1]}'", 0, 1)
    walk("facelabel library asets", 0, 1)


@step("N6")
def sdk(walk: Walk) -> None:
    """serve, and the SDK as docs/howto/serve.md shows it."""
    port = free_port()
    with walk.serving(port, FACELABEL_DATA="served"):
        if not find_spec("cloudinary"):
            print("(Cloudinary's SDK is not installed)")
            return
        walk.environment["FACELABEL_PORT"] = str(port)
        walk.python(_SDK)
        walk(f"curl --silent http://127.0.0.1:{port}/ | grep -o -e '<h[12]>.*' -e '<li>.*'")
        walk(f"curl --silent --include -H 'Accept: application/json' http://127.0.0.1:{port}/")
        del walk.environment["FACELABEL_PORT"]


_SDK = """import json, os, time
key = json.load(open("served/keys.json"))[0]
where = "127.0.0.1:" + os.environ["FACELABEL_PORT"]
os.environ["CLOUDINARY_URL"] = (
    f"cloudinary://{key['key']}:{key['secret']}@local?upload_prefix=http://{where}&cname={where}"
)
import cloudinary.uploader as uploader, cloudinary.api as api

uploader.upload("portrait.jpg", asset_folder="training", tags=["faceLabel:John Doe"])
uploader.upload("two.jpg", asset_folder="assets", public_id="party")
while not (tags := api.resource("party").get("tags")):
    time.sleep(0.2)
print(tags)
"""


@step("N7")
def original_calls(walk: Walk) -> None:
    """index_faces of a folder that is not the library's."""
    (walk.home / "training").mkdir()
    shutil.copy(walk.home / "portrait.jpg", walk.home / "training" / "John.jpg")
    walk.python(
        'import facelabel\n\nprint(facelabel.index_faces("training/"))\n', 0, 1,
        FACELABEL_DATA="original",
    )  # fmt: skip
    walk.python(
        "import facelabel\n\nwith facelabel.open() as faces:\n"
        '    print([outcome.kind for outcome in faces.index("portraits/")])\n'
        '    print([face.name for face in faces.identify("two.jpg")])\n',
        FACELABEL_DATA="original",
    )


@step("N8")
def no_credentials(walk: Walk) -> None:
    """A setting of Rekognition without credentials."""
    walk("facelabel doctor", 0, 1, FACELABEL_DATA="amazon", rekognitionCollection="cld-rekog")
    walk("facelabel index portraits", 0, 1, 2, FACELABEL_DATA="amazon",
         rekognitionCollection="cld-rekog")  # fmt: skip
    walk("facelabel doctor", 1, FACELABEL_DATA="amazon2", FACELABEL_FACES="rekognition")


@step("N9")
def labels(walk: Walk) -> None:
    """Labels that are typed in another way."""
    for label in ("facelabel:Dad", "faceLabel=Dad", "face label: Dad"):
        (walk.home / "labels.csv").write_text(f"portrait.jpg,{label}\n", "utf-8")
        walk("facelabel index labels.csv --dry-run", 0, 1, FACELABEL_DATA="labels")
    walk("facelabel index labels.csv", 0, 1, FACELABEL_DATA="labels")
    walk("facelabel upload portrait.jpg --label John", FACELABEL_DATA="labels")
    walk("facelabel tag-add training/portrait facelabel:Juergen", 0, 1, FACELABEL_DATA="labels")
    walk("facelabel worker --once", 0, 1, FACELABEL_DATA="labels")


@step("N10")
def outcomes(walk: Walk) -> None:
    """What work came to."""
    walk("facelabel upload two.jpg --now", FACELABEL_DATA="outcomes")
    walk("facelabel index portraits", FACELABEL_DATA="outcomes")
    walk("facelabel upload photos", FACELABEL_DATA="outcomes")
    walk("facelabel worker --once", FACELABEL_DATA="outcomes")
    walk("facelabel tag --again", FACELABEL_DATA="outcomes")


@step("N11")
def refused(walk: Walk) -> None:
    """Portraits that are refused."""
    for person, name in (("Blurred", "blurred"), ("Two", "two"), ("Nobody", "nobody")):
        (walk.home / "poor" / person).mkdir(parents=True)
        shutil.copy(walk.home / f"{name}.jpg", walk.home / "poor" / person)
    walk("facelabel index poor", 1, FACELABEL_DATA="refused")
    walk("facelabel index poor", 1, columns=80, FACELABEL_DATA="refused")
    walk("facelabel people", FACELABEL_DATA="refused")
    walk("facelabel index portraits", FACELABEL_DATA="refused")
    walk("facelabel index --rebuild", 0, 1, FACELABEL_DATA="refused")


@step("N12")
def advice(walk: Walk) -> None:
    """The advice of doctor, followed."""
    walk("facelabel index portraits --pack classic", FACELABEL_DATA="advised")
    printed = walk("facelabel doctor", 0, 1, FACELABEL_DATA="advised")
    for command in re.findall(r"`(facelabel index --rebuild[^`]*)`", printed):
        walk(command, 0, 1, FACELABEL_DATA="advised")


@step("N13")
def helps(walk: Walk) -> None:
    """Help that fits a screen."""
    for command in COMMANDS:
        walk(f"facelabel {command} --help | wc -l", COLUMNS="80")
    walk("facelabel index -h", columns=80)
    walk("facelabel index --help-settings | head -n 20", 0, 2, 141)


@step("N14")
def nobody(walk: Walk) -> None:
    """First use without portraits."""
    for command in ("identify two.jpg", "index", "tag", "people", "library", "worker --once"):
        walk(f"facelabel {command}", 0, 1, FACELABEL_DATA="nobody")


@step("N15")
def wrong_folders(walk: Walk) -> None:
    """Uploads to folders that are not looked at."""
    walk("facelabel upload two.jpg --folder Assets", 0, 1, FACELABEL_DATA="folders")
    walk("facelabel upload two.jpg --folder photos --now", 0, 1, FACELABEL_DATA="folders")
    walk("facelabel upload portraits --folder training", 0, 1, FACELABEL_DATA="folders")
    walk("facelabel worker --once", 0, 1, FACELABEL_DATA="folders")
    walk("facelabel tag photos", 0, 1, FACELABEL_DATA="folders")
    walk("facelabel upload portrait.jpg --label J --folder trainng", 0, 1, FACELABEL_DATA="folders")


@step("N16")
def connecting(walk: Walk) -> None:
    """Connect twice, and back."""
    walk("facelabel connect --dry-run", 0, 1)
    with walk.serving(int(walk.environment["ACCOUNT_PORT"]), FACELABEL_DATA="account"):
        there = {"CLOUDINARY_URL": walk.account(), "FACELABEL_LIBRARY": "cloudinary",
                 "FACELABEL_DATA": "connected"}  # fmt: skip
        walk("facelabel connect --dry-run", 0, 1, **there)
        walk("facelabel connect --public-url https://faces.example.com", **there)
        walk("facelabel connect --poll", **there, FACELABEL_POLL_CHANNEL="faces")
        walk("facelabel doctor", 0, 1, **there, FACELABEL_POLL_CHANNEL="faces")
        walk("facelabel connect --public-url https://faces.example.com", **there)
        walk("facelabel connect --remove", 0, 2, **there)
        walk("facelabel doctor", 0, 1, **there)


@step("N17")
def widths(walk: Walk) -> None:
    """Tables by width."""
    for columns in WIDTHS:
        for command in ("library", "people", "identify two.jpg", f"show {named(walk)[0]}"):
            walk(f"facelabel {command}", columns=columns, NO_COLOR="1")
    walk("facelabel library | cat")
    walk("facelabel identify two.jpg --verbose", 0, 2, columns=80, NO_COLOR="1")


@step("N18")
def ids(walk: Walk) -> None:
    """Ids that are nearly right."""
    picture, _ = named(walk)
    walk("facelabel library training")
    walk("facelabel show training/jon", 1)
    walk(f"facelabel show {picture[:-1]}", 1)
    walk(f"facelabel show {Path(picture).name}", 0, 1)


@step("N19")
def forgetting(walk: Walk) -> None:
    """Forget NAME, people NAME."""
    walk("facelabel index portraits", FACELABEL_DATA="forgotten")
    person = people(walk)[0]
    walk(f"facelabel people '{person}'", FACELABEL_DATA="forgotten")
    walk(f"facelabel people '{person.lower()}'", 0, 1, FACELABEL_DATA="forgotten")
    walk(f"facelabel forget '{person}' --dry-run", FACELABEL_DATA="forgotten")
    walk(f"facelabel forget '{person}'", 1, FACELABEL_DATA="forgotten")
    walk(f"facelabel forget '{person}' --yes", FACELABEL_DATA="forgotten")
    walk("facelabel people", FACELABEL_DATA="forgotten")


@step("N20")
def uninstalling(walk: Walk) -> None:
    """Where everything is, and how it goes."""
    print(_excerpt("## Install"))
    walk("facelabel doctor | grep -i -e 'data folder' -e models -e /")
    walk("find ~/.local ~/.cache -maxdepth 3", 0, 1)


@step("N21")
def first_commands(walk: Walk) -> None:
    """The first commands of the README."""
    walk(f"grep -n -e '^## ' -e 'make test' {ROOT / 'README.md'}")


@step("N22")
def figures(walk: Walk) -> None:
    """The README's figures."""
    print(_excerpt("## First names"))
    print(_excerpt("## How good"))
    walk("facelabel demo --output again")


@step("N23")
def start(walk: Walk) -> None:
    """Start."""
    picture, _ = named(walk)
    for command in ("--version", "people", f"show {picture}", f"tag-add {picture} summer"):
        walk(f"facelabel {command}")


@step("N24")
def programs(walk: Walk) -> None:
    """--json and --quiet."""
    (walk.home / "parse.py").write_text(_PARSE, "utf-8")
    parse = "python parse.py"
    for command in (
        "people", "library", "doctor", "keys list", "keys", "jobs list", "models list",
        "identify two.jpg", "index portraits", "tag", "worker --once", "models verify",
        "upload two.jpg", f"show {named(walk)[0]}",
    ):  # fmt: skip
        walk(f"facelabel {command} --json | {parse}", 0, 1)
    for command in ("people", "library", "identify two.jpg", "upload two.jpg", "tag"):
        walk(f"facelabel {command} --quiet")


_PARSE = """import json, sys

text = sys.stdin.read()
lines = [text] if text.startswith("{\\n") else text.splitlines()
print(f"{len(lines)} of JSON, the last with", *json.loads(lines[-1]))
"""


@step("N25")
def keys(walk: Walk) -> None:
    """keys, pasted into a shell."""
    walk("facelabel keys")
    walk('eval "$(facelabel keys | sed "s/^/export /")"; echo "$CLOUDINARY_URL"')
    walk('export $(facelabel keys | grep ^AWS); echo "$AWS_ENDPOINT_URL_REKOGNITION"')
    walk('facelabel keys > .env; set -a; source .env; set +a; echo "$CLOUDINARY_URL"; rm .env')


@step("N26")
def small_things(walk: Walk) -> None:
    """Small things."""
    walk("facelabel upload portrait.jpg --label 'John Doe' --now", FACELABEL_DATA="small")
    walk("facelabel people", FACELABEL_DATA="small")
    walk("facelabel library", FACELABEL_DATA="small")
    walk("facelabel upload photos", FACELABEL_DATA="small")
    walk("facelabel upload photos", FACELABEL_DATA="small")
    walk("facelabel jobs list", FACELABEL_DATA="small")
    walk("facelabel tag --dry-run", FACELABEL_DATA="small")
    (walk.home / "labels.csv").write_text("file;name\nportrait.jpg;John Doe\n", "utf-8")
    walk("facelabel index labels.csv --dry-run", 0, 1, FACELABEL_DATA="small")
    (walk.home / "labels.csv").write_text("file,name\nportrait.jpg,John Doe\n", "utf-8")
    walk("facelabel index labels.csv --dry-run", 0, 1, FACELABEL_DATA="small")
    walk("facelabel rm training/portrait", 1, FACELABEL_DATA="small")
    walk("facelabel rm training/portrait --yes", FACELABEL_DATA="small")


@step("N27")
def words(walk: Walk) -> None:
    """Words."""
    walk(
        "for each in "
        + " ".join(map(shlex.quote, COMMANDS))
        + "; do facelabel $each --help; done > helps"
    )
    for word in ("picture", "photo", "image", "portrait", "learn", "enrol", "search", "identif"):
        walk(f"grep -io {word} helps | wc -l", 0, 1)


@step("N28")
def order(walk: Walk) -> None:
    """The order of the README."""
    walk(f"grep -n -e '^#' -e '^\\*\\*' {ROOT / 'README.md'}")


def _excerpt(heading: str) -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    _, found, rest = text.partition(heading)
    return f"\n{found}{rest.partition(chr(10) + '## ')[0]}"


def main() -> int:
    """Walk; 1 where something ended as nobody would expect."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--program", type=Path, help="facelabel of another environment")
    parser.add_argument("--only", nargs="*", help="steps, such as N4; N0 is always done")
    given = parser.parse_args()
    models = platformdirs.user_cache_path("facelabel") / "models"
    with tempfile.TemporaryDirectory(prefix="facelabel-walk-") as folder:
        home = Path(folder, "home")
        home.mkdir()
        furnish(home, models, given.portraits, given.photos)
        walk = Walk(home, surroundings(home, models, given.program))
        for number, title, part in STEPS:
            if not given.only or number in ("N0", *given.only):
                print(f"\n\n## {number}. {title}")
                part(walk)
    print("\n\n## Not expected\n")
    print("\n".join(walk.unexpected) or "nothing")
    return 1 if walk.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
