"""Small things to test with: a face, a vector, an image that says who is on it."""

from __future__ import annotations

import json
import math
import struct

from facelabel.core.model import Box, Face, Pose


def some_face(left: float = 0.3, width: float = 0.2) -> Face:
    """A plain good face, for tests that need one."""
    box = Box(left, 0.3, width, width)
    eyes_nose_mouth = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((left + x * width, 0.3 + y * width) for x, y in eyes_nose_mouth)
    return Face(box, points, 99.0, 80.0, 60.0, Pose(0.0, 0.0, 0.0))


def portrait(*people: str) -> bytes:
    """An "image" that shows these people, for :class:`MemoryRecognizer`."""
    return json.dumps({"people": people}).encode()


def vector(*numbers: float) -> bytes:
    """The numbers as the bytes of a unit vector."""
    length = math.hypot(*numbers)
    return struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers))
