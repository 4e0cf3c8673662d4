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
from numpy.typing import NDArray

from engine.analysis import stats
from engine.analysis.advice.board import Board, cell_of
from engine.analysis.cells import side_by_side
from engine.analysis.frontier import far_behind, flags, tails
from engine.analysis.pairs.compare import Cell
from engine.analysis.stats import LEVEL, Estimate, Flags, Floats
from engine.core import text
from engine.core.errors import UsageError

MARGIN = 0.03
"""Accuracy that is given away for a lower spend unless the reader says otherwise, as a share."""
RECOMMENDED, CLOSE, NO_BETTER = "recommended", "too close to call", "costs more, no better"
BETTER, WORSE, NEVER = "measurably better, costs more", "less accurate", "never right"
OVER, UNDER = "spends too much", "not accurate enough"
ORDER = (RECOMMENDED, BETTER, CLOSE, NO_BETTER, WORSE, NEVER, OVER, UNDER)
"""Verdicts of points beside the pick, in the order tables have them."""
SCHEMA = {
    **dict.fromkeys(("condition_id", "axis"), pl.String),
    "budget": pl.Int64,
    **dict.fromkeys(("x", "accuracy", "regret", "regret_high", "behind", "behind_low", "behind_high"), pl.Float64),
    "equivalent": pl.Boolean,
    "verdict": pl.String,
}
"""Columns of `Decision.verdicts`."""
EQUIVALENT = 0.90
"""Confidence of the interval that has to lie within the margin: two one-sided tests at 5% each (Schuirmann 1987)."""
MOST_WORDS = 18
"""Of a heading."""
WORTH = 20
"""So many times the questions asked so far are no advice any more."""
PARTS = {
    1.5: "two thirds",
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
    "cached_tokens": "cached tokens",
    "calls": "calls",
    "usd": "cost",
    "wh": "energy",
    "latency_ms": "time",
}
"""What is spent, as the heading says it."""
HARDLY_MORE = 1.25
"""Of two cheap settings whose spends differ by less, a heading names the better one."""
_EVEN = 1e-9


@dataclass(frozen=True, slots=True)
class Decision:
    """What to use, how sure that is, and how it is said."""

    heading: str
    """The finding about all settings, at most 18 words."""
    lead: str
    """What to do: `Use Self-consistency ×12 up to 256 tokens`; where nothing is accepted or right, that and why."""
    rest: str
    """What it gets, what it may lose, what else would cost; empty where there is nothing to say."""
    n: int
    """Questions all settings are held against each other on; 0: nothing is known."""
    cell: Cell | None = None
    """The pick; None: nothing is accepted, nothing accepted is ever right, or nothing is known."""
    accuracy: Estimate | None = None
    """Of the pick, a share, with its 95% interval; None without a pick."""
    regret: float | None = None
    """How far the pick is behind the highest accuracy in the accepted corner, as measured; a share, 0: nothing there is
    more accurate; None without a pick."""
    bound: float | None = None
    """Upper 95% end of that, for the true accuracies: joint over all rivals; a share, 0: there is no rival; None
    without a pick."""
    more_questions: int | None = None
    """How many more questions would tell the pick from its nearest rival with 80% chance, if the truth is what was
    seen; None: none is too close to call, or nothing would."""
    verdicts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA), compare=False, repr=False)
    """One row per point of the board, recommended first, columns `SCHEMA`: condition_id, axis, budget; x, mean spend a
    question in the axis' unit; accuracy, a share; regret and regret_high as `regret` and `bound` would be with this
    point as the pick, null outside the corner, the bound null too where it is surely less accurate; behind (accuracy of
    the pick minus its own, on the questions both have) with the ends of its 95% interval; equivalent (its 90% interval
    lies within the margin); verdict, one of `ORDER`, of which better and less
    accurate hold for all points together. Where nothing is accepted the nearest stands for the pick. Points
    equal to the pick in spend and every answer are recommended with it, for they are the same."""

    @property
    def sentence(self) -> str:
        """What to do and what it gets, in one line."""
        return f"{self.lead}: {self.rest}" if self.rest else f"{self.lead}."


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Accuracy of every point minus that of one, on the questions both have; arrays over the board."""

    mean: Floats
    ahead: Floats
    """Independent pairs in which the other alone is right."""
    behind: Floats
    """Those in which the one alone is."""
    pairs: Floats
    """Independent pairs of right-or-wrong answers that would vary as much; 0: no question is shared."""
    same: Flags
    """Equal in spend and in every answer, so that the difference is none."""
    spread: Floats
    """Standard error of a difference where scores lie between 0 and 1, so that no pair just flips; 0 elsewhere."""

    @classmethod
    def over(cls, board: Board, one: int) -> _Gaps:
        """Of all points, over one."""
        return cls._of(board, one, np.arange(board.frame.height))

    @classmethod
    def between(cls, board: Board, cells: list[int]) -> _Gaps:
        """Of some points over each of them: square arrays, a row for each one."""
        each = [cls._of(board, one, np.array(cells)) for one in cells]
        names = ("mean", "ahead", "behind", "pairs", "same", "spread")
        return cls(*(np.stack([getattr(gaps, name) for gaps in each]) for name in names))

    @classmethod
    def _of(cls, board: Board, one: int, others: NDArray[np.intp]) -> _Gaps:
        # From sums per text, so that repeats and doubles of a question count as what they are worth.
        accuracy = board.sums.of["accuracy"]
        sums, counts, own, asked = accuracy[others], board.sums.n[others], accuracy[one], board.sums.n[one]
        weight = np.minimum(counts, asked)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.where(weight > 0, (sums / counts - own / asked) * weight, 0.0)
            n = weight.sum(axis=1)
            ahead, behind = np.maximum(apart, 0).sum(axis=1) / n, np.maximum(-apart, 0).sum(axis=1) / n
            mean = np.where(n > 0, ahead - behind, 0.0)
            # The variance of a mean over clusters, against that of so many independent pairs.
            clustered = ((apart - mean[:, None] * weight) ** 2).sum(axis=1) / n**2
            plain = (ahead + behind - mean**2) / n
            pairs = np.where((clustered > 1e-12) & (plain > 0), n * plain / clustered, (weight > 0).sum(axis=1))
        same = (sums == own).all(axis=1) & (counts == asked).all(axis=1)
        x = board.point.x[0]
        ahead, behind = np.where(n > 0, ahead * pairs, 0.0), np.where(n > 0, behind * pairs, 0.0)
        between = (board.frame["n_partly"] > 0).to_numpy()
        graded = (between[others] | between[one]) & (n > 0)
        # Nobody asks it of the others, and each number of clusters is a quantile of Student's t.
        widening = _widening(np.where(graded, (weight > 0).sum(axis=1), 0))
        spread = np.where(graded, np.sqrt(np.nan_to_num(clustered)) * widening, 0.0)
        return cls(mean, ahead, behind, pairs, same & (x[others] == x[one]), spread)

    def high(self, z: float) -> Floats:
        """Upper ends of the differences; 1 where no question is shared, 0 where nothing can differ."""
        ends = stats.tango_high(self.ahead, self.behind, np.maximum(self.pairs, _EVEN), z)
        # As the percentiles of the paired bootstrap have it, whose draws `_critical` reads for all rivals at once.
        ends = np.where(self.spread > 0, np.minimum(1.0, self.mean + z * self.spread), ends)
        return np.where(self.same, 0.0, np.where(self.pairs > 0, ends, 1.0))

    def low(self, z: float) -> Floats:
        """Lower ends."""
        return -replace(self, mean=-self.mean, ahead=self.behind, behind=self.ahead).high(z)


def _widening(clusters: NDArray[np.intp]) -> Floats:
    """What a standard error over few clusters lacks: the factor of its variance, and Student's t instead of z."""
    known, place = np.unique(clusters, return_inverse=True)
    factors = [
        math.sqrt(k / (k - 1)) * stats.t_quantile(LEVEL, k - 1) / stats.z_of(LEVEL) if k > 1 else 0.0
        for k in known.tolist()
    ]
    widening: Floats = np.array(factors)[place.reshape(clusters.shape)]
    return widening


def decide(
    board: Board, *, spend_at_most: float | None = None, reach_at_least: float | None = None, margin: float = MARGIN
) -> Decision:
    """The cheapest setting of the accepted corner within `margin` of the highest accuracy there.

    `spend_at_most`: mean spend a question in the unit of `board.x`; `reach_at_least` and `margin` are shares; None: no
    such limit. Raises UsageError for a limit that is none.
    """
    if spend_at_most is not None and not spend_at_most >= 0:
        raise UsageError(f"A spend is a number from 0 on, not {spend_at_most:g}.")
    for share, what in ((reach_at_least, "An accuracy to reach"), (margin, "A margin")):
        if share is not None and not 0 <= share <= 1:
            raise UsageError(f"{what} is a share between 0 and 1, not {share:g}.")
    x, accuracy = board.point.x[0], board.point.accuracy[0]
    over = x > math.inf if spend_at_most is None else x > spend_at_most * (1 + _EVEN)
    under = accuracy < 0 if reach_at_least is None else accuracy < reach_at_least - _EVEN
    corner = [int(cell) for cell in np.flatnonzero(~over & ~under)]
    heading = _heading(board)
    if not corner or accuracy[corner].max() <= 0:
        nearest = _nearest(board, over)
        gaps, z = _Gaps.over(board, nearest), stats.z_of(LEVEL)
        ends, surely = ((gaps.low(at), gaps.high(at)) for at in (z, _beside(board, nearest)))
        table = _table(board, nearest, gaps, ends, surely, over, under, margin, {}, {})
        if corner:
            # Nothing accepted is ever right, so the cheapest is no advice and there is no call to make.
            accepted = ~pl.col("verdict").is_in([OVER, UNDER])
            table = table.with_columns(pl.when(accepted).then(pl.lit(NEVER)).otherwise("verdict").alias("verdict"))
            lead, rest = _never_right(board, spend_at_most, reach_at_least)
        else:
            lead, rest = _nothing(board, nearest, over, under, spend_at_most, reach_at_least)
        return Decision(heading, lead, rest, board.n, verdicts=table)
    highest = float(accuracy[corner].max())
    budgets = board.frame["budget"].to_list()
    # Of points equal in both the smallest budget, which names them.
    pick = min(
        (cell for cell in corner if accuracy[cell] >= highest - margin - _EVEN),
        key=lambda cell: (x[cell], -accuracy[cell], budgets[cell]),
    )
    gaps, z = _Gaps.over(board, pick), stats.z_of(LEVEL)
    low, high = gaps.low(z), gaps.high(z)
    sure = _beside(board, pick)
    surely = gaps.low(sure), gaps.high(sure)
    bounds = _bounds(board, pick, gaps, surely[1], corner, margin)
    regrets = {cell: highest - float(accuracy[cell]) for cell in corner}
    table = _table(board, pick, gaps, (low, high), surely, over, under, margin, regrets, bounds)
    row = board.row(pick)
    estimate = Estimate(float(accuracy[pick]), *board.interval(pick, z))
    best = min((cell for cell in corner if accuracy[cell] == highest), key=lambda cell: (x[cell], budgets[cell]))
    sentences = [_gets(board, pick, estimate, bounds[pick], best, corner), *_guessed(board, pick, estimate)]
    more, rivals = _open(board, gaps, pick, [cell for cell in corner if surely[0][cell] <= 0 <= surely[1][cell]])
    if more is not None:
        others = f" and {text.plural(len(rivals) - 1, 'other point')}" if len(rivals) > 1 else ""
        told = f"{_about(more)} more questions would tell{' it apart' if others else ''}"
        sentences.append(f"Too close to call with {_called(board, rivals[0])}{others}: {told}.")
    lead = f"Use {_called(board, pick)}"
    return Decision(
        *(heading, lead, " ".join(sentences), board.n, cell_of(row)),
        *(estimate, regrets[pick], bounds[pick], more, table),
    )


def unknown(cells: pl.DataFrame, x: str) -> Decision:
    """Where no point can be judged: what is missing, and what would help. `cells`: columns of `Results.cells`."""
    what = AXES.get(x, x.replace("_", " "))
    full = cells.filter(side_by_side(cells))
    if cells.is_empty():
        return Decision("There is no setting to choose from here", "Run a study, or choose another", "", 0)
    unscored = cells["accuracy"].null_count() == cells.height
    # What nobody knows the price or the size of is read at no budget in them, however much is answered.
    unread = unscored and x in ("usd", "wh") and bool(cells["n_censored"].sum())
    if unscored and not unread:
        # A setting that was read at several budgets failed once.
        failed = int(cells.group_by("condition_id").agg(pl.col("n_failed").max())["n_failed"].sum())
        if failed:
            heading, lead = f"No answer is scored here: {text.count(failed)} failed", "Read why in the answers"
            return Decision(heading, lead, "then resume the run, which asks them again.", 0)
        return Decision("No answer has been scored here yet", "Run a study, or choose another", "", 0)
    if full.is_empty() and not unread:
        row = cells.sort(pl.col("n_questions") / pl.col("n_planned"), descending=True).row(0, named=True)
        asked = f"{text.count(row['n_questions'])} of {text.plural(row['n_planned'], 'question')}"
        rest = f"the fullest setting has answered {asked}; a comparison needs 95%."
        lead = "Let the run finish"
        if row["n_failed"]:
            lead, rest = "Resume the run", f"{text.count(row['n_failed'])} failed and are asked again; {rest}"
        return Decision("Too few questions are answered so far to compare settings", lead, rest, 0)
    instead = "output tokens" if x != "output_tokens" else "calls"
    heading = f"The {what} of these settings {'are' if what.endswith('s') else 'is'} not known"
    return Decision(heading, f"Weigh accuracy against {instead}", "those are known.", 0)


def _bounds(board: Board, pick: int, gaps: _Gaps, high: Floats, corner: list[int], margin: float) -> dict[int, float]:
    """Upper 95% ends of how far points are behind the truly best of the corner, as shares: of the pick, and of those of
    the corner that are not surely less accurate; 0 without rivals.

    Each is the largest of the rivals' upper ends at a quantile (`_critical`) at which all hold together, so it covers
    whichever is best. These are score bounds (Tango), exact where no question tells two settings apart.
    """
    if len(corner) == 1:
        return {pick: 0.0}
    critical, accuracy = _critical(board, pick, corner, margin), board.point.accuracy[0]
    if not math.isfinite(critical):
        return dict.fromkeys(corner, 1.0)
    rivals = [cell for cell in corner if high[cell] >= 0]
    ends = _Gaps.between(board, rivals).high(critical).max(axis=1)
    # Never under what was seen.
    bounds = dict(zip(rivals, np.maximum(ends, accuracy[rivals].max() - accuracy[rivals]).tolist(), strict=True))
    # A rival that is surely behind the pick alone may not be surely behind together with all others.
    return bounds | {pick: max(bounds[pick], float(gaps.high(critical)[corner].max()))}


def _critical(board: Board, pick: int, corner: list[int], margin: float) -> float:
    """The quantile at which the bounds on all rivals hold together with 95% confidence; infinite for one cluster.

    What can go wrong is that the truly best was unlucky beside the pick: so one-sided deviations from one control, as
    in multiple comparisons with the best (Hsu 1984, Annals of Statistics 12:1136), which hold for whichever is picked.
    Their largest, studentised, comes from the joint bootstrap, so settings that answer alike add little and identical
    ones nothing. The control is the pick, and then the best seen; the larger quantile counts. Rivals far behind do not
    widen it (Hansen 2005, J. Business & Economic Statistics 23:365).
    """
    _, widening = tails(board.clusters, LEVEL)
    if not math.isfinite(widening):
        return widening
    accuracy = board.point.accuracy[0][corner]
    off = np.nan_to_num(board.drawn.accuracy[:, corner] - accuracy)
    critical = NormalDist().inv_cdf(LEVEL)
    for control, luck in ((corner.index(pick), -1.0), (int(np.argmax(accuracy)), 1.0)):
        deviations = luck * (off - off[:, [control]])
        spread = np.sqrt(np.maximum((deviations**2).mean(axis=0) - deviations.mean(axis=0) ** 2, 0.0))
        near = (spread > _EVEN) & (accuracy - accuracy[control] + margin >= far_behind(board.clusters) * spread)
        if near.any():
            largest = (deviations[:, near] / spread[near]).max(axis=1)
            critical = max(critical, float(np.quantile(largest, LEVEL)))
    return critical * widening


def _beside(board: Board, pick: int) -> float:
    """The quantile beyond which a difference from the pick is no luck, whichever point it is of, with 95% confidence.

    The largest studentised deviation of all points beside it in the joint bootstrap, two-sided (Dunnett's; Westfall &
    Young 1993), so settings that answer alike add little."""
    drawn, point = board.drawn.accuracy, board.point.accuracy[0]
    apart = np.nan_to_num(drawn - point) - np.nan_to_num(drawn[:, [pick]] - point[pick])
    spread = apart.std(axis=0)
    differ = spread > _EVEN
    usual = stats.z_of(LEVEL)
    if differ.sum() < 2 or board.clusters < 2:
        return usual
    largest = (np.abs(apart[:, differ]) / spread[differ]).max(axis=1)
    return max(usual, float(np.quantile(largest, LEVEL)) * tails(board.clusters, LEVEL)[1])


def _table(
    board: Board,
    pick: int,
    gaps: _Gaps,
    ends: tuple[Floats, Floats],
    surely: tuple[Floats, Floats],
    over: Flags,
    under: Flags,
    margin: float,
    regrets: dict[int, float],
    bounds: dict[int, float],
) -> pl.DataFrame:
    """Every point beside the pick; see `Decision.verdicts`."""
    (low, high), tight = ends, stats.z_of(EQUIVALENT)
    alike = (gaps.low(tight) >= -margin) & (gaps.high(tight) <= margin)
    rows = []
    for cell, point in enumerate(board.frame.select("condition_id", "axis", "budget", "x", "accuracy").iter_rows()):
        if over[cell] or under[cell]:
            verdict = OVER if over[cell] else UNDER
        elif gaps.same[cell]:
            verdict = RECOMMENDED
        elif surely[0][cell] > 0 or surely[1][cell] < 0:
            verdict = BETTER if surely[0][cell] > 0 else WORSE
        else:
            dearer = board.point.x[0][cell] > board.point.x[0][pick]
            verdict = NO_BETTER if dearer and high[cell] <= margin else CLOSE
        # Zero is added, or a negative one would be written with its sign.
        behind = (float(0.0 - each[cell]) + 0.0 for each in (gaps.mean, high, low))
        rows.append((*point, regrets.get(cell), bounds.get(cell), *behind, bool(alike[cell]), verdict))
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    rank, own = table["verdict"].cast(pl.Enum(ORDER)), pl.int_range(pl.len()) != pick
    return table.sort(rank, own, "x", "budget", maintain_order=True)


def _open(board: Board, gaps: _Gaps, pick: int, cells: list[int]) -> tuple[int | None, list[int]]:
    """How many more questions would tell the pick from the rival nearest to being better; the rivals that are open,
    that one first. Those more accurate come before those that are not; None and no rivals: no number would do."""
    accuracy, x = board.point.accuracy[0], board.point.x[0]
    rivals = [cell for cell in cells if not gaps.same[cell]]
    # The same setting at the same spend is one point, however many budgets have it.
    rivals = [*{(accuracy[cell], x[cell]): cell for cell in reversed(rivals)}.values()]
    rivals.sort(key=lambda cell: (-accuracy[cell], x[cell]))
    if any(accuracy[cell] > accuracy[pick] for cell in rivals):
        rivals = [cell for cell in rivals if accuracy[cell] > accuracy[pick]]
    for at, cell in enumerate(rivals):
        if abs(gaps.mean[cell]) > _EVEN and gaps.pairs[cell] > 1:
            discordance = float((gaps.ahead[cell] + gaps.behind[cell]) / gaps.pairs[cell])
            needed = stats.questions_needed(float(gaps.mean[cell]), discordance)
            if needed is not None and gaps.pairs[cell] < needed <= WORTH * gaps.pairs[cell]:
                return math.ceil(needed * board.n / gaps.pairs[cell]) - board.n, [cell, *rivals[:at], *rivals[at + 1 :]]
    return None, []


def _nearest(board: Board, over: Flags) -> int:
    """What comes closest where nothing is accepted: the best within the spend, else the cheapest of all."""
    accuracy = board.point.accuracy[0]
    # The board is sorted by spend, so of equals the cheapest comes first.
    return int(np.argmax(np.where(over, -1.0, accuracy))) if (~over).any() else 0


def _nothing(
    board: Board, nearest: int, over: Flags, under: Flags, most: float | None, least: float | None
) -> tuple[str, str]:
    limit = f" within {_amount(most, board.x)}" if most is not None else ""
    lead = f"Nothing stays{limit}" if least is None else f"Nothing reaches {text.accuracy(least, 0)}{limit}"
    estimate = Estimate(float(board.point.accuracy[0][nearest]), *board.interval(nearest, stats.z_of(LEVEL)))
    rest = f"the nearest is {_called(board, nearest)}, {_share(board, nearest, estimate)} for {_spend(board, nearest)}"
    if least is not None and most is not None and (~under).any():
        cheapest = int(np.flatnonzero(~under)[0])
        if cheapest != nearest:
            rest += f"; the cheapest that reaches it is {_called(board, cheapest)}, for {_spend(board, cheapest)}"
    return lead, f"{rest}."


def _never_right(board: Board, most: float | None, least: float | None) -> tuple[str, str]:
    where = "here" if most is None and not least else "within these limits"
    asked = "the one question" if board.n == 1 else f"one of {text.count(board.n)} questions"
    return "Use none of these", f"nothing {where} got {asked} right. Read the answers to see why."


def _gets(board: Board, pick: int, estimate: Estimate, bound: float, best: int, corner: list[int]) -> str:
    """`65% (52–76) for 199 output tokens. At most 4 points below the best (95%); up to 512 tokens gets 67% and costs
    11% more.`"""
    start = f"{_share(board, pick, estimate)} for {_spend(board, pick)}"
    if len(corner) == 1:
        return f"{start}, the only point {'there is' if board.frame.height == 1 else 'within these limits'}."
    points = text.plural(max(1, math.ceil(100 * bound - 1e-6)), "point")
    accuracy, x = board.point.accuracy[0], board.point.x[0]
    if accuracy[best] <= accuracy[pick] + _EVEN:
        return f"{start}, the most accurate here. Another may be better by at most {points} (95%)."
    name = text.up_to(board.row(best)["budget"], board.row(best)["axis"])
    if board.row(best)["name"] != board.row(pick)["name"]:
        name = _called(board, best)
    gets = f"{name} gets {_short(board, best)}"
    if x[pick] > 0:
        more = float(x[best] / x[pick])
        percent = f"{text.percent(more - 1)}".replace(".0%", "%") if more < 1.01 else f"{round(100 * (more - 1))}%"
        gets += f" and costs {percent} more" if more < 2 else f" and costs ×{text.number(more)}"
    else:
        gets += f" for {_spend(board, best)}"
    return f"{start}. At most {points} below the best (95%); {gets}."


def _guessed(board: Board, pick: int, estimate: Estimate) -> list[str]:
    """That the pick is not surely better than who does not read the questions; nothing where it is."""
    guess = board.row(pick).get("guess")
    if guess is None or (estimate.low or 0.0) > guess:
        return []
    share = text.accuracy(guess, board.row(pick)["n_questions"])
    if (estimate.mean or 0.0) <= guess:
        return [f"One fixed answer to all gets {share} for nothing."]
    return [f"Not surely better than one fixed answer to all, {share}."]


def _heading(board: Board) -> str:
    """The finding: who is most accurate, and what the cheap choice gives."""
    x, accuracy = board.point.x[0], board.point.accuracy[0]
    top = int(np.lexsort((x, -accuracy))[0])
    names = board.frame["name"].to_list()
    won = _short(board, top)
    if accuracy[top] <= 0:
        return "No setting answered a question right here"
    spent = f"{won} for {_spend(board, top)}"
    # The cheapest of several that get the same is not more accurate than they are.
    level = {name for name, share in zip(names, accuracy.tolist(), strict=True) if share >= accuracy[top] - _EVEN}
    leads = f"{names[top]} is {'most accurate' if len(level) == 1 else 'as accurate as any'}"
    plain = [f"{leads}, {spent}", f"{spent} is the most any setting gets here"]
    if len(set(names)) == 1:
        alone = "there is nothing to compare it with yet"
        return _first_short(f"{names[top]} gets {spent}; {alone}", f"It gets {spent}; {alone}")
    front = [int(cell) for cell in np.flatnonzero(flags(x[None], accuracy[None])[0]) if names[cell] != names[top]]
    cheap = [cell for cell in front if 0 < x[cell] <= x[top] * 0.67]
    if not cheap:
        return _first_short(*plain)
    # The cheapest setting that gets half of it, where it is best, or a better one that costs hardly more; where none
    # does, the best of the cheap ones.
    half = [cell for cell in cheap if accuracy[cell] >= accuracy[top] / 2]
    half = [cell for cell in half if x[cell] <= HARDLY_MORE * x[half[0]]]
    first = names[max(half or cheap, key=lambda cell: accuracy[cell])]
    low = max((cell for cell in cheap if names[cell] == first), key=lambda cell: (accuracy[cell], -x[cell]))
    part = min(PARTS, key=lambda parts: abs(math.log(float(x[top] / x[low]) / parts)))
    ratio = "under a hundredth" if x[top] / x[low] > 150 else PARTS[part]
    least, cheaper = _short(board, low), f"{_short(board, low)} for {ratio} of the {AXES[board.x]}"
    better = _Gaps.over(board, low).low(stats.z_of(LEVEL))
    if better[top] <= 0:
        words = f"No setting is measurably better than {first}"
        spends = f"{least} for {_spend(board, low)}"
        even = [f"{words}, {spends}", words, f"No setting is measurably better than a cheaper one, {spends}"]
        if accuracy[top] - accuracy[low] > MARGIN or better.max() > 0:
            # The advice may well be for the top: a heading that names the cheap one alone would speak against it.
            ahead = f"{names[top]} leads with {won}, not measurably; {first} gets {cheaper}"
            apart = f"{names[top]} {won}, {first} {least}: not measurably apart"
            even = [ahead, apart, *(even if better.max() <= 0 else [plain[0]])]
        return _first_short(*even)
    return _first_short(
        f"{leads}, {won}; {first} gets {cheaper}",
        f"{names[top]} gets {won}; {first} {cheaper}",
        *plain,
    )


def _first_short(*wordings: str) -> str:
    """The first of several wordings that is no longer than a heading may be; names may have any number of words."""
    return next((words for words in wordings if text.words(words) <= MOST_WORDS), wordings[-1])


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
    return _amount(float(board.point.x[0][cell]), board.x)


def _amount(value: float, x: str) -> str:
    """`199 output tokens`, `$0.023 per 1,000 questions`, `free`."""
    if x == "usd":
        return f"{text.money(1000 * value)} per 1,000 questions" if value else "free"
    return text.spend(round(value) if value >= 10 and x != "latency_ms" else value, x)


def _about(n: int) -> str:
    """A count of questions nobody takes for exact."""
    size = 10 ** max(0, len(str(n)) - 2)
    return f"about {text.count(-(-n // size) * size)}"
