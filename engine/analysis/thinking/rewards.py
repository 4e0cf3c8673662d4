"""Length rewards as a lens: what published formulas would have made of the thoughts that are stored.

A formula scores the thoughts of one question together, by their lengths in output tokens and whether they are right;
`FORMULAS` names each with its paper. Nothing is trained here: the lens says which thoughts a formula lifts above the
question's mean and which it presses below, and what a model would spend that gave the best of each question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any

import polars as pl

from engine.analysis.sql.chains import Chain, visible
from engine.core.records import Prompt

LENS_SCHEMA: dict[str, Any] = {
    "formula": pl.String,
    "source": pl.String,
    **dict.fromkeys(("lifted_right", "lifted_wrong"), pl.Float64),
    **dict.fromkeys(("lifted_tokens", "pressed_tokens"), pl.Float64),
    **dict.fromkeys(("best_tokens", "best_accuracy", "mean_tokens", "accuracy"), pl.Float64),
    **dict.fromkeys(("n_thoughts", "n_questions"), pl.Int64),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """A thought as a reward sees it."""

    key: str
    question_id: str
    prompt: Prompt
    text: str
    tokens: int
    """Output tokens as its provider counted them."""
    right: bool


Group = Sequence[Scored]
Formula = Callable[[Group, float], list[float]]
"""Rewards of a question's thoughts, in order; the number is the length that formulas with a target aim at."""


def kimi(group: Group, target: float) -> list[float]:
    """From 0.5 for the shortest to -0.5 for the longest, a wrong one never above 0 (Kimi k1.5, arXiv 2501.12599)."""
    least, most = min(t.tokens for t in group), max(t.tokens for t in group)
    # All of one length: the paper gives nothing to choose by, and neither do we.
    share = [0.5 - (t.tokens - least) / (most - least) if most > least else 0.0 for t in group]
    return [value if t.right else min(0.0, value) for t, value in zip(group, share, strict=True)]


L1_ALPHA = 3e-4


def l1_exact(group: Group, target: float) -> list[float]:
    """Right or not, less the distance from the asked length (L1-Exact, arXiv 2503.04697)."""
    return [t.right - L1_ALPHA * abs(target - t.tokens) for t in group]


def l1_max(group: Group, target: float) -> list[float]:
    """Only right ones, more the further they stay below the asked length (L1-Max, arXiv 2503.04697)."""
    return [t.right * min(1.0, max(0.0, L1_ALPHA * (target - t.tokens) + 0.5)) for t in group]


def o1_pruner(group: Group, target: float) -> list[float]:
    """Mean length over its own less 1, and five times what it is more right than the mean (arXiv 2501.12570).

    The group is its own reference sample."""
    length, accuracy = fmean(t.tokens for t in group), fmean(t.right for t in group)
    return [length / max(1, t.tokens) - 1 + 5 * (t.right - accuracy) for t in group]


def dast(group: Group, target: float) -> list[float]:
    """Against a budget that grows with the question's difficulty; wrong ones gain by thinking on (arXiv 2503.04472)."""
    lengths = [t.tokens for t in group if t.right]
    share = len(lengths) / len(group)
    # The paper's L_budget: what right ones take, as far as the question is solved at all, else the longest.
    budget = share * (fmean(lengths) if lengths else 0.0) + (1 - share) * max(t.tokens for t in group)
    over = [(t.tokens - budget) / max(1.0, budget) for t in group]
    return [
        max(0.5 - 0.5 * by, 0.1) if t.right else min(0.9 * by - 0.1, -0.1) for t, by in zip(group, over, strict=True)
    ]


def arora_zanette(group: Group, target: float) -> list[float]:
    """Right ones, less a tenth of a sigmoid of how long they are among the right (arXiv 2502.04463, alpha 0.1)."""
    lengths = [t.tokens for t in group if t.right]
    mean, spread = (fmean(lengths), pstdev(lengths)) if lengths else (0.0, 0.0)
    # One right thought, or several of one length, has no spread to be measured by.
    by = [(t.tokens - mean) / spread if spread else 0.0 for t in group]
    # Bounded, as exp of a thousand overflows; beyond 50 the sigmoid is 0 or 1 to the last digit anyway.
    return [t.right * (1 - 0.1 / (1 + math.exp(-max(-50.0, min(50.0, z))))) for t, z in zip(group, by, strict=True)]


def tale_pt(group: Group, target: float) -> list[float]:
    """1 for the shortest right thought, which its training takes, and 0 for all others (TALE-PT, arXiv 2412.18547)."""
    best = shortest_right(group)
    return [float(t is best) for t in group]


FORMULAS: Mapping[str, tuple[str, Formula]] = {
    "kimi": ("Kimi k1.5, arXiv 2501.12599", kimi),
    "l1_exact": ("L1-Exact, arXiv 2503.04697", l1_exact),
    "l1_max": ("L1-Max, arXiv 2503.04697", l1_max),
    "o1_pruner": ("O1-Pruner, arXiv 2501.12570", o1_pruner),
    "dast": ("DAST, arXiv 2503.04472", dast),
    "arora_zanette": ("Arora and Zanette, arXiv 2502.04463", arora_zanette),
    "tale_pt": ("TALE-PT's selection, arXiv 2412.18547", tale_pt),
}


def shortest_right(group: Group) -> Scored | None:
    """The right thought with the fewest tokens; None: none is right."""
    return min((t for t in group if t.right), key=lambda t: (t.tokens, t.key), default=None)


def groups(every: Sequence[Chain]) -> list[list[Scored]]:
    """Thoughts by question, with their own answers scored. Raises LookupError where nobody here knows the task."""
    found: dict[str, list[Scored]] = {}
    for chain in visible(every):
        right = (chain.score(chain.answer) or 0.0) >= 1
        scored = Scored(chain.key, chain.question_id, chain.messages, chain.text, chain.output_tokens, right)
        found.setdefault(chain.question_id, []).append(scored)
    return list(found.values())


def target_of(every: Sequence[Group]) -> float:
    """The length that L1's formulas aim at unless told: the median of right thoughts, of all where none is right."""
    right = [t.tokens for group in every for t in group if t.right]
    return float(median(right or [t.tokens for group in every for t in group] or [1]))


def lens(every: Sequence[Group], target: float | None = None) -> pl.DataFrame:
    """One row per formula, columns LENS_SCHEMA, the one whose best thoughts are shortest first.

    lifted_*: share of the right and of the wrong thoughts above their question's mean reward; lifted_tokens and
    pressed_tokens: mean lengths above and below it; best_*: of the best thought of each question, mean over questions;
    null where there is none. Questions whose thoughts all get one reward lift and press nothing."""
    aim = target_of(every) if target is None else target
    thoughts = [t for group in every for t in group]
    rows = []
    for name, (source, formula) in FORMULAS.items():
        lifted: list[Scored] = []
        pressed: list[Scored] = []
        best: list[Scored] = []
        for group in every:
            rewards = formula(group, aim)
            mean = fmean(rewards)
            # A hair above the mean is the mean: sums of floats differ by their order.
            lifted += [t for t, reward in zip(group, rewards, strict=True) if reward > mean + 1e-12]
            pressed += [t for t, reward in zip(group, rewards, strict=True) if reward < mean - 1e-12]
            # Of equal rewards the shorter thought, as a trained model would be pressed to give.
            best.append(max(zip(rewards, group, strict=True), key=lambda each: (each[0], -each[1].tokens))[1])
        rows.append(
            {
                "formula": name,
                "source": source,
                "lifted_right": _share(lifted, thoughts, right=True),
                "lifted_wrong": _share(lifted, thoughts, right=False),
                "lifted_tokens": _mean(t.tokens for t in lifted),
                "pressed_tokens": _mean(t.tokens for t in pressed),
                "best_tokens": _mean(t.tokens for t in best),
                "best_accuracy": _mean(t.right for t in best),
                "mean_tokens": _mean(fmean(t.tokens for t in group) for group in every),
                "accuracy": _mean(fmean(t.right for t in group) for group in every),
                "n_thoughts": len(thoughts),
                "n_questions": len(every),
            }
        )
    return pl.DataFrame(rows, schema=LENS_SCHEMA).sort("best_tokens", "formula", nulls_last=True)


def _mean(values: Any) -> float | None:
    listed = [float(value) for value in values]
    return fmean(listed) if listed else None


def _share(some: Sequence[Scored], of: Sequence[Scored], *, right: bool) -> float | None:
    whole = sum(t.right == right for t in of)
    return sum(t.right == right for t in some) / whole if whole else None
