"""models: which packs there are, get them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel.cli import report, terminal
from facelabel.cli.framework import Command, Group, argument
from facelabel.cli.terminal import application
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from facelabel.settings import Settings


@click.group(cls=Group)
def models() -> None:
    """Show the face models and their licences; get and check them."""


@models.command("list", cls=Command, verbose="origin and checksum of each file")
@click.pass_obj
def list_(settings: Settings) -> None:
    """List the packs: files, licence, size; where they come from."""
    with application(settings) as app:
        packs = app.engines.packs()
    terminal.answer(packs)
    for pack in packs:
        state = "installed" if pack.installed else "not installed"
        terminal.give(pack.name, f"{pack.name} ({pack.model}, {state}): {pack.summary}")
        if pack.own:
            terminal.say(f"  {report.calibrated(pack.own)}")
        for file in pack.files:
            terminal.say(f"  {file.name}, {file.licence}, {file.bytes / 1e6:.1f} MB")
            if terminal.is_verbose():
                terminal.say(f"    from {file.origin}")
                terminal.say(f"    sha256 {file.sha256}")


@models.command(cls=Command, examples=["models pull opencv-zoo"])
@argument("pack", default="auto", help="Name of a pack; default: the best one.")
@click.option(
    "--from", "folder", metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, readable=False),
    help="Take the files from this folder instead of the network; checksums must match.",
)  # fmt: skip
@click.pass_obj
def pull(settings: Settings, pack: str, folder: Path | None) -> None:
    """Get a pack, or what `auto` means; everything after that works offline."""
    with application(settings) as app:
        model = app.engines.pull(pack, folder)
    terminal.give(model, f"{model} is installed in {settings.models}")
    terminal.answer({"model": model, "folder": settings.models})


@models.command(cls=Command)
@argument("pack", required=False, help="Name of a pack; default: all that are installed.")
@click.pass_obj
def verify(settings: Settings, pack: str | None) -> None:
    """Compare installed files with their checksums."""
    with application(settings) as app:
        problems = app.engines.problems(pack)
    terminal.answer(problems)
    for model, found in problems.items():
        terminal.say(f"{model}: {'; '.join(found) or 'good'}")
    if not problems:
        terminal.say("no pack is installed: `facelabel models pull`")
    if broken := [model for model, found in problems.items() if found]:
        raise Rejected(f"{report.pulls(broken)} repairs it")
