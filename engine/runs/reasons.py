"""Why trials failed: sentences that differ in their numbers alone count as one, and the commonest come first.

Pure; a sentence is one a user can act on, as the place that failed wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHOWN = 3
"""Reasons that are told; the rest is counted."""
LONGEST = 300
"""Characters of one reason."""
MOST = 50
"""Different reasons that are kept apart."""
OTHER = "for other reasons"


def grouped(failures: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    """Counts by reason, commonest first, of (reason, count); of sentences that are alike the first is kept."""
    firsts: dict[str, str] = {}
    counts: dict[str, int] = {}
    for sentence, count in failures:
        reason = (sentence or "no reason was given").strip()[:LONGEST]
        alike = re.sub(r"\d+", "#", reason)
        if alike not in firsts and len(firsts) >= MOST:
            reason = alike = OTHER
        reason = firsts.setdefault(alike, reason)
        counts[reason] = counts.get(reason, 0) + count
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


def said(counts: Mapping[str, int], shown: int = SHOWN) -> str:
    """The first reasons with their counts: '40 x: ...; 2 x: ...; 3 for other reasons'; empty when nothing failed."""
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    parts = [f"{count:,} x: {reason.rstrip('.')}" for reason, count in ordered[:shown]]
    if rest := sum(count for _, count in ordered[shown:]):
        parts.append(f"{rest:,} {OTHER}")
    return "; ".join(parts)
