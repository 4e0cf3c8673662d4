"""One look: inks, strategy colours and model shapes for the light and the dark theme; values only, no drawing.

Every mark stands out from its ground by 3:1 or more and every label by 4.5:1 (WCAG 2.2); the hue of a strategy is the
same in both themes (12 degrees of OKLCH at most), and families are 10 or more apart in CIEDE2000.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

FONT = '"Source Sans", "Source Sans Pro", "Source Sans 3", sans-serif'
"""Ships with Streamlit; nothing is fetched."""

__all__ = [
    "DARK",
    "FONT",
    "LIGHT",
    "SHAPES",
    "STRATEGIES",
    "Inks",
    "Shape",
    "blend",
    "fade",
    "ink_on",
    "inks",
    "label_colours",
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
    warning: str
    tint: str
    """Ground of what is chosen."""
    edge: str
    """Edge of a control: 3:1 or more on the ground."""
    right: str
    cut: str
    """The budget's cut, and the ceiling of a run."""


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
    warning="#a32e00",
    tint="#eaf0fe",
    edge="#8a909c",
    right="#1b6c3a",
    cut="#c8102e",
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
    warning="#f2946b",
    tint="#1d2740",
    edge="#737b89",
    right="#7fbe99",
    cut="#ff6b7a",
)

STRATEGIES = {
    name: tuple(colours)
    for name, *colours in map(
        str.split,
        """
    direct #737a85 #1f2430 #777c85 #eceff4
    concise #079ae4 #007dbb #bcdbff #bcdbff
    chain_of_thought #1d306c #1d306c #4a62df #5873f1
    chain_of_draft #4a8e68 #3f835e #1cf0b7 #1cf0b7
    tale_ep #a32e00 #a32e00 #ed776b #ed776b
    self_consistency #813dc3 #813dc3 #aa8cfd #aa8cfd
    adaptive_consistency #b48b16 #957100 #ffd951 #ffd951
    multi_agent_debate #64182d #64182d #d02468 #e33a77
    self_refine #1b6c3a #1b6c3a #1a8f00 #1e9206
    told_budget #f544ad #d92395 #d296ba #d296ba
    best_of_n #a152ef #9c4de9 #987cc7 #987cc7
    budget_forcing #1b9da6 #11838a #0fdfeb #0fdfeb
    cascade #341f08 #341f08 #a66c30 #ab7135
    compressed_context #70762a #70762a #dbe1c4 #dbe1c4
    confidence_vote #ac79f2 #905cd3 #6b5c82 #86779e
    constrained #3971a0 #3971a0 #6cb6ed #6cb6ed
    difficulty_adaptive #9d82c2 #856aa8 #a65af3 #a65af3
    early_stopping #600abc #600abc #ddd4ec #ddd4ec
    filtered_context #585605 #585605 #999528 #999528
    full_context #8f937e #747863 #c4ce93 #c4ce93
    hierarchical_context #8a973a #717d1b #666701 #80822b
    least_to_most #134856 #134856 #0c6e8d #3287a7
    mixed_debate #805b63 #805b63 #a05266 #b6667a
    no_thinking #248187 #248187 #078f97 #078f97
    plan_and_budget #4d646c #4d646c #7d9daa #7d9daa
    plan_and_solve #152e38 #152e38 #a6c0c8 #a6c0c8
    progressive_hint #2b4d33 #2b4d33 #7a9e7e #7a9e7e
    reflexion #1d311c #1d311c #54765a #64876a
    reflexion_oracle #4e5f4f #4e5f4f #117828 #328f3f
    rewritten_context #828158 #79784f #a8b755 #a8b755
    router #522d02 #522d02 #cfa983 #cfa983
    self_ask #7a98a3 #5e7b86 #36a5c3 #36a5c3
    self_confident #705894 #705894 #c3abf5 #c3abf5
    skeleton_of_thought #02657e #02657e #a1e9ff #a1e9ff
    sketch_of_thought #658db9 #5179a3 #2b97dc #2b97dc
    step_back #1c8cac #0081a1 #547079 #66838c
    tree_of_thoughts #3e0541 #3e0541 #a03799 #be54b6
""".strip().splitlines(),
    )
}
"""By strategy: mark and label text on light, mark and label text on dark. The first ten were drawn together and stay
apart under every colour blindness too; the others are shades of the hue of their family, told apart by their name."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A plotly marker symbol, and the factor that makes it look as large as a circle."""

    symbol: str
    factor: float
    glyph: str
    """The same in a line of text."""


SHAPES = (
    Shape("circle", 1.0, "●"),
    Shape("square", 0.92, "■"),
    Shape("diamond", 1.02, "◆"),
    Shape("triangle-up", 1.12, "▲"),
    Shape("triangle-down", 1.12, "▼"),
    Shape("pentagon", 1.05, "⬟"),
    Shape("star", 1.3, "★"),
    Shape("cross", 1.05, "✚"),
    Shape("hexagon2", 1.05, "⬢"),
    Shape("triangle-right", 1.12, "▶"),
    Shape("x", 1.0, "✖"),
    Shape("hexagram", 1.2, "✶"),
)


def inks(dark: bool) -> Inks:
    """The inks of a theme."""
    return DARK if dark else LIGHT


def strategy_colours(strategies: Iterable[str], *, dark: bool = False) -> dict[str, str]:
    """The colour of each strategy's marks: the same in every database, whatever else is shown.

    A strategy of a plugin borrows one of the shades after the first ten, always the same one by its name."""
    return {name: _colours(name)[2 if dark else 0] for name in sorted(set(strategies))}


def label_colours(strategies: Iterable[str], *, dark: bool = False) -> dict[str, str]:
    """The colour of each strategy's name beside its curve: 4.5:1 or more on the ground, the mark's hue."""
    return {name: _colours(name)[3 if dark else 1] for name in sorted(set(strategies))}


def _colours(strategy: str) -> tuple[str, ...]:
    # Without the first ten, which stand for strategies that everybody compares with.
    shades = [*STRATEGIES.values()][10:]
    # Not hash(): that differs from one process to the next.
    return STRATEGIES.get(strategy) or shades[zlib.crc32(strategy.encode(errors="replace")) % len(shades)]


def model_shapes(models: Iterable[str]) -> dict[str, Shape]:
    """A shape for each model, in the order given; shapes repeat beyond twelve models."""
    # By place and not by name: twelve models must have twelve shapes.
    return {model: SHAPES[i % len(SHAPES)] for i, model in enumerate(dict.fromkeys(models))}


def rank(strategy: str) -> tuple[int, str]:
    """Order of a strategy in legends: the catalogue's first, others by name."""
    places = {name: place for place, name in enumerate([*STRATEGIES][:10])}
    return places.get(strategy, len(places)), strategy


def fade(colour: str, opacity: float) -> str:
    """`#rrggbb` with an opacity, as CSS."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{opacity:g})"


def blend(colour: str, background: str, weight: float) -> str:
    """`weight` of a colour over the rest of a background, as `#rrggbb`."""
    pairs = zip(_channels(colour), _channels(background), strict=True)
    return "#" + "".join(f"{round(above * weight + below * (1 - weight)):02x}" for above, below in pairs)


def ink_on(colour: str) -> str:
    """Of white and black, what is told better from `#rrggbb`: that always has a contrast of 4.5 or more."""
    shares = [value / 255 for value in _channels(colour)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # As WCAG has it: white over the colour against the colour over black.
    return "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000000"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
