"""Accuracy against budget, computed: one panel per task, one curve per condition, labels at the right end.

A curve is what an anytime condition would have scored under every smaller budget; conditions that plan with their
budget are dots, one trial set per budget. Where some trials were not observed far enough (`n_censored`), n drops and
the curve is marked unsure. Owns `CurvesInfo`; drawing is `curves_plot`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dashboard import format as fmt
from dashboard import theme
from dashboard.figures.axes import Lens
from dashboard.figures.hover import measured
from dashboard.figures.lettering import plain, safe
from dashboard.figures.names import Row, name_rows, variant
from dashboard.figures.scales import AccuracyScale, LogScale, accuracy_scale, log_scale
from dashboard.figures.tiling import EndLabel, Tiling, end_labels, tiling_for

if TYPE_CHECKING:
    import polars as pl

BUDGETS: dict[str, Lens] = {
    "total_tokens": Lens("budget", "Budget per question", "tokens"),
    "output_tokens": Lens("budget", "Budget per question", "output tokens"),
    "calls": Lens("budget", "Budget per question", "calls"),
    "usd": Lens("budget", "Budget per question", "US dollars", 1e-12, True),
    "wh": Lens("budget", "Budget per question", "Wh", 1e-12),
}
"""By budget axis; budgets in money and energy are integer pico-dollars and pico-Wh in the frames."""

__all__ = ["BUDGETS", "Curve", "CurvesInfo", "Panel", "Stop", "curves_caption", "curves_info"]


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
            "condition_id": row["condition_id"], "budget": row["budget"], "accuracy": row["accuracy"],
            "low": row["accuracy_low"], "high": row["accuracy_high"], "n": row["n_questions"],
            "n_censored": row["n_censored"],
        }
        for row in sorted(kept, key=lambda row: row["budget"])
    ]  # fmt: skip


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
