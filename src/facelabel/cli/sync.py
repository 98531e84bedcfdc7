"""reconcile and connect: staying in step with the library."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel.bootstrap.connecting import Connector
from facelabel.cli import agreeing, nothing, report, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, finish
from facelabel.cli.terminal import application, bar
from facelabel.core.counting import counted
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.connecting import Triggers
    from facelabel.bootstrap.remote import Report, Trigger
    from facelabel.recognition.reconcile import LibraryDrift
    from facelabel.settings import Settings

#: Of more triggers than that it is not said what each is of.
_NAMED = 3


@click.command(cls=Command, streams=True, examples=["reconcile --dry-run", "reconcile --force"])
@click.option("--dry-run", is_flag=True, help="Only say what was missed.")
@click.option("--force", is_flag=True, help="Also forget pictures when many are gone at once.")
@click.option(
    "--yes", is_flag=True, help="Learn by other folders or labels than until now without asking."
)
@click.pass_obj
def reconcile(settings: Settings, *, dry_run: bool, force: bool, yes: bool) -> None:
    """Find what no notification told of, and look at it.

    Lists the training and the recognition folder and compares every picture with what is on
    record. `facelabel serve` does it when it starts and every reconcile_hours.

    Where the settings say of other pictures that they teach than until now, it says how many would
    be forgotten and learnt, and asks.
    """
    with agreeing.application(settings, asks=True, yes=yes, dry_run=dry_run) as app:
        if not dry_run:
            agreeing.keep_to_rules(app)
        with bar("comparing") as advance:
            missed = app.reconciler.diff_library(lambda done: advance(done, None))
        found = asdict(missed)
        terminal.answer(found)
        _print_missed(missed)
        if not missed.listed:
            terminal.warn(nothing.kept(app.label_policy))
        if dry_run:
            report.print_costs(actions.costs(app, pictures=[*missed.changed, *missed.gone]))
            return
        if not force:
            missed.check()
        app.reconciler.look_at(missed)
        _work(app, found)


def _print_missed(missed: LibraryDrift) -> None:
    changed, gone = len(missed.changed), len(missed.gone)
    listed = counted(missed.listed, "picture")
    terminal.say(f"{listed} listed: {changed:,} to look at, {gone:,} gone")


def _work(app: App, found: Mapping[str, object]) -> None:
    with tallying.working(app, "working") as tally:
        tallying.drain(app, tally)
    terminal.say(tallying.summary(app, tally))
    terminal.answer({**found, **tally.result()})
    finish(refused=tally.refused, waiting=tally.waiting)


@click.command(
    cls=Command,
    examples=[
        "connect --public-url https://faces.example.com", "connect --poll", "connect --remove",
    ],
)  # fmt: skip
@click.option("--poll", is_flag=True, help="No public address: fetch notifications instead.")
@click.option("--remove", is_flag=True, help="Take away all triggers of this installation.")
@click.option(
    "--former", multiple=True, metavar="ADDRESS",
    help="An address or channel that was ours: its triggers are, too. May be given several times.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what is there.")
@click.pass_obj
def connect(
    settings: Settings, *, poll: bool, remove: bool, former: tuple[str, ...], dry_run: bool
) -> None:
    """Have Cloudinary tell this installation of changes.

    Sets up the account's triggers: to the webhook at --public-url, or with --poll to a channel
    that `facelabel serve` fetches from. Those that went elsewhere before go with it, those of
    others are left alone.
    """
    if poll and remove:
        raise click.UsageError("give one of --poll and --remove")
    with application(settings) as app:
        if app.remote is None:
            raise Rejected(
                "the pictures are in a library of our own, which tells us anyway;"
                " set CLOUDINARY_URL to connect a Cloudinary account"
            )
        connector = Connector(app.remote, settings)
        if dry_run:
            _tell_triggers(connector.triggers())
        elif remove:
            removed = connector.remove(former)
            _tell({"removed": removed})
            if not removed:
                terminal.say("no trigger of this account is known to be ours")
        else:
            _tell_connection(connector.connect(poll=poll, former=former), poll=poll)
        _offer(connector.triggers(), poll=poll)


def _tell_connection(report: Report, *, poll: bool) -> None:
    told = {
        "made": report.created, "changed": report.updated, "there already": report.kept,
        "removed": report.removed, "of others, left alone": report.others,
    }  # fmt: skip
    _tell(told)
    how = "fetches them" if poll else "answers at that address"
    terminal.say(f"connected: notifications arrive while `facelabel serve` {how}")


def _tell_triggers(found: Triggers) -> None:
    _tell(
        {
            "ours": found.ours,
            "ours, to where we do not listen": found.dead,
            "probably ours": found.probable,
            "of others": found.others,
        }
    )


def _tell(sorted_: Mapping[str, Sequence[Trigger]]) -> None:
    """Name the triggers behind what is said of them, those of one address together."""
    terminal.answer({"triggers": [
        {"id": one.id, "event": one.event_type, "uri": one.uri, "is": what}
        for what, triggers in sorted_.items() for one in triggers
    ]})  # fmt: skip
    for what, triggers in sorted_.items():
        events: dict[str, list[str]] = {}
        for one in triggers:
            events.setdefault(one.uri, []).append(one.event_type)
        for uri, some in events.items():
            which = f" ({', '.join(some)})" if len(some) <= _NAMED else ""
            terminal.say(f"{what}: {counted(len(some), 'trigger')} to {uri}{which}")


def _offer(found: Triggers, *, poll: bool) -> None:
    """Say how those become ours, or go, that may be."""
    command = "facelabel connect --poll" if poll else "facelabel connect"
    for uri, count in found.maybe.items():
        terminal.remark(
            f"{counted(count, 'trigger')} to {uri}: if that was this installation before,"
            f" `{command} --former {uri}` takes over, `facelabel connect --remove --former {uri}`"
            " takes them away"
        )
