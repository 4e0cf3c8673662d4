"""Worlds whose truth is known, and how often what the analysis says of them is so.

A world draws questions of shared difficulty, in clusters if asked, and settings that answer them with known chances.
Everything goes through the code that a database's numbers go through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import gate
from engine.analysis.advice.board import Board
from engine.analysis.advice.choose import reach, under
from engine.analysis.advice.cost import next_point, per_right
from engine.analysis.advice.decide import BETTER, WORSE, decide
from engine.analysis.advice.what_if import heights, spends, without
from engine.analysis.cells import MEANS
from engine.analysis.frontier import Cloud, ClusterSums, Kind, places, verdicts
from engine.analysis.pairs import compare
from engine.analysis.stats import Sample, Sums, accuracy_interval, replicate_weights

NORMAL = NormalDist()
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Settings with true `skills` on `n` questions in `clusters` (0: each its own); right or wrong `repeats` times.

    Latent difficulty is `shared` between settings to this part, and half of it between questions of a cluster. Of the
    rest a part is luck that each repeat draws anew, where there are several.
    """

    skills: tuple[float, ...]
    n: int
    clusters: int = 0
    repeats: int = 1
    shared: float = 0.8

    def cluster(self) -> NDArray[np.intp]:
        """The cluster of each question."""
        return np.arange(self.n) % (self.clusters or self.n)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Question means: questions x settings."""
        common, own = self._field(rng, 1), self._field(rng, len(self.skills))
        latent = math.sqrt(self.shared) * common + math.sqrt(1 - self.shared) * own
        bars = np.array([NORMAL.inv_cdf(skill) for skill in self.skills])
        if self.repeats == 1:
            return (latent < bars).astype(float)
        luck = rng.normal(size=(self.repeats, self.n, len(self.skills)))
        means: Floats = (math.sqrt(0.7) * latent + math.sqrt(0.3) * luck < bars).mean(axis=0)
        return means

    def _field(self, rng: np.random.Generator, settings: int) -> Floats:
        single = rng.normal(size=(self.n, settings))
        if not self.clusters:
            return single
        together = rng.normal(size=(self.clusters, settings))[self.cluster()]
        return math.sqrt(0.5) * together + math.sqrt(0.5) * single


def sums_of(means: Floats, cluster: NDArray[np.intp]) -> Sums:
    """The cluster sums behind the interval of one setting."""
    s, q = np.bincount(cluster, means), np.bincount(cluster).astype(float)
    return Sums(float(s.sum()), float(q.sum()), len(q), float(s @ s), float(s @ q), float(q @ q))


def single_coverage(world: World, times: int, seed: int = 0) -> float:
    """How often the 95 % interval of the first setting's accuracy holds the truth."""
    rng, cluster, held = np.random.default_rng(seed), world.cluster(), 0
    for _ in range(times):
        low, high = accuracy_interval(sums_of(world.draw(rng)[:, 0], cluster), world.n * world.repeats)
        held += low <= world.skills[0] <= high
    return held / times


def exact_coverage(n: int, shares: Floats) -> Floats:
    """Coverage of the 95 % interval of distinct questions asked once, by the binomial distribution itself."""
    right = np.arange(n + 1)
    choose = np.array([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in right])
    chances = np.exp(choose + np.outer(np.log(shares), right) + np.outer(np.log1p(-shares), n - right))
    ends = np.array([accuracy_interval(Sums(k, n, n, k, k, n), n) for k in right.tolist()])
    inside = (ends[None, :, 0] <= shares[:, None]) & (shares[:, None] <= ends[None, :, 1])
    coverage: Floats = (chances * inside).sum(axis=1)
    return coverage


def pair_of(means: Floats, cluster: NDArray[np.intp], repeats: int = 1, graded: bool = False) -> compare.Paired:
    """The first two settings as a pair of cells."""
    frame = pl.DataFrame(
        {
            "question_id": np.arange(len(means)),
            "cluster": cluster,
            "accuracy": means[:, 0],
            "accuracy_b": means[:, 1],
            "n_trials": np.full(len(means), repeats),
            **dict.fromkeys(("n_partly", "n_partly_b"), np.full(len(means), float(graded))),
            "n_trials_b": np.full(len(means), repeats),
            **{f"{name}{end}": np.zeros(len(means)) for name in MEANS for end in ("", "_b")},
        }
    )
    return compare.Paired(frame, cluster)


@dataclass(frozen=True)
class PairedCoverage:
    """How often the interval of a difference held the truth, and how often so few questions differed."""

    held: float
    by_score: float
    rejected: float
    """How often McNemar's mid-p was below 0.05."""


def paired_coverage(world: World, times: int, seed: int = 0, replicates: int = 400) -> PairedCoverage:
    """The 95 % interval of the first setting's accuracy minus the second's."""
    rng, cluster, truth = np.random.default_rng(seed), world.cluster(), world.skills[0] - world.skills[1]
    found = [
        compare.gap(pair_of(world.draw(rng), cluster, world.repeats), Sample(replicates, int(rng.integers(2**32))))
        for _ in range(times)
    ]
    held = sum(f.low - 1e-9 <= truth <= f.high + 1e-9 for f in found if f.low is not None and f.high is not None)
    return PairedCoverage(
        held / times, sum(f.method == "score" for f in found) / times, sum(f.p_value < 0.05 for f in found) / times
    )


def averaged(n: int, times: int, clusters: int = 0, repeats: int = 1, seed: int = 0) -> tuple[float, float]:
    """Coverage for one accuracy and for a difference where truths are drawn evenly from 0.02 to 0.98."""
    rng, held, paired = np.random.default_rng(seed), 0.0, 0.0
    for at in range(times):
        world = World(tuple(rng.uniform(0.02, 0.98, 2).tolist()), n, clusters, repeats)
        held += single_coverage(world, 1, seed + at)
        paired += paired_coverage(world, 1, seed + at).held
    return held / times, paired / times


def judgements(
    world: World,
    times: int,
    seed: int = 0,
    replicates: int = 300,
    *,
    kind: Kind = "staircase",
    spends: tuple[float, ...] = (),
    unlike: float = 0.0,
) -> Iterator[list[str]]:
    """Verdicts on all settings of a world, which spend so much on average; the k-th k + 1 hundred where nothing is said.

    Some questions are dearer for all settings; by `unlike`, on a log scale, each is for every setting apart as well.
    """
    rng, cluster = np.random.default_rng(seed), world.cluster()
    size = np.bincount(cluster).astype(float)
    usual = np.array(spends or 100 * np.arange(1, len(world.skills) + 1))
    for _ in range(times):
        right = world.draw(rng)
        spend = usual * np.exp(0.3 * rng.normal(size=(world.n, 1)) + unlike * rng.normal(size=right.shape))
        weights = replicate_weights(len(size), replicates, int(rng.integers(2**32)))
        drawn = Cloud(*((weights @ _summed(v, cluster)) / (weights @ size)[:, None] for v in (spend, right)))
        point = Cloud(spend.mean(axis=0)[None, :], right.mean(axis=0)[None, :])
        corners = np.flatnonzero(places(point, "hull").on[0]) if kind == "hull" else np.array([], dtype=np.intp)
        corners = corners[np.argsort(point.x[0, corners])]
        yield verdicts(point, corners, drawn, places(drawn, kind), len(size))


def _summed(values: Floats, cluster: NDArray[np.intp]) -> Floats:
    return np.column_stack([np.bincount(cluster, column) for column in values.T])


def called(
    world: World,
    times: int,
    cell: int = -1,
    *,
    kind: Kind = "staircase",
    spends: tuple[float, ...] = (),
    unlike: float = 0.0,
) -> tuple[float, float]:
    """How often a setting, whose true gap to the best of the others for its spend is 0, is frontier, and dominated."""
    said = [each[cell] for each in judgements(world, times, kind=kind, spends=spends, unlike=unlike)]
    return said.count("frontier") / times, said.count("dominated") / times


def board_of(right: Floats, spend: Floats, cluster: NDArray[np.intp], replicates: int, seed: int) -> Board:
    """The board of settings measured once on each question; questions x settings."""
    size = np.bincount(cluster).astype(float)
    weights = replicate_weights(len(size), replicates, seed)
    drawn = Cloud(*((weights @ _summed(v, cluster)) / (weights @ size)[:, None] for v in (spend, right)))
    intervals = [accuracy_interval(sums_of(column, cluster), len(column)) for column in right.T]
    names = [f"s{k}" for k in range(right.shape[1])]
    counts = right.sum(axis=0).round().astype(int)
    frame = pl.DataFrame(
        {
            "condition_id": names,
            "label": names,
            "name": names,
            "axis": ["output_tokens"] * len(names),
            "budget": [1000] * len(names),
            "x": spend.mean(axis=0),
            "accuracy": right.mean(axis=0),
            "accuracy_low": [low for low, _ in intervals],
            "accuracy_high": [high for _, high in intervals],
            "n_questions": [len(right)] * len(names),
            "n_draws": [1] * len(names),
            "n_right": counts,
            "n_partly": [0] * len(names),
            "n_wrong": len(right) - counts,
            "n_none": [0] * len(names),
        }
    )
    sums = {"accuracy": _summed(right, cluster).T, "unsolved": _summed((right == 0).astype(float), cluster).T}
    return Board("output_tokens", frame, ClusterSums(np.tile(size, (len(names), 1)), sums), drawn)


def boards(world: World, times: int, seed: int = 0, replicates: int = 300) -> Iterator[Board]:
    """Boards of a world whose k-th setting spends k + 1 hundred on average."""
    rng, cluster = np.random.default_rng(seed), world.cluster()
    for _ in range(times):
        right = world.draw(rng)
        noise = np.exp(0.3 * rng.normal(size=(world.n, 1)) - 0.045)
        spend = 100 * np.arange(1, right.shape[1] + 1) * noise
        yield board_of(right, spend, cluster, replicates, int(rng.integers(2**32)))


def wrongly_reaching(world: World, least: float, times: int, seed: int = 0) -> float:
    """How often a setting is said to reach what it does not."""
    found = [reach(board, least) for board in boards(world, times, seed)]
    picked = [int(each.cell.condition_id[1:]) for each in found if each.cell is not None]
    return sum(world.skills[k] < least - 1e-12 for k in picked) / times


def wrongly_best(world: World, times: int, seed: int = 0) -> float:
    """How often one is called the best under a budget that is not, or shares that place with another."""
    best = [k for k, skill in enumerate(world.skills) if skill > max(world.skills) - 1e-12]
    wrong = 0
    for board in boards(world, times, seed):
        found = under(board, 1000)
        assert found.cell is not None
        wrong += found.decided and [int(found.cell.condition_id[1:])] != best
    return wrong / times


def wrongly_apart(world: World, times: int, seed: int = 0) -> float:
    """How often a decision calls any of several equals less accurate than its pick, or measurably better."""
    said = [decide(board).verdicts["verdict"].is_in([BETTER, WORSE]).any() for board in boards(world, times, seed)]
    return sum(said) / len(said)


def cost_coverage(world: World, times: int, seed: int = 0) -> float:
    """How often the interval of the first setting's spend per right answer holds the truth."""
    truth, held = 100 / world.skills[0], 0
    for board in boards(world, times, seed):
        row = per_right(board).evidence.filter(pl.col("condition_id") == "s0").row(0, named=True)
        held += row["low"] <= truth <= row["high"]
    return held / times


def loss_coverage(world: World, times: int, seed: int = 0) -> float:
    """How often the interval of what the frontier loses without its last setting holds the truth."""
    x: Floats = 100 * np.arange(1, len(world.skills) + 1, dtype=np.float64)
    held = 0
    for board in boards(world, times, seed, 400):
        found = without(board, "m", np.arange(len(x)) == len(x) - 1).value
        assert found is not None
        truth_at = spends(board.point)
        skills, rest = np.array([world.skills], dtype=np.float64), x.copy()
        rest[-1] = np.inf
        whole, left = (heights(Cloud(each[None, :], skills), truth_at)[0] for each in (x, rest))
        held += (found.low or 0) - 1e-9 <= float((whole - left).mean()) <= (found.high or 0) + 1e-9
    return held / times


def point_coverage(world: World, times: int, seed: int = 0) -> float:
    """How often the interval of the next point's cost in the middle of the last of two settings holds the truth."""
    truth = 0.01 * 100 / (world.skills[1] - world.skills[0])
    held = 0
    for board in boards(world, times, seed, 400):
        value = next_point(board, 150.0).value
        assert value is not None
        ends = (value.low if value.low is not None else math.inf, value.high if value.high is not None else math.inf)
        held += ends[0] <= truth <= ends[1]
    return held / times


def gates(
    world: World, times: int, margin: float, settings: int = 1, seed: int = 0, replicates: int = 400
) -> dict[str, float]:
    """Shares of gates that pass, fail or are undecided, where the first setting is held beside the second.

    `settings`: how many settings the gate checks together; the others are not drawn."""
    rng, cluster, verdicts = np.random.default_rng(seed), world.cluster(), []
    for _ in range(times):
        pair = pair_of(world.draw(rng), cluster, world.repeats)
        sample = Sample(replicates, int(rng.integers(2**32)))
        verdicts.append(gate.beside(pair, margin, settings, sample).verdict)
    return {verdict: verdicts.count(verdict) / times for verdict in ("pass", "fail", "undecided")}
