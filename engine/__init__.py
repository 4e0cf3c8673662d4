"""Budgetscope: which model and strategy buys the most accuracy for a given number of tokens, dollars or calls.

    import engine

    spend = engine.estimate("study.toml")          # what it will probably cost, and what it can cost at most
    status = engine.run("study.toml")              # in this process; returns when it ended
    status = engine.resume("last")
    results = engine.open("results.local.duckdb")  # cells, curves, frontier, compare, advise: polars frames

Everything heavy is imported when it is first needed. Rooms from the top down: cli, testing, interop, runs, analysis and
study, strategies, trial, models and tasks and store, core; docs/architecture.md says what is in them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine import former_names

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Results
    from engine.runs.run_dir import Status
    from engine.study.expected import ExpectedSpend
    from engine.study.schema import Study

__all__ = ["calibrate", "estimate", "open", "resume", "run"]

former_names.install()


def open(path: Path | str) -> Results:
    """The results stored at `path`, read-only. Raises StoreError on first use if the file cannot be read."""
    from engine.analysis import Results

    return Results(path)


def estimate(study: Study | Path | str, db: Path | str | None = None) -> ExpectedSpend:
    """What a study will probably spend by the history in `db`, and what it can spend at most; calls no model.

    `study`: a `Study`, the path of its TOML file, or the name of an example. `db`: None is BUDGETSCOPE_DB, else
    results.local.duckdb where it is, else results.duckdb, else the demo that came along. Raises UsageError for a study
    that does not hold together, StoreError for a file that cannot be read.

        >>> spend = engine.estimate("first")
        >>> spend.worst.output_tokens, spend.expected
    """
    from engine.study.expected import expected_spend
    from engine.study.plan import plan

    return expected_spend(plan(_study(study)), _database(db))


def run(
    study: Study | Path | str, db: Path | str | None = None, on_status: Callable[[Status], None] | None = None
) -> Status:
    """Run a study in this process until it is done, stopped or at its ceiling; how it ended.

    Results go to `db` (None: as in `estimate`), or to the local copy of a demo, which is only read. `on_status` is told
    how the run stands about once a second. The run obeys its ceiling and the day's allowance, and can be resumed
    whatever happens to this process. Raises UsageError and RunError before anything is spent.

        >>> status = engine.run("first", "mine.duckdb")
        >>> status.state, status.done, status.spent.tokens
    """
    from engine.runs import worker
    from engine.store.store import writable

    return worker.run(worker.prepare(_study(study), writable(_database(db))), on_status or _silence)


def resume(run_id: str, db: Path | str | None = None, on_status: Callable[[Status], None] | None = None) -> Status:
    """Go on with a stopped, killed or failed run: `run_id`, the beginning of one, or 'last'. Pays for nothing twice.

    Raises UnknownName for a run that is not there, AlreadyRunning for one that somebody works on.

        >>> status = engine.resume("last", "mine.duckdb")
    """
    from engine.runs import run_dir, worker
    from engine.store.store import writable

    return worker.run(run_dir.find(writable(_database(db)), run_id), on_status or _silence)


def calibrate(study: Study | Path | str, db: Path | str | None = None, feasibility: str = "plain") -> pl.DataFrame:
    """The smallest stated budget under which each question of a study is still answered right, by halving.

    It uses the targets, so it is no strategy. One row a question: vanilla_tokens, vanilla_right, found_budget and
    found_tokens (tokens; null: there is none) and what names the question. Repeating it pays nothing.

        >>> engine.calibrate("first", "mine.duckdb").select("question_id", "found_budget")
    """
    import polars as pl

    from engine.runs import worker
    from engine.store.store import writable
    from engine.study.calibrating import calibration_of, found_in, row_of
    from engine.study.plan import plan

    planned, where = plan(calibration_of(_study(study), feasibility)), writable(_database(db))
    worker.run(worker.prepare(planned.study, where), _silence)
    return pl.DataFrame([row_of(each) for each in found_in(where, planned)], infer_schema_length=None)


def _study(study: Study | Path | str) -> Study:
    from engine.study.schema import Study, load

    return study if isinstance(study, Study) else load(Path(study))


def _database(db: Path | str | None) -> Path:
    from engine.core.places import default_path

    return default_path() if db is None else Path(db)


def _silence(status: Status) -> None:
    """Nobody asked."""
