"""Writes the pages of docs/reference, and a schema, from the program itself.

``python docs/generate.py`` writes them; with ``--check`` it fails if they are stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel import settings as configuration
from facelabel.cli import commands
from facelabel.engine.models.manifest_file import json_schema
from facelabel.settings.typed import Settings
from facelabel.web.access import gate, policy
from facelabel.web.access.policy import Api, CallerKind, Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: What a script is told, whatever the command.
STATUSES = {
    0: "done, all of it",
    1: "something was refused, or could not be read: it is told, the rest was done",
    2: "wrong usage, or a setting is wrong: nothing was done",
    70: "a fault of the program itself; with `--log-level debug` it says where",
    75: "not possible right now: the same command may go through later, and goes on where it"
    " stopped",
    130: "stopped by Ctrl-C",
    141: "nobody reads the output any more, as behind `| head -1`",
}
#: What was refused where a command ends with 1; those that are not here never do.
REFUSED = {
    "demo": "a picture could not be read, or a portrait not be learnt",
    "index": "a portrait or a line of the list; `--check`: pictures are left that only you can"
    " mend; `--rebuild`: the old index stays",
    "identify": "a picture or a folder could not be read",
    "upload": "a file, folder or address could not be read; `--now`: a picture was refused",
    "tag": "the queue refused a picture, or the folder is not one that is searched",
    "show": "there is no such picture",
    "forget": "nobody is known by that name, or several look like it; others' faces still give it",
    "tag-add": "there is no such picture, or the tag cannot be one",
    "tag-remove": "there is no such picture, or the tag cannot be one",
    "move": "there is no such picture: none was moved",
    "rename": "there is no such picture, or the name is taken",
    "rm": "there is no such picture, or you did not confirm: none was deleted",
    "keys remove": "there is no such key, or it is the only one",
    "connect": "the pictures are not on Cloudinary, or it is not known where we are reached",
    "reconcile": "the queue refused a picture, or too many pictures are gone at once",
    "worker": "`--once`: the queue refused a picture",
    "jobs retry": "a number that no failed job has",
    "jobs drop": "a number that no failed job has",
    "models pull": "a file is not in the folder, or is not the one it should be",
    "models verify": "a file is damaged or missing",
    "eval pairs": "the list, or pictures that are not there",
    "eval gallery": "the pictures are no labelled set, or could not be read",
    "doctor": "something is not as it should be",
    "adopt": "originals are missing, or others' are there; or the pictures are on Cloudinary",
}

#: What each command's ``result`` is, and what ``--quiet`` prints; "" where that is nothing.
RESULTS = {
    "demo": ("`{output, pictures: [{file, names, saved_as}]}`", "paths of annotated pictures"),
    "index": (
        (
            "`{people, portraits: [{source, person, outcome, public_id, note}]}`; `--check` and"
            " without PATH: `{missing, extra, lost, orphans, refused, contradictions}`;"
            " `--rebuild`: `{collection, people}`"
        ),
        "",
    ),
    "identify": (
        "`[{file, names, model, faces, left_out, calls, portraits}]`, or `{file, error}`",
        "file and name with a tab between, a line for each name",
    ),
    "upload": (
        (
            "`{pictures: [{source, …}]}`, each as `show` has it; `--now`: with `outcome`, `names`,"
            " `note`, `faces_left_out`; what was not uploaded without its own fields"
        ),
        "public_ids",
    ),
    "tag": (
        (
            "`{outcomes, names, faces_left_out, left}`: how many pictures came to which outcome,"
            " names on them, and how many are still to do; `--dry-run`: `{pictures, again}`"
        ),
        "",
    ),
    "library": ("list of pictures as `show` has them, with `names`", "public_ids"),
    "show": (
        (
            "`asset_id`, `public_id`, `tags` … as Cloudinary has them, `enrolment`, `search`,"
            " `our_names`"
        ),
        "names",
    ),
    "people": (
        (
            "`[{name, portraits}]`; of one person `{name, portraits: [{public_id, asset_id, file,"
            " uploaded_at}], pictures}`"
        ),
        "names; of one person public_ids",
    ),
    "forget": (
        "`{name, portraits, pictures, faces_of_others}`; done: with `names_left`, `recognised`",
        "public_ids",
    ),
    "tag-add": ("`{public_id, tags}`", ""),
    "tag-remove": ("`{public_id, tags}`", ""),
    "move": ("`[{public_id, asset_folder}]`", ""),
    "rename": ("`{public_id}`", "new public_id"),
    "rm": ("`{deleted, not_deleted, not_forgotten}`: public_ids, the last two with reasons", ""),
    "serve": ("`null`; the first event is `{listening, data}`", "address"),
    "keys list": ("`[{key, cloudinary_url, aws_access_key_id, …}]`", "variables"),
    "keys add": ("the same of the new one", "variables"),
    "keys remove": ("`{removed}`", ""),
    "connect": ("`{triggers: [{id, event, uri, is}]}`", ""),
    "reconcile": (
        "`{changed, gone, listed, known, vanished}`, and what `tag` has when it was looked at",
        "",
    ),
    "worker": ("`{outcomes, names, faces_left_out}`", ""),
    "jobs list": ("`[{job, asset}]`", "numbers"),
    "jobs retry": ("`{retried, unknown}`", ""),
    "jobs drop": ("`{dropped, unknown}`", ""),
    "models list": (
        "`[{name, model, summary, installed, calibrated, finds, files, own}]`",
        "names",
    ),
    "models pull": ("`{model, folder}`", "model"),
    "models verify": ("`{model: [faults]}`", ""),
    "eval pairs": ("all figures", "accuracy, 0 to 1"),
    "eval gallery": ("all figures", "rank-1 rate, 0 to 1"),
    "doctor": ("`[{what, good, says, advice}]`", "what is not good"),
    "adopt": ("`{data, originals: {wanted, missing, others}}`", ""),
    "completion": ("`{shell, script}`", "script"),
}

REFERENCE = Path(__file__).parent / "reference"
#: What is behind each door, and what is taken as proof of a right to it.
DOORS = {
    Api.PAGE: ("first page, `/health`, `/healthz`, `/readyz`", "nothing"),
    Api.WEBHOOK: ("notifications of Cloudinary", "Cloudinary's signature"),
    Api.UPLOAD: ("uploads", "signed call, HTTP Basic or unsigned preset"),
    Api.CALL: ("rest of the Upload API", "signed call or HTTP Basic"),
    Api.ADMIN: ("Admin API, search, notifications to fetch", "HTTP Basic"),
    Api.DELIVERY: ("pictures (type upload)", "signed URL"),
    Api.LIST: ("client-side lists", "HTTP Basic"),
    Api.REKOGNITION: ("Rekognition's operations", "AWS signature"),
}


def commands_page() -> str:
    """The page of all commands: their own help without the line about settings."""
    parts = [
        "# Commands\n",
        "Every command also takes every [setting](settings.md) as a flag, before it or behind it:",
        "`facelabel --data D keys add` is `facelabel keys add --data D`; `--help-settings` lists",
        "them. An empty value, such as that of a variable that is not set, is wrong usage; `/` is",
        "the root of the library. What `--json` and `--quiet` print: [JSON](json.md).\n",
        *_statuses(),
    ]
    for name, command in commands():
        context = click.Context(
            command, info_name=name, terminal_width=88, max_content_width=88,
            help_option_names=["-h", "--help"],
        )  # fmt: skip
        text = command.get_help(context).partition("\nSettings:")[0].rstrip()
        parts.append(f"## {name}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def _statuses() -> Iterator[str]:
    """What a script is told, and when."""
    yield "## Exit status\n"
    yield "| status | meaning |\n|---|---|"
    yield from (f"| {status} | {meaning} |" for status, meaning in STATUSES.items())
    yield "\n`serve` and a `worker` without `--once` end with 0 after Ctrl-C or SIGTERM.\n"
    yield "| ends with 1 | what was refused |\n|---|---|"
    yield from (f"| `{command}` | {what} |" for command, what in REFUSED.items())
    yield ""


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
    for name, setting in configuration.SETTINGS.items():
        field = Settings.model_fields[name]
        variables = " or ".join(f"`{variable}`" for variable in configuration.variables(name))
        default = "computed" if field.default_factory else f"`{field.default}`"
        if field.default is None:
            default = "none"
        parts.append(f"| `{configuration.flag(name)}` | {variables} | {default} | {setting.help} |")
    return "\n".join(parts) + "\n"


def security_page() -> str:
    """The page of who may come in; what the policy says stands between two marks in it."""
    columns = [standing.value for standing in CallerKind]
    rows = [
        f"| **{what}** | " + " | ".join(_asked(door, standing) for standing in CallerKind) + " |"
        for door, (what, _) in DOORS.items()
    ]
    head = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    beginnings = (f"{beginning}…" for beginning in policy.FORWARDING_BEGINNINGS)
    generated = {
        "doors": "\n".join(head + rows),
        "forwarding": _listed([*sorted(policy.FORWARDING), *beginnings]),
        "sent": _listed(gate.SENT),
        "read": _listed(gate.READ),
    }
    return _filled("security.md", generated)


def json_page() -> str:
    """The page of what programs are told; what each command answers stands between two marks."""
    rows = ["| command | `result` | `--quiet` |", "|---|---|---|"]
    rows += [f"| `{name}` | {result} | {quiet} |" for name, (result, quiet) in RESULTS.items()]
    streams = [
        f"`{name.removeprefix('facelabel ')}`"
        for name, command in commands()
        if getattr(command, "streams", False)
    ]
    return _filled("json.md", {"results": "\n".join(rows), "streams": ", ".join(streams)})


def _filled(page: str, generated: Mapping[str, str]) -> str:
    """A page with what is generated between its marks."""
    text = (REFERENCE / page).read_text("utf-8")
    for name, value in generated.items():
        before, begin, rest = text.partition(f"<!-- begin {name} -->")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        text = f"{before}{begin}\n{value}\n{end}{after}"
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _asked(door: Api, standing: CallerKind) -> str:
    match policy.TERMS[door][standing]:
        case Requirement.OPEN:
            return "open"
        case Requirement.KEY:
            return DOORS[door][1]
        case Requirement.PRESET:
            return "unsigned preset alone"
    return "421" if standing is CallerKind.MISDIRECTED else "403"


def pack_schema() -> str:
    """What may stand in the manifest of a model pack."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the pages, or say which are stale."""
    from python_page import python_page  # noqa: PLC0415 - it lies beside this program

    pages = {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "security.md": security_page(),
        "json.md": json_page(),
        "python.md": python_page(),
        "pack.schema.json": pack_schema(),
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
        (REFERENCE / name).write_text(text, "utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
