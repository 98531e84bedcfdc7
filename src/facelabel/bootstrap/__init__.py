"""Builds the application from settings: the only package that picks adapters.

The database is opened, and brought to this code's schema, at once; models are loaded (and pulled,
at the very first use) when the first face is looked at.
"""

from __future__ import annotations

from facelabel.bootstrap.app import App, Samples, opened, sample_photos
from facelabel.bootstrap.engines import Engines, ModelFileState, PackState

__all__ = [
    "App",
    "Engines",
    "ModelFileState",
    "PackState",
    "Samples",
    "opened",
    "sample_photos",
]
