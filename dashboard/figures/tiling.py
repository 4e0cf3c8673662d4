"""Small panels side by side on shared axes: how many in a row, how large, with what room at the right for names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dashboard.figures.axes import FOOT, LEFT, RIGHT, Box, Room, box_for
from dashboard.figures.ink import Trace, layout
from dashboard.figures.lettering import safe, width
from dashboard.theme import Inks

GUTTER, HEAD, BETWEEN, SIZE = 26, 34, 30, 12.0
"""Pixels: between panels of a row, over a panel, under its tick labels; and the font size of names in it."""
SPARE, MOST = 18, 0.5
"""Pixels of the column of names that are no name's, and the share of a panel that it takes at most."""

__all__ = [
    "Tiling",
    "fits",
    "grid",
    "noted",
    "panel_title",
    "placed",
    "tiling_for",
]


@dataclass(frozen=True, slots=True)
class Tiling:
    """A grid of equal panels, in pixels."""

    columns: int
    rows: int
    across: float
    """Width of a panel."""
    high: float
    """Height of a panel."""
    reserve: float
    """Pixels at the right of a panel kept for labels."""
    panels: int
    """How many there are; the last row need not be full."""

    @property
    def widening(self) -> float:
        """How much longer the spend axis must be, as a share, so that labels have their reserve."""
        return self.reserve / max(1.0, self.across - self.reserve)

    @property
    def height(self) -> int:
        """Height of the figure."""
        return round(HEAD + self.rows * self.high + (self.rows - 1) * self.gap + FOOT)

    @property
    def gap(self) -> float:
        """Pixels between two rows: a panel title, and tick labels."""
        return HEAD + BETWEEN - 10


def fits(names: Iterable[str], tiling: Tiling) -> bool:
    """Whether all these names can stand whole at the right of a panel."""
    return max((width(name, SIZE) for name in names), default=0.0) + SPARE <= tiling.across * MOST


def tiling_for(panels: int, names: Sequence[str], *, room: Room = "wide", labelled: bool = True) -> Tiling:
    """A grid for so many panels: two to four in a row, larger the fewer there are; on a phone one under the other."""
    most = {"phone": 1, "narrow": 2, "wide": 3 if labelled else 4}[room]
    # Rows as equal as can be: four panels of at most three in a row stand two by two.
    columns = max(1, min(most, panels, math.ceil(panels / math.ceil(panels / most)) if panels else 1))
    across = (box_for(room).width - LEFT - RIGHT - (columns - 1) * GUTTER) / columns
    reserve = min(max((width(name, SIZE) for name in names), default=0.0) + SPARE, across * MOST) if labelled else 0.0
    # A single panel is as high as a figure, two in a row nearly square.
    high = 400.0 if panels <= 1 else 300.0 if columns <= 2 else 240.0
    return Tiling(columns, max(1, math.ceil(panels / columns)), across, high, reserve, panels)


def grid(tiling: Tiling, inks: Inks, across: dict[str, Any], up: dict[str, Any]) -> dict[str, Any]:
    """Layout of panels that share both axes."""
    # Panels stand where they stand, whatever is reserved in them for names.
    places = _axis_places(replace(tiling, reserve=0.0))
    axes = {name: place | (across if name[0] == "x" else up) for name, place in places.items()}
    for at in range(max(0, tiling.panels - tiling.columns), tiling.panels):
        # Nothing is below it, so it says its ticks, in the last row or not.
        axes[f"xaxis{at + 1 if at else ''}"] |= {"showticklabels": True}
    paper = layout(inks, Box(0, tiling.height, FOOT))
    return paper | {"margin": paper["margin"] | {"t": HEAD}} | axes


@lru_cache(maxsize=64)
def _axis_places(tiling: Tiling) -> dict[str, dict[str, Any]]:
    """Domain and partners of each axis of a grid; kept, because plotly takes its time for them."""
    from plotly.subplots import make_subplots

    wide = tiling.columns * tiling.across + (tiling.columns - 1) * GUTTER
    tall = tiling.rows * tiling.high + (tiling.rows - 1) * tiling.gap
    axes: dict[str, dict[str, Any]] = make_subplots(
        # Domains alone are taken over; what else subplots bring would fight the layout.
        rows=tiling.rows,
        cols=tiling.columns,
        shared_xaxes="all",
        shared_yaxes="all",
        # Plotly wants shares of the plot area.
        horizontal_spacing=GUTTER / wide,
        vertical_spacing=tiling.gap / tall,
    ).to_plotly_json()["layout"]
    return {name: place for name, place in axes.items() if name.startswith(("xaxis", "yaxis"))}


def placed(traces: Iterable[Trace], number: int) -> Iterator[Trace]:
    """Traces put into a panel, counted from 0 in reading order."""
    # Plotly calls the first pair of axes x and y, the second x2 and y2.
    suffix = number + 1 if number else ""
    for trace in traces:
        yield trace | {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def noted(notes: Iterable[dict[str, Any]], number: int) -> Iterator[dict[str, Any]]:
    """Annotations put into a panel: on its axes, or on its domain where they say so."""
    suffix = number + 1 if number else ""
    for each in notes:
        refs = {ref: f"{ref[0]}{suffix}{each.get(ref, '').removeprefix(ref[0])}" for ref in ("xref", "yref")}
        yield each | refs | ({"axref": refs["xref"]} if "axref" in each else {})


def panel_title(text: str, inks: Inks, aside: str = "") -> dict[str, Any]:
    """A bold title over the left corner of a panel, with a word on what goes up."""
    quiet = f'\u00a0 <span style="color:{inks.muted};font-size:12px">{aside}</span>' if aside else ""
    place = {"xref": "x domain", "yref": "y domain", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    font = {"size": 14, "color": inks.text}
    return place | {"text": f"<b>{safe(text)}</b>{quiet}", "showarrow": False, "font": font, "yshift": 6}
