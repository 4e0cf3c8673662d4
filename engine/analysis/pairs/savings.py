"""What a month costs with one setting and with another: money, energy, carbon, and the accuracy that goes with it.

Owns the projection from questions that were measured to questions a day. It holds for questions like those, at the
prices and energy weights of the lens; nothing here knows next month's prices or traffic. Reads no database.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from engine.analysis.lens import Lens
from engine.analysis.pairs import compare
from engine.analysis.pairs.compare import Cell, Difference, Paired
from engine.analysis.stats import Floats, Sample
from engine.core.errors import UsageError
from engine.models import energy
from engine.models.energy import EnergyRange, known_energy

DAYS = 30.44
"""Days of a month: 365.25 / 12, rounded."""
_MOST = 10**12
_KWH = 1000.0
Units = tuple[pl.DataFrame, pl.DataFrame]
SCHEMA: dict[str, Any] = {
    "quantity": pl.String,
    "unit": pl.String,
    **{f"{name}{end}": pl.Float64 for name in ("a", "b", "saving") for end in ("", "_low", "_high")},
    **dict.fromkeys(("a_least", "a_most", "b_least", "b_most"), pl.Float64),
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much is asked, and where the electricity comes from."""

    questions_per_day: float
    zone: str = energy.WORLD
    """ISO 3166 code of the grid; see `energy.GRID`."""

    def __post_init__(self) -> None:
        if not 0 < self.questions_per_day <= _MOST:
            raise UsageError(f"Questions a day are more than 0 and at most {_MOST:,}, not {self.questions_per_day:g}.")
        energy.intensity(self.zone)

    @property
    def questions(self) -> float:
        """Questions a month."""
        return self.questions_per_day * DAYS


@dataclass(frozen=True, slots=True)
class Savings:
    """A month with setting a, a month with setting b, and what b saves; from the questions both have."""

    a: Cell
    b: Cell
    n: int
    """Questions measured with both."""
    traffic: Traffic
    lines: pl.DataFrame = field(compare=False)
    """Columns SCHEMA, one row per quantity: usd, kwh, kg_co2e, calls, input_tokens, output_tokens, a month. saving: a
    minus b, negative where b takes more. low, high: 95 %, bootstrap over questions. least, most: with the smallest and
    the largest size the models may have, null where energy is known to one size. Null: the price of a model, or the
    energy, is unknown."""
    accuracy: Difference
    """b minus a: what the saving costs, as a share of the questions."""
    intensity: float
    """Grams of CO2e per kWh of the zone."""
    assumed: bool = False
    """True: a stand-in price is in it."""
    simulated: bool = False
    """True: a scripted model answered for a or b."""
    sources: tuple[str, ...] = ()
    """Where the energy figures are from."""


def savings(
    cells: tuple[Cell, Cell],
    readings: Sequence[Units],
    traffic: Traffic,
    draws: tuple[int, int] = (2000, 0),
    labels: Mapping[str, Any] | None = None,
) -> Savings:
    """From the per-question sums of a and b, read through each of `lenses`; see `Results.savings`.

    `draws`: bootstrap replicates and their seed. `labels`: further fields of `Savings`. Raises UsageError without
    shared questions.
    """
    units, *ends = readings
    pair = compare.paired(*units)
    if not pair.n:
        raise UsageError("The two settings share no scored question, so their months cannot be compared.")
    # From mean spend per question to a month.
    grams = energy.grams_co2e(1.0, traffic.zone)
    scales = {"kwh": traffic.questions * (1 / _KWH), "kg_co2e": traffic.questions * (grams / 1000)}
    lines: list[dict[str, Any]] = []
    for quantity, (column, unit) in _QUANTITIES.items():
        scale = scales.get(quantity, traffic.questions * 1.0)
        a, b = (_values(pair, name) * scale for name in (column, f"{column}_b"))
        line: dict[str, Any] = {"quantity": quantity, "unit": unit}
        # The saving by its own bootstrap: questions that are dear with a are dear with b as well.
        for side, values in (("a", a), ("b", b), ("saving", a - b)):
            line |= pair.mean(values, Sample(*draws)).columns(side)
        if ends and column == "wh":
            for side, name in (("a", "wh"), ("b", "wh_b")):
                means = (float(_values(compare.paired(*end), name).mean()) for end in ends)
                least, most = (None if math.isnan(mean) else mean * scale for mean in means)
                # A model of known size has no range, though the other side may.
                known = least == most
                line |= {f"{side}_least": None if known else least, f"{side}_most": None if known else most}
        lines.append(line)
    return Savings(
        *cells,
        pair.n,
        traffic,
        pl.DataFrame(lines, schema=SCHEMA),
        compare.difference(units[1], units[0], Sample(*draws)),
        energy.intensity(traffic.zone),
        any(bool((each["n_assumed"] > 0).any()) for each in units),
        **(labels or {}),
    )


def lenses(lens: Lens, lineups: Iterable[str], weights: Mapping[str, EnergyRange] | None) -> list[Lens]:
    """The lens with energy figures for every model: half-way, and where sizes are ranges also least and most.

    `weights` by identity or name; None: of the sizes that are known. Figures the lens already has are kept.
    """
    players = {identity: name for lineup in set(lineups) for _, name, identity in json.loads(lineup)}
    given = known_energy((*players, *players.values())) if weights is None else weights
    known = {identity: given.get(identity, given.get(name)) for identity, name in players.items()}
    stated = dict(lens.energy)
    fresh = {model: each for model, each in known.items() if each and not {model, players[model]} & stated.keys()}
    # One reading will do where no size is a range; each costs a pass over the steps.
    ends = ("middle",) if all(each.low == each.high for each in fresh.values()) else ("middle", "low", "high")
    weighed = ({**{model: getattr(each, end) for model, each in fresh.items()}, **stated} for end in ends)
    return [replace(lens, energy=Lens.of(energy=each).energy) for each in weighed]


def sources(lens: Lens) -> tuple[str, ...]:
    """Where the energy figures of a lens are from; empty: it has none."""
    return tuple(sorted({weights.source for _, weights in lens.energy}))


_QUANTITIES: Mapping[str, tuple[str, str]] = {
    "usd": ("usd", "USD"),
    "kwh": ("wh", "kWh"),
    "kg_co2e": ("wh", "kg CO2e"),
    "calls": ("calls", "calls"),
    "input_tokens": ("input_tokens", "tokens"),
    "output_tokens": ("output_tokens", "tokens"),
}
"""Spend column and unit of each quantity."""


def _values(pair: Paired, name: str) -> Floats:
    """Per question; NaN where unknown."""
    return pair.frame[name].cast(pl.Float64).to_numpy()
