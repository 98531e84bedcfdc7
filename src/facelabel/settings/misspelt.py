"""Variables that look like settings and are none: nobody reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from facelabel.core import nearest
from facelabel.settings import PREFIX, SETTINGS, given, variables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

#: Variables of ours that are no settings.
OTHERS = frozenset({given.CONFIG_VARIABLE, "FACELABEL_ALLOW_DIRECT_EVENTS", "FACELABEL_TEST_DATA"})
#: What Cloudinary's SDKs read as well: here an account is in CLOUDINARY_URL alone.
_OF_SDKS = ("CLOUDINARY_CLOUD_NAME", "CLOUDINARY_API_KEY", "CLOUDINARY_API_SECRET")
_ACCOUNT = "CLOUDINARY_URL"
_LISTED = "; `--help-settings` lists them"
#: A name with so many letters more or fewer than a setting is another one.
_SLIP = 2


def unread(set_here: Collection[str]) -> list[str]:
    """Variables of the environment and of ``.env`` that are no settings, each in a sentence.

    Whatever begins with ``FACELABEL_``, and what is nearly the name of one of the original app's
    variables while the setting is not given. Values are not looked at.

    Args:
        set_here: the settings that are given, by name.

    """
    in_file = f" (in {given.ENV_FILE})"
    return [
        *_misspelt(os.environ, set_here, ""),
        *_misspelt(given.env_lines(), set_here, in_file),
    ]


def _misspelt(
    environment: Mapping[str, object], set_here: Collection[str], where: str
) -> Iterator[str]:
    known = {one.lower() for name in SETTINGS for one in variables(name)}
    known |= {one.lower() for one in OTHERS}
    missing = [one.original for name, one in SETTINGS.items()
               if one.original and name not in set_here]  # fmt: skip
    for variable, value in sorted(environment.items()):
        if not value or variable.lower() in known:
            continue
        if variable.upper().startswith(PREFIX):
            meant = nearest.nearest(variable[len(PREFIX) :], map(str.upper, SETTINGS), 1)
            asked = nearest.asked([PREFIX + name for name in meant])
            yield f"{variable}{where} is no setting and is not read{asked or _LISTED}"
        elif near := _near(variable, missing):
            yield f"{variable}{where} is not read{nearest.asked(near)}"


def _near(variable: str, originals: Sequence[str]) -> list[str]:
    """The original name that this one nearly is."""
    if variable.upper() in _OF_SDKS:
        return [_ACCOUNT] if variable.upper() == _OF_SDKS[0] and _ACCOUNT in originals else []
    likely = [one for one in originals if one[:2].lower() == variable[:2].lower()]
    letters = nearest.plain(variable) if likely else ""
    likely = [one for one in likely if abs(len(nearest.plain(one)) - len(letters)) <= _SLIP]
    return nearest.nearest(variable, likely, 1) if likely else []
