"""Told against used tokens, computed: a panel per task, a series per model and way of telling, two figures on one grid.

Owns `ToldInfo`: mean use with its interval, what the model uses when told nothing, the floor where a rebound was
found; and accuracy against the same told tokens. Drawing is `told_plot`.

The told-budget figures, painted from `ToldInfo`: use against told tokens, and accuracy against them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import AccuracyScale, LogScale, accuracy_scale, log_scale
from dashboard.figures.curves import grid, noted, panel_title, placed
from dashboard.figures.ink import Trace, accuracy_axis, empty_figure, halo, note, painted, spend_axis
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import measured
from dashboard.figures.names import Row, short_models
from dashboard.figures.tiling import SIZE, Tiling, end_labels, tiling_for
from dashboard.theme import Inks, fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = [
    "KEY",
    "SURE",
    "Level",
    "Series",
    "Stop",
    "ToldInfo",
    "ToldPanel",
    "obeyed_figure",
    "told_caption",
    "told_figure",
    "told_info",
]


SURE = 0.05
"""Chance by luck alone below which a rebound counts as found."""
KEY = ("task", "model", "strategy", "settings")
TICK_GAP = 8
"""Pixels between two told budgets that are written."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A value at a told budget, with its 95% interval where one is known."""

    told: float
    value: float
    low: float | None
    high: float | None
    hover: str
    condition_id: str
    """Empty: not one condition's."""
    budget: int | None


@dataclass(frozen=True, slots=True)
class Level:
    """What the model does when it is told nothing."""

    used: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One model told in one way; `name` is not escaped, empty for the only one of its panel."""

    name: str
    colour: str
    shape: theme.Shape
    stated: bool
    """The model stated the budgets itself."""
    used: tuple[Stop, ...]
    accuracy: tuple[Stop, ...]
    level: Level
    floor: float | None
    """Told budget with the least use, where use is found to rise again below it."""


@dataclass(frozen=True, slots=True)
class ToldPanel:
    """One task."""

    task: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class ToldInfo:
    """Everything both figures show."""

    dark: bool
    panels: tuple[ToldPanel, ...]
    tiling: Tiling
    x_scale: LogScale
    used_scale: LogScale
    accuracy_scale: AccuracyScale


def told_info(
    points: pl.DataFrame,
    summary: pl.DataFrame,
    accuracy: pl.DataFrame,
    plainly: pl.DataFrame,
    *,
    models: Sequence[str] = (),
    strategies: Sequence[str] = (),
    narrow: bool = False,
    dark: bool = False,
) -> ToldInfo:
    """From the frames of `Results.elasticity`, and

    `accuracy`: columns KEY, told, accuracy, accuracy_low, accuracy_high, n_questions, condition_id, budget; `plainly`:
    columns KEY, used, accuracy of the untold chain of thought a series is held against. A stated budget without an
    interval is not drawn."""
    rows = [row for row in points.to_dicts() if not (row["stated"] and row["used_low"] is None)]
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    colours = theme.strategy_colours([*strategies, *(str(row["strategy"]) for row in rows)], dark=dark)
    found = _Frames(rows, _keyed(summary), accuracy.to_dicts(), _keyed(plainly), theme.inks(dark).muted)
    panels = tuple(_panels(found, shapes, colours))
    return _laid_out(panels, narrow=narrow, dark=dark)


def told_caption(info: ToldInfo) -> str:
    """What marks and lines mean; empty when nothing is drawn."""
    if not info.panels:
        return ""
    every = [series for panel in info.panels for series in panel.series]
    parts = [
        "mean output tokens of whole replies, with 95% intervals",
        "below the grey line the budget is kept on average",
        "dashed: chain of thought that is told nothing" if any(s.level.used is not None for s in every) else "",
        "▲ the floor: below it use is found to rise again" if any(s.floor for s in every) else "",
        "hollow: budgets the model stated itself" if any(s.stated for s in every) else "",
    ]
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Frames:
    points: Sequence[Row]
    summary: Mapping[tuple[str, ...], Row]
    accuracy: Sequence[Row]
    plainly: Mapping[tuple[str, ...], Row]
    muted: str


def _keyed(frame: pl.DataFrame) -> dict[tuple[str, ...], Row]:
    return {_key(row): row for row in frame.to_dicts()}


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in KEY)


def _panels(found: _Frames, shapes: Mapping[str, theme.Shape], colours: Mapping[str, str]) -> Iterator[ToldPanel]:
    for task in sorted({str(row["task"]) for row in found.points}):
        keys = list(dict.fromkeys(_key(row) for row in found.points if row["task"] == task))
        names = _names(keys, [str(shape) for shape in shapes])
        made = (_series(key, names[key], found, shapes[key[1]], colours[key[2]]) for key in keys)
        yield ToldPanel(plain(task), tuple(made))


def _names(keys: Sequence[tuple[str, ...]], models: Sequence[str]) -> dict[tuple[str, ...], str]:
    """What tells the series of a panel apart: the strategy, the model, or a number where settings alone differ."""
    if len(keys) < 2:
        return dict.fromkeys(keys, "")
    short = short_models(models)
    several = len({key[1] for key in keys}) > 1
    bare = {key: " · ".join((plain(key[2]), *((short[key[1]],) if several else ()))) for key in keys}
    found = dict[tuple[str, ...], str]()
    for key, name in bare.items():
        alike = [other for other in keys if bare[other] == name]
        found[key] = name if len(alike) == 1 else f"{name} ({alike.index(key) + 1})"
    return found


def _series(key: tuple[str, ...], name: str, found: _Frames, shape: theme.Shape, colour: str) -> Series:
    mine = sorted((row for row in found.points if _key(row) == key), key=lambda row: row["told"])
    scored = {row["told"]: row for row in found.accuracy if _key(row) == key}
    summary, untold = found.summary.get(key), found.plainly.get(key)
    rebounds = summary is not None and summary["p_rebound"] is not None and summary["p_rebound"] <= SURE
    return Series(
        name=name,
        colour=colour,
        shape=shape,
        stated=all(row["stated"] for row in mine),
        used=tuple(_used(row, scored.get(row["told"]), found.muted) for row in mine),
        accuracy=tuple(_scored(row, found.muted) for _, row in sorted(scored.items())),
        level=Level(untold["used"], untold["accuracy"]) if untold else Level(None, None),
        floor=float(summary["floor"]) if summary is not None and rebounds else None,
    )


def _used(row: Row, cell: Row | None, muted: str) -> Stop:
    kept = fmt.interval(row["obeyed_low"], row["obeyed_high"], fmt.percent)
    capped = f" · {fmt.percent(row['capped'])} cut by their own cap" if row["capped"] else ""
    lines = (
        f"<b>{'stated' if row['stated'] else 'told'} {safe(fmt.number(row['told']))} tokens</b>",
        measured(row["used"], row["used_low"], row["used_high"], fmt.number, "tokens used", muted),
        f"{safe(fmt.percent(row['obeyed']))}  {safe(kept)}  kept to it",
        f'<span style="color:{muted}">n = {fmt.plural(row["n_questions"], "question")} · 95% intervals{capped}</span>',
    )
    place = (cell["condition_id"], cell["budget"]) if cell else ("", None)
    return Stop(row["told"], row["used"], row["used_low"], row["used_high"], "<br>".join(lines), *place)


def _scored(row: Row, muted: str) -> Stop:
    lines = (
        f"<b>told {safe(fmt.number(row['told']))} tokens</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], fmt.percent, "accuracy", muted),
        f'<span style="color:{muted}">n = {fmt.plural(row["n_questions"], "question")} · 95% intervals</span>',
    )
    ends = (row["accuracy_low"], row["accuracy_high"])
    return Stop(row["told"], row["accuracy"], *ends, "<br>".join(lines), row["condition_id"], row["budget"])


def _told_scale(told: Sequence[float], pixels: float) -> LogScale:
    """With a tick at each told budget, as far as there is room; a stated mean is no round number and gets none."""
    scale = log_scale(told, tick=fmt.number, pixels=pixels)
    round_ones = sorted({value for value in told if value == round(value)})
    wide = max((width(fmt.number(value), 12.5) for value in round_ones), default=0.0) + TICK_GAP
    for every in range(1, len(round_ones)):
        kept = round_ones[::every]
        places = [scale.fraction(value) * pixels for value in kept]
        if len(kept) > 1 and min(after - before for before, after in pairwise(places)) >= wide:
            return replace(scale, ticks=tuple((value, fmt.number(value)) for value in kept))
    return scale


def _laid_out(panels: tuple[ToldPanel, ...], *, narrow: bool, dark: bool) -> ToldInfo:
    every = [series for panel in panels for series in panel.series]
    names = [series.name for series in every if series.name]
    tiling = tiling_for(len(panels), names, narrow=narrow, labelled=bool(names))
    used = [stop for series in every for stop in series.used]
    scored = [stop for series in every for stop in series.accuracy]
    levels = [s.level for s in every]
    across, high = tiling.across - tiling.reserve, tiling.high
    x_scale = _told_scale([stop.told for stop in (*used, *scored)], across)
    if tiling.reserve:
        span = x_scale.high - x_scale.low
        x_scale = LogScale(x_scale.low, x_scale.high + span * tiling.widening, x_scale.zero, x_scale.ticks)
    values = [*(stop.value for stop in used), *(level.used for level in levels if level.used)]
    ends = [max(end, min(values) / 3) for stop in used for end in (stop.low, stop.high) if end is not None]
    share = list(chain((stop.value for stop in scored), (v.accuracy for v in levels if v.accuracy is not None)))
    edges = [end for stop in scored for end in (stop.low, stop.high) if end is not None]
    return ToldInfo(
        dark=dark,
        panels=panels,
        tiling=tiling,
        x_scale=x_scale,
        used_scale=log_scale(values, tick=fmt.number, pixels=high * 1.4, edges=ends),
        accuracy_scale=accuracy_scale(share, edges),
    )


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
        "showgrid": True,
        "gridcolor": inks.grid,
        "gridwidth": 1,
        "showline": False,
        "ticks": "",
        "fixedrange": True,
    }


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
        "type": "scatter",
        "x": list(x),
        "y": list(y),
        "mode": "lines",
        "line": pen,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _marks(series: Series, stops: Sequence[Stop], info: ToldInfo, inks: Inks, up: LogScale | None) -> Trace:
    """Marks joined by a light line, with interval bars that end at the edge of a log axis."""
    bottom = -math.inf if up is None else 10 ** (up.low - 0.3)
    bars = {
        "type": "data",
        "symmetric": False,
        "width": 0,
        "thickness": 1.2,
        "color": fade(series.colour, 0.6),
        "array": [max(0.0, (s.value if s.high is None else s.high) - s.value) for s in stops],
        "arrayminus": [max(0.0, s.value - max(s.value if s.low is None else s.low, bottom)) for s in stops],
    }
    marker = {
        "symbol": series.shape.symbol,
        "size": 9 * series.shape.factor,
        "opacity": 1,
        "color": inks.background if series.stated else series.colour,
        "line": {"color": series.colour if series.stated else inks.background, "width": 1.4},
    }
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [info.x_scale.place(s.told) for s in stops],
        "y": [s.value if up is None else up.place(s.value) for s in stops],
        "error_y": bars,
        "marker": marker,
        "line": {"color": fade(series.colour, 0.45), "width": 1.1},
        "showlegend": False,
        "cliponaxis": False,
        "customdata": [[s.condition_id, s.budget] for s in stops],
        "hovertext": [s.hover for s in stops],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverlabel": {"bordercolor": series.colour},
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0.55}},
    }


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
        yield at | place | {"text": f"▲<br>floor {safe(fmt.number(series.floor or 0))}", "showarrow": False}


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
            "x": math.log10(x.place(end.told)),
            "y": math.log10(y.place(end.value)),
            "ax": right,
            "ay": label.dy,
            "axref": f"x{number + 1}" if number else "x",
            "text": safe(series.name),
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 0.9,
            "xanchor": "left",
            "yanchor": "middle",
            "standoff": 5,
            "borderpad": 1,
            "arrowcolor": fade(series.colour, 0.75 if label.leader else 0),
            "captureevents": False,
            "font": {"size": SIZE, "color": inks.text, "shadow": halo(inks)},
        }
