"""One look: inks, strategy colours and model shapes for the light and the dark theme; values only, no drawing.

Strategies keep their colour and models their shape whatever is filtered, as long as callers pass the full roster. The
first eight colours were chosen together; six more extend them. Every colour stands out from its background by 3:1 or
more (WCAG 2.2), and any two stay at least 10 apart in CIEDE2000, also under simulated protanopia, deuteranopia and
tritanopia (Machado et al. 2009, severity 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FONT = '"Source Sans", "Source Sans Pro", "Source Sans 3", sans-serif'
"""Ships with Streamlit; nothing is fetched."""

__all__ = [
    "DARK",
    "FONT",
    "LIGHT",
    "SHAPES",
    "Inks",
    "Shape",
    "blend",
    "fade",
    "inks",
    "model_shapes",
    "rank",
    "strategy_colours",
]


@dataclass(frozen=True, slots=True)
class Inks:
    """The colours of one theme; `band` is the opacity of the bootstrap band."""

    background: str
    text: str
    muted: str
    line: str
    axis: str
    grid: str
    primary: str
    secondary: str
    border: str
    band: float
    hues: tuple[str, ...]


LIGHT = Inks(
    background="#ffffff",
    text="#1f2430",
    muted="#5b6270",
    line="#3a4050",
    axis="#b9bec7",
    grid="#e8eaee",
    primary="#2f5bd0",
    secondary="#f5f6f8",
    border="#e2e5ea",
    band=0.09,
    hues=(
        "#737a85",
        "#079ae4",
        "#1d306c",
        "#4a8e68",
        "#a32e00",
        "#813dc3",
        "#b48b16",
        "#64182d",
        "#1b6c3a",
        "#f544ad",
        "#67557d",
        "#854c5e",
        "#d80745",
        "#3300b7",
    ),
)

DARK = Inks(
    background="#111419",
    text="#eceff4",
    muted="#a3abb8",
    line="#c3c9d4",
    axis="#4a5160",
    grid="#262b34",
    primary="#8fa9ff",
    secondary="#1a1e25",
    border="#2a303a",
    band=0.13,
    hues=(
        "#8b93a0",
        "#9becfa",
        "#5253ca",
        "#7fbe99",
        "#be7823",
        "#de7ff4",
        "#ebe25d",
        "#bd2960",
        "#11a664",
        "#d2a905",
        "#8472a2",
        "#8e6022",
        "#c0edaa",
        "#307c73",
    ),
)

SLOTS = {
    "direct": 0,
    "concise": 1,
    "chain_of_thought": 2,
    "chain_of_draft": 3,
    "tale_ep": 4,
    "self_consistency": 5,
    "adaptive_consistency": 6,
    "debate": 7,
    "self_refine": 8,
    "told_budget": 9,
    "best_of_n": 10,
    "early_stopping": 11,
    "cascade": 12,
    "tree_of_thoughts": 13,
}
"""Strategy to place in `Inks.hues`; the plain baseline is grey."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A plotly marker symbol and the factor that makes it look as large as a circle."""

    symbol: str
    factor: float


SHAPES = (
    Shape("circle", 1.0),
    Shape("square", 0.92),
    Shape("diamond", 1.02),
    Shape("triangle-up", 1.12),
    Shape("triangle-down", 1.12),
    Shape("pentagon", 1.05),
    Shape("star", 1.3),
    Shape("cross", 1.05),
    Shape("hexagon2", 1.05),
    Shape("triangle-right", 1.12),
    Shape("x", 1.0),
    Shape("hourglass", 1.05),
)


def inks(dark: bool) -> Inks:
    """The inks of a theme."""
    return DARK if dark else LIGHT


def strategy_colours(strategies: Iterable[str], *, dark: bool = False) -> dict[str, str]:
    """A colour for each strategy: its own for the catalogue, free ones in sorted order for others.

    Beyond 14 strategies colours repeat; labels and hover texts name the strategy anyway."""
    hues, names = inks(dark).hues, sorted(set(strategies))
    taken = {SLOTS[name] for name in names if name in SLOTS}
    free = [slot for slot in reversed(range(len(hues))) if slot not in taken] or list(range(len(hues)))
    strangers = {name: free[i % len(free)] for i, name in enumerate(n for n in names if n not in SLOTS)}
    return {name: hues[(SLOTS | strangers)[name]] for name in names}


def model_shapes(models: Iterable[str]) -> dict[str, Shape]:
    """A shape for each model, in the order given; shapes repeat beyond twelve models."""
    return {model: SHAPES[i % len(SHAPES)] for i, model in enumerate(dict.fromkeys(models))}


def rank(strategy: str) -> tuple[int, str]:
    """Order of a strategy in legends: the catalogue's first, others by name."""
    return SLOTS.get(strategy, len(SLOTS)), strategy


def fade(colour: str, opacity: float) -> str:
    """`#rrggbb` with an opacity, as CSS."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{opacity:g})"


def blend(colour: str, background: str, weight: float) -> str:
    """`weight` of a colour over the rest of a background, as `#rrggbb`."""
    pairs = zip(_channels(colour), _channels(background), strict=True)
    return "#" + "".join(f"{round(above * weight + below * (1 - weight)):02x}" for above, below in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
