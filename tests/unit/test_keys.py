"""The key file: private, whole at every moment, several keys at a time."""

from __future__ import annotations

import json
import stat
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from facelabel.adapters.keys import KeyRing
from facelabel.errors import ConfigurationError, NotFound, Rejected

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_first_key_is_made_once(path: Path) -> None:
    ring = KeyRing(path)
    assert ring() == ()
    assert ring.ensure()
    (key,) = ring()
    assert not ring.ensure()
    assert KeyRing(path)() == (key,)
    assert key.key.isdecimal()
    assert len(key.secret) >= 27
    assert key.secret.isalnum()


def test_a_file_without_keys_stays_without(path: Path) -> None:
    path.write_text("[]")
    ring = KeyRing(path)
    assert not ring.ensure()
    assert ring() == ()


def test_nobody_else_can_read_the_file(path: Path) -> None:
    ring = KeyRing(path)
    ring.ensure()
    ring.add()
    if sys.platform != "win32":  # there a folder says who may read what is in it
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Some releases of filelock leave the lock's file, others take it away.
    assert {file.name for file in path.parent.iterdir()} - {"keys.lock"} == {"keys.json"}


def test_a_key_does_not_print_its_secret(path: Path) -> None:
    key = KeyRing(path).add()
    assert key.secret not in repr(key)


def test_keys_are_rotated_one_by_one_and_others_see_it(path: Path) -> None:
    ring, other = KeyRing(path), KeyRing(path)
    ring.ensure()
    (old,) = other()
    new = ring.add()
    assert list(other()) == [old, new]
    ring.remove(old.key)
    assert list(other()) == [new]
    with pytest.raises(Rejected, match="the only key"):
        ring.remove(new.key)
    with pytest.raises(NotFound):
        ring.remove("unknown")


def test_concurrent_changes_lose_none(path: Path) -> None:
    threads = [threading.Thread(target=KeyRing(path).add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.key for key in KeyRing(path)()}) == 8


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[{"key": "k"}]'])
def test_a_damaged_file_is_said_to_be_damaged(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyRing(path)()


def test_a_damaged_file_does_not_show_a_secret(path: Path) -> None:
    path.write_text(json.dumps([{"key": "k", "secret": "very-secret"}])[:-2])
    with pytest.raises(ConfigurationError) as caught:
        KeyRing(path)()
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_keys_are_shown_once(path: Path) -> None:
    ring = KeyRing(path)
    ring.ensure()
    assert ring.first_shown()
    ring.note_shown()
    assert not KeyRing(path).first_shown()
