"""The cache of rendered pictures: bounded, shared, and indifferent to being killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from facelabel.adapters.derived import DerivedCache

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1024


def total(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("??/*"))


def age(root: Path, seconds: float) -> None:
    """Let everything have been used that long ago."""
    for path in root.glob("??/*"):
        when = path.stat().st_mtime - seconds
        os.utime(path, (when, when))


def test_what_was_put_is_there_also_for_another_process(tmp_path: Path) -> None:
    DerivedCache(tmp_path, KIB * KIB).put("a/b\n\ud800", b"picture")
    again = DerivedCache(tmp_path, KIB * KIB)

    assert again.get("a/b\n\ud800") == b"picture"
    assert again.get("a/b") is None


def test_the_newest_of_one_key_counts(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)

    cache.put("key", b"one")
    cache.put("key", b"two")

    assert cache.get("key") == b"two"
    assert len(list(tmp_path.glob("??/*"))) == 1


def test_it_never_holds_more_than_it_may(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 64 * KIB)

    for number in range(200):
        cache.put(str(number), os.urandom(1 + number * 37 % (7 * KIB)))
        assert total(tmp_path) <= 64 * KIB

    assert total(tmp_path) > 40 * KIB
    assert cache.get("199")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 16 * KIB)
    for name in ("used", "forgotten"):
        cache.put(name, bytes(KIB))
    age(tmp_path, 60)

    assert cache.get("used")
    for number in range(13):
        cache.put(str(number), bytes(KIB))

    assert cache.get("used")
    assert cache.get("forgotten") is None


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 8 * KIB)
    cache.put("small", bytes(100))

    cache.put("large", bytes(2 * KIB))

    assert cache.get("large") is None
    assert cache.get("small")


@pytest.mark.parametrize("content", [b"", b"short", bytes(200)])
def test_a_damaged_file_is_not_there(tmp_path: Path, content: bytes) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)
    cache.put("key", b"picture")
    (path,) = tmp_path.glob("??/*")
    path.write_bytes(content)

    assert cache.get("key") is None
    cache.put("key", b"picture")
    assert cache.get("key") == b"picture"


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)
    cache.put("key", b"picture")

    cache.clear()

    assert cache.get("key") is None
    assert not list(tmp_path.glob("??/*"))


def test_a_folder_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = DerivedCache(tmp_path / "cache", KIB * KIB)

    with caplog.at_level(logging.WARNING):
        cache.put("key", b"picture")

    assert cache.get("key") is None
    assert "was not kept" in caplog.text


def test_threads_see_whole_files_only(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 256 * KIB)
    contents = {str(n): bytes([n]) * (4 * KIB + n) for n in range(20)}

    def use(number: int) -> bool:
        key = str(number % 20)
        cache.put(key, contents[key])
        return cache.get(key) in {None, contents[key]}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))


WRITER = """
import os, sys
from pathlib import Path
from facelabel.adapters.derived import DerivedCache
cache = DerivedCache(Path(sys.argv[1]), 1 << 20)
print("ready", flush=True)
while True:
    for number in range(50):
        cache.put(str(number), bytes([number]) * 60_000)
"""


def test_killed_writers_leave_a_cache_that_works(tmp_path: Path) -> None:
    for _ in range(3):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for writer in writers:
            assert writer.stdout
            assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.2)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()

    cache = DerivedCache(tmp_path, 1 << 20)
    found = {number: cache.get(str(number)) for number in range(50)}
    assert any(found.values())
    assert all(data in {None, bytes([number]) * 60_000} for number, data in found.items())
    assert total(tmp_path) <= (1 << 20) * 10 / 8
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / "left.tmp").write_bytes(b"half a pict")
    age(tmp_path, 7200)
    cache.put("new", b"picture")
    assert cache.get("new") == b"picture"
    assert not list(tmp_path.glob("??/*.tmp"))
