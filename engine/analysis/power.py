"""What a number of questions can show: the smallest difference it would find, and how many would find this one.

Pure numbers in, pure numbers out. The test behind it is McNemar's on paired right-or-wrong answers; `discordance` is
the share of questions on which the two settings differ.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from engine.analysis.stats import LEVEL, z_of

POWER = 0.8
"""Chance to find a difference of that size."""


def questions_needed(gap: float, discordance: float, power: float = POWER, level: float = LEVEL) -> float | None:
    """Pairs that find a true difference `gap` with this chance (Connor 1987, Biometrics 43:207); None for no gap.

    A discordance below the gap is impossible and read as the gap.
    """
    size = min(1.0, abs(gap))
    if size < 1e-12:
        return None
    psi = min(1.0, max(discordance, size))
    root = z_of(level) * math.sqrt(psi) + _quantile(power) * math.sqrt(max(0.0, psi - size**2))
    return (root / size) ** 2


def detectable(n: float, discordance: float, power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest true difference `n` pairs find with this chance; None: more than the discordance allows, or n is 0.

    Where nothing differs the discordance is not 0 but unknown: callers give a share above 0.
    """
    psi = min(1.0, discordance)
    most = questions_needed(psi, psi, power, level)
    if n <= 0 or most is None or n < most:
        return None
    low, high = 0.0, psi
    for _ in range(60):
        middle = (low + high) / 2
        needed = questions_needed(middle, psi, power, level)
        low, high = (low, middle) if needed is not None and needed <= n else (middle, high)
    return high


def sure_of_share(share: float, least: float, critical: float, power: float = POWER) -> float | None:
    """Independent questions that show a true `share` to be at least `least`, by the score test; None if it is not.

    `critical` is the normal quantile the test must pass, larger where the best of several settings is picked.
    """
    gap = share - least
    if gap < 1e-12:
        return None
    root = critical * math.sqrt(least * (1 - least)) + _quantile(power) * math.sqrt(max(0.0, share * (1 - share)))
    return (root / gap) ** 2


def _quantile(power: float) -> float:
    return NormalDist().inv_cdf(power)
