"""Told against used tokens: a panel per task, a series per model and way of telling, two figures on one grid.

The first has mean use with its interval, what the model uses when told nothing, and the floor where a rebound was
found; the second has accuracy against the same told tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import AccuracyScale, LogScale, Room, accuracy_scale, log_scale
from dashboard.figures.ends import end_labels, end_note
from dashboard.figures.ink import (
    SELECTABLE,
    Trace,
    accuracy_axis,
    empty_figure,
    halo,
    hovering,
    interval_bars,
    painted,
    spend_axis,
    spend_title,
    stroke,
)
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import measured, muted_text
from dashboard.figures.names import Row, short_models
from dashboard.figures.tiling import GUTTER, Tiling, grid, noted, panel_title, placed, tiling_for
from dashboard.theme import Inks, fade
from engine.core import names
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
EACH = 24
"""Told budgets up to which each has a tick, where there is room."""
TITLE = "<b>Stated budget</b>, output tokens, log scale"


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
    """One model told in one way; `name` is not escaped, empty where every panel has one series."""

    name: str
    colour: str
    ink: str
    """Colour of its name."""
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
    room: Room = "wide",
    dark: bool = False,
) -> ToldInfo:
    """What both figures show of `points` and `summary`, the frames of `Results.elasticity`.

    `accuracy`: columns KEY, told, accuracy, accuracy_low, accuracy_high, n_questions, condition_id, budget; `plainly`:
    columns KEY, used, accuracy of the untold chain of thought a series is held against. A stated budget without an
    interval is not drawn."""

    def key_of(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in KEY)

    # A stated budget is a mean of what a model said; without an interval it hangs on one reply.
    rows = [row for row in points.to_dicts() if not (row["stated"] and row["used_low"] is None)]
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    known = [*strategies, *(str(row["strategy"]) for row in rows)]
    colours, letters = theme.strategy_colours(known, dark=dark), theme.label_colours(known, dark=dark)
    summaries, untolds = ({key_of(row): row for row in frame.to_dicts()} for frame in (summary, plainly))
    scored_rows, muted, panels = accuracy.to_dicts(), theme.inks(dark).muted, list[ToldPanel]()
    called = names.tasks(str(row["task"]) for row in rows)
    of_task = {task: list(dict.fromkeys(key_of(row) for row in rows if row["task"] == task)) for task in called}
    alone = all(len(keys) < 2 for keys in of_task.values())
    for task in sorted(called, key=called.__getitem__):
        drawn = []
        for key, name in _names(of_task[task], [*shapes], alone=alone).items():
            stops = sorted((row for row in rows if key_of(row) == key), key=lambda row: row["told"])
            # Accuracy is known only where a condition tells exactly this budget.
            scored = {row["told"]: row for row in scored_rows if key_of(row) == key}
            trend, untold = summaries.get(key), untolds.get(key)
            rebounds = trend is not None and trend["p_adjusted"] is not None and trend["p_adjusted"] <= SURE
            series = Series(
                name=name,
                colour=colours[key[2]],
                ink=letters[key[2]],
                shape=shapes[key[1]],
                stated=all(row["stated"] for row in stops),
                used=tuple(_used(row, scored.get(row["told"]), muted) for row in stops),
                accuracy=tuple(_scored(row, muted) for _, row in sorted(scored.items())),
                level=Level(untold["used"], untold["accuracy"]) if untold else Level(None, None),
                floor=float(trend["floor"]) if trend is not None and rebounds else None,
            )
            drawn.append(series)
        panels.append(ToldPanel(plain(called[task]), tuple(drawn)))
    return _laid_out(tuple(panels), room=room, dark=dark)


def _names(keys: Sequence[tuple[str, ...]], models: Sequence[str], *, alone: bool) -> dict[tuple[str, ...], str]:
    """What tells the series of a panel apart: the strategy, the model, or a number where settings alone differ; nothing
    where each is `alone` in its panel."""
    if alone:
        return dict.fromkeys(keys, "")
    short, several = short_models(models), len({key[1] for key in keys}) > 1
    strategies = {key: plain(names.strategy(key[2])) for key in keys}
    bare = {key: f"{name} · {short[key[1]]}" if several else name for key, name in strategies.items()}
    called = dict[tuple[str, ...], str]()
    for key, name in bare.items():
        alike = [other for other in keys if bare[other] == name]
        called[key] = name if len(alike) == 1 else f"{name} ({alike.index(key) + 1})"
    return called


def _used(row: Row, cell: Row | None, muted: str) -> Stop:
    obeyed = fmt.interval(row["obeyed_low"], row["obeyed_high"], fmt.percent)
    capped = f" · {fmt.percent(row['capped'])} cut by their own cap" if row["capped"] else ""
    lines = (
        f"<b>stated {safe(fmt.number(row['told']))} tokens</b>",
        measured(row["used"], row["used_low"], row["used_high"], fmt.number, "tokens used", muted),
        f"{safe(fmt.percent(row['obeyed']))}  {safe(obeyed)}  kept to it",
        muted_text(f"n = {fmt.plural(row['n_questions'], 'question')} · 95% intervals{capped}", muted),
    )
    place = (cell["condition_id"], cell["budget"]) if cell else ("", None)
    return Stop(row["told"], row["used"], row["used_low"], row["used_high"], "<br>".join(lines), *place)


def _scored(row: Row, muted: str) -> Stop:
    value, low, high = row["accuracy"], row["accuracy_low"], row["accuracy_high"]
    lines = (
        f"<b>stated {safe(fmt.number(row['told']))} tokens</b>",
        measured(value, low, high, fmt.percent, "accuracy", muted),
        muted_text(f"n = {fmt.plural(row['n_questions'], 'question')} · 95% intervals", muted),
    )
    return Stop(row["told"], value, low, high, "<br>".join(lines), row["condition_id"], row["budget"])


def _laid_out(panels: tuple[ToldPanel, ...], *, room: Room, dark: bool) -> ToldInfo:
    every = [series for panel in panels for series in panel.series]
    names = [series.name for series in every if series.name]
    tiling = tiling_for(len(panels), names, room=room, labelled=bool(names))
    used = [stop for series in every for stop in series.used]
    scored = [stop for series in every for stop in series.accuracy]
    across, told = tiling.across - tiling.reserve, [stop.told for stop in (*used, *scored)]
    x_scale = log_scale(told, tick=fmt.number, pixels=across)
    # A tick at each told budget, as far as there is room; a stated mean is no round number and gets none.
    round_ones = sorted({value for value in told if value == round(value)})
    wide = max((width(fmt.number(value), 12.5) for value in round_ones), default=0.0) + TICK_GAP
    # Of more than anybody compares one by one, every twentieth would be no number to remember either.
    for every_nth in range(1, len(round_ones) if len(round_ones) <= EACH else 0):
        ticked = round_ones[::every_nth]
        places = [x_scale.fraction(value) * across for value in ticked]
        if len(ticked) > 1 and min(after - before for before, after in pairwise(places)) >= wide:
            x_scale = replace(x_scale, ticks=tuple((value, fmt.number(value)) for value in ticked))
            break
    # The axis grows after its ticks were chosen, or names would take the room of ticks.
    if tiling.reserve:
        x_scale = replace(x_scale, high=x_scale.high + (x_scale.high - x_scale.low) * tiling.widening)
    values = [*(stop.value for stop in used), *(series.level.used for series in every if series.level.used)]
    # An interval almost down to no token would squeeze the rest, on a log axis: it runs out at a third of the least.
    ends = [max(end, min(values) / 3) for stop in used for end in (stop.low, stop.high) if end is not None]
    levels = [series.level.accuracy for series in every if series.level.accuracy is not None]
    edges = [end for stop in scored for end in (stop.low, stop.high) if end is not None]
    return ToldInfo(
        dark=dark,
        panels=panels,
        tiling=tiling,
        x_scale=x_scale,
        used_scale=log_scale(values, tick=fmt.number, pixels=tiling.high * 1.4, edges=ends),
        accuracy_scale=accuracy_scale([*(stop.value for stop in scored), *levels], edges),
    )


def told_caption(info: ToldInfo) -> str:
    """What marks and lines mean; empty when nothing is drawn."""
    if not info.panels:
        return ""
    every = [series for panel in info.panels for series in panel.series]
    parts = [
        "mean output tokens of whole replies, with 95% intervals",
        "below the grey line the budget is kept on average",
        "dashed: chain of thought without a stated budget" if any(s.level.used is not None for s in every) else "",
        "▲ the floor: below it use is found to rise again" if any(s.floor for s in every) else "",
        "hollow: budgets the model stated itself" if any(s.stated for s in every) else "",
    ]
    return " · ".join(part for part in parts if part)


def told_figure(info: ToldInfo) -> go.Figure:
    """Mean used against told tokens, log-log; without a series, a figure with one sentence."""
    inks, x, y = theme.inks(info.dark), info.x_scale, info.used_scale
    if not info.panels:
        return empty_figure("No prompt here states a budget.", inks)
    diagonal, across = (max(x.low, y.low), min(x.high, y.high)), _across(info)
    traces, notes = list[Trace](), list[dict[str, Any]]()
    # The untold level is named once, in the panel whose marks at the left are farthest from it; of equals, the first.
    clearest = max(range(len(info.panels)), key=lambda i: (_room_at_level(info.panels[i], info), -i))
    for i, panel in enumerate(info.panels):
        of_panel = list[Trace]()
        if diagonal[0] < diagonal[1]:
            ends = [10**end for end in diagonal]
            of_panel.append(stroke(ends, ends, {"width": 1.6, "color": fade(inks.muted, 0.55)}))
        for used in dict.fromkeys(series.level.used for series in panel.series if series.level.used):
            pen = {"width": 1.3, "dash": "dash", "color": fade(inks.text, 0.6)}
            of_panel.append(stroke(across, (used, used), pen))
        of_panel += [_marks(series, series.used, info, inks, y) for series in panel.series]
        traces += placed(of_panel, i)
        notes += noted(_words(panel, info, inks, level=i == clearest, diagonal=not i and diagonal[0] < diagonal[1]), i)
        also = [
            [*zip(across, (level.used,) * 2, strict=True)] for level in {s.level for s in panel.series} if level.used
        ]
        also += [[(end, end) for end in (10 ** diagonal[0], 10 ** diagonal[1])]] if diagonal[0] < diagonal[1] else []
        notes += noted(_named([(s, s.used) for s in panel.series], also, info, inks, y), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "tokens used")], i)
    # A log axis that goes up: a light grid, neither line nor ticks.
    up = {"showgrid": True, "gridcolor": inks.grid, "gridwidth": 1, "showline": False, "ticks": "", "fixedrange": True}
    paper = grid(info.tiling, inks, spend_axis(x, inks), spend_axis(y, inks) | up)
    return painted(traces, paper | {"annotations": [*notes, spend_title(TITLE, inks)]})


def obeyed_figure(info: ToldInfo) -> go.Figure:
    """Accuracy against told tokens; without a scored series, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not any(series.accuracy for panel in info.panels for series in panel.series):
        return empty_figure("No stated budget has a scored question here.", inks)
    traces, notes, across = list[Trace](), list[dict[str, Any]](), _across(info)
    pen = {"width": 1.3, "dash": "dash", "color": fade(inks.text, 0.6)}
    for i, panel in enumerate(info.panels):
        shares = dict.fromkeys(s.level.accuracy for s in panel.series if s.level.accuracy is not None)
        levels = [stroke(across, (share, share), pen) for share in shares]
        marks = (_marks(series, series.accuracy, info, inks, None) for series in panel.series if series.accuracy)
        traces += placed([*levels, *marks], i)
        also = [[*zip(across, (share, share), strict=True)] for share in shares]
        notes += noted(_named([(s, s.accuracy) for s in panel.series], also, info, inks, info.accuracy_scale), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "accuracy")], i)
    paper = grid(info.tiling, inks, spend_axis(info.x_scale, inks), accuracy_axis(info.accuracy_scale, inks))
    return painted(traces, paper | {"annotations": [*notes, spend_title(TITLE, inks)]})


def _named(
    every: Iterable[tuple[Series, Sequence[Stop]]],
    lines: Iterable[Sequence[tuple[float, float]]],
    info: ToldInfo,
    inks: Inks,
    up: LogScale | AccuracyScale,
) -> Iterator[dict[str, Any]]:
    """The names of those with a stop, at their last ones, clear of marks, intervals and `lines`, all in values."""
    named, x, tiling = [(s, stops) for s, stops in every if s.name and stops], info.x_scale, info.tiling

    def at(told: float, value: float) -> tuple[float, float]:
        return x.fraction(told) * tiling.across, (1 - up.fraction(value)) * tiling.high

    drawn = [[at(*corner) for corner in line] for line in lines]
    for _, stops in named:
        drawn.append([at(stop.told, stop.value) for stop in stops])
        bars = ((s.told, s.low, s.high) for s in stops if s.low is not None and s.high)
        # An interval that begins at zero has no foot on a log axis: below the panel is far enough.
        drawn += [[at(told, max(low, high / 1e4)), at(told, high)] for told, low, high in bars]
    ends, per_pixel = [at(stops[-1].told, stops[-1].value) for _, stops in named], (x.high - x.low) / tiling.across
    for label in end_labels(ends, [series.name for series, _ in named], tiling, drawn):
        (series, stops), room = named[label.line], tiling.across + GUTTER / 2 - ends[label.line][0] - label.dx
        high = math.log10(up.place(stops[-1].value)) if isinstance(up, LogScale) else stops[-1].value
        end = (math.log10(x.place(stops[-1].told)), high)
        yield end_note(label, series.name, end, per_pixel, (series.colour, series.ink), inks, room)


def _across(info: ToldInfo) -> tuple[float, float]:
    """From edge to edge, short of the names at the right."""
    span = info.x_scale.high - info.x_scale.low
    return 10**info.x_scale.low, 10 ** (info.x_scale.high - span * info.tiling.reserve / info.tiling.across)


def _marks(series: Series, stops: Sequence[Stop], info: ToldInfo, inks: Inks, up: LogScale | None) -> Trace:
    """Marks joined by a light line, with interval bars that end at the edge of a log axis."""
    # A bar that runs to zero has no end on a log axis.
    bottom = -math.inf if up is None else 10 ** (up.low - 0.3)
    lows = [None if s.low is None else max(s.low, bottom) for s in stops]
    bars = interval_bars([s.value for s in stops], lows, [s.high for s in stops], fade(series.colour, 0.6), 1.2)
    fill, edge = (inks.background, series.colour) if series.stated else (series.colour, inks.background)
    marker = {"symbol": series.shape.symbol, "size": 9 * series.shape.factor, "opacity": 1, "color": fill}
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [info.x_scale.place(s.told) for s in stops],
        "y": [s.value if up is None else up.place(s.value) for s in stops],
        "error_y": bars,
        "marker": marker | {"line": {"color": edge, "width": 1.4}},
        "line": {"color": fade(series.colour, 0.45), "width": 1.1},
        "showlegend": False,
        "cliponaxis": False,
        "customdata": [[s.condition_id, s.budget] for s in stops],
    }
    return trace | SELECTABLE | hovering([s.hover for s in stops], series.colour)


def _words(panel: ToldPanel, info: ToldInfo, inks: Inks, *, level: bool, diagonal: bool) -> Iterator[dict[str, Any]]:
    """What the lines are, said on them, and the floor."""
    quiet = {"size": 11.5, "color": inks.muted, "shadow": halo(inks)}
    x, y, used = info.x_scale, info.used_scale, _untold(panel)
    if diagonal:
        # At its upper end, where no mark of a budget that is kept can be: under it, or over it at the right edge.
        end, inside = min(x.high, y.high), x.high > y.high
        place = {"x": end, "y": end, "xanchor": "left" if inside else "right", "yanchor": "top" if inside else "bottom"}
        yield place | {"text": "as stated", "showarrow": False, "font": quiet, "xshift": 4 if inside else -4}
    if level and used is not None:
        # Above its line, but at the very top of the panel below it.
        place = {"xanchor": "left", "yanchor": "bottom" if y.fraction(used) < 0.9 else "top", "xshift": 3}
        words = "chain of thought, nothing stated"
        yield {"x": x.low, "y": math.log10(y.place(used)), "text": words, "showarrow": False, "font": quiet, **place}
    for series, stop in ((s, stop) for s in panel.series for stop in s.used if stop.told == s.floor):
        place = {"x": math.log10(x.place(stop.told)), "y": math.log10(y.place(stop.value)), "showarrow": False}
        words = f"▲<br>floor {safe(fmt.number(series.floor or 0))}"
        font = quiet | {"color": inks.text}
        yield place | {"text": words, "font": font, "xanchor": "center", "yanchor": "top", "yshift": -8}


def _untold(panel: ToldPanel) -> float | None:
    """The highest of its untold levels; None: it has none."""
    return max((s.level.used for s in panel.series if s.level.used), default=None)


def _room_at_level(panel: ToldPanel, info: ToldInfo) -> float:
    """How far the nearest mark of its left part is from the panel's untold level, as a share of its height."""
    level, place = _untold(panel), info.used_scale.fraction
    if level is None:
        return -1.0
    near = [stop for s in panel.series for stop in s.used if info.x_scale.fraction(stop.told) < 0.6]
    return min((abs(place(stop.value) - place(level)) for stop in near), default=1.0)
