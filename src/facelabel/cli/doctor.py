"""doctor: is everything as it should be, and what to do where it is not."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel.bootstrap import data_folder, learning_in_force, rules_in_force
from facelabel.bootstrap.connecting import Connector
from facelabel.cli import report, terminal
from facelabel.cli.framework import EXIT_REJECTED, Command
from facelabel.cli.terminal import Styled, application, bold
from facelabel.core import false_matches
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind
from facelabel.core.model import deletion_limit
from facelabel.errors import ConfigurationError, FacelabelError, ForeignFolder, Throttled
from facelabel.recognition import doubts, name_changes
from facelabel.settings import effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from facelabel.adapters.keys import KeyRing
    from facelabel.adapters.store.installation import Census
    from facelabel.bootstrap.amazon import Amazon
    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.connecting import Triggers
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.remote import Remote
    from facelabel.engine.engines import PackState
    from facelabel.settings import Settings

#: Less free disk than this and the next uploads fail.
LOW_DISK_BYTES = 1 << 30
#: How a finding is marked, by whether it is good and whether there is something to do.
_MARKS = {
    (True, False): Styled("✓", "green"), (True, True): Styled("!", "yellow"),
    (False, False): Styled("✗", "red"), (False, True): Styled("✗", "red"),
}  # fmt: skip
#: Of 100 known; fewer more are no reason to learn everything anew.
_WORTH_IT = 3.0
#: So large a part of strangers who are given a name is told of.
_STRANGERS_TOLD = 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    good: bool
    says: str
    advice: str = ""


@click.command(cls=Command)
@click.pass_obj
def doctor(settings: Settings) -> None:
    """Check configuration, models, store and disk; say what to do."""
    findings = list(_examine(settings))
    terminal.answer(findings)
    for finding in findings:
        mark = _MARKS[finding.good, bool(finding.advice)]
        terminal.say(mark, bold(f"{finding.what}:"), finding.says)
        if finding.advice:
            terminal.say(f"  → {finding.advice}", style="yellow")
        if not (finding.good or terminal.is_for_people()):
            terminal.give(f"{finding.what}: {finding.says}")
    if not all(finding.good for finding in findings):
        raise click.exceptions.Exit(EXIT_REJECTED)


def _examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other, as far as one can without the thing before."""
    yield _configuration(settings)
    try:
        with application(settings) as app:
            yield from _in_vain(app, settings)
            yield from _surroundings(app, settings)
            library = list(_looked("Cloudinary" if app.remote else "store", lambda: _library(app)))
            yield from library
            yield from _looked("Rekognition" if app.amazon else "models", lambda: _faces(app))
            if all(finding.good for finding in library):
                yield from _looked("people", lambda: [_index(app)])
                yield from _looked("portraits", lambda: _doubts(app))
                yield from _looked("rules", lambda: _rules(app))
                yield from _looked("threshold", lambda: _threshold(app))
            yield from _looked("jobs", lambda: [_queue(app)])
    except ForeignFolder as error:
        yield Finding("installation", good=False, says=str(error))
    except FacelabelError as error:
        advice = (
            f"look at the settings data ({settings.data}) and store, and at who may write there"
        )
        if isinstance(error, ConfigurationError):  # which says what is to be set
            advice = ""
        yield Finding("start", good=False, says=str(error), advice=advice)


def _in_vain(app: App, settings: Settings) -> Iterator[Finding]:
    """What was set and changes nothing."""
    if app.local_although:
        yield Finding("faces", good=True, says=app.local_although)
    finds_faces = app.amazon is None or not app.amazon.detects
    vain = effects.without_effect(
        settings, with_amazon=app.amazon is not None, with_models=finds_faces
    )
    if vain:
        by_reason: dict[str, list[str]] = {}
        for name, reason in vain.items():
            by_reason.setdefault(reason, []).append(name)
        parts = (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
        yield Finding("settings", good=True, says=f"set, without effect: {'; '.join(parts)}")


def _looked(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What one look finds; one that fails is a finding, too, and the next is taken all the same."""
    try:
        yield from look()
    except ForeignFolder:
        raise
    except (FacelabelError, OSError) as error:
        yield Finding(what, good=False, says=str(error))


def _surroundings(app: App, settings: Settings) -> Iterator[Finding]:
    """The folder and what it has to do with the store."""
    yield from _looked("data folder", lambda: [_disk(settings)])
    yield from _looked("privacy", lambda: [_privacy(settings)])
    yield from _looked("pooler", lambda: _pooler(app))
    if local := app.local:
        yield from _looked("installation", lambda: [_installation(local, settings)])
        yield from _looked("originals", lambda: _strays(local.installation.census(), settings))
    elif app.keys and (ring := app.keys)() and settings.store_url.startswith("postgres"):
        yield from _looked("keys", lambda: [_keys(ring, settings)])


def _library(app: App) -> Iterator[Finding]:
    yield _account(app.remote, app.settings) if app.remote else _store(app)


def _faces(app: App) -> Iterator[Finding]:
    yield from _rekognition(app, app.amazon) if app.amazon else _models(app)


def _configuration(settings: Settings) -> Finding:
    says = (
        f"training folder {settings.training_folder!r}, recognition folder"
        f" {settings.face_recognition_folder!r}, threshold {settings.confidence_threshold:g}"
    )
    return Finding("configuration", good=True, says=says)


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data).free
    writable = os.access(settings.data, os.W_OK)
    good = writable and free > LOW_DISK_BYTES
    advice = "" if good else "free some space, or choose another folder with --data"
    return Finding("data folder", good, f"{settings.data}, {free / 1e9:.1f} GB free", advice)


def _installation(local: Local, settings: Settings) -> Finding:
    """Whether the folder, known to be the store's, still has what the store says it has."""
    missing, looked_for = local.installation.looked_for()
    if missing:
        says = f"{missing} of {looked_for} originals looked for are not in {settings.data}"
        advice = "is its disk mounted? Else upload them again; `facelabel jobs list` says which"
        return Finding("installation", good=False, says=says, advice=advice)
    return Finding(
        "installation", good=True, says=f"store and data folder belong together ({local.identity})"
    )


def _strays(census: Census, settings: Settings) -> Iterator[Finding]:
    """Files of no picture, where there are more than killed processes leave."""
    files = census.wanted - census.missing + census.others
    if census.others > deletion_limit(files):
        says = (
            f"{census.others} of {files} files in {settings.data / 'originals'} belong to no"
            " picture, as if the database were older than they are; none is deleted"
        )
        advice = (
            "put the newer database back, or upload the files again (`facelabel upload FILE`); if"
            " nobody wants them, `facelabel adopt --force` has them deleted"
        )
        yield Finding("originals", good=False, says=says, advice=advice)


def _keys(ring: KeyRing, settings: Settings) -> Finding:
    """Nothing but the store is shared where the pictures are on Cloudinary."""
    says = f"{len(ring())} in {settings.data / 'keys.json'}"
    advice = "another machine that serves from this store has keys of its own: copy the file there"
    return Finding("keys", good=True, says=says, advice=advice)


def _privacy(settings: Settings) -> Finding:
    """Whether other users of this computer may read what is kept."""
    if open_to_others := data_folder.exposed(settings.data):
        says = f"other users of this computer may read {', '.join(open_to_others)}"
        return Finding("privacy", good=False, says=says, advice=_closing(settings.data))
    return Finding("privacy", good=True, says="nobody else on this computer may read it")


def _pooler(app: App) -> Iterator[Finding]:
    """A pooler that shares connections, unless the role has what we would set for them."""
    if unkept := app.stores.unkept():
        says = (
            "a pooler gives every transaction another connection, and what Facelabel sets for its"
            " own does not stay: a machine lost in the middle of a change would hold up the others"
        )
        yield Finding("pooler", good=False, says=says, advice="; ".join(unkept))


def _closing(folder: Path) -> str:
    return f"as the owner of {folder}: chmod -R go-rwx {folder}"


def _store(app: App) -> Finding:
    count = sum(1 for _ in app.library.assets(""))
    return Finding("store", good=True, says=f"{counted(count, 'picture')} in the library")


def _account(remote: Remote, settings: Settings) -> Finding:
    """Whether the key is taken, and whether we are told of changes."""
    connector = Connector(remote, settings)
    try:
        found = connector.triggers()
    except Throttled as error:
        advice = "wait, or ask Cloudinary for a larger one; nothing is lost meanwhile"
        return Finding("Cloudinary", good=False, says=str(error), advice=advice)
    except ConfigurationError as error:
        return Finding("Cloudinary", good=False, says=str(error), advice="look at CLOUDINARY_URL")
    except FacelabelError as error:
        return Finding("Cloudinary", good=False, says=str(error), advice="look at the network")
    told, uri = f"the key opens {remote.client.account.cloud_name!r}", connector.connected
    if found.ours:
        told += f"; {counted(len(found.ours), 'trigger')} of ours to {uri}"
        return _listening(told, uri, found, settings)
    if found.dead:
        told += f"; {counted(len(found.dead), 'trigger')} of ours to where we do not listen"
        return Finding("Cloudinary", good=False, says=told, advice="`facelabel connect` mends it")
    maybe = found.maybe
    advice = "`facelabel connect` sets them up; until then `facelabel reconcile`"
    if maybe:
        some = ", ".join(f"{counted(n, 'trigger')} to {where}" for where, n in maybe.items())
        advice = f"{some}: if that is here, `facelabel connect --former {next(iter(maybe))}`"
    says = f"{told}; no trigger of it is known to be ours"
    return Finding("Cloudinary", good=True, says=says, advice=advice)


def _listening(told: str, uri: str, found: Triggers, settings: Settings) -> Finding:
    """Whether somebody is where our notifications go, as far as the settings say."""
    if found.dead:
        told += f", and {len(found.dead)} to where we do not listen any more"
        how = " --poll" if uri.startswith("poll://") else ""
        advice = f"`facelabel connect{how}` takes them away"
        return Finding("Cloudinary", good=False, says=told, advice=advice)
    channel = uri.removeprefix("poll://")
    if channel not in {uri, settings.poll_channel}:
        told += f", where nobody fetches them: poll_channel is {settings.poll_channel or 'not set'}"
        advice = f"set FACELABEL_POLL_CHANNEL={channel} for `facelabel serve`"
        return Finding("Cloudinary", good=False, says=told, advice=advice)
    if channel == uri and settings.public_url and not uri.startswith(settings.public_url):
        told += f", and public_url is {settings.public_url}"
        advice = f"`facelabel connect --public-url {settings.public_url}` moves them"
        return Finding("Cloudinary", good=False, says=told, advice=advice)
    return Finding("Cloudinary", good=True, says=told)


def _rekognition(app: App, amazon: Amazon) -> Iterator[Finding]:
    """Whether we may ask, and whether the collection is there."""
    live = app.ledger.collection()
    try:
        there = amazon.recognizer.collections()
    except FacelabelError as error:
        advice = "look at AWS's credentials and region, and at what the role may do"
        yield Finding("Rekognition", good=False, says=str(error), advice=advice)
        return
    says = f"{len(there)} collections in {amazon.client.region}"
    if live is None or live in there:
        yield Finding("Rekognition", good=True, says=says)
    else:
        advice = "`facelabel index --rebuild` learns all portraits anew"
        yield Finding("Rekognition", good=False, says=f"{says}, {live!r} not", advice=advice)


def _models(app: App) -> Iterator[Finding]:
    installed = {pack.name: pack for pack in app.engines.packs() if pack.installed}
    problems = {model: found for model, found in app.engines.problems().items() if found}
    if problems:
        says = "; ".join(text for found in problems.values() for text in found)
        advice = f"{report.pulls(problems)} repairs it"
        yield Finding("models", good=False, says=says, advice=advice)
    elif not installed:
        advice = "`facelabel models pull`, or let the first picture do it"
        says = f"none installed yet in {app.settings.models}"
        yield Finding("models", good=True, says=says, advice=advice)
    else:
        says = f"{', '.join(sorted(installed))} in {app.settings.models}"
        yield Finding("models", good=True, says=says)
    yield from _looked("device", lambda: [_device(app)])
    yield from _better_models(app)


def _device(app: App) -> Finding:
    """What the models run on."""
    device = app.engines.device()
    says = "face models run on the processor" if device == "cpu" else f"face models run on {device}"
    return Finding("device", good=True, says=says)


def _better_models(app: App) -> Iterator[Finding]:
    """The live collection may have been made with the weaker pack, or an uncalibrated one."""
    live = app.ledger.collection()
    if live is None or live not in app.recognizer.collections():
        return
    model = app.recognizer.model(live)
    pack = next((pack for pack in app.engines.packs() if pack.model == model), None)
    if app.settings.pack != "auto" and (wanted := app.engines.default_pack().model) != model:
        says = f"the setting pack asks for {wanted}, {live} was made with {model}"
        yield Finding("pack", good=True, says=says, advice="`facelabel index --rebuild` changes it")
    if pack is None:
        advice = "set FACELABEL_PACK to its manifest, or `facelabel index --rebuild`"
        yield Finding("collection", good=False, says=f"made with {model}, not here", advice=advice)
    elif not pack.calibrated:
        advice = "`facelabel eval gallery DIR --calibrate`; no names are written until then"
        yield Finding("collection", good=False, says=f"{model} is not calibrated", advice=advice)
    else:
        advice = _gain(pack, app.engines.packs()[0])
        says = f"{live}, made with {model}"
        if pack.own:
            says += f", {report.calibrated(pack.own)}"
        yield Finding("collection", good=True, says=says, advice=advice)


def _gain(pack: PackState, best: PackState) -> str:
    """What the recommended models would find more; "" where that is next to nothing."""
    if pack.finds is None or best.finds is None or best.finds - pack.finds < _WORTH_IT:
        return ""
    return (
        f"of 100 pictures of people who are known {best.name} names {best.finds:.0f}, {pack.name}"
        f" {pack.finds:.0f}: `facelabel index --rebuild --pack {best.name}` changes to it; it lists"
        " portraits that cannot be learnt then, and with --force it goes on without them"
    )


def _index(app: App) -> Finding:
    if app.ledger.collection() is None:
        advice = "`facelabel index FOLDER` learns from labelled portraits"
        return Finding("people", good=True, says="nobody is known yet", advice=advice)
    try:
        drift = app.reconciler.check()
    except ConfigurationError as error:
        return Finding("people", good=False, says=str(error))
    enrolled = actions.enrolments(app)
    people = len({line.person for line in enrolled})
    who = counted(people, "person", "people")
    says = f"{who} from {counted(len(enrolled), 'portrait')}"
    if app.queue.pending() or drift.clean:
        return Finding("people", good=True, says=says)
    return Finding("people", good=False, says=f"{says}; it differs from the training folder",
                   advice="`facelabel index --check` mends it")  # fmt: skip


def _rules(app: App) -> Iterator[Finding]:
    """Whether names are decided and people learnt by what the settings say."""
    if learning := learning_in_force.others(app.pipeline, app.asked.label_policy):
        says = f"people are learnt by {learning.now}, as was agreed to, not by {learning.asked}"
        advice = "`facelabel index --dry-run` says who would be forgotten"
        yield Finding("learning", good=True, says=says, advice=advice)
    if others := rules_in_force.others(app.pipeline):
        says = f"names are decided by {others.now}, as was agreed to, not by {others.asked}"
        advice = "`facelabel tag --dry-run` says how many names would change"
        yield Finding("rules", good=True, says=says, advice=advice)


def _threshold(app: App) -> Iterator[Finding]:
    """What is asked of a face, and whether strangers may be named too often."""
    portraits, rules = app.gallery.portraits(), app.gallery.rules()
    if portraits is None:
        return
    if rules.strangers:
        says = report.asked(rules, portraits)
        if says and false_matches.is_extended(portraits, rules.strangers):
            says += " (so many were not measured: the curve is extended)"
        if says:
            yield Finding("threshold", good=True, says=says)
        return
    named = 100 * false_matches.named_strangers(rules.threshold, portraits)
    if named < 100 * _STRANGERS_TOLD:
        return
    strict = replace(rules, strangers=false_matches.STRANGERS)
    policy = replace(app.gallery.policy(), rules=strict)
    go = name_changes.under_settings(replace(app.pipeline, label_policy=policy)).removed
    says = f"at {rules.threshold:g} about {named:.0f} of 100 strangers are given a name"
    advice = (
        f"FACELABEL_STRANGER_CHANCE=1 has it be one ({report.asked(strict, portraits)}): {go} names"
        " would go"
    )
    yield Finding("threshold", good=True, says=says, advice=advice)


def _doubts(app: App) -> Iterator[Finding]:
    """People who may be one: by the look of their names, or of their portraits."""
    live = app.ledger.collection()
    if live is None or live not in app.recognizer.collections():
        return
    for said in doubts.spellings(actions.portraits_by_person(app)):
        advice = "give all portraits the same label: tag-add and tag-remove, or rename the folder"
        yield Finding("names", good=False, says=said, advice=advice)
    lines, threshold = actions.enrolments(app), app.label_policy.rules.threshold
    found = list(doubts.rivalries(app.recognizer, live, lines, threshold))
    if found:
        line, said = found[0]
        more = f" ({len(found) - 1:,} portraits more are like that)" if len(found) > 1 else ""
        says = f"{line.public_id} ({line.person}): {said}{more}"
        yield Finding("portraits", good=True, says=says, advice="`facelabel show ID` shows one")


def _queue(app: App) -> Finding:
    pending, dead = app.queue.pending(), actions.failed_jobs(app)
    advice = "`facelabel jobs list` says why" if dead else ""
    if pending and not advice:
        advice = "`facelabel worker` works them"
    return Finding("jobs", good=not dead, says=_waiting(app, pending, len(dead)), advice=advice)


def _waiting(app: App, jobs: int, failed: int) -> str:
    """What is left to do, as a person counts it, and what failed."""
    waits = report.waiting(app.queue.pending({JobKind.ASSET}) if jobs else 0, jobs)
    return f"{waits}, {failed:,} failed" if failed else f"{waits}, none failed"
