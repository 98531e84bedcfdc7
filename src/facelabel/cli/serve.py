"""serve and keys: the web server and the keys to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from facelabel.bootstrap import data_folder
from facelabel.bootstrap.core import base_url
from facelabel.cli.framework import Command, Group, json_option
from facelabel.cli.terminal import application, err, out, print_json
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
    cls=Command, examples=["serve", "serve --host 0.0.0.0 --public-url https://faces.example.com"]
)
@click.pass_obj
def serve(settings: Settings) -> None:
    """Serve the library, the faces and the webhook, and work the queue.

    With pictures on Cloudinary this takes its notifications at /webhook. With a library of our
    own it also answers as Cloudinary does: give its CLOUDINARY_URL to any Cloudinary SDK. And it
    answers as Amazon Rekognition does: give its address to any AWS SDK.
    """
    if settings.table:
        raise ConfigurationError("with a store on DynamoDB, Lambda serves (see docs/howto)")
    from facelabel.web.serving import server  # noqa: PLC0415 - a web server that no other command needs

    with server.bind(settings) as listener:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        with application(bound) as app:
            _greet(app)
            server.serve(app, listener)


def _greet(app: App) -> None:
    settings = app.settings
    base = base_url(settings)
    what = "pictures on Cloudinary" if app.remote else f"pictures and keys in {settings.data}"
    out.print(f"listening on {base}; {what}; Ctrl-C ends", markup=False)
    if open_to_others := data_folder.exposed(settings.data):
        err.print(
            f"other users of this computer may read {', '.join(open_to_others)} in"
            f" {settings.data}; see `facelabel doctor`", style="yellow", markup=False,
        )  # fmt: skip
    if app.local and app.local.keys.first_shown():
        _show_once(app.local, settings)


def _show_once(local: Local, settings: Settings) -> None:
    """The keys, if somebody is looking; a log must not have them."""
    if not out.is_terminal:
        out.print("`facelabel keys` shows the keys for Cloudinary's SDKs")
        return
    url = cloudinary_url(local, settings, local.keys()[0])
    out.print("for Cloudinary's SDKs (`facelabel keys` shows it again):", markup=False)
    out.print(f"  export CLOUDINARY_URL='{url}'", markup=False)
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


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def keys(context: click.Context, *, as_json: bool) -> None:
    """Show the keys that open the server, as ready variables; add and remove some."""
    if context.invoked_subcommand is None:
        arguments = ["--json"] if as_json else []
        list_.invoke(list_.make_context("list", arguments, parent=context))
    elif as_json:
        raise click.UsageError("--json goes behind the command: keys list --json")


@keys.command("list", cls=Command)
@json_option
@click.pass_obj
def list_(settings: Settings, *, as_json: bool = False) -> None:
    """Show every active key."""
    with application(settings) as app:
        found = {key.key: _variables(app, key) for key in _ring(app)()}
    if as_json:
        print_json(
            [
                {"key": key, **{name.lower(): value for name, value in variables.items()}}
                for key, variables in found.items()
            ]
        )
        return
    for variables in found.values():
        _print_variables(variables)
    if not found:
        out.print("there is no key: `facelabel keys add` makes one")


@keys.command(cls=Command)
@click.pass_obj
def add(settings: Settings) -> None:
    """Make one more key; the others stay."""
    with application(settings) as app:
        _print_variables(_variables(app, _ring(app).add()))


@keys.command(cls=Command)
@click.argument("key")
@click.pass_obj
def remove(settings: Settings, key: str) -> None:
    """Revoke a key: from now on it opens nothing."""
    with application(settings) as app:
        _ring(app).remove(key)
    out.print(f"{key} removed", markup=False)


def _ring(app: App) -> KeyRing:
    if app.keys is None:
        raise Rejected("nothing is served from here: Cloudinary's and AWS's consoles have the keys")
    return app.keys


def _variables(app: App, key: ApiKey) -> dict[str, str]:
    """For Cloudinary's SDKs where the pictures are here, and for AWS's."""
    library = {"CLOUDINARY_URL": cloudinary_url(app.local, app.settings, key)} if app.local else {}
    return library | rekognition_variables(app, key)


def _print_variables(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        out.print(f"{name}={value}", markup=False)
