"""Votes: a plurality over answers of equal value, ties to the answer seen first."""

from __future__ import annotations

from collections import defaultdict
from math import comb

from engine.core.answers.comparison import vote_key

FAR = 64
"""So many equal votes ahead make any majority as good as certain."""


class Votes:
    """A ballot of extracted answers; a reply without an answer casts no vote."""

    def __init__(self) -> None:
        self._weights: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._spelled: dict[str, str] = {}

    def add(self, answer: str | None, weight: float = 1.0) -> None:
        """Cast one vote of this weight; None abstains."""
        if answer is None:
            return
        key = vote_key(answer)
        # Shown and scored as it was first spelled: keys are for comparing, and a scorer may want the original.
        self._spelled.setdefault(key, answer)
        self._weights[key] += weight
        self._counts[key] += 1

    @property
    def leader(self) -> str | None:
        """The answer with most weight, as it was first spelled; None: nobody voted yet."""
        if not self._weights:
            return None
        # max() keeps the first of equals, and dicts the order of votes: a tie goes to the answer seen first.
        return self._spelled[max(self._weights, key=lambda key: self._weights[key])]

    @property
    def agreement(self) -> float:
        """The leader's share of the votes cast, from 0 (nobody voted) to 1."""
        cast = sum(self._counts.values())
        return max(self._counts.values(), default=0) / cast if cast else 0.0

    @property
    def p_majority(self) -> float:
        """Probability that the leader beats the runner-up for ever: the Beta rule of adaptive consistency
        (Aggarwal et al. 2023, arXiv 2305.11860), exact."""
        first, second = self._two()
        return beta_rule(first, second)

    def due(self, confidence: float) -> int:
        """Least further votes after which `p_majority` can reach `confidence`: so many are certain to be drawn."""
        first, second = self._two()
        return next((n for n in range(1, FAR) if beta_rule(first + n, second) >= confidence), FAR)

    def _two(self) -> tuple[int, int]:
        counts = sorted((*self._counts.values(), 0, 0), reverse=True)
        return counts[0], counts[1]


def beta_rule(first: int, second: int) -> float:
    """P(theta > 1/2) for theta ~ Beta(first + 1, second + 1), by its binomial sum."""
    tosses = first + second + 1
    return sum(comb(tosses, k) for k in range(first + 1)) / (1 << tosses)
