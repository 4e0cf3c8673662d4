"""One set of questions for all points of a figure, where that keeps nearly all of the study's list.

A point that is full has at least 95 % of the list (`cells.PARTIAL_BELOW`), and which few it lacks may make it look
better or worse than its neighbours. So full points are read on the questions that all of them have scored, as long as
these are 90 % of the list; else each is read on its own, and either is said.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from engine.analysis.cells import cells as cells_of
from engine.analysis.cells import side_by_side
from engine.core import names, text

COMMON_FROM = 0.90
"""Full points are read on the questions they share if these are at least this share of the list."""
_KEY = ("condition_id", "axis", "budget")


def on_common(cells: pl.DataFrame, units: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells and units with the full points of each task on the questions all of them have scored.

    `n_shared` says how many these are, null for partial points. Doing it again changes nothing.
    """
    parts, sums = [cells.filter(~side_by_side(cells))], [units]
    for part in cells.filter(side_by_side(cells)).partition_by("task", maintain_order=True):
        alone = part.height == cells.height
        own = units if alone else units.join(part.select(_KEY), on=_KEY, how="semi", maintain_order="left")
        owners = own.filter(pl.col("n") > 0).group_by("question_id").len()
        common = owners.filter(pl.col("len") == part.height)["question_id"]
        alike = part["n_questions"].min() == part["n_questions"].max() == len(common)
        if not alike and len(common) >= COMMON_FROM * _listed(part):
            own = own.filter((pl.col("n") == 0) | pl.col("question_id").is_in(common.implode()))
            sums = [sums[0].join(part.select(_KEY), on=_KEY, how="anti", maintain_order="left"), *sums[1:], own]
            planned = dict(part.select("condition_id", "n_planned").iter_rows())
            # Still full: what it lacks now, another point lacked.
            part = cells_of(own, part.to_dicts(), planned).with_columns(partial=pl.lit(False))
        parts.append(part.with_columns(n_shared=pl.lit(len(common), pl.Int64)))
    return pl.concat(parts).sort("task", "label", "condition_id", "axis", "budget"), pl.concat(sums)


def _listed(part: pl.DataFrame) -> int:
    """How many questions the list of a task has."""
    return int(part["n_planned"].max() or 0)  # type: ignore[arg-type]


def shared_sentences(frame: pl.DataFrame) -> Iterator[str]:
    """What is to be said of the questions that the full points of each task stand on; nothing where they have all."""
    for part in frame.filter(side_by_side(frame)).partition_by("task", maintain_order=True):
        shared, listed, task = part["n_shared"][0], _listed(part), names.task(part["task"][0])
        if part["n_questions"].min() == listed:
            continue
        most = f"{text.count(shared)} of {text.plural(listed, 'question')}"
        if shared >= COMMON_FROM * listed:
            yield f"{task}: points are read on the {most} that all full ones have scored."
        else:
            yield f"{task}: all full points share {most} only, so each stands on its own questions."
