"""Through which prices and energy figures spends are read; nothing here touches a database.

A lens changes what a spend costs, never what was spent: the same calls, tokens and answers, in other money, or in
watt-hours. Without one, money is that of the prices stored with the trials and energy is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import polars as pl

from engine.core.records import AXES, Axis, Price
from engine.models.energy import EnergyWeights

ReadingAxis = Axis | Literal["wh"]
READING_AXES: tuple[ReadingAxis, ...] = (*AXES, "wh")
"""Axes results can be read on: those a study may have a budget on, and energy."""
SCALES = {"usd": 1e12, "wh": 1e12}
"""How many units of a budget make one of its spend column: budgets are picodollars and picowatt-hours; elsewhere 1."""
Energy = EnergyWeights
"""What one model draws; linear in calls and tokens like money."""


@dataclass(frozen=True, slots=True)
class Lens:
    """Prices and energy figures by model: its identity, or the name the study gives it (identities come first).

    A model without a price here keeps the stored one; a model without energy figures has unknown energy, not 0.
    """

    prices: tuple[tuple[str, Price], ...] = ()
    energy: tuple[tuple[str, Energy], ...] = ()
    as_observed: bool = False
    """True: input that was read from a cache costs the price for cached input, where one is known. Walls and budgets
    in money stay at the plain price, as runs have them, and so do cache writes."""

    @classmethod
    def of(
        cls,
        prices: Mapping[str, Price] | None = None,
        energy: Mapping[str, Energy] | None = None,
        as_observed: bool = False,
    ) -> Lens:
        """From mappings; equal content, equal lens, whatever the order."""
        # By name alone: prices have no order among themselves.
        by_name = itemgetter(0)
        return cls(
            tuple(sorted((prices or {}).items(), key=by_name)),
            tuple(sorted((energy or {}).items(), key=by_name)),
            as_observed,
        )


STORED = Lens()
"""The prices stored with the trials, and no energy figures."""

_RATES = ("input_pusd", "output_pusd", "cached_pusd", "reasoning_pusd")
_WEIGHTS = ("call_pwh", "input_pwh", "output_pwh")
_SCHEMA: dict[str, Any] = {
    "model": pl.String,
    "priced": pl.Boolean,
    "assumed": pl.Boolean,
    **dict.fromkeys(("tier", "above_input_tokens", "request_pusd", *_RATES, *_WEIGHTS), pl.Int64),
}


def table(lens: Lens, lineups: Iterable[str]) -> pl.DataFrame:
    """One row per model identity and tier of the price it has here; `lineups` are the conditions' JSON line-ups."""
    names = {identity: name for lineup in set(lineups) for _, name, identity in json.loads(lineup)}
    prices, energy = dict(lens.prices), dict(lens.energy)
    rows: list[dict[str, Any]] = []
    for model, name in sorted(names.items()):
        # The identity first: two studies may have called two models by one name.
        price, weights = prices.get(model, prices.get(name)), energy.get(model, energy.get(name))
        row: dict[str, Any] = {"model": model, "priced": price is not None, "tier": 0, "above_input_tokens": 0}
        if weights is not None:
            row |= {column: getattr(weights, column) for column in _WEIGHTS}
        if price is None:
            rows.append(row)
            continue
        row |= {"assumed": price.assumed, "request_pusd": price.request_pusd}
        for tier, rates in enumerate(price.rates):
            own = {column: getattr(rates, column) for column in ("above_input_tokens", *_RATES)}
            rows.append({**row, "tier": tier, **own})
    return pl.DataFrame(rows, schema=_SCHEMA)
