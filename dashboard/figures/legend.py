"""Legends under a figure, packed into rows by estimated text widths; plain data and the plotly traces they need.

Plotly wraps a long horizontal legend into equal columns of the widest entry, so each packed row is a legend of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures.axes import FOOT, LEGEND_ROW, Box
from dashboard.figures.ink import Trace
from dashboard.figures.lettering import safe, width
from dashboard.theme import Inks

SIZE, ENTRY, TITLE, GAP = 13, 47.0, 12.0, 28.0
"""Font size; pixels round an entry's word, after a title, and between two groups of a row."""

__all__ = ["Entry", "Group", "legends", "row_count"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One mark of a legend with its word."""

    text: str
    symbol: str
    size: float
    fill: str
    outline: str
    stroke: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """A titled legend."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """The part of a group that stands in one row, `left` pixels from the plot's edge."""

    title: str
    entries: tuple[Entry, ...]
    row: int
    left: float


def row_count(groups: Sequence[Group], pixels: float) -> int:
    """Rows the legends take in a plot of this width."""
    return max((run.row + 1 for run in _pack(groups, pixels)), default=0)


def legends(groups: Sequence[Group], box: Box, inks: Inks) -> tuple[list[Trace], dict[str, Any]]:
    """Traces and layout of the legends below the axis; clicks do nothing, filters do."""
    traces, frames = list[Trace](), dict[str, Any]()
    # Legends hang from the plot area, whose height is the unit of y; their gap is wanted in pixels.
    across, high = box.plot
    for i, run in enumerate(_pack(groups, across)):
        name = "legend" if i == 0 else f"legend{i + 1}"
        for entry in run.entries:
            line = {"color": entry.outline, "width": entry.stroke}
            marker = {"symbol": entry.symbol, "size": entry.size, "color": entry.fill, "line": line, "opacity": 1}
            # Marks share traces by strategy and tier, so an entry has a trace of its own, without points.
            trace = {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "hoverinfo": "skip"}
            traces.append(trace | {"name": safe(entry.text), "marker": marker, "legend": name})
        # Plotly hangs a side title 3 px high; a larger title font round a 13 px span lowers it to the entries' line.
        title = f'<span style="font-size:{SIZE}px">{run.title}</span>' if run.title else ""
        frames[name] = {
            "orientation": "h",
            "x": run.left / across,
            "xanchor": "left",
            "y": -(FOOT - 4 + LEGEND_ROW * run.row) / high,
            "yanchor": "top",
            "bgcolor": "rgba(0,0,0,0)",
            "borderwidth": 0,
            "title": {"text": title, "side": "left", "font": {"size": 15.5, "color": inks.muted}},
            "font": {"size": SIZE, "color": inks.text},
            "itemclick": False,
            "itemdoubleclick": False,
            # Else plotly draws every swatch at one size, and size is what tells chances apart.
            "itemsizing": "trace",
        }
    return traces, frames


def _pack(groups: Sequence[Group], pixels: float) -> Iterator[_Run]:
    row, used = -1, pixels
    for number, group in enumerate(groups):
        indent = width(group.title, SIZE) + TITLE if group.title else 0.0
        widths = [width(entry.text, SIZE) + ENTRY for entry in group.entries]
        needed, beside = indent + sum(widths), max(used + GAP, pixels * 0.5)
        # The first two groups, strategies and models, each begin a row; a short one may stand beside the last.
        if number > 1 and beside + needed <= pixels:
            yield _Run(group.title, group.entries, row, beside)
            used = beside + needed
            continue
        title, left, entries, used = group.title, 0.0, list[Entry](), indent
        for entry, wide in zip(group.entries, widths, strict=True):
            if entries and used + wide > pixels:
                row += 1
                yield _Run(title, tuple(entries), row, left)
                # What runs on into the next row stands under the first entry, not under the title.
                title, left, entries, used = "", indent, [], indent
            entries.append(entry)
            used += wide
        if entries:
            row += 1
            yield _Run(title, tuple(entries), row, left)
