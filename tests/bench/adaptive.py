"""What an adaptive study saves and how often it is wrong: in simulated worlds whose truth is known, and on the demo.

    python -m tests.bench.adaptive [--worlds 1000] [--drawn 60] [--questions 4000] [--goal 5]

Simulated: strategies x budgets answer questions of shared difficulty; later budgets of a strategy cost more. Four kinds of
worlds: all settings equal; two near ties (the best two a point apart, the others behind); a ladder (each dearer one
better); and worlds drawn from the demo, whose questions are drawn anew with their answers, so that what was measured
there is the truth. Each is walked look by look as `runs.adaptive` walks it. Printed per kind:

- saved: tokens of the adaptive walk against the full grid's on all questions (draws that settings share counted once);
- reached: worlds in which the goal was reached before the questions ended;
- wrong: of all worlds, those whose recommendation is further behind the truly best than the goal, where the goal was
  said to be reached: 5% is promised; and fallen, those that dropped the truly best wrongly (with nothing as good left);
- pick: worlds whose recommendation is the full grid's, or is as good within the goal (the full grid's rule: the cheapest
  whose measured accuracy is within the goal of the highest);
- verdicts: of the points that were stopped, those whose verdict the truth agrees with (something no dearer is truly no
  worse, or by no more than the bound that was told).

The demo: its own sixty questions a task in the order of `plan.in_random_order`, against its whole grid.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import engine
from engine.analysis.cells import scored_means
from engine.analysis.elimination import Points, Settled, judge
from engine.core import ids
from engine.core.rounds import looks

Floats = NDArray[np.float64]
BUDGETS = 4
STRATEGIES = 6


@dataclass(frozen=True)
class World:
    """Points of one task: who is right on what, and what it costs. Arrays are points x questions."""

    scores: Floats
    spends: Floats
    settings: tuple[int, ...]
    accuracy: Floats
    """The truth, a point each."""
    spend: Floats
    cost: Floats
    """What a question costs with each setting, shared draws left out, a setting each."""


@dataclass(frozen=True)
class Walked:
    """What came of a walk."""

    looked: int
    asked: tuple[int, ...]
    """By setting."""
    reached: bool
    regret: float
    """True, of the recommendation."""
    bound: float
    pick: int
    fallen: bool
    agreed: int
    """Stopped points whose verdict the truth agrees with."""
    stopped: int
    saved: float
    """Tokens against the full grid, a share that is left."""
    same: bool
    """Whether the full grid recommends this point or one as good within the goal."""


def walk(world: World, goal: float) -> Walked:
    """One adaptive study in a world."""
    points, questions = world.scores.shape
    budgets = tuple(point % BUDGETS for point in range(points))
    live, before = set(world.settings), dict[int, Settled]()
    asked = dict.fromkeys(world.settings, 0)
    for look in looks(questions):
        asked |= dict.fromkeys(live, look)
        beyond = np.arange(look) >= np.array([asked[setting] for setting in world.settings])[:, None]
        scores, spends = (np.where(beyond, np.nan, each[:, :look]) for each in (world.scores, world.spends))
        each = tuple(asked[setting] for setting in world.settings)
        judged = judge(Points(world.settings, budgets, scores, spends, each), before, goal)
        if judged.reached:
            break
        before |= {point: of for point, of in judged.settled.items() if world.settings[point] in judged.dropped}
        live -= judged.dropped
    assert judged.pick is not None
    best = float(world.accuracy.max())
    left = [point for point in range(points) if world.settings[point] in live]
    agreed = [
        world.spend[of.by] <= world.spend[point] * 1.001
        and world.accuracy[point] - world.accuracy[of.by] <= max(of.high, 0.0) + 1e-9
        for point, of in before.items()
    ]
    measured = world.scores.mean(axis=1)
    usual = min(np.flatnonzero(measured >= measured.max() - goal), key=lambda point: world.spends[point].mean())
    tokens = sum(world.cost[setting] * many for setting, many in asked.items())
    return Walked(
        look,
        tuple(asked.values()),
        judged.reached,
        best - float(world.accuracy[judged.pick]),
        judged.bound,
        judged.pick,
        max(world.accuracy[left]) < best - goal,
        sum(agreed),
        len(agreed),
        tokens / (questions * float(world.cost.sum())),
        judged.pick == usual or abs(float(world.accuracy[usual] - world.accuracy[judged.pick])) <= goal,
    )


def _world(rng: np.random.Generator, skills: Floats, dear: Floats, questions: int) -> World:
    """Settings of these skills at their budgets; questions have a difficulty that all of them feel."""
    common = rng.normal(size=questions)
    own = rng.normal(size=(STRATEGIES, questions))
    latent = np.repeat(np.sqrt(0.75) * common + np.sqrt(0.25) * own, BUDGETS, axis=0)
    bars = np.array([_quantile(skill) for skill in skills.ravel()])
    scores = (latent < bars[:, None]).astype(float)
    spends = dear.ravel()[:, None] * rng.uniform(0.8, 1.2, (STRATEGIES * BUDGETS, questions))
    # A trial at the largest budget tells all smaller ones, so that is what a question costs.
    return World(scores, spends, _settings(), skills.ravel(), dear.ravel(), dear[:, -1])


def _settings() -> tuple[int, ...]:
    return tuple(point // BUDGETS for point in range(STRATEGIES * BUDGETS))


def _quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))


def _dear() -> Floats:
    """Spends by strategy and budget: each strategy dearer than the one before, each budget half as dear again."""
    return np.outer(30 * 1.7 ** np.arange(STRATEGIES), 1.5 ** np.arange(BUDGETS))


def alike(rng: np.random.Generator, questions: int) -> World:
    """All equal."""
    return _world(rng, np.full((STRATEGIES, BUDGETS), rng.uniform(0.2, 0.8)), _dear(), questions)


def ties(rng: np.random.Generator, questions: int) -> World:
    """Two near ties at the top, a point apart, the others behind; which is which is drawn."""
    top = rng.uniform(0.5, 0.9)
    behind = top - rng.uniform(0.08, 0.4, STRATEGIES)
    first, second = rng.permutation(STRATEGIES)[:2]
    behind[first], behind[second] = top, top - 0.01
    steps = np.array([0.25, 0.12, 0.04, 0.0])
    return _world(rng, np.maximum(behind[:, None] - steps, 0.01), _dear(), questions)


def ladder(rng: np.random.Generator, questions: int) -> World:
    """Each dearer strategy better than the one before, by less and less."""
    gains = np.cumsum([0.0, *sorted(rng.uniform(0.0, 0.15, STRATEGIES - 1), reverse=True)])
    steps = np.array([0.2, 0.1, 0.03, 0.0])
    return _world(rng, np.maximum(0.35 + gains[:, None] - steps, 0.01), _dear(), questions)


@dataclass(frozen=True)
class Task:
    """What is stored of a task: points x questions."""

    name: str
    scores: Floats
    spends: Floats
    settings: tuple[int, ...]
    cost: Floats
    points: tuple[tuple[str, int], ...]

    def world(self, chosen: NDArray[np.intp]) -> World:
        """These questions, in this order, as a world in which what was measured on all is the truth."""
        every = self.scores.mean(axis=1), self.spends.mean(axis=1)
        return World(self.scores[:, chosen], self.spends[:, chosen], self.settings, *every, self.cost)


def stored(db: Path, study: str) -> Iterator[Task]:
    """The tasks of a study, their questions in the order an adaptive study would ask them."""
    results = engine.open(db)
    texts = dict(results.questions().select("question_id", "text").iter_rows())
    for task in results.studies().filter(study=study)["task"]:
        cells, units = results.measured(None, None, {"study": study, "task": task}, explain=False)
        axis = cells["axis"][0]
        means = scored_means(units)
        asked = sorted(set(means["question_id"]), key=lambda id: ids.digest("o1", texts[id]))
        keys = cells.select("condition_id", "budget").rows()
        arrays = []
        for name in ("accuracy", axis, "total_tokens"):
            table = {key: dict[str, float]() for key in keys}
            for condition, budget, question, value in means.select(
                "condition_id", "budget", "question_id", name
            ).iter_rows():
                table[condition, budget][question] = value
            arrays.append(np.array([[table[key].get(id, np.nan) for id in asked] for key in keys]))
        # A strategy × model has one condition where it is anytime, else one for each budget.
        kinds = cells.select("model", "strategy", "params").rows()
        settings = [sorted(set(kinds)).index(kind) for kind in kinds]
        cost = np.array([_cost(at, settings, cells["anytime"].to_list(), arrays[2]) for at in range(max(settings) + 1)])
        yield Task(task, arrays[0], arrays[1], tuple(settings), cost, tuple(keys))


def _cost(setting: int, settings: list[int], anytime: list[bool], tokens: Floats) -> float:
    """Tokens of a question with a setting: of its largest budget, or of all where each runs by itself."""
    own = [np.nanmean(tokens[at]) for at, of in enumerate(settings) if of == setting]
    return float(max(own) if anytime[settings.index(setting)] else sum(own))


def _many(job: tuple[Callable[[np.random.Generator, int], World], int, int, int, float]) -> list[Walked]:
    kind, seed, worlds, questions, goal = job
    rng = np.random.default_rng(seed)
    return [walk(kind(rng, questions), goal) for _ in range(worlds)]


def said(name: str, every: list[Walked]) -> str:
    """A row of the table."""
    stopped = sum(each.stopped for each in every)
    agreed = sum(each.agreed for each in every) / stopped if stopped else 1.0
    shares = [
        fmean(float(value) for value in values)
        for values in (
            [each.saved for each in every],
            [each.reached for each in every],
            [each.reached and each.regret > each.bound + 1e-9 for each in every],
            [each.fallen for each in every],
            [each.same for each in every],
        )
    ]
    parts = [f"{len(every):,}", *(f"{100 * share:.1f} %" for share in (*shares, agreed))]
    return f"| {name} | {' | '.join(parts)} | {fmean(each.looked for each in every):,.0f} |"


@dataclass(frozen=True)
class Drawn:
    """Worlds drawn from a stored task; picklable."""

    task: Task

    def __call__(self, rng: np.random.Generator, questions: int) -> World:
        return self.task.world(rng.integers(0, self.task.scores.shape[1], questions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--drawn", type=int, default=60, help="worlds drawn from the demo, which take longest")
    parser.add_argument("--questions", type=int, default=4000)
    parser.add_argument("--goal", type=float, default=5, help="points")
    parser.add_argument("--db", type=Path, default=Path("results.duckdb"))
    asked = parser.parse_args()
    # One thread a process, new ones, as numpy asks when it is imported: two that share a core wait for each other.
    os.environ["OMP_NUM_THREADS"] = "1"
    goal, tasks = asked.goal / 100, [*stored(asked.db, "demo")]
    kinds: dict[str, list[Callable[[np.random.Generator, int], World]]] = {
        "all equal": [alike],
        "two near ties": [ties],
        "a ladder": [ladder],
        "drawn from the demo": [Drawn(task) for task in tasks],
    }
    print(f"goal {asked.goal:g} points, at most {asked.questions:,} questions")
    print(
        "| worlds | n | tokens left | reached | wrong beyond | best lost | pick as good | verdicts true | questions |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for name, makers in kinds.items():
            # Those that are simulated share the rest.
            each = asked.drawn if len(makers) > 1 else (asked.worlds - asked.drawn) // 3
            jobs = [
                (maker, seed, -(-each // (4 * len(makers))), asked.questions, goal)
                for maker in makers
                for seed in range(4)
            ]
            print(said(name, [walked for some in pool.map(_many, jobs) for walked in some]), flush=True)
    for task in tasks:
        walked = walk(task.world(np.arange(task.scores.shape[1])), goal)
        state = "reached" if walked.reached else "not reached"
        print(
            f"{task.name}, its own {task.scores.shape[1]} questions: goal {state}, bound {100 * walked.bound:.1f} points, "
            f"{100 * walked.saved:.0f} % of the tokens, pick as good {walked.same}"
        )


if __name__ == "__main__":
    main()
