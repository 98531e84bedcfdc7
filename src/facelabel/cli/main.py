"""All commands in one group, in the order a user meets them."""

from __future__ import annotations

import sys

import click

from facelabel import __version__
from facelabel.cli import (
    adopt,
    demo,
    doctor,
    evaluate,
    framework,
    jobs,
    library,
    models,
    recognise,
    serve,
    sync,
)


@click.group(cls=framework.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facelabel")
def cli() -> None:
    """Put people's names on pictures.

    Label a few portraits, and every picture you add gets the names of the people in it.
    The pictures are on this computer, or on Cloudinary where CLOUDINARY_URL is set.
    """


for command in (
    demo.demo,
    recognise.index,
    recognise.identify,
    library.upload,
    recognise.tag,
    library.library,
    library.show,
    recognise.people,
    library.tag_add,
    library.tag_remove,
    library.move,
    library.rename,
    library.rm,
    serve.serve,
    serve.keys,
    sync.connect,
    sync.reconcile,
    jobs.worker,
    jobs.jobs,
    models.models,
    evaluate.evaluate,
    doctor.doctor,
    adopt.adopt,
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the program ``facelabel``."""
    framework.lenient_streams()
    try:
        cli(prog_name="facelabel")
    except Exception as bug:  # noqa: BLE001 - nobody but a developer can read a traceback
        sys.exit(framework.own_fault(bug))
