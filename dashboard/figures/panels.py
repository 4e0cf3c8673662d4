"""One small frontier per model: its cells in colour on its own staircase, everyone else's as grey dots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import LEFT, RIGHT, TOP, Box, log_scale
from dashboard.figures.frontier import FrontierInfo, corners, frontier_title, label_annotation, line_trace
from dashboard.figures.ink import SILENT, Trace, accuracy_axis, empty_figure, painted, spend_axis
from dashboard.figures.labels import Label, labels_for
from dashboard.figures.marks import Point, cell_marks
from dashboard.figures.tiling import Tiling, grid, noted, panel_title, placed, tiling_for
from dashboard.theme import fade

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
    # One panel would be the figure above once more.
    models = models if len(models) > 1 else []
    tiling = tiling_for(len(models), (), narrow=narrow, labelled=False)
    # The range of the figure above, so that a cell sits at the same place, but fewer ticks: a panel is narrower.
    scale = log_scale([p.x for p in info.points], tick=info.lens.tick, pixels=tiling.across)
    above = replace(info, x_scale=replace(scale, low=info.x_scale.low, high=info.x_scale.high, zero=info.x_scale.zero))
    box = Box(round(tiling.across) + LEFT + RIGHT, round(tiling.high) + TOP, 0)
    panels = []
    for model in models:
        own = [p for p in info.points if p.model_name == model]
        # The panel's title says the model, so no label has to.
        shorts = [p.name.short.replace(f" · {p.model}", "") for p in own]
        points = tuple(replace(p, name=replace(p.name, short=s, again=s)) for p, s in zip(own, shorts, strict=True))
        line = corners(lines.get(model), info.lens, info.kind)
        # Labels for what stands on the staircase; floats went through a scale on the way here.
        on_line = [i for i, p in enumerate(own) if any(math.isclose(p.x, x) and math.isclose(p.y, y) for x, y in line)]
        # Small letters for all, and each in full: a family apiece, since a panel has no room to name budgets apart.
        quiet = tuple(replace(p, tier="unlikely", family=str(i)) for i, p in enumerate(points))
        labels = labels_for(quiet, line, above.x_scale, above.y_scale, box, on_line[:MOST_LABELS])
        others = tuple((p.x, p.y) for p in info.points if p.model_name != model)
        panels.append(ModelPanel(own[0].model, points, others, line, labels))
    return PanelsInfo(above, tuple(panels), tiling)


def panels_figure(info: PanelsInfo) -> go.Figure:
    """Draw them, two to four in a row; clicks lead back to cells as in the figure above."""
    above, scale, inks = info.above, info.above.x_scale, theme.inks(info.above.dark)
    if not info.panels:
        return empty_figure("One panel per model appears here when two or more models are shown.", inks, 120)
    # No hover on the grey: it is read in its own panel.
    grey = {"size": GREY_SIZE, "color": fade(inks.muted, GREY_OPACITY), "symbol": "circle"}
    traces, notes = list[Trace](), list[dict[str, Any]]()
    for i, panel in enumerate(info.panels):
        x, y = [scale.place(x) for x, _ in panel.others], [y for _, y in panel.others]
        others = {"type": "scatter", "x": x, "y": y, "mode": "markers", "marker": grey, **SILENT}
        line = [line_trace(panel.line, above, inks)] if panel.line else []
        traces += placed([others, *line, *cell_marks(panel.points, scale, inks)], i)
        quiet = replace(above, points=tuple(replace(p, tier="unlikely") for p in panel.points))
        labels = (label_annotation(quiet, label, inks) for label in panel.labels)
        notes += noted([panel_title(panel.model, inks, "" if i else "accuracy"), *labels], i)
    paper = grid(info.tiling, inks, spend_axis(scale, inks), accuracy_axis(above.y_scale, inks))
    return painted(traces, paper | {"annotations": [*notes, frontier_title(above, inks)]})
