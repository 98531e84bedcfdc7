"""Facelabel puts people's names on pictures.

::

    import facelabel

    with facelabel.open() as faces:
        faces.learn("john.jpg", "John Doe")
        for face in faces.identify("party.jpg"):
            print(face.name, face.similarity)

Importing this loads no model, opens nothing and takes milliseconds: each name below arrives with
its module at its first use.
"""

from __future__ import annotations

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facelabel.api import identify as identify
    from facelabel.api import index_faces as index_faces
    from facelabel.api import load_settings as load_settings
    from facelabel.api import open as open  # noqa: A004 - as gzip.open
    from facelabel.api import upload_and_index as upload_and_index
    from facelabel.core.jobs import Outcome as Outcome
    from facelabel.core.jobs import OutcomeKind as OutcomeKind
    from facelabel.core.model import Analysis as Analysis
    from facelabel.core.model import Asset as Asset
    from facelabel.core.model import Box as Box
    from facelabel.core.model import Candidate as Candidate
    from facelabel.core.model import Face as Face
    from facelabel.core.model import FaceDecision as FaceDecision
    from facelabel.core.model import Identification as Identification
    from facelabel.core.model import Person as Person
    from facelabel.core.model import Pose as Pose
    from facelabel.core.model import Reason as Reason
    from facelabel.core.model import Template as Template
    from facelabel.core.model import Verdict as Verdict
    from facelabel.errors import AlreadyExists as AlreadyExists
    from facelabel.errors import Busy as Busy
    from facelabel.errors import ConfigurationError as ConfigurationError
    from facelabel.errors import Denied as Denied
    from facelabel.errors import FacelabelError as FacelabelError
    from facelabel.errors import ForeignFolder as ForeignFolder
    from facelabel.errors import LabelRefused as LabelRefused
    from facelabel.errors import NoRoom as NoRoom
    from facelabel.errors import NotFound as NotFound
    from facelabel.errors import OriginalMissing as OriginalMissing
    from facelabel.errors import QuotaExceeded as QuotaExceeded
    from facelabel.errors import Rejected as Rejected
    from facelabel.errors import Throttled as Throttled
    from facelabel.errors import TokenReused as TokenReused
    from facelabel.errors import Unavailable as Unavailable
    from facelabel.errors import UnreadableImage as UnreadableImage
    from facelabel.errors import UnusableFace as UnusableFace
    from facelabel.inputs.portraits import Portrait as Portrait
    from facelabel.session import Picture as Picture
    from facelabel.session import Progress as Progress
    from facelabel.session import Session as Session
    from facelabel.settings.typed import Settings as Settings

__version__ = "0.1.0"
#: The same names, as :func:`__getattr__` finds them.
_HOMES = {
    "facelabel.api": ("identify", "index_faces", "load_settings", "open", "upload_and_index"),
    "facelabel.core.jobs": ("Outcome", "OutcomeKind"),
    "facelabel.core.model": (
        "Analysis", "Asset", "Box", "Candidate", "Face", "FaceDecision", "Identification", "Person",
        "Pose", "Reason", "Template", "Verdict",
    ),
    "facelabel.errors": (
        "AlreadyExists", "Busy", "ConfigurationError", "Denied", "FacelabelError", "ForeignFolder",
        "LabelRefused", "NoRoom", "NotFound", "OriginalMissing", "QuotaExceeded", "Rejected",
        "Throttled", "TokenReused", "Unavailable", "UnreadableImage", "UnusableFace",
    ),
    "facelabel.inputs.portraits": ("Portrait",),
    "facelabel.session": ("Picture", "Progress", "Session"),
    "facelabel.settings.typed": ("Settings",),
}  # fmt: skip
__all__ = sorted(name for names in _HOMES.values() for name in names)  # noqa: PLE0605 - not twice

if not TYPE_CHECKING:  # a type checker shall know a misspelt name

    def __getattr__(name: str) -> object:
        """Import the module of a name at its first use (PEP 562)."""
        home = next((home for home, names in _HOMES.items() if name in names), None)
        if home is None:
            raise AttributeError(  # with what Python needs to suggest another name
                f"module {__name__!r} has no attribute {name!r}", name=name, obj=modules[__name__]
            )
        value: object = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """What is there, imported or not; and not what this module itself imports."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
