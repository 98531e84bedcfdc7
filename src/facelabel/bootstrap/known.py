"""Who and what is known, as a shell asks that completes what somebody types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.adapters.store import known
from facelabel.settings import given

if TYPE_CHECKING:
    from collections.abc import Mapping


def people(flags: Mapping[str, object], beginning: str) -> list[str]:
    """Names that begin so, of those who are known; any error is passed on."""
    return known.people(_store(flags), beginning)


def public_ids(flags: Mapping[str, object], beginning: str) -> list[str]:
    """Pictures that begin so; an account on Cloudinary is not asked. Any error is passed on."""
    return known.public_ids(_store(flags), beginning)


def _store(flags: Mapping[str, object]) -> str:
    """Where the database is, by the same sources as always; the other settings are not checked."""
    found = given.settings(flags)
    if "store" in found:
        return str(found["store"].value)
    if "data" in found:
        return given.database(Path(str(found["data"].value)).expanduser())
    return given.database(given.own_folder("data"))
