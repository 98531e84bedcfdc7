"""By what names are decided: said before anything is, and asked by `tag` alone.

Other commands go by the rules in force, whatever their settings say.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel import settings as configuration
from facelabel.bootstrap import core, rules_in_force
from facelabel.cli import parameters, report, terminal
from facelabel.core.counting import counted
from facelabel.errors import Rejected
from facelabel.recognition import name_changes
from facelabel.settings import given

if TYPE_CHECKING:
    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.rules_in_force import OtherRules
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.recognition.name_changes import NameChanges


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
    others = rules_in_force.others(app.pipeline)
    if others is None:
        rules_in_force.settle(app.pipeline, configured)
        _tell_how_to_keep(app, configured)
        return True
    changes = _changes(app)
    if changes:
        terminal.remark(_told(others, changes), style="yellow")
        report.print_costs(actions.costs(app, pictures=changes.unknown) if changes.unknown else ())
        if not (yes or _is_wanted(others)):
            return False
    _tell_how_to_keep(app, configured)
    with terminal.bar("deciding again") as advance:
        actions.decide_by_settings(app, configured, lambda turns: advance(turns, None))
    return True


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
        f"names were decided by {others.now} until now; by {_asked(others)}"
        f" {counted(changes.added, 'name')} would come and {changes.removed} would go, on"
        f" {counted(changes.pictures, 'picture')}"
    )
    if changes.elsewhere:
        pictures = counted(changes.elsewhere, "picture")
        told += f"; those of {pictures} would be written to the other places, too"
    if changes.unknown:
        told += f"; {counted(len(changes.unknown), 'picture')} would be searched for it"
    return told


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
    if terminal.is_terminal(sys.stdin) and terminal.is_terminal(sys.stderr):
        wanted = click.confirm("Decide again about them?", err=True)
        if not wanted:
            terminal.remark("they stay as they are")
        return wanted
    flags = _flags(others)
    if flags or others.calibrated:
        command = " ".join(filter(None, ("facelabel tag", flags, "--yes")))
        raise Rejected(f"nothing was done: `{command}` decides so")
    terminal.complain("they stay as they are: `facelabel tag --yes` decides again")
    return False


def _flags(others: OtherRules) -> str:
    """Flags of this command that ask for other rules, as they are written."""
    flags = parameters.flags()
    parts = [f"{configuration.flag(one.name)} {one.asked or repr('')}" for one in others.settings
             if one.name in flags]  # fmt: skip
    return " ".join(parts)


def _configured(app: App) -> LabelPolicy:
    """What settings say without this command's flags, which are for one run."""
    flags = parameters.flags()
    kept = {name: value for name, value in flags.items() if name not in core.RULE_SETTINGS}
    if kept == flags:
        return app.label_policy
    return core.label_policy(configuration.load(kept), app.label_policy.rules.calibration)


def _tell_how_to_keep(app: App, configured: LabelPolicy) -> None:
    """Of flags that say something else than the settings: how these could say it."""
    asked, said = core.rule_settings(app.label_policy), core.rule_settings(configured)
    for name in asked:
        if asked[name] != said[name]:
            terminal.remark(
                f"the settings still say {name} {said[name] or 'not set'}, and `facelabel tag`"
                f" without the flag will ask; to keep it, {given.keeping(name, asked[name])}"
            )
