"""Overthinking at a glance: how much settings think past their answers, by how difficult the questions are.

Of each setting that thinks, from its probes where it has some, else estimated from its texts: the share of tokens after
the answer, tokens to the first right one, how often a right answer is left again. A question is as difficult as the
other settings on it find it: their mean score at their largest budgets; the setting itself does not count, or chance
would make its wrong answers difficult ones. A setting that stands alone has no such bands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Protocol, Self

import polars as pl

from engine.analysis.cells import scored_means
from engine.analysis.sql.chains import Chain, visible
from engine.analysis.thinking import thoughts
from engine.analysis.thinking.thoughts import Excess, Source
from engine.core.answers import READER_VERSION
from engine.core.errors import UsageError
from engine.core.thoughts import Thought
from engine.store.store import Store

MOST, PLACES = 60, 8
"""Thoughts of a setting that are read from their text, one of each question before the second of any, and at how many
places: a glance at all settings of a database takes seconds. Probes are used whole."""
SHORTEST = 16
"""Mean output tokens below which a reply is no thought."""
BANDS = (("easy", 2 / 3), ("middling", 1 / 3), ("difficult", 0.0))
"""By name the mean score of the others from which on a question belongs to it, the easiest first."""


@dataclass(frozen=True, slots=True)
class Band:
    """The questions of one difficulty."""

    name: str
    """easy: the others get two thirds or more of it right; difficult: less than a third; middling: between."""
    excess: Excess


@dataclass(frozen=True, slots=True)
class Glance:
    """How much one setting overthinks."""

    condition_id: str
    source: Source
    """probes; or text, an estimate that asked nobody."""
    excess: Excess
    """Of all questions."""
    older: bool
    """Its probes were read by an older version of the reading of answers, and are left out."""
    bands: tuple[Band, ...]
    """The easiest first, those with thoughts alone; empty where no other setting was asked these questions."""

    def record(self) -> dict[str, Any]:
        """As plain data: shares from 0 to 1, tokens and flips as means, each with its 95 % interval and its n."""
        bands = [{"difficulty": band.name, **asdict(band.excess)} for band in self.bands]
        return {
            "source": self.source,
            "read_by_an_older_version": self.older,
            **asdict(self.excess),
            "by_difficulty": bands,
        }


class _Results(thoughts.Stored, Protocol):
    """What is asked of the results of a database."""

    def still(self) -> AbstractContextManager[Self]: ...
    def chains_of(
        self,
        condition_ids: Iterable[str],
        study: str | None = None,
        *,
        most: int | None = None,
        keys: Collection[str] | None = None,
    ) -> dict[str, list[Chain]]: ...
    def measured(
        self,
        axis: str | None,
        budgets: Sequence[int] | None,
        filters: Mapping[str, Any],
        *,
        explain: bool = True,
    ) -> tuple[pl.DataFrame, pl.DataFrame]: ...


def glances(results: _Results, study: str | None = None, ids: Iterable[str] | None = None) -> dict[str, Glance]:
    """By condition, of those that think; `ids`: of these alone. What cannot be judged here is left out.

    Raises UnknownName for a study or a condition that is not there."""
    looked_into = Store(results.path).looked_into()
    with results.still() as same:
        conditions = {row["condition_id"]: row for row in same.conditions().to_dicts()}
        stored = same.chains_of(conditions if ids is None else ids, study, most=MOST)
        chains = {each: own for each, every in stored.items() if _thinks(own := visible(every))}
        if not chains:
            return {}
        deep = same.chains_of(chains, study, keys=looked_into) if looked_into else {}
        asked = Counter(row["task"] for row in conditions.values())
        # Who stands alone on a task has nobody to say how difficult its questions are.
        tasks = {task for each in chains if asked[task := conditions[each]["task"]] > 1}
        scores = _scores(same, [row["condition_id"] for row in conditions.values() if row["task"] in tasks], study)
    probes = Store(results.path).probes({chain.key for own in deep.values() for chain in own})
    found = {}
    # Settings share replies: one chain is the first draw of another's vote.
    known: thoughts.Known = {}
    for each, own in chains.items():
        source: Source = "probes"
        looked = thoughts.probed(visible(deep.get(each, ())), probes)
        # What a text says is read today, so looks of an older version would stand beside newer readings.
        older = looked.reader < READER_VERSION and bool(looked.thoughts)
        read: Sequence[Thought] = () if older else looked.thoughts
        try:
            if not read:
                source, read = "text", thoughts.read(own[:MOST], str(conditions[each]["model"]), PLACES, known)
        except LookupError:
            continue
        bands = tuple(_bands(read, source, _difficulty(scores, each)))
        found[each] = Glance(each, source, thoughts.excess(read, source), older, bands)
    return found


def glance(results: _Results, condition_id: str, study: str | None = None) -> Glance | None:
    """Of one condition; None: it does not think, or nobody here can judge its answers."""
    return glances(results, study, [condition_id]).get(condition_id)


def _thinks(shown: Sequence[Chain]) -> bool:
    return bool(shown) and fmean(chain.output_tokens for chain in shown) >= SHORTEST


def _scores(results: _Results, ids: Sequence[str], study: str | None) -> pl.DataFrame:
    """The mean score of each setting on each question, at its largest budget: condition_id, question_id, score."""
    nobody = pl.DataFrame(schema={"condition_id": pl.String, "question_id": pl.String, "score": pl.Float64})
    if not ids:
        return nobody
    try:
        _, units = results.measured(None, None, {"study": study, "condition_id": list(ids)}, explain=False)
    except UsageError:
        # Studies that asked different questions are not read together: then difficulty is not known.
        return nobody
    means = scored_means(units.filter(pl.col("budget") == pl.col("budget").max().over("condition_id")))
    return means.select("condition_id", "question_id", score="accuracy")


def _difficulty(scores: pl.DataFrame, condition_id: str) -> Mapping[str, float]:
    """Mean score of the others by question."""
    others = scores.filter(pl.col("condition_id") != condition_id)
    return dict(others.group_by("question_id").agg(pl.col("score").mean()).iter_rows())


def _bands(every: Sequence[Thought], source: Source, score: Mapping[str, float]) -> Iterable[Band]:
    above = math.inf
    for name, least in BANDS:
        own = [thought for thought in every if least <= score.get(thought.question_id, -1.0) < above]
        above = least
        if own:
            yield Band(name, thoughts.excess(own, source))
