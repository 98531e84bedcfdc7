"""reconcile and connect: staying in step with the library."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel.cli import agreeing, report, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, finish
from facelabel.cli.terminal import application, bar
from facelabel.core.counting import counted
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.bootstrap.app import App
    from facelabel.recognition.reconcile import LibraryDrift
    from facelabel.settings import Settings


@click.command(cls=Command, streams=True, examples=["reconcile --dry-run", "reconcile --force"])
@click.option("--dry-run", is_flag=True, help="Only say what was missed.")
@click.option("--force", is_flag=True, help="Also forget pictures when many are gone at once.")
@click.pass_obj
def reconcile(settings: Settings, *, dry_run: bool, force: bool) -> None:
    """Find what no notification told of, and look at it.

    Lists the training and the recognition folder and compares every picture with what is on
    record. `facelabel serve` does it when it starts and every reconcile_hours.
    """
    with application(settings) as app:
        if not dry_run:
            agreeing.keep_to_rules(app)
        with bar("comparing") as advance:
            missed = app.reconciler.diff_library(lambda done: advance(done, None))
        found = asdict(missed)
        terminal.answer(found)
        _print_missed(missed)
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
    cls=Command, examples=["connect --public-url https://faces.example.com", "connect --poll"]
)
@click.option("--poll", is_flag=True, help="No public address: fetch notifications instead.")
@click.option("--dry-run", is_flag=True, help="Only say what is there.")
@click.pass_obj
def connect(settings: Settings, *, poll: bool, dry_run: bool) -> None:
    """Have Cloudinary tell this installation of changes.

    Sets up the account's triggers: to the webhook at --public-url, or with --poll to a channel
    that `facelabel serve` fetches from. Triggers of others are left alone.
    """
    with application(settings) as app:
        if app.remote is None:
            raise Rejected(
                "the pictures are in a library of our own, which tells us anyway;"
                " set CLOUDINARY_URL to connect a Cloudinary account"
            )
        lines = list(actions.connect(app.remote, settings, poll=poll, dry_run=dry_run))
    terminal.answer({"told": lines})
    for line in lines:
        terminal.say(line)
