"""Which faces of an image are good enough, and what is said of the others.

AUTO is what the engine itself calls good enough to enrol. The other bars are steps around it:
MEDIUM about the same, LOW takes faces that a person still recognises, HIGH only those as good as
a plain portrait. Every bar but NONE refuses the faces that the engine finds too small.

A search compares with faces that passed a bar when they were indexed. Where two images are
compared, and among faces on their way into an index, nobody has chosen either side: there a filter
asks for :class:`facelabel.core.quality.Comparable` as well. Whoever asks for LOW takes less sharp
faces than that rule does, but none in which the embedder sees nobody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.core.model import Reason
from facelabel.core.quality import QualityThresholds
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.core.model import Analysis, Face, Template
    from facelabel.core.quality import Comparable

#: The engine has judged the size by now.
_NO_MATTER = (0, 0)
_BARS = {
    QualityFilter.LOW: QualityThresholds(
        confidence=60, sharpness=25, brightness=10, yaw=60, pitch=50
    ),
    QualityFilter.MEDIUM: QualityThresholds(
        confidence=70, sharpness=40, brightness=15, yaw=45, pitch=40
    ),
    QualityFilter.HIGH: QualityThresholds(
        confidence=85, sharpness=55, brightness=25, yaw=30, pitch=25
    ),
}


def reasons(face: Face, quality: QualityFilter) -> tuple[Reason, ...]:
    """Return what is too poor in a face for this filter; nothing where it passes."""
    if quality is QualityFilter.NONE:
        return ()
    if quality is QualityFilter.AUTO:
        return face.reasons
    return tuple(_below(_BARS[quality], face))


def passing(analysis: Analysis, quality: QualityFilter) -> list[Template]:
    """Return the faces to search for that pass, largest first."""
    return [template for template in analysis.templates if not reasons(template.face, quality)]


def comparable(analysis: Analysis, quality: QualityFilter, rule: Comparable) -> list[Template]:
    """Return the faces that pass and can be compared with those of another image, largest first."""
    return [one for one in analysis.templates if not _against(one, quality, rule)]


def selected(
    analysis: Analysis, quality: QualityFilter, limit: int, rule: Comparable
) -> tuple[list[tuple[int, Template]], list[Face]]:
    """Return up to ``limit`` faces with their places in the analysis, and the others with reasons.

    Of too many the poorest are left out first, then the smallest.
    """
    templates = analysis.templates
    against = [_against(template, quality, rule) for template in templates]
    good = [at for at, why in enumerate(against) if not why]
    ranked = sorted((len(templates[at].face.reasons), at) for at in good)
    best = {at for _, at in ranked[:limit]}
    left = [at for at in range(len(templates)) if at not in best]
    return (
        [(at, templates[at]) for at in good if at in best],
        [*(_with(templates[at].face, against[at]) for at in left), *_beyond(analysis)],
    )


def _against(template: Template, quality: QualityFilter, rule: Comparable) -> tuple[Reason, ...]:
    """What the filter and the rule have against a face; each reason once."""
    if quality is QualityFilter.NONE:
        return ()
    if quality is QualityFilter.LOW:
        rule = replace(rule, sharpness=_BARS[quality].sharpness)
    return tuple(dict.fromkeys((*reasons(template.face, quality), *rule.reasons(template))))


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


def _below(bar: QualityThresholds, face: Face) -> Iterator[Reason]:
    if Reason.SMALL_BOUNDING_BOX in face.reasons:
        yield Reason.SMALL_BOUNDING_BOX
    yield from bar.reasons(face, _NO_MATTER)
