"""report and share: what a task's settings buy, on the terminal and as a page; asked as the dashboard asks.

Also the tables a run and a calibration end with.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

import engine
from engine.cli import options, show
from engine.cli.options import Row, Verb, among, option
from engine.cli.reading import savings
from engine.core import names, text
from engine.core.errors import UnknownName
from engine.runs import reasons
from engine.strategies.calibration import LABEL
from engine.study.calibrating import Found, found_in

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Decision
    from engine.analysis.results import Results
    from engine.analysis.rounds import Decided
    from engine.analysis.stats import Estimate
    from engine.analysis.thinking.overthinking import Glance
    from engine.analysis.thinking.thoughts import Excess
    from engine.study.plan import Plan

FORMS = ("html", "md")
_HEAD = (
    *("condition", "setting", "model", "budget", "n", "accuracy", "95% interval", "output", "tokens", "cost"),
    *("cut off", "no answer", "verdict", ""),
)
MEASURED = tuple(f"{name}{end}" for name in ("area", "hypervolume", "ockscore") for end in ("", "_low", "_high"))
"""What `--json` adds to a point: numbers of its setting over all budgets, and its own OckScore, with 95% intervals."""
AREAS = (
    "area: mean accuracy over the logarithm of the budget; hypervolume: area under the setting's own frontier, of the "
    "box up to the dearest setting; OckScore: accuracy in percent less ten times log10(output tokens / 10,000), at "
    "the largest budget (arXiv 2511.05722; the base is our reading). 95% intervals over questions."
)
_BY_DIFFICULTY = "easy / middling / difficult"
_PAST_HEAD = (
    *("setting", "model", "thoughts", "questions", _BY_DIFFICULTY, "after the answer", _BY_DIFFICULTY),
    *("first right at", _BY_DIFFICULTY, "lost again", _BY_DIFFICULTY, "from"),
)
PAST = (
    "after the answer: share of a thought's tokens that follow once its final answer is settled (from probes), or "
    "first stands in it (from text: an estimate, nobody was asked). first right at: tokens, of the thoughts that ever "
    "are right. lost again: right answers followed by one that is not, a thought. –: none. In brackets 95% intervals "
    "over questions. Easy are questions that the other settings get right two times in three or more, difficult ones "
    "less than one in three."
)
_NOTES = {
    "idle": f"mechanism idle: the setting {names.IDLE}: what it rests on was there on under 20% of questions.",
    "simulated": "simulated: answered by a script, not by a language model.",
    "usd_assumed": "assumed price: a stand-in, because nobody bills this model.",
    "partial": "partial: fewer than 95% of the study's questions are scored, so it gets no verdict.",
}


def results(db: Path, study: str, conditions: Iterable[str]) -> None:
    """The cells of some conditions a study asked for, task by task: what to use, a table, and what its labels mean."""
    # A list, as it is asked more than once.
    ids = list(conditions)
    with engine.open(db).still() as found:
        rows = found.cells(study=study, condition_id=ids).to_dicts()
        tasks = dict.fromkeys(row["task"] for row in rows if row["strategy"] != LABEL)
        decided = {task: found.decide(task, study=study, condition_id=ids) for task in tasks}
        # The study's last run on each task.
        rounds = {each.task: each for each in found.decisions(study)}.values()
        notes = found.notes(study=study, condition_id=ids)
    _show(rows, decided)
    decisions(rounds)
    for sentence in notes:
        show.say(sentence)


def decisions(every: Iterable[Decided]) -> None:
    """What adaptive runs decided and why: a sentence and a table for each task."""
    from engine.analysis.rounds import sentences

    for each, sentence in zip(told := [*every], sentences(told), strict=True):
        show.say(sentence)
        lines = [
            (one.name, show.number(one.asked), "stopped" if one.stopped else "asked on", one.reason)
            for one in each.settings
        ]
        show.table(("setting", "questions", "", "why"), lines, numeric=[1])
        show.say()


@click.command(cls=Verb)
@options.axis("axis of the budgets to report (default: what the runs used)")
@option("--x", help="what the frontier weighs accuracy against (default: the axis)")
@options.study
@options.task("one task only")
@option("--curve", metavar="CONDITION", help="accuracy of one condition at every budget")
@options.prices
@options.as_json
def report(
    db: Path,
    axis: str | None,
    x: str | None,
    study: str | None,
    task: str | None,
    curve: str | None,
    prices: tuple[str, ...],
    as_json: bool,
) -> None:
    """What to use for each task and every point beside it, with the frontier marked; or one condition's curve."""
    from engine.analysis import guessing
    from engine.analysis.common import shared_sentences

    results = engine.open(options.existing(db))
    options.not_archived(db, study)
    if curve is not None:
        condition = options.condition(results, curve, task, study)
        # A wall in dollars moves with the prices, so a curve has to know them.
        lens = savings.view(results.snapshots(), prices)
        points = results.curve(condition["condition_id"], axis=axis, lens=lens, study=study).to_dicts()
        if as_json:
            show.emit(points)
            return
        show.say(f"{names.over([condition])(condition)} on {names.task(condition['task'])}")
        cells = [
            (
                show.budget(row["budget"], axis or condition["axis"]),
                *(show.number(row["n"]), show.percent(row["accuracy"]), _interval(row["low"], row["high"])),
                show.number(row["spend"]),
            )
            for row in points
        ]
        show.table(("budget", "n", "accuracy", "95% interval", "mean spend"), cells, numeric=range(5))
        return
    known = set(results.conditions()["task"].to_list()) if task is not None else ()
    if task is not None and task not in known:
        raise UnknownName("task", task, known)
    # The axis of the budgets is what one would weigh by first.
    x = x or axis or "output_tokens"
    with results.still() as still:
        listed = still.snapshots()
        view = savings.view(listed, prices)
        frame = still.frontier(x=x, axis=axis, task=task, lens=view, study=study)
        rows = frame.to_dicts()
        advisors = {
            each: still.advise(each, x, axis, lens=view, study=study)
            for each in dict.fromkeys(row["task"] for row in rows if row["strategy"] != LABEL)
        }
        told = {each: advisor.areas() for each, advisor in advisors.items()}
        decided = {} if as_json else {each: advisor.decide() for each, advisor in advisors.items()}
    if as_json:
        show.emit(_records(results, rows, told, study))
    # A study that has stored nothing yet is no mistake, so it gets a sentence and exit code 0.
    elif rows:
        _show(rows, decided)
        _one_number(rows, told)
        _overthinking(results, rows, study)
        asked = [each for each in results.decisions(study) if each.task in advisors]
        decisions(asked)
        unit = text.UNITS.get(x, x.replace("_", " "))
        show.say(
            f"frontier (p): no other setting has at least this accuracy for at most this mean {unit}; "
            "p is the share of bootstrap replicates that say so."
        )
        notes = (*guessing.sentences(frame), *shared_sentences(frame), *results.notes(study=study, task=task))
        for sentence in (*(savings.said(listed, view, prices) if prices else ()), *notes):
            show.say(sentence)
        if why := reasons.said(reasons.grouped(results.failures(study=study, task=task))):
            show.say(f"Failed trials are not scored. Why they failed: {why}.")
    else:
        show.say("Nothing to report yet; start with `budgetscope run first`.")
        for sentence in results.notes(study=study):
            show.say(sentence)


def _show(rows: Sequence[Row], decisions: Mapping[str, Decision]) -> None:
    """For each task what to use, then a table of its points, recommended first, and what its labels mean."""
    for task, group in groupby(sorted(rows, key=lambda row: str(row["task"])), key=lambda row: str(row["task"])):
        show.say(f"{names.task(task)} [{task}]")
        decision = decisions.get(task)
        verdicts: dict[tuple[str, str, int], str] = {}
        if decision is not None:
            show.say(decision.heading + ".")
            show.say(decision.sentence)
            keys = decision.verdicts.select("condition_id", "axis", "budget", "verdict").iter_rows()
            verdicts = {(condition, axis, budget): verdict for condition, axis, budget, verdict in keys}
        cells = [*_merged(group, verdicts)]
        lines = [
            (
                *(options.short(row), setting.strategy, names.model(row["model"])),
                text.AS_RUN if row["budget"] == 0 else show.budget(row["budget"], row["axis"]),
                show.number(row["n_questions"]),
                *(show.percent(row["accuracy"]), _interval(row["accuracy_low"], row["accuracy_high"])),
                *(show.number(row["output_tokens"]), show.number(row["total_tokens"])),
                names.unpriced(row) if row["usd"] is None else show.dollars(row["usd"]),
                *(_of_scored(row, "n_exhausted"), _of_scored(row, "n_none")),
                *(verdicts.get((row["condition_id"], row["axis"], row["budget"]), ""), ", ".join(_labels(row))),
            )
            for row, setting in zip(cells, names.settings(cells), strict=True)
        ]
        show.table(_HEAD, lines, numeric=range(3, 12))
        # At its largest budget: below it the same facts stand on fewer trials.
        last = {row["condition_id"]: at for at, row in enumerate(cells) if row["mechanism"]}
        largest = {row["condition_id"]: row for row in sorted(cells, key=lambda row: row["budget"])}
        for condition, at in sorted(last.items(), key=lambda each: each[1]):
            row = largest[condition]
            budget = show.budget(row["budget"], row["axis"])
            show.say(f"{lines[at][1]}, {lines[at][2]}, {budget}: {row['mechanism']}.")
        show.say()
    for name, note in _NOTES.items():
        if any(row[name] for row in rows):
            show.say(note)
    if any(row["stopped_at"] for row in rows):
        show.say(
            "stopped at n: an adaptive study asked it no further, since at every budget another one was surely cheaper "
            "and no worse; its verdict is the one that stopped it, and it has no interval."
        )
    if any(row["n_draws"] > 1 for row in rows):
        show.say("mean of draws: a setting that makes one request is read with every draw of it that the study bought.")


def _records(
    results: Results, rows: Sequence[Row], told: Mapping[str, pl.DataFrame], study: str | None
) -> list[dict[str, Any]]:
    """The points for other programs, with the numbers of their settings and what is known of their thoughts."""
    from engine.analysis.thinking.overthinking import glances

    past = glances(results, study, dict.fromkeys(row["condition_id"] for row in rows))
    records = {condition: glance.record() for condition, glance in past.items()}
    numbers = {key: row for each in told.values() for key, row in _by_point(each).items()}
    blank: dict[str, float | None] = dict.fromkeys(MEASURED)
    return [
        {
            **row,
            "overthinking": records.get(row["condition_id"]),
            **(numbers.get((row["condition_id"], row["axis"], row["budget"])) or blank),
        }
        for row in rows
    ]


def _by_point(frame: pl.DataFrame) -> dict[tuple[str, str, int], dict[str, float | None]]:
    """By condition, axis and budget the numbers of `Advisor.areas`."""
    return {
        (row["condition_id"], row["axis"], row["budget"]): {name: row[name] for name in MEASURED}
        for row in frame.to_dicts()
    }


def _one_number(rows: Sequence[Row], told: Mapping[str, pl.DataFrame]) -> None:
    """Area, hypervolume and OckScore of the settings that have several budgets, task by task."""
    for task, frame in told.items():
        own = {(row["condition_id"], row["budget"]): row for row in rows if row["task"] == task}
        lines = [row for row in frame.filter("largest").to_dicts() if row["area"] is not None]
        if not lines:
            continue
        show.say(f"One number for a setting on {names.task(task)}, over its budgets:")
        points = [own[row["condition_id"], row["budget"]] for row in lines]
        cells = [
            (
                *(setting.strategy, names.model(point["model"]), show.number(row["n"])),
                f"{show.number(row['budget_from'])} to {text.budget(row['budget_to'], row['axis'])}",
                *(_told(row, "area", show.percent), _told(row, "hypervolume", show.percent)),
                _told(row, "ockscore", show.number),
            )
            for row, point, setting in zip(lines, points, names.settings(points), strict=True)
        ]
        head = ("setting", "model", "n", "budgets", "area under the curve", "hypervolume", "OckScore")
        show.table(head, cells, numeric=(2, 4, 5, 6))
        show.say()
        if task == [*told][-1]:
            show.say(AREAS)


def _overthinking(results: Results, rows: Sequence[Row], study: str | None) -> None:
    """How much the settings that think go on past their answers, task by task, the most first."""
    from engine.analysis.stats import Estimate
    from engine.analysis.thinking.overthinking import glances

    settings = {row["condition_id"]: row for row in rows if row["strategy"] != LABEL}
    past = glances(results, study, settings)
    by_task: dict[str, list[Glance]] = {}
    for condition, glance in past.items():
        by_task.setdefault(settings[condition]["task"], []).append(glance)
    for task, group in sorted(by_task.items()):
        order = sorted(group, key=lambda each: -(each.excess.redundant.mean or 0.0))
        points = [settings[each.condition_id] for each in order]
        lines = [
            (
                *(setting.strategy, names.model(point["model"])),
                show.number(each.excess.n_thoughts),
                *_thrice(each, lambda excess: Estimate(float(excess.n_questions)), show.number),
                *_thrice(each, lambda excess: excess.redundant, show.percent),
                *_thrice(each, lambda excess: excess.first_right, show.number),
                *_thrice(each, lambda excess: excess.flips, show.number),
                "text (its probes were read by an older version)" if each.older else each.source,
            )
            for each, point, setting in zip(order, points, names.settings(points), strict=True)
        ]
        show.say(f"Thinking past the answer on {names.task(task)}:")
        show.table(_PAST_HEAD, lines, numeric=range(2, 11))
        show.say()
    if past:
        show.say(PAST)


def _thrice(glance: Glance, part: Callable[[Excess], Estimate], form: Callable[[float | None], str]) -> tuple[str, str]:
    """One of the numbers of all questions with its interval, and those of the easy, middling and difficult ones."""
    from engine.analysis.thinking.overthinking import BANDS

    whole, bands = part(glance.excess), {band.name: part(band.excess).mean for band in glance.bands}
    by_band = " / ".join("–" if bands.get(name) is None else form(bands[name]) for name, _ in BANDS)
    if whole.mean is None:
        return "–", by_band if bands else ""
    return f"{form(whole.mean)} {text.interval(whole.low, whole.high, form)}".strip(), by_band if bands else ""


def _told(row: Row, name: str, form: Callable[[float | None], str]) -> str:
    return f"{form(row[name])} {text.interval(row[f'{name}_low'], row[f'{name}_high'], form)}".strip()


def _merged(group: Iterable[Row], verdicts: Mapping[tuple[str, str, int], str]) -> Iterable[Row]:
    """The points of a task, recommended first, then by verdict and spend; those of one setting that are equal in spend
    and accuracy are one, which the smallest budget names."""
    order = [*dict.fromkeys(verdicts.values())]

    def place(row: Row) -> tuple[int, float, int]:
        verdict = verdicts.get((row["condition_id"], row["axis"], row["budget"]))
        spend = row.get("x", row["output_tokens"])
        rank = order.index(verdict) if verdict is not None else len(order)
        return rank, math.inf if spend is None else spend, row["budget"]

    # A larger budget that changed nothing is the same point: ten equal rows would hide the others.
    points: dict[tuple[Any, ...], Row] = {}
    for row in sorted(group, key=place):
        same = (row["condition_id"], row["axis"], row["accuracy"], row["output_tokens"], row["total_tokens"])
        points.setdefault((*same, row["n_questions"], row["n_failed"], row["n_exhausted"]), row)
    return points.values()


def _labels(row: Row) -> Iterable[str]:
    if row.get("on_frontier"):
        chance = row.get("p_frontier")
        yield "frontier" if chance is None else f"frontier ({text.share(chance)})"
    yield from (label for label in ("simulated", "partial") if row[label])
    if early := names.stopped(row):
        yield early
    if row["n_draws"] > 1:
        yield text.draws(row["n_draws"])
    # An assumed price says nothing where none is known.
    if row["usd_assumed"] and row["usd"] is not None:
        yield "assumed price"
    if row["idle"]:
        yield "mechanism idle"
    if row["n_failed"]:
        yield f"{row['n_failed']:,} failed"


def _of_scored(row: Row, count: str) -> str:
    """A count as a share of the scored answers."""
    scored = row["n_right"] + row["n_partly"] + row["n_wrong"] + row["n_none"]
    return show.percent(row[count] / scored) if scored else show.UNKNOWN


def _interval(low: float | None, high: float | None) -> str:
    return show.UNKNOWN if low is None or high is None else f"{show.percent(low)} to {show.percent(high)}"


@click.command(cls=Verb)
@options.study
@options.task("the task (default: the one with most settings)")
@option("--x", default="output_tokens", help="what accuracy is weighed against (output_tokens)")
@option("--most", type=float, help="accept settings that spend at most this, in the unit of the figure's axis")
@option("--least", type=float, help="accept settings that reach at least this accuracy, in percent")
@option("--format", "form", shell_complete=among(FORMS), help="html or md (as --out ends, else html)")
@option("--link", default="", metavar="URL", help="address of a dashboard that shows the same database")
@option("--out", type=Path, required=True, metavar="FILE", help="the file to write")
def share(
    db: Path,
    study: str | None,
    task: str | None,
    x: str,
    most: float | None,
    least: float | None,
    form: str | None,
    link: str,
    out: Path,
) -> int:
    """Write what Explore shows of a task to one file."""
    form = options.form_of(form, out, {".md": "md", ".markdown": "md"}, "html")
    if form not in FORMS:
        raise UnknownName("form of a page", form, FORMS)
    target = options.replaceable(options.existing(db), out)
    # A process of its own: the engine draws nothing and knows no figures.
    command = [sys.executable, "-m", "dashboard.report", "--db", str(db), "--out", str(target), "--x", x]
    wishes = {"--study": study, "--task": task, "--most": most, "--least": least, "--format": form, "--link": link}
    for name, value in wishes.items():
        if value not in (None, ""):
            command += [name, str(value)]
    # Its own sentence was printed by that process, and its exit code is ours.
    done = subprocess.run(command, check=False)
    if done.returncode == 0:
        show.say(f"Written to {out}.")
    return done.returncode


_CALIBRATION_HEAD = (
    *("task", "model", "feasibility", "questions", "feasible"),
    *("vanilla tokens", "found budget", "used there", "tokens saved"),
)
_CALIBRATION_NOTES = (
    f"{LABEL}: it was told which answers are right, so no budget found here is a result of a strategy.",
    "feasible: questions whose vanilla chain is right; the other figures are medians over these, and tokens saved is "
    "what they save in all under the budgets found. Questions whose trial failed are left out.",
)


def calibration_table(db: Path, planned: Plan) -> None:
    """The table, a line for each task and model."""
    groups: dict[str, list[Found]] = {}
    for each in found_in(db, planned):
        groups.setdefault(each.condition.condition_id, []).append(each)
    rows = []
    for group in groups.values():
        condition = group[0].condition
        # A failed trial searched nothing; it is not infeasible.
        judged = [each.search for each in group if each.trial.end in ("finished", "exhausted")]
        feasible = [search for search in judged if search.found_budget is not None]
        medians = (
            show.number(median(getattr(search, name) for search in feasible)) if feasible else show.UNKNOWN
            for name in ("vanilla_tokens", "found_budget", "found_tokens")
        )
        before = sum(search.vanilla_tokens or 0 for search in feasible)
        saved = before - sum(search.found_tokens or 0 for search in feasible)
        rows.append(
            (
                *(condition.task, condition.solver.name, json.loads(condition.params)["feasibility"]),
                show.number(len(judged)),
                show.percent(len(feasible) / len(judged) if judged else None),
                *medians,
                f"{saved:,} ({show.percent(saved / before)})" if before else show.UNKNOWN,
            )
        )
    show.table(_CALIBRATION_HEAD, rows, numeric=range(3, 9))
    show.say()
    for note in _CALIBRATION_NOTES:
        show.say(note)
