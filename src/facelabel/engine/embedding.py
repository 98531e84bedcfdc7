"""Chips to unit vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from facelabel.engine.alignment import chips
from facelabel.engine.devices import Device
from facelabel.engine.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image

    from facelabel.engine.models import manifest
    from facelabel.engine.network import Floats, Pixels


class Embeddings:
    """The embedders of a pack, whose vectors are put together."""

    def __init__(
        self,
        models: Sequence[Path],
        pack: manifest.Pack,
        *,
        threads: int,
        device: Device = Device.CPU,
    ) -> None:
        """Take the converted models, in the order of the pack."""
        total = sum(recipe.weight for recipe in pack.embedders)
        self._parts = [
            (
                recipe,
                Embedding(model, recipe, threads=threads, device=device),
                math.sqrt(recipe.weight / total),
            )
            for model, recipe in zip(models, pack.embedders, strict=True)
        ]

    def embed(self, picture: Image.Image, landmarks: Floats) -> tuple[Floats, Floats]:
        """Embed the faces with these landmarks (n, 5, 2).

        Returns:
            Unit vectors (n, dimensions), and how long those of each embedder were before they
            were scaled to one, (n, embedders). Each embedder has a scale of its own, and half of
            a vector that says nothing is enough to make two people alike: so the lengths are not
            put together.

        """
        vectors, norms = [], []
        for recipe, embedding, factor in self._parts:
            raw = embedding.embed(chips(picture, landmarks, recipe.template, recipe.size))
            norms.append(np.linalg.norm(raw, axis=1, keepdims=True))
            # A vector of zeros, which no face gives, stays one.
            vectors.append(factor * raw / np.maximum(norms[-1], np.finfo(np.float32).tiny))
        return np.concatenate(vectors, axis=1), np.concatenate(norms, axis=1)


class Embedding:
    """A face recognition network, used as its pack's manifest says."""

    def __init__(
        self,
        model: Path,
        recipe: manifest.Embedder,
        *,
        threads: int,
        device: Device = Device.CPU,
    ) -> None:
        """Take the converted model, whose batch dimension is free."""
        shape = (None, 3, recipe.size, recipe.size)
        self._network = Network(model, threads=threads, device=device, expects=shape)
        self._batch = device.batch
        self._mean = np.array(recipe.mean, np.float32)
        self._scale = np.float32(recipe.scale)
        self._channels = slice(None) if recipe.order == "RGB" else slice(None, None, -1)
        self._dimensions = recipe.dimensions
        self._views = recipe.views

    def embed(self, chips: Pixels) -> Floats:
        """Return the vectors (n, dimensions), of any length, of RGB chips (n, size, size, 3).

        With two views each is the mean of the face and its mirror image: what the two sides of a
        face have in common is the person, the rest is light and pose. The mean, not the sum, so
        that lengths say the same with one view and with two.
        """
        views = (chips, chips[:, :, ::-1])[: self._views]
        all_ = np.stack(views, axis=1).reshape(-1, *chips.shape[1:])
        raw = [
            self.raw(all_[start : start + self._batch])
            for start in range(0, len(all_), self._batch)
        ]
        if not raw:
            return np.empty((0, self._dimensions), np.float32)
        mean: Floats = np.concatenate(raw).reshape(len(chips), self._views, -1).mean(axis=1)
        return mean

    def raw(self, chips: Pixels) -> Floats:
        """Return the network's own output (n, dimensions) for one batch of RGB chips."""
        scaled = (chips[..., self._channels].astype(np.float32) - self._mean) / self._scale
        tensor = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
        return self._network.run(tensor)[0].reshape(len(chips), -1)
