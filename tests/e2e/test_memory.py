"""A server does not grow with what it has done."""

from __future__ import annotations

import io
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.e2e.churn import png
from tests.e2e.served import Cloud, serving
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

#: Pictures until every cache is full, and then until the end.
FIRST, ALL = 500, 2000
#: Bytes; measured were 6 MB.
GROWTH = 24 << 20


def _upload_and_look(cloud: Cloud, number: int) -> None:
    picture = io.BytesIO(png((number >> 8, number & 255, 0)))
    url = cloud.upload(picture, public_id=f"x/{number}", asset_folder="assets")["url"]
    for transformation in ("", "c_fill,h_20,w_30/"):
        with urllib.request.urlopen(
            url.replace("/upload/", f"/upload/{transformation}"), timeout=PATIENCE
        ) as answer:
            answer.read()


@pytest.mark.soak
def test_two_thousand_uploads_and_deliveries(program: Program) -> None:
    with serving(program) as served, ThreadPoolExecutor(4) as pool:
        cloud, process = served.cloud(), psutil.Process(served.process.pid)
        sizes = []
        for numbers in (range(FIRST), range(FIRST, ALL)):
            list(pool.map(lambda number: _upload_and_look(cloud, number), numbers))
            sizes.append(process.memory_info().rss)
        print([size >> 20 for size in sizes], "MB")  # noqa: T201
        assert sizes[1] - sizes[0] < GROWTH
