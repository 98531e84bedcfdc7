"""From tags to people's names and back.

A training image carries its label as the tag ``faceLabel:John Doe`` (the prefix is a setting);
a recognised picture carries the plain name as a tag. ``faceId:<uuid>`` tags are the machine's.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from facelabel.errors import LabelRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

FACE_ID_PREFIX = "faceId:"
#: Context key that tells the owner of a picture why it was refused.
ERROR_KEY = "facelabel_error"
#: Cloudinary's limit for one tag, label prefix included.
MAX_TAG_LENGTH = 255
#: Unicode categories: control, surrogate, private, unassigned, line and paragraph separators.
_UNUSABLE = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Unicode categories of what nobody sees: joiners, marks of direction, soft hyphens.
_UNSEEN = frozenset({"Cf"})
#: Characters that look like another one and are not compatible with it.
_SEEN_AS = dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4\u0060\uff07", "'") | {"\u034f": ""}

#: What may be meant to be a label: something, a colon or equals sign, a name.
_LABEL = re.compile(r"(?P<prefix>[^:=]+?)\s*[:=：](?P<name>.*\S.*)", re.DOTALL)  # noqa: RUF001 - wide
#: In shorter prefixes one letter makes another word.
_LONG = 5

#: What Python makes of bytes in a file's name that are no UTF-8.
_BYTES = frozenset(map(chr, range(0xDC80, 0xDD00)))


def normalise(name: str) -> str:
    """Bring a name to the one spelling we compare: NFC, no space around it."""
    return unicodedata.normalize("NFC", name).strip()


def skeleton(name: str) -> str:
    """What a name looks like: equal for names that people take for one and the same.

    Compatible characters, upper and lower case, every kind of space, hyphen and apostrophe and the
    order of marks make no difference, nor does what is invisible. Accents do: Zoe is not Zoë.
    """
    seen = "".join(map(_look, name))
    folded = unicodedata.normalize("NFKC", seen).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _look(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in _UNSEEN:
        return ""
    return "-" if kind == "Pd" else _SEEN_AS.get(character, character)


def lookalikes(people: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of different names that look the same, in a stable order."""
    alike: dict[str, set[str]] = {}
    for person in people:
        alike.setdefault(skeleton(person), set()).add(person)
    return tuple(tuple(sorted(group)) for _, group in sorted(alike.items()) if len(group) > 1)


def check_name(name: str, prefix: str) -> str:
    """Return the name normalised; LabelRefused, with the reason, if it cannot be a tag."""
    name = normalise(name)
    if not any(map(str.isprintable, name)):
        raise LabelRefused(f"the label {prefix}: has no name behind the colon")
    if len(f"{prefix}:{name}") > MAX_TAG_LENGTH:  # first, as the other reasons show all of it
        raise LabelRefused(f"the label is over {MAX_TAG_LENGTH} characters: {name[:40]!r}…")
    if "," in name:
        raise LabelRefused(
            f"the name {name!r} has a comma, at which Cloudinary splits tags; leave it out"
        )
    if not _BYTES.isdisjoint(name):
        raise LabelRefused(_no_utf8(name))
    if any(unicodedata.category(character) in _UNUSABLE for character in name):
        raise LabelRefused(f"the name {name!r} has control characters")
    if name.startswith((FACE_ID_PREFIX, f"{prefix}:")):
        raise LabelRefused(f"the name {name!r} reads like one of our own tags")
    if meant := misspelt_label(name, prefix):
        raise LabelRefused(f"{name!r} is no name and no label: a label is written {meant!r}")
    return name


def misspelt_label(text: str, prefix: str) -> str | None:
    """The label that was meant by what nearly is one, such as facelabel:Ann or faceLabel=Ann.

    In the prefix capitals, spaces, ``-`` and ``_`` do not count, nor one letter too many, too few
    or wrong; ``=`` may stand for the colon. None for a label as it should be, and for what is none.
    """
    found = _LABEL.fullmatch(text)
    if not found or text.startswith(f"{prefix}:"):
        return None
    written, meant = _letters(found["prefix"]), _letters(prefix)
    if written != meant and not _is_slip(written, meant):
        return None
    return f"{prefix}:{normalise(found['name'])}"


def _letters(prefix: str) -> str:
    return "".join(filter(str.isalnum, skeleton(prefix))) or prefix


def _is_slip(written: str, meant: str) -> bool:
    """Whether one letter is too many, too few or wrong, or two have changed places."""
    if len(meant) < _LONG or abs(len(written) - len(meant)) > 1:
        return False
    start = 0
    while written[start : start + 1] == meant[start : start + 1] != "":
        start += 1
    one, other = written[start:], meant[start:]
    if len(one) == len(other):
        return one[1:] == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])
    return other == one[1:] or one == other[1:]


def _no_utf8(name: str) -> str:
    """What to say of a file's name in another encoding, whose bytes Python keeps so."""
    shown = "".join(f"\\x{ord(c) - 0xDC00:02x}" if c in _BYTES else c for c in name)
    return (
        f"the name '{shown}' has bytes that are no UTF-8: rename it, a whole folder at once"
        " with convmv"
    )


def label(name: str, prefix: str) -> str:
    """Return the tag that labels a training image with a name."""
    return f"{prefix}:{check_name(name, prefix)}"


def labelled_people(tags: Iterable[str], prefix: str) -> frozenset[str]:
    """Everyone the label tags name: exact prefix and colon; LabelRefused if one is no name."""
    marker = f"{prefix}:"
    return frozenset(
        check_name(tag.removeprefix(marker), prefix) for tag in tags if tag.startswith(marker)
    )


def labelled_person(tags: Iterable[str], prefix: str) -> str | None:
    """The one person the label tags name, if any; LabelRefused where they cannot be obeyed."""
    people = sorted(labelled_people(tags, prefix))
    if len(people) > 1:
        raise LabelRefused("two labels: " + " and ".join(people))
    return people[0] if people else None


def is_labelled(tags: Iterable[str], name: str, prefix: str) -> bool:
    """Whether one of the label tags, bad ones beside it or not, names this person."""
    marker = f"{prefix}:"
    return any(normalise(t.removeprefix(marker)) == name for t in tags if t.startswith(marker))


def face_id_tag(face_id: str) -> str:
    """Return the tag that shows which face of the collection an image became."""
    return FACE_ID_PREFIX + face_id


def face_id_tags(tags: Iterable[str]) -> frozenset[str]:
    """The machine's own tags among these."""
    return frozenset(tag for tag in tags if tag.startswith(FACE_ID_PREFIX))
