"""How well a judge model agrees with people: its scores of a sample of answers against theirs.

The sample is of distinct answers, drawn without regard to what the judge made of them, so that what is found of it
holds for all of them. Questions are the sampling unit. Asks no model, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.analysis import stats
from engine.analysis.stats import Estimate, Sample
from engine.core import ids
from engine.core.records import verdict_of
from engine.store import deltas, frames

if TYPE_CHECKING:
    from engine.store.sql import Connection

_JUDGED = """
select distinct q.task, q.question_id, q.text as question, q.target, m.answer, m.score
from marks m join trials t using (trial_id, attempt) join questions q using (question_id)
where contains(q.task, '+judge(') and m.score is not null
and ($1::varchar[] is null or t.condition_id in (select unnest($1::varchar[])))
and ($2::varchar[] is null or q.question_id in (select unnest($2::varchar[])))
order by q.task, q.question_id, m.answer"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge's scores against a person's, of the same answers."""

    n: int
    """Answers both have scored."""
    questions: int
    """Distinct questions they are of."""
    same: Estimate
    """Share on which both say right, partly right or wrong, with its 95% interval; None: n is 0."""
    above: Estimate
    """Mean of the judge's score minus the person's, with the 95% interval of its bootstrap over questions."""
    apart: Estimate
    """Mean distance of the two, as there."""


def judged(connection: Connection, asked: tuple[Sequence[str], Sequence[str]] | None = None) -> pl.DataFrame:
    """Every distinct answer a judge has scored: id, task, question_id, question, target, answer, score.

    `asked`: of these conditions, on these questions; None: of all."""
    deltas.scored(connection)
    conditions, questions = (None, None) if asked is None else map(list, asked)
    frame = frames.read(connection.sql(_JUDGED, params=[conditions, questions]))
    keys = [ids.digest("a1", list(row))[3:15] for row in frame.select("task", "question_id", "answer").iter_rows()]
    return frame.insert_column(0, pl.Series("id", keys, dtype=pl.String))


def sample(frame: pl.DataFrame, n: int) -> pl.DataFrame:
    """Up to `n` of them, the same for the same answers: an id is a hash, whose order is a shuffle."""
    return frame.sort("id").head(n)


def agreement(frame: pl.DataFrame, labels: Mapping[str, float], draws: Sample) -> Agreement:
    """From the answers of `judged` and a person's scores of some of them by id, from 0 to 1."""
    both = frame.filter(pl.col("id").is_in(pl.Series([*labels], dtype=pl.String).implode()))
    if both.is_empty():
        return Agreement(0, 0, Estimate(None), Estimate(None), Estimate(None))
    judge = both["score"].to_numpy()
    person = np.array([labels[id] for id in both["id"]])
    _, question = np.unique(both["question_id"].to_numpy(), return_inverse=True)
    same = np.array([verdict_of(a) == verdict_of(b) for a, b in zip(judge, person, strict=True)], dtype=np.float64)
    clusters = int(question.max()) + 1
    sizes = np.bincount(question, minlength=clusters).astype(np.float64)
    sums = stats.Sums.of(np.bincount(question, same, clusters).astype(np.float64), sizes)
    bootstrap = stats.Bootstrap(clusters, draws.replicates, draws.seed)

    def mean(values: stats.Floats) -> Estimate:
        if np.ptp(values) == 0:
            # Where all are alike no draw differs, which says nothing of others.
            return Estimate(float(values[0]))
        total, n = bootstrap.sums(np.column_stack([np.bincount(question, values, clusters), sizes])).T
        drawn = total / n
        return Estimate.of(float(values.mean()), stats.percentiles(drawn, clusters))

    return Agreement(
        n=both.height,
        questions=clusters,
        same=Estimate.of(float(same.mean()), stats.accuracy_interval(sums, both.height)),
        above=mean(judge - person),
        apart=mean(np.abs(judge - person)),
    )
