"""eval: accuracy on labelled sets, and calibration on a set of one's own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel.cli import report, tables, terminal
from facelabel.cli.framework import Command, Group, argument, finish
from facelabel.cli.tables import Column, Kind
from facelabel.cli.terminal import application, bar
from facelabel.core import false_matches
from facelabel.core.counting import counted
from facelabel.errors import ConfigurationError, Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.evaluation.fitting import FittedPoint
    from facelabel.evaluation.identification import Identification, SheetReport, Similarity
    from facelabel.evaluation.photos import Problem, Seen
    from facelabel.evaluation.rates import Distances, Share
    from facelabel.evaluation.verification import Verification
    from facelabel.gallery.ports import FaceEngine
    from facelabel.settings import Settings

#: Longer lists of failures are cut; --json has all.
SHOWN_PROBLEMS = 20
#: The similarity whose promise is spoken of.
USUAL = 80.0
#: Pairs that make a rate one to go by, and how many times the promised one is worth a word.
_COUNTED, _MORE_ALIKE = 10, 1.5

plot_option = click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the trade-off curve and the histograms of distances there (extra: plot).",
)


@click.group("eval", cls=Group)
def evaluate() -> None:
    """Measure accuracy on labelled pictures of your own."""


@evaluate.command(cls=Command, examples=["eval pairs pairs.txt lfw/ --plot roc.png"])
@argument(
    "pairs_txt", metavar="PAIRS.TXT", type=click.Path(path_type=Path, readable=False),
    help="Pairs, a line each.",
)  # fmt: skip
@argument("root", type=click.Path(path_type=Path, readable=False), help="Folder of the pictures.")
@plot_option
@click.pass_obj
def pairs(settings: Settings, pairs_txt: Path, root: Path, plot: Path | None) -> None:
    """Tell pairs of one person from pairs of two, as in Labeled Faces in the Wild.

    PAIRS.TXT lists pairs in LFW's form, with or without its header; the pictures are
    ROOT/Name/Name_0001.jpg. The face nearest the middle of a picture is compared. A pair with a
    picture in which no face was found counts as a wrong decision in every number.
    """
    from facelabel.evaluation import plots, verification  # noqa: PLC0415 - NumPy, for nobody else

    if plot:
        plots.check()
    listed = verification.read_pairs(pairs_txt, root)
    with application(settings) as app:
        engine = app.engines(None)
        files = {file for pair in listed for file in (pair.left, pair.right)}
        seen = _look(app, engine, sorted(files))
        scores = verification.score(listed, seen)
        result = verification.report(scores, engine.model, seen, root, _similarity(engine))
    _print_verification(result)
    if plot:
        genuine, impostor = map(verification.together, (scores.genuine, scores.impostor))
        _plot(plot, f"{engine.model}, {pairs_txt.name}", genuine, impostor)


def _plot(path: Path, title: str, genuine: Distances, impostor: Distances) -> None:
    from facelabel.evaluation import plots  # noqa: PLC0415 - same

    plots.save(path, title, ("pairs of one person", genuine), ("pairs of two people", impostor))
    terminal.remark(f"saved {path}")


def _look(app: App, engine: FaceEngine, files: Collection[Path]) -> dict[Path, Seen]:
    from facelabel.evaluation import photos  # noqa: PLC0415 - same

    with bar("looking at pictures", len(files)) as advance:
        return photos.look(engine, partial(actions.read_file, app), files, advance)


def _similarity(engine: FaceEngine) -> Similarity | None:
    """The engine's calibration, None where it has none."""
    try:
        engine.similarity(0.0)
    except ConfigurationError:
        return None
    return engine.similarity


@evaluate.command(
    cls=Command,
    examples=["eval gallery people/ --pack classic", "eval gallery people/ --calibrate"],
)
@argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, readable=False),
    help="Labelled pictures.",
)  # fmt: skip
@click.option(
    "--enrol", default=1, show_default=True, metavar="N", type=click.IntRange(1),
    help="Pictures of each person to learn; the others are searched.",
)  # fmt: skip
@click.option(
    "--strangers", default=0.2, show_default=True, metavar="FRACTION", type=click.FloatRange(0, 1),
    help="Share of the people who are not learnt and must not be named.",
)  # fmt: skip
@click.option(
    "--calibrate", is_flag=True,
    help="Fit what similarity means to these people and keep it: a stricter one where they are"
    " more alike than the pack promises, or the first one of a pack that has none.",
)  # fmt: skip
@plot_option
@click.pass_obj
def gallery(
    settings: Settings,
    folder: Path,
    enrol: int,
    strangers: float,
    plot: Path | None,
    *,
    calibrate: bool,
) -> None:
    """Recognise known people and leave strangers unnamed.

    DIR has folders gallery/, probe/ and perhaps strangers/ with files named after the person, and
    perhaps groups/ with a labels.json; or one folder per person; or files named after the person
    and a number. A picture without a face counts as a failure in every number.
    """
    from facelabel.evaluation import fitting, identification, labelled, plots  # noqa: PLC0415 - same

    if plot:
        plots.check()
    people = labelled.read_set(folder, enrol=enrol, strangers=strangers)
    if not people.probes and not people.strangers:
        raise Rejected(f"{folder} has nobody to search for: give two pictures of a person at least")
    with application(settings) as app:
        engine = app.engines(None)
        seen = _look(app, engine, people.files)
        scores = identification.score(people, seen)
        shown = {photo.person for photo in people.photos if seen[photo.file].templates}
        points = _calibrate(app, engine, scores.impostor, len(shown)) if calibrate else ()
        similarity = fitting.curve(points) if points else _similarity(engine)
        rules = app.label_policy.rules
        if rules.strangers is None:  # as in a gallery that is begun now
            rules = replace(rules, strangers=false_matches.STRANGERS)
        result = identification.report(people, seen, scores, rules, engine.model, similarity)
    result = replace(result, calibration=points, left_out=people.left_out)
    _print_identification(result)
    if plot:
        _plot(plot, f"{engine.model}, {folder.name}", scores.genuine, scores.impostor)
    finish(refused=any(left.fault for left in people.left_out))


def _calibrate(
    app: App, engine: FaceEngine, impostor: Distances, people: int
) -> tuple[FittedPoint, ...]:
    """Fit and keep a calibration; nothing where the pack's own keeps its promise here."""
    from facelabel.evaluation import fitting  # noqa: PLC0415 - same

    published = app.engines.published(engine.model)
    points = fitting.stricter(impostor, published) if published else fitting.fit(impostor)
    if not points:
        _print_kept(app, engine.model)
        return ()
    path = app.engines.calibrate(
        engine.model, fitting.pairs(points), people=people, pairs=impostor.total,
        now=app.clock.now(),
    )  # fmt: skip
    terminal.remark(f"calibration of {engine.model} saved to {path}")
    if published:
        terminal.remark(
            "delete that file to undo it; `facelabel serve` and `facelabel worker` use it once they"
            " are started again"
        )
    if any(True for _ in app.ledger.searched()):
        terminal.remark(
            "pictures searched before are decided again by `facelabel tag`, without looking at"
            " them; `facelabel tag --dry-run` says how many names would go"
        )
    _revive(app)
    return points


def _print_kept(app: App, model: str) -> None:
    """Nothing was saved, because these people are as alike as the pack says."""
    terminal.remark(
        f"these people are not more alike than {model} promises: nothing to make stricter"
    )
    if app.engines.calibrations.of(model):
        path = app.engines.calibrations.path(model)
        terminal.remark(f"{path}, measured before, stays in use until it is deleted")


def _revive(app: App) -> None:
    """Have pictures searched that waited for a calibration."""
    queue = app.queue
    uncalibrated = [job.job_id for job in actions.failed_jobs(app) if "--calibrate" in job.reason]
    if uncalibrated:
        revived = counted(queue.revive(uncalibrated), "picture")
        terminal.remark(f"searched again, having waited for it: {revived}")


def _print_verification(result: Verification) -> None:
    terminal.answer(result)
    folds, equal = result.accuracy, result.equal_error
    terminal.say(
        f"{result.model}: {result.genuine:,} pairs of one person, {result.impostor:,} of two,"
        f" {counted(result.pictures, 'picture')}"
    )
    terminal.give(
        f"{folds.accuracy:.4f}",
        f"accuracy {folds.accuracy:.2%} ± {folds.standard_error:.2%} ({folds.folds} folds, each"
        " with the threshold that is best on the others)",
    )
    chosen = _threshold(folds.distance, folds.similarity)
    terminal.say(f"chosen threshold {chosen}, mean of the folds")
    terminal.say(f"equal error rate {equal.rate:.2%} at L2 {equal.distance:.4f}")
    _table(
        ("FAR", "TAR", "L2", "similarity", ""),
        (
            (
                f"{point.far:.0e}", _percent(point.tar), _number(point.distance, 4),
                _number(point.similarity, 1), point.reason,
            )
            for point in result.points
        ),
    )  # fmt: skip
    _print_problems("without a face: each pair with one is a failure", result.problems)


def _print_identification(result: Identification) -> None:
    terminal.answer(result)
    known = counted(result.people, "person", "people")
    terminal.say(
        f"{result.model}: {known} known from {counted(result.references, 'picture')},"
        f" {counted(result.probes, 'probe')},"
        f" {counted(result.strangers, 'picture')} of strangers"
    )
    if result.calibration:
        _print_calibration(result.calibration)
    if not terminal.is_for_people() and result.rank_1:
        terminal.give(f"{result.rank_1.rate:.4f}")
    _table(("", "rate", "count", "95 %"), _rates(result))
    _table(("FPIR (no margin)", "TPIR", "count", "95 %", "L2", "similarity"), _points(result))
    if result.false_matches:
        title = f"similarity ({counted(result.impostor_pairs, 'pair')} of two people)"
        titles = (title, "L2", "should match", "matched", "count", "95 %")
        _table(titles, _false_matches(result))
        if more := more_alike(result):
            terminal.say(more, style="yellow")
    _print_problems("not learnt: the people's probes are failures", result.not_enrolled)
    _print_problems("without a face: each is a failure", result.undetected)
    report.print_left_out(result.left_out)


def more_alike(result: Identification) -> str:
    """What to say where these people are more alike than those of the pack's calibration."""
    counted = [line for line in result.false_matches if line.measured
               and line.measured.count >= _COUNTED]  # fmt: skip
    if not counted:
        return ""
    rarest = min(counted, key=lambda line: line.expected)
    assert rarest.measured
    times = rarest.measured.rate / rarest.expected
    if times < _MORE_ALIKE or rarest.measured.low <= rarest.expected:
        return ""
    stricter = false_matches.similarity_at(false_matches.false_match_rate(USUAL) / times)
    return (
        f"these people are more alike than those that the pack was measured on: {times:.1f} times"
        f" as many pairs of two people match. `--confidence-threshold {stricter:.0f}` keeps the"
        f" promise of {USUAL:g}; `--calibrate` makes every similarity keep its own"
    )


def _rates(result: Identification) -> Iterator[tuple[str, ...]]:
    yield "rank-1", *_share(result.rank_1)
    if rule := result.rule:
        at = f"at threshold {rule.threshold:g}, margin {rule.margin:g}"
        yield f"TPIR {at}", *_share(rule.tpir)
        yield f"FPIR {at}", *_share(rule.fpir)
        yield "probes given a wrong name", *_share(rule.misnamed)
    else:
        yield "TPIR and FPIR", "", "", "the pack is not calibrated: see --calibrate"
    if sheets := result.sheets:
        for title, count, of in _sheet_lines(sheets):
            yield title, "", f"{count} of {of}" if of is not None else str(count), ""


def _sheet_lines(sheets: SheetReport) -> Iterator[tuple[str, int, int | None]]:
    yield f"faces found on {sheets.sheets} sheets", sheets.found, sheets.faces
    yield "faces found where nobody is", sheets.extra, None
    yield "known people named on sheets", sheets.known_named, sheets.known
    yield "strangers named on sheets", sheets.strangers_named, sheets.strangers
    yield "wrong names on sheets", sheets.wrong_names, None


def _points(result: Identification) -> Iterator[tuple[str, ...]]:
    """What each threshold would give, the margin aside."""
    for point in result.points:
        where = (_number(point.distance, 4), _number(point.similarity, 1))
        yield f"{point.fpir:g}", *_share(point.tpir, point.reason), *where
    if chosen := result.chosen:
        where = (f"{chosen.distance:.4f}", _number(chosen.similarity, 1))
        yield "we would choose", *_share(chosen.tpir), *where
        yield "  its FPIR", *_share(chosen.fpir), "", ""


def _false_matches(result: Identification) -> Iterator[tuple[str, ...]]:
    for line in result.false_matches:
        cells = _share(line.measured, digits=4)
        yield f"{line.similarity:g}", f"{line.distance:.4f}", f"{line.expected:.4%}", *cells


def _print_calibration(points: Sequence[FittedPoint]) -> None:
    _table(
        ("fitted similarity", "L2", "false match rate", ""),
        (
            (
                f"{point.similarity:g}", f"{point.distance:.4f}", f"{point.rate:.4%}",
                "measured" if point.measured else _extended(point),
            )
            for point in points
        ),
    )  # fmt: skip
    terminal.say("the numbers below are those of the very pictures it was fitted to")


def _extended(point: FittedPoint) -> str:
    return (
        "extended, cautiously: it takes"
        f" {point.needs:,} pairs ({point.people:,} people) to be measured"
    )


def _print_problems(title: str, problems: Sequence[Problem]) -> None:
    if problems:
        terminal.say(f"{counted(len(problems), 'picture')} {title}:", style="yellow")
    for problem in problems[:SHOWN_PROBLEMS]:
        terminal.say(f"  {problem.file}: {problem.reason}")
    if len(problems) > SHOWN_PROBLEMS:
        terminal.say(f"  and {len(problems) - SHOWN_PROBLEMS} more: --json lists all")


def _table(titles: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Figures; what stands last is a word on them, and goes on in the next line."""
    *figures, last = titles
    columns = [Column(title) for title in figures]
    columns.append(Column(last, Kind.PLAIN if last else Kind.TEXT))
    tables.show(columns, rows, key=None)


def _share(found: Share | None, reason: str = "", *, digits: int = 1) -> tuple[str, str, str]:
    """Rate, count and interval."""
    if found is None:
        return "", "", reason or "nothing to count"
    interval = f"{found.low:.{digits}%} to {found.high:.{digits}%}"
    return f"{found.rate:.{digits}%}", f"{found.count:,} of {found.of:,}", interval


def _threshold(distance: float, similarity: float | None) -> str:
    return f"L2 {distance:.4f}" + (f", similarity {similarity:.1f}" if similarity else "")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
