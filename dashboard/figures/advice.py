"""A frontier with advice marked on it: the setting that is named, its rivals, the accuracy asked for, what is lost.

Everything else of the figure is the frontier's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dashboard import theme
from dashboard.figures.frontier import FrontierInfo, frontier_figure
from dashboard.figures.ink import SILENT, Trace, halo, painted, stroke
from dashboard.figures.labels import labels_for, worth_naming
from dashboard.figures.lettering import safe
from dashboard.theme import fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

RING, RIVAL = 26, 19
"""Pixels across."""
FEWEST_NAMES = 12
"""Names on the figure besides those of advised settings: it is about these."""
Path = tuple[tuple[float, float], ...]

__all__ = ["AdvisedInfo", "advised_caption", "advised_figure", "advised_info"]


@dataclass(frozen=True, slots=True)
class AdvisedInfo:
    """A frontier and what is marked on it; spends in the unit of its axis."""

    frontier: FrontierInfo
    named: tuple[int, ...]
    """Points of the frontier the answer names."""
    rivals: tuple[int, ...]
    """Points that may be as good."""
    level: float | None
    """Accuracy asked for."""
    after: Path
    """The staircase that would be left."""
    step: Path
    """The step of the hull that was priced."""


def advised_info(
    frontier: FrontierInfo,
    asked: str,
    evidence: pl.DataFrame,
    cell: tuple[str, int | None] | None,
    value: float | None,
    level: float | None = None,
) -> AdvisedInfo:
    """What `evidence` of the question `asked` (`Advice.asked`) marks on the frontier it was read off.

    `cell`: condition and budget that are named; `value`: the number that is given; `level`: the accuracy asked for."""
    points, scale = frontier.points, frontier.lens.scale
    named = _points_of(frontier, *cell) if cell and asked != "next_point" else ()
    rivals, after, step = list[int](), list[tuple[float, float]](), tuple[tuple[float, float], ...]()
    if asked == "under" and "maybe_best" in evidence.columns:
        cells = evidence.filter("maybe_best").select("condition_id", "budget").iter_rows()
        rivals = [i for each in cells for i in _points_of(frontier, *each) if i not in named]
    # Of both questions the answer is another frontier, drawn over the one there is.
    if asked in ("without", "price") and evidence.height:
        last = 0.0
        for mean, up in evidence.drop_nulls(["x", "after"]).select("x", "after").sort("x").iter_rows():
            x = float(mean) * scale
            # Spends are looked at on a raster; where a mark makes the step between two of them, it is at the mark.
            marks = [p.x for p in points if abs(p.y - up) < 1e-9 and last < p.x <= x]
            if up > 0:
                after.append((min(marks) if marks and (not after or up > after[-1][1]) else x, float(up)))
            last = x
    if asked == "next_point" and value is not None and "cost" in evidence.columns:
        priced = next((row for row in evidence.to_dicts() if row["cost"] == value), None)
        if priced is not None:
            step = tuple((priced[f"x_{end}"] * scale, priced[f"accuracy_{end}"]) for end in ("from", "to"))
    # Every point that is named has its label, and few others.
    chosen = list(dict.fromkeys((*named, *worth_naming(points)[:FEWEST_NAMES])))
    labels = labels_for(points, frontier.line, frontier.x_scale, frontier.y_scale, frontier.box, chosen)
    return AdvisedInfo(replace(frontier, labels=labels), named, tuple(rivals), level, tuple(after), step)


def _points_of(frontier: FrontierInfo, condition_id: str, budget: int | None) -> tuple[int, ...]:
    """The point of a cell, or of the largest budget of its condition within that of the cell, or its first."""
    budgets = {i: p.budget for i, p in enumerate(frontier.points) if p.condition_id == condition_id}
    within = [i for i, b in budgets.items() if b is not None and budget is not None and b <= budget]
    return tuple(within[-1:] or [*budgets][:1])


def advised_caption(info: AdvisedInfo) -> str:
    """What the marks of advice mean; empty without any."""
    parts = [
        "ring: the setting named" if info.named else "",
        "thin rings: may be as good" if info.rivals else "",
        "dotted line: the accuracy asked for" if info.level is not None else "",
        "dashed line: the frontier after the change" if info.after else "",
        "heavy line: the step that is priced" if info.step else "",
    ]
    return " · ".join(part for part in parts if part)


def advised_figure(info: AdvisedInfo) -> go.Figure:
    """Draw it; marks of advice lie over the frontier, their words stay clear of its labels."""
    plain, points, scale = frontier_figure(info.frontier), info.frontier.points, info.frontier.x_scale
    if not points:
        return plain
    # Plain dicts again, and one figure of all: adding traces to a figure checks everything anew.
    inks, drawn = theme.inks(info.frontier.dark), plain.to_plotly_json()
    traces, notes = list(drawn["data"]), list(drawn["layout"].get("annotations", ()))
    lines, rings, edge = list[Trace](), list[Trace](), 10**scale.high
    if info.level is not None:
        pen = {"width": 1.3, "dash": "dot", "color": inks.primary}
        lines.append(stroke((10**scale.low, edge), (info.level, info.level), pen))
        font = {"size": 12, "color": inks.primary, "shadow": halo(inks)}
        place = {"xref": "x domain", "x": 1, "xanchor": "right", "y": info.level, "yanchor": "bottom"}
        words = safe(f"asked: {fmt.number(100 * info.level)}%")
        notes.append(place | {"text": words, "showarrow": False, "font": font})
    if info.after:
        x, y = [scale.place(at) for at, _ in info.after], [up for _, up in info.after]
        pen = {"shape": "hv", "width": 2.4, "dash": "dash", "color": inks.primary}
        lines.append(stroke((x[0], *x, edge), (0.0, *y, y[-1]), pen))
    if info.step:
        x, y = [scale.place(at) for at, _ in info.step], [up for _, up in info.step]
        lines.append(stroke(x, y, {"width": 7, "color": fade(inks.primary, 0.45)}))
    for ringed, size, thick, colour in ((info.rivals, RIVAL, 1.0, inks.muted), (info.named, RING, 2.4, inks.primary)):
        if ringed:
            x, y = [scale.place(points[i].x) for i in ringed], [points[i].y for i in ringed]
            marker = {"symbol": "circle-open", "size": size, "color": colour, "line": {"width": thick}}
            ring = {"type": "scatter", "x": x, "y": y, "mode": "markers", "marker": marker, **SILENT}
            rings.append(ring | {"cliponaxis": False})
    # Lines lie over the frontier's and under its marks, rings over all.
    first = next((i for i, trace in enumerate(traces) if "markers" in trace["mode"]), len(traces))
    return painted([*traces[:first], *lines, *traces[first:], *rings], drawn["layout"] | {"annotations": notes})
