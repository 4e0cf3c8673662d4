"""The curves figure, painted from `CurvesInfo`: step lines with bands, dots with intervals, names at the right end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import FOOT, Box
from dashboard.figures.curves import Curve, CurvesInfo, Panel, Stop
from dashboard.figures.ink import Trace, accuracy_axis, empty_figure, halo, layout, note, painted, spend_axis
from dashboard.figures.lettering import safe
from dashboard.figures.tiling import HEAD, SIZE, EndLabel, Tiling
from dashboard.theme import Inks, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["curves_figure", "grid", "noted", "panel_title", "placed"]


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
        rows=tiling.rows, cols=tiling.columns, shared_xaxes="all", shared_yaxes="all", horizontal_spacing=across,
        vertical_spacing=down,
    )  # fmt: skip
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
        "type": "scatter", "x": [x for x, _ in corners], "y": [y for _, y in corners], "mode": "lines",
        "line": {"width": 0}, "fill": "toself", "fillcolor": fade(curve.colour, opacity), "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip


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
        "type": "scatter", "x": x, "y": [s.y for s in stops], "mode": "lines", "line": pen, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip


def _points(curve: Curve, info: CurvesInfo) -> Trace:
    """Marks for pointer and click along the curve; only the last one is seen, in the shape of the model."""
    last = len(curve.stops) - 1
    marker = {
        "symbol": [curve.shape.symbol] * (last + 1), "size": 8 * curve.shape.factor, "color": curve.colour,
        "opacity": [0.0] * last + [1.0],
    }  # fmt: skip
    return _trace(curve, info, marker=marker, selected={"marker": {"opacity": 1}})


def _dots(curve: Curve, info: CurvesInfo) -> Trace:
    inks = theme.inks(info.dark)
    bars = {
        "type": "data", "symmetric": False, "width": 0, "thickness": 1.2, "color": fade(curve.colour, 0.6),
        "array": [max(0.0, (s.high if s.high is not None else s.y) - s.y) for s in curve.stops],
        "arrayminus": [max(0.0, s.y - (s.low if s.low is not None else s.y)) for s in curve.stops],
    }  # fmt: skip
    marker = {
        "symbol": curve.shape.symbol, "size": 9 * curve.shape.factor, "color": curve.colour,
        "line": {"color": inks.background, "width": 1.2}, "opacity": 1,
    }  # fmt: skip
    pen = {"color": fade(curve.colour, 0.45), "width": 1.1}
    faded = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.55}}}
    return _trace(curve, info, marker=marker, error_y=bars, line=pen, mode="lines+markers", **faded)


def _trace(curve: Curve, info: CurvesInfo, **style: Any) -> Trace:
    return {
        "type": "scatter", "x": [info.x_scale.place(s.x) for s in curve.stops], "y": [s.y for s in curve.stops],
        "mode": "markers", "customdata": [[one, s.budget] for one, s in zip(curve.ids, curve.stops, strict=True)],
        "hovertext": [s.hover for s in curve.stops], "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False, "hoverlabel": {"bordercolor": curve.colour}, "cliponaxis": False, **style,
    }  # fmt: skip


def _label(panel: Panel, label: EndLabel, info: CurvesInfo, inks: Inks, number: int) -> dict[str, Any]:
    curve = panel.curves[label.line]
    end = curve.stops[-1]
    return {
        "x": math.log10(info.x_scale.place(end.x)), "y": end.y, "ay": label.dy, "showarrow": True,
        "ax": _column(panel, info), "axref": f"x{number + 1}" if number else "x",
        "text": safe(curve.name), "arrowhead": 0, "arrowwidth": 0.9, "xanchor": "left", "yanchor": "middle",
        "arrowcolor": fade(curve.colour, 0.75 if label.leader else 0), "standoff": 5, "borderpad": 1,
        "captureevents": False, "font": {"size": SIZE, "color": inks.text, "shadow": halo(inks)},
    }  # fmt: skip


def _column(panel: Panel, info: CurvesInfo) -> float:
    """Where labels begin on the log axis: ten pixels right of the longest curve."""
    farthest = max(info.x_scale.place(curve.stops[-1].x) for curve in panel.curves)
    return math.log10(farthest) + 10 / info.tiling.across * (info.x_scale.high - info.x_scale.low)


def _titles(info: CurvesInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    bold = {"size": 13, "color": inks.text}
    words = f"<b>{info.lens.title}</b>, {info.lens.per}{safe(info.lens.said)}, log scale"
    yield note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=bold)
