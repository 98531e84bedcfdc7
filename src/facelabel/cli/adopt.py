"""adopt: make a data folder the one of its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from facelabel.cli import terminal
from facelabel.cli.framework import Command

if TYPE_CHECKING:
    from facelabel.settings import Settings


@click.command(cls=Command, examples=["adopt --data /srv/facelabel"])
@click.option("--force", is_flag=True, help="Also if originals are missing, or others' are there.")
@click.pass_obj
def adopt(settings: Settings, *, force: bool) -> None:
    """Make this data folder that of the store, after moving either.

    Store and data folder belong together and know each other by an id; with another folder no
    command starts. This gives both a new id: from then on the former folder is refused.
    """
    from facelabel.bootstrap.app import installation  # noqa: PLC0415 - help needs no database

    with installation(settings) as pair:
        census = pair.adopt(force=force)
    here = census.wanted - census.missing
    originals = f"{here:,} of {census.wanted:,} originals there"
    terminal.say(f"{settings.data} is the store's folder: {originals}")
    terminal.answer({"data": settings.data, "originals": census})
    if census.missing:
        terminal.say(
            "pictures whose originals are missing wait for them to come back, or for you to delete"
            " or upload them again"
        )
