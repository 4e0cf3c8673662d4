"""The [[strategies]] tables of a study: which strategies are compared, with which parameters; a list sweeps.

Owns their keys and the spreading of sweeps. Makes no strategy but to see that its parameters are taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine import toml
from engine.errors import UnknownName, UsageError
from engine.strategies import build, entries, entry

_MOST_CHOICES = 1_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy with one value for each of its parameters."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()
    """Those the study sets, sorted by name; the others keep their defaults."""


def read(top: toml.Table) -> tuple[Choice, ...]:
    """What is compared; a calibration compares nothing, so it needs none of what is named."""
    if "calibration" in top.body:
        return ()
    return tuple(choice for table in top.tables("strategies", _knobs) for choice in _choices(table))


def _choices(table: toml.Table) -> list[Choice]:
    """Each combination of the listed values; a list sweeps."""
    name = table.required("name")
    if not entry(name).listed:
        raise UnknownName("strategy", name, entries())
    knobs = {key: value for key, value in sorted(table.body.items()) if key != "name"}
    swept = [table.items(key) if isinstance(value, list) else [value] for key, value in knobs.items()]
    if math.prod(len(values) for values in swept) > _MOST_CHOICES:
        raise UsageError(f"{table.place} sweeps over more than {_MOST_CHOICES:,} combinations.")
    found = [Choice(name, tuple(zip(knobs, values, strict=True))) for values in itertools.product(*swept)]
    for choice in found:
        _tried(choice, table.place)
    return found


def _tried(choice: Choice, place: str) -> None:
    try:
        build(choice.name, dict(choice.params))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _knobs(body: Mapping[str, Any]) -> Iterable[str]:
    name = body.get("name")
    return ("name", *entry(name).knobs) if isinstance(name, str) else body
