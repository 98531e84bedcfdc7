"""Face collections in Amazon Rekognition's meaning, kept by engines of our own."""

from __future__ import annotations

from facelabel.gallery.face_collections import LocalCollections

__all__ = ["LocalCollections"]
