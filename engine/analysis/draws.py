"""What a question's stored draws say about fewer draws: exact means over every choice of k of the n, in any order.

Pure numbers in, pure numbers out. Unbiased for k <= n where the n draws are exchangeable, as they are when all n were
drawn whatever they said; draws that stopped because a vote was settled are not, and must not be handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
        first, last = scores.index(score), n - scores[::-1].index(score)
        total += right * (upto[last] - upto[first]) / (last - first)
    return total / comb(n, k)


def majority(counts: Sequence[int], abstained: int, k: int) -> tuple[float, ...]:
    """Chance of each answer to lead after k draws, by how often each was drawn; what is left is no answer at all.

    `counts` are votes per distinct answer, `abstained` draws without a vote. A tie goes to the answer seen first
    (`engine.votes`); over all orders every tied answer is as likely to be that one, so ties are split evenly.
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
        if count not in known:
            others = (*counts[:place], *counts[place + 1 :])
            known[count] = sum((_with(t, count, others, abstained, n) for t in range(1, count + 1)), np.zeros(n + 1))
    return tuple(known[count] / choices for count in counts)


def _with(t: int, count: int, others: Sequence[int], abstained: int, n: int) -> Floats:
    """Choices by size in which an answer leads with t votes, those with s equals counted 1 / (s + 1)."""
    ways = np.zeros((n + 1, len(others) + 1))
    ways[0, 0] = 1.0
    for other in others:
        ways = _times(ways, [comb(other, x) for x in range(min(other + 1, t))], comb(other, t), t)
    ways = _times(ways, [comb(abstained, x) for x in range(abstained + 1)], 0, 0)
    shared = ways @ (1 / np.arange(1, len(others) + 2))
    led = np.zeros(n + 1)
    led[t:] = comb(count, t) * shared[: n + 1 - t]
    return led


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
