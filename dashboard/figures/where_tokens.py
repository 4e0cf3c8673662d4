"""Where the tokens of settings went: one bar a setting, a piece for what each role of its calls read and wrote.

Hue tells the role, strength the kind: what was written full, what was read pale, what was read from a cache hatched.
The legend names the roles; `WhereInfo.key` says the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import Box, Room
from dashboard.figures.ink import Trace, empty_figure, layout, painted, spend_title
from dashboard.figures.lettering import cut, plain, safe, width
from dashboard.theme import blend
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["WhereInfo", "where_figure", "where_info"]

PARTS = (
    ("fresh", "input", 0.34),
    ("cached_tokens", "cached input", 0.34),
    ("written", "output", 1.0),
    ("reasoning_tokens", "hidden reasoning", 0.7),
)
"""Column, its word, and how much of the role's hue it has."""
HUES = ("self_consistency", "concise", "adaptive_consistency", "tale_ep", "chain_of_draft", "multi_agent_debate")
"""Strategies whose hues the roles borrow, the most frequent role first."""
SHOWN = ("output", "hidden reasoning", "input", "cached input")
"""Which of a role's pieces stands for it in the legend: the first of these that it has."""
MOST = 40
"""Settings that are drawn, those that spent most first."""
ROW, HEAD, FOOT, NAME = 26, 34, 44, 13.0
"""Pixels of a bar's row, above the first and below the last; and the names' font size."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One role and kind of token, over all bars."""

    role: str
    """As people call it."""
    word: str
    tokens: tuple[float, ...]
    """Mean per answer, one a setting."""
    colour: str
    cached: bool
    hovers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhereInfo:
    """Everything the figure shows, the largest bar first."""

    names: tuple[str, ...]
    totals: tuple[str, ...]
    """Tokens in all with their interval, written at the end of each bar."""
    ends: tuple[float, ...]
    pieces: tuple[Piece, ...]
    hidden: int
    """Settings left out because there are more than `MOST`."""
    left: int
    room: Room
    dark: bool

    @property
    def key(self) -> str:
        """What strength and pattern of a piece mean, in a line of text."""
        words = {piece.word for piece in self.pieces}
        looks = zip(SHOWN, ("full colour", "lighter", "pale", "hatched"), strict=True)
        return ", ".join(f"{look}: {word}" for word, look in looks if word in words)


def where_info(frame: pl.DataFrame, *, room: Room = "wide", dark: bool = False) -> WhereInfo:
    """`frame`: columns as `Results.token_roles`, of one task."""
    import polars as pl

    inks = theme.inks(dark)
    whole = frame.filter(pl.col("role").is_null()).sort("total_tokens", "condition_id", descending=[True, False])
    hidden, whole = max(0, len(whole) - MOST), whole[:MOST]
    rows = whole.to_dicts()
    by = {(row["condition_id"], row["role"]): row for row in frame.drop_nulls("role").to_dicts()}
    roles = frame.drop_nulls("role").group_by("role").agg(pl.len(), pl.col("total_tokens").sum())
    # Solving first, as every strategy has it, so that bars begin alike; then what most settings do.
    ordered = roles.sort(
        pl.col("role") != "solve", "len", "total_tokens", "role", descending=[False, True, True, False]
    )
    hues = [theme.strategy_colours(HUES, dark=dark)[name] for name in HUES]
    pieces = []
    for place, role in enumerate(ordered["role"]):
        called = names.role(str(role))
        for column, word, weight in PARTS:
            # A zero for settings without this role: traces of a stacked bar must have one value for each.
            used = [_tokens(by.get((row["condition_id"], role)), column) for row in rows]
            if any(used):
                # Mixed, not transparent: the grid would shine through a pale bar.
                colour = blend(hues[place % len(hues)], inks.background, weight)
                hovers = tuple(
                    f"<b>{safe(plain(row['setting']))}</b><br>{safe(plain(called))}, {word}: {fmt.number(n)} tokens"
                    f"<br>mean of {fmt.plural(row['n_answers'], 'answer')}"
                    for row, n in zip(rows, used, strict=True)
                )
                cached = column == "cached_tokens"
                pieces.append(Piece(called, word, tuple(used), colour, cached, hovers))
    longest = {"wide": 320, "narrow": 280, "phone": 120}[room]
    titles = tuple(cut(plain(row["setting"]), longest, NAME) for row in rows)
    totals = tuple(
        f"<b>{fmt.number(row['total_tokens'])}</b> {fmt.interval(row['low'], row['high'], fmt.number)}" for row in rows
    )
    # Measured by us: Plotly's own margin jumps when the figure is drawn again.
    left = math.ceil(max((width(name, NAME) for name in titles), default=0)) + 16
    return WhereInfo(
        titles, totals, tuple(row["total_tokens"] for row in rows), tuple(pieces), hidden, left, room, dark
    )


def _tokens(row: dict[str, Any] | None, column: str) -> float:
    if row is None:
        return 0.0
    if column == "fresh":
        return float(row["input_tokens"] - row["cached_tokens"])
    if column == "written":
        return float(row["output_tokens"] - row["reasoning_tokens"])
    return float(row[column])


def where_figure(info: WhereInfo) -> go.Figure:
    """The bars; an empty info says why there is none."""
    inks = theme.inks(info.dark)
    if not info.names:
        return empty_figure("No answer of this study is scored yet.", inks)
    places = list(range(len(info.names)))
    traces: list[Trace] = []
    own = {role: [each.word for each in info.pieces if each.role == role] for role in (p.role for p in info.pieces)}
    for piece in info.pieces:
        pattern = {
            "shape": "/",
            "fgcolor": inks.muted,
            "fgopacity": 0.55,
            "size": 5,
            "solidity": 0.25,
            "fillmode": "overlay",
        }
        marker: dict[str, Any] = {"color": piece.colour, "line": {"width": 0.5, "color": inks.background}}
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": places,
                "x": list(piece.tokens),
                "name": safe(plain(piece.role)),
                "showlegend": piece.word == next(word for word in SHOWN if word in own[piece.role]),
                "marker": marker | ({"pattern": pattern} if piece.cached else {}),
                "hovertext": list(piece.hovers),
                "hovertemplate": "%{hovertext}<extra></extra>",
                "hoverlabel": {"bordercolor": piece.colour},
            }
        )
    # A range from 0 to 0 would be drawn around zero.
    longest = (max(info.ends) or 1.0) * {"wide": 1.22, "narrow": 1.45, "phone": 2.3}[info.room]
    notes = [
        {"x": end, "y": place, "text": text, "showarrow": False, "xanchor": "left", "xshift": 6}
        | {"font": {"size": 12.5, "color": inks.text}}
        for place, (end, text) in enumerate(zip(info.ends, info.totals, strict=True))
    ]
    # Rows of the legend: Plotly lays it out after the height is settled.
    keys = math.ceil(len(own) / {"wide": 7, "narrow": 4, "phone": 2}[info.room])
    paper = layout(inks, Box(960, HEAD + 20 * keys + ROW * len(places) + FOOT, FOOT))
    grid = {"gridcolor": inks.grid, "zeroline": False, "tickfont": {"size": 12.5, "color": inks.muted}}
    return painted(
        traces,
        paper
        | {
            "barmode": "stack",
            "bargap": 0.28,
            "dragmode": False,
            "showlegend": True,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "bottom",
                "traceorder": "normal",
            }
            | {"font": {"size": 12.5, "color": inks.muted}, "itemclick": False, "itemdoubleclick": False},
            "margin": {"l": info.left, "r": 8, "t": HEAD + 20 * keys, "b": FOOT},
            "annotations": [*notes, spend_title("<b>Tokens per answer</b>, mean", inks)],
            # Room for the totals behind the longest bar, which take the same pixels of a narrower figure.
            "xaxis": grid | {"range": [0, longest], "fixedrange": True, "tickformat": ",d"},
            "yaxis": {"tickvals": places, "ticktext": [safe(name) for name in info.names], "autorange": "reversed"}
            | {"fixedrange": True, "showgrid": False, "tickfont": {"size": NAME, "color": inks.text}}
            # A gap between the names and the bars.
            | {"ticks": "outside", "ticklen": 6, "tickcolor": inks.background},
        },
    )
