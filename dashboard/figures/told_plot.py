"""The told-budget figures, painted from `ToldInfo`: use against told tokens, and accuracy against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dashboard import format as fmt
from dashboard import theme
from dashboard.figures.curves_plot import grid, noted, panel_title, placed
from dashboard.figures.ink import Trace, accuracy_axis, empty_figure, halo, note, painted, spend_axis
from dashboard.figures.lettering import safe
from dashboard.figures.scales import LogScale
from dashboard.figures.tiling import SIZE, end_labels
from dashboard.figures.told import Series, Stop, ToldInfo, ToldPanel
from dashboard.theme import Inks, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["obeyed_figure", "told_figure"]


def told_figure(info: ToldInfo) -> go.Figure:
    """Mean used against told tokens, log-log; without a series, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.panels:
        return empty_figure("No model was told a budget here.", inks)
    traces, notes, named = list[Trace](), list[dict[str, Any]](), _clearest(info)
    for i, panel in enumerate(info.panels):
        traces += placed(_use(panel, info, inks), i)
        notes += noted(_words(panel, info, inks, level=i == named, first=not i), i)
        notes += noted(_ends(panel, info, inks, i), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "tokens used")], i)
    paper = grid(info.tiling, inks, spend_axis(info.x_scale, inks), _log_axis(info.used_scale, inks))
    return painted(traces, paper | {"annotations": [*notes, _title(inks)]})


def obeyed_figure(info: ToldInfo) -> go.Figure:
    """Accuracy against told tokens; without a scored series, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not any(series.accuracy for panel in info.panels for series in panel.series):
        return empty_figure("No told budget has a scored question here.", inks)
    traces, notes = list[Trace](), list[dict[str, Any]]()
    for i, panel in enumerate(info.panels):
        traces += placed(_accuracy(panel, info, inks), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "accuracy")], i)
    paper = grid(info.tiling, inks, spend_axis(info.x_scale, inks), accuracy_axis(info.accuracy_scale, inks))
    return painted(traces, paper | {"annotations": [*notes, _title(inks)]})


def _log_axis(scale: LogScale, inks: Inks) -> dict[str, Any]:
    """A log axis that goes up: a light grid, neither line nor ticks."""
    return spend_axis(scale, inks) | {
        "showgrid": True, "gridcolor": inks.grid, "gridwidth": 1, "showline": False, "ticks": "", "fixedrange": True,
    }  # fmt: skip


def _title(inks: Inks) -> dict[str, Any]:
    place = {"x": 1, "y": 0, "xanchor": "right", "yanchor": "top", "yshift": -23}
    return note("<b>Told budget</b>, output tokens, log scale", font={"size": 13, "color": inks.text}, **place)


def _use(panel: ToldPanel, info: ToldInfo, inks: Inks) -> Iterator[Trace]:
    low, high = max(info.x_scale.low, info.used_scale.low), min(info.x_scale.high, info.used_scale.high)
    if low < high:
        yield _line((10**low, 10**high), (10**low, 10**high), {"width": 1.6, "color": fade(inks.muted, 0.55)})
    for used in dict.fromkeys(series.level.used for series in panel.series if series.level.used):
        yield _line(_across(info), (used, used), {"width": 1.3, "dash": "dash", "color": fade(inks.text, 0.6)})
    for series in panel.series:
        yield _marks(series, series.used, info, inks, info.used_scale)


def _accuracy(panel: ToldPanel, info: ToldInfo, inks: Inks) -> Iterator[Trace]:
    for share in dict.fromkeys(s.level.accuracy for s in panel.series if s.level.accuracy is not None):
        yield _line(_across(info), (share, share), {"width": 1.3, "dash": "dash", "color": fade(inks.text, 0.6)})
    for series in panel.series:
        if series.accuracy:
            yield _marks(series, series.accuracy, info, inks, None)


def _across(info: ToldInfo) -> tuple[float, float]:
    """From edge to edge, short of the names at the right."""
    span = info.x_scale.high - info.x_scale.low
    return 10**info.x_scale.low, 10 ** (info.x_scale.high - span * info.tiling.reserve / info.tiling.across)


def _line(x: Sequence[float], y: Sequence[float], pen: dict[str, Any]) -> Trace:
    return {
        "type": "scatter", "x": list(x), "y": list(y), "mode": "lines", "line": pen, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip


def _marks(series: Series, stops: Sequence[Stop], info: ToldInfo, inks: Inks, up: LogScale | None) -> Trace:
    """Marks joined by a light line, with interval bars that end at the edge of a log axis."""
    bottom = -math.inf if up is None else 10 ** (up.low - 0.3)
    bars = {
        "type": "data", "symmetric": False, "width": 0, "thickness": 1.2, "color": fade(series.colour, 0.6),
        "array": [max(0.0, (s.value if s.high is None else s.high) - s.value) for s in stops],
        "arrayminus": [max(0.0, s.value - max(s.value if s.low is None else s.low, bottom)) for s in stops],
    }  # fmt: skip
    marker = {
        "symbol": series.shape.symbol, "size": 9 * series.shape.factor, "opacity": 1,
        "color": inks.background if series.stated else series.colour,
        "line": {"color": series.colour if series.stated else inks.background, "width": 1.4},
    }  # fmt: skip
    return {
        "type": "scatter", "mode": "lines+markers", "x": [info.x_scale.place(s.told) for s in stops],
        "y": [s.value if up is None else up.place(s.value) for s in stops], "error_y": bars, "marker": marker,
        "line": {"color": fade(series.colour, 0.45), "width": 1.1}, "showlegend": False, "cliponaxis": False,
        "customdata": [[s.condition_id, s.budget] for s in stops], "hovertext": [s.hover for s in stops],
        "hovertemplate": "%{hovertext}<extra></extra>", "hoverlabel": {"bordercolor": series.colour},
        "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.55}},
    }  # fmt: skip


def _words(panel: ToldPanel, info: ToldInfo, inks: Inks, *, level: bool, first: bool) -> Iterator[dict[str, Any]]:
    """What the lines are, said on them, and the floor."""
    quiet = {"size": 11.5, "color": inks.muted, "shadow": halo(inks)}
    x, y = info.x_scale, info.used_scale
    if first and max(x.low, y.low) < min(x.high, y.high):
        side = {"xanchor": "left", "yanchor": "bottom", "xshift": 9, "yshift": 2}
        corner = max(x.low, y.low)
        yield {"x": corner, "y": corner, "text": "obeyed", "showarrow": False, "font": quiet, **side}
    used = _untold(panel)
    if level and used is not None:
        above = y.fraction(used) < 0.9
        place = {"xanchor": "left", "yanchor": "bottom" if above else "top", "xshift": 3}
        words = "chain of thought, told nothing"
        yield {"x": x.low, "y": math.log10(y.place(used)), "text": words, "showarrow": False, "font": quiet, **place}
    for series, stop in ((s, stop) for s in panel.series for stop in s.used if stop.told == s.floor):
        place = {"xanchor": "center", "yanchor": "top", "yshift": -8}
        at = {
            "font": quiet | {"color": inks.text},
            "x": math.log10(x.place(stop.told)),
            "y": math.log10(y.place(stop.value)),
        }
        yield at | place | {"text": f"▲<br>floor {safe(fmt.number_tick(series.floor or 0))}", "showarrow": False}


def _clearest(info: ToldInfo) -> int:
    """The panel whose untold level is farthest from its marks at the left, where it is named."""
    room = [(_room(panel, info), -i) for i, panel in enumerate(info.panels)]
    return -max(room)[1]


def _untold(panel: ToldPanel) -> float | None:
    """The highest of its untold levels; None: it has none."""
    return max((s.level.used for s in panel.series if s.level.used), default=None)


def _room(panel: ToldPanel, info: ToldInfo) -> float:
    level = _untold(panel)
    if level is None:
        return -1.0
    near = [stop for s in panel.series for stop in s.used if info.x_scale.fraction(stop.told) < 0.6]
    place = info.used_scale.fraction
    return min((abs(place(stop.value) - place(level)) for stop in near), default=1.0)


def _ends(panel: ToldPanel, info: ToldInfo, inks: Inks, number: int) -> Iterator[dict[str, Any]]:
    """Names of several series in a column at the right."""
    named = [series for series in panel.series if series.name and series.used]
    x, y, tiling = info.x_scale, info.used_scale, info.tiling
    last = [series.used[-1] for series in named]
    spots = [(x.fraction(s.told) * tiling.across, (1 - y.fraction(s.value)) * tiling.high) for s in last]
    right = max((math.log10(x.place(s.told)) for s in last), default=0.0) + 10 / tiling.across * (x.high - x.low)
    for label in end_labels(spots, tiling):
        series, end = named[label.line], last[label.line]
        yield {
            "x": math.log10(x.place(end.told)), "y": math.log10(y.place(end.value)), "ax": right, "ay": label.dy,
            "axref": f"x{number + 1}" if number else "x", "text": safe(series.name), "showarrow": True, "arrowhead": 0,
            "arrowwidth": 0.9, "xanchor": "left", "yanchor": "middle", "standoff": 5, "borderpad": 1,
            "arrowcolor": fade(series.colour, 0.75 if label.leader else 0), "captureevents": False,
            "font": {"size": SIZE, "color": inks.text, "shadow": halo(inks)},
        }  # fmt: skip
