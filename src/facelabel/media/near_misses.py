"""Which pictures and folders of a library somebody may have meant who wrote one that is not there.

The library is asked for what begins so, a few times: never for all it has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from facelabel.core import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.media.ports import Directory

#: Pictures looked at, at a time.
_WINDOW = 200
#: Of a file: a public_id has none.
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,4}\Z")
#: What the name of a portrait's file is followed by in its public_id.
_DIGEST = re.compile(r"-[0-9a-f]{10}\Z")


def folders(directory: Directory, path: str) -> list[str]:
    """Folders that read like this path, the nearest first; the path alone, where it is there."""
    return _below(directory, "", [part for part in path.split("/") if part])


def _below(directory: Directory, here: str, parts: Sequence[str]) -> list[str]:
    if not parts:
        return [here]
    part, *rest = parts
    below = {path.rpartition("/")[2]: path for path in directory.subfolders(here)}
    if part in below:
        return _below(directory, below[part], rest)
    found = []
    for name in nearest.nearest(part, below):
        found += _below(directory, below[name], rest) or [below[name]]
    return found[: nearest.OFFERED]


def pictures(directory: Directory, ident: str, homes: Sequence[str]) -> list[str]:
    """public_ids that read like this one, or like the beginning of an asset_id.

    Those that begin so, such as a portrait's whose digest was left out; else those beside it that
    read alike.

    Args:
        directory: of a library.
        ident: what was written, of which there is no picture.
        homes: folders in which it is looked for, too.

    """
    ident = _SUFFIX.sub("", ident.strip("/"))
    found = {
        asset.public_id
        for text in (ident, *(f"{home}/{ident}" for home in homes if home))
        for asset in directory.beginning(text, _WINDOW)
    }
    if found:
        return sorted(found, key=lambda public_id: (len(public_id), public_id))[: nearest.OFFERED]
    place, _, name = ident.rpartition("/")
    for where in folders(directory, place) if place else ("", *filter(None, homes)):
        for text in _beginnings(name):
            beside = directory.beginning(f"{where}/{text}".lstrip("/"), _WINDOW)
            named = {_named(asset.public_id): asset.public_id for asset in reversed(beside)}
            if alike := [name] if name in named else nearest.nearest(name, named):
                return [named[one] for one in alike]
    return []


def _beginnings(name: str) -> Iterator[str]:
    """Of what somebody wrote, from most to least, with other capitals as well."""
    most, first = name[: max(1, len(name) * 3 // 4)], name[:1]
    yield from dict.fromkeys([name, most, most.lower(), most.upper(), first, first.swapcase()])


def _named(public_id: str) -> str:
    """The name in a public_id, as a person would write it."""
    return _DIGEST.sub("", public_id.rpartition("/")[2])
