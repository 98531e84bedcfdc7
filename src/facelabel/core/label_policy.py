"""Which folders, labels and places mean what: the part of the settings the core decides by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from facelabel.core import names, naming, nearest
from facelabel.core.naming import NamesPresent
from facelabel.errors import LabelRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facelabel.core.model import Asset


@dataclass(frozen=True, slots=True)
class NameTargets:
    """Where the names of the people on a picture go; any combination."""

    tags: bool = True
    #: What stands before the name in a tag.
    prefix: str = ""
    #: external_id of a structured metadata field, "" for none.
    field: str = ""
    #: Key of the contextual metadata, "" for none.
    context: str = ""

    @property
    def fingerprint(self) -> str:
        """Tell searches whose names went elsewhere apart; "" is plain tags."""
        if self == NameTargets():
            return ""
        return f"{'tags' if self.tags else ''},{self.prefix},{self.field},{self.context}"

    @classmethod
    def read(cls, fingerprint: str) -> NameTargets:
        """The places of a fingerprint."""
        if not fingerprint:
            return cls()
        tags, prefix, external_id, context = fingerprint.split(",", 3)
        return cls(bool(tags), prefix, external_id, context)

    def seen(self, asset: Asset) -> NamesPresent:
        """Read the names off a picture."""
        found = []
        if self.tags:
            found.append(frozenset(self._name(tag) for tag in asset.tags if self._marked(tag)))
        if self.field:
            found.append(frozenset(field_values(asset, self.field)))
        if self.context:
            found.append(frozenset(context_values(asset, self.context)))
        return NamesPresent(frozenset.intersection(*found), frozenset.union(*found))

    def _marked(self, tag: str) -> bool:
        return tag.startswith(self.prefix) and tag != self.prefix

    def _name(self, tag: str) -> str:
        return tag.removeprefix(self.prefix)


def field_values(asset: Asset, external_id: str) -> tuple[str, ...]:
    """The values of a structured metadata field, whatever its type."""
    value = asset.metadata.get(external_id)
    values = value if isinstance(value, list) else [value]
    return tuple(str(item) for item in values if item not in {None, ""})


def context_values(asset: Asset, key: str) -> tuple[str, ...]:
    """The names in a context key; a comma stands between two."""
    return tuple(filter(None, (part.strip() for part in asset.context.get(key, "").split(","))))


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """Which folders and labels mean what, and when a face gets a name."""

    training: str = "training"
    recognition: str = "assets"
    prefix: str = "faceLabel"
    #: external_id of the structured metadata field that labels training images; "" for none.
    label_field: str = ""
    #: Name the live collection gets when there is none yet.
    collection: str = "cld-rekog"
    #: Whether folders are part of public_ids, as it is set; "" where the library knows it.
    folder_mode: str = ""
    rules: naming.Rules = field(default_factory=naming.Rules)
    targets: NameTargets = field(default_factory=NameTargets)
    #: Tells searches decided under other rules, or for other places, apart.
    fingerprint: str = field(init=False, repr=False, compare=False)
    #: By which folders and labels people are learnt: the settings for it, as JSON.
    learning: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the fingerprint once; it is compared for every picture."""
        rules, targets = self.rules.fingerprint, self.targets.fingerprint
        object.__setattr__(self, "fingerprint", f"{rules};{targets}" if targets else rules)
        object.__setattr__(self, "learning", json.dumps(self.learning_settings))

    def is_training(self, asset: Asset) -> bool:
        """Whether the asset is a training image; where folders nest, the inner one decides."""
        return asset.in_folder(self.training) and not (
            self._inner(self.recognition, self.training) and asset.in_folder(self.recognition)
        )

    def is_searchable(self, asset: Asset) -> bool:
        """Whether the asset is to be searched for people."""
        return asset.in_folder(self.recognition) and not self.is_training(asset)

    def labels(self, asset: Asset) -> tuple[str, ...]:
        """The label tags of an image, and those its metadata field stands for."""
        marker = f"{self.prefix}:"
        tags = tuple(tag for tag in asset.tags if tag.startswith(marker))
        if not self.label_field:
            return tags
        return tags + tuple(marker + name for name in field_values(asset, self.label_field))

    def person(self, asset: Asset) -> str | None:
        """Whom the labels name, if anybody; LabelRefused where they cannot be obeyed.

        Nor can what only looks like a label, where there is none: whom it shows is not guessed.
        """
        person = names.labelled_person(self.labels(asset), self.prefix)
        if person is None:
            self.check_tags(asset.tags)
        return person

    def check_tags(self, tags: Iterable[str]) -> None:
        """Refuse tags that are nearly labels: LabelRefused with the label that is meant."""
        for tag in tags:
            if meant := names.misspelt_label(tag, self.prefix):
                raise LabelRefused(f"the tag {tag!r} is no label: a label is written {meant!r}")

    def outside(self, folder: str) -> str:
        """Why nothing is done with pictures of a folder, and which one may have been meant."""
        ours = (
            f"pictures in {self.recognition!r} are searched, portraits in {self.training!r} learnt"
        )
        return (
            f"{folder or '/'!r} is none of our folders ({ours}){nearest.asked(self.near(folder))}"
        )

    def near(self, folder: str) -> list[str]:
        """Folders of ours, or below, that read like this one, which is none of them."""
        found = []
        for root in (self.recognition, self.training):
            head = "/".join(folder.split("/")[: root.count("/") + 1])
            if root and nearest.nearest(head, [root]):
                found.append(root + folder.removeprefix(head))
        return found

    def still_says(self, asset: Asset, person: str) -> bool:
        """Whether one of the labels, bad ones beside it or not, names this person."""
        return names.is_labelled(self.labels(asset), person, self.prefix)

    def under(self, fingerprint: str | None) -> LabelPolicy:
        """The same by the rules of a fingerprint, and with names in its places; None: by our own.

        What similarities mean stays as it is here: nobody can go back to another calibration.
        """
        if fingerprint is None or fingerprint == self.fingerprint:
            return self
        rules, _, targets = fingerprint.partition(";")
        return replace(
            self,
            rules=naming.Rules.read(rules, self.rules.calibration),
            targets=NameTargets.read(targets),
        )

    @property
    def learning_settings(self) -> dict[str, str]:
        """The settings that say which pictures teach whom."""
        return {
            "training_folder": self.training,
            "face_recognition_folder": self.recognition,
            "face_label_tag_prefix": self.prefix,
            "people_field": self.label_field,
            "folder_mode": self.folder_mode,
        }

    def learnt_by(self, learning: str | None) -> LabelPolicy:
        """The same with people learnt by what is said there; None: by our own folders and labels.

        Which pictures are searched stays as it is here, unless that would change which ones teach.
        """
        if learning is None or learning == self.learning:
            return self
        said = json.loads(learning)
        training, theirs = said["training_folder"], said["face_recognition_folder"]
        is_cut_out = any(_is_below(folder, training) for folder in (theirs, self.recognition))
        return replace(
            self,
            training=training,
            recognition=theirs if is_cut_out else self.recognition,
            prefix=said["face_label_tag_prefix"],
            label_field=said["people_field"],
            folder_mode=said["folder_mode"],
        )

    def same_targets(self, fingerprint: str) -> bool:
        """Whether a search of that fingerprint put its names where we do."""
        return fingerprint.partition(";")[2] == self.targets.fingerprint

    @staticmethod
    def _inner(one: str, other: str) -> bool:
        return len(one.strip("/")) > len(other.strip("/"))


def _is_below(folder: str, root: str) -> bool:
    """Whether a folder is inside another: then what it holds is searched, and teaches nobody."""
    folder, root = folder.strip("/"), root.strip("/")
    return folder != root and (not root or folder.startswith(f"{root}/"))


def undecided(fingerprint: str) -> str:
    """The fingerprint of a search that a sweep left to the picture's own job."""
    return "".join(("", *fingerprint.partition(";")[1:]))


def is_decided(fingerprint: str) -> bool:
    """Whether the names of a search are those its rules give."""
    return not fingerprint.startswith(";") and fingerprint != ""
