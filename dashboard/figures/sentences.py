"""The finding and the fine print of a frontier figure, in one sentence each; plain text, singular and plural right."""

from __future__ import annotations

from dashboard import format as fmt
from dashboard.figures.frontier import Counts, FrontierInfo

__all__ = ["caption_sentence", "title_sentence"]


def title_sentence(info: FrontierInfo) -> str:
    """`18 of 30 conditions could be on the frontier; 14 probably are`."""
    counts = info.counts
    if counts.conditions == 0:
        return "No condition to show yet"
    if not counts.judged:
        return f"{_all(counts)}: no verdict yet" if counts.partial else fmt.plural(counts.conditions, "condition")
    if counts.best == 0:
        return f"{fmt.plural(counts.conditions, 'condition')}, and no question answered right"
    if counts.conditions == 1:
        return "One condition: nothing to compare it with yet"
    return f"{fmt.count(counts.could)} of {fmt.plural(counts.conditions, 'condition')} {_finding(counts)}"


def caption_sentence(info: FrontierInfo) -> str:
    """Data set, n, what bar, band and percentage mean, and what is not shown or rests on an assumption."""
    counts, parts = info.counts, []
    if counts.conditions == 0:
        return ""
    parts.append(" and ".join(counts.tasks) if len(counts.tasks) < 3 else fmt.plural(len(counts.tasks), "task"))
    parts.append(_questions(counts))
    band = ", the grey band holds 80% of bootstrap frontiers" if info.band else ""
    parts.append(f"bars are 95% intervals{band}")
    if info.kind == "hull":
        parts.append("the line is the convex hull: what mixing two conditions could buy")
    if any(label.share for label in info.labels):
        parts.append("percentages in labels: chance of being on the frontier")
    return " · ".join([*parts, *_reservations(info)])


def _finding(counts: Counts) -> str:
    if counts.could == counts.probable:
        return f"{'is' if counts.could == 1 else 'are'} probably on the frontier"
    if counts.probable == 0:
        return "could be on the frontier; none stands out"
    return f"could be on the frontier; {fmt.count(counts.probable)} probably {'is' if counts.probable == 1 else 'are'}"


def _all(counts: Counts) -> str:
    n = counts.conditions
    return "The only condition is partial" if n == 1 else f"All {fmt.count(n)} conditions are partial"


def _questions(counts: Counts) -> str:
    least, most = counts.questions
    return fmt.plural(most, "question") if least == most else f"{fmt.count(least)} to {fmt.plural(most, 'question')}"


def _reservations(info: FrontierInfo) -> list[str]:
    counts, found = info.counts, []
    if counts.partial:
        found.append(f"{fmt.count(counts.partial)} partial, without verdict")
    if counts.hidden:
        lacking = {"usd": "unknown price or accuracy", "wh": "unknown energy or accuracy"}
        reason = lacking.get(info.lens.column, "nothing scored")
        found.append(f"{fmt.plural(counts.hidden, 'condition')} not shown: {reason}")
    if counts.simulated:
        found.append("simulated answers" if counts.simulated == counts.conditions else f"{counts.simulated} simulated")
    if info.assumed:
        found.append("some prices are assumed")
    return found
