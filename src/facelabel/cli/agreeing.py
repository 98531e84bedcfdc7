"""By what names are decided and people learnt: said before anything is, and asked.

`tag` asks by what names are decided, `index` and `reconcile` by what people are learnt. Other
commands go by what is in force, whatever their settings say.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from facelabel import absence, actions
from facelabel import settings as configuration
from facelabel.bootstrap import core, learning_in_force, rules_in_force
from facelabel.cli import parameters, report, terminal
from facelabel.cli.framework import ask, confirm
from facelabel.core.counting import counted
from facelabel.errors import Rejected
from facelabel.recognition import learning_changes, name_changes
from facelabel.settings import given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.rules_in_force import OtherRules
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.recognition.learning_changes import LearningChanges
    from facelabel.recognition.name_changes import NameChanges
    from facelabel.settings import Settings


@contextmanager
def application(
    settings: Settings, *, asks: bool = False, yes: bool = False, dry_run: bool = False
) -> Iterator[App]:
    """The application for a command that works, which learns by what is in force.

    Says so where its settings ask for something else. Raises Rejected where flags of the command
    itself do, and where nobody could be asked or said no.

    Args:
        settings: the command's.
        asks: whether people are learnt by these from now on, if that is wanted …
        yes: … which needs no question …
        dry_run: … or is only told.

    """
    with ExitStack() as stack:
        app = stack.enter_context(terminal.application(settings))
        if _learns_otherwise(app, asks=asks, yes=yes, dry_run=dry_run):
            stack.close()
            app = stack.enter_context(terminal.application(settings))
        yield app


def _learns_otherwise(app: App, *, asks: bool, yes: bool, dry_run: bool) -> bool:
    """Whether people are learnt by something else from now on."""
    wanted = app.asked
    policy, configured = wanted.label_policy, _learning_configured(app)
    learning_in_force.begin(app.pipeline, policy, configured)
    now = app.pipeline.agreed()
    others = learning_in_force.others(now, policy)
    if others is None:
        learning_in_force.settle(now, policy, configured)
        return False
    if not (asks or absence.knows_nobody(app.ledger)):  # whom it would concern is not looked for
        _keep_learning(others)
        return False
    with terminal.bar("comparing labels"):
        changes = learning_changes.between(now, wanted)
    if changes and not asks:
        _keep_learning(others)
        return False
    if changes:
        terminal.remark(_told_of_learning(others, changes), style="yellow")
        if not (yes or dry_run):
            _ask_to_learn(others)
        if not dry_run:
            said = configured.learning_settings
            _tell_how_to_keep(said, policy.learning_settings, "`facelabel index`")
    if not dry_run:
        learning_in_force.agree(now, policy, configured, changes)
    return not dry_run


def _keep_learning(others: OtherRules) -> None:
    """Say that people are learnt by what is in force; Rejected where flags ask for another.

    A flag that says where names go may name a field that labels, too: that it goes on as before.
    """
    flags = _flags(others)
    if flags and [one.name for one in others.settings] != ["people_field"]:
        raise Rejected(
            f"people are learnt by {others.now}, and this command does not change that:"
            f" `facelabel index {flags} --dry-run` says who would be forgotten"
        )
    terminal.remark(
        f"people are learnt by {others.now}, as was agreed to, and not by {_asked(others)}:"
        " `facelabel index` changes that"
    )


def _told_of_learning(others: OtherRules, changes: LearningChanges) -> str:
    """Who would be forgotten and learnt, in a sentence."""
    forgotten, learnt = len(changes.forgotten), len(changes.learnt)
    told = f"people were learnt by {others.now} until now; by {_asked(others)}"
    if forgotten:
        people = counted(changes.people_forgotten, "person", "people")
        told += (
            f" {forgotten:,} of {counted(len(changes.known), 'portrait')} would be forgotten,"
            f" though still in the library, and {people} with them;"
        )
    if learnt:
        people = counted(changes.people_learnt, "new person", "new people")
        told += f" {counted(learnt, 'portrait')} would be learnt, of {people}"
    return told.rstrip(";")


def _ask_to_learn(others: OtherRules) -> None:
    """Go on where it is wanted; Rejected where nobody is there to be asked."""
    if terminal.can_ask():
        confirm("Learn by that from now on?")
        return
    name = click.get_current_context().info_name
    command = " ".join(filter(None, ("facelabel", name, _flags(others), "--yes")))
    raise Rejected(f"nothing was done: `{command}` has it so")


def _learning_configured(app: App) -> LabelPolicy:
    """What settings say of learning without this command's flags, which are for one run."""
    policy = app.asked.label_policy
    return _without_flags(policy, {*policy.learning_settings, "names_to"})


def agree_to_model(app: App, model: str, *, yes: bool) -> None:
    """Say that a rebuild changes the models that people are learnt with; ask, if somebody is there.

    click.Abort where that is not wanted. ``yes``: it is.
    """
    from facelabel.bootstrap.app import live_model  # noqa: PLC0415 - help needs no engine

    now = live_model(app.ledger, app.recognizer)
    if now in {None, model}:
        return
    pack = given.settings(parameters.flags()).get("pack")
    said = f"pack, {pack.source}" if pack else "pack, default"
    terminal.remark(
        f"people were learnt with {now} until now; they are learnt anew with {model} (setting"
        f" {said}), whose similarities are others",
        style="yellow",
    )
    if not yes and terminal.can_ask():
        confirm("Go on with these models?")


def keep_to_rules(app: App) -> None:
    """Have a command decide by the rules in force; say so where its settings ask for others.

    Raises Rejected where they are asked for by flags of the command itself.
    """
    rules_in_force.begin(app.pipeline, _configured(app))
    others = rules_in_force.others(app.pipeline)
    if others is None:
        return
    if flags := _flags(others):
        raise Rejected(
            f"names are decided by {others.now}, and this command does not change that:"
            f" `facelabel tag {flags} --dry-run` says how many names would change"
        )
    if others.calibrated:
        terminal.warn(
            "similarities mean something else than when names were last decided, by a calibration"
            " on people of your own: `facelabel tag` decides about every picture"
        )
    if others.settings:
        terminal.remark(
            f"names are decided by {others.now}, as was agreed to, and not by"
            f" {_asked(others)}: `facelabel tag` changes that"
        )


def agreed(app: App, *, yes: bool) -> bool:
    """Whether names are decided by the settings of this command, which was asked where they were.

    False where that is not to be, or nobody could be asked: then by the rules in force. Raises
    Rejected where these are no choice.
    """
    configured = _configured(app)
    rules_in_force.begin(app.pipeline, configured)
    others, told = rules_in_force.others(app.pipeline), None
    while others != told:  # once more where others agreed to something while somebody was asked
        if others is not None and not _is_agreed(app, others, yes=yes):
            return False
        others, told = rules_in_force.others(app.pipeline), others
    _tell_how_to_keep_rules(app, configured)
    if others is None:
        rules_in_force.settle(app.pipeline, configured)
        return True
    with terminal.bar("deciding again") as advance:
        actions.decide_by_settings(app, configured, lambda turns: advance(turns, None))
    return True


def _is_agreed(app: App, others: OtherRules, *, yes: bool) -> bool:
    """Say what would change, and ask where anything would; ``yes``: without asking."""
    changes = _changes(app)
    if not changes:
        return True
    terminal.remark(_told(others, changes), style="yellow")
    report.print_costs(actions.costs(app, pictures=changes.unknown) if changes.unknown else ())
    return yes or _is_wanted(others)


def tell(app: App) -> None:
    """Say what would change if names were decided by the settings of this command."""
    if others := rules_in_force.others(app.pipeline):
        terminal.say(_told(others, _changes(app)))


def _changes(app: App) -> NameChanges:
    with terminal.bar("counting names that change") as advance:
        return name_changes.under_settings(app.pipeline, lambda done: advance(done, None))


def _told(others: OtherRules, changes: NameChanges) -> str:
    """What would change, in a sentence."""
    told = (
        f"names were decided by {others.now} until now; with {_asked(others)}, {_counts(changes)}"
    )
    if changes.elsewhere:
        pictures = counted(changes.elsewhere, "picture")
        told += f"; those of {pictures} would be written to the other places, too"
    if changes.unknown:
        told += f"; {counted(len(changes.unknown), 'picture')} would be searched for it"
    return told


def _counts(changes: NameChanges) -> str:
    """Such as "2 names would come and 5 would go, on 4 pictures"."""
    pictures = counted(changes.pictures, "picture")
    if changes.added and changes.removed:
        both = f"{counted(changes.added, 'name')} would come and {changes.removed:,} would go"
        return f"{both}, on {pictures}"
    if changes.added:
        return f"{counted(changes.added, 'name')} would come, on {pictures}"
    if changes.removed:
        return f"{counted(changes.removed, 'name')} would go from {pictures}"
    return "no name would come or go"


def _asked(others: OtherRules) -> str:
    """What the settings say, each with where it is said."""
    sources = given.settings(parameters.flags())
    parts = [
        f"{one.name} {one.asked or 'not set'}"
        f" ({sources[one.name].source if one.name in sources else 'default'})"
        for one in others.settings
    ]
    return ", ".join(parts) or others.asked


def _is_wanted(others: OtherRules) -> bool:
    """Ask, where somebody is there; Rejected where nobody is and one has to know."""
    if terminal.can_ask():
        wanted = ask("Decide again about them?")
        if not wanted:
            terminal.remark("they stay as they are")
        return wanted
    flags = _flags(others)
    if flags or others.calibrated:
        command = " ".join(filter(None, ("facelabel tag", flags, "--yes")))
        raise Rejected(f"nothing was done: `{command}` decides so")
    terminal.warn("they stay as they are: `facelabel tag --yes` decides again")
    return False


def _flags(others: OtherRules) -> str:
    """Flags of this command that ask for other rules, as they are written."""
    flags = parameters.flags()
    asked = {one.name: one.asked for one in others.settings}
    if "people_field" in asked and "names_to" in flags:  # which has a field of its own
        asked.setdefault("names_to", str(flags["names_to"]))
    parts = [f"{configuration.flag(name)} {shlex.quote(value)}" for name, value in asked.items()
             if name in flags]  # fmt: skip
    return " ".join(parts)


def _configured(app: App) -> LabelPolicy:
    """What settings say without this command's flags, which are for one run."""
    return _without_flags(app.label_policy, core.RULE_SETTINGS)


def _without_flags(policy: LabelPolicy, names: Collection[str]) -> LabelPolicy:
    """A policy of this command's settings as it is without its flags of these names."""
    flags = parameters.flags()
    kept = {name: value for name, value in flags.items() if name not in names}
    if kept == flags:
        return policy
    return core.label_policy(configuration.load(kept), policy.rules.calibration)


def _tell_how_to_keep_rules(app: App, configured: LabelPolicy) -> None:
    said, asked = core.rule_settings(configured), core.rule_settings(app.label_policy)
    _tell_how_to_keep(said, asked, "`facelabel tag`")


def _tell_how_to_keep(said: Mapping[str, str], asked: Mapping[str, str], asking: str) -> None:
    """Of flags that say something else than the settings: how these could say it."""
    for one in rules_in_force.differing(said, asked):
        terminal.remark(
            f"the settings still say {one.name} {one.now or 'not set'}, and {asking} without the"
            f" flag will ask; to keep it, {given.keeping(one.name, one.asked)}"
        )
