"""models: which packs there are, get them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from facelabel.cli import report
from facelabel.cli.framework import Command, Group, json_option
from facelabel.cli.terminal import application, out, print_json
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from facelabel.settings import Settings


@click.group(cls=Group)
def models() -> None:
    """Face models: where they come from, under which licence; get and check them."""


@models.command("list", cls=Command)
@json_option
@click.pass_obj
def list_(settings: Settings, *, as_json: bool) -> None:
    """List the packs: files, origin, licence, size, checksum."""
    with application(settings) as app:
        packs = app.engines.packs()
    if as_json:
        print_json(packs)
        return
    for pack in packs:
        state = "installed" if pack.installed else "not installed"
        out.print(
            f"[bold]{escape(pack.name)}[/bold] ({pack.model}, {state}): {escape(pack.summary)}"
        )
        if pack.own:
            out.print(f"  {report.calibrated(pack.own)}")
        for file in pack.files:
            size = f"{file.bytes / 1e6:.1f} MB"
            out.print(f"  {file.name}, {file.licence}, {size}", markup=False)
            out.print(f"    from {file.origin}\n    sha256 {file.sha256}", markup=False)


@models.command(cls=Command)
@click.argument("pack", default="auto")
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
    out.print(f"{model} is installed in {settings.models}", markup=False)


@models.command(cls=Command)
@click.argument("pack", required=False)
@click.pass_obj
def verify(settings: Settings, pack: str | None) -> None:
    """Compare installed files with their checksums."""
    with application(settings) as app:
        problems = app.engines.problems(pack)
    for model, found in problems.items():
        out.print(f"{model}: {'; '.join(found) or 'good'}", markup=False)
    if not problems:
        out.print("no pack is installed: `facelabel models pull`")
    if broken := [model for model, found in problems.items() if found]:
        raise Rejected(f"{report.pulls(broken)} repairs it")
