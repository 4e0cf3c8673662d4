"""Votes in every order their draws could have come in: what a question's stored draws say about fewer of them.

First exact means over every choice of k of the n draws; unbiased for k <= n where the n draws are exchangeable, as they
are when all n were drawn whatever they said. Draws that stopped because a vote was settled are not, and must not be
handed in.

Then stored replies read as votes. A trial is only taken whose votes, counted again, leave the very marks that are
stored: then its draws may be counted in any other order too.

At last curves. A trial that drew all its samples has its draws put in seeded random orders, each read out like a run of
its own; on the axis of calls the mean over every order is exact (`leading`). That a trial drew all of them is the same
event in every order, so the mean over orders has the expectation of the one order and less noise. A trial that a wall
closed drew few because its draws were long: which ones it has depends on what they are, so it keeps its one order and
leaves at its horizon, as it does without all this. Asks no model and reads no database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import comb
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.stats import Floats, Ints
from engine.core import answers, codec
from engine.core.answers import Votes
from engine.core.errors import BudgetscopeError
from engine.core.records import AnswerKind, Problem, Question, Which

_KINDS = frozenset(get_args(AnswerKind))
LONGEST_KEPT = 20_000
"""Characters of a text whose answer is remembered."""


def pass_at(n: int, right: int, k: int) -> float:
    """Chance that any of k draws is right (Chen et al. 2021, arXiv 2107.03374, eq. 1)."""
    _check(n, k)
    return 1 - comb(n - right, k) / comb(n, k)


def all_right(n: int, right: int, k: int) -> float:
    """Chance that each of k draws is right ("pass^k": Yao et al. 2024, arXiv 2406.12045)."""
    _check(n, k)
    return comb(right, k) / comb(n, k)


def best_of(scored: Sequence[tuple[float, bool]], k: int) -> float:
    """Chance that the draw of highest score among k is right; of equal scores each is as likely to be taken.

    `scored`: score and whether it is right, one pair a draw. Sorted by score, the i-th from below is the best of
    C(i - 1, k - 1) choices; equal scores share theirs.
    """
    n = len(scored)
    _check(n, k)
    ways = [comb(below, k - 1) for below in range(n)]
    upto = [0, *accumulate(ways)]
    scores = sorted(score for score, _ in scored)
    total = 0.0
    for score, right in scored:
        # Equal scores stand in a row of the sorted list, and share its choices evenly.
        first, last = scores.index(score), n - scores[::-1].index(score)
        total += right * (upto[last] - upto[first]) / (last - first)
    return total / comb(n, k)


def majority(counts: Sequence[int], abstained: int, k: int) -> tuple[float, ...]:
    """Chance of each answer to lead after k draws, by how often each was drawn; what is left is no answer at all.

    `counts` are votes per distinct answer, `abstained` draws without a vote. A tie goes to the answer seen first
    (`answers.Votes`); over all orders every tied answer is as likely to be that one, so ties are split evenly.
    With c_a votes for answer a: sum over t of C(c_a, t) sum over s of W(t, s) / (s + 1) / C(n, k), where W(t, s)
    counts the choices of the other k - t draws in which s other answers have t votes too and none has more.
    """
    n = sum(counts) + abstained
    _check(n, k)
    return tuple(float(table[k]) for table in leading(tuple(counts), abstained))


@lru_cache(maxsize=4096)
def leading(counts: tuple[int, ...], abstained: int) -> tuple[Floats, ...]:
    """Per answer its chance to lead after 0, 1, ..., n draws; see `majority`."""
    n = sum(counts) + abstained
    choices = np.array([float(comb(n, k)) for k in range(n + 1)])
    known: dict[int, Floats] = {}
    for place, count in enumerate(counts):
        # Answers with equally many votes have one chance.
        if count in known:
            continue
        others = (*counts[:place], *counts[place + 1 :])
        led = np.zeros(n + 1)
        for t in range(1, count + 1):
            # Choices by size in which the answer leads with t votes, those with s equals counted 1 / (s + 1).
            ways = np.zeros((n + 1, len(others) + 1))
            ways[0, 0] = 1.0
            for other in others:
                ways = _times(ways, [comb(other, x) for x in range(min(other + 1, t))], comb(other, t), t)
            ways = _times(ways, [comb(abstained, x) for x in range(abstained + 1)], 0, 0)
            shared = ways @ (1 / np.arange(1, len(others) + 2))
            with_t = np.zeros(n + 1)
            with_t[t:] = comb(count, t) * shared[: n + 1 - t]
            led = led + with_t
        known[count] = led
    return tuple(known[count] / choices for count in counts)


def _times(ways: Floats, fewer: Sequence[int], equal: int, t: int) -> Floats:
    """The choices with one more answer in them: x of its votes for each of `fewer`, or t of them, one more equal."""
    product = np.zeros_like(ways)
    for x, factor in enumerate(fewer):
        product[x:] += factor * ways[: len(ways) - x]
    if equal:
        product[t:, 1:] += equal * ways[: len(ways) - t, :-1]
    return product


def _check(n: int, k: int) -> None:
    if not 0 < k <= n:
        raise ValueError(f"k must be from 1 to the {n} draws there are, not {k}")


VOTING = ("self_consistency",)
"""Strategies that draw all their samples whatever these say, each a vote of weight 1."""


Row = Mapping[str, Any]
Place = tuple[int, int, int]
"""Where a trial stands: condition_no, question_no, repeat."""


@dataclass(frozen=True, slots=True)
class Vote:
    """The draws of one trial in the order it made them."""

    votes: tuple[int | None, ...]
    """Per draw its answer, numbered in the order they were first seen; None: no vote."""
    scores: tuple[float, ...]
    """Per answer, from 0, wrong, to 1, right."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Votes per answer."""
        return tuple(sum(vote == answer for vote in self.votes) for answer in range(len(self.scores)))


def votes_by_trial(draws: Iterable[Row], marks: Iterable[Row]) -> dict[Place, Vote]:
    """By (condition_no, question_no, repeat), the ballots of trials that drew all they could and count as stored.

    `draws` and `marks` are rows of `listings.draws` and `listings.marks`, in order.
    """
    grouped = _grouped(marks)
    # How good an answer is: as some mark says, else by the task's scorer.
    known: dict[tuple[int, str], float | None] = {
        (mark["question_no"], mark["answer"]): mark["score"] or 0.0 for group in grouped.values() for mark in group
    }
    votes = {place: _vote(rows, grouped.get(place, []), known) for place, rows in _grouped(draws).items()}
    return {place: vote for place, vote in votes.items() if vote is not None}


def _vote(rows: Sequence[Row], marks: Sequence[Row], known: dict[tuple[int, str], float | None]) -> Vote | None:
    """None for a trial that drew fewer than it could, or whose votes cannot be told or judged."""
    if len(rows) != json.loads(rows[0]["params"]).get("samples") or any(row["text"] is None for row in rows):
        return None
    options, statement = codec.reading(rows[0]["data"])
    given = [
        None
        if row["cut"] or row["finish"] == "filter"
        else answers.extract(row["text"], row["answer_kind"], statement=statement, options=options)
        for row in rows
    ]
    # The marks that counting these answers in this order leaves: they must be those that are stored.
    count, left = Votes(), list[tuple[int, str]]()
    for place, answer in enumerate(given, start=1):
        count.add(answer)
        if count.leader is not None and (not left or left[-1][1] != count.leader):
            left.append((place, count.leader))
    if left != [(mark["after_calls"], mark["answer"]) for mark in marks]:
        return None
    # By the form votes are counted in; judged in the form that was seen first, as the run itself would.
    keys = [None if answer is None else answers.vote_key(answer) for answer in given]
    first: dict[str, str] = {}
    for key, answer in zip(keys, given, strict=True):
        if key is not None and answer is not None:
            first.setdefault(key, answer)
    scores: list[float] = []
    for answer in first.values():
        score = score_of(rows[0], answer, known)
        if score is None:
            return None
        scores.append(score)
    order = list(first)
    return Vote(tuple(None if key is None else order.index(key) for key in keys), tuple(scores))


def score_of(row: Row, answer: str, known: dict[tuple[int, str], float | None]) -> float | None:
    """The score of an answer to the question of a row of `listings.draws`: as some mark says, else by the task's
    scorer, which is remembered in `known`; None: nobody here knows the task."""
    at = row["question_no"], answer
    if at not in known:
        options, statement = codec.reading(row["data"])
        problem = Problem(row["question"], kind_of(row), context=row["context"], options=options, statement=statement)
        question = Question(row["question_id"], row["task"], problem, row["target"], row["category"], row["data"])
        known[at] = _scored(question, answer)
    return known[at]


def answer_of(row: Row, text: str) -> str | None:
    """The answer that a text states to the question of such a row; None: none."""
    options, statement = codec.reading(row["data"])
    # A thousand texts of a megabyte are not to be kept.
    read = _read if len(text) <= LONGEST_KEPT else _read.__wrapped__
    return read(text, kind_of(row), statement, options)


def kind_of(row: Row) -> AnswerKind:
    """How answers to the question of such a row look."""
    # A newer version may have stored a kind that this one does not know.
    kind: AnswerKind = row["answer_kind"] if row["answer_kind"] in _KINDS else "text"
    return kind


@lru_cache(maxsize=20_000)
def _read(text: str, kind: AnswerKind, statement: Which, options: tuple[str, ...]) -> str | None:
    # Kept: every look at the same database reads the same replies.
    return answers.extract(text, kind, statement=statement, options=options)


@lru_cache(maxsize=20_000)
def _scored(question: Question, answer: str) -> float | None:
    # Kept: every look at the same database judges the same answers.
    task = task_of(question.task)
    return None if task is None else min(1.0, max(0.0, float(task.score(answer, question))))


@lru_cache(maxsize=64)
def task_of(name: str) -> Any:
    """The task of this name; None: nobody here knows it, so its answers cannot be judged."""
    from engine.tasks import open_task
    from engine.tasks.scoring import is_scorer, named_as_scorer
    from engine.tasks.task import TaskSpec

    try:
        file, _, scorer = name.rpartition("+")
        # What a judge says is known of answers it was asked about; a scorer that nobody brought is known of none, and
        # being equal to the target would be another.
        if file and is_scorer(scorer):
            return open_task(TaskSpec(file, scorer=scorer))
        return None if file and named_as_scorer(scorer) else open_task(TaskSpec(name))
    except BudgetscopeError:
        return None


def _grouped(rows: Iterable[Row]) -> dict[Place, list[Row]]:
    groups: dict[Place, list[Row]] = {}
    for row in rows:
        groups.setdefault((row["condition_no"], row["question_no"], row["repeat"]), []).append(row)
    return groups


Rows = Mapping[str, NDArray[Any]]
_SEED = 20260301  # fixed, so that a curve is the same whenever it is read
_SUMS = ("n", "score", "n_partly", "n_censored", "level", "slope", "ordered", "drawn", "covered")


@dataclass(frozen=True, slots=True)
class Walk:
    """One trial on one axis, step by step."""

    question: int
    rows: Rows
    """Columns of `queries.walks`."""
    ballot: Vote | None
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

    def add_cuts(self, question: int, rows: Rows, share: float) -> None:
        """Calls that budgets between two walls cut: what they have spent there grows with the budget, up to a bend at
        one rate and then at another."""
        since, bend, wall = (np.where(rows["since"] < rows["wall"], rows[n], 0) for n in ("since", "bend", "wall"))
        turn = np.clip(bend, since, wall)
        for first, last, paid, slope in (
            (since, turn, rows["entry"], rows["steep"]),
            (turn, wall, rows["entry"] + rows["thought"], rows["slope"]),
        ):
            cut = first < last
            level, rise = ((paid - rows["entered"] * slope) * share)[cut], slope[cut] * share
            self.add(question, first[cut], level=level, slope=rise)
            self.add(question, last[cut], level=-level, slope=-rise)

    def totals(self) -> dict[str, Floats]:
        """Questions x points."""
        # The last column takes what lies above all points.
        totals = {name: sums[:, :-1].cumsum(axis=1) for name, sums in self._sums.items()}
        totals["level"] += totals.pop("slope") * self.points
        return totals


@lru_cache(maxsize=64)
def orders_of(draws: int, orders: int) -> Ints:
    """orders x draws: the order they came in first, then seeded random ones, the same for every trial and database."""
    rest = np.random.default_rng(_SEED).permuted(np.tile(np.arange(draws), (orders - 1, 1)), axis=1)
    return np.concatenate([np.arange(draws)[None, :], rest]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class VotingTrials:
    """All trials of some voting conditions, each on its axis."""

    rows: pl.DataFrame
    """Rows of `queries.walks`, with condition_id."""
    questions: pl.DataFrame
    """question_no and cluster, sorted by question_id."""
    ballots: Mapping[Place, Vote]

    def curve(self, condition_id: str, axis: str, points: Sequence[int] | pl.Series, orders: int) -> pl.DataFrame:
        """Rows as `queries.curves` has them, with `scored`, at `points`; and at each call if they are a curve's own."""
        own = self.rows.filter(condition_id=condition_id)
        questions = self.questions.filter(pl.col("question_no").is_in(own["question_no"].unique().to_list()))
        numbers = {no: place for place, no in enumerate(questions["question_no"])}
        walks: list[Walk] = []
        for key, part in own.group_by("condition_no", "question_no", "repeat", maintain_order=True):
            condition, question, repeat = (int(number) for number in key)
            ballot = self.ballots.get((condition, question, repeat))
            # Whole calls alone: one that a wall cut is no draw that could come in another place.
            whole = ballot is not None and part["kind"].to_list() == [0] + [1] * len(ballot.votes)
            arrays = {name: part[name].to_numpy() for name in part.columns}
            walks.append(Walk(numbers[question], arrays, ballot if whole else None))
        calls = own["wall"].to_list() if axis == "calls" and isinstance(points, pl.Series) else []
        at = np.unique(np.array([*points, *calls], np.int64))
        sums = curve(walks, questions["cluster"].to_list(), axis, at, orders)
        return sums.with_columns(condition_id=pl.lit(condition_id))


def curve(walks: Sequence[Walk], clusters: Sequence[str], axis: str, points: Ints, orders: int) -> pl.DataFrame:
    """The sums behind one condition's curve at `points`: columns as `queries.curves`, and `scored`.

    scored: how many runs of their own the trials are worth at most, n / k for one with n draws of which k were read.
    """
    sums = Sums(len(clusters), points)
    for walk in walks:
        rows, whole = walk.rows, walk.rows["kind"] != 2
        walls = rows["wall"][whole]
        counts = {name: rows[name][whole] for name in ("n", "n_partly", "n_censored")}
        sums.add(walk.question, walls, **counts)
        if walk.ballot is None or orders == 1:
            sums.add(walk.question, walls, score=rows["score"][whole], level=rows["spent"][whole])
            sums.add_cuts(walk.question, rows, 1.0)
            continue
        votes, scores = walk.ballot.votes, walk.ballot.scores
        sums.add(walk.question, np.zeros(1), ordered=1.0, drawn=len(votes))
        if axis == "calls":
            # A draw costs one call whatever it says, so the mean over all orders is exact.
            tables = leading(walk.ballot.counts, sum(vote is None for vote in votes))
            chances = sum(
                (t * score for t, score in zip(tables, scores, strict=True) if score), np.zeros(len(votes) + 1)
            )
            sums.add(walk.question, rows["wall"][1:], score=np.diff(chances), level=rows["spent"][1:], covered=1.0)
        else:
            _add_orders(sums, walk, walk.ballot, orders_of(len(votes), orders))

    totals = sums.totals()
    n = totals["n"]
    k = (n > 0.5).astype(np.float64)
    mean, level = (np.divide(totals[name], n, out=np.zeros_like(n), where=k > 0) for name in ("score", "level"))
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    s, q = (np.zeros((len(names), len(points))) for _ in range(2))
    # add.at and no fancy assignment: several questions of one cluster add up.
    np.add.at(s, member, mean)
    np.add.at(q, member, k)
    trials, ordered = n.sum(axis=0), totals["ordered"].sum(axis=0)
    # n / k runs of its own is what a trial with n draws is worth where k of them were read.
    worth = totals["drawn"].sum(axis=0) * ordered / np.maximum(totals["covered"].sum(axis=0), np.maximum(ordered, 1.0))
    return pl.DataFrame(
        {
            "budget": points,
            "n": k.sum(axis=0),
            "n_trials": trials,
            "n_censored": totals["n_censored"].sum(axis=0),
            "mean": s.sum(axis=0),
            "level": level.sum(axis=0),
            "slope": np.zeros(len(points)),
            "ss": (s * s).sum(axis=0),
            "sq": (s * q).sum(axis=0),
            "qq": (q * q).sum(axis=0),
            "clusters": (q > 0).sum(axis=0).astype(np.float64),
            "n_partly": totals["n_partly"].sum(axis=0),
            "scored": trials - ordered + worth,
        }
    )


def _add_orders(sums: Sums, walk: Walk, ballot: Vote, orders: Ints) -> None:
    """A draw takes its output with it; what its prompt adds belongs to its place: the first is metered higher."""
    rows = {name: values[1:] for name, values in walk.rows.items()}
    prompt = rows["entered"] - walk.rows["wall"][:-1]
    output, paid = (rows["wall"] - rows["entered"])[orders], (rows["spent"] - rows["entry"])[orders]
    wall = (prompt + output).cumsum(axis=1)
    entered = wall - output
    share = 1.0 / len(orders)
    changed = np.diff(_led(ballot, orders), axis=1, prepend=0.0)
    sums.add(walk.question, wall, score=changed * share, level=(rows["entry"] + paid) * share, covered=share)
    cut = {name: rows[name][orders] for name in ("slope", "steep", "thought")}
    cut |= {"entry": np.broadcast_to(rows["entry"], wall.shape), "entered": entered, "wall": wall}
    cut |= {
        "since": entered + (rows["since"] - rows["entered"]),
        "bend": entered + (rows["bend"] - rows["entered"])[orders],
    }
    sums.add_cuts(walk.question, cut, share)


def _led(ballot: Vote, orders: Ints) -> Floats:
    """orders x draws: the score of the leader after each; ties go to the answer seen first, as `Votes` has it."""
    votes = np.array([-1 if vote is None else vote for vote in ballot.votes])[orders]
    scores = np.array([*ballot.scores, 0.0])
    draws, every = votes.shape[1], np.arange(len(votes))
    standing = np.zeros((len(votes), len(scores)))
    # The last column is nobody: it leads until there is a vote, and a draw without one adds nothing to it.
    standing[:, -1] = 0.5
    led = np.zeros(votes.shape)
    for place in range(draws):
        # A vote weighs more than any lead in time: the earlier an answer was first seen, the higher among equals.
        vote = votes[:, place]
        first = standing[every, vote] == 0
        standing[every, vote] += np.where(vote < 0, 0, 1 + first * (draws - place) / (2 * draws))
        led[:, place] = scores[standing.argmax(axis=1)]
    return led
