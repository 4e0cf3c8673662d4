"""Told against used tokens, computed: a panel per task, a series per model and way of telling, two figures on one grid.

Owns `ToldInfo`: mean use with its interval, what the model uses when told nothing, the floor where a rebound was
found; and accuracy against the same told tokens. Drawing is `told_plot`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from dashboard import format as fmt
from dashboard import theme
from dashboard.figures.hover import measured
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.names import Row, short_models
from dashboard.figures.scales import AccuracyScale, LogScale, accuracy_scale, log_scale
from dashboard.figures.tiling import Tiling, tiling_for

if TYPE_CHECKING:
    import polars as pl

SURE = 0.05
"""Chance by luck alone below which a rebound counts as found."""
KEY = ("task", "model", "strategy", "settings")
TICK_GAP = 8
"""Pixels between two told budgets that are written."""

__all__ = ["KEY", "SURE", "Level", "Series", "Stop", "ToldInfo", "ToldPanel", "told_caption", "told_info"]


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
    points: pl.DataFrame, summary: pl.DataFrame, accuracy: pl.DataFrame, plainly: pl.DataFrame, *,
    models: Sequence[str] = (), strategies: Sequence[str] = (), narrow: bool = False, dark: bool = False,
) -> ToldInfo:  # fmt: skip
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
        "mean output tokens of whole replies, with 95% intervals", "below the grey line the budget is kept on average",
        "dashed: chain of thought that is told nothing" if any(s.level.used is not None for s in every) else "",
        "▲ the floor: below it use is found to rise again" if any(s.floor for s in every) else "",
        "hollow: budgets the model stated itself" if any(s.stated for s in every) else "",
    ]  # fmt: skip
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
    kept = fmt.interval(row["obeyed_low"], row["obeyed_high"], lambda end: fmt.percent(end).removesuffix("%"))
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
    scale = log_scale(told, tick=fmt.number_tick, pixels=pixels)
    round_ones = sorted({value for value in told if value == round(value)})
    wide = max((width(fmt.number_tick(value), 12.5) for value in round_ones), default=0.0) + TICK_GAP
    for every in range(1, len(round_ones)):
        kept = round_ones[::every]
        places = [scale.fraction(value) * pixels for value in kept]
        if len(kept) > 1 and min(after - before for before, after in pairwise(places)) >= wide:
            return replace(scale, ticks=tuple((value, fmt.number_tick(value)) for value in kept))
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
        used_scale=log_scale(values, tick=fmt.number_tick, pixels=high * 1.4, edges=ends),
        accuracy_scale=accuracy_scale(share, edges),
    )
