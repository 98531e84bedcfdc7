"""What a command advises is done, in a folder where it has something to do."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tests import advice

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program

#: Not run here: what goes on until it is stopped, asks others' servers, or needs an account
#: (test_connect.py follows what `connect` and `doctor` say), hundreds of labelled people, or a
#: store that was broken first (test_installation.py, test_cli.py).
ELSEWHERE = re.compile(
    r"facelabel( serve| worker| connect.*| models pull.*| eval gallery.*| keys --data D add|"
    r" reconcile --force| jobs| demo.*| completion.*)?"
)


def test_what_is_advised_can_be_done(facelabel: Program, samples: Path, tmp_path: Path) -> None:
    portraits = tmp_path / "portraits"
    for name, person in (("obama.jpg", "Barack Obama"), ("biden.jpg", "Joe Biden")):
        (portraits / person).mkdir(parents=True)
        shutil.copy(samples / name, portraits / person / name)
    shutil.copy(samples / "obama2.jpg", facelabel.folder / "party.jpg")
    facelabel("index", portraits)
    facelabel("upload", "party.jpg", "--now")
    places = {"FOLDER": str(portraits), "ID": "assets/party"}
    lines = sorted(line for line in advice.commands() if not ELSEWHERE.fullmatch(line))
    assert len(lines) > 20
    for line in lines:
        words = line.split()[1:]
        facelabel(*(places.get(word, advice.PLACES.get(word, word)) for word in words))
