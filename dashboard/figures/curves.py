"""Accuracy against budget: one panel per task, one curve per condition, names at the right end.

A curve is what an anytime condition would have scored under every smaller budget, a step line with its band; conditions
that plan with their budget are dots, one trial set per budget. Where some trials were not observed far enough
(`n_censored`), n drops and the curve is marked unsure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import AccuracyScale, Lens, LogScale, Room, accuracy_scale, log_scale
from dashboard.figures.ends import Box, EndLabel, end_labels, end_note
from dashboard.figures.ink import (
    SELECTABLE,
    Trace,
    accuracy_axis,
    empty_figure,
    halo,
    hovering,
    interval_bars,
    note,
    painted,
    spend_axis,
    spend_title,
    stroke,
)
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import baseline_marks, baselines, measured, muted_text
from dashboard.figures.names import Row, name_rows, short_models, variant
from dashboard.figures.tiling import (
    GUTTER,
    SIZE,
    Tiling,
    fits,
    grid,
    noted,
    panel_title,
    placed,
    tiling_for,
)
from dashboard.theme import fade
from engine.core import names
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
    "budget_line",
    "curves_caption",
    "curves_figure",
    "curves_info",
]


BUDGETS: dict[str, Lens] = {
    "total_tokens": Lens("budget", "Budget per question", "tokens"),
    "output_tokens": Lens("budget", "Budget per question", "output tokens"),
    "calls": Lens("budget", "Budget per question", "calls"),
    "usd": Lens("budget", "Budget per question", "US dollars", 1e-12, True),
    "wh": Lens("budget", "Budget per question", "Wh", 1e-12),
}
"""By budget axis; budgets in money and energy are integer pico-dollars and pico-Wh in the frames."""
MANY = 12
"""So many curves of a panel have their name beside them."""
BASELINE = 11
"""Pixels of the name of a baseline."""
BAND = 0.13
"""Opacity of a band."""


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
    """One condition, or one strategy told several budgets (`dots`: measured at these budgets only, or of so many
    answers that it is not read at all others)."""

    ids: tuple[str, ...]
    """Condition of each stop."""
    name: str
    colour: str
    ink: str
    """Colour of its name."""
    shape: theme.Shape
    dots: bool
    anytime: bool
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One task."""

    task: str
    curves: tuple[Curve, ...]
    labels: tuple[EndLabel, ...]
    baselines: tuple[tuple[float, str], ...]
    """What is scored without reading the questions, with its name."""


@dataclass(frozen=True, slots=True)
class CurvesInfo:
    """Everything the curves figure shows."""

    lens: Lens
    dark: bool
    panels: tuple[Panel, ...]
    x_scale: LogScale
    y_scale: AccuracyScale
    tiling: Tiling
    key: tuple[tuple[str, str], ...] = ()
    """Models with the signs that stand for them in the names of curves; empty where names say them."""


def curves_info(
    cells: pl.DataFrame,
    curves: Mapping[str, pl.DataFrame],
    *,
    axis: str,
    room: Room = "wide",
    dark: bool = False,
    models: Sequence[str] = (),
    strategies: Sequence[str] = (),
    said: str = "",
) -> CurvesInfo:
    """Curves of the conditions of `cells` whose budget axis is `axis`.

    `curves`: condition id to its curve frame (budget, accuracy, low, high, n, n_censored, spend). Conditions without
    one are drawn as dots at the budgets of their cells. `said`: what budgets rest on, for the axis
    title. Raises KeyError for an unknown axis."""
    # A KeyError here is a mistake of ours: the page offers only known axes.
    lens = replace(BUDGETS[axis], said=said)
    rows: list[Row] = [row for row in cells.to_dicts() if row["axis"] == axis]
    # All there are, before those shown: a filter must not hand a model's shape to another.
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    known = [*strategies, *(str(row["strategy"]) for row in rows)]
    colours, letters = theme.strategy_colours(known, dark=dark), theme.label_colours(known, dark=dark)
    tasks: dict[str, list[Row]] = defaultdict(list)
    called = names.tasks(str(row["task"]) for row in rows)
    for row in rows:
        tasks[plain(called[str(row["task"])])].append(row)
    drawn = dict[str, tuple[Curve, ...]]()
    for task, task_rows in sorted(tasks.items()):
        # A condition with a curve is a curve of its own; the others are dots of one, whatever their budget.
        kin: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in task_rows:
            kin[(*variant(row), str(row["condition_id"]) if row["condition_id"] in curves else "")].append(row)
        # A curve is called after its first cell; budgets are told apart by the axis, not by the name.
        heads, task_curves = [group[0] for group in kin.values()], list[Curve]()
        for head, name, group in zip(heads, name_rows(heads), kin.values(), strict=True):
            frame = curves.get(str(head["condition_id"]))
            if measures := _measures(group, frame):
                full = ", ".join(filter(None, (name.full, fmt.draws(head.get("n_draws")))))
                stops = tuple(_stop(row, full, lens, theme.inks(dark).muted) for row in measures)
                strategy, shape = str(head["strategy"]), shapes[str(head["model"])]
                ids, inks = tuple(str(row["condition_id"]) for row in measures), (colours[strategy], letters[strategy])
                anytime = bool(head["anytime"])
                task_curves.append(Curve(ids, name.short, *inks, shape, frame is None, anytime, stops))
        if task_curves:
            drawn[task] = tuple(task_curves)
    every = [curve for of_task in drawn.values() for curve in of_task]
    all_stops = [stop for curve in every for stop in curve.stops]
    tiling, key = tiling_for(len(drawn), [curve.name for curve in every], room=room), dict[str, str]()
    if not fits([curve.name for curve in every], tiling) and len({str(row["model"]) for row in rows}) > 1:
        # Long names with a model each: the sign at the end of a curve stands for the model, which the caption names.
        short = short_models([str(row["model"]) for row in rows])
        key = {short[model]: shape.glyph for model, shape in shapes.items() if model in short}
        for task, of_task in drawn.items():
            parts = [(curve, *curve.name.rpartition(" · ")) for curve in of_task]
            drawn[task] = tuple(
                replace(curve, name=f"{strategy} {key[model]}") if dot and model in key else curve
                for curve, strategy, dot, model in parts
            )
        every = [curve for of_task in drawn.values() for curve in of_task]
        tiling = tiling_for(len(drawn), [curve.name for curve in every], room=room)
    blind = {task: baselines(tasks[task]) for task in drawn}
    levels = [at for lines in blind.values() for at, _ in lines]
    y = accuracy_scale(
        [*(s.y for s in all_stops), *levels], [e for s in all_stops for e in (s.low, s.high) if e is not None]
    )
    # Ticks by the room that curves have; then the axis grows to the right, and names stand in what it gained.
    # Budgets of settings that are never right stand on it too, or there would be nothing but zero.
    bought = [float(row["budget"]) * lens.scale for row in rows if every and row["budget"] is not None]
    x = log_scale([*(s.x for s in all_stops), *bought], tick=lens.tick, pixels=tiling.across - tiling.reserve)
    x = replace(x, high=x.high + (x.high - x.low) * tiling.widening)
    # Room for names is the same in all panels, for they share the axis.
    panels = []
    for task, of_task in drawn.items():
        outlines = [[*_outline(curve, x, y, tiling)] for curve in of_task]
        heights = [(1 - y.fraction(at)) * tiling.high for at, _ in blind[task]]
        flat = [[(0.0, up), (tiling.across, up)] for up in heights]
        # Of many the best keep their names, the others are named on hover: leaders would cover what they lead from.
        ends, called_so = [outline[-1] for outline in outlines], [curve.name for curve in of_task]
        labels = end_labels(ends, called_so, tiling, [*outlines, *flat], MANY)
        panels.append(Panel(task, of_task, labels, blind[task]))
    return CurvesInfo(lens, dark, tuple(panels), x, y, tiling, tuple(key.items()))


def _outline(curve: Curve, x: LogScale, y: AccuracyScale, tiling: Tiling) -> Iterator[tuple[float, float]]:
    """The corners of a curve in pixels of its panel, y down: level, then upright; straight from dot to dot."""
    before: float | None = None
    for stop in curve.stops:
        across, up = x.fraction(stop.x) * tiling.across, (1 - y.fraction(stop.y)) * tiling.high
        if before is not None and not curve.dots:
            yield across, before
        yield across, up
        before = up


def _measures(cells: Sequence[Row], frame: pl.DataFrame | None) -> list[Row]:
    """What is known of a curve at each budget: the rows of its frame, or its cells in the columns of such a frame."""
    if frame is None:
        names = {"low": "accuracy_low", "high": "accuracy_high", "n": "n_questions"}
        columns = {name: name for name in ("condition_id", "budget", "accuracy", "n_censored")} | names
        # A cell without a scored question has no height.
        known = [cell for cell in cells if cell["accuracy"] is not None and cell["budget"] is not None]
        by_budget = sorted(known, key=lambda cell: cell["budget"])
        return [{name: cell[of_cell] for name, of_cell in columns.items()} for cell in by_budget]
    rows = frame.drop_nulls(["budget", "accuracy"]).sort("budget").to_dicts()
    # Where under half of the questions are still observed, those are no fair sample: the curve ends.
    most, condition_id = max((row["n"] or 0 for row in rows), default=0), str(cells[0]["condition_id"])
    seen: list[Row] = [row | {"condition_id": condition_id} for row in rows if 2 * (row["n"] or 0) >= most]
    # A frame has a row where something changes; what was bought last holds up to the budget it ran under.
    top = max((cell["budget"] for cell in cells if cell["budget"] is not None), default=0)
    if seen and len(seen) == len(rows) and not seen[-1]["n_censored"] and seen[-1]["budget"] < top:
        seen.append({**seen[-1], "budget": top})
    return seen


def _stop(row: Row, name: str, lens: Lens, muted: str) -> Stop:
    x, y, censored = float(row["budget"]) * lens.scale, float(row["accuracy"]), int(row["n_censored"] or 0)
    n = int(row["n"] or 0)
    count = f"n = {fmt.plural(n, 'question')} · 95% intervals"
    lines = (
        f"<b>{safe(name)}</b>",
        measured(y, row["low"], row["high"], partial(fmt.accuracy, n=n), "accuracy", muted),
        budget_line(x, lens),
        muted_text(count + (f" · {fmt.count(censored)} not observed this far" if censored else ""), muted),
    )
    return Stop(int(row["budget"]), x, y, row["low"], row["high"], censored > 0, "<br>".join(lines))


def budget_line(x: float, lens: Lens) -> str:
    """`budget 256 tokens per question`, for a hover text."""
    # Money has its unit before the number already.
    return f"budget {safe(lens.tick(x))}{'' if lens.money else ' ' + lens.per} per question"


def curves_caption(info: CurvesInfo) -> str:
    """What line, band and dots mean; empty when nothing is drawn."""
    every = [curve for panel in info.panels for curve in panel.curves]
    band = "band: 95% interval of the curve that ends highest"
    parts = ["accuracy if every question had this budget", band] if every else []
    parts += [", ".join(f"{glyph} {model}" for model, glyph in info.key)] if info.key else []
    if any(stop.unsure for curve in every for stop in curve.stops):
        parts.append("dotted where not every answer was observed that far, ended where under half were")
    if any(curve.dots and not curve.anytime for curve in every):
        parts.append("dots: strategies that plan with their budget, measured at each")
    if any(curve.dots and curve.anytime for curve in every):
        parts.append("read at some budgets alone, as there are too many answers to read at all: straight in between")
    return " · ".join(parts)


def curves_figure(info: CurvesInfo) -> go.Figure:
    """Draw it; without a curve, a figure with one sentence."""
    inks, scale = theme.inks(info.dark), info.x_scale
    if not info.panels:
        return empty_figure("No curve here: nothing is scored under budgets on this axis.", inks)
    traces, notes = list[Trace](), list[dict[str, Any]]()
    for i, panel in enumerate(info.panels):
        # Bands lie over one another, so only the curve that ends highest has its own.
        top = max(panel.curves, key=lambda curve: curve.stops[-1].y)
        traces += placed((trace for curve in panel.curves for trace in _curve(curve, info, curve is top)), i)
        per_pixel = (scale.high - scale.low) / info.tiling.across
        names = _name_boxes(panel, info)
        for label, box in zip(panel.labels, names, strict=True):
            curve = panel.curves[label.line]
            end = (math.log10(scale.place(curve.stops[-1].x)), curve.stops[-1].y)
            room = info.tiling.across + GUTTER / 2 - box[0]
            notes += noted([end_note(label, curve.name, end, per_pixel, (curve.colour, curve.ink), inks, room)], i)
        traces += placed(baseline_marks(panel.baselines, scale, inks), i)
        notes += noted(_baseline_names(panel, info, names, inks), i)
        notes += noted([panel_title(panel.task, inks, "" if i else "accuracy")], i)
    paper = grid(info.tiling, inks, spend_axis(scale, inks), accuracy_axis(info.y_scale, inks))
    title = f"<b>{info.lens.title}</b>, {info.lens.per}{safe(info.lens.said)}, log scale"
    return painted(traces, paper | {"annotations": [*notes, spend_title(title, inks)]})


def _name_boxes(panel: Panel, info: CurvesInfo) -> list[Box]:
    """Where the names of curves stand."""
    tiling, boxes = info.tiling, list[Box]()
    for label in panel.labels:
        curve = panel.curves[label.line]
        last = curve.stops[-1]
        end = info.x_scale.fraction(last.x) * tiling.across, (1 - info.y_scale.fraction(last.y)) * tiling.high
        boxes.append(label.box(end, width(curve.name, SIZE)))
    return boxes


def _baseline_names(panel: Panel, info: CurvesInfo, names: Sequence[Box], inks: theme.Inks) -> Iterator[dict[str, Any]]:
    """The name of each baseline where fewest lines and names run through it: at the left or the right, over or under
    its line. `names`: where those of the curves stand."""
    tiling, x, y = info.tiling, info.x_scale, info.y_scale
    texts, lines = [*names], list[Box]()
    for curve in panel.curves:
        for (x0, y0), (x1, y1) in pairwise(_outline(curve, x, y, tiling)):
            lines.append((x0, min(y0, y1), x1, max(y0, y1)))
    # Nor through another baseline.
    levels = [(1 - y.fraction(at)) * tiling.high for at, _ in panel.baselines]
    lines += [(0.0, level, tiling.across, level) for level in levels]
    for at, words in panel.baselines:
        text, level = f"{words} {fmt.accuracy(at, None)}", (1 - y.fraction(at)) * tiling.high
        wide, places = width(text, BASELINE) + 6, list[tuple[int, str, str, Box]]()
        for side, left in (("left", 0.0), ("right", tiling.across - wide)):
            for anchor, top in (("bottom", level - BASELINE - 5), ("top", level + 2)):
                box = (left, top, left + wide, top + BASELINE + 3)
                met, over = (
                    sum(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in those)
                    for those in (lines, texts)
                )
                places.append((met + 50 * over + 100 * (box[3] > tiling.high or top < 0), side, anchor, box))
        _, side, anchor, box = min(places, key=lambda place: place[0])
        texts.append(box)
        where = {"x": int(side == "right"), "xanchor": side, "xshift": 3 if side == "left" else -3, "yanchor": anchor}
        font = {"size": BASELINE, "color": inks.muted, "shadow": halo(inks)}
        yield note(safe(text), y=at, font=font, **where) | {"xref": "x domain", "yref": "y"}


def _curve(curve: Curve, info: CurvesInfo, banded: bool) -> Iterator[Trace]:
    """Dots with intervals; or a step line, solid and then dotted, with marks for the pointer alone, `banded` or not."""
    background, shape, stops = theme.inks(info.dark).background, curve.shape, curve.stops
    x, y = [info.x_scale.place(stop.x) for stop in stops], [stop.y for stop in stops]
    marks = {"type": "scatter", "x": x, "y": y, "mode": "markers", "showlegend": False, "cliponaxis": False}
    # What a click on it selects: condition and budget.
    marks |= {"customdata": [[one, stop.budget] for one, stop in zip(curve.ids, stops, strict=True)]}
    marks |= hovering([stop.hover for stop in stops], curve.colour)
    if curve.dots:
        marker = {"symbol": shape.symbol, "size": 9 * shape.factor, "color": curve.colour, "opacity": 1}
        lows, highs = [stop.low for stop in stops], [stop.high for stop in stops]
        marks |= {"mode": "lines+markers", "line": {"color": fade(curve.colour, 0.45), "width": 1.1}, **SELECTABLE}
        marks |= {"error_y": interval_bars(y, lows, highs, fade(curve.colour, 0.6), 1.2)}
        yield marks | {"marker": marker | {"line": {"color": background, "width": 1.2}}}
        return
    if banded:
        yield _band(x, stops, curve.colour)
    # Dotted already from the last sure stop on: the step that leads to an unsure value is unsure itself.
    sure = next((max(0, i - 1) for i, stop in enumerate(stops) if stop.unsure), len(stops) - 1)
    # They share the last sure stop, so that no gap is between them.
    for part, thick, dash in ((slice(sure + 1), 2.0, "solid"), (slice(sure, None), 1.1, "dot")):
        if len(x[part]) > 1:
            yield stroke(x[part], y[part], {"shape": "hv", "color": curve.colour, "width": thick, "dash": dash})
    # Only the last mark is seen, in the shape of the model; the others are there for pointer and click.
    marker = {"symbol": [shape.symbol] * len(stops), "size": 8 * shape.factor, "color": curve.colour}
    marker |= {"opacity": [0.0] * (len(stops) - 1) + [1.0]}
    yield marks | {"marker": marker, "selected": SELECTABLE["selected"]}


def _band(x: Sequence[float], stops: Sequence[Stop], colour: str) -> Trace:
    """The 95% intervals of a step line, as one filled outline."""
    # Plotly fills only straight outlines: the corners of the steps are written out, along the low ends and back.
    outline = dict[str, list[tuple[float, float]]](low=[], high=[])
    # Before the first right answer no budget lets one through, and what luck could do there is no finding.
    first = next((i for i, stop in enumerate(stops) if stop.y), 0)
    for at, stop in zip(x[first:], stops[first:], strict=True):
        if stop.low is not None and stop.high is not None:
            for corners, end in ((outline["low"], stop.low), (outline["high"], stop.high)):
                corners += [(at, corners[-1][1])] if corners else []
                corners.append((at, end))
    band = [*outline["low"], *reversed(outline["high"])]
    ground = {"fill": "toself", "fillcolor": fade(colour, BAND)}
    return stroke((at for at, _ in band), (up for _, up in band), {"width": 0}, **ground)
