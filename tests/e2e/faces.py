"""What is known after all: by the program, and by whom it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.e2e.conftest import Program


def known(facelabel: Program) -> dict[str, int]:
    """How many portraits there are of each person."""
    return {line["name"]: len(line["portraits"]) for line in facelabel.json("people")}


def faces_of(rekognition: BaseClient, collection: str) -> list[dict[str, Any]]:
    """What Amazon has."""
    found: list[dict[str, Any]] = rekognition.list_faces(CollectionId=collection)["Faces"]
    return found
