"""savings: a month with one setting and with another; and the lens that --prices asks for, wherever it is asked.

Owns how sizes and prices are read off the command line and how a month is laid out; every number is the analysis'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import options, show
from engine.cli.options import Verb, option
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis.lens import Lens
    from engine.analysis.pairs.equity import Equity
    from engine.analysis.pairs.savings import Savings
    from engine.models.energy import EnergyRange

_NAMES = {
    "usd": "money",
    "kwh": "energy, kWh",
    "kg_co2e": "carbon, kg CO2e",
    "calls": "calls",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
}
_SIZE = "MODEL=ACTIVE[/TOTAL] in billions of parameters, such as local/smollm2-135m=0.135"


@click.command(cls=Verb)
@click.argument("a", metavar="A", help="the setting of today: name, label or beginning of an id")
@click.argument("b", metavar="B", help="the cheaper one: name, label or beginning of an id")
@option("--per-day", type=options.number, required=True, metavar="N", help="questions a day")
@option("--zone", default="WOR", help="grid, by ISO code such as FRA or USA (WOR: the world)")
@option(
    "--size",
    "sizes",
    multiple=True,
    metavar="MODEL=ACTIVE[/TOTAL]",
    help="billions of parameters, where the size is not known or another is meant (repeatable)",
)
@option("--pue", type=options.number, metavar="X", help="of the data centre of models with a --size (1.2)")
@option(
    "--prefill-share",
    type=options.number,
    default="0",
    metavar="X",
    help="energy of an input token as a share of an output token's (0: ecologits counts none)",
)
@option("--by", metavar="COLUMN", help="who pays: accuracy by this column of the questions or their data")
@options.study
@options.task("the task, where a label is on several")
@options.prices
@options.as_json
def savings(
    db: Path,
    a: str,
    b: str,
    per_day: float,
    zone: str,
    sizes: tuple[str, ...],
    pue: float | None,
    prefill_share: float,
    by: str | None,
    study: str | None,
    task: str | None,
    prices: tuple[str, ...],
    as_json: bool,
) -> None:
    """Money, energy, carbon and accuracy of a month, and with --by who pays for the saving."""
    from engine.analysis import Cell

    results = engine.open(options.existing(db))
    rows = [options.condition(results, name, task, study) for name in (a, b)]
    today, cheaper = (Cell(row["condition_id"]) for row in rows)
    listed = results.snapshots()
    view, weights = lens(listed, prices), energies(listed, sizes, pue, prefill_share)
    month = results.savings(today, cheaper, per_day, zone, weights, view, study=study)
    who = None if by is None else results.equity(today, cheaper, by, study=study)
    if as_json:
        record = {
            "questions_per_day": month.traffic.questions_per_day,
            "zone": month.traffic.zone,
            "n": month.n,
            "lines": month.lines.to_dicts(),
            "accuracy": [month.accuracy.mean, month.accuracy.low, month.accuracy.high],
            "assumed": month.assumed,
            "simulated": month.simulated,
            "energy": list(month.sources),
        }
        show.emit(record | ({} if who is None else {"by": who.by, "groups": who.groups.to_dicts()}))
        return
    a_name, b_name = map(names.over(rows), rows)
    show.say(f"a: {a_name}    b: {b_name}    ({names.task(rows[0]['task'])})")
    _month(month)
    for sentence in said(listed, view, prices):
        show.say(sentence)
    if who is not None:
        _who(who)


def lens(listed: pl.DataFrame, words: Sequence[str]) -> Lens:
    """What --prices asks for over the stored prices `Results.snapshots` lists. Raises UsageError, UnknownName."""
    from engine.analysis.lens import STORED, Lens
    from engine.analysis.sql import listings
    from engine.models.snapshots import asked

    if not words:
        return STORED
    names, stored = _models(listed), listings.newest(listed)
    # Words name models as studies do, and prices are stored by identity.
    by_name = {name: stored[identity] for name, identity in names.items() if identity in stored}
    return Lens.of(asked(words, names, by_name))


def view(listed: pl.DataFrame, words: Sequence[str]) -> Lens:
    """The lens of --prices, with energy figures for every model whose size is known."""
    from engine.analysis.lens import Lens
    from engine.models.energy import known_energy

    energy = {name: weights.middle for name, weights in known_energy(_models(listed)).items()}
    return replace(lens(listed, words), energy=Lens.of(energy=energy).energy)


def said(listed: pl.DataFrame, view: Lens, words: Sequence[str]) -> Iterator[str]:
    """Which prices these are, model by model: figures, source and date; `words`: what --prices says."""
    from engine.analysis.sql import listings
    from engine.models.prices import SERVICES, beyond_two_rates

    prices, stored = dict(view.prices), listings.newest(listed)
    for name, identity in _models(listed).items():
        # What was asked for, under either of its names, before what is stored.
        price = prices.get(identity, prices.get(name, stored.get(identity)))
        if price is None:
            yield f"price of {name}: unknown."
            continue
        date, stand_in = price.as_of or "undated", ", assumed" if price.assumed else ""
        rates = f"{text.rates(price.input_pusd / 1e6, price.output_pusd / 1e6)} per million tokens"
        rates += beyond_two_rates(price)
        yield f"price of {name}: {rates} ({price.source}, {date}{stand_in})."
    # A tier such as batch covers only models that have one; the others would look cheaper than they are.
    for service in (word for word in words if word in SERVICES):
        without = [name for name, identity in _models(listed).items() if not {name, identity} & prices.keys()]
        if without:
            yield f"The list has no {service} price of {', '.join(without)}; what is stored is kept."


def energies(
    listed: pl.DataFrame, sizes: Sequence[str], pue: float | None, prefill_share: float
) -> dict[str, EnergyRange]:
    """Weights of every model whose size is known or given. Raises UsageError, UnknownName."""
    from engine.models import energy
    from engine.models.energy import known_energy

    listing = _models(listed)
    weights = known_energy(listing, prefill_share=prefill_share)
    for words in sizes:
        # From the right: a name may hold an equals sign, and a size does not.
        name, _, numbers = words.rpartition("=")
        try:
            active, *total = (float(part) for part in numbers.split("/"))
        except ValueError:
            active, total = 0.0, []
        # A zero is no size either: it would make every energy 0.
        if not name or not active or len(total) > 1:
            raise UsageError(f"{words[:80]!r} is no size: write {_SIZE}.")
        if name not in listing:
            raise UnknownName("model of the database", name, listing)
        size = energy.size(active, total[0] if total else None, pue=energy.PUE if pue is None else pue)
        weights[name] = energy.energy(size, prefill_share=prefill_share)
    return weights


def _models(listed: pl.DataFrame) -> dict[str, str]:
    """Every model of the database: name to identity."""
    return dict(sorted(listed.select("name", "model").unique().rows()))


def _month(month: Savings) -> None:
    """The table, and what it rests on."""
    rows = []
    for row in month.lines.to_dicts():
        form = show.dollars if row["quantity"] == "usd" else show.number
        low, high = row["saving_low"], row["saving_high"]
        interval = show.UNKNOWN if low is None or high is None else f"{show.number(low)} to {show.number(high)}"
        spans = (
            f"{side} {show.number(row[f'{side}_least'])} to {show.number(row[f'{side}_most'])}"
            for side in "ab"
            if row[f"{side}_least"] is not None
        )
        sides = (form(row[side]) for side in ("a", "b", "saving"))
        rows.append((_NAMES[row["quantity"]], *sides, interval, ", ".join(spans)))
    # The size of a model that nobody tells is a range, and so is its energy.
    ranged = month.lines["a_least"].is_not_null().any() or month.lines["b_least"].is_not_null().any()
    head = ("a month", "with a", "with b", "b saves", "95% interval", "by size of the model" if ranged else "")
    show.table(head, rows, numeric=range(1, 4))
    show.say()
    change = month.accuracy
    if change.mean is not None and change.low is not None and change.high is not None:
        points = f"{show.points(change.mean)} {show.interval(change.low, change.high, show.points)}"
        show.say(f"Accuracy changes by {points} on {month.n:,} questions measured with both.")
    show.say(
        f"{month.traffic.questions_per_day:,g} questions a day like these, 30.44 days; "
        f"{month.intensity:g} gCO2e/kWh ({month.traffic.zone.upper()})."
    )
    show.say(f"energy: {', '.join(month.sources) or 'unknown; give --size'}.")
    if month.assumed:
        show.say("assumed price: a stand-in, because nobody bills this model.")
    if month.simulated:
        show.say("simulated: answered by a script, not by a language model.")


def _points(share: float) -> str:
    return show.points(share).removesuffix(" points")


def _who(who: Equity) -> None:
    """Who pays for the saving, group by group."""
    rows = []
    for row in who.groups.to_dicts():
        warning = f"loses more than the rest (p {text.p_value(row['p_value'])})" if row["warning"] else ""
        rows.append(
            (
                *(
                    row["group"],
                    show.number(row["n"]),
                    show.percent(row["accuracy_a"]),
                    show.percent(row["accuracy_b"]),
                ),
                *(_points(row["change"]), f"{_points(row['low'])} to {_points(row['high'])}"),
                show.UNKNOWN if row["gap"] is None else _points(row["gap"]),
                warning if row["enough"] else "not enough questions to say",
            )
        )
    head = (who.by, "n", "with a", "with b", "change", "95% interval", "against the rest", "")
    show.say()
    show.table(head, rows, numeric=range(1, 7))
