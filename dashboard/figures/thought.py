"""Inside one thought: accuracy if every thought of a setting were stopped after k tokens, with its band, the place from
which the rest adds nothing, and below it where the final answer was first there, right and wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import LEFT, RIGHT, TOP, Box, Room, Ticks
from dashboard.figures.ink import Trace, empty_figure, halo, hovering, layout, note, painted, spend_title
from dashboard.figures.lettering import safe
from dashboard.figures.marks import measured, muted_text
from dashboard.theme import Inks, fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from engine.analysis.thinking.thoughts import Inside

__all__ = ["ThoughtInfo", "thought_figure", "thought_info"]

TOPS = 0.33
"""Where the curve's panel begins, as a share of the plot area from below; the bars end at `BARS`."""
BARS = 0.205
EDGE = 10  # Pixels right of the last mark.
SIZES: dict[Room, tuple[int, int]] = {"wide": (960, 544), "narrow": (704, 470), "phone": (352, 440)}
MOST_TICKS: dict[Room, int] = {"wide": 13, "narrow": 9, "phone": 5}
CROWDED = 0.62
"""Share of the axis from which on a label stands left of its mark."""


@dataclass(frozen=True, slots=True)
class Point:
    """The curve at one place."""

    tokens: int
    accuracy: float
    low: float | None
    high: float | None
    hover: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Thoughts whose final answer was first there between two places."""

    after: float
    """Tokens at its left edge."""
    up_to: float
    right: int
    wrong: int


@dataclass(frozen=True, slots=True)
class ThoughtInfo:
    """Everything the figure shows; no points: there is nothing to show."""

    points: tuple[Point, ...]
    """The last one is the whole thoughts."""
    stop: int | None
    """Number of the point from which on the rest adds nothing that counts; None: there is none."""
    n_questions: int
    bars: tuple[Bar, ...]
    first: str
    """What the bars count, in words."""
    about: bool
    """Tokens are those of the nearest tokenizer."""
    colour: str
    room: Room
    dark: bool


def thought_info(inside: Inside, strategy: str, *, room: Room = "wide", dark: bool = False) -> ThoughtInfo:
    """`inside`: what the thoughts of a setting of this `strategy` say."""
    muted = theme.inks(dark).muted
    rows = inside.curve.to_dicts()
    points = tuple(
        Point(row["tokens"], row["accuracy"], row["low"], row["high"], _hover(row, row is rows[-1], muted))
        for row in rows
    )
    ends = [point.tokens for point in points]
    spots = [
        (spot, (thought.final.score or 0.0) >= 1)
        for thought in inside.thoughts
        # Without a final answer a thought has no place, and stands in no bar.
        if (spot := thought.stated if inside.source == "text" else thought.first_reached) is not None
    ]
    stop = next((at for at, point in enumerate(points) if inside.stop and point.tokens == inside.stop.tokens), None)
    return ThoughtInfo(
        points=points,
        stop=stop,
        n_questions=inside.n_questions,
        bars=tuple(_bars(ends, spots)),
        first="first appears" if inside.source == "text" else "is first reached",
        about=not inside.exact,
        colour=theme.strategy_colours([strategy], dark=dark)[strategy],
        room=room,
        dark=dark,
    )


def _hover(row: dict[str, Any], whole: bool, muted: str) -> str:
    place = "the whole thought" if whole else f"stopped after {fmt.plural(row['tokens'], 'token')}"
    forced, n = row["forced_tokens"], row["n_questions"]
    said = f" · {fmt.number(forced)} tokens to answer" if forced is not None and not whole else ""
    lines = (
        f"<b>{place}</b>",
        measured(row["accuracy"], row["low"], row["high"], lambda share: fmt.accuracy(share, n), "right", muted),
        muted_text(f"{fmt.number(row['spent_tokens'])} tokens of thought on average{said}", muted),
        muted_text(
            f"{fmt.count(row['n_thinking'])} of {fmt.plural(row['n_thoughts'], 'thought')} are longer · "
            f"{fmt.plural(row['n_questions'], 'question')}",
            muted,
        ),
    )
    return "<br>".join(lines)


def _bars(ends: Sequence[int], spots: Sequence[tuple[int, bool]]) -> Iterator[Bar]:
    """A bar for each place: the thoughts that had their answer there and not at the place before."""
    before = 0
    for end in ends:
        # What stands at token 0 belongs to the first bar, which has no place before it.
        own = [right for spot, right in spots if before < spot <= end or (spot == 0 and before == 0)]
        # A log axis has no zero for the first bar to begin at.
        yield Bar(max(before, ends[0] / 1.6), end, sum(own), len(own) - sum(own))
        before = end


def thought_figure(info: ThoughtInfo) -> go.Figure:
    """The curve over the bars, on one axis of tokens; an empty info says why there is none."""
    inks = theme.inks(info.dark)
    if not info.points:
        return empty_figure("No thought of this setting tells.", inks)
    wide, high = SIZES[info.room]
    box = Box(wide, high, 46)
    first, last = info.bars[0].after, info.points[-1].tokens
    # Some pixels at the right, so that the last mark is seen whole.
    low_x, span = math.log10(first), math.log10(last) - math.log10(first) or 1
    high_x = math.log10(last) + span * EDGE / (wide - LEFT - RIGHT)
    top = max(point.high or point.accuracy for point in info.points)
    # The next tenth above the highest end, with a little air; rounded first, as 0.3 * 10 is more than 3.
    ceiling = min(1.0, math.ceil(round(top * 10 + 0.15, 6)) / 10)
    step = 0.1 if ceiling <= 0.6 else 0.2
    tallest = max(1, *(bar.right + bar.wrong for bar in info.bars))
    # Powers of two: budgets and places are such numbers.
    powers = [float(2**n) for n in range(math.ceil(math.log2(first)), math.floor(math.log2(last)) + 1)]
    every = max(1, math.ceil(len(powers) / MOST_TICKS[info.room]))
    ticks: Ticks = tuple((power, fmt.count(round(power))) for power in powers[::every])
    paper = layout(inks, box)
    axis = {"fixedrange": True, "zeroline": False, "tickfont": {"size": 12.5, "color": inks.muted}}
    stop = None if info.stop is None else info.points[info.stop]
    shapes: list[dict[str, Any]] = []
    if stop is not None:
        at, across = stop.tokens, {"xref": "x", "yref": "paper"}
        # To far beyond the axis: shapes know no right edge in data.
        rest = across | {"type": "rect", "x0": at, "x1": 10**9, "y0": TOPS, "y1": 1}
        shapes.append(rest | {"layer": "below", "line": {"width": 0}, "fillcolor": inks.secondary})
        # Through the plots, not through the title between them.
        for foot, top in ((0, BARS), (TOPS, 1)):
            line = across | {"type": "line", "x0": at, "x1": at, "y0": foot, "y1": top}
            shapes.append(line | {"line": {"color": inks.primary, "width": 1.6, "dash": "dash"}})
    return painted(
        [*_curve(info, inks), *_bar_traces(info, inks)],
        paper
        | {
            "barmode": "stack",
            "dragmode": False,
            "clickmode": "event",
            "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": 46},
            "xaxis": axis
            | {"type": "log", "range": [low_x, high_x], "anchor": "y2", "showgrid": False, "ticks": "outside"}
            | {"ticklen": 4, "tickcolor": inks.axis, "showline": True, "linecolor": inks.axis}
            | {"tickvals": [value for value, _ in ticks], "ticktext": [words for _, words in ticks]},
            "yaxis": axis
            | {"domain": [TOPS, 1], "range": [-0.02 * ceiling, 1.02 * ceiling], "gridcolor": inks.grid}
            | {"tickvals": [n * step for n in range(round(ceiling / step) + 1)], "tickformat": ".0%"},
            "yaxis2": axis | {"domain": [0, BARS], "range": [0, tallest * 1.3], "showgrid": False, "visible": False},
            "shapes": shapes,
            "annotations": [*_titles(info, inks), *_labels(info, inks, low_x, high_x)],
        },
    )


def _curve(info: ThoughtInfo, inks: Inks) -> list[Trace]:
    # A single question has no interval, and its place no band.
    known = [point for point in info.points if point.low is not None and point.high is not None]
    xs, ys = [point.tokens for point in info.points], [point.accuracy for point in info.points]
    band: Trace = {
        "type": "scatter",
        "x": [*(point.tokens for point in known), *(point.tokens for point in known[::-1])],
        "y": [*(point.high for point in known), *(point.low for point in known[::-1])],
        "fill": "toself",
        "fillcolor": fade(info.colour, 0.17),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }
    line: Trace = {"type": "scatter", "x": xs, "y": ys, "mode": "lines+markers", "showlegend": False}
    line |= {"line": {"color": info.colour, "width": 2.2}, "marker": {"color": info.colour, "size": 5}}
    # The two places the labels name.
    large = sorted({len(xs) - 1} | ({info.stop} if info.stop is not None else set()))
    marks: Trace = {"type": "scatter", "x": [xs[at] for at in large], "y": [ys[at] for at in large], "mode": "markers"}
    marks |= {"marker": {"size": 12, "color": info.colour, "line": {"width": 1.6, "color": inks.background}}}
    hovers = [point.hover for point in info.points]
    return [
        band,
        line | hovering(hovers, info.colour),
        marks | {"showlegend": False} | hovering([hovers[at] for at in large], info.colour),
    ]


def _bar_traces(info: ThoughtInfo, inks: Inks) -> list[Trace]:
    shared: Trace = {
        "type": "bar",
        "yaxis": "y2",
        "x": [(bar.after + bar.up_to) / 2 for bar in info.bars],
        # In data units a bar spans from one place to the next, also on a log axis.
        "width": [bar.up_to - bar.after for bar in info.bars],
        "showlegend": False,
    }
    traces = []
    for right in (True, False):
        counts = [bar.right if right else bar.wrong for bar in info.bars]
        verdict, colour = ("right", inks.right) if right else ("wrong", inks.axis)
        words = [
            f"<b>{fmt.plural(n, 'thought')}</b>, {verdict} in the end<br>answer {info.first} by token "
            f"{fmt.count(round(bar.up_to))}"
            for n, bar in zip(counts, info.bars, strict=True)
        ]
        paint = {"color": colour, "line": {"width": 1, "color": inks.background}}
        traces.append(shared | {"y": counts, "marker": paint} | hovering(words, colour))
    return traces


def _titles(info: ThoughtInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    font = {"size": 13, "color": inks.text}
    yield note(
        "<b>Right, if the thought were stopped here</b>",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        xshift=-LEFT,
        yshift=12,
        font=font,
    )
    muted = f'<span style="color:{inks.muted}">'
    counted = "" if info.room == "phone" else f" {muted}answers, number of thoughts</span>"
    inked = f'<b style="color:{inks.right}">right</b> {muted}and <b>wrong</b></span>{counted}'
    if not any(bar.right + bar.wrong for bar in info.bars):
        inked = f"{muted}in none of these thoughts</span>"
    yield note(
        f"<b>Where the final answer {info.first}</b>   {inked}",
        x=0,
        y=BARS,
        xanchor="left",
        yanchor="bottom",
        xshift=-LEFT,
        yshift=8,
        font=font,
    )
    about = "about, " if info.about else ""
    yield spend_title(f"<b>Tokens of the thought</b>, {about}log scale", inks)


def _labels(info: ThoughtInfo, inks: Inks, low: float, high: float) -> Iterator[dict[str, Any]]:
    """The two marks by name, and the counts over the bars where there is room for one."""

    def label(point: Point, words: str, above: bool) -> dict[str, Any]:
        # Or the label would run out of the plot.
        late = (math.log10(point.tokens) - low) / (high - low) > CROWDED
        return {
            "x": math.log10(point.tokens),
            "y": point.accuracy,
            "xref": "x",
            "yref": "y",
            "text": f"{words} <b>{safe(fmt.accuracy(point.accuracy, info.n_questions))}</b>",
            "showarrow": False,
            "xanchor": "right" if late else "left",
            "xshift": -10 if late else 10,
            "yshift": 18 if above else -18,
            "font": {"size": 13, "color": inks.text, "shadow": halo(inks)},
        }

    end = info.points[-1]
    if info.stop is not None:
        stop = info.points[info.stop]
        # One above and one below, so that two marks at like heights keep their words apart.
        yield label(stop, f"stopped after {fmt.count(stop.tokens)}:", above=stop.accuracy >= end.accuracy)
        yield label(end, "all of it:", above=stop.accuracy < end.accuracy)
    else:
        # Under the ground stands the title of what is below.
        yield label(end, "all of it:", above=not end.accuracy)
    pixels = (SIZES[info.room][0] - LEFT - RIGHT) / (high - low)
    for bar in info.bars:
        count = fmt.count(bar.right + bar.wrong)
        across = (math.log10(bar.up_to) - math.log10(bar.after)) * pixels
        # Eight pixels a digit.
        if bar.right + bar.wrong and across > 8 * len(count):
            middle = (math.log10(bar.after) + math.log10(bar.up_to)) / 2
            yield {
                "x": middle,
                "y": bar.right + bar.wrong,
                "xref": "x",
                "yref": "y2",
                "text": count,
                "showarrow": False,
                "yanchor": "bottom",
                "font": {"size": 12, "color": inks.text},
            }
