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
    across, high = box.plot
    for i, run in enumerate(_pack(groups, across)):
        name = "legend" if i == 0 else f"legend{i + 1}"
        traces += [_swatch(entry, name) for entry in run.entries]
        drop = (FOOT - 4 + LEGEND_ROW * run.row) / high
        frames[name] = _frame(run.title, inks) | {"x": run.left / across, "y": -drop}
    return traces, frames


def _frame(title: str, inks: Inks) -> dict[str, Any]:
    # Plotly hangs a side title 3 px high; a larger title font round a 13 px span lowers it to the entries' line.
    span = f'<span style="font-size:{SIZE}px">{title}</span>' if title else ""
    return {
        "orientation": "h",
        "xanchor": "left",
        "yanchor": "top",
        "bgcolor": "rgba(0,0,0,0)",
        "borderwidth": 0,
        "title": {"text": span, "side": "left", "font": {"size": 15.5, "color": inks.muted}},
        "font": {"size": SIZE, "color": inks.text},
        "itemclick": False,
        "itemdoubleclick": False,
        "itemsizing": "trace",
    }


def _swatch(entry: Entry, legend: str) -> Trace:
    line = {"color": entry.outline, "width": entry.stroke}
    marker = {"symbol": entry.symbol, "size": entry.size, "color": entry.fill, "line": line, "opacity": 1}
    return {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "mode": "markers",
        "name": safe(entry.text),
        "marker": marker,
        "legend": legend,
        "hoverinfo": "skip",
    }


def _pack(groups: Sequence[Group], pixels: float) -> Iterator[_Run]:
    row, used = -1, pixels
    for number, group in enumerate(groups):
        needed = _group_width(group)
        beside = max(used + GAP, pixels * 0.5)
        if number > 1 and beside + needed <= pixels:
            yield _Run(group.title, group.entries, row, beside)
            used = beside + needed
            continue
        for title, entries, taken in _rows(group, pixels):
            row, used = row + 1, taken
            yield _Run(title, entries, row, 0.0 if title else _title_width(group.title))


def _rows(group: Group, pixels: float) -> Iterator[tuple[str, tuple[Entry, ...], float]]:
    title, held, used = group.title, list[Entry](), _title_width(group.title)
    for entry in group.entries:
        wide = _entry_width(entry)
        if held and used + wide > pixels:
            yield title, tuple(held), used
            title, held, used = "", [], _title_width(group.title)
        held.append(entry)
        used += wide
    if held:
        yield title, tuple(held), used


def _group_width(group: Group) -> float:
    return _title_width(group.title) + sum(_entry_width(entry) for entry in group.entries)


def _title_width(title: str) -> float:
    return width(title, SIZE) + TITLE if title else 0.0


def _entry_width(entry: Entry) -> float:
    return width(entry.text, SIZE) + ENTRY
