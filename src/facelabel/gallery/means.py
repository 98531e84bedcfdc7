"""The mean of a person's references as one reference more.

What several pictures of somebody have in common is the person; light, pose and age of each are
averaged away. So a face is compared with the mean as well, and the better of the two counts. A
person without a reference among the nearest is not looked at: the mean lies between references,
and helps whom they nearly show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from facelabel.core.model import EnrolledFace

    Vector = npt.NDArray[np.float64]
    #: Reference faces with their L2 distance, nearest first.
    Neighbours = Sequence[tuple[EnrolledFace, float]]

#: Whoever has more references is known from every side, and reading them all would take long.
MOST = 100


def of(references: Mapping[str, Sequence[bytes]]) -> Mapping[str, Vector]:
    """The mean of each person's unit vectors, as a unit vector; none where they cancel out."""
    sums = {
        person: np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1).sum(
            axis=0, dtype=np.float64
        )
        for person, vectors in references.items()
    }  # fmt: skip
    lengths = {person: float(np.linalg.norm(total)) for person, total in sums.items()}
    return {person: total / lengths[person] for person, total in sums.items() if lengths[person]}


def nearer(vector: bytes, near: Neighbours, means: Mapping[str, Vector]) -> Neighbours:
    """Where the mean of somebody is nearer than all their references, it stands for the nearest.

    A mean has no picture that could be shown: the reference that explains it is the nearest one.
    """
    found, seen = [], set()
    face = np.frombuffer(vector, "<f4").astype(np.float64)
    for reference, distance in near:
        mean = means.get(reference.person)
        if mean is not None and reference.person not in seen:
            distance = min(distance, float(np.linalg.norm(face - mean)))  # noqa: PLW2901 - the better
        seen.add(reference.person)
        found.append((reference, distance))
    return sorted(found, key=lambda one: one[1])
