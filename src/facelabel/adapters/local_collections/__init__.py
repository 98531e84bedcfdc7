"""Face collections in Amazon Rekognition's meaning, kept by engines of our own."""

from __future__ import annotations

from facelabel.adapters.local_collections.collections import LocalCollections

__all__ = ["LocalCollections"]
