"""Accuracy against budget, computed: one panel per task, one curve per condition, labels at the right end.

A curve is what an anytime condition would have scored under every smaller budget; conditions that plan with their
budget are dots, one trial set per budget. Where some trials were not observed far enough (`n_censored`), n drops and
the curve is marked unsure. Owns `CurvesInfo`; drawing is `curves_plot`.

The curves figure, painted from `CurvesInfo`: step lines with bands, dots with intervals, names at the right end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import FOOT, AccuracyScale, Box, Lens, LogScale, accuracy_scale, log_scale
from dashboard.figures.ink import Trace, accuracy_axis, empty_figure, halo, layout, note, painted, spend_axis
from dashboard.figures.lettering import plain, safe
from dashboard.figures.marks import measured
from dashboard.figures.names import Row, name_rows, variant
from dashboard.figures.tiling import HEAD, SIZE, EndLabel, Tiling, end_labels, tiling_for
from dashboard.theme import Inks, fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = [
    "BUDGETS",
    "Curve",
    "CurvesInfo",
    "Panel",
    "Stop",
    "curves_caption",
    "curves_figure",
    "curves_info",
    "grid",
    "noted",
    "panel_title",
    "placed",
]


BUDGETS: dict[str, Lens] = {
    "total_tokens": Lens("budget", "Budget per question", "tokens"),
    "output_tokens": Lens("budget", "Budget per question", "output tokens"),
    "calls": Lens("budget", "Budget per question", "calls"),
    "usd": Lens("budget", "Budget per question", "US dollars", 1e-12, True),
    "wh": Lens("budget", "Budget per question", "Wh", 1e-12),
}
"""By budget axis; budgets in money and energy are integer pico-dollars and pico-Wh in the frames."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A value of a curve, in force from this budget to the next."""

    budget: int
    x: float
    y: float
    low: float | None
    high: float | None
    unsure: bool
    """Some trials were not observed up to this budget."""
    hover: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One condition, or one strategy told several budgets (`dots`: measured at these budgets only)."""

    ids: tuple[str, ...]
    """Condition of each stop."""
    name: str
    colour: str
    shape: theme.Shape
    dots: bool
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One task."""

    task: str
    curves: tuple[Curve, ...]
    labels: tuple[EndLabel, ...]


@dataclass(frozen=True, slots=True)
class CurvesInfo:
    """Everything the curves figure shows."""

    lens: Lens
    dark: bool
    panels: tuple[Panel, ...]
    x_scale: LogScale
    y_scale: AccuracyScale
    tiling: Tiling


def curves_info(
    cells: pl.DataFrame,
    curves: Mapping[str, pl.DataFrame],
    *,
    axis: str,
    narrow: bool = False,
    dark: bool = False,
    models: Sequence[str] = (),
    strategies: Sequence[str] = (),
    said: str = "",
) -> CurvesInfo:
    """Curves of the conditions of `cells` whose budget axis is `axis`.

    `curves`: condition id to its curve frame (budget, accuracy, low, high, n, n_censored, spend). Conditions without
    one are drawn as dots at the budgets of their cells. `said`: what budgets rest on, for the axis
    title. Raises KeyError for an unknown axis."""
    lens = replace(BUDGETS[axis], said=said)
    rows = [row for row in cells.to_dicts() if row["axis"] == axis]
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    colours = theme.strategy_colours([*strategies, *(str(row["strategy"]) for row in rows)], dark=dark)
    muted = theme.inks(dark).muted
    tasks = sorted(_by_task(rows).items())
    drawn = {task: tuple(_curves(found, curves, lens, shapes, colours, muted)) for task, found in tasks}
    return _laid_out(lens, dark, narrow, {task: found for task, found in drawn.items() if found})


def curves_caption(info: CurvesInfo) -> str:
    """What line, band and dots mean; empty when nothing is drawn."""
    every = [curve for panel in info.panels for curve in panel.curves]
    parts = ["accuracy if every question had this budget, with 95% intervals"] if every else []
    if any(stop.unsure for curve in every for stop in curve.stops):
        parts.append("dotted where not every trial was observed that far, ended where under half were")
    if any(curve.dots for curve in every):
        parts.append("dots: strategies that plan with their budget, measured at each")
    return " · ".join(parts)


def _laid_out(lens: Lens, dark: bool, narrow: bool, drawn: Mapping[str, tuple[Curve, ...]]) -> CurvesInfo:
    stops = [stop for found in drawn.values() for curve in found for stop in curve.stops]
    tiling = tiling_for(len(drawn), [c.name for found in drawn.values() for c in found], narrow=narrow)
    y_scale = accuracy_scale([s.y for s in stops], [e for s in stops for e in (s.low, s.high) if e is not None])
    x_scale = log_scale([s.x for s in stops], tick=lens.tick, pixels=tiling.across - tiling.reserve)
    x_scale = replace(x_scale, high=x_scale.high + (x_scale.high - x_scale.low) * tiling.widening)
    panels = tuple(Panel(task, found, _ends(found, x_scale, y_scale, tiling)) for task, found in drawn.items())
    return CurvesInfo(lens, dark, panels, x_scale, y_scale, tiling)


def _ends(curves: Sequence[Curve], x: LogScale, y: AccuracyScale, tiling: Tiling) -> tuple[EndLabel, ...]:
    last = [curve.stops[-1] for curve in curves]
    places = [(x.fraction(s.x) * tiling.across, (1 - y.fraction(s.y)) * tiling.high) for s in last]
    return end_labels(places, tiling)


def _by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    tasks: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        tasks[plain(str(row["task"]))].append(row)
    return tasks


def _curves(
    rows: Sequence[Row],
    curves: Mapping[str, pl.DataFrame],
    lens: Lens,
    shapes: Mapping[str, theme.Shape],
    colours: Mapping[str, str],
    muted: str,
) -> Iterator[Curve]:
    kin: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        kin[(*variant(row), str(row["condition_id"]) if row["condition_id"] in curves else "")].append(row)
    heads = [found[0] for found in kin.values()]
    for head, name, group in zip(heads, name_rows(heads), kin.values(), strict=True):
        frame = curves.get(str(head["condition_id"]))
        found = _measured(group) if frame is None else _read(frame, str(head["condition_id"]))
        stops = tuple(_stop(row, name.full, lens, muted) for row in found)
        if stops:
            colour, shape = colours[str(head["strategy"])], shapes[str(head["model"])]
            ids = tuple(str(row["condition_id"]) for row in found)
            yield Curve(ids, name.short, colour, shape, frame is None, stops)


def _read(frame: pl.DataFrame, condition_id: str) -> list[Row]:
    """The rows of a curve, up to where under half of its questions are still observed: those are no fair sample."""
    rows = frame.drop_nulls(["budget", "accuracy"]).sort("budget").to_dicts()
    most = max((row["n"] or 0 for row in rows), default=0)
    return [row | {"condition_id": condition_id} for row in rows if 2 * (row["n"] or 0) >= most]


def _measured(rows: Sequence[Row]) -> list[Row]:
    """Cells in the columns of a curve frame."""
    kept = [row for row in rows if row["accuracy"] is not None and row["budget"] is not None]
    return [
        {
            "condition_id": row["condition_id"],
            "budget": row["budget"],
            "accuracy": row["accuracy"],
            "low": row["accuracy_low"],
            "high": row["accuracy_high"],
            "n": row["n_questions"],
            "n_censored": row["n_censored"],
        }
        for row in sorted(kept, key=lambda row: row["budget"])
    ]


def _stop(row: Row, name: str, lens: Lens, muted: str) -> Stop:
    x, censored = float(row["budget"]) * lens.scale, int(row["n_censored"] or 0)
    lines = (
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["low"], row["high"], fmt.percent, "accuracy", muted),
        f"budget {safe(lens.tick(x))}{'' if lens.money else ' ' + lens.per} per question",
        f'<span style="color:{muted}">n = {fmt.plural(int(row["n"] or 0), "question")} · 95% intervals'
        + (f" · {fmt.count(censored)} not observed this far" if censored else "")
        + "</span>",
    )
    y = float(row["accuracy"])
    return Stop(int(row["budget"]), x, y, row["low"], row["high"], censored > 0, "<br>".join(lines))


def curves_figure(info: CurvesInfo) -> go.Figure:
    """Draw it; without a curve, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.panels:
        return empty_figure("No curve on this budget axis yet: run an anytime strategy, or choose another axis.", inks)
    traces, notes = list[Trace](), list[dict[str, Any]]()
    for i, panel in enumerate(info.panels):
        opacity = 0.13 if len(panel.curves) <= 5 else 0.08
        traces += placed((trace for curve in panel.curves for trace in _curve(curve, info, opacity)), i)
        notes += noted((_label(panel, label, info, inks, i) for label in panel.labels), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "accuracy")], i)
    paper = grid(info.tiling, inks, spend_axis(info.x_scale, inks), accuracy_axis(info.y_scale, inks))
    return painted(traces, paper | {"annotations": [*notes, *_titles(info, inks)]})


def grid(tiling: Tiling, inks: Inks, across: dict[str, Any], up: dict[str, Any]) -> dict[str, Any]:
    """Layout of panels that share both axes."""
    axes = {name: place | (across if name[0] == "x" else up) for name, place in _places(tiling).items()}
    paper = layout(inks, Box(0, tiling.height, FOOT))
    return paper | {"margin": paper["margin"] | {"t": HEAD}} | axes


@lru_cache(maxsize=64)
def _places(tiling: Tiling) -> dict[str, dict[str, Any]]:
    """Where each axis lies."""
    from plotly.subplots import make_subplots

    across, down = tiling.spacing
    figure = make_subplots(
        rows=tiling.rows,
        cols=tiling.columns,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=across,
        vertical_spacing=down,
    )
    found: dict[str, dict[str, Any]] = figure.to_plotly_json()["layout"]
    return {name: place for name, place in found.items() if name.startswith(("xaxis", "yaxis"))}


def placed(traces: Iterable[Trace], number: int) -> Iterator[Trace]:
    """Traces put into a panel, counted from 0 in reading order."""
    for trace in traces:
        yield trace | {"xaxis": f"x{_suffix(number)}", "yaxis": f"y{_suffix(number)}"}


def noted(notes: Iterable[dict[str, Any]], number: int) -> Iterator[dict[str, Any]]:
    """Annotations put into a panel: on its axes, or on its domain where they say so."""
    for each in notes:
        domain = {name: each.get(name, "").removeprefix(name[0]) for name in ("xref", "yref")}
        yield each | {name: f"{name[0]}{_suffix(number)}{rest}" for name, rest in domain.items()}


def _suffix(number: int) -> str:
    return str(number + 1) if number else ""


def panel_title(text: str, inks: Inks, aside: str = "") -> dict[str, Any]:
    """A bold title over the left corner of a panel, with a word on what goes up."""
    quiet = f'\u00a0 <span style="color:{inks.muted};font-size:12px">{aside}</span>' if aside else ""
    place = {"xref": "x domain", "yref": "y domain", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    font = {"size": 14, "color": inks.text}
    return place | {"text": f"<b>{safe(text)}</b>{quiet}", "showarrow": False, "font": font, "yshift": 6}


def _curve(curve: Curve, info: CurvesInfo, opacity: float) -> Iterator[Trace]:
    if curve.dots:
        yield _dots(curve, info)
        return
    yield _band(curve, info, opacity)
    sure = next((max(0, i - 1) for i, stop in enumerate(curve.stops) if stop.unsure), len(curve.stops) - 1)
    for stops, thick, dash in ((curve.stops[: sure + 1], 2.0, "solid"), (curve.stops[sure:], 1.1, "dot")):
        if len(stops) > 1:
            yield _steps(stops, curve.colour, thick, dash, info)
    yield _points(curve, info)


def _band(curve: Curve, info: CurvesInfo, opacity: float) -> Trace:
    known = [s for s in curve.stops if s.low is not None and s.high is not None]
    corners = [*_corners(known, "low", info), *reversed(_corners(known, "high", info))]
    return {
        "type": "scatter",
        "x": [x for x, _ in corners],
        "y": [y for _, y in corners],
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": fade(curve.colour, opacity),
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _corners(stops: Sequence[Stop], end: str, info: CurvesInfo) -> list[tuple[float, float]]:
    """A step line's corners, written out, so that a filled outline has steps on both sides."""
    corners: list[tuple[float, float]] = []
    for stop in stops:
        x = info.x_scale.place(stop.x)
        corners += [(x, corners[-1][1])] if corners else []
        corners.append((x, getattr(stop, end)))
    return corners


def _steps(stops: Sequence[Stop], colour: str, thick: float, dash: str, info: CurvesInfo) -> Trace:
    pen = {"shape": "hv", "color": colour, "width": thick, "dash": dash}
    x = [info.x_scale.place(stop.x) for stop in stops]
    return {
        "type": "scatter",
        "x": x,
        "y": [s.y for s in stops],
        "mode": "lines",
        "line": pen,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _points(curve: Curve, info: CurvesInfo) -> Trace:
    """Marks for pointer and click along the curve; only the last one is seen, in the shape of the model."""
    last = len(curve.stops) - 1
    marker = {
        "symbol": [curve.shape.symbol] * (last + 1),
        "size": 8 * curve.shape.factor,
        "color": curve.colour,
        "opacity": [0.0] * last + [1.0],
    }
    return _trace(curve, info, marker=marker, selected={"marker": {"opacity": 1}})


def _dots(curve: Curve, info: CurvesInfo) -> Trace:
    inks = theme.inks(info.dark)
    bars = {
        "type": "data",
        "symmetric": False,
        "width": 0,
        "thickness": 1.2,
        "color": fade(curve.colour, 0.6),
        "array": [max(0.0, (s.high if s.high is not None else s.y) - s.y) for s in curve.stops],
        "arrayminus": [max(0.0, s.y - (s.low if s.low is not None else s.y)) for s in curve.stops],
    }
    marker = {
        "symbol": curve.shape.symbol,
        "size": 9 * curve.shape.factor,
        "color": curve.colour,
        "line": {"color": inks.background, "width": 1.2},
        "opacity": 1,
    }
    pen = {"color": fade(curve.colour, 0.45), "width": 1.1}
    faded = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.55}}}
    return _trace(curve, info, marker=marker, error_y=bars, line=pen, mode="lines+markers", **faded)


def _trace(curve: Curve, info: CurvesInfo, **style: Any) -> Trace:
    return {
        "type": "scatter",
        "x": [info.x_scale.place(s.x) for s in curve.stops],
        "y": [s.y for s in curve.stops],
        "mode": "markers",
        "customdata": [[one, s.budget] for one, s in zip(curve.ids, curve.stops, strict=True)],
        "hovertext": [s.hover for s in curve.stops],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
        "hoverlabel": {"bordercolor": curve.colour},
        "cliponaxis": False,
        **style,
    }


def _label(panel: Panel, label: EndLabel, info: CurvesInfo, inks: Inks, number: int) -> dict[str, Any]:
    curve = panel.curves[label.line]
    end = curve.stops[-1]
    return {
        "x": math.log10(info.x_scale.place(end.x)),
        "y": end.y,
        "ay": label.dy,
        "showarrow": True,
        "ax": _column(panel, info),
        "axref": f"x{number + 1}" if number else "x",
        "text": safe(curve.name),
        "arrowhead": 0,
        "arrowwidth": 0.9,
        "xanchor": "left",
        "yanchor": "middle",
        "arrowcolor": fade(curve.colour, 0.75 if label.leader else 0),
        "standoff": 5,
        "borderpad": 1,
        "captureevents": False,
        "font": {"size": SIZE, "color": inks.text, "shadow": halo(inks)},
    }


def _column(panel: Panel, info: CurvesInfo) -> float:
    """Where labels begin on the log axis: ten pixels right of the longest curve."""
    farthest = max(info.x_scale.place(curve.stops[-1].x) for curve in panel.curves)
    return math.log10(farthest) + 10 / info.tiling.across * (info.x_scale.high - info.x_scale.low)


def _titles(info: CurvesInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    bold = {"size": 13, "color": inks.text}
    words = f"<b>{info.lens.title}</b>, {info.lens.per}{safe(info.lens.said)}, log scale"
    yield note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=bold)
