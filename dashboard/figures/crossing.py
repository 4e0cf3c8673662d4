"""Where one setting overtakes another: the paired difference in accuracy over the budget, computed and painted.

Owns `CrossingInfo`. The difference is in force from its budget to the next one looked at; zero is where they are even.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import NARROW, WIDTH, AccuracyScale, Box, Lens, LogScale, box_for, log_scale
from dashboard.figures.curves import BUDGETS
from dashboard.figures.ink import Trace, accuracy_axis, empty_figure, halo, layout, note, painted, spend_axis
from dashboard.figures.lettering import plain, safe
from dashboard.figures.marks import measured
from dashboard.theme import Inks, fade
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
    lens, muted = BUDGETS[axis], theme.inks(dark).muted
    rows = frame.drop_nulls(["budget", "difference", "low", "high"]).sort("budget").to_dicts()
    gaps = tuple(_gap(row, lens, muted) for row in rows)
    box = box_for(NARROW if narrow else WIDTH, 0, HEIGHT)
    x_scale = log_scale([gap.x for gap in gaps], tick=lens.tick, pixels=box.plot[0])
    ends = [end for gap in gaps for end in (gap.low, gap.high)]
    ahead = None if first is None else first * lens.scale
    shown = (plain(names[0]), plain(names[1]))
    return CrossingInfo(shown, lens, dark, box, gaps, ahead, colour or theme.inks(dark).primary, x_scale, _scale(ends))


def crossing_figure(info: CrossingInfo) -> go.Figure:
    """Draw it; without a difference, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.gaps:
        return empty_figure("The two share no question at any budget, so there is no difference to draw.", inks)
    paper = layout(inks, info.box) | {
        "xaxis": spend_axis(info.x_scale, inks),
        "yaxis": accuracy_axis(info.y_scale, inks),
        "annotations": list(_notes(info, inks)),
        "hovermode": "x",
    }
    return painted(_traces(info, inks), paper)


def crossing_caption(info: CrossingInfo) -> str:
    """What line and band mean; empty when nothing is drawn."""
    if not info.gaps:
        return ""
    said = "line: difference in accuracy on the questions both have, band: its 95% interval at each budget by itself"
    return said if info.ahead is None else f"{said} · upright line: from there on the interval stays above zero"


def _gap(row: dict[str, Any], lens: Lens, muted: str) -> Gap:
    x = row["budget"] * lens.scale
    lines = (
        measured(row["difference"], row["low"], row["high"], _points, "", muted),
        f"budget {safe(lens.tick(x))}{'' if lens.money else ' ' + lens.per} per question",
        f'<span style="color:{muted}">n = {fmt.plural(int(row["n"]), "question")} · 95% interval</span>',
    )
    return Gap(x, row["difference"], row["low"], row["high"], "<br>".join(lines))


def _points(share: float | None) -> str:
    return fmt.points(share)


def _scale(ends: Sequence[float]) -> AccuracyScale:
    """From below zero to above it, in steps that give six ticks or so."""
    low, high = min([*ends, -0.02]), max([*ends, 0.02])
    step = next((step for step in STEPS if (high - low) / step <= 8), STEPS[-1])
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple((round(i * step, 4), _tick(i * step)) for i in range(first, last + 1))
    return AccuracyScale(first * step, last * step, ticks)


def _tick(share: float) -> str:
    return f"{100 * share:+.0f}".replace("-", fmt.MINUS) if round(100 * share) else "0"


def _traces(info: CrossingInfo, inks: Inks) -> Iterator[Trace]:
    x = [info.x_scale.place(gap.x) for gap in info.gaps]
    edge = [10**info.x_scale.low, 10**info.x_scale.high]
    skip = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    yield skip | {"x": edge, "y": [0, 0], "line": {"width": 1.3, "color": fade(inks.line, 0.7)}}
    for end, fill in (("low", {}), ("high", {"fill": "tonexty", "fillcolor": fade(info.colour, 0.18)})):
        pen = {"width": 0, "shape": "hv", "color": info.colour}
        yield skip | {"x": x, "y": [getattr(gap, end) for gap in info.gaps], "line": pen, **fill}
    if info.ahead is not None:
        at, y = info.x_scale.place(info.ahead), info.y_scale
        yield skip | {"x": [at, at], "y": [y.low, y.high], "line": {"width": 1.3, "dash": "dot", "color": inks.text}}
    yield {
        "type": "scatter",
        "x": x,
        "y": [gap.mean for gap in info.gaps],
        "mode": "lines+markers",
        "showlegend": False,
        "line": {"width": 2, "shape": "hv", "color": info.colour},
        "hovertext": [gap.hover for gap in info.gaps],
        "marker": {"size": 5, "color": info.colour},
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverlabel": {"bordercolor": info.colour},
    }


def _notes(info: CrossingInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    bold, quiet = {"size": 13, "color": inks.text}, {"size": 12, "color": inks.muted, "shadow": halo(inks)}
    up = {"xanchor": "left", "yanchor": "bottom", "xshift": -42, "yshift": 8, "font": bold}
    yield note("<b>Difference in accuracy</b>, points", x=0, y=1, **up)
    foot = {"xanchor": "right", "yanchor": "top", "yshift": -23, "font": bold}
    yield note(f"<b>{info.lens.title}</b>, {info.lens.per}, log scale", x=1, y=0, **foot)
    corner = {"xanchor": "left", "xshift": 4, "font": quiet}
    yield note(f"↑ {safe(info.names[0])} ahead", x=0, y=1, yanchor="top", yshift=-2, **corner)
    yield note(f"↓ {safe(info.names[1])} ahead", x=0, y=0, yanchor="bottom", yshift=2, **corner)
    if info.ahead is not None:
        at = info.x_scale.fraction(info.ahead)
        side = {"xanchor": "left", "xshift": 5} if at < 0.7 else {"xanchor": "right", "xshift": -5}
        words = f"ahead from {safe(info.lens.tick(info.ahead))} on"
        foot = {"yanchor": "bottom", "yshift": 2 if at > 0.35 else 20, "font": quiet | {"color": inks.text}}
        yield note(words, x=at, y=0, **foot, **side)
