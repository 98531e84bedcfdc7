"""worker and jobs: the commands about the queue."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from facelabel import actions
from facelabel.bootstrap import rules_in_force
from facelabel.bootstrap.data_folder import PRIVATE_UMASK
from facelabel.cli import agreeing, nothing, report, tables, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, Group, argument, finish
from facelabel.cli.tables import Column, Kind
from facelabel.cli.terminal import application, records
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from facelabel.bootstrap.records import Records
    from facelabel.core.jobs import Job
    from facelabel.recognition.worker import Done
    from facelabel.settings import Settings

#: Longer lists of jobs are cut where a person reads them.
SHOWN = 1000
#: Of the list of them.
COLUMNS = (
    Column("what"), Column("job", Kind.NUMBER, weight=3), Column("state", weight=1),
    Column("tries", Kind.NUMBER), Column("reason", Kind.TEXT, weight=2),
)  # fmt: skip


@click.command(cls=Command, streams=True, examples=["worker", "worker --once"])
@click.option("--once", is_flag=True, help="Stop when nothing is left to do.")
@click.pass_obj
def worker(settings: Settings, *, once: bool) -> None:
    """Work the queue: learn portraits, put names on pictures.

    Several workers may run at once. Ctrl-C ends it after the picture in hand.
    """
    if once:
        with agreeing.application(settings) as app:
            agreeing.keep_to_rules(app)
            with tallying.working(app, "working") as tally:
                tallying.drain(app, tally)
            said = tallying.summary(app, tally)
            terminal.say(nothing.waits(app) if said == tallying.NOTHING else said)
            terminal.answer(tally.result())
        finish(refused=tally.refused, waiting=tally.waiting)
        return
    with application(settings, serves=True) as app:
        stop = threading.Event()
        os.umask(PRIVATE_UMASK)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: stop.set())
        app.tidy()
        rules_in_force.serve_by_settings(app.pipeline)
        terminal.remark(f"working; data in {settings.data}; Ctrl-C ends")
        app.worker().run(stop, _print_done)


def _print_done(done: Done) -> None:
    terminal.event(tallying.event(done))
    if done.outcome is None:
        end = "refused" if done.buried else "will be tried again"
        what = done.public_id or _about(done.job)
        terminal.say(f"{what}: {end}: {actions.reason(done)}", style="red")
    elif done.outcome.public_id:
        terminal.say(f"{done.outcome.public_id}: {tallying.became(done.outcome)}")


@click.group(cls=Group)
def jobs() -> None:
    """See what waits or failed; try it again or drop it."""


@jobs.command("list", cls=Command)
@click.option("--all", "everything", is_flag=True, help="Also those that wait or run.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N",
    help=f"So many at most, the oldest first.  [default: {SHOWN:,}; with --json or --quiet, all]",
)  # fmt: skip
@click.pass_obj
def list_(settings: Settings, *, everything: bool, limit: int | None) -> None:
    """List the jobs that failed for good, with the reason."""
    with records(settings) as kept:
        every = kept.queue.jobs(None if everything else JobState.DEAD, actions.ALL)
        found = every[: limit or (SHOWN if terminal.is_for_people() else None)]
        pictures, jobs = kept.queue.pending({JobKind.ASSET}), kept.queue.pending()
        titles = _titles(kept, found)
    terminal.answer([{"job": job, "asset": titles[job.job_id]} for job in found])
    if found:
        tables.show(COLUMNS, _rows(found, titles), key=1)
    if more := len(every) - len(found):
        terminal.say(f"and {more:,} more: `facelabel jobs list --limit {len(every)}`")
    terminal.say(report.waiting(pictures, jobs) + ("" if found else "; none has failed"))


def _rows(found: Sequence[Job], titles: Mapping[int, str]) -> Iterator[tuple[str, ...]]:
    for job in found:
        reason = job.reason.strip().rpartition("\n")[2]
        yield titles[job.job_id], str(job.job_id), _state(job), str(job.tries), reason


def _titles(kept: Records, jobs: Sequence[Job]) -> dict[int, str]:
    """The pictures' public_ids; of one elsewhere that we have not seen yet, its asset_id.

    An account is not asked: that would cost a call for every job, and fail just when jobs do.
    """
    look = kept.ledger.search if kept.is_remote else kept.library().asset
    found = ((job, look(job.key)) for job in jobs)
    return {job.job_id: known.public_id if known else _about(job) for job, known in found}


def _about(job: Job) -> str:
    """What a job is about of which no picture is known; of an address the host alone is shown."""
    if job.kind is JobKind.NOTIFY:
        host = urlsplit(str(job.payload.get("url", ""))).hostname
        return f"notification to {host}"
    if job.kind in tallying.ABOUT:
        return tallying.ABOUT[job.kind]
    return f"picture {job.key}" if job.kind is JobKind.ASSET else f"{job.kind} {job.key}"


def _state(job: Job) -> str:
    if job.state is JobState.DEAD:
        return "failed"
    if job.token and job.run_at > time.time():
        return "running"
    wait = job.run_at - time.time()
    return f"in {wait:.0f} s" if wait > 0 else "waits"


@jobs.command(cls=Command)
@argument("job_ids", metavar="NUMBER...", nargs=-1, type=int, help="Of failed jobs.")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@click.pass_obj
def retry(settings: Settings, job_ids: tuple[int, ...], *, everything: bool) -> None:
    """Try failed jobs again, by number or --all."""
    chosen = _chosen(job_ids, everything=everything)
    with records(settings) as kept:
        chosen, unknown = _sorted_out(kept, chosen)
        count = kept.queue.revive(chosen)
    terminal.say(f"{counted(count, 'job')} will be tried again")
    terminal.answer({"retried": count, "unknown": unknown})
    _finish(unknown)


@jobs.command(cls=Command)
@argument("job_ids", metavar="NUMBER...", nargs=-1, type=int, help="Of failed jobs.")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@click.pass_obj
def drop(settings: Settings, job_ids: tuple[int, ...], *, everything: bool) -> None:
    """Forget failed jobs, by number or --all; the pictures stay."""
    chosen = _chosen(job_ids, everything=everything)
    with records(settings) as kept:
        chosen, unknown = _sorted_out(kept, chosen)
        count = kept.queue.drop(chosen)
    terminal.say(f"{counted(count, 'job')} dropped")
    terminal.answer({"dropped": count, "unknown": unknown})
    _finish(unknown)


def _chosen(job_ids: tuple[int, ...], *, everything: bool) -> Sequence[int] | None:
    """The jobs named, None for all that failed."""
    if bool(job_ids) == everything:
        raise click.UsageError("give numbers of jobs (`facelabel jobs list`), or --all")
    return job_ids or None


def _sorted_out(
    kept: Records, chosen: Sequence[int] | None
) -> tuple[Sequence[int] | None, Sequence[int]]:
    """The failed ones among the jobs named (None: all), and those that did not or are not there."""
    if chosen is None:
        return None, ()
    failed = {job.job_id for job in actions.failed_jobs(kept)}
    return sorted({*chosen} & failed), sorted({*chosen} - failed)


def _finish(unknown: Sequence[int]) -> None:
    for job_id in unknown:
        terminal.complain(f"there is no failed job {job_id}: `facelabel jobs list` has them")
    finish(refused=bool(unknown))
