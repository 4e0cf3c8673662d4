"""judge: a sample of judged answers for a person to score, and how well the judge agrees with what was scored."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import options, show
from engine.cli.options import DONE, Verb, as_json, option
from engine.core import files, names, text
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis.agreement import Agreement

SAMPLE = 50
"""Answers a person is asked to score unless told otherwise."""
_COLUMNS = ("id", "question", "target", "answer", "score")
_SHARE = re.compile(r"(?:0?\.[0-9]{1,6}|[01](?:\.0{1,6})?)")


@click.command(cls=Verb)
@click.argument(
    "labels", required=False, type=Path, metavar="LABELS.csv", help="a sample with a score from 0 to 1 in each row"
)
@options.study
@options.task("one task")
@option("--write", type=Path, metavar="LABELS.csv", help="write a sample of judged answers, for a person to score")
@option("--sample", type=options.count, default=SAMPLE, metavar="N", help=f"with --write: how many ({SAMPLE})")
@as_json
def judge(
    db: Path,
    labels: Path | None,
    study: str | None,
    task: str | None,
    write: Path | None,
    sample: int,
    as_json: bool,
) -> int:
    """Write a sample, or say how far judge and person agree on one; calls no model."""
    from engine.analysis import agreement
    from engine.analysis.stats import Sample
    from engine.store.store import Store

    # Both or neither.
    if (labels is None) == (write is None):
        raise UsageError("Say --write LABELS.csv for a sample to score, or name one that was scored.")
    results = engine.open(options.existing(db))
    asked = None if study is None else results.asked_of(study)
    with Store(results.path).reading() as connection:
        judged = _of_task(agreement.judged(connection, asked), task)
    if write is not None:
        drawn = agreement.sample(judged, sample)
        _write(write, drawn)
        count = f"{text.plural(drawn.height, 'answer')} of {judged.height:,} that were judged"
        show.say(f"{count} stand in {write}: give each a score from 0 to 1, then `budgetscope judge {write}`.")
        return DONE
    assert labels is not None
    # Ids of the whole task: a sample may have been cut down by hand.
    scores, left = _read(labels, set(judged["id"]))
    found = agreement.agreement(judged, scores, Sample())
    if as_json:
        parts = {"n": found.n, "questions": found.questions, "without_score": left}
        for name in ("same", "above", "apart"):
            parts |= getattr(found, name).columns(name)
        show.emit(parts)
        return DONE
    for line in _sentences(found, left):
        show.say(line)
    return DONE


def _of_task(judged: pl.DataFrame, task: str | None) -> pl.DataFrame:
    """The answers of one judged task; raises for none, several, or one that is not there."""
    there = judged["task"].unique().sort().to_list()
    if not there:
        raise UsageError("No answer here was judged: a task names a judge and a rubric, see docs/questions.md.")
    if task is not None:
        wanted = [name for name in there if task in (name, names.task(name))]
        if not wanted:
            raise UnknownName("judged task", task, there)
        return judged.filter(task=wanted[0])
    if len(there) > 1:
        raise UsageError(f"Several tasks were judged ({', '.join(there)}); choose one with --task.")
    return judged


def _write(path: Path, drawn: pl.DataFrame) -> None:
    """The sample as a table, the judge's own scores left out."""
    # Hours of somebody's work may stand in it.
    if path.exists():
        raise UsageError(f"{path} is there already, maybe with scores in it; give another name.")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    # Without what the judge said, or it would be said again.
    writer.writerows([*map(text.csv_cell, row), ""] for row in drawn.select(_COLUMNS[:-1]).iter_rows())
    try:
        files.replace(path, out.getvalue())
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({files.why(error)}).") from None


def _read(path: Path, known: set[str]) -> tuple[dict[str, float], int]:
    """A person's scores by id, and how many rows have none. Raises UsageError with the row of one that is wrong."""
    from engine.tasks.tabular import read_rows

    scores: dict[str, float] = {}
    left = 0
    for number, (id, score) in enumerate(read_rows(path, ("id", "score")), start=1):
        where, key, written = f"Row {number} of {str(path)!r}", (id or "").strip(), (score or "").strip()
        if key not in known:
            raise UsageError(f"{where} has the id {key!r}, which is no answer that was judged here.")
        if not written:
            left += 1
        elif not _SHARE.fullmatch(written):
            raise UsageError(f"{where} has the score {written!r}; a score is a number from 0 to 1.")
        # The same row twice is a copy; two opinions are not ours to choose from.
        elif scores.setdefault(key, float(written)) != float(written):
            raise UsageError(f"{where} scores the answer {key!r} a second time, and differently.")
    return scores, left


def _sentences(found: Agreement, left: int) -> list[str]:
    if not found.n:
        return [f"Nothing to compare: {text.plural(left, 'row')} without a score."]
    same, above, apart = found.same, found.above, found.apart

    def ends(low: float | None, high: float | None) -> str:
        return "interval unknown" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"

    on = f"{text.plural(found.n, 'answer')} to {text.plural(found.questions, 'question')}"
    lines = [
        f"On {on} judge and person say the same (right, partly right, wrong) of {text.percent(same.mean)} "
        f"{text.interval(same.low, same.high, text.percent)}.",
        f"The judge scores {above.mean or 0.0:+.2f} ({ends(above.low, above.high)}) beside the person, and is "
        f"{apart.mean or 0.0:.2f} away on average.",
    ]
    if left:
        lines.append(f"{text.plural(left, 'row')} without a score left out.")
    return lines
