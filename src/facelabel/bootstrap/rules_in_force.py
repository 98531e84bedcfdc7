"""By what names are decided: the rules in force, which the store keeps, and those of the settings.

Settings are a process's own, a flag is one command's, and names are everybody's. So the rules that
decide are one for all, and no process changes them because its settings say otherwise: somebody
agrees to that. A service cannot ask; it goes by its settings where they are not those that were
there when other rules were last agreed to.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.bootstrap.core import rule_settings
from facelabel.core.jobs import JobKind
from facelabel.recognition.live_gallery import SWEEP_DELAY, SWEEP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facelabel.core.label_policy import LabelPolicy
    from facelabel.recognition.pipeline import Pipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting by which names would be decided otherwise."""

    name: str
    #: As it is in force …
    now: str
    #: … and as the settings say.
    asked: str


@dataclass(frozen=True, slots=True)
class OtherRules:
    """Where the settings of a process ask for other rules than those in force."""

    settings: tuple[Setting, ...]
    #: Whether similarities mean something else than when they were agreed to: nobody can decide by
    #: what they meant.
    calibrated: bool

    @property
    def now(self) -> str:
        """What is in force, such as "confidence_threshold 95"."""
        return _listed((one.name, one.now) for one in self.settings) or "an earlier calibration"

    @property
    def asked(self) -> str:
        """What the settings say."""
        return _listed((one.name, one.asked) for one in self.settings) or "the calibration of today"


def differing(now: Mapping[str, str], asked: Mapping[str, str]) -> tuple[Setting, ...]:
    """The settings that are asked to be something else than they are in force."""
    return tuple(
        Setting(name, now[name], asked[name]) for name in asked if now[name] != asked[name]
    )


def _listed(settings: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value or 'not set'}" for name, value in settings)


def others(pipeline: Pipeline) -> OtherRules | None:
    """What the settings of a pipeline ask for; None where that is in force, or nothing is."""
    policy, rules = pipeline.label_policy, pipeline.ledger.gallery().rules
    if rules in {None, policy.fingerprint}:
        return None
    before = policy.under(rules)
    settings = differing(rule_settings(before), rule_settings(policy))
    return OtherRules(settings, calibrated=before.fingerprint != rules)


def begin(pipeline: Pipeline, configured: LabelPolicy) -> None:
    """Have the rules of these settings in force where there are none yet.

    ``configured``: what the settings say without what was given for this run alone.
    """
    if pipeline.ledger.gallery().rules is None:
        pipeline.ledger.decide_by(pipeline.label_policy.fingerprint, configured.fingerprint)


def warn(pipeline: Pipeline) -> None:
    """Log where the settings ask for something else than what is in force."""
    if rules := others(pipeline):
        log.warning(
            "names are decided by %s, as was agreed to, and not by %s of the settings:"
            " `facelabel tag` changes that", rules.now, rules.asked,
        )  # fmt: skip


def settle(pipeline: Pipeline, configured: LabelPolicy) -> None:
    """Note that settings ask for what is in force, so that a change of theirs is known for one."""
    policy, state = pipeline.label_policy, pipeline.ledger.gallery()
    if state.rules == policy.fingerprint and state.configured != configured.fingerprint:
        pipeline.ledger.decide_by(policy.fingerprint, configured.fingerprint)


def agree(pipeline: Pipeline, configured: LabelPolicy) -> None:
    """Have names decided by the rules of these settings from now on, and decide again.

    ``configured``: as for :func:`begin`.
    """
    # Promised before: who dies in between leaves it to somebody, and nobody could tell later.
    pipeline.queue.enqueue(JobKind.SWEEP, SWEEP_KEY, delay=SWEEP_DELAY)
    pipeline.ledger.decide_by(pipeline.label_policy.fingerprint, configured.fingerprint)
    pipeline.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)


def serve_by_settings(pipeline: Pipeline) -> None:
    """What a service does when it starts: go by its settings, unless somebody wanted otherwise.

    That is somebody who agreed to other rules than those in the settings, as they still are. Logs
    what is done.
    """
    policy, rules = pipeline.label_policy, others(pipeline)
    if rules is None:
        begin(pipeline, policy)
        settle(pipeline, policy)
    elif pipeline.ledger.gallery().configured == policy.fingerprint:
        warn(pipeline)
    else:
        log.warning(
            "the settings changed: names are decided by %s from now on, by %s until now",
            rules.asked, rules.now,
        )  # fmt: skip
        agree(pipeline, policy)
