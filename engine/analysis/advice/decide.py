"""What to use: a decision with a bound on what it may lose, not a verdict of significance.

Of the settings a reader accepts (spend at most, reach at least) the pick is the cheapest whose mean accuracy is within
a margin of the highest there. How far it may be behind the best of them in truth is bounded from above, jointly over
all rivals. Owns the rule and the sentences it is told in; reads no database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
import polars as pl

from engine.analysis import stats
from engine.analysis.advice.board import BEST, Board, cell_of
from engine.analysis.compare import Cell
from engine.analysis.frontier import far_behind, flags, tails
from engine.analysis.stats import LEVEL, Estimate
from engine.core import text

MARGIN = 0.03
"""Accuracy that is given away for a lower spend unless the reader says otherwise, as a share."""
RECOMMENDED, CLOSE, BETTER, WORSE = "recommended", "too close to call", "better, costs more", "less accurate"
OVER, UNDER = "over the spend", "under the accuracy"
ORDER = (RECOMMENDED, BETTER, CLOSE, WORSE, OVER, UNDER)
"""Verdicts of points beside the pick, in the order tables have them."""
MOST_WORDS = 18
"""Of a heading."""
WORTH = 20
"""So many times the questions asked so far are no advice any more."""
PARTS = {
    2: "half",
    3: "a third",
    4: "a quarter",
    5: "a fifth",
    6: "a sixth",
    8: "an eighth",
    10: "a tenth",
    20: "a twentieth",
    50: "a fiftieth",
    100: "a hundredth",
}
AXES = {
    "output_tokens": "output tokens",
    "total_tokens": "tokens",
    "input_tokens": "input tokens",
    "reasoning_tokens": "reasoning tokens",
    "calls": "calls",
    "usd": "cost",
    "wh": "energy",
    "latency_ms": "time",
}
"""What is spent, as the heading says it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to use, how sure that is, and how it is said."""

    heading: str
    """The finding about all settings, at most 18 words."""
    lead: str
    """What to do: `Use Self-consistency ×12 up to 256 tokens`; where nothing is accepted, that and why."""
    rest: str
    """What it gets, what it may lose, what else would cost; empty where there is nothing to say."""
    n: int
    """Questions all settings are held against each other on."""
    cell: Cell | None = None
    """The pick; None: nothing is accepted, or nothing is known."""
    accuracy: Estimate | None = None
    """Of the pick, a share, with its 95% interval."""
    regret: float | None = None
    """How far the pick is behind the highest accuracy in the accepted corner, as measured; a share."""
    bound: float | None = None
    """Upper 95% end of that, for the true accuracies: joint over all rivals; a share."""
    more_questions: int | None = None
    """How many more questions would tell the pick from its nearest rival with 80% chance, if the truth is what was
    seen; None: none is too close to call, or nothing would."""
    verdicts: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False, repr=False)
    """One row per point, recommended first: condition_id, axis, budget, x (mean spend a question), accuracy, behind
    (the pick's accuracy minus its own, a share), behind_low and behind_high (95% interval), equivalent (its 90%
    interval lies within the margin), verdict (`ORDER`)."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Accuracy of a rival minus the pick's, on their questions."""

    mean: float
    rival_only: float
    pick_only: float
    pairs: float
    """Independent pairs of right-or-wrong answers that would vary as much."""

    @classmethod
    def of(cls, board: Board, rival: int, pick: int) -> _Gap:
        """From sums per text, so that repeats and doubles of a question count as what they are worth."""
        sums, counts = board.sums.of["accuracy"], board.sums.n
        n = float(counts[pick].sum())
        apart = sums[rival] - sums[pick]
        ahead, behind = float(np.maximum(apart, 0).sum()), float(np.maximum(-apart, 0).sum())
        mean = (ahead - behind) / n
        # The variance of a mean over clusters, against that of so many independent pairs.
        own = float(((apart - mean * counts[pick]) ** 2).sum()) / n**2
        plain = ((ahead + behind) / n - mean**2) / n
        pairs = n * plain / own if own > 1e-12 and plain > 0 else float(board.clusters)
        return cls(mean, ahead / n * pairs, behind / n * pairs, pairs)

    def interval(self, level: float) -> tuple[float, float]:
        """Score interval of the difference."""
        return stats.tango(self.rival_only, self.pick_only, self.pairs, level)

    @property
    def discordance(self) -> float:
        """Share of pairs that differ."""
        return (self.rival_only + self.pick_only) / self.pairs


def decide(
    board: Board, *, spend_at_most: float | None = None, reach_at_least: float | None = None, margin: float = MARGIN
) -> Decision:
    """The cheapest setting of the accepted corner within `margin` of the highest accuracy there.

    `spend_at_most`: mean spend a question in the unit of `board.x`; `reach_at_least` and `margin` are shares; None: no
    such limit.
    """
    x, accuracy = board.point.x[0], board.point.accuracy[0]
    over = x > math.inf if spend_at_most is None else x > spend_at_most * (1 + 1e-9)
    under = accuracy < 0 if reach_at_least is None else accuracy < reach_at_least - 1e-9
    corner = [int(cell) for cell in np.flatnonzero(~over & ~under)]
    heading = _heading(board)
    if not corner:
        nearest = _nearest(board, over, under)
        verdicts = _table(board, nearest, over, under, margin)
        return replace(_nothing(board, nearest, spend_at_most, reach_at_least, heading), verdicts=verdicts)
    highest = float(accuracy[corner].max())
    # The board is sorted by spend, and of equal spends the less accurate comes first.
    within = [cell for cell in corner if accuracy[cell] >= highest - margin - 1e-9]
    pick = max((cell for cell in within if x[cell] == x[within[0]]), key=lambda cell: accuracy[cell])
    bound = regret_bound(board, pick, [cell for cell in corner if cell != pick])
    row, z = board.row(pick), stats.z_of(LEVEL)
    estimate = Estimate(float(accuracy[pick]), *board.interval(pick, z))
    table = _table(board, pick, over, under, margin)
    lead = f"Use {row['name']} {text.up_to(row['budget'], row['axis'])}"
    best = min((cell for cell in corner if accuracy[cell] == highest), key=lambda cell: x[cell])
    more, rival = _rival(board, pick, [cell for cell in corner if accuracy[cell] > accuracy[pick]] or corner)
    sentences = [_gets(board, pick, estimate, bound, best, alone=len(corner) == 1)]
    if rival is not None and more is not None:
        sentences.append(f"Too close to call with {_called(board, rival)}: {_about(more)} more questions would tell.")
    regret = highest - float(accuracy[pick])
    said = " ".join(sentences)
    return Decision(heading, lead, said, board.n, cell_of(row), estimate, regret, bound, more, table)


def regret_bound(board: Board, pick: int, rivals: list[int]) -> float:
    """Upper 95% end of how far a pick is behind the truly best of its rivals; a share, 0 without rivals.

    Simultaneous over the rivals (max-t over the joint bootstrap of their leads), so it holds whichever is best; each
    bound is a score bound, which holds where few questions or none tell two settings apart. The pick was chosen for
    being ahead in the same answers, so each takes half of the doubt. Rivals far behind do not widen it (Hansen 2005,
    J. Business & Economic Statistics 23:365).
    """
    if not rivals:
        return 0.0
    gaps = [_Gap.of(board, rival, pick) for rival in rivals]
    leads = board.drawn.accuracy[:, rivals] - board.drawn.accuracy[:, [pick]]
    off = leads - np.array([gap.mean for gap in gaps])
    spread = off.std(axis=0)
    _, widening = tails(board.clusters, BEST)
    varies = spread > 1e-9
    scores = np.array([gap.mean for gap in gaps]) / np.where(varies, spread, math.inf)
    candidates = varies & (scores >= far_behind(board.clusters, BEST))
    least = NormalDist().inv_cdf(BEST)
    critical = least
    if candidates.any():
        critical = max(least, float(np.quantile((-off[:, candidates] / spread[candidates]).max(axis=1), BEST)))
    if not math.isfinite(widening):
        return 1.0
    level = 2 * NormalDist().cdf(critical * widening) - 1
    return max(0.0, *(gap.interval(min(level, 1 - 1e-9))[1] for gap in gaps))


def _table(board: Board, pick: int, over: stats.Flags, under: stats.Flags, margin: float) -> pl.DataFrame:
    """Every point beside the pick; see `Decision.verdicts`."""
    rows = []
    for cell in range(board.frame.height):
        gap = _Gap.of(board, cell, pick)
        low, high = (0.0, 0.0) if cell == pick else gap.interval(LEVEL)
        tight = (0.0, 0.0) if cell == pick else gap.interval(0.90)
        verdict = CLOSE if low <= 0 <= high else BETTER if low > 0 else WORSE
        if over[cell] or under[cell]:
            verdict = OVER if over[cell] else UNDER
        elif cell == pick:
            verdict = RECOMMENDED
        rows.append((-gap.mean, -high, -low, -margin <= tight[0] and tight[1] <= margin, verdict))
    names = {"behind": pl.Float64, "behind_low": pl.Float64, "behind_high": pl.Float64, "equivalent": pl.Boolean}
    told = pl.DataFrame(rows, schema=names | {"verdict": pl.Enum(ORDER)}, orient="row")
    whole = pl.concat([board.frame.select("condition_id", "axis", "budget", "x", "accuracy"), told], how="horizontal")
    return whole.sort("verdict", "x").with_columns(pl.col("verdict").cast(pl.String))


def _rival(board: Board, pick: int, cells: list[int]) -> tuple[int | None, int | None]:
    """The most accurate of some points whose difference to the pick is open, and how many questions would settle it."""
    accuracy = board.point.accuracy[0]
    for cell in sorted(cells, key=lambda cell: -accuracy[cell]):
        gap = _Gap.of(board, cell, pick)
        low, high = gap.interval(LEVEL)
        if cell != pick and low <= 0 <= high and abs(gap.mean) > 1e-9:
            needed = stats.questions_needed(gap.mean, gap.discordance)
            if needed is not None and gap.pairs < needed <= WORTH * gap.pairs:
                return math.ceil(needed * board.n / gap.pairs) - board.n, cell
    return None, None


def _nearest(board: Board, over: stats.Flags, under: stats.Flags) -> int:
    """What comes closest where nothing is accepted: the best within the spend, else the cheapest accurate one, else the
    cheapest of all."""
    accuracy = board.point.accuracy[0]
    if (~over).any():
        return int(np.argmax(np.where(over, -1.0, accuracy)))
    return int(np.flatnonzero(~under)[0]) if (~under).any() else 0


def _nothing(board: Board, nearest: int, most: float | None, least: float | None, heading: str) -> Decision:
    limits = [f"reaches {text.accuracy(least, 0)}"] if least is not None else []
    limits += [f"within {text.spend(most, board.x)}"] if most is not None else []
    lead = f"Nothing {' '.join(limits)}" if least is not None else f"Nothing stays {' '.join(limits)}"
    estimate = Estimate(float(board.point.accuracy[0][nearest]), *board.interval(nearest, stats.z_of(LEVEL)))
    rest = f"the nearest is {_called(board, nearest)}, {_share(board, nearest, estimate)} for {_spend(board, nearest)}."
    return Decision(heading, lead, rest, board.n)


def _gets(board: Board, pick: int, estimate: Estimate, bound: float, best: int, *, alone: bool) -> str:
    """`65% (52–76) for 199 output tokens. At most 4 points below the best (95%), which costs 11% more.`"""
    start = f"{_share(board, pick, estimate)} for {_spend(board, pick)}"
    if alone:
        return f"{start}, the only point within these limits."
    loss = f"At most {max(1, math.ceil(100 * bound - 1e-6))} points below the best (95%)"
    ratio = float(board.point.x[0][best] / board.point.x[0][pick]) if board.point.x[0][pick] > 0 else math.inf
    if best == pick or not math.isfinite(ratio):
        return f"{start}, the most accurate here. {loss}."
    dearer = f"costs {text.number(round(100 * (ratio - 1)))}% more" if ratio < 2 else f"costs ×{text.number(ratio)}"
    name = text.up_to(board.row(best)["budget"], board.row(best)["axis"])
    if board.row(best)["name"] != board.row(pick)["name"]:
        name = _called(board, best)
    return f"{start}. {loss}; {name} gets {text.accuracy(float(board.point.accuracy[0][best]), board.n)} and {dearer}."


def _heading(board: Board) -> str:
    """The finding: who is most accurate, and what the cheap choice gives."""
    x, accuracy = board.point.x[0], board.point.accuracy[0]
    top = int(np.lexsort((x, -accuracy))[0])
    names, n = board.frame["name"].to_list(), board.n
    won = text.accuracy(float(accuracy[top]), n)
    if accuracy[top] <= 0:
        return "No setting answered a question right here"
    if len(set(names)) == 1:
        return f"{names[top]} gets {won} for {_spend(board, top)}; there is nothing to compare it with yet"
    front = [int(cell) for cell in np.flatnonzero(flags(x[None], accuracy[None])[0]) if names[cell] != names[top]]
    plain = f"{names[top]} is most accurate, {won} for {_spend(board, top)}"
    cheap = [cell for cell in front if 0 < x[cell] <= x[top] * 0.67]
    if not cheap:
        return plain if len(plain.split()) <= MOST_WORDS else f"{won} is the most any setting gets here"
    # Of the cheapest setting on the frontier, where it is best.
    low = max((cell for cell in cheap if names[cell] == names[cheap[0]]), key=lambda cell: accuracy[cell])
    if _Gap.of(board, top, low).interval(LEVEL)[0] <= 0:
        words = f"No setting is measurably better than {names[low]}, {_short(board, low)} for {_spend(board, low)}"
        return words if len(words.split()) <= MOST_WORDS else f"No setting is measurably better than {names[low]}"
    part = min(PARTS, key=lambda parts: abs(math.log(float(x[top] / x[low]) / parts)))
    ratio = "under a hundredth" if x[top] / x[low] > 150 else PARTS[part]
    cheaper = f"{names[low]} gets {_short(board, low)} for {ratio} of the {AXES[board.x]}"
    words = f"{names[top]} is most accurate, {won}; {cheaper}"
    return words if len(words.split()) <= MOST_WORDS else plain


def _called(board: Board, cell: int) -> str:
    row = board.row(cell)
    return f"{row['name']} {text.up_to(row['budget'], row['axis'])}"


def _short(board: Board, cell: int) -> str:
    return text.accuracy(float(board.point.accuracy[0][cell]), board.n)


def _share(board: Board, cell: int, estimate: Estimate) -> str:
    n = board.row(cell)["n_questions"]
    ends = text.interval(estimate.low, estimate.high, lambda share: text.accuracy(share, n))
    return f"{text.accuracy(estimate.mean, n)} {ends}"


def _spend(board: Board, cell: int) -> str:
    """`199 output tokens`, `$0.023 per 1,000 questions`."""
    value = float(board.point.x[0][cell])
    if board.x == "usd":
        return f"{text.money(1000 * value)} per 1,000 questions"
    return text.spend(round(value) if value >= 10 else value, board.x)


def _about(n: int) -> str:
    """A count of questions nobody takes for exact."""
    size = 10 ** max(0, len(str(n)) - 2)
    return f"about {text.count(-(-n // size) * size)}"
