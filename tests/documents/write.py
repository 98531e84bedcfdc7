"""Writes what is shown below ``$ …`` in README and how-tos, and their pictures: ``make docs``.

Each such page is followed from its top, as its test does; what its commands print takes the place
of what stood there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import platformdirs
from PIL import Image
from tests.documents.page import PAGES, PICTURES, ROOT, is_same, with_outputs
from tests.documents.stage import Around, follow
from tests.photographs import Studio, public_domain


def main() -> int:
    """Write them; 1 where a command of a page fails."""
    models = platformdirs.user_cache_path("facelabel") / "models"
    around = Around(models, Studio(public_domain(models)), _nothing, _nothing)
    failed = 0
    for page, path in PAGES.items():
        if "```console\n" in path.read_text("utf-8"):
            with tempfile.TemporaryDirectory(prefix="facelabel-docs-") as folder:
                failed += _write(page, path, Path(folder), around)
    return 1 if failed else 0


def _write(page: str, path: Path, folder: Path, around: Around) -> int:
    printed: dict[int, str] = {}
    for shown in follow(page, folder, around):
        if shown.ran.failed:
            sys.stderr.write(f"{page}:{shown.line}: {shown.ran.failed}{shown.ran.printed}\n")
            return 1
        if shown.language == "console":
            same = is_same(shown.expected, shown.ran.printed)
            printed[shown.line] = shown.expected if same else shown.ran.printed
    path.write_text(with_outputs(path.read_text("utf-8"), printed), "utf-8", newline="\n")
    for made, kept in PICTURES.get(page, {}).items():
        with Image.open(folder / "home" / made) as picture:
            picture.save(ROOT / kept, quality=80, optimize=True)
    return 0


def _nothing() -> NoReturn:
    raise LookupError("no page with outputs needs this")


if __name__ == "__main__":
    sys.exit(main())
