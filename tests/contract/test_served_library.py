"""Cloudinary as the library, wired as the program wires it, talking to ``facelabel serve``."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.contract.test_library import LibraryContract, known
from tests.e2e.conftest import Program
from tests.e2e.served import Cloud, serving

from facelabel import settings
from facelabel.adapters.clock import SystemClock
from facelabel.bootstrap import remote
from facelabel.testing import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from facelabel.core.model import Asset
    from facelabel.media.ports import EditableLibrary


def png(name: str) -> bytes:
    """A picture that stands for a name: noise of its own, coarse enough for JPEG."""
    noise = np.random.default_rng(list(name.encode())).integers(0, 255, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((160, 120), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def pixels(data: bytes) -> NDArray[np.float32]:
    """The picture, in numbers."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.float32)


class ServedContract(LibraryContract):
    """Over HTTP, to the program itself."""

    #: Pages have 500; listing so many is tested without a process between.
    many = 25
    ANN, BOB = png("Ann"), png("Bob")

    def picture(self, name: str) -> bytes:
        """A picture of its own."""
        return png(name)

    def listed(self, asset: Asset | None) -> dict[str, object]:
        """Everything but the etag, which Cloudinary's lists do not tell."""
        return {**known(asset), "etag": None}

    def assert_shows(self, fetched: bytes, data: bytes) -> None:
        """It comes as a JPEG of the same picture."""
        assert fetched.startswith(b"\xff\xd8\xff")
        assert np.abs(pixels(fetched) - pixels(data)).mean() < 8

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """CLOUDINARY_URL of ``facelabel serve``, recognising nobody."""
        folder = tmp_path_factory.mktemp("account")
        environment = {
            **os.environ, "FACELABEL_DATA": str(folder / "data"), "FACELABEL_LIBRARY": "local",
            "trainingFolder": "no-training", "faceRecognitionFolder": "no-assets",
            "FACELABEL_FOLDER_MODE": "fixed" if cls.fixed_folders else "dynamic",
        }  # fmt: skip
        with serving(Program(environment, folder)) as served:
            yield served.cloudinary_url

    @pytest.fixture
    def library(self, account: str) -> EditableLibrary:
        """An account without pictures."""
        empty(Cloud.of(account))
        chosen = settings.load({"cloudinary_url": account, "library": "cloudinary"})
        clock = SystemClock()
        return remote.build(chosen, MemoryQueue(clock), clock).library


def empty(cloud: Cloud) -> None:
    """Delete everything."""
    cloud.call("delete_all_resources")
    for field in cloud.call("list_metadata_fields")["metadata_fields"]:
        cloud.call("delete_metadata_field", field["external_id"])


class TestServedDynamicFolders(ServedContract):
    """Folders apart from public_ids."""


class TestServedFixedFolders(ServedContract):
    """Folders as beginnings of public_ids."""

    fixed_folders = True
