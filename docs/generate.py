"""Writes docs/reference/{commands,settings,security}.md from the program itself.

``python docs/generate.py`` writes them; with ``--check`` it fails if they are stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel import settings as configuration
from facelabel.cli import cli
from facelabel.web import entry, sharing
from facelabel.web.entry import Door, Entry, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REFERENCE = Path(__file__).parent / "reference"
#: What is behind each door.
DOORS = {
    Door.PAGE: "first page, `/health`, `/healthz`, `/readyz`",
    Door.WEBHOOK: "notifications of Cloudinary",
    Door.UPLOAD: "uploads",
    Door.CALL: "rest of the Upload API",
    Door.ADMIN: "Admin API, search, notifications to fetch",
    Door.DELIVERY: "pictures (type upload)",
    Door.REKOGNITION: "Rekognition's operations",
}


def commands(
    command: click.Command, name: str = "facelabel"
) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, depth first."""
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from commands(child, f"{name} {child.name}")


def commands_page() -> str:
    """The page of all commands: their own help without the settings they share."""
    parts = [
        "# Commands\n",
        "Every command also takes every [setting](settings.md) as a flag.",
        "Exit status: 0 good, 1 something was refused, 2 wrong usage or configuration, 75 not",
        "possible right now, try later.\n",
    ]
    for name, command in commands(cli):
        context = click.Context(command, info_name=name, terminal_width=88, max_content_width=88)
        text = command.get_help(context).partition("\nSettings:")[0].rstrip()
        parts.append(f"## {name}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """The page of all settings."""
    parts = [
        "# Settings\n",
        "The first of these that names a setting wins: command-line flag, environment variable,",
        "`.env` in the working folder, `facelabel.toml` (in the working folder, else in your",
        "configuration folder, or where `FACELABEL_CONFIG` points), default. A TOML key is the",
        "flag's name with underscores. A wrong value is refused at start.\n",
        "| flag | environment | default | what it does |",
        "|---|---|---|---|",
    ]
    for name, field in configuration.Settings.model_fields.items():
        variables = " or ".join(f"`{variable}`" for variable in configuration.variables(name))
        default = "computed" if field.default_factory else f"`{field.default}`"
        if field.default is None:
            default = "none"
        parts.append(
            f"| `{configuration.flag(name)}` | {variables} | {default} | {field.description} |"
        )
    return "\n".join(parts) + "\n"


def security_page() -> str:
    """The page of who may come in; what the policy says stands between two marks in it."""
    columns = [standing.value for standing in Standing]
    rows = [
        f"| **{what}** | " + " | ".join(_asked(door, standing) for standing in Standing) + " |"
        for door, what in DOORS.items()
    ]
    head = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    beginnings = (f"{beginning}…" for beginning in entry.FORWARDING_BEGINNINGS)
    generated = {
        "doors": "\n".join(head + rows),
        "forwarding": _listed([*sorted(entry.FORWARDING), *beginnings]),
        "sent": _listed(sharing.SENT),
        "read": _listed(sharing.READ),
    }
    text = (REFERENCE / "security.md").read_text("utf-8")
    for name, value in generated.items():
        before, begin, rest = text.partition(f"<!-- begin {name} -->")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        text = f"{before}{begin}\n{value}\n{end}{after}"
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _asked(door: Door, standing: Standing) -> str:
    match entry.TERMS[door][standing]:
        case Entry.OPEN:
            return "open"
        case Entry.KEY:
            return door.value
        case Entry.PRESET:
            return "unsigned preset alone"
    return "421" if standing is Standing.MISDIRECTED else "403"


def main() -> int:
    """Write the pages, or say which are stale."""
    pages = {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "security.md": security_page(),
    }
    stale = [
        name
        for name, text in pages.items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text("utf-8") != text
    ]
    if "--check" in sys.argv:
        print("\n".join(f"stale: docs/reference/{name}; run make docs" for name in stale))
        return 1 if stale else 0
    for name, text in pages.items():
        (REFERENCE / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
