"""Which faces of an image are good enough, and what is said of the others.

AUTO is what the engine itself calls good enough to enrol. The other bars are steps around it:
MEDIUM about the same, LOW takes faces that a person still recognises, HIGH only those as good as
a plain portrait. Every bar but NONE refuses the faces that the engine finds too small.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.gallery import QualityFilter
from facelabel.model import Reason
from facelabel.quality import Bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.model import Analysis, Face, Template


#: The engine has judged the size by now.
_NO_MATTER = (0, 0)
_BARS = {
    QualityFilter.LOW: Bar(confidence=60, sharpness=25, brightness=10, yaw=60, pitch=50),
    QualityFilter.MEDIUM: Bar(confidence=70, sharpness=40, brightness=15, yaw=45, pitch=40),
    QualityFilter.HIGH: Bar(confidence=85, sharpness=55, brightness=25, yaw=30, pitch=25),
}


def reasons(face: Face, quality: QualityFilter) -> tuple[Reason, ...]:
    """Return what is too poor in a face for this filter; nothing where it passes."""
    if quality is QualityFilter.NONE:
        return ()
    if quality is QualityFilter.AUTO:
        return face.reasons
    return tuple(_below(_BARS[quality], face))


def passing(analysis: Analysis, quality: QualityFilter) -> list[Template]:
    """Return the faces that pass, largest first."""
    return [template for template in analysis.templates if not reasons(template.face, quality)]


def selected(
    analysis: Analysis, quality: QualityFilter, limit: int
) -> tuple[list[tuple[int, Template]], list[Face]]:
    """Return up to ``limit`` faces with their places in the analysis, and the others with reasons.

    Of too many the poorest are left out first, then the smallest.
    """
    templates = analysis.templates
    good = [at for at, template in enumerate(templates) if not reasons(template.face, quality)]
    best = set(sorted(good, key=lambda at: (len(templates[at].face.reasons), at))[:limit])
    left = [template.face for at, template in enumerate(templates) if at not in best]
    return (
        [(at, templates[at]) for at in good if at in best],
        [*(_with(face, reasons(face, quality)) for face in left), *_beyond(analysis)],
    )


def others(
    analysis: Analysis, searched: Template | None, quality: QualityFilter
) -> tuple[Face, ...]:
    """Return the faces that were not searched for, with the filter's reasons."""
    unsearched = (template.face for template in analysis.templates if template is not searched)
    return (
        *(replace(face, reasons=reasons(face, quality)) for face in unsearched),
        *_beyond(analysis),
    )


def _beyond(analysis: Analysis) -> Sequence[Face]:
    """Return the faces beyond the engine's own limit, with no other reason than that."""
    return [_with(face, ()) for face in analysis.left_out]


def _with(face: Face, why: tuple[Reason, ...]) -> Face:
    return replace(face, reasons=why or (Reason.EXCEEDS_MAX_FACES,))


def _below(bar: Bar, face: Face) -> Iterator[Reason]:
    if Reason.SMALL_BOUNDING_BOX in face.reasons:
        yield Reason.SMALL_BOUNDING_BOX
    yield from bar.reasons(face, _NO_MATTER)
