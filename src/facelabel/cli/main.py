"""All commands in one group, in the order a user meets them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from facelabel import __version__
from facelabel.cli import framework
from facelabel.cli.framework import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group(cls=framework.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facelabel")
def cli() -> None:
    """Put people's names on pictures.

    Label a few portraits, and every picture you add gets the names of the people in it.
    The pictures are on this computer, or on Cloudinary where CLOUDINARY_URL is set.
    """


for command in (
    Deferred("demo", "demo.demo", "Learn two faces and find them on other pictures."),
    Deferred("index", "recognise.index", "Learn faces from labelled portraits."),
    Deferred("identify", "recognise.identify", "Say who is on pictures."),
    Deferred("upload", "library.upload", "Put pictures into the library."),
    Deferred("tag", "recognise.tag", "Search new pictures and write the names as tags."),
    Deferred(
        "library",
        "library.library",
        "List pictures, with their tags and who was found on them.",
    ),
    Deferred(
        "show",
        "library.show",
        "Show one picture: tags, faces, and why each has a name, or none.",
    ),
    Deferred("people", "people.people", "List who is known, from how many portraits."),
    Deferred(
        "forget",
        "people.forget",
        "Forget a person: delete the portraits and take the names back.",
    ),
    Deferred("tag-add", "changes.tag_add", "Add tags to a picture."),
    Deferred("tag-remove", "changes.tag_remove", "Remove tags from a picture."),
    Deferred(
        "move",
        "changes.move",
        "Move pictures to another folder of the library.",
    ),
    Deferred("rename", "changes.rename", "Give a picture another public_id."),
    Deferred("rm", "changes.rm", "Delete pictures."),
    Deferred("serve", "serve.serve", "Serve library, faces and webhook, and work the queue."),
    Deferred(
        "keys",
        "serve.keys",
        "Show the keys to the server; add and remove some.",
    ),
    Deferred("connect", "sync.connect", "Have Cloudinary tell this installation of changes."),
    Deferred("reconcile", "sync.reconcile", "Find what no notification told of, and look at it."),
    Deferred("worker", "jobs.worker", "Work the queue: learn portraits, put names on pictures."),
    Deferred("jobs", "jobs.jobs", "See what waits or failed; try it again or drop it."),
    Deferred(
        "models",
        "models.models",
        "Show the face models and their licences; get and check them.",
    ),
    Deferred(
        "eval",
        "evaluate.evaluate",
        "Measure accuracy on labelled pictures of your own.",
    ),
    Deferred(
        "doctor", "doctor.doctor", "Check configuration, models, store and disk; say what to do."
    ),
    Deferred(
        "adopt", "adopt.adopt", "Make this data folder that of the store, after moving either."
    ),
    Deferred(
        "completion",
        "completion.completion",
        "Print what a shell needs to complete commands and names.",
    ),
):
    cli.add_command(command)


def commands(
    command: click.Command = cli, name: str = "facelabel"
) -> Iterator[tuple[str, click.Command]]:
    """Every command under its full name, loaded; those below a group behind it."""
    loaded = command.load() if isinstance(command, Deferred) else command
    yield name, loaded
    if isinstance(loaded, click.Group):
        for below, child in loaded.commands.items():
            yield from commands(child, f"{name} {below}")


def main() -> None:
    """Entry point of the program ``facelabel``."""
    framework.lenient_streams()
    if framework.COMPLETE in os.environ:
        from facelabel.cli import completion  # noqa: F401, PLC0415 - registers how shells are told
    try:
        cli(prog_name="facelabel")
    except Exception as bug:  # noqa: BLE001 - nobody but a developer can read a traceback
        sys.exit(framework.own_fault(bug))
