"""probe: how much of a thought was needed. Stops stored thoughts at places and lets the model answer at once.

Owns how a setting's model is opened again, and how what was found is said; every number is the analysis'.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import options, show
from engine.cli.options import DONE, FAILED_TRIALS, STOPPED, Row, Verb, option
from engine.core import names, text
from engine.core.budget import Amount, Limits
from engine.core.errors import RunError, UnknownName, UsageError
from engine.models.prices import pusd

if TYPE_CHECKING:
    from engine.analysis import Results
    from engine.analysis.thinking.thoughts import Inside
    from engine.models.model import Model
    from engine.runs.probing import Probing

STEPS = 20
"""Times a probing says how far it is."""
_CEILING = "Ceiling (default: the most it can take; a model that somebody bills needs --usd)"


@click.command(cls=Verb, works=True)
@click.argument("setting", metavar="SETTING", required=False, help="name, label or beginning of an id")
@option("--thoughts", type=options.count, default="60", metavar="N", help="how many stored thoughts (60)")
@option("--places", type=options.count, default="12", metavar="N", help="places all of them share, log-spaced (12)")
@option("--sentences", type=click.IntRange(0, 100), default=4, metavar="N", help="ends of sentences each besides (4)")
@option("--width", type=options.count, metavar="N", help="looks in flight at once (default: what the model takes)")
@option("--models", type=Path, metavar="STUDY.toml", help="study whose [[models]] say how to ask the model")
@option("--text", is_flag=True, help="call nobody: estimate from the texts alone")
@option("--plan", "only_plan", is_flag=True, help="say what it would take, and ask nothing")
@option("--read-again", is_flag=True, help="call nobody: read what an older version read (no SETTING: of all)")
@options.limits(_CEILING, "dollars", "tokens", "calls")
@options.study
@options.task("the task, where a label is on several")
@options.as_json
@options.plugin
def probe(
    db: Path,
    setting: str | None,
    thoughts: int,
    places: int,
    sentences: int,
    width: int | None,
    models: Path | None,
    text: bool,
    only_plan: bool,
    read_again: bool,
    usd: float | None,
    tokens: int | None,
    calls: int | None,
    study: str | None,
    task: str | None,
    as_json: bool,
) -> int:
    """Say what it takes, look into the thoughts under the ceiling, and show accuracy by tokens of thought."""
    from engine.analysis.thinking.thoughts import of as inside
    from engine.runs import probing
    from engine.store.store import Store

    if not 2 <= places <= 50:
        raise UsageError(f"--places is a number from 2 to 50, not {places}.")
    results = engine.open(options.existing(db))
    if setting is None:
        if not read_again:
            raise UsageError("Name the setting whose thoughts are to be looked into; `budgetscope report` lists them.")
        return _read_again(options.writable(db), None, as_json)
    row = options.condition(results, setting, task, study)
    if read_again:
        return _read_again(options.writable(db), {row["condition_id"]}, as_json)
    if text:
        _tell(inside(results, row["condition_id"], study, "text"), row, as_json)
        return DONE
    path = db if only_plan else options.writable(db)
    if not only_plan:
        # What was answered before replays for nothing, and is read by today's version too.
        probing.read_again(Store(path), {row["condition_id"]})
    every, store = results.chains(row["condition_id"], study, most=thoughts), Store(path)
    stored, shown = results.n_chains(row["condition_id"], study)
    model = opened(options.runs_of(db), results, row, models)

    async def look() -> tuple[Probing, probing.Probed | None]:
        plan = await probing.plan(
            model, every, store, thoughts=thoughts, count=places, sentences=sentences, left_out=stored - shown
        )
        ceiling = _ceiling(plan, usd, tokens, calls)
        _announce(plan, ceiling)
        if only_plan:
            await model.close()
            return plan, None

        def progress(done: int, total: int) -> None:
            if done == total or done % max(1, total // STEPS) == 0:
                show.tell(f"{done:,} of {total:,} looks.")

        return plan, await probing.probe(plan, store, ceiling, width=width, on_progress=progress)

    plan, probed = asyncio.run(look())
    if probed is None:
        if as_json:
            show.emit(
                {"thoughts": len(plan.planned), "looks": plan.looks, "known": plan.known, "worst": asdict(plan.worst)}
            )
        return DONE
    _tell(inside(engine.open(path), row["condition_id"], study, "probes"), row, as_json)
    show.tell(
        f"Billed {show.amount(probed.spent + probed.in_doubt, _priced(model))}; {show.number(probed.replayed)} of "
        f"{show.number(plan.looks)} looks were paid for before."
    )
    if probed.reached:
        show.tell(f"The ceiling left no room; {probed.unfinished:,} thoughts are unfinished: raise it and probe again.")
        return STOPPED
    if probed.unfinished:
        show.tell(f"{probed.unfinished:,} thoughts are unfinished: {probed.error or 'a look failed'}.")
        return FAILED_TRIALS
    return DONE


def _read_again(db: Path, conditions: set[str] | None, as_json: bool) -> int:
    from engine.runs import probing
    from engine.store.store import Store

    read, left = probing.read_again(Store(db), conditions)
    if as_json:
        show.emit({"read_again": read, "left": left})
        return DONE
    show.say(f"{text.plural(read, 'look')} read again, unpaid.")
    if left:
        why = "a text of theirs was removed, or their task is not known here"
        show.say(f"{text.plural(left, 'look')} stay as an older version read them: {why}.")
    return DONE


def opened(db: Path, results: Results, row: Row, models: Path | None) -> Model:
    """The model that thought, as its run or a study declares it. Raises UsageError where it cannot be asked."""
    from engine.models import open_model
    from engine.runs import run_dir, worker
    from engine.study.schema import load

    if models is not None:
        declared = {spec.name: spec for spec in load(models).models}
    else:
        declared = {}
        for run_id in reversed(results.runs()["run_id"].to_list()):
            directory = run_dir.at(db, run_id)
            if directory.study.is_file():
                try:
                    declared |= {spec.name: spec for spec in worker.kept_study(directory).models}
                except RunError:
                    continue
    name = str(row["model"])
    try:
        return open_model(name, declared)
    except UnknownName as error:
        # Results come without the files of their runs: the demo, a copy, a merge.
        if models is not None or name in declared:
            raise
        raise UsageError(
            f"How to ask {name!r} is not here: the study that declared it did not come along with the database; "
            "name its file with --models STUDY.toml, or estimate from the texts alone with --text."
        ) from error


def _ceiling(plan: Probing, usd: float | None, tokens: int | None, calls: int | None) -> Limits:
    """What is told, and never more than the most it can take."""
    told = Limits(calls, tokens, None if usd is None else pusd(usd))
    # Money is no part of the default: without --usd nothing that is billed is asked.
    return told if told != Limits() else Limits(plan.worst.calls, plan.worst.tokens)


def _priced(model: Model) -> bool:
    return model.local or model.setting.price is not None


def _announce(plan: Probing, ceiling: Limits) -> None:
    """What it takes at most, before anything is sent."""
    longest = plan.grid[-1]
    how = "the model goes on from there" if plan.how == "continued" else "the model is told to answer"
    show.tell(
        f"{text.plural(len(plan.planned), 'thought')}, stopped at up to {len(plan.grid)} places "
        f"({plan.grid[0]} to {longest:,} tokens) and ends of sentences: {show.number(plan.looks)} looks; {how}."
    )
    worst = show.amount(plan.worst, _priced(plan.model))
    known = f" {show.number(plan.known)} looks were paid for before and cost nothing." if plan.known else ""
    show.tell(f"At most {worst} under a ceiling of {show.limits(ceiling)}.{known}")
    if not ceiling.allow(plan.worst if _priced(plan.model) else Amount(plan.worst.calls, plan.worst.tokens)):
        show.tell("That may not do for all of them; what is bought is kept.")
    if plan.left_out:
        show.tell(f"{text.plural(plan.left_out, 'thought')} without visible text cannot be stopped and are left out.")


def _tell(found: Inside, row: Row, as_json: bool) -> None:
    """The finding, the curve, and what its columns mean."""
    from engine.analysis.thinking.thoughts import record

    if as_json:
        show.emit(record(found))
        return
    show.say(f"{names.over([row])(row)} on {names.task(row['task'])}: {found.finding()}")
    cells = [
        (
            show.number(each["tokens"]),
            show.percent(each["accuracy"]),
            "" if each["low"] is None else show.interval(each["low"], each["high"], show.percent),
            show.number(each["spent_tokens"]),
            "" if each["forced_tokens"] is None else show.number(each["forced_tokens"]),
            show.number(each["n_thinking"]),
        )
        for each in found.curve.iter_rows(named=True)
    ]
    show.table(
        ("stopped after", "right", "95% interval", "tokens of thought", "to answer", "still thinking"), cells, range(6)
    )
    for sentence in found.sentences():
        show.say(sentence)
