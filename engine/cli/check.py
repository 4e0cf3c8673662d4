"""check: a gate for continuous integration. Demands in; pass, fail or undecided out, as an exit code and as files.

Owns how demands are read off the command line, what the gate is called in JUnit and Markdown, and the smoke test, which
runs a study on a script without a key. What passes is decided by `analysis.gate`.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import click

import engine
from engine.cli import options, show
from engine.cli.options import DONE, ERROR, STOPPED, Verb, among, option
from engine.core import files, names, text
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.analysis import Results
    from engine.analysis.gate import Judged
    from engine.analysis.lens import Lens
    from engine.study.schema import Study

TOKENS = ("output_tokens", "total_tokens")
"""What --max-tokens may count."""
COUNTS_AS = ("pass", "fail")
SMOKE_QUESTIONS = 5
"""Of each task, in a smoke test."""
SCRIPTS = ("sure-adder", "adder", "large-adder", "small-adder")
"""Which scripted models play the models of a study in a smoke test, in this order."""
_CODES = {"pass": DONE, "fail": ERROR, "undecided": STOPPED}
_demand = partial(option, group="Demands (each on every setting)")


@click.command(cls=Verb, works=True)
@click.argument("study", metavar="STUDY", help="name of a study in the database, or its TOML file")
@_demand("--max-tokens", type=options.quantity, metavar="N", help="mean tokens a question are at most so many")
@_demand("--max-cost", type=options.quantity, metavar="USD", help="mean list price a question is at most this")
@_demand("--min-accuracy", type=options.share, metavar="SHARE", help="accuracy is at least this: 0.6 or 60%")
@_demand("--no-worse-than", "baseline", type=Path, metavar="FILE", help="not less accurate than in this database")
@option("--margin", type=options.quantity, metavar="POINTS", help="by how many points it may be less accurate (3)")
@option("--against", metavar="CONDITION", help="setting of the baseline to compare all with (default: the same one)")
@option("--x", type=str, metavar="COLUMN", help="output_tokens or total_tokens (default: the axis, else output_tokens)")
@option("--setting", metavar="CONDITION", help="check one setting: its label or the beginning of its id")
@option("--strategy", help="check those of one strategy")
@option("--model", help="check those of one model", shell_complete=among(options.model_names))
@options.task("check those on one task")
@option("--budget", type=options.count, metavar="N", help="check at this budget (default: each setting's largest)")
@option("--undecided", metavar="pass|fail", shell_complete=among(COUNTS_AS), help="what undecided counts as (exit 3)")
@option("--junit", type=Path, metavar="FILE", help="write a JUnit file")
@option("--markdown", type=Path, metavar="FILE", help="add a summary in Markdown, such as to $GITHUB_STEP_SUMMARY")
@option("--smoke", is_flag=True, help="run the study's first questions on a script, without a key, and judge nothing")
@options.prices
@options.plugin
@options.as_json
def check(
    db: Path,
    study: str,
    max_tokens: float | None,
    max_cost: float | None,
    min_accuracy: float | None,
    baseline: Path | None,
    margin: float | None,
    against: str | None,
    x: str | None,
    undecided: str | None,
    junit: Path | None,
    markdown: Path | None,
    smoke: bool,
    prices: tuple[str, ...],
    as_json: bool,
    **chosen: Any,
) -> int:
    """Judge every demand on every setting, say it, write it, and leave with the gate's exit code."""
    from engine.analysis import gate

    if undecided not in (None, *COUNTS_AS):
        raise UnknownName("verdict", undecided or "", COUNTS_AS)
    if x not in (None, *TOKENS):
        raise UnknownName("count of tokens", x or "", TOKENS)
    if baseline is None and (margin is not None or against is not None):
        raise UsageError("--margin and --against belong to --no-worse-than FILE; name the baseline.")
    if prices and max_cost is None:
        raise UsageError("--prices belongs to --max-cost, which is the demand that money is read for; name it.")
    if not smoke and all(each is None for each in (max_tokens, max_cost, min_accuracy, baseline)):
        raise UsageError("Demand something: --max-tokens, --max-cost, --min-accuracy, --no-worse-than.")
    # Before anything is run or read: a mistake in a name is no result of the gate.
    junit, markdown = (file and _target(db, file) for file in (junit, markdown))
    demands = {"max_tokens": max_tokens, "max_cost": max_cost, "min_accuracy": min_accuracy, "margin": margin}
    notes: list[str] = []
    if smoke:
        # Without the database of --db: a script's answers must never stand among real ones.
        judged, code = _smoked(study)
    else:
        results = engine.open(options.existing(db))
        lens, notes = _priced(results, prices)
        judged = _judged(results, _name(study), demands, baseline, against, x, lens, chosen)
        # Several demands leave one code: a failure outweighs what is undecided.
        code = _CODES[gate.over_all(judged, undecided or "undecided")]  # type: ignore[arg-type]
    if as_json:
        show.emit([dataclasses.asdict(each) for each in judged])
    else:
        for each in judged:
            show.say(f"{each.verdict:9}  {sentence(each)}")
        for note in notes:
            show.say(note)
        show.say(_summary(judged, code, smoke))
    if junit is not None:
        files.replace(junit, as_junit(judged, undecided))
    # Last, and added to: a step before this one may have written its own part.
    if markdown is not None:
        with markdown.open("a", encoding="utf-8") as file:
            file.write(as_markdown(judged, code, smoke))
    return code


def _judged(
    results: Results,
    study: str,
    wanted: Mapping[str, float | None],
    baseline: Path | None,
    against: str | None,
    x: str | None,
    lens: Lens,
    chosen: Mapping[str, Any],
) -> list[Judged]:
    from engine.analysis import gate
    from engine.analysis.advice.decide import MARGIN

    studies = results.studies()
    if study not in (known := studies["study"].unique().to_list()):
        raise UnknownName("study", study, known)
    filters = {name: chosen[name] for name in ("strategy", "model", "task") if chosen[name] is not None}
    for name, value in filters.items():
        listed = results.conditions()[name].unique().to_list()
        if value not in listed:
            raise UnknownName(name, value, listed)
    if chosen["setting"] is not None:
        row = options.condition(results, chosen["setting"], chosen["task"], study)
        filters["condition_id"] = row["condition_id"]
    settings = gate.placed(results, chosen["budget"], lens, study=study, **filters)
    # A study has one budget axis, so the first setting's is everybody's.
    axis = settings[0].row["axis"]
    spends = (
        {} if wanted["max_tokens"] is None else {x or (axis if axis in TOKENS else TOKENS[0]): wanted["max_tokens"]}
    )
    spends |= {} if wanted["max_cost"] is None else {"usd": wanted["max_cost"]}
    points = wanted["margin"]
    share = (MARGIN if points is None else points / 100) if baseline is not None else None
    demands = gate.Demands(spends, wanted["min_accuracy"], share)
    if baseline is None:
        return gate.judge(settings, demands)
    before = engine.open(_there(baseline))
    # Its own questions of the study, where the baseline knows it by this name; else all it has.
    shared = study if study in before.studies()["study"].to_list() else None
    named = None if against is None else options.condition(before, against, chosen["task"])["condition_id"]
    return gate.judge(settings, demands, gate.counterparts(settings, before, named, shared))


def _priced(results: Results, prices: tuple[str, ...]) -> tuple[Lens, list[str]]:
    """The prices that money is read at, and what is to be said of them."""
    from engine.cli.reading import savings

    listed = results.snapshots()
    lens = savings.lens(listed, prices)
    return lens, list(savings.said(listed, lens, prices)) if prices else []


def _there(baseline: Path) -> Path:
    if not baseline.exists():
        raise UsageError(f"There is no baseline {baseline}; copy or export the database of a run that was good to it.")
    return baseline


def _name(study: str) -> str:
    """The name of a study, or that of the file it stands in."""
    from engine.study.schema import load

    return load(Path(study)).name if study.endswith(".toml") else study


def _target(db: Path, file: Path) -> Path:
    # A summary is added to what other steps wrote, which may be a file in a folder of the runner's.
    return options.replaceable(db, file)


def _smoked(study: str) -> tuple[list[Judged], int]:
    """The study's first questions on a script, in a database of its own that is gone afterwards; what was read there.

    A script's numbers say nothing of the study, so nothing is demanded of them: it fails where trials fail."""
    from engine.analysis import gate
    from engine.cli import runs
    from engine.study.plan import plan
    from engine.study.schema import load, parse

    declared = options.none_of_ours(load(Path(study)))
    played = parse(scripted(declared), Path(study).name)
    with tempfile.TemporaryDirectory(prefix="budgetscope-smoke-") as folder:
        path, code = runs.start(plan(played), Path(folder) / "smoke.duckdb")
        rows = engine.open(path).cells(study=played.name).to_dicts()
    called = names.conditions(rows)
    judged = [
        gate.Judged(
            *("runs", called[row["condition_id"]], row["task"], row["condition_id"]),
            # A trial that failed is not scored, which is all that a smoke test can show.
            "pass" if row["n_questions"] == row["n_planned"] else "fail",
            row["n_planned"],
            row["n_questions"],
            simulated=True,
        )
        # One a setting: budgets of one condition ran together, so one look tells.
        for row in {row["condition_id"]: row for row in rows}.values()
    ]
    return judged, DONE if code == DONE and judged and gate.over_all(judged) == "pass" else ERROR


def scripted(study: Study) -> str:
    """The study's text with every model played by a script, and few questions."""
    from engine.core import toml

    body = toml.parse(study.text, study.name)
    players: dict[str, str] = {}
    # Once each and in the file's order, so that the same study is always played alike.
    for at, name in enumerate(dict.fromkeys([m.name for m in study.models] + _lineup_models(study))):
        # By the prefix everything that is shown is labelled as simulated.
        players[name] = f"scripted/{SCRIPTS[at]}" if at < len(SCRIPTS) else f"scripted/{SCRIPTS[0]}-{at}"
    body["models"] = [
        {"name": player, "model": player if at < len(SCRIPTS) else f"scripted/{SCRIPTS[0]}"}
        for at, player in enumerate(players.values())
    ]
    if "lineups" in body:
        body["lineups"] = [
            {key: value if key == "name" else players[value] for key, value in each.items()} for each in body["lineups"]
        ]
    body["first_questions"] = min(SMOKE_QUESTIONS, study.first_questions or SMOKE_QUESTIONS)
    return toml.dump(body)


def _lineup_models(study: Study) -> list[str]:
    return [model for lineup in study.lineups for _, model in lineup.roles]


def sentence(judged: Judged) -> str:
    """A demand on a setting with its evidence, in one line."""
    where = f"{judged.setting} on {judged.task}"
    labels = "; simulated" if judged.simulated else ""
    if judged.demand == "runs":
        return f"{where}: {judged.n:,} of {text.plural(round(judged.limit), 'question')} are scored{labels}."
    what, form, brief = _words(judged.demand)
    seen = ""
    if judged.value is not None:
        seen = f"; measured {form(judged.value)} {text.interval(judged.low, judged.high, brief)}".rstrip()
    tail = f" on {text.plural(judged.n, 'question')}" if judged.n else ""
    tail += f"{labels}{'; ' if judged.why else ''}{judged.why}"
    if judged.sees is not None:
        tail += f"; a true loss of {show.points(judged.sees).lstrip('+')} would fail with 80% chance"
    if judged.verdict == "undecided" and judged.more_questions is not None:
        tail += f"; about {text.plural(judged.more_questions, 'more question')} would decide it"
    elif judged.verdict == "undecided" and not judged.why:
        tail += "; no number of questions would decide it, if the truth is what was seen"
    return f"{where}: {what} {form(judged.limit)}{seen}{tail}."


def _words(demand: str) -> tuple[str, Callable[[float | None], str], Callable[[float | None], str]]:
    """What is demanded, how its numbers are said, and how inside an interval, which repeats no unit."""
    if demand == "accuracy":
        return "accuracy of at least", show.percent, show.percent
    if demand == "no_worse":
        return "accuracy beside the baseline of at least", show.points, show.points
    return "mean spend of at most", partial(text.spend, axis=demand), show.dollars if demand == "usd" else show.number


def _summary(judged: Sequence[Judged], code: int, smoke: bool) -> str:
    if smoke:
        ran = "ran from end to end" if code == DONE else "did not run from end to end"
        return f"Smoke test: the study {ran} on a script; its numbers are simulated and nothing was demanded of them."
    counts = {word: sum(each.verdict == word for each in judged) for word in _CODES}
    verdict = {DONE: "passes", ERROR: "fails", STOPPED: "is undecided"}[code]
    return (
        f"The gate {verdict}: of {text.plural(len(judged), 'demand')} {counts['pass']:,} pass, {counts['fail']:,} fail "
        f"and {counts['undecided']:,} are undecided (one-sided bounds of 95%)."
    )


def as_junit(judged: Sequence[Judged], undecided: str | None = None) -> str:
    """A test suite with one case a demand and setting; undecided ones are skipped, unless they count as something."""
    cases = []
    for each in judged:
        case = ElementTree.Element("testcase", classname=show.clean(each.task), name=f"{each.demand}: {each.setting}")
        verdict = undecided or each.verdict if each.verdict == "undecided" else each.verdict
        if verdict == "undecided":
            ElementTree.SubElement(case, "skipped", message=sentence(each))
        elif verdict == "fail":
            ElementTree.SubElement(case, "failure", message=sentence(each), type=each.verdict)
        else:
            ElementTree.SubElement(case, "system-out").text = sentence(each)
        case.set("name", show.clean(case.get("name", "")))
        cases.append(case)
    # Readers of JUnit trust the attributes and not the cases.
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        name="budgetscope check",
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors="0",
        skipped=str(counts["skipped"]),
    )
    suite.extend(cases)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    for part in suites.iter():
        # XML has no characters that steer; a script may have said some.
        for name, value in part.attrib.items():
            part.set(name, show.clean(value))
        part.text = part.text and show.clean(part.text)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + os.linesep


def as_markdown(judged: Sequence[Judged], code: int, smoke: bool = False) -> str:
    """A heading, a table of the demands, and the summary."""
    cells = ((each.verdict, each.setting, each.task, sentence(each)) for each in judged)
    rows = [f"| {' | '.join(map(text.in_markdown, row))} |" for row in cells]
    head = ["| verdict | setting | task | evidence |", "|---|---|---|---|"]
    return "\n".join(["## Budgetscope check", "", _summary(judged, code, smoke), "", *head, *rows, "", ""])
