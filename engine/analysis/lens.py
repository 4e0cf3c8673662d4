"""Through which prices and energy figures spends are read; nothing here touches a database.

A lens changes what a spend costs, never what was spent: the same calls, tokens and answers, in other money, or in
watt-hours. Without one, money is that of the prices stored with the trials and energy is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import polars as pl

from engine.core.records import AXES, Axis, Price
from engine.models.energy import EnergyWeights

T = TypeVar("T")
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
        return cls(
            tuple(sorted((prices or {}).items(), key=_name)),
            tuple(sorted((energy or {}).items(), key=_name)),
            as_observed,
        )


STORED = Lens()
"""The prices stored with the trials, and no energy figures."""

_SCHEMA: dict[str, Any] = {
    "model": pl.String,
    "priced": pl.Boolean,
    "assumed": pl.Boolean,
    **dict.fromkeys(("input_pusd", "output_pusd", "cached_pusd", "call_pwh", "input_pwh", "output_pwh"), pl.Int64),
}


def table(lens: Lens, lineups: Iterable[str]) -> pl.DataFrame:
    """One row per model identity the lens says something about; `lineups` are the conditions' JSON line-ups."""
    names = {identity: name for lineup in set(lineups) for _, name, identity in json.loads(lineup)}
    prices, energy = dict(lens.prices), dict(lens.energy)
    rows = [_row(model, _of(prices, model, name), _of(energy, model, name)) for model, name in sorted(names.items())]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _row(model: str, price: Price | None, energy: Energy | None) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "priced": price is not None}
    if price is not None:
        row |= {name: getattr(price, name) for name in ("input_pusd", "output_pusd", "cached_pusd", "assumed")}
    if energy is not None:
        row |= {name: getattr(energy, name) for name in ("call_pwh", "input_pwh", "output_pwh")}
    return row


def _of(said: Mapping[str, T], model: str, name: str) -> T | None:
    return said.get(model, said.get(name))


def _name(item: tuple[str, object]) -> str:
    return item[0]
