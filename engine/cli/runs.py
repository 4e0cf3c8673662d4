"""run, resume, stop, delete, runs: the verbs around an execution of a study."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import estimates, options, show
from engine.cli.options import CODE_OF_STATE, ERROR, FAILED_TRIALS, Verb
from engine.cli.reading import reports
from engine.core import files, names, text
from engine.core.budget import Limits
from engine.core.errors import RunError, UsageError
from engine.models.prices import pusd
from engine.runs import reasons, run_dir
from engine.runs.actors import places
from engine.runs.run_dir import RunDir

if TYPE_CHECKING:
    from engine.runs.actors.places import Place
    from engine.study.plan import Plan

_HEAD = (
    *("run", "study", "state", "trials", "failed", "calls", "tokens", "expected", "cost"),
    *("reserved", "in doubt", "free", "started", "ran"),
)


@click.command(cls=Verb, works=True)
@options.study_file()
@options.plugin
@options.option("--adaptive", is_flag=True, help="ask on only where the place of a setting is undecided")
@options.option("--until", help='when an adaptive run stops: "regret <= 3 points"')
@options.actors
def run(db: Path, path: Path, adaptive: bool, until: str | None, on: str | None, actors: int | None) -> int:
    """Check the study to the end, say what it can cost, make the run's directory, and work."""
    from engine.study.plan import plan
    from engine.study.schema import adaptive as as_adaptive
    from engine.study.schema import load

    study = options.none_of_ours(load(path))
    if until is not None and not adaptive and study.until is None:
        raise UsageError("--until says when an adaptive run stops; add --adaptive.")
    place = places.place(on, actors)
    return start(plan(as_adaptive(study, until) if adaptive or until is not None else study), db, place)[1]


@click.command(cls=Verb, works=True)
@options.run_id()
@options.limits(
    "A new ceiling for the run", "dollars in all, those already spent included", "tokens in all", "calls in all"
)
@options.actors
def resume(
    db: Path,
    name: str,
    usd: float | None,
    tokens: int | None,
    calls: int | None,
    on: str | None,
    actors: int | None,
) -> int:
    """Go on where a run was, under a new ceiling if one is given."""
    from engine.runs import worker
    from engine.study.plan import plan
    from engine.study.schema import with_ceiling

    place = places.place(on, actors)
    directory = options.find_run(db, name)
    ceiling = Limits(calls, tokens, None if usd is None else pusd(usd))
    if ceiling != Limits():
        if run_dir.is_alive(directory):
            raise RunError(f"Run {directory.run_id} is running; its ceiling can be changed once it has stopped.")
        files.replace(directory.study, with_ceiling(worker.kept_study(directory).text, ceiling))
    return work(directory, plan(worker.kept_study(directory)), place)


@click.command(cls=Verb)
@options.run_id()
@options.option("--now", is_flag=True, help="give up calls in flight; they stay charged at their worst case")
def stop(db: Path, name: str, now: bool) -> None:
    """Leave the word to stop in the run's directory."""
    directory = options.find_run(db, name)
    if not run_dir.is_alive(directory):
        raise RunError(f"Run {directory.run_id} is not running.")
    run_dir.request_stop(directory, now=now)
    show.say(f"Run {directory.run_id} was asked to stop{' now' if now else ' once its calls in flight are done'}.")


@click.command(cls=Verb)
@options.run_id()
@options.option("--yes", is_flag=True, help="do not ask")
def delete(db: Path, name: str, yes: bool) -> None:
    """Delete a run's rows and directory; asks first, and refuses while it lives."""
    import shutil

    from engine.runs import allowance
    from engine.store.store import Store

    directory = options.find_run(db, name)
    if run_dir.is_alive(directory):
        raise RunError(f"Run {directory.run_id} is running; stop it first (`budgetscope stop {directory.run_id}`).")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody is there to ask; add --yes to delete without asking.")
        answer = input(f"Delete run {directory.run_id} and its trials? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            show.say("Nothing was deleted.")
            return
    if directory.db.exists():
        # What it holds of the day's allowance goes back first: without its journal nobody could tell what it spent.
        allowance.settled(Store(directory.db))
    # Nobody resumes it meanwhile.
    with run_dir.held(directory):
        if directory.db.exists():
            Store(directory.db).delete_run(directory.run_id)
        shutil.rmtree(directory.path)
    show.say(f"Run {directory.run_id} was deleted.")


@click.command(cls=Verb)
@options.as_json
def runs(db: Path, as_json: bool) -> None:
    """All runs with a directory beside the database, oldest first."""
    from engine.runs.expectation import held
    from engine.store import archive

    local = options.runs_of(db)
    expected = [(each, held(run_dir.find(local, each.run_id), each)) for each in run_dir.list_runs(local)]
    if as_json:
        show.emit([{**asdict(each), "expected": [asdict(one) for one in ends]} for each, ends in expected])
        return
    if not expected:
        show.say(f"No runs beside {db}; start one with `budgetscope run first`.")
    else:
        rows = [
            (
                *(each.run_id, each.name, each.state, f"{each.done:,}/{each.total:,}"),
                *map(show.number, (each.ends.get("failed", 0), each.spent.calls, each.spent.tokens)),
                *(estimates.expected_tokens(ends), show.money(each, each.spent)),
                *map(show.number, (each.reserved.tokens, each.in_doubt.tokens)),
                "no limit" if each.free.tokens is None else show.number(each.free.tokens),
                each.started_at.strftime("%Y-%m-%d %H:%M UTC") if each.started_at else show.UNKNOWN,
                show.UNKNOWN if (ran := run_dir.running_s(each)) is None else show.duration(ran),
            )
            for each, ends in expected
        ]
        show.table(_HEAD, rows, numeric=[*range(3, 12), 13])
        for each, _ in expected:
            if why := reasons.said(each.reasons):
                show.say(f"Failed in {each.run_id}: {why}.")
            elif each.state == "failed" and each.message:
                show.say(f"Failed in {each.run_id}: {each.message}")
        if local.exists():
            for decided in engine.open(local).decisions():
                show.say(f"{decided.run_id}, {names.task(decided.task)}: {decided.sentence}")
    for folder, kept in archive.archives(local):
        show.say(
            f"Archived on {kept.archived_at:%Y-%m-%d}: {kept.study}, {text.plural(kept.trials, 'trial')}; "
            f"`--db {folder}` reads it in place."
        )


def start(planned: Plan, db: Path, place: Place | None = None) -> tuple[Path, int]:
    """Say what a plan can cost, make its run's directory, and work; the database that was written and the exit code.

    `place`: where actors try its trials; None: this process does."""
    from engine.models import notices
    from engine.runs import worker
    from engine.study.upper_bound import upper_bound

    for notice in notices(planned.models.values()):
        show.tell(notice)
    # On standard error: standard output is for results.
    for note in planned.notes:
        show.tell(note)
    show.tell(estimates.forecast(upper_bound(planned)))
    directory = worker.prepare(planned.study, options.writable(db))
    show.tell(
        f"Run {directory.run_id} of {planned.study.name!r}; Ctrl-C stops it, "
        f"`budgetscope resume {directory.run_id}` goes on."
    )
    return directory.db, work(directory, planned, place)


def work(directory: RunDir, planned: Plan, place: Place | None = None) -> int:
    """Work until the run ends, in this process or with actors in a `place`, then show what it found."""
    from engine.runs import worker
    from engine.runs.expectation import held

    with show.Progress(sys.stderr) as progress:
        final = worker.run(directory, progress.show, planned=planned, place=place)

    if planned.study.calibration:
        reports.calibration_table(directory.db, planned)
    else:
        reports.results(directory.db, planned.study.name, [condition.condition_id for condition in planned.conditions])
    ended = ", ".join(f"{count:,} {end}" for end, count in final.ends.items() if count) or "nothing was left to do"
    doubt = f", besides {show.charged(final, final.in_doubt)} in doubt" if final.in_doubt.calls else ""
    show.say(
        f"Run {final.run_id} {final.state}: {final.done:,} of {final.total:,} trials ({ended}); "
        f"billed {show.charged(final, final.spent)}{doubt}.{f' {final.message}' if final.message else ''}"
    )
    if final.state == "finished" and (sentence := estimates.against(held(directory, final))):
        show.say(sentence)
    # What a judge left without a score has ended as stopped, in a run that was not.
    if final.state == "finished" and (final.ends.get("failed") or final.ends.get("stopped")):
        return FAILED_TRIALS
    return CODE_OF_STATE.get(final.state, ERROR)
