"""Every call that changes the library says on whose behalf, and who else is to hear of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests import loopback
from tests.integration.conftest import KEY

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.media.types import ImageHeader, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx2
    from sqlalchemy import Connection
    from tests.integration.conftest import ApiServer

    from facelabel.adapters.store.sql.database import Database
    from facelabel.media.types import Change
    from facelabel.web.cloudinary_api.context import Context

RED = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMB"
    "AQDJ/pLvAAAAAElFTkSuQmCC"
)
URL = "https://hooks.example/n"
TOLD = {"notification_url": URL, "batch_id": "b"}
FIELD = {"external_id": "who", "label": "Who", "type": "string"}
ASSET, IMAGES = "image/upload", "resources/image"
CALLS = {
    "upload": ("POST", ASSET, {"file": RED, "public_id": "new"}),
    "upload over another": ("POST", ASSET, {"file": RED, "public_id": "a", "tags": "x"}),
    "explicit": ("POST", "image/explicit", {"public_id": "a", "type": "upload", "tags": "x"}),
    "rename": ("POST", "image/rename", {"from_public_id": "a", "to_public_id": "b"}),
    "destroy": ("POST", "image/destroy", {"public_id": "a"}),
    "tag": ("POST", "image/tags", {"public_ids[]": "a", "tag": "x", "command": "add"}),
    "tag of one alone": (
        *("POST", "image/tags"),
        {"public_ids[]": "a", "tag": "held", "command": "set_exclusive"},
    ),
    "context": ("POST", "image/context", {"public_ids[]": "a", "context": "k=v"}),
    "metadata": ("POST", "image/metadata", {"public_ids[]": "a", "metadata": "who=v"}),
    "update": ("POST", f"{IMAGES}/upload/a", {"display_name": "A"}),
    "restore": ("POST", f"{IMAGES}/upload/restore", {"public_ids[]": "gone"}),
    "delete": ("DELETE", f"{IMAGES}/upload", {"public_ids[]": "a"}),
    "delete with a backup": ("DELETE", f"{IMAGES}/upload", {"public_ids[]": "kept"}),
    "delete by tag": ("DELETE", f"{IMAGES}/tags/held", {}),
    "new folder": ("POST", "folders/new", {}),
    "rename a folder": ("PUT", "folders/made", {"to_folder": "moved"}),
    "delete a folder": ("DELETE", "folders/made", {}),
    "delete a field": ("DELETE", "metadata_fields/who", {}),
}


@pytest.fixture
def changes() -> list[Change]:
    """All that the library told of."""
    return []


@pytest.fixture
def client(
    context: Context,
    sqlite: Database,
    tmp_path: Path,
    changes: list[Change],
    serve: Callable[[Context], ApiServer],
) -> Iterator[httpx2.Client]:
    """Calls with a key, of a library with something of each kind in it."""

    def note(_: Connection, change: Change) -> None:
        changes.append(change)

    media = LocalLibrary(
        sqlite, tmp_path / "told", SystemClock(), on_change=note,
        check=lambda _: ImageHeader("png", 1, 1),
    )  # fmt: skip
    server = serve(replace(context, media=media))
    with loopback.client(base_url=server.at(""), auth=(KEY.key, KEY.secret)) as client:
        call(client, "POST", "metadata_fields", FIELD)
        call(client, "POST", "folders/made", {})
        for name, more in {
            "a": {},
            "other": {"tags": "held", "metadata": "who=me"},
            "gone": {"backup": "1"},
            "kept": {"backup": "1"},
        }.items():
            call(client, "POST", ASSET, {"file": RED, "public_id": name, **more})
        call(client, "POST", "image/destroy", {"public_id": "gone"})
        changes.clear()
        yield client


def call(client: httpx2.Client, method: str, path: str, params: dict[str, str]) -> str:
    """Make a call; return the id that it was given."""
    answer = client.request(method, path, data=params)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-request-id"])


@pytest.mark.parametrize(("method", "path", "params"), CALLS.values(), ids=CALLS)
def test_a_change_says_who_asked_for_it(
    client: httpx2.Client, changes: list[Change], method: str, path: str, params: dict[str, str]
) -> None:
    request_id = call(client, method, path, params | TOLD)
    asked = Origin(KEY.key, "api", request_id, (URL,), "b")
    assert changes
    assert [change.origin for change in changes] == [asked] * len(changes)


def test_a_preset_may_say_who_is_to_hear_of_it(
    client: httpx2.Client, changes: list[Change]
) -> None:
    call(client, "POST", "upload_presets", {"name": "told", "notification_url": URL})
    call(client, "POST", ASSET, {"file": RED, "public_id": "new", "upload_preset": "told"})
    assert [change.origin.notification_urls for change in changes] == [(URL,)]
