"""serve and keys: the web server and the keys to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from facelabel.cli.framework import Command, application, json_option, out, print_json
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from facelabel.bootstrap import App
    from facelabel.bootstrap.local import Local
    from facelabel.media import ApiKey
    from facelabel.settings import Settings


@click.command(
    cls=Command, examples=["serve", "serve --host 0.0.0.0 --public-url https://faces.example.com"]
)
@click.pass_obj
def serve(settings: Settings) -> None:
    """Serve the library and the webhook, and work the queue.

    With pictures on Cloudinary this takes its notifications at /webhook. With a library of our
    own it also answers as Cloudinary does: give its CLOUDINARY_URL to any Cloudinary SDK.
    """
    from facelabel.web import server  # noqa: PLC0415 - a web server that no other command needs

    with server.bind(settings) as listener:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        with application(bound) as app:
            _greet(app)
            server.serve(app, listener)


def _greet(app: App) -> None:
    settings = app.settings
    base = app.local.base_url if app.local else f"http://{settings.host}:{settings.port}"
    what = "pictures on Cloudinary" if app.remote else f"pictures and keys in {settings.data}"
    out.print(f"listening on {base}; {what}; Ctrl-C ends", markup=False)
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


@click.group(invoke_without_command=True)
@click.pass_context
def keys(context: click.Context) -> None:
    """Show the keys to the local library, as ready CLOUDINARY_URLs; add and remove some."""
    if context.invoked_subcommand is None:
        list_.invoke(list_.make_context("list", [], parent=context))


@keys.command("list", cls=Command)
@json_option
@click.pass_obj
def list_(settings: Settings, *, as_json: bool = False) -> None:
    """Show every active key."""
    with application(settings) as app:
        local = _local(app)
        active = local.keys()
    urls = {key.key: cloudinary_url(local, settings, key) for key in active}
    if as_json:
        print_json([{"key": key, "cloudinary_url": url} for key, url in urls.items()])
        return
    for url in urls.values():
        out.print(f"CLOUDINARY_URL={url}", markup=False)


@keys.command(cls=Command)
@click.pass_obj
def add(settings: Settings) -> None:
    """Make one more key; the others stay."""
    with application(settings) as app:
        local = _local(app)
        url = cloudinary_url(local, settings, local.keys.add())
    out.print(f"CLOUDINARY_URL={url}", markup=False)


@keys.command(cls=Command)
@click.argument("key")
@click.pass_obj
def remove(settings: Settings, key: str) -> None:
    """Revoke a key: from now on it opens nothing."""
    with application(settings) as app:
        _local(app).keys.remove(key)
    out.print(f"{key} removed", markup=False)


def _local(app: App) -> Local:
    if app.local is None:
        raise Rejected("the pictures are on Cloudinary, whose console has the keys")
    return app.local
