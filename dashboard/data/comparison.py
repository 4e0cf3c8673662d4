"""What the Compare page asks of the analysis, and what a visitor typed made into numbers it takes.

Pure: knows neither Streamlit nor a database. Raises UsageError in words a visitor understands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.text.differences import Compared, Side, dearer
from engine.core.errors import UsageError, shortened

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Cell, Results
    from engine.analysis.equity import Equity
    from engine.analysis.savings import Savings
    from engine.models.energy import EnergyRange

Row = Mapping[str, Any]
MOST_GROUPS = 24
"""A column with more values than these does not group questions."""
NO_GROUPS = "category"
"""The column every question has, filled or not."""

WHOLE = "All questions"
ROWS = ("group", "n", "accuracy_a", "accuracy_b", "difference", "low", "high", "p_value", "enough", "warning")
ROW_NUMBERS = ("index", "_id", ".id")
"""Endings of keys that only count questions."""

__all__ = [
    "MOST_GROUPS",
    "NO_GROUPS",
    "Compared",
    "Month",
    "Side",
    "compared",
    "dearer",
    "groupings",
    "month",
    "number",
    "told_rows",
    "unknown_sizes",
]


@dataclass(frozen=True, slots=True)
class Month:
    """What a month is asked for; texts as they were typed."""

    per_day: str
    zone: str
    size: str
    """Billions of parameters of models whose size nobody knows, ACTIVE or ACTIVE/TOTAL; empty: unknown."""


def compared(found: Results, a: Cell, b: Cell, by: str, left: Side, draws: tuple[int, int]) -> Compared:
    """Both comparisons of two cells; `draws`: bootstrap replicates and their seed."""
    whole = found.compare(b, a, replicates=draws[0], seed=draws[1])
    order = (a, b) if left == "a" else (b, a)
    return Compared(whole, found.equity(*order, by, *draws) if whole.n else None, left)


def told_rows(found: Compared) -> pl.DataFrame:
    """B minus A over all questions, then group by group, the largest first: columns `ROWS`.

    p_value: of the first row that nothing differs, of a group that it loses no more than the rest by the saving. The
    first row is alone where the questions fall into one group."""
    import polars as pl

    whole = found.whole
    first = (
        WHOLE,
        whole.n,
        whole.accuracy_b,
        whole.accuracy_a,
        whole.accuracy.mean,
        whole.accuracy.low,
        whole.accuracy.high,
        whole.p_value,
        True,
        False,
    )
    kinds = (pl.String, pl.Int64, *(pl.Float64,) * 6, pl.Boolean, pl.Boolean)
    told = pl.DataFrame([first], schema=dict(zip(ROWS, kinds, strict=True)), orient="row")
    if found.who is None or found.who.groups.height < 2:
        return told
    return pl.concat([told, _groups(found.who, found.left).sort("n", "group", descending=[True, False])])


def _groups(who: Equity, left: Side) -> pl.DataFrame:
    """Its changes are from the dearer to the cheaper setting, ours from A to B."""
    import polars as pl

    rows = who.groups.rename({"change": "difference"})
    if left == "b":
        swapped = {"accuracy_a": "accuracy_b", "accuracy_b": "accuracy_a", "low": "high", "high": "low"}
        rows = rows.rename(swapped).with_columns(pl.col("difference", "low", "high") * -1 + 0.0)
    return rows.select(ROWS)


def groupings(questions: pl.DataFrame) -> tuple[str, tuple[str, ...]]:
    """The column or key of the data to group by at first, and all that make 2 to `MOST_GROUPS` groups.

    `category` is always there; it is taken where it or nothing else makes two groups large enough to judge."""
    from engine.analysis.equity import ENOUGH, groups

    keys = {key for text in questions["data"] for key in _keys(json.loads(text))} - set(questions.columns)
    named = (NO_GROUPS, "target", *(key for key in sorted(keys) if not key.endswith(ROW_NUMBERS)))
    counts = {key: groups(questions, key)["group"].value_counts()["count"].to_list() for key in named}
    offered = tuple(key for key, found in counts.items() if key == NO_GROUPS or 1 < len(found) <= MOST_GROUPS)
    judged = [key for key in offered if sum(n >= ENOUGH for n in counts[key]) > 1]
    return (NO_GROUPS if len(counts[NO_GROUPS]) > 1 or not judged else judged[0]), offered


def _keys(data: Any, above: str = "") -> Iterable[str]:
    """Keys with dots, as `equity.groups` takes them."""
    if not isinstance(data, Mapping):
        return [above.removeprefix("metadata.")] if above else []
    return [key for name, below in data.items() for key in _keys(below, f"{above}.{name}" if above else str(name))]


def month(found: Results, a: Cell, b: Cell, lineups: Iterable[str], asked: Month, draws: tuple[int, int]) -> Savings:
    """A month with A and with B; its `saving` is what B saves. Raises UsageError for no number, size or zone."""
    weights = _energies(lineups, asked.size)
    return found.savings(a, b, number(asked.per_day), asked.zone, weights, replicates=draws[0], seed=draws[1])


def number(text: str) -> float:
    """Questions a day as typed: `1000`, `1,000` or `2.5e6`. Raises UsageError."""
    try:
        return float(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise UsageError(f"Questions per day are a number such as 1000, not {shortened(text)!r}.") from None


def unknown_sizes(lineups: Iterable[str]) -> tuple[str, ...]:
    """Names of the models whose size nobody knows."""
    from engine.models.energy import known_size

    return tuple(
        name
        for name, identity in _players(lineups).items()
        if known_size(name) is None and known_size(identity) is None
    )


def _players(lineups: Iterable[str]) -> dict[str, str]:
    """Name to identity of every model."""
    return {name: identity for lineup in lineups for _, name, identity in json.loads(lineup)}


def _energies(lineups: Iterable[str], size: str) -> dict[str, EnergyRange] | None:
    """Weights of the models, those of unknown size taken as large as was typed; None: known sizes alone."""
    from engine.models import energy
    from engine.models.energy import known_energy

    if not size.strip():
        return None
    every = tuple(lineups)
    players, (active, *total) = _players(every), _sizes(size)
    given = energy.energy(energy.size(active, *total[:1]))
    return known_energy((*players, *players.values())) | dict.fromkeys(unknown_sizes(every), given)


def _sizes(text: str) -> list[float]:
    try:
        sizes = [float(part) for part in text.split("/")]
    except ValueError:
        sizes = []
    if len(sizes) not in (1, 2):
        raise UsageError(
            f"A size is billions of parameters, ACTIVE or ACTIVE/TOTAL such as 3.6/20.9, not {shortened(text)!r}."
        )
    return sizes
