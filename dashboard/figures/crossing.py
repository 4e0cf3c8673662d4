"""Where one setting overtakes another: the paired difference in accuracy over the budget.

The difference is in force from its budget to the next one looked at; zero is where they are even.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard import theme
from dashboard.figures.axes import FOOT, NARROW, WIDTH, AccuracyScale, Box, Lens, LogScale, log_scale, signed_ticks
from dashboard.figures.curves import BUDGETS, budget_line
from dashboard.figures.ink import (
    accuracy_axis,
    empty_figure,
    halo,
    hovering,
    layout,
    note,
    painted,
    spend_axis,
    spend_title,
    stroke,
)
from dashboard.figures.lettering import plain, safe
from dashboard.figures.marks import measured, muted_text
from dashboard.theme import fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

HEIGHT = 430
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

__all__ = ["CrossingInfo", "Gap", "crossing_caption", "crossing_figure", "crossing_info"]


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference at a budget, with its 95% interval."""

    x: float
    mean: float
    low: float
    high: float
    hover: str


@dataclass(frozen=True, slots=True)
class CrossingInfo:
    """Everything the figure shows; names are not escaped."""

    names: tuple[str, str]
    """Who is ahead above zero, and who below."""
    lens: Lens
    dark: bool
    box: Box
    gaps: tuple[Gap, ...]
    ahead: float | None
    """Budget from which the first is ahead at all larger ones; None: at none."""
    colour: str
    x_scale: LogScale
    y_scale: AccuracyScale


def crossing_info(
    frame: pl.DataFrame,
    names: tuple[str, str],
    *,
    axis: str,
    first: int | None = None,
    colour: str | None = None,
    narrow: bool = False,
    dark: bool = False,
) -> CrossingInfo:
    """From rows budget, n, difference, low, high. `first`: the budget from which on the first name is ahead.

    Raises KeyError for an unknown axis."""
    lens, inks, gaps = BUDGETS[axis], theme.inks(dark), list[Gap]()
    for row in frame.drop_nulls(["budget", "difference", "low", "high"]).sort("budget").to_dicts():
        x, mean, low, high = row["budget"] * lens.scale, row["difference"], row["low"], row["high"]
        count = f"n = {fmt.plural(int(row['n']), 'question')} · 95% interval"
        lines = (
            measured(mean, low, high, fmt.points, "", inks.muted),
            budget_line(x, lens),
            muted_text(count, inks.muted),
        )
        gaps.append(Gap(x, mean, low, high, "<br>".join(lines)))
    box = Box(NARROW if narrow else WIDTH, HEIGHT, FOOT)
    x_scale = log_scale([gap.x for gap in gaps], tick=lens.tick, pixels=box.plot[0])
    # From below zero to above it, whatever the data, in steps that give six ticks or so.
    least, most = min([-0.02, *(gap.low for gap in gaps)]), max([0.02, *(gap.high for gap in gaps)])
    step = next((step for step in STEPS if (most - least) / step <= 8), STEPS[-1])
    bottom, top = math.floor(least / step), math.ceil(most / step)
    y_scale = AccuracyScale(bottom * step, top * step, signed_ticks(bottom, top, step))
    ahead, shown = None if first is None else first * lens.scale, (plain(names[0]), plain(names[1]))
    return CrossingInfo(shown, lens, dark, box, tuple(gaps), ahead, colour or inks.primary, x_scale, y_scale)


def crossing_caption(info: CrossingInfo) -> str:
    """What line and band mean; empty when nothing is drawn."""
    if not info.gaps:
        return ""
    drawn = "line: difference in accuracy on the questions both have, band: its 95% interval at each budget by itself"
    return drawn if info.ahead is None else f"{drawn} · upright line: from there on the interval stays above zero"


def crossing_figure(info: CrossingInfo) -> go.Figure:
    """Draw it; without a difference, a figure with one sentence."""
    inks, gaps, colour, up = theme.inks(info.dark), info.gaps, info.colour, info.y_scale
    if not gaps:
        return empty_figure("The two share no question at any budget, so there is no difference to draw.", inks)
    x = [info.x_scale.place(gap.x) for gap in gaps]
    edges, steps = [10**info.x_scale.low, 10**info.x_scale.high], {"shape": "hv", "color": colour}
    # The band is the ground between two unseen lines: "tonexty" fills up to the trace before, so their order counts.
    traces = [
        stroke(edges, [0, 0], {"width": 1.3, "color": fade(inks.line, 0.7)}),
        stroke(x, [gap.low for gap in gaps], steps | {"width": 0}),
        stroke(x, [gap.high for gap in gaps], steps | {"width": 0}, fill="tonexty", fillcolor=fade(colour, 0.18)),
    ]
    bold, quiet = {"size": 13, "color": inks.text}, {"size": 12, "color": inks.muted, "shadow": halo(inks)}
    title = {"xanchor": "left", "yanchor": "bottom", "xshift": -42, "yshift": 8, "font": bold}
    corner = {"xanchor": "left", "xshift": 4, "font": quiet}
    notes = [
        note("<b>Difference in accuracy</b>, points", x=0, y=1, **title),
        spend_title(f"<b>{info.lens.title}</b>, {info.lens.per}, log scale", inks),
        note(f"↑ {safe(info.names[0])} ahead", x=0, y=1, yanchor="top", yshift=-2, **corner),
        note(f"↓ {safe(info.names[1])} ahead", x=0, y=0, yanchor="bottom", yshift=2, **corner),
    ]
    if info.ahead is not None:
        place, at = info.x_scale.place(info.ahead), info.x_scale.fraction(info.ahead)
        traces.append(stroke([place, place], [up.low, up.high], {"width": 1.3, "dash": "dot", "color": inks.text}))
        # At the left the words would lie on "ahead" in the corner, so they stand a line higher there.
        side = {"xanchor": "left", "xshift": 5} if at < 0.7 else {"xanchor": "right", "xshift": -5}
        foot = {"yanchor": "bottom", "yshift": 2 if at > 0.35 else 20, "font": quiet | {"color": inks.text}}
        notes.append(note(f"ahead from {safe(info.lens.tick(info.ahead))} on", x=at, y=0, **foot, **side))
    line = {"type": "scatter", "x": x, "y": [gap.mean for gap in gaps], "mode": "lines+markers", "showlegend": False}
    line |= {"line": steps | {"width": 2}, "marker": {"size": 5, "color": colour}}
    traces.append(line | hovering([gap.hover for gap in gaps], colour))
    sides = {"xaxis": spend_axis(info.x_scale, inks), "yaxis": accuracy_axis(up, inks), "annotations": notes}
    return painted(traces, layout(inks, info.box) | sides | {"hovermode": "x"})
