"""Who is asked on in an adaptive study: settings whose place is open, none that is surely beaten at all its budgets.

Successive elimination (Even-Dar, Mannor & Mansour 2006, JMLR 7:1079) of strategies × models over the points of a
frontier. A budget of a setting is settled where another point surely costs no more and is surely more accurate, or
surely not less accurate by more than the study's goal (by more than `TIED`, where the point is surely out of the
running). A setting is dropped once all its budgets are settled by points
that are not. What is recommended is the cheapest point whose regret, its distance from the most accurate point there
is, is surely within the goal. All of it holds at every look together (`sequential`, union over comparisons): whichever
point is truly best, with 95% chance it is never wrongly beaten and no bound on a regret ever fails; and any other point
is wrongly called dominated with a chance of at most 5%. Pure numbers; reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.analysis.sequential import gap_highs, spend_highs
from engine.analysis.stats import Floats

BEST_DOUBT, LINK_DOUBT, SPEND_DOUBT = 0.03, 0.01, 0.01
"""What may go wrong, in all 5%: with the rivals of the truly best point; with the links of a chain of points that beat
each other, after the first; with who costs less."""
SOUND = 0.95
"""A point with a smaller share of the questions it was asked scored, as calls failed, settles nothing and is settled by
nothing."""
TIED = 0.10
"""What a point that is surely further from the best than the goal, so that no recommendation hangs on it, may be better
than a cheaper one of which it was not `AHEAD` so far."""
AHEAD = 0.02
"""A lead that chance makes, in accuracy: where two differ by at most `TIED` for sure, what was measured of it has a
standard error about as large. Without it two that are alike wait for whichever chance has put ahead."""
DOMINATED, NO_BETTER = "dominated", "costs more, no better"


@dataclass(frozen=True, slots=True)
class Points:
    """Every setting at every budget on one task, as far as it was asked; arrays are points x questions."""

    settings: tuple[int, ...]
    """By point the strategy × model it is of."""
    budgets: tuple[int, ...]
    scores: Floats
    """0 to 1, in the study's order of questions; NaN: not asked, or failed."""
    spends: Floats
    """On the study's axis; NaN where the score is."""
    asked: tuple[int, ...]
    """By point how many of the first questions it was asked."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A point whose place is settled."""

    verdict: str
    """DOMINATED or NO_BETTER."""
    by: int
    """The point that costs no more."""
    high: float
    """How much more accurate than that one it may be at most; a share, below 0 where it is dominated."""
    out: bool
    """Whether it is surely not the most accurate point there is, so that no regret is owed to it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look at a task decides."""

    settled: Mapping[int, Settled]
    """Points of settings that are still asked, whose place is settled by now."""
    dropped: frozenset[int]
    """Settings that are asked no further from here on."""
    pick: int | None
    """The recommended point; None: none has enough questions scored."""
    bound: float
    """How far it is behind the most accurate point at most; a share. 1: nothing is known."""
    reached: bool
    """Whether that is within the goal."""


def judge(points: Points, before: Mapping[int, Settled], goal: float, free: frozenset[int] = frozenset()) -> Judgement:
    """One look. `before`: the points of settings dropped earlier, as they were settled; `goal`: the regret asked for, a
    share; `free`: settings that cost nothing beside those asked on, which are not dropped."""
    count = len(points.settings)
    rivals = max(1, count - 1)
    best, links = gap_highs(points.scores, (BEST_DOUBT / rivals, LINK_DOUBT / (count * rivals)))
    dearer = spend_highs(points.spends, SPEND_DOUBT / rivals)
    scored = (~np.isnan(points.scores)).sum(axis=1)
    sound = [n > 0 and n >= SOUND * asked for n, asked in zip(scored.tolist(), points.asked, strict=True)]
    accuracy, spend = (_means(values, scored) for values in (points.scores, points.spends))
    order = sorted(
        (point for point in range(count) if point not in before),
        key=lambda point: (spend[point], -accuracy[point], points.budgets[point], point),
    )
    lowest = {point: float(best[point][sound].min()) for point in order if sound[point]}
    # Those that may still be recommended.
    running = [point for point, low in lowest.items() if low >= -goal]
    settled: dict[int, Settled] = {}
    standing: list[int] = []
    for point in order:
        if not sound[point]:
            continue
        tolerance = goal
        if point not in running:
            tolerance = TIED
        elif lowest[point] >= 0 and any(best[point, other] > goal for other in running if other != point):
            # It may be the best, and then whatever is recommended has to be near it: what it is near to now is not all.
            tolerance = -1.0

        def beats(by: int, point: int = point, tolerance: float = tolerance) -> bool:
            high = best[point, by]
            near = high <= (tolerance if accuracy[point] - accuracy[by] <= AHEAD else min(goal, tolerance))
            return bool(dearer[by, point] <= 0 and near)

        # Those before it in the order alone may settle it, so that no two settle each other.
        if ahead := [by for by in standing if beats(by)]:
            by = ahead[int(np.argmin(best[point, ahead]))]
            high = float(best[point, by])
            settled[point] = Settled(DOMINATED if high < 0 else NO_BETTER, by, high, lowest[point] < 0)
        else:
            standing.append(point)
    live = {points.settings[point] for point in order}
    beaten = live - {points.settings[point] for point in order if point not in settled} - free

    def behind(point: int, of: int, bounds: Floats) -> float:
        """How much more accurate a point may be than another: by their own answers, or along what settled it."""
        if point == of:
            return 0.0
        direct = float(bounds[point, of])
        if point not in before:
            return direct
        by = before[point].by
        return min(direct, float(bounds[point, by]) + behind(by, of, links))

    owed = [other for other in range(count) if not (other in before and before[other].out)]
    regrets = {point: max(0.0, *(behind(other, point, best) for other in owed)) for point in order if sound[point]}
    if not regrets:
        return Judgement(settled, frozenset(beaten), None, 1.0, False)
    within = [point for point in order if regrets.get(point, math.inf) <= goal]
    # As long as none is, the one that would be taken by what was measured.
    top = max(accuracy[point] for point in regrets)
    likely = [point for point in order if point in regrets and accuracy[point] >= top - goal - 1e-9]
    pick = (within or likely)[0]
    return Judgement(settled, frozenset(beaten), pick, regrets[pick], bool(within))


def _means(values: Floats, counts: np.ndarray) -> list[float]:
    means: list[float] = (np.nansum(values, axis=1) / np.maximum(counts, 1)).tolist()
    return means
