"""One small frontier per model: its cells in colour on its own staircase, everyone else's as grey dots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import LEFT, RIGHT, TOP, Box, log_scale
from dashboard.figures.curves import grid, noted, panel_title, placed
from dashboard.figures.frontier import FrontierInfo, corners, label_annotation, line_trace
from dashboard.figures.ink import TIERS, Trace, accuracy_axis, empty_figure, marks, note, painted, slashes, spend_axis
from dashboard.figures.labels import Label, labels_for
from dashboard.figures.lettering import safe
from dashboard.figures.marks import Point, Tier
from dashboard.figures.names import Name
from dashboard.figures.tiling import Tiling, tiling_for
from dashboard.theme import Inks, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["ModelPanel", "PanelsInfo", "panels_figure", "panels_info"]

GREY_SIZE, GREY_OPACITY = 5, 0.28
MOST_LABELS = 7


@dataclass(frozen=True, slots=True)
class ModelPanel:
    """One model: its points (names without the model), its staircase, labels of the points on it."""

    model: str
    points: tuple[Point, ...]
    others: tuple[tuple[float, float], ...]
    line: tuple[tuple[float, float], ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class PanelsInfo:
    """All panels on the axes of the figure above; none when fewer than two models are shown."""

    above: FrontierInfo
    panels: tuple[ModelPanel, ...]
    tiling: Tiling


def panels_info(info: FrontierInfo, lines: Mapping[str, pl.DataFrame], *, narrow: bool = False) -> PanelsInfo:
    """One panel per model of `info`. `lines`: model, as the frame names it, to the line (x, accuracy) of its cells."""
    models = list(dict.fromkeys(p.model_name for p in sorted(info.points, key=lambda p: theme.SHAPES.index(p.shape))))
    models = models if len(models) > 1 else []
    tiling = tiling_for(len(models), (), narrow=narrow, labelled=False)
    scale = log_scale([p.x for p in info.points], tick=info.lens.tick, pixels=tiling.across)
    above = replace(info, x_scale=replace(scale, low=info.x_scale.low, high=info.x_scale.high, zero=info.x_scale.zero))
    found = (_panel(above, model, corners(lines.get(model), info.lens, info.kind), tiling) for model in models)
    return PanelsInfo(above, tuple(found), tiling)


def panels_figure(info: PanelsInfo) -> go.Figure:
    """Draw them, two to four in a row; clicks lead back to cells as in the figure above."""
    inks = theme.inks(info.above.dark)
    if not info.panels:
        return empty_figure("One panel per model appears here when two or more models are shown.", inks, 120)
    traces, notes = list[Trace](), list[dict[str, Any]]()
    for i, panel in enumerate(info.panels):
        traces += placed(_traces(panel, info.above, inks), i)
        title = panel_title(panel.model, inks, "" if i else "accuracy")
        notes += noted((title, *_labels(panel, info.above, inks)), i)
    across, up = spend_axis(info.above.x_scale, inks), accuracy_axis(info.above.y_scale, inks)
    return painted(traces, grid(info.tiling, inks, across, up) | {"annotations": [*notes, _title(info, inks)]})


def _panel(info: FrontierInfo, model: str, line: tuple[tuple[float, float], ...], tiling: Tiling) -> ModelPanel:
    own = tuple(replace(p, name=_without_model(p)) for p in info.points if p.model_name == model)
    others = tuple((p.x, p.y) for p in info.points if p.model_name != model)
    on_line = [i for i, p in enumerate(own) if any(math.isclose(p.x, x) and math.isclose(p.y, y) for x, y in line)]
    quiet = tuple(replace(p, tier="unlikely", family=str(i)) for i, p in enumerate(own))
    box = Box(round(tiling.across) + LEFT + RIGHT, round(tiling.high) + TOP, 0)
    found = labels_for(quiet, line, info.x_scale, info.y_scale, box, on_line[:MOST_LABELS])
    return ModelPanel(own[0].model, own, others, line, found)


def _without_model(point: Point) -> Name:
    """The point's name without its model, which the panel's title says."""
    shorter = point.name.short.replace(f" · {point.model}", "")
    return replace(point.name, short=shorter, again=shorter)


def _traces(panel: ModelPanel, info: FrontierInfo, inks: Inks) -> Iterator[Trace]:
    grey = {"size": GREY_SIZE, "color": fade(inks.muted, GREY_OPACITY), "symbol": "circle"}
    x, y = [info.x_scale.place(x) for x, _ in panel.others], [y for _, y in panel.others]
    yield {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "markers",
        "marker": grey,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    if panel.line:
        yield line_trace(panel.line, info, inks)
    for tier in TIERS:
        for colour in dict.fromkeys(p.colour for p in panel.points):
            group = [p for p in panel.points if p.tier == tier and p.colour == colour]
            if group:
                yield marks(group, tier, info.x_scale, inks)
    yield from slashes(panel.points, info.x_scale, inks)


def _labels(panel: ModelPanel, info: FrontierInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    quiet: Tier = "unlikely"
    for label in panel.labels:
        point = replace(panel.points[label.point], tier=quiet)
        yield label_annotation(replace(info, points=(point,)), replace(label, point=0), inks)


def _title(info: PanelsInfo, inks: Inks) -> dict[str, Any]:
    lens, assumed = info.above.lens, ", assumed prices" if info.above.assumed else ""
    words = f"<b>{lens.title}</b>{safe(lens.said)}, log scale{assumed}"
    bold = {"size": 13, "color": inks.text}
    return note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=bold)
