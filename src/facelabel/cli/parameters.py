"""What may be given to a command: nothing empty where something is meant, settings everywhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from facelabel.settings import SETTINGS, flag, variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

    Type = click.ParamType[Any]
else:
    Type = click.ParamType  # older ones know no parameter

_SETTING = "setting_"
_FLAGS = "facelabel.flags"


class _Given(Type):
    """Another type's values, the empty one apart: that is a variable which was not set.

    An empty path would be the current folder, an empty folder of the library the whole of it.
    """

    def __init__(self, meant: Type) -> None:
        """``meant``: what the value is when there is one."""
        self.meant, self.name = meant, meant.name

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's own
        """Refuse what is empty or nothing but spaces, unless a file is called so."""
        blank = isinstance(value, str) and not value.strip()
        if blank and not os.path.lexists(value):
            self.fail("it is empty; is a variable not set?", param, ctx)
        return self.meant.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What a shell offers for the other type."""
        return self.meant.shell_complete(ctx, param, incomplete)


def refuse_empty(params: Iterable[click.Parameter]) -> None:
    """Have every text and path among a command's parameters refused where it is empty."""
    for param in params:
        is_text = isinstance(param.type, (click.Path, type(click.STRING)))
        if is_text and not (is_setting(param) and may_be_empty(param)):
            param.type = _Given(param.type)


def is_setting(param: click.Parameter) -> bool:
    """Whether the parameter is a setting, and none of the command's own."""
    return (param.name or "").startswith(_SETTING)


def may_be_empty(param: click.Parameter) -> bool:
    """Whether an empty value of a setting says something: nothing of that, or everything."""
    return SETTINGS[(param.name or "").removeprefix(_SETTING)].may_be_empty


def settings(*, hidden: bool = False) -> list[click.Option]:
    """One flag for each setting; help hides those of secrets, which other users can see there."""
    return [
        click.Option(
            [flag(name), f"{_SETTING}{name}"],
            metavar="VALUE",
            hidden=hidden or setting.is_secret,
            help=f"{setting.help} [{', '.join(variables(name))}]",
        )
        for name, setting in SETTINGS.items()
    ]


def described() -> list[tuple[str, str]]:
    """Every setting for help: its flag, what it does, its variables; of secrets not the flag."""
    return [
        (
            "(variable, file)" if setting.is_secret else f"{flag(name)} VALUE",
            f"{setting.help} [{', '.join(variables(name))}]",
        )
        for name, setting in SETTINGS.items()
    ]


def flags() -> dict[str, object]:
    """The settings given to the command that runs, by name."""
    return dict(click.get_current_context().meta.get(_FLAGS, {}))


def gather(ctx: click.Context) -> dict[str, object]:
    """The settings given so far: to this command, else to the groups it is in.

    They are taken out of the parameters, of which the command's function knows its own alone.
    """
    given = ctx.meta.setdefault(_FLAGS, {})
    for name in [name for name in ctx.params if name.startswith(_SETTING)]:
        value = ctx.params.pop(name)
        if value is not None:
            given[name.removeprefix(_SETTING)] = value
    return dict(given)
