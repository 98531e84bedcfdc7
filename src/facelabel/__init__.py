"""Facelabel puts people's names on pictures.

The names below are what a program uses; importing them loads no model and opens nothing::

    import facelabel

    facelabel.upload_and_index("john.jpg", "faceLabel:John Doe")
    facelabel.index_faces("training/")
    facelabel.identify("party.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facelabel.api import identify as identify
    from facelabel.api import index_faces as index_faces
    from facelabel.api import upload_and_index as upload_and_index

__all__ = ["identify", "index_faces", "upload_and_index"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the API at first use, so that ``import facelabel`` stays instant (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from facelabel import api  # noqa: PLC0415 - the point of this function

    value: object = getattr(api, name)
    return value
