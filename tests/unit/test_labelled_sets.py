"""Lists of pairs and folders of labelled pictures, as users have them."""

from __future__ import annotations

import json
import os
import sys
from itertools import product
from typing import TYPE_CHECKING

import pytest

from facelabel.errors import NotFound, Rejected
from facelabel.evaluation import labelled, verification

if TYPE_CHECKING:
    from pathlib import Path


def files(root: Path, *names: str) -> None:
    """Make files that begin as pictures do: reading a set looks no further."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff")


class TestPairsList:
    """Lists of pairs, good and bad."""

    NAMES = tuple(
        f"{name}/{name}_{number:04d}.jpg" for name in ("Al_Bo", "Cy") for number in (1, 2, 3)
    )

    def listed(self, root: Path, text: str) -> tuple[verification.Pair, ...]:
        files(root, *self.NAMES)
        (root / "pairs.txt").write_text(text, "utf-8")
        return verification.read_pairs(root / "pairs.txt", root)

    def test_lfw_with_its_header(self, tmp_path: Path) -> None:
        fold = "Al_Bo\t1\t2\nCy\t1\t3\nAl_Bo\t1\tCy\t2\nCy\t3\tAl_Bo\t3\n"
        pairs = self.listed(tmp_path, "2\t2\n" + fold + fold)
        assert [(pair.same, pair.fold) for pair in pairs] == [
            (same, at) for at in (0, 1) for same in (True, True, False, False)
        ]
        assert pairs[0].left == tmp_path / "Al_Bo/Al_Bo_0001.jpg"
        assert pairs[0].right == tmp_path / "Al_Bo/Al_Bo_0002.jpg"
        assert pairs[2].right == tmp_path / "Cy/Cy_0002.jpg"

    def test_plain_list_is_dealt_to_folds(self, tmp_path: Path) -> None:
        pairs = self.listed(tmp_path, "Cy 1 2\nCy 1 3\n\nCy 1 Al_Bo 1\nCy 2 Al_Bo 1\n")
        assert [(pair.same, pair.fold) for pair in pairs] == [
            (True, 0), (True, 1), (False, 0), (False, 1),
        ]  # fmt: skip

    def test_names_with_blanks_where_tabs_separate(self, tmp_path: Path) -> None:
        files(tmp_path, "A B/A B_0001.jpg", "A B/A B_0002.png")
        pairs = self.listed(tmp_path, "A B\t1\t2\nCy\t1\t2\nA B\t1\tCy\t1\nA B\t2\tCy\t1\n")
        assert pairs[0].right.name == "A B_0002.png"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("Cy 1 2\nCy 1\n", "line 2: expected 3 or 4 fields"),
            ("Cy 1 x\n", "line 1: 'x' is not the number"),
            ("Cy 1 ²\n", "line 1: '²' is not the number"),
            ("Cy 1 99999999999\n", "is not the number"),
            ("../etc 1 2\n", "is not the name of a folder"),
            ("..\t1\t2\n", "is not the name of a folder"),
            ("Cy 1 2\nCy 1 3\n", "at least 2 of each"),
            ("", "at least 2 of each"),
            ("10\t300\nCy\t1\t2\nCy\t1\t3\nCy\t1\tAl_Bo\t1\nCy\t2\tAl_Bo\t1\n", "says 3000 pairs"),
        ],
    )
    def test_what_is_no_list_is_refused_with_the_line(
        self, tmp_path: Path, text: str, says: str
    ) -> None:
        with pytest.raises(Rejected, match=says):
            self.listed(tmp_path, text)

    def test_absent_pictures_are_counted(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"2 pictures are not under .*: No such file"):
            self.listed(tmp_path, "Cy 1 8\nCy 1 9\nCy 1 Al_Bo 1\nCy 2 Al_Bo 1\n")

    def test_pictures_that_may_not_be_looked_at(self, as_nobody: Path) -> None:
        self.listed(as_nobody, "Al_Bo 1 2\nAl_Bo 1 3\nAl_Bo 1 Cy 1\nCy 2 Al_Bo 3\n")
        (as_nobody / "Cy").chmod(0)
        try:
            with pytest.raises(NotFound, match=r"2 pictures are not under .*may not be read"):
                verification.read_pairs(as_nobody / "pairs.txt", as_nobody)
        finally:
            (as_nobody / "Cy").chmod(0o700)

    def test_no_list(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            verification.read_pairs(tmp_path / "pairs.txt", tmp_path)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(Rejected, match="UTF-8"):
            verification.read_pairs(tmp_path / "binary", tmp_path)

    def test_a_list_of_endless_size_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(verification.MAX_LIST_BYTES + 1)
        with pytest.raises(Rejected, match="larger than 64 MB"):
            verification.read_pairs(tmp_path / "huge", tmp_path)


class TestLabelledSets:
    """Three layouts of labelled pictures."""

    def test_gallery_and_probes(self, tmp_path: Path) -> None:
        files(
            tmp_path, "gallery/A1.jpg", "gallery/Bo/x.png", "gallery/Bo/y.png", "probe/A1.jpg",
            "strangers/Z.jpg", "groups/g.jpg",
        )  # fmt: skip
        (tmp_path / "probe/notes.txt").write_text("no picture")
        tiles = [{"person": "Bo", "tile": [0, 0, 9, 9]}, {"person": None, "tile": [9, 0, 9, 9]}]
        (tmp_path / "groups/labels.json").write_text(json.dumps({"g.jpg": tiles}))
        found = labelled.read_set(tmp_path)
        assert [photo.person for photo in found.gallery] == ["A1", "Bo", "Bo"]
        assert [photo.person for photo in found.probes] == ["A1"]
        assert [photo.person for photo in found.strangers] == ["Z"]
        assert found.sheets[0].tiles[1] == labelled.Tile(None, (9, 0, 9, 9))
        assert len(found.files) == 6
        assert [left.path.name for left in found.left_out] == ["notes.txt"]

    def test_one_folder_per_person(self, tmp_path: Path) -> None:
        files(tmp_path, "Al/1.jpg", "Al/2.jpg", "Al/3.jpg", "Bo/1.jpg")
        found = labelled.read_set(tmp_path, enrol=2, strangers=0)
        assert [(p.person, p.file.name) for p in found.gallery] == [
            ("Al", "1.jpg"), ("Al", "2.jpg"), ("Bo", "1.jpg"),
        ]  # fmt: skip
        assert [(p.person, p.file.name) for p in found.probes] == [("Al", "3.jpg")]

    def test_files_named_after_the_person(self, tmp_path: Path) -> None:
        files(tmp_path, "Family1-Dad1.jpg", "Family1-Dad2.jpg", "Al_Bo_0001.jpg", "1234.jpg")
        found = labelled.read_set(tmp_path, strangers=0)
        assert [photo.person for photo in found.gallery] == ["1234", "Al_Bo", "Family1-Dad"]
        assert [photo.person for photo in found.probes] == ["Family1-Dad"]

    def test_strangers_are_people_held_out_by_name_alone(self, tmp_path: Path) -> None:
        files(tmp_path, *(f"P{person:02d}/{at}.jpg" for person, at in product(range(20), (1, 2))))
        found = labelled.read_set(tmp_path, strangers=0.25)
        out = {photo.person for photo in found.strangers}
        assert len(out) == 5
        assert len(found.strangers) == 10
        assert not out & {photo.person for photo in (*found.gallery, *found.probes)}
        files(tmp_path, "P00/3.jpg")
        assert {p.person for p in labelled.read_set(tmp_path, strangers=0.25).strangers} == out

    @pytest.mark.parametrize(
        ("names", "says"),
        [
            ((), "no labelled pictures: expected"),
            (("gallery/A.jpg",), "must both have pictures"),
            (("gallery/A.jpg", "probe/B.jpg"), "1 people have no picture in .*gallery"),
        ],
    )
    def test_incomplete_sets_are_refused(
        self, tmp_path: Path, names: tuple[str, ...], says: str
    ) -> None:
        files(tmp_path, *names)
        with pytest.raises(Rejected, match=says):
            labelled.read_set(tmp_path)

    @pytest.mark.parametrize(
        "labels", ["[", "[1]", '{"g.jpg": 3}', '{"g.jpg": [{"person": 1, "tile": [1, 2, 3, 4]}]}',
                   '{"g.jpg": [{"person": "A", "tile": [1, 2]}]}', '{"g.jpg": [{"tile": null}]}']
    )  # fmt: skip
    def test_labels_that_are_none(self, tmp_path: Path, labels: str) -> None:
        files(tmp_path, "gallery/A.jpg", "probe/A.jpg", "groups/g.jpg")
        (tmp_path / "groups/labels.json").write_text(labels)
        with pytest.raises(Rejected, match=r"labels\.json is not a list of tiles"):
            labelled.read_set(tmp_path)

    def test_file_names_that_are_no_utf_8(self, tmp_path: Path) -> None:
        if sys.platform in {"darwin", "win32"}:
            pytest.skip("names are Unicode here")
        files(tmp_path, os.fsdecode(b"\xff1.jpg"), "A1.jpg")
        assert len(labelled.read_set(tmp_path, strangers=0.5).strangers) == 1

    def test_limits(self, tmp_path: Path) -> None:
        files(tmp_path, "gallery/A.jpg", "gallery/B.jpg", "probe/A.jpg", "groups/g.jpg")
        with pytest.raises(Rejected, match="more than 2 pictures"):
            labelled.read_set(tmp_path, limit=2)
        with (tmp_path / "groups/labels.json").open("wb") as file:
            file.truncate(labelled.MAX_LABELS_BYTES + 1)
        with pytest.raises(Rejected, match="larger than 64 MB"):
            labelled.read_set(tmp_path)

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            labelled.read_set(tmp_path / "nowhere")
        files(tmp_path, "gallery/A.jpg", "probe/A.jpg", "groups/x")
        (tmp_path / "groups/labels.json").write_text('{"g.jpg": []}')
        with pytest.raises(NotFound, match=r"g\.jpg, which cannot be read: No such file"):
            labelled.read_set(tmp_path)
        (tmp_path / "groups/labels.json").write_text(json.dumps({"x" * 300: []}))
        with pytest.raises(NotFound, match="x, which cannot be read: File name too long"):
            labelled.read_set(tmp_path)
