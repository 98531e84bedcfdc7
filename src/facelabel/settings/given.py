"""Which settings are given, and where: flags, environment, ``.env``, TOML file."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.core import nearest
from facelabel.errors import ConfigurationError
from facelabel.inputs import reading
from facelabel.settings import PREFIX, SETTINGS, flag, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG_VARIABLE = "FACELABEL_CONFIG"
FILE_NAME = "facelabel.toml"
ENV_FILE = ".env"


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it is written somewhere, not checked yet."""

    #: Not shown: it may be a secret.
    value: object = field(repr=False)
    #: Where to change it: a flag, a variable or a key, with the file that it is in.
    source: str


def settings(
    flags: Mapping[str, object], secret: Mapping[str, str] | None = None
) -> dict[str, Given]:
    """The settings that are given, by name, each from the first source that has it.

    ConfigurationError where a file cannot be read, or has a key that would do nothing.
    """
    try:
        path = config_file()
        table = _table(path)
        _refuse_unknown(table, path)
        sources = (
            _flags(flags), _environment(secret or {}), _environment(os.environ), _env_file(),
            _toml(table, path),
        )  # fmt: skip
        found: dict[str, Given] = {}
        for source in sources:
            for name, one in source:
                found.setdefault(name, one)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} {reading.explain(error)}; {CONFIG_VARIABLE} may name another file"
        ) from None
    return found


def keeping(name: str, value: str) -> str:
    """What keeps a setting that is a flag now: what to write, and where, such that it counts."""
    now = settings({}).get(name)
    written = value if value.replace(".", "", 1).isdigit() else json.dumps(value)
    line = f"`{name} = {written}`"
    variable = f"{PREFIX}{name.upper()}"
    if now is None:
        path = config_file() or own_folder("config") / FILE_NAME
        return f"write {line} into {path}, or set {variable}={shlex.quote(value)}"
    where = now.source.partition(" (in ")[0]
    if now.source == where:
        return f"set {where}={shlex.quote(value)} where {where} is set"
    if now.source.endswith(f" (in {ENV_FILE})"):
        return f"write {where}={shlex.quote(value)} into {ENV_FILE}, in the place of what is there"
    return f"write `{where} = {written}` into {config_file()}, in the place of what is there"


def _flags(flags: Mapping[str, object]) -> Iterator[tuple[str, Given]]:
    for name, value in flags.items():
        if value is not None:
            yield name, Given(value, flag(name))


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    """Variables in capitals or small letters; an empty one is none."""
    kept = {key.lower(): (key, value) for key, value in environment.items() if value}
    for name in SETTINGS:
        for variable in variables(name):
            if variable.lower() in kept:
                key, value = kept[variable.lower()]
                yield name, Given(value, key)


def _env_file() -> Iterator[tuple[str, Given]]:
    """The same in a file."""
    kept = {key.lower(): value for key, value in env_lines().items() if value}
    for name in SETTINGS:
        for variable in variables(name):
            if variable.lower() in kept:
                yield name, Given(kept[variable.lower()], f"{variable} (in {ENV_FILE})")


def env_lines() -> Mapping[str, str | None]:
    """What the ``.env`` of the working folder says, if there is one; ConfigurationError."""
    if not reading.is_file(Path(ENV_FILE)):
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - most have no such file

    try:
        return dotenv_values(ENV_FILE, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{ENV_FILE} is no text in UTF-8: {error}") from None


def _toml(table: Mapping[str, object], path: Path | None) -> Iterator[tuple[str, Given]]:
    for name in SETTINGS:
        for key in _keys(name):
            if key in table:
                yield name, Given(table[key], f"{key} (in {path})")


def config_file() -> Path | None:
    """The TOML file to read, if there is one."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    places = [Path(FILE_NAME)]
    with suppress(ConfigurationError):
        places.append(own_folder("config") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def own_folder(what: str) -> Path:
    """The user's own folder for data, models or config; ConfigurationError without a home."""
    import platformdirs  # noqa: PLC0415 - help of commands that know this module needs none

    try:
        path = {
            "data": platformdirs.user_data_path,
            "models": platformdirs.user_cache_path,
            "config": platformdirs.user_config_path,
        }[what]("facelabel")
    except RuntimeError:
        path = Path("~")
    if path.parts[0] == "~":  # as older versions leave it
        raise ConfigurationError(
            "no home folder is known here: set HOME, or FACELABEL_DATA and FACELABEL_MODELS"
        )
    return path / "models" if what == "models" else path


def database(data: Path) -> str:
    """Address of the database where no store is given: a file in the data folder."""
    return f"sqlite:///{(data / 'facelabel.db').absolute()}"


def _table(path: Path | None) -> dict[str, object]:
    """What the TOML file says, if there is one; ConfigurationError if it cannot be read."""
    if path is None:
        return {}
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Windows' editors put a mark before it
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = reading.explain(error) if isinstance(error, OSError) else f"cannot be read: {error}"
        raise ConfigurationError(f"{path} {why}") from None


def _refuse_unknown(table: Mapping[str, object], path: Path | None) -> None:
    """A key in the TOML file that would do nothing is refused, not ignored."""
    known = {key for name in SETTINGS for key in _keys(name)}
    unknown = sorted(table.keys() - known)
    if unknown:
        told = (f"{key}{_meant(key)}" for key in unknown)
        raise ConfigurationError(f"{path} has unknown settings: {', '.join(told)}")


def _keys(name: str) -> tuple[str, ...]:
    """How the TOML file may call a setting: the original app's name first where there is one."""
    original = SETTINGS[name].original
    return (original, name) if original else (name,)


def _meant(key: str) -> str:
    """Which key it should be: somebody wrote the environment variable's name, or nearly this."""
    name = key.removeprefix(PREFIX).lower()
    if key != name and name in SETTINGS:
        return f" (there it is {name})"
    originals = (one.original for one in SETTINGS.values())
    near = nearest.nearest(name, SETTINGS, 1) or nearest.nearest(name, originals, 1)
    return f" (is it {near[0]}?)" if near else ""
