"""run, resume, stop, delete, runs: the verbs around an execution of a study."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.cli import calibrations, estimates, places, show
from engine.cli.progress import Progress
from engine.core.budget import Limits
from engine.core.errors import RunError, UsageError
from engine.models.prices import pusd
from engine.run import run_dir
from engine.run.run_dir import RunDir, Status

if TYPE_CHECKING:
    from engine.run.expectation import Held
    from engine.study.plan import Plan


def run(options: Namespace) -> int:
    """Check the study to the end, say what it can cost, make the run's directory, and work."""
    from engine.run import worker
    from engine.study.plan import plan
    from engine.study.schema import load
    from engine.study.upper_bound import upper_bound

    study = places.none_of_ours(load(options.study))
    planned = plan(study)
    show.tell(estimates.forecast(upper_bound(planned)))
    directory = worker.prepare(study, places.writable(options))
    show.tell(
        f"Run {directory.run_id} of {study.name!r}; Ctrl-C stops it, `budgetscope resume {directory.run_id}` goes on."
    )
    return work(directory, planned)


def resume(options: Namespace) -> int:
    """Go on where a run was, under a new ceiling if one is given."""
    from engine.study.plan import plan
    from engine.study.schema import load

    directory = places.run(options)
    wished = Limits(options.calls, options.tokens, None if options.usd is None else pusd(options.usd))
    if wished != Limits():
        _raise_ceiling(directory, wished)
    return work(directory, plan(load(directory.study)))


def stop(options: Namespace) -> int:
    """Leave the word to stop in the run's directory."""
    directory = places.run(options)
    if not run_dir.is_alive(directory):
        raise RunError(f"Run {directory.run_id} is not running.")
    run_dir.request_stop(directory, now=options.now)
    show.say(
        f"Run {directory.run_id} was asked to stop{' now' if options.now else ' once its calls in flight are done'}."
    )
    return 0


def delete(options: Namespace) -> int:
    """Delete a run's rows and directory; asks first, and refuses while it lives."""
    import shutil

    from engine.run import allowance
    from engine.store.store import Store

    directory = places.run(options)
    if run_dir.is_alive(directory):
        raise RunError(f"Run {directory.run_id} is running; stop it first (`budgetscope stop {directory.run_id}`).")
    if not options.yes and not _agreed(f"Delete run {directory.run_id} and its trials? [y/N] "):
        show.say("Nothing was deleted.")
        return 0
    if directory.db.exists():
        allowance.settled(Store(directory.db))
    with run_dir.held(directory):
        if directory.db.exists():
            Store(directory.db).delete_run(directory.run_id)
        shutil.rmtree(directory.path)
    show.say(f"Run {directory.run_id} was deleted.")
    return 0


def runs(options: Namespace) -> int:
    """All runs with a directory beside the database, oldest first."""
    found = run_dir.list_runs(places.runs_of(options))
    if options.json:
        show.emit([{**asdict(each), "expected": [asdict(one) for one in _held(options, each)]} for each in found])
    elif not found:
        show.say(f"No runs beside {places.database(options)}; start one with `budgetscope run examples/first.toml`.")
    else:
        head = (
            "run",
            "study",
            "state",
            "trials",
            "failed",
            "calls",
            "tokens",
            "expected",
            "cost",
            "reserved",
            "in doubt",
            "free",
            "started",
            "ran",
        )
        show.table(head, [_row(each, _held(options, each)) for each in found], numeric=[*range(3, 12), 13])
    return 0


def calibrate(options: Namespace) -> int:
    """Search, show what was found, and write it to --out; a second calibration of the same reads what is stored."""
    from engine.run import worker
    from engine.study.plan import plan
    from engine.study.upper_bound import upper_bound

    study = calibrations.study_of(options)
    planned = plan(study)
    show.tell(estimates.forecast(upper_bound(planned)))
    directory = worker.prepare(study, places.writable(options))
    show.tell(
        f"Run {directory.run_id} of {study.name!r}; Ctrl-C stops it, `budgetscope resume {directory.run_id}` goes on."
    )
    code = work(directory, planned)
    if options.out is not None:
        show.say(f"{calibrations.write(options.out, directory.db, planned):,} questions were written to {options.out}.")
    return code


def work(directory: RunDir, planned: Plan) -> int:
    """Work in this process until the run ends, then show what it found."""
    from engine.run import worker
    from engine.run.expectation import held

    with Progress(sys.stderr) as progress:
        final = worker.run(directory, progress.show, planned=planned)
    _show_results(directory, planned)
    show.say(_last_word(final))
    if final.state == "finished" and (sentence := estimates.against(held(directory, final))):
        show.say(sentence)
    if final.state == "finished" and final.ends.get("failed"):
        return 4
    return places.CODES.get(final.state, 1)


def _show_results(directory: RunDir, planned: Plan) -> None:
    from engine.cli import reports

    if planned.study.calibration:
        calibrations.results(directory.db, planned)
    else:
        reports.results(directory.db, [condition.condition_id for condition in planned.conditions])


def _last_word(final: Status) -> str:
    ended = ", ".join(f"{count:,} {end}" for end, count in final.ends.items() if count) or "nothing was left to do"
    spent = show.amount(final.spent, final.priced)
    doubt = f", besides {show.amount(final.in_doubt, final.priced)} in doubt" if final.in_doubt.calls else ""
    message = f" {final.message}" if final.message else ""
    trials = f"{final.done:,} of {final.total:,} trials ({ended})"
    return f"Run {final.run_id} {final.state}: {trials}; billed {spent}{doubt}.{message}"


def _held(options: Namespace, each: Status) -> tuple[Held, ...]:
    from engine.run.expectation import held

    return held(run_dir.find(places.runs_of(options), each.run_id), each)


def _row(each: Status, held: tuple[Held, ...]) -> tuple[str, ...]:
    cost = show.usd(each.spent.pusd if each.priced else None)
    started = each.started_at.strftime("%Y-%m-%d %H:%M UTC") if each.started_at else show.UNKNOWN
    counts = (each.ends.get("failed", 0), each.spent.calls, each.spent.tokens)
    return (
        each.run_id,
        each.name,
        each.state,
        f"{each.done:,}/{each.total:,}",
        *map(show.number, counts),
        estimates.expected_tokens(held),
        cost,
        show.number(each.reserved.tokens),
        show.number(each.in_doubt.tokens),
        "no limit" if each.free.tokens is None else show.number(each.free.tokens),
        started,
        show.UNKNOWN if (ran := run_dir.running_s(each)) is None else show.duration(ran),
    )


def _raise_ceiling(directory: RunDir, wished: Limits) -> None:
    from engine.study.schema import with_ceiling

    if run_dir.is_alive(directory):
        raise RunError(f"Run {directory.run_id} is running; its ceiling can be changed once it has stopped.")
    text = with_ceiling(directory.study.read_text(encoding="utf-8"), wished)
    part = directory.path / ".study.toml"
    part.write_text(text, encoding="utf-8")
    part.replace(directory.study)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to ask; add --yes to delete without asking.")
    return input(question).strip().lower() in ("y", "yes")
