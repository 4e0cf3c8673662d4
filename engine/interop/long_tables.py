"""What a study found as long tables, for R and pandas: a row for each answer, or for each setting and budget.

Names and numbers as they are, units in the column names; nothing is rounded and nothing is pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engine.core.errors import UnknownName, UsageError, listed
from engine.strategies.calibration import LABEL

if TYPE_CHECKING:
    from engine.analysis.results import Results

LONG = ("answers", "cells")
"""Tables that are made of a study; every other one is a table of the database."""
TEXTS = ("question", "target", "answer", "error")
"""Columns of answers that an anonymous table leaves out."""
_CONDITION = ("condition_id", "task", "strategy", "params", "model", "simulated", "anytime", "axis")


def asked(results: Results, study: str | None) -> tuple[str, dict[str, frozenset[str]], list[str]]:
    """The name of a study, the ids of its questions by task, and those of its conditions; None: the only one there is.

    Raises UnknownName, or UsageError where there are several and none is named."""
    studies = results.studies()
    known = studies["study"].unique(maintain_order=True).to_list()
    if study is None:
        if len(known) != 1:
            raise UsageError(f"Name a study with --study: {listed(known) or 'there is none yet'}.")
        study = known[0]
    if study not in known:
        raise UnknownName("study", study, known)
    own = studies.filter(study=study)
    questions = {task: results.questions_of(study, task) for task in own["task"]}
    return study, questions, [id for ids in own["condition_ids"] for id in ids]


def answers(results: Results, study: str | None = None) -> pl.DataFrame:
    """A row for each answer of a study (the last attempt of each trial): columns study, those of the condition, budget
    (in the unit of axis, pico-dollars on 'usd'), question_id, category, question, target, repeat, end, verdict, score,
    answer, error, calls, tokens, latency_ms, usd, trial_id, run_id and the times (naive UTC).

    score: from 0 to 1; null: failed or stopped, which is not scored. usd: at the stored list price, null: unknown.
    Trials are as they ran, at the largest budget of a setting that answers for smaller ones too."""
    with results.still() as still:
        name, questions, ids = asked(still, study)
        rows = {row["condition_id"]: row for row in still.conditions().iter_rows(named=True)}
        frames = []
        # Of a run that was stopped, some were asked for that have no trial yet.
        for condition in (rows[id] for id in ids if id in rows and rows[id]["strategy"] != LABEL):
            id = condition["condition_id"]
            trials = still.trial_rows(id).filter(pl.col("question_id").is_in(sorted(questions[condition["task"]])))
            about = {column: pl.lit(condition[column]) for column in _CONDITION}
            frames.append(trials.with_columns(study=pl.lit(name), **about))
    if not frames:
        raise UsageError(f"The study {name!r} has no answers yet; run it first.")
    table = pl.concat(frames, how="vertical_relaxed")
    scored = pl.col("end").is_in(["finished", "exhausted"])
    # No answer is no point, as in every accuracy.
    table = table.with_columns(score=pl.when(scored).then(pl.col("score").fill_null(0.0)))
    first = ["study", *_CONDITION, "budget", "question_id", "category", "question", "target", "repeat", "end"]
    first += ["verdict", "score", "answer", "error"]
    return table.select(*first, *(column for column in table.columns if column not in first))


def settings(results: Results, study: str | None = None) -> pl.DataFrame:
    """A row for each setting and budget of a study: column study, and those of `Results.frontier`."""
    name, _, _ = asked(results, study)
    frame = results.frontier(study=name)
    return frame.select(pl.lit(name).alias("study"), pl.all())
