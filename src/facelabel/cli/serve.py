"""serve and keys: the web server and the keys to it."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from facelabel.bootstrap import data_folder
from facelabel.bootstrap.core import base_url
from facelabel.cli import terminal
from facelabel.cli.framework import Command, Group, argument
from facelabel.cli.terminal import application
from facelabel.errors import ConfigurationError, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.adapters.keys import KeyRing
    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.local import Local
    from facelabel.media.types import ApiKey
    from facelabel.settings import Settings

#: Any will do.
REGION = "us-east-1"


@click.command(
    cls=Command,
    streams=True,
    examples=["serve", "serve --host 0.0.0.0 --public-url https://faces.example.com"],
)
@click.pass_obj
def serve(settings: Settings) -> None:
    """Serve library, faces and webhook, and work the queue.

    With pictures on Cloudinary this takes its notifications at /webhook. With a library of our
    own it also answers as Cloudinary does: give its CLOUDINARY_URL to any Cloudinary SDK. And it
    answers as Amazon Rekognition does: give its address to any AWS SDK.
    """
    if settings.table:
        raise ConfigurationError("with a store on DynamoDB, Lambda serves (see docs/howto)")
    from facelabel.web.serving import server  # noqa: PLC0415 - a web server that no other command needs

    with server.bind(settings) as listener:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        with application(bound, serves=True) as app:
            _greet(app)
            server.serve(app, listener)


def _greet(app: App) -> None:
    settings = app.settings
    base = base_url(settings)
    what = "pictures on Cloudinary" if app.remote else f"pictures and keys in {settings.data}"
    terminal.give(base, f"listening on {base}; {what}; Ctrl-C ends")
    terminal.event({"listening": base, "data": settings.data})
    if open_to_others := data_folder.exposed(settings.data):
        terminal.warn(
            f"other users of this computer may read {', '.join(open_to_others)} in"
            f" {settings.data}; see `facelabel doctor`"
        )
    if app.local and app.local.keys.first_shown():
        _show_once(app.local, settings)


def _show_once(local: Local, settings: Settings) -> None:
    """The keys, if somebody is looking; a log must not have them."""
    if not (terminal.is_for_people() and terminal.is_terminal(sys.stdout)):
        terminal.say("`facelabel keys` shows the keys for Cloudinary's SDKs")
        return
    url = cloudinary_url(local, settings, local.keys()[0])
    terminal.say("for Cloudinary's SDKs (`facelabel keys` shows it again):")
    terminal.say(f"  export {_assignment('CLOUDINARY_URL', url)}")
    local.keys.note_shown()


def cloudinary_url(local: Local, settings: Settings, key: ApiKey) -> str:
    """What a Cloudinary SDK needs to know, in the form that both Python and Node read."""
    scheme, _, host = local.base_url.partition("://")
    delivery = f"&cname={host}" if scheme == "http" else f"&secure_distribution={host}"
    account = f"{key.key}:{key.secret}@{settings.cloud_name}"
    return f"cloudinary://{account}?upload_prefix={local.base_url}{delivery}"


def rekognition_variables(app: App, key: ApiKey) -> dict[str, str]:
    """What AWS's SDKs and its command line need to know to come here."""
    return {
        "AWS_ENDPOINT_URL_REKOGNITION": base_url(app.settings),
        "AWS_ACCESS_KEY_ID": key.key,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,  # what Python's SDK and the command line ask for
    }


export_option = click.option("--export", is_flag=True, help="Put `export` before each variable.")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print variables and errors; nothing else.")
@export_option
@click.pass_context
def keys(context: click.Context, /, **given: bool) -> None:
    """Show the keys to the server; add and remove some.

    \b
    eval "$(facelabel keys --export)"       sets all of them in this shell
    export $(facelabel keys | grep ^AWS)    those of AWS's SDKs alone
    """  # noqa: D301 - click's mark for lines that stay as they are
    flags = {"as_json": "--json", "quiet": "--quiet", "export": "--export"}
    arguments = [flag for name, flag in flags.items() if given[name]]
    if context.invoked_subcommand is None:
        list_.invoke(list_.make_context("list", arguments, parent=context))
    elif arguments:
        flag = arguments[0]
        raise click.UsageError(f"{flag} goes behind the command: keys list {flag}")


@keys.command("list", cls=Command)
@export_option
@click.pass_obj
def list_(settings: Settings, *, export: bool) -> None:
    """Show every active key."""
    with application(settings) as app:
        found = {key.key: _variables(app, key) for key in _ring(app)()}
    terminal.answer([_row(key, variables) for key, variables in found.items()])
    for variables in found.values():
        _print_variables(variables, export=export)
    if not found:
        terminal.say("there is no key: `facelabel keys add` makes one")


@keys.command(cls=Command)
@export_option
@click.pass_obj
def add(settings: Settings, *, export: bool) -> None:
    """Make one more key; the others stay."""
    with application(settings) as app:
        key = _ring(app).add()
        variables = _variables(app, key)
    terminal.answer(_row(key.key, variables))
    _print_variables(variables, export=export)


@keys.command(cls=Command)
@argument("key", help="As `facelabel keys` shows it: AWS_ACCESS_KEY_ID.")
@click.pass_obj
def remove(settings: Settings, key: str) -> None:
    """Revoke a key: from now on it opens nothing."""
    with application(settings) as app:
        _ring(app).remove(key)
    terminal.say(f"{key} removed")
    terminal.answer({"removed": key})


def _ring(app: App) -> KeyRing:
    if app.keys is None:
        raise Rejected("nothing is served from here: Cloudinary's and AWS's consoles have the keys")
    return app.keys


def _variables(app: App, key: ApiKey) -> dict[str, str]:
    """For Cloudinary's SDKs where the pictures are here, and for AWS's."""
    library = {"CLOUDINARY_URL": cloudinary_url(app.local, app.settings, key)} if app.local else {}
    return library | rekognition_variables(app, key)


def _row(key: str, variables: Mapping[str, str]) -> dict[str, str]:
    """For programs."""
    return {"key": key, **{name.lower(): value for name, value in variables.items()}}


def _print_variables(variables: Mapping[str, str], *, export: bool) -> None:
    for name, value in variables.items():
        terminal.give(f"{'export ' if export else ''}{_assignment(name, value)}")


def _assignment(name: str, value: str) -> str:
    """As a shell reads it. AWS's values need no quotes: `export $(…)` would keep them."""
    return f"{name}={shlex.quote(value)}"
