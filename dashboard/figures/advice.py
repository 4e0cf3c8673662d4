"""A frontier with advice marked on it: the setting that is named, its rivals, the accuracy asked for, what is lost.

Owns `AdvisedInfo`; everything else of the figure is the frontier's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.frontier import FrontierInfo, frontier_figure
from dashboard.figures.ink import Trace, halo, painted
from dashboard.figures.labels import labels_for, worth_naming
from dashboard.figures.lettering import safe
from dashboard.theme import Inks, fade
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
    named = _found(frontier, cell) if cell and asked != "next_point" else ()
    rivals = tuple(i for each in _rivals(asked, evidence) for i in _found(frontier, each) if i not in named)
    after = _after(frontier, evidence) if asked in ("without", "price") and evidence.height else ()
    info = AdvisedInfo(_named(frontier, named), named, rivals, level, after, _step(frontier, asked, evidence, value))
    return info


def advised_figure(info: AdvisedInfo) -> go.Figure:
    """Draw it; marks of advice lie over the frontier, their words stay clear of its labels."""
    plain = frontier_figure(info.frontier)
    if not info.frontier.points:
        return plain
    inks, known = theme.inks(info.frontier.dark), plain.to_plotly_json()
    notes = [*known["layout"].get("annotations", ()), *_notes(info, inks)]
    data = list(known["data"])
    marks = next((i for i, trace in enumerate(data) if "markers" in trace["mode"]), len(data))
    traces = [*data[:marks], *_lines(info, inks), *data[marks:], *_rings(info, inks)]
    return painted(traces, known["layout"] | {"annotations": notes})


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


def _found(frontier: FrontierInfo, cell: tuple[str, int | None]) -> tuple[int, ...]:
    """The point of a cell, or of the smallest budget of its condition that says the same."""
    mine = [(i, p) for i, p in enumerate(frontier.points) if p.condition_id == cell[0]]
    within = [i for i, p in mine if p.budget is not None and cell[1] is not None and p.budget <= cell[1]]
    return (within[-1],) if within else tuple(i for i, _ in mine[:1])


def _rivals(asked: str, evidence: pl.DataFrame) -> Iterator[tuple[str, int | None]]:
    if asked == "under" and "maybe_best" in evidence.columns:
        yield from evidence.filter("maybe_best").select("condition_id", "budget").iter_rows()


def _after(frontier: FrontierInfo, evidence: pl.DataFrame) -> Path:
    """The staircase at the spends it was looked at; where a mark makes a step between two of them, at the mark."""
    rows = evidence.drop_nulls(["x", "after"]).select("x", "after").sort("x").iter_rows()
    found, last = list[tuple[float, float]](), 0.0
    for x, up in ((float(x) * frontier.lens.scale, float(up)) for x, up in rows):
        marks = [p.x for p in frontier.points if abs(p.y - up) < 1e-9 and last < p.x <= x]
        rises = up > 0 and (not found or up > found[-1][1])
        found += [(min(marks), up)] if rises and marks else [(x, up)] if up > 0 else []
        last = x
    return tuple(found)


def _step(frontier: FrontierInfo, asked: str, evidence: pl.DataFrame, value: float | None) -> Path:
    if asked != "next_point" or value is None or "cost" not in evidence.columns:
        return ()
    row = next((row for row in evidence.to_dicts() if row["cost"] == value), None)
    scale = frontier.lens.scale
    ends = ("from", "to") if row else ()
    return tuple((row[f"x_{end}"] * scale, row[f"accuracy_{end}"]) for end in ends) if row else ()


def _named(frontier: FrontierInfo, named: tuple[int, ...]) -> FrontierInfo:
    """With a label for every point that is named, and few others."""
    chosen = list(dict.fromkeys((*named, *worth_naming(frontier.points)[:FEWEST_NAMES])))
    f = frontier
    return replace(f, labels=labels_for(f.points, f.line, f.x_scale, f.y_scale, f.box, chosen))


def _lines(info: AdvisedInfo, inks: Inks) -> Iterator[Trace]:
    """Lines that lie over the frontier's and under its marks."""
    scale = info.frontier.x_scale
    ends = (10**scale.low, 10**scale.high)
    if info.level is not None:
        yield _line(ends, (info.level, info.level), {"width": 1.3, "dash": "dot", "color": inks.primary})
    if info.after:
        x, y = [scale.place(at) for at, _ in info.after], [up for _, up in info.after]
        pen = {"shape": "hv", "width": 2.4, "dash": "dash", "color": inks.primary}
        yield _line((x[0], *x, ends[1]), (0.0, *y, y[-1]), pen)
    if info.step:
        x, y = [scale.place(at) for at, _ in info.step], [up for _, up in info.step]
        yield _line(x, y, {"width": 7, "color": fade(inks.primary, 0.45)})


def _line(x: Any, y: Any, pen: dict[str, Any]) -> Trace:
    return {
        "type": "scatter",
        "x": list(x),
        "y": list(y),
        "mode": "lines",
        "line": pen,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _rings(info: AdvisedInfo, inks: Inks) -> Iterator[Trace]:
    for points, size, thick in ((info.rivals, RIVAL, 1.0), (info.named, RING, 2.4)):
        if points:
            shown = [info.frontier.points[i] for i in points]
            colour = inks.primary if points == info.named else inks.muted
            yield {
                "type": "scatter",
                "x": [info.frontier.x_scale.place(p.x) for p in shown],
                "y": [p.y for p in shown],
                "mode": "markers",
                "hoverinfo": "skip",
                "showlegend": False,
                "cliponaxis": False,
                "marker": {"symbol": "circle-open", "size": size, "color": colour, "line": {"width": thick}},
            }


def _notes(info: AdvisedInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    """A word at the right end of the accuracy asked for."""
    font = {"size": 12, "color": inks.primary, "shadow": halo(inks)}
    if info.level is not None:
        yield {
            "xref": "x domain",
            "x": 1,
            "xanchor": "right",
            "showarrow": False,
            "font": font,
            "y": info.level,
            "yanchor": "bottom",
            "text": safe(f"asked: {fmt.number(100 * info.level)}%"),
        }
