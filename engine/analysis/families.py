"""Many comparisons at once: p-values corrected for their number. Pure numbers in, pure numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.errors import UnknownName

Correction = Literal["holm", "bh"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh")
"""holm: the chance of any false finding is kept; bh: the expected share of false ones among the findings."""


def adjusted(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Adjusted p-values in the given order: below 0.05 means found, with all comparisons counted.

    Holm 1979 (any dependence); Benjamini & Hochberg 1995 (independent or positively dependent). Raises UnknownName.
    """
    if correction not in CORRECTIONS:
        raise UnknownName("correction", correction, CORRECTIONS)
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    ranked = [p_values[at] for at in order]
    found = _holm(ranked) if correction == "holm" else _bh(ranked)
    return [value for _, value in sorted(zip(order, found, strict=True))]


def _holm(ranked: Sequence[float]) -> list[float]:
    found, least = [], 0.0
    for rank, p in enumerate(ranked):
        least = max(least, min(1.0, (len(ranked) - rank) * p))
        found.append(least)
    return found


def _bh(ranked: Sequence[float]) -> list[float]:
    found, most = [], 1.0
    for rank in range(len(ranked), 0, -1):
        most = min(most, ranked[rank - 1] * len(ranked) / rank)
        found.append(most)
    return found[::-1]
