"""Which prices and energy figures a page looks through: what its controls say, as a lens and in words.

A view changes what a spend costs, never what was spent. Pure: state in, `Lens` and plain texts out; knows neither
Streamlit nor a database. Texts of a link are hostile until `read` has taken them apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.figures.lettering import short_model
from engine.core import text as fmt
from engine.core.errors import UsageError, shortened

if TYPE_CHECKING:
    from engine.analysis import Lens
    from engine.core.records import Price
    from engine.models.energy import EnergyRange

MOST = 16  # Models a link may say a price or a size of.
DEAREST = 1_000_000.0  # US dollars per million tokens, and billions of parameters, that nobody exceeds.
FACTORS = ("0.1", "0.2", "0.25", "0.5", "0.75", "0.8", "0.9", "1", "1.1", "1.25", "1.5", "2", "3", "4", "5", "8", "10")
"""What one model's price may be multiplied with, about evenly on a log scale; 1 is no change."""
METHOD = "linear form after EcoLogits"
ENDS = {"low": "Smallest", "middle": "Half-way", "high": "Largest"}  # Which of a range of sizes stands for a model.


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a database and what it was billed for them."""

    names: tuple[str, ...]
    stored: tuple[tuple[str, Price], ...] = ()  # Newest stored price by name; no entry: unknown.


@dataclass(frozen=True, slots=True)
class Looking:
    """What the controls ask for; equal content, equal numbers."""

    prices: str = "stored"  # stored, today, own, or a level of service of the list: batch, flex, priority.
    own: tuple[tuple[str, float, float], ...] = ()  # Model, US dollars per million input and output tokens.
    whatif: str | None = None  # Model whose price is multiplied.
    times: str = "1"
    cached: bool = False  # Whether cached input costs its own price.
    zone: str | None = None  # Grid the electricity is from; None: energy is not figured.
    sizes: tuple[tuple[str, float, float], ...] = ()  # Model, billions of active parameters and of all.
    end: str = "middle"  # Of `ENDS`.

    @property
    def repriced(self) -> bool:
        """Whether money is another than the one stored."""
        return self.prices not in ("stored", "own") or bool(self.own) or self.scaled or self.cached

    @property
    def scaled(self) -> bool:
        """Whether a price is multiplied."""
        return self.whatif is not None and self.times != "1"


PLAIN = Looking()  # The prices stored with the trials, and no energy.


def read(
    texts: Iterable[str], names: Sequence[str], *, sizes: bool = False
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Numbers by model from texts `MODEL=INPUT/OUTPUT` or, `sizes`, `MODEL=ACTIVE[/TOTAL]`; and a sentence for each
    text that says none, at most `MOST` of both. What is said last of a model counts."""
    pairs: dict[str, tuple[float, float]] = {}
    problems = []
    what = "the size" if sizes else "the price"
    form = "ACTIVE/TOTAL in billions of parameters" if sizes else "INPUT/OUTPUT in dollars per million tokens"
    for text in list(texts)[:MOST]:
        name, _, numbers = text.rpartition("=")
        try:
            # Cut first: the texts of a link are hostile and may be endless.
            first, *rest = (float(part) for part in numbers[:80].split("/"))
        except ValueError:
            first, rest = math.nan, []
        second = rest[0] if rest else first
        fits = math.isfinite(first) and all(map(math.isfinite, rest)) and len(rest) <= 1
        if sizes:
            fits = fits and 0 < first <= second <= DEAREST / 10
        else:
            fits = fits and bool(rest) and min(first, second) >= 0 and max(first, second) <= DEAREST
        if name not in names:
            problems.append(
                f"This link says {what} of {shortened(name or text)!r}, a model that is not there (any more)."
            )
        elif fits:
            pairs[name] = first, second
        else:
            problems.append(f"This link says {shortened(numbers)!r} of {shortened(name)!r}, which is not {form}.")
    return pairs, problems


def build(looking: Looking, models: Models) -> tuple[Lens, list[str]]:
    """The lens, and what of it could not be had: a factor on a price nobody knows leaves that price unknown, and a
    model without a price for a level of service keeps its stored one."""
    from engine.analysis import Lens
    from engine.models.prices import SERVICES, price_from_usd_per_million
    from engine.models.snapshots import scaled, todays

    prices: dict[str, Price] = {}
    problems = []
    if looking.prices == "today":
        prices |= todays(models.names)
    elif looking.prices in SERVICES:
        prices |= todays(models.names, looking.prices)
        without = [short_model(name) for name in models.names if name not in prices]
        if without:
            problems.append(f"The list has no {looking.prices} price of {', '.join(without)}; what is stored is kept.")
    elif looking.prices == "own":
        for name, *pair in looking.own:  # As decimals, which become pico-dollars exactly.
            prices[name] = price_from_usd_per_million(*(f"{number:.6f}" for number in pair), source="own")
    if looking.scaled and looking.whatif is not None:
        try:
            prices[looking.whatif] = scaled({**dict(models.stored), **prices}, looking.whatif, float(looking.times))
        except UsageError:
            name = short_model(looking.whatif)
            problems.append(f"No price of {name} is known, so there is nothing to multiply; enter one as your own.")
    weights = {name: span.at(looking.end) for name, span in energies(looking, models.names).items()}
    return Lens.of(prices, weights, looking.cached), problems


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
    services = {name: [f"at {name} prices"] for name in ("batch", "flex", "priority")}
    said_of = {"today": ["at today's list prices"], "own": ["at own prices"] * bool(looking.own), **services}
    parts = said_of.get(looking.prices, [])
    if looking.scaled and looking.whatif is not None:
        parts = [*parts, f"at {looking.times}× price of {short_model(looking.whatif)}"]
    return [*parts, "cached input at its own price"] if looking.cached else parts


def caption(looking: Looking, models: Models) -> str:
    """Everything that was chosen, with the figures and what stays unknown; empty where nothing was."""
    parts, shown = [], models.names[:MOST]
    more = f"; and {len(models.names) - MOST} more" if len(models.names) > MOST else ""
    if looking.repriced:
        from engine.models.prices import beyond_two_rates

        prices, rates = dict(models.stored) | dict(build(looking, models)[0].prices), []
        for name in shown:
            price, rate = prices.get(name), "unknown"
            if price is not None:  # Pico-dollars a token are micro-dollars a million tokens.
                per_million = "/".join(fmt.money(pusd / 1e6) for pusd in (price.input_pusd, price.output_pusd))
                rate = f"{per_million} per million tokens{' (assumed)' if price.assumed else ''}"
                rate += beyond_two_rates(price).replace("; ", ", ")
            rates.append(f"{short_model(name)} {rate}")
        parts.append(f"Cost {', '.join(_money(looking))}: {'; '.join(rates)}{more}")
    if looking.zone is not None:
        from engine.models.energy import GRID_AS_OF, intensity

        spans, weights = energies(looking, models.names), []
        for name in shown:
            span, wh = spans.get(name), "unknown size"
            if span is not None:
                # Wh of a thousand output tokens: what all but the calls of a few deployments amount to.
                low, high = (fmt.number(end.output_pwh / 1e9) for end in (span.low, span.high))
                both = f"{low} to {high} Wh ({ENDS[looking.end].lower()} is shown)"
                wh = f"{f'{low} Wh' if low == high else both} per 1,000 output tokens"
            weights.append(f"{short_model(name)} {wh}")
        parts.append(f"Energy by the {METHOD}, without input tokens and training: {'; '.join(weights)}{more}")
        parts.append(f"CO2e at {intensity(looking.zone):g} g per kWh, zone {looking.zone}, {GRID_AS_OF}")
    return " · ".join(parts)
