"""Curves of votes from all orders their draws could have come in, not from the one they came in.

A trial that drew all its samples has its draws put in seeded random orders, each read out like a run of its own; on the
axis of calls the mean over every order is exact (`draws.leading`). That a trial drew all of them is the same event in
every order, so the mean over orders has the expectation of the one order and less noise. A trial that a wall closed
drew few because its draws were long: which ones it has depends on what they are, so it keeps its one order and leaves
at its horizon, as it does without all this. Pure arrays in, frames out; reads no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.ballots import Ballot, Place
from engine.analysis.draws import leading

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Mapping[str, NDArray[Any]]
_SEED = 20260301
_SUMS = ("n", "right", "n_censored", "level", "slope", "ordered", "drawn", "covered")


@dataclass(frozen=True, slots=True)
class Walk:
    """One trial on one axis, step by step."""

    question: int
    rows: Rows
    """Columns of `queries.walks`."""
    ballot: Ballot | None
    """None: its one order is all there is."""


class Sums:
    """Per question and point what the trials of one condition add up to; a change counts at its wall and above."""

    def __init__(self, questions: int, points: Ints) -> None:
        self.points = points
        self._sums = {name: np.zeros((questions, len(points) + 1)) for name in _SUMS}

    def add(self, question: int, walls: NDArray[Any], **changes: NDArray[Any] | float) -> None:
        """At these walls, these changes."""
        at = np.searchsorted(self.points, walls.ravel(), side="left")
        for name, change in changes.items():
            weights = np.broadcast_to(np.asarray(change, np.float64), walls.shape).ravel()
            self._sums[name][question] += np.bincount(at, weights, len(self.points) + 1)

    def add_cut(self, question: int, since: NDArray[Any], wall: NDArray[Any], start: Floats, share: float) -> None:
        """Calls that budgets between two walls cut: what they have spent there grows with the budget."""
        cut = since < wall
        self.add(question, since[cut], level=start[cut] * share, slope=share)
        self.add(question, wall[cut], level=-start[cut] * share, slope=-share)

    def totals(self) -> dict[str, Floats]:
        """Questions x points."""
        found = {name: sums[:, :-1].cumsum(axis=1) for name, sums in self._sums.items()}
        found["level"] += found.pop("slope") * self.points
        return found


@lru_cache(maxsize=64)
def orders_of(draws: int, orders: int) -> Ints:
    """orders x draws: the order they came in first, then seeded random ones, the same for every trial and database."""
    rest = np.random.default_rng(_SEED).permuted(np.tile(np.arange(draws), (orders - 1, 1)), axis=1)
    return np.concatenate([np.arange(draws)[None, :], rest]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Draws:
    """All trials of some voting conditions, each on its axis."""

    rows: pl.DataFrame
    """Rows of `queries.walks`, with condition_id."""
    questions: pl.DataFrame
    """question_no and cluster, sorted by question_id."""
    ballots: Mapping[Place, Ballot]

    def curve(self, condition_id: str, axis: str, points: Sequence[int] | pl.Series, orders: int) -> pl.DataFrame:
        """Rows as `queries.curves` has them, with `scored`, at `points`; and at each call if they are a curve's own."""
        own = self.rows.filter(condition_id=condition_id)
        asked = self.questions.filter(pl.col("question_no").is_in(own["question_no"].unique().to_list()))
        walks = _walks(own, self.ballots, {no: place for place, no in enumerate(asked["question_no"])})
        calls = own["wall"].to_list() if axis == "calls" and isinstance(points, pl.Series) else []
        at = np.unique(np.array([*points, *calls], np.int64))
        sums = curve(walks, asked["cluster"].to_list(), axis, at, orders)
        return sums.with_columns(condition_id=pl.lit(condition_id))


def _walks(rows: pl.DataFrame, ballots: Mapping[Place, Ballot], questions: Mapping[int, int]) -> list[Walk]:
    found = []
    for key, part in rows.group_by("condition_no", "question_no", "repeat", maintain_order=True):
        condition, question, repeat = (int(number) for number in key)
        ballot = ballots.get((condition, question, repeat))
        whole = ballot is not None and part["kind"].to_list() == [0] + [1] * len(ballot.votes)
        arrays = {name: part[name].to_numpy() for name in part.columns}
        found.append(Walk(questions[question], arrays, ballot if whole else None))
    return found


def curve(walks: Sequence[Walk], clusters: Sequence[str], axis: str, points: Ints, orders: int) -> pl.DataFrame:
    """The sums behind one condition's curve at `points`: columns as `queries.curves`, and `scored`.

    scored: how many runs of their own the trials are worth at most, n / k for one with n draws of which k were read.
    """
    sums = Sums(len(clusters), points)
    for walk in walks:
        _add(sums, walk, axis, orders)
    return _stacked(sums.totals(), clusters, points)


def _add(sums: Sums, walk: Walk, axis: str, orders: int) -> None:
    rows = walk.rows
    whole = rows["kind"] != 2
    walls = rows["wall"][whole]
    sums.add(walk.question, walls, n=rows["n"][whole], n_censored=rows["n_censored"][whole])
    if walk.ballot is None or orders == 1:
        sums.add(walk.question, walls, right=rows["n_right"][whole], level=rows["spent"][whole])
        sums.add_cut(walk.question, rows["since"], rows["wall"], rows["entry"] - rows["entered"], 1.0)
        return
    draws = len(walk.ballot.votes)
    sums.add(walk.question, np.zeros(1), ordered=1.0, drawn=draws)
    if axis == "calls":
        led = _chances(walk.ballot)
        sums.add(walk.question, rows["wall"][1:], right=np.diff(led), level=rows["spent"][1:], covered=1.0)
    else:
        _add_orders(sums, walk, walk.ballot, orders_of(draws, orders))


def _chances(ballot: Ballot) -> Floats:
    """Chance to be right after 0, 1, ... draws, over all orders."""
    led = leading(ballot.counts, sum(vote is None for vote in ballot.votes))
    return sum(
        (table for table, right in zip(led, ballot.right, strict=True) if right), np.zeros(len(ballot.votes) + 1)
    )


def _add_orders(sums: Sums, walk: Walk, ballot: Ballot, orders: Ints) -> None:
    """A draw takes its output with it; what its prompt adds belongs to its place: the first is metered higher."""
    rows = {name: values[1:] for name, values in walk.rows.items()}
    prompt = rows["entered"] - walk.rows["wall"][:-1]
    output, paid = (rows["wall"] - rows["entered"])[orders], (rows["spent"] - rows["entry"])[orders]
    wall = (prompt + output).cumsum(axis=1)
    entered = wall - output
    since = entered + (rows["since"] - rows["entered"])
    share = 1.0 / len(orders)
    changed = np.diff(_right(ballot, orders), axis=1, prepend=0.0)
    sums.add(walk.question, wall, right=changed * share, level=(rows["entry"] + paid) * share, covered=share)
    sums.add_cut(walk.question, since, wall, rows["entry"] - entered, share)


def _right(ballot: Ballot, orders: Ints) -> Floats:
    """orders x draws: whether the leader is right after each; ties go to the answer seen first (`engine.votes`)."""
    votes = np.array([-1 if vote is None else vote for vote in ballot.votes])[orders]
    verdicts = np.array([*ballot.right, False], dtype=np.float64)
    draws, every = votes.shape[1], np.arange(len(votes))
    standing = np.zeros((len(votes), len(verdicts)))
    standing[:, -1] = 0.5
    found = np.zeros(votes.shape)
    for place in range(draws):
        # A vote weighs more than any lead in time: the earlier an answer was first seen, the higher among equals.
        vote = votes[:, place]
        first = standing[every, vote] == 0
        standing[every, vote] += np.where(vote < 0, 0, 1 + first * (draws - place) / (2 * draws))
        found[:, place] = verdicts[standing.argmax(axis=1)]
    return found


def _stacked(totals: Mapping[str, Floats], clusters: Sequence[str], points: Ints) -> pl.DataFrame:
    """Question means over clusters, as `queries.curves` sums them."""
    n = totals["n"]
    k = (n > 0.5).astype(np.float64)
    mean, level = (np.divide(totals[name], n, out=np.zeros_like(n), where=k > 0) for name in ("right", "level"))
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    s, q = (_by_cluster(values, member, len(names)) for values in (mean, k))
    trials, ordered = n.sum(axis=0), totals["ordered"].sum(axis=0)
    worth = totals["drawn"].sum(axis=0) * ordered / np.maximum(totals["covered"].sum(axis=0), np.maximum(ordered, 1.0))
    return pl.DataFrame({
        "budget": points, "n": k.sum(axis=0), "n_trials": trials, "n_censored": totals["n_censored"].sum(axis=0),
        "mean": s.sum(axis=0), "level": level.sum(axis=0), "slope": np.zeros(len(points)), "ss": (s * s).sum(axis=0),
        "sq": (s * q).sum(axis=0), "qq": (q * q).sum(axis=0), "clusters": (q > 0).sum(axis=0).astype(np.float64),
        "scored": trials - ordered + worth,
    })  # fmt: skip


def _by_cluster(values: Floats, member: NDArray[Any], clusters: int) -> Floats:
    sums = np.zeros((clusters, values.shape[1]))
    np.add.at(sums, member, values)
    return sums
