"""What a full frontier costs: seven strategies at eight budgets, bought in four ways and brought to equal intervals.

    python -m tests.bench.frontier_cost [--questions 100] [--adaptive 2000] [--lots 8] [--folder DIR]

The strategies are those of Wang et al. 2024 (arXiv 2406.06461). Every way is a real run of the engine with a scripted
model that adds and subtracts step by step, right in three of four steps, on sums of two, three and five numbers in
turn, of the same kind however many are asked; a word is a token.

- apart: a run for each strategy and budget, with draws of its own, as tools do that know no budget. It is charged what
  its trials spend within their walls and not what our runs are billed, which is more: a tool that cuts its calls at the
  wall would not pay for the rest of them.
- anytime: a run for each strategy at the largest budget, read at all eight; strategies share no reply.
- shared: one run of the whole study, in which strategies that send the same prompt share the reply.
- adaptive: the same study on more questions, asking on only strategies that are not surely beaten at every budget; it never
  stops for what it recommends. Its tokens a question are its bill over the questions the others were asked, its widths
  are brought to as many questions as the other ways have, and it is compared on the cells it kept: of the strategies it
  stopped it knows that they are no better, and no interval.

All of ours are charged what their runs were billed. At equal width: tokens are in proportion to questions and widths to
their root, so a way whose intervals are wider by w needs w² as many tokens. Cells: the 95 % interval of each accuracy.
Differences: that of each strategy's accuracy against self-consistency's at the same budget. Cells and differences in which one
way has no spread at all, all right or all wrong, are left out of all, and counted.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import random
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import engine
from engine.analysis import Results
from engine.analysis.pairs.compare import Cell
from engine.models import scripted
from engine.study.schema import Study, parse

STRATEGIES = (
    "self_consistency",
    "multi_agent_debate",
    "reflexion",
    "plan_and_solve",
    "least_to_most",
    "progressive_hint",
    "tree_of_thoughts",
)
BUDGETS = tuple(64 << step for step in range(8))
"""All tokens, input and output."""
BASE = STRATEGIES[0]
Place = tuple[str, int]
"""Strategy and budget."""


@dataclass
class Way:
    """One way of buying the frontier."""

    tokens: float = 0
    """Per question."""
    cells: dict[Place, Cell] = field(default_factory=dict)
    accuracy: dict[Place, float] = field(default_factory=dict)
    width: dict[Place, float] = field(default_factory=dict)
    """Of the 95 % interval of an accuracy, in points."""
    more: float = 1
    """So many times the questions of the other ways."""
    apart: dict[Place, float] = field(default_factory=dict)
    """Of the 95 % interval of its difference to self-consistency, in points."""


def study(
    model: str, strategies: tuple[str, ...], budgets: tuple[int, ...], file: Path, until: str | None = None
) -> Study:
    """The study that a run is of; each model name has draws of its own."""
    adaptive = "" if until is None else f'plan = "adaptive"\nuntil = "{until}"\n'
    listed = ", ".join(f'"{name}"' for name in strategies)
    return parse(
        adaptive
        + f'name = "{model}"\nbudget_axis = "total_tokens"\nbudgets = {list(budgets)}\nmodels = ["scripted/{model}"]\n'
        f'strategies = [{listed}]\n[[tasks]]\nname = "file:{file}"\n',
        model,
    )


def bought(
    model: str,
    strategies: tuple[str, ...],
    budgets: tuple[int, ...],
    file: Path,
    db: Path,
    until: str | None = None,
) -> int:
    """Run a study and say how many tokens it was billed."""
    scripted._SCRIPTS[model] = scripted.stepper(0.75)
    status = engine.run(study(model, strategies, budgets, file, until), db)
    assert status.state == "finished", (model, status.state, status.message, status.reasons)
    return status.spent.tokens


def read(results: Results, way: Way, models: Mapping[str, tuple[int, ...]]) -> None:
    """Accuracies and widths of a way's cells, by its models and the budgets each is read at."""
    for model, budgets in models.items():
        frame = results.cells("total_tokens", budgets, model=f"scripted/{model}")
        for row in frame.iter_rows(named=True):
            place = row["strategy"], row["budget"]
            way.cells[place] = Cell(row["condition_id"], row["budget"], "total_tokens")
            way.accuracy[place] = 100 * row["accuracy"]
            if row["stopped_at"] is None:
                way.width[place] = 100 * (row["accuracy_high"] - row["accuracy_low"]) * math.sqrt(way.more)
    for (strategy, budget), cell in way.cells.items():
        if strategy != BASE and (strategy, budget) in way.width and (BASE, budget) in way.width:
            difference = results.compare(cell, way.cells[BASE, budget], replicates=500).accuracy
            if difference.low is not None and difference.high is not None:
                way.apart[strategy, budget] = 100 * (difference.high - difference.low) * math.sqrt(way.more)


def sums(seed: int, questions: int, folder: Path) -> Path:
    """A file of so many different sums, the first of the list that a seed makes."""
    rng, asked = random.Random(seed), dict[str, int]()
    while len(asked) < questions:
        first, *others = (rng.randint(10, 99) for _ in range((2, 3, 5)[len(asked) % 3]))
        signed = [rng.choice((1, -1)) * number for number in others]
        if (right := first + sum(signed)) >= 0:
            text = "".join(f" {'+' if number > 0 else '-'} {abs(number)}" for number in signed)
            asked[f"{first}{text}"] = right
    file = folder / f"sums-{seed}-{questions}.jsonl"
    file.write_text("".join(f'{{"question": "{text} = ?", "answer": "{right}"}}\n' for text, right in asked.items()))
    return file


def ways(questions: int, many: int, folder: Path, seed: int) -> dict[str, Way]:
    """All four, bought and read; the adaptive one on `many` questions."""
    few, lot = sums(seed, questions, folder), sums(seed, many, folder)
    db = folder / f"frontier_cost-{seed}.duckdb"
    apart, anytime, shared, adaptive = Way(), Way(), Way(), Way(more=many / questions)
    # No regret is so small, so that it asks on whoever is not beaten.
    adaptive.tokens = bought("adaptive", STRATEGIES, BUDGETS, lot, db, "regret <= 0.1 points") / many
    shared.tokens = bought("shared", STRATEGIES, BUDGETS, few, db) / questions
    for strategy in STRATEGIES:
        anytime.tokens += bought(f"anytime-{strategy}", (strategy,), BUDGETS, few, db) / questions
        for budget in BUDGETS:
            bought(f"apart-{strategy}-{budget}", (strategy,), (budget,), few, db)
    results = engine.open(db)
    read(results, adaptive, {"adaptive": BUDGETS})
    for decided in results.decisions("adaptive"):
        asked = ", ".join(f"{each.name} {each.asked}" for each in decided.settings)
        print(f"lot {seed}, asked: {asked}", flush=True)
    read(results, shared, {"shared": BUDGETS})
    read(results, anytime, {f"anytime-{strategy}": BUDGETS for strategy in STRATEGIES})
    read(results, apart, {f"apart-{strategy}-{budget}": (budget,) for strategy in STRATEGIES for budget in BUDGETS})
    for strategy, budget in apart.cells:
        cells = results.cells("total_tokens", (budget,), model=f"scripted/apart-{strategy}-{budget}")
        apart.tokens += cells["total_tokens"].item()
    return {"apart": apart, "anytime": anytime, "shared": shared, "adaptive": adaptive}


def factor(widths: Callable[[Way], Mapping[Place, float]], way: Way, base: Way, places: list[Place]) -> float:
    """How many times fewer tokens than `base` a way needs for intervals as wide."""
    squares = [fmean(widths(each)[place] ** 2 for place in places) for each in (way, base)]
    return base.tokens * squares[1] / (way.tokens * squares[0])


def usable(widths: Callable[[Way], Mapping[Place, float]], every: Mapping[str, Way]) -> list[Place]:
    """Places at which each way has an interval of some width."""
    return [place for place in widths(every["apart"]) if all(widths(way).get(place) for way in every.values())]


def measured(seed: int, questions: int, many: int, folder: Path) -> dict[str, tuple[float, ...]]:
    """One lot of questions bought in all ways: by way its tokens a question, and how many times fewer than apart for the
    same questions, for cells as wide and for differences as wide."""
    logging.disable()
    every = ways(questions, many, folder, seed)
    base = every["apart"]
    # What the adaptive run stopped is missing in it alone.
    whole = {name: way for name, way in every.items() if name != "adaptive"}
    told = {}
    for name, way in every.items():
        among = every if name == "adaptive" else whole
        wide = [
            factor(widths, way, base, usable(widths, among))
            for widths in (lambda each: each.width, lambda each: each.apart)
        ]
        told[name] = (way.tokens, base.tokens / way.tokens, *wide)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--adaptive", type=int, default=2000, help="questions the adaptive run may ask")
    parser.add_argument("--lots", type=int, default=8, help="so many times over, of other questions each")
    parser.add_argument("--folder", type=Path, help="where the databases are written; none: nowhere that stays")
    asked = parser.parse_args()
    print(f"{len(STRATEGIES)} strategies x {len(BUDGETS)} budgets ({BUDGETS[0]} to {BUDGETS[-1]:,} tokens)")
    with (
        tempfile.TemporaryDirectory() as own,
        ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool,
    ):
        folder = asked.folder or Path(own)
        runs = [
            pool.submit(measured, seed, asked.questions, asked.adaptive, folder) for seed in range(1, asked.lots + 1)
        ]
        lots = [run.result() for run in runs]
    print(f"means of {len(lots)} lots of {asked.questions} questions (adaptive: {asked.adaptive:,}), least and most")
    print("| way | tokens a question | fewer, same questions | fewer, cells as wide | fewer, differences as wide |")
    print("|---|---|---|---|---|")
    for name in lots[0]:
        tokens, *fewer = zip(*(lot[name] for lot in lots), strict=True)
        cells = " | ".join(f"{fmean(each):.1f}x ({min(each):.1f} to {max(each):.1f})" for each in fewer)
        print(f"| {name} | {fmean(tokens):,.0f} | {cells} |")


if __name__ == "__main__":
    main()
