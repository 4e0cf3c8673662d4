"""Which prices and energy figures a page looks through: what its controls say, as a lens and in words.

A view changes what a spend costs, never what was spent. Pure: state in, `Lens` and plain texts out; knows neither
Streamlit nor a database. Texts of a link are hostile until `read` has taken them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.figures.lettering import short_model
from engine.core import text as fmt
from engine.core.errors import UsageError, shortened

if TYPE_CHECKING:
    from engine.analysis import Lens
    from engine.core.records import Price
    from engine.models.energy import EnergyRange

MOST = 16
"""Models a link may say a price or a size of."""
DEAREST = 1_000_000.0
"""US dollars per million tokens, and billions of parameters, that nobody exceeds."""
FACTORS = ("0.1", "0.2", "0.25", "0.5", "0.75", "0.8", "0.9", "1", "1.1", "1.25", "1.5", "2", "3", "4", "5", "8", "10")
"""What one model's price may be multiplied with, about evenly on a log scale; 1 is no change."""
METHOD = "linear form after EcoLogits"
ENDS = {"low": "Smallest", "middle": "Half-way", "high": "Largest"}
"""Which size stands for a model whose size is known as a range."""

__all__ = [
    "DEAREST",
    "ENDS",
    "FACTORS",
    "METHOD",
    "PLAIN",
    "Looking",
    "Models",
    "build",
    "caption",
    "energies",
    "ranged",
    "read",
    "said",
    "unknown_sizes",
]


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a database and what it was billed for them."""

    names: tuple[str, ...]
    stored: tuple[tuple[str, Price], ...] = ()
    """Newest stored price by name; no entry: unknown."""


@dataclass(frozen=True, slots=True)
class Looking:
    """What the controls ask for; equal content, equal numbers."""

    prices: str = "stored"
    """stored, today or own."""
    own: tuple[tuple[str, float, float], ...] = ()
    """Model, US dollars per million input and output tokens; counts where `prices` is own."""
    whatif: str | None = None
    """Model whose price is multiplied."""
    times: str = "1"
    cached: bool = False
    """Whether cached input costs its own price."""
    zone: str | None = None
    """Grid the electricity is from; None: energy is not figured."""
    sizes: tuple[tuple[str, float, float], ...] = ()
    """Model, billions of active parameters and of all."""
    end: str = "middle"
    """Of `ENDS`."""

    @property
    def repriced(self) -> bool:
        """Whether money is another than the one stored."""
        return self.prices == "today" or bool(self.own) or self.scaled or self.cached

    @property
    def scaled(self) -> bool:
        """Whether a price is multiplied."""
        return self.whatif is not None and self.times != "1"


PLAIN = Looking()
"""The prices stored with the trials, and no energy."""


def read(
    texts: Iterable[str], names: Sequence[str], *, sizes: bool = False
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Numbers by model from texts `MODEL=INPUT/OUTPUT` or, `sizes`, `MODEL=ACTIVE[/TOTAL]`; and a sentence for each
    text that says none, at most `MOST` of both. What is said last of a model counts."""
    found: dict[str, tuple[float, float]] = {}
    problems = []
    for text in list(texts)[:MOST]:
        name, _, numbers = text.rpartition("=")
        pair = _pair(numbers, sizes=sizes)
        if name in names and pair is not None:
            found[name] = pair
        elif name not in names:
            what = "the size" if sizes else "the price"
            problems.append(
                f"This link says {what} of {shortened(name or text)!r}, a model that is not there (any more)."
            )
        else:
            form = "ACTIVE/TOTAL in billions of parameters" if sizes else "INPUT/OUTPUT in dollars per million tokens"
            problems.append(f"This link says {shortened(numbers)!r} of {shortened(name)!r}, which is not {form}.")
    return found, problems


def _pair(text: str, *, sizes: bool) -> tuple[float, float] | None:
    try:
        numbers = [float(part) for part in text[:80].split("/")]
    except ValueError:
        return None
    first, *rest = numbers
    second = rest[0] if rest else first
    if len(numbers) > 2 or (not sizes and not rest) or not all(math.isfinite(number) for number in numbers):
        return None
    fits = 0 < first <= second <= DEAREST / 10 if sizes else min(numbers) >= 0 and max(numbers) <= DEAREST
    return (first, second) if fits else None


def build(looking: Looking, models: Models) -> tuple[Lens, list[str]]:
    """The lens, and what of it could not be had: a factor on a price nobody knows leaves that price unknown."""
    from engine.analysis import Lens

    prices, problems = dict(_prices(looking, models.names)), []
    if looking.scaled and looking.whatif is not None:
        from engine.models.snapshots import scaled

        try:
            prices[looking.whatif] = scaled({**dict(models.stored), **prices}, looking.whatif, float(looking.times))
        except UsageError:
            name = short_model(looking.whatif)
            problems.append(f"No price of {name} is known, so there is nothing to multiply; enter one as your own.")
    weights = {name: span.at(looking.end) for name, span in energies(looking, models.names).items()}
    return Lens.of(prices, weights, looking.cached), problems


def _prices(looking: Looking, names: Sequence[str]) -> Mapping[str, Price]:
    from engine.models.prices import price_from_usd_per_million
    from engine.models.snapshots import todays

    if looking.prices == "today":
        return todays(name for name in names if not name.startswith(("local/", "scripted/")))
    if looking.prices == "own":
        return {name: price_from_usd_per_million(*map(_exact, pair), source="own") for name, *pair in looking.own}
    return {}


def _exact(number: float) -> str:
    return f"{number:.6f}"


def energies(looking: Looking, names: Iterable[str]) -> dict[str, EnergyRange]:
    """Energy figures by model: of the sizes that are given or known; empty while no grid zone is chosen."""
    from engine.models.energy import energy, known_energy, size

    if looking.zone is None:
        return {}
    given = {name: energy(size(active, total)) for name, active, total in looking.sizes}
    return known_energy(name for name in names if name not in given) | given


def ranged(looking: Looking, names: Iterable[str]) -> bool:
    """Whether the energy of one of them is known as a range only."""
    return any(span.low != span.high for span in energies(looking, names).values())


def unknown_sizes(names: Iterable[str]) -> list[str]:
    """Models whose size nobody says, or which is known as a range."""
    from engine.models.energy import known_size

    sizes = ((name, known_size(name)) for name in names)
    return [name for name, of in sizes if of is None or not (of.active.known and of.total.known)]


def said(looking: Looking, x: str) -> str:
    """What values on a spend axis rest on, for its title; empty where nothing was chosen."""
    if x == "wh":
        end = "" if looking.end == "middle" else f", {ENDS[looking.end].lower()} sizes"
        return "" if looking.zone is None else f", {METHOD}, zone {looking.zone}{end}"
    parts = _money(looking) if x == "usd" else []
    return f" {' and '.join(parts)}" if parts else ""


def _money(looking: Looking) -> list[str]:
    parts = {"today": ["at today's list prices"], "own": ["at own prices"] * bool(looking.own)}.get(looking.prices, [])
    if looking.scaled and looking.whatif is not None:
        parts = [*parts, f"at {looking.times}× price of {short_model(looking.whatif)}"]
    return [*parts, "cached input at its own price"] if looking.cached else parts


def caption(looking: Looking, models: Models) -> str:
    """Everything that was chosen, with the figures and what stays unknown; empty where nothing was."""
    parts = []
    if looking.repriced:
        parts.append(f"Cost {', '.join(_money(looking))}: {_each(models.names, _rates(looking, models))}")
    if looking.zone is not None:
        from engine.models.energy import GRID_AS_OF, intensity

        spans = energies(looking, models.names)
        parts.append(
            f"Energy by the {METHOD}, without input tokens and training: "
            f"{_each(models.names, lambda name: _drawn(spans.get(name), looking.end))}"
        )
        parts.append(f"CO2e at {intensity(looking.zone):g} g per kWh, zone {looking.zone}, {GRID_AS_OF}")
    return " · ".join(parts)


def _each(names: Sequence[str], told: Callable[[str], str]) -> str:
    listed = "; ".join(f"{short_model(name)} {told(name)}" for name in names[:MOST])
    return listed + (f"; and {len(names) - MOST} more" if len(names) > MOST else "")


def _rates(looking: Looking, models: Models) -> Callable[[str], str]:
    prices = dict(models.stored) | dict(build(looking, models)[0].prices)

    def told(name: str) -> str:
        price = prices.get(name)
        if price is None:
            return "unknown"
        rates = "/".join(fmt.money(rate / 1e6) for rate in (price.input_pusd, price.output_pusd))
        return f"{rates} per million tokens{' (assumed)' if price.assumed else ''}"

    return told


def _drawn(span: EnergyRange | None, end: str) -> str:
    """Wh of a thousand output tokens: what all but the calls of a few deployments amount to."""
    if span is None:
        return "unknown size"
    low, high = (fmt.number(end.output_pwh / 1e9) for end in (span.low, span.high))
    wh = f"{low} Wh" if low == high else f"{low} to {high} Wh ({ENDS[end].lower()} is shown)"
    return f"{wh} per 1,000 output tokens"
