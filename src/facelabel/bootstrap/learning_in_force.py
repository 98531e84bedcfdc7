"""By what people are learnt: the folders and labels that were agreed to, and those of the settings.

As with the rules by which names are decided (:mod:`.rules_in_force`): a flag is one command's, who
is known is everybody's. Whoever reads other settings goes by what was agreed to, or says who would
be forgotten, and asks. A service goes by settings that were changed, as long as few are forgotten.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.bootstrap import core
from facelabel.bootstrap.rules_in_force import OtherRules, differing
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.recognition import learning_changes

if TYPE_CHECKING:
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.recognition.learning_changes import LearningChanges
    from facelabel.recognition.pipeline import Pipeline
    from facelabel.settings import Settings

log = logging.getLogger(__name__)


def asked(settings: Settings, pipeline: Pipeline) -> Pipeline:
    """A pipeline that learns by the settings, on the ports of one that learns by what was agreed.

    On an account, where folders are may be a setting, too.
    """
    policy = core.label_policy(settings, pipeline.label_policy.rules.calibration)
    if policy.folder_mode == pipeline.label_policy.folder_mode:
        return replace(pipeline, label_policy=policy)
    from facelabel.bootstrap import remote  # noqa: PLC0415 - Cloudinary's SDK

    library = remote.build(settings, pipeline.queue, pipeline.clock).for_pipeline
    return replace(pipeline, label_policy=policy, library=library)


def others(pipeline: Pipeline, policy: LabelPolicy) -> OtherRules | None:
    """What a policy asks for; None where that is in force, or nothing is."""
    in_force = policy.learnt_by(pipeline.ledger.gallery().learning)
    settings = differing(in_force.learning_settings, policy.learning_settings)
    return OtherRules(settings, calibrated=False) if settings else None


def begin(pipeline: Pipeline, policy: LabelPolicy, configured: LabelPolicy) -> None:
    """Have people learnt by a policy where it was not said yet by what.

    ``configured``: what the settings say without what was given for this run alone. That is it
    where people are known: they were learnt by something else than a flag of this run.
    """
    state = pipeline.ledger.gallery()
    if state.learning is None:
        first = policy if state.collection is None else configured
        pipeline.ledger.learn_by(first.learning, configured.learning)


def settle(pipeline: Pipeline, policy: LabelPolicy, configured: LabelPolicy) -> None:
    """Note that settings ask for what is in force, so that a change of theirs is known for one."""
    state = pipeline.ledger.gallery()
    if (state.learning, state.learning_configured) != (policy.learning, configured.learning):
        pipeline.ledger.learn_by(policy.learning, configured.learning)


def agree(
    pipeline: Pipeline, policy: LabelPolicy, configured: LabelPolicy, changes: LearningChanges
) -> None:
    """Have people learnt by a policy from now on; whom that concerns is looked at.

    ``configured``: as for :func:`begin`.
    """
    pipeline.ledger.learn_by(policy.learning, configured.learning)
    concerned = {**changes.forgotten, **changes.learnt}
    pipeline.queue.enqueue_all([JobRequest(JobKind.ASSET, key) for key in concerned])


def learn_by_settings(pipeline: Pipeline, wanted: Pipeline) -> None:
    """Have people learnt by the settings from now on, whoever is forgotten by that.

    Args:
        pipeline: one that learns by what is in force …
        wanted: … and one that learns by the settings.

    """
    changes = learning_changes.between(pipeline.agreed(), wanted)
    agree(pipeline, wanted.label_policy, wanted.label_policy, changes)


def warn(pipeline: Pipeline, policy: LabelPolicy) -> None:
    """Log where the settings ask for something else than what is in force."""
    if learning := others(pipeline, policy):
        log.warning(
            "people are learnt by %s, as was agreed to, and not by %s of the settings:"
            " `facelabel index` changes that", learning.now, learning.asked,
        )  # fmt: skip


def serve_by_settings(pipeline: Pipeline, wanted: Pipeline) -> bool:
    """What a service does when it starts: go by its settings, if few are forgotten by that.

    Not where somebody agreed to something else than the settings say, as they still are. Logs what
    is done. Returns whether people are learnt by something else from now on.

    Args:
        pipeline: one that learns by what is in force …
        wanted: … and one that learns by the settings.

    """
    policy = wanted.label_policy
    begin(pipeline, policy, policy)
    learning = others(pipeline, policy)
    if learning is None:
        settle(pipeline, policy, policy)
        return False
    if pipeline.ledger.gallery().learning_configured == policy.learning:
        warn(pipeline, policy)
        return False
    changes = learning_changes.between(pipeline, wanted)
    count = counted(len(changes.forgotten), "portrait is", "portraits are")
    if changes.asks_back:
        log.error(
            "the settings changed, and people are still learnt by %s: by %s %s forgotten of %s that"
            " are in the library. `facelabel index` tells more, and `facelabel index --yes` has it"
            " so", learning.now, learning.asked, count, f"{len(changes.known):,}",
        )  # fmt: skip
        return False
    log.warning(
        "the settings changed: people are learnt by %s from now on, by %s until now; %s forgotten,"
        " %s learnt", learning.asked, learning.now, count, f"{len(changes.learnt):,}",
    )  # fmt: skip
    agree(pipeline, policy, policy, changes)
    return True
