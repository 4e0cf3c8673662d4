"""How far models went beyond what was reserved for their calls, and how much more is reserved for them since.

Owns the factors and nothing else: what was billed beyond a reservation is the ceiling's to book.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from engine.budget import Amount
from engine.records import Attempt


@dataclass(frozen=True, slots=True)
class Factor:
    """What a model's worst case is multiplied with; 1 while it keeps to its caps."""

    tokens: Fraction = Fraction(1)
    pusd: Fraction = Fraction(1)


class Overruns:
    """By model: the worst it made of a reservation in this run, earlier sessions included."""

    def __init__(self, past: Iterable[Attempt] = ()) -> None:
        self._factors: dict[str, Factor] = {}
        self._restore([attempt for attempt in past if attempt.outcome == "ok"])

    def widened(self, model: str, worst: Amount) -> Amount:
        """The worst case a model was seen to be capable of; no fraction of a token or pico-dollar is left out."""
        factor = self._factors.get(model)
        if factor is None:
            return worst
        return replace(worst, tokens=_times(worst.tokens, factor.tokens), pusd=_times(worst.pusd, factor.pusd))

    def saw(self, model: str, worst: Amount, billed: Amount) -> None:
        """Remember what a call was billed, whose worst case by the cap it was given was `worst`."""
        self._raise(model, Factor(_over(billed.tokens, worst.tokens), _over(billed.pusd, worst.pusd)))

    def _raise(self, model: str, seen: Factor) -> None:
        known = self._factors.get(model, Factor())
        worst = Factor(max(known.tokens, seen.tokens), max(known.pusd, seen.pusd))
        if worst != Factor():
            self._factors[model] = worst

    def _restore(self, past: list[Attempt]) -> None:
        """Attempts know their widened reservation alone: it held the factor of the replies that had come by then."""
        begun: dict[int, Factor] = {}
        starts = [(attempt.started_at, n) for n, attempt in enumerate(past)]
        ends = [
            (attempt.started_at + timedelta(milliseconds=attempt.latency_ms + 1), n) for n, attempt in enumerate(past)
        ]
        for _, n in sorted([*starts, *ends]):
            if n in begun:
                self._raise(past[n].model, _seen(past[n], begun[n]))
            else:
                begun[n] = self._factors.get(past[n].model, Factor())


def _seen(attempt: Attempt, before: Factor) -> Factor:
    """The factor an attempt would have needed, given the one it was reserved with."""
    tokens = _over(attempt.charged_tokens, attempt.reserved_tokens)
    pusd = _over(attempt.charged_pusd or 0, attempt.reserved_pusd or 0)
    return Factor(before.tokens * tokens, before.pusd * pusd)


def _over(billed: int, reserved: int) -> Fraction:
    return Fraction(billed, reserved) if reserved and billed > reserved else Fraction(1)


def _times(value: int, factor: Fraction) -> int:
    return -(-value * factor.numerator // factor.denominator)
