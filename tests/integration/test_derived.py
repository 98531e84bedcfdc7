"""The cache of rendered pictures: bounded, shared, and indifferent to being killed."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.forked import Piped
from tests.waiting import until

from facelabel.adapters.derived import DerivedCache

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1024
ETAG = f"ab{0:062x}"


def total(root: Path) -> int:
    """Bytes of the disk, as the system counts them."""
    return sum(path.stat().st_blocks * 512 for path in root.glob("??/*"))


def number(root: Path) -> int:
    return len(list(root.glob("??/*")))


def age(root: Path, seconds: float) -> None:
    """Let everything have been used that long ago."""
    for path in root.glob("??/*"):
        when = path.stat().st_mtime - seconds
        os.utime(path, (when, when))


def test_what_was_put_is_there_also_for_another_process(tmp_path: Path) -> None:
    DerivedCache(tmp_path, KIB * KIB).put(ETAG, "a/b\n\ud800", b"picture")
    again = DerivedCache(tmp_path, KIB * KIB)

    assert again.get(ETAG, "a/b\n\ud800") == b"picture"
    assert again.get(ETAG, "a/b") is None


def test_the_newest_of_one_key_counts(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)

    cache.put(ETAG, "key", b"one")
    cache.put(ETAG, "key", b"two")

    assert cache.get(ETAG, "key") == b"two"
    assert len(list(tmp_path.glob("??/*"))) == 1


def test_what_was_made_of_an_original_goes_with_it(tmp_path: Path) -> None:
    cache, other = DerivedCache(tmp_path, KIB * KIB), f"ab{1:062x}"
    cache.put(ETAG, "small", b"one")
    cache.put(ETAG, "large", b"two")
    cache.put(other, "small", b"three")

    cache.drop(ETAG)

    assert cache.get(ETAG, "small") is cache.get(ETAG, "large") is None
    assert cache.get(other, "small") == b"three"


def test_what_an_earlier_version_kept_is_dropped(tmp_path: Path) -> None:
    former = tmp_path / "ab" / ETAG
    former.parent.mkdir()
    former.write_bytes(b"named by its key alone: nobody knows what it was made of")

    DerivedCache(tmp_path, KIB * KIB).put(ETAG, "key", b"picture")

    assert not former.exists()


def test_it_never_holds_more_than_it_may(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 1024 * KIB)

    for at in range(120):
        cache.put(ETAG, str(at), os.urandom(1 + at * 997 % (100 * KIB)))
        assert total(tmp_path) <= 1024 * KIB

    assert total(tmp_path) > 640 * KIB
    assert cache.get(ETAG, "119")


def test_small_files_count_with_what_the_disk_gives_them(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 1024 * KIB)

    for at in range(400):
        cache.put(ETAG, str(at), b"tiny")
        assert at % 20 or total(tmp_path) <= 1024 * KIB

    assert 100 < number(tmp_path) <= 1024 // 4
    assert cache.get(ETAG, "399")


def test_there_are_only_so_many_files(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 100_000 * KIB, max_files=40)

    for at in range(100):
        cache.put(ETAG, str(at), b"tiny")
        assert number(tmp_path) <= 40

    assert number(tmp_path) >= 35
    assert [at for at in range(100) if cache.get(ETAG, str(at))] == list(
        range(100 - number(tmp_path), 100)
    )


def test_a_folder_of_an_earlier_day_is_counted(tmp_path: Path) -> None:
    generous = DerivedCache(tmp_path, 100_000 * KIB)
    for at in range(280):
        generous.put(ETAG, f"old {at}", b"tiny")
    age(tmp_path, 60)

    DerivedCache(tmp_path, 1024 * KIB).put(ETAG, "new", b"tiny")
    assert total(tmp_path) <= 1024 * KIB
    DerivedCache(tmp_path, 100_000 * KIB, max_files=20).put(ETAG, "newer", b"tiny")
    assert number(tmp_path) <= 20
    assert generous.get(ETAG, "new")
    assert generous.get(ETAG, "newer")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 80 * KIB)
    for name in ("used", "forgotten"):
        cache.put(ETAG, name, bytes(KIB))
    age(tmp_path, 60)

    assert cache.get(ETAG, "used")
    for at in range(15):
        cache.put(ETAG, str(at), bytes(KIB))

    assert cache.get(ETAG, "used")
    assert cache.get(ETAG, "forgotten") is None


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 40 * KIB)
    cache.put(ETAG, "small", bytes(100))

    cache.put(ETAG, "large", bytes(5 * KIB))

    assert cache.get(ETAG, "large") is None
    assert cache.get(ETAG, "small")


@pytest.mark.parametrize("content", [b"", b"short", bytes(200)])
def test_a_damaged_file_is_not_there(tmp_path: Path, content: bytes) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)
    cache.put(ETAG, "key", b"picture")
    (path,) = tmp_path.glob("??/*")
    path.write_bytes(content)

    assert cache.get(ETAG, "key") is None
    cache.put(ETAG, "key", b"picture")
    assert cache.get(ETAG, "key") == b"picture"


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, KIB * KIB)
    cache.put(ETAG, "key", b"picture")

    cache.clear()

    assert cache.get(ETAG, "key") is None
    assert not list(tmp_path.glob("??/*"))


def test_a_folder_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = DerivedCache(tmp_path / "cache", KIB * KIB)

    with caplog.at_level(logging.WARNING):
        cache.put(ETAG, "key", b"picture")

    assert cache.get(ETAG, "key") is None
    assert "was not kept" in caplog.text


def test_threads_see_whole_files_only(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, 256 * KIB)
    contents = {str(n): bytes([n]) * (4 * KIB + n) for n in range(20)}

    def use(number: int) -> bool:
        key = str(number % 20)
        cache.put(ETAG, key, contents[key])
        return cache.get(ETAG, key) in {None, contents[key]}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))


WRITER = """
import sys
from pathlib import Path
from facelabel.adapters.derived import DerivedCache
cache = DerivedCache(Path(sys.argv[1]), 1 << 20)
ETAG = f"ab{0:062x}"
while True:
    for number in range(50):
        cache.put(ETAG, str(number), bytes([number]) * 60_000)
"""


def has_newer(root: Path, start: float) -> bool:
    """Whether a file is there that is newer; it may be half written."""
    return any(modified(path) > start for path in root.glob("??/*"))


def modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # its writer was quicker
        return 0.0


def test_killed_writers_leave_a_cache_that_works(tmp_path: Path) -> None:
    for _ in range(3):
        with Piped(WRITER, str(tmp_path)), Piped(WRITER, str(tmp_path)):
            until(partial(has_newer, tmp_path, time.time()))

    cache = DerivedCache(tmp_path, 1 << 20)
    found = {number: cache.get(ETAG, str(number)) for number in range(50)}
    assert any(found.values())
    assert all(data in {None, bytes([number]) * 60_000} for number, data in found.items())
    assert total(tmp_path) <= (1 << 20) * 10 / 8
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / "left.tmp").write_bytes(b"half a pict")
    age(tmp_path, 7200)
    cache.put(ETAG, "new", b"picture")
    assert cache.get(ETAG, "new") == b"picture"
    assert not list(tmp_path.glob("??/*.tmp"))
