"""What the Compare page says about two settings, in words and columns. Differences are B minus A throughout.

Pure: records and frames in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis.equity import Equity
    from engine.analysis.savings import Savings

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Comparison
    from engine.analysis.equity import Equity
    from engine.analysis.savings import Savings

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dashboard.figures.axes import AXES
from dashboard.text import tables
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Comparison
    from engine.analysis.savings import Savings

Row = Mapping[str, Any]
SPENDS = ("calls", "input_tokens", "output_tokens", "total_tokens", "usd", "latency_ms")
QUANTITIES = {
    "usd": "Money",
    "kwh": "Energy, kWh",
    "kg_co2e": "Carbon, kg CO2e",
    "calls": "Calls",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
}
DIFFERENCE = "Accuracy, points"
"""Column of `others_table`."""
METHODS = {"score": "score interval (few differ)", "bootstrap": "paired bootstrap interval", "none": "no interval"}

__all__ = [
    "DIFFERENCE",
    "caption",
    "finding",
    "month_remarks",
    "month_table",
    "others_table",
    "payers",
    "reservations",
    "spend_table",
    "too_few",
]


def finding(found: Comparison, a: Row, b: Row) -> str:
    """The verdict in one sentence; `found` is B against A."""
    name, delta = names.over([a, b]), found.accuracy
    first, second = tables.cell_name(a, name), tables.cell_name(b, name)
    if not found.n or delta.mean is None:
        return f"{first} and {second} share no scored question"
    asked = fmt.plural(found.n, "question")
    if not found.settled:
        return f"{asked} {'does' if found.n == 1 else 'do'} not decide between {first} and {second}{_more(found)}"
    order = (b, a) if delta.mean > 0 else (a, b)
    better, worse = (tables.cell_name(row, name) for row in order)
    ends = sorted(abs(end) for end in (delta.low, delta.high) if end is not None)
    sure = fmt.interval(ends[0], ends[1], _whole)
    points = f"{_whole(abs(delta.mean))} points more {sure}"
    return f"{better} is right on {points} of {asked} than {worse}; it spends {_ratio(*order)}"


def _whole(share: float | None) -> str:
    return fmt.UNKNOWN if share is None else fmt.number(round(share * 100, 1))


def _more(found: Comparison) -> str:
    """What it would take."""
    if found.more_questions is None:
        return ": none is ahead" if not found.accuracy.mean else ""
    if found.more_questions > 100_000:
        return "; more than 100,000 more would not either"
    return f"; about {fmt.count(int(float(f'{found.more_questions:.2g}')))} more would"


def _ratio(one: Row, other: Row) -> str:
    """`13 times the tokens`, `30% more tokens`."""
    if not one["total_tokens"] or not other["total_tokens"]:
        return "an unknown share of the tokens"
    times = one["total_tokens"] / other["total_tokens"]
    if times >= 1.95:
        return f"{fmt.number(times, 2)} times the tokens"
    share = round(abs(times - 1) * 100)
    return f"{share}% {'more' if times > 1 else 'fewer'} tokens" if share else "as many tokens"


def caption(found: Comparison, task: str, a: Row, b: Row) -> str:
    """Task, accuracies, n, how sure, and every reservation about the two."""
    parts = [task]
    if found.n:
        parts += [
            _scores(found),
            f"95% {METHODS[found.method]}",
            f"p {fmt.p_value(found.p_value)}",
            *_reach(found),
        ]
    return " · ".join([*parts, *reservations(a, b)])


def _scores(found: Comparison) -> str:
    """In `found` the page's B comes first."""
    return f"A {fmt.percent(found.accuracy_b)}, B {fmt.percent(found.accuracy_a)} right"


def _reach(found: Comparison) -> list[str]:
    if found.settled or found.detectable is None:
        return []
    return [f"{fmt.plural(found.n, 'question')} would show {_whole(found.detectable)} points or more"]


def reservations(a: Row, b: Row) -> list[str]:
    """Notes on either setting, named by its letter; those of both once."""
    mine, theirs = _notes(a), _notes(b)
    both = [note for note in mine if note in theirs]
    return [
        *both,
        *(f"A: {note}" for note in mine if note not in both),
        *(f"B: {note}" for note in theirs if note not in both),
    ]


def _notes(row: Row) -> list[str]:
    return [*tables.cell_notes(row), *(["oracle: may look at the target"] if row.get("oracle") else [])]


def spend_table(found: Comparison, a: Row, b: Row) -> pl.DataFrame:
    """Mean spend per question side by side."""
    import polars as pl

    rows = [_spend(found, a, b, column) for column in SPENDS]
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))


def _spend(found: Comparison, a: Row, b: Row, column: str) -> Row:
    lens, estimate = AXES[column], found.spend[column]
    form: Callable[[float | None], str] = lens.form
    if column == "latency_ms":
        form = lambda ms: fmt.duration(None if ms is None else ms * 1000)  # noqa: E731
    low, high = (None if end is None else end * lens.scale for end in (estimate.low, estimate.high))
    assumed = ", assumed price" if lens.money and (a["usd_assumed"] or b["usd_assumed"]) else ""
    title = "Time per question, as it ran" if column == "latency_ms" else lens.title
    return {
        "Spend": f"{title}{assumed}",
        "A": form(lens.value(a)),
        "B": form(lens.value(b)),
        "B minus A": _signed(None if estimate.mean is None else estimate.mean * lens.scale, form),
        "95% interval": fmt.interval(low, high, lambda end: _signed(end, form)),
        "B over A": _times(a[column], b[column]),
    }


def _times(a: float | None, b: float | None) -> str:
    return f"× {fmt.number(b / a)}" if a and b is not None else ""


def _signed(value: float | None, form: Callable[[float | None], str]) -> str:
    return f"+{form(value)}" if value is not None and value > 0 else form(value)


def payers(found: Compared, a: Row, b: Row) -> list[str]:
    """One sentence for each group that loses significantly more than the rest by leaving the dearer setting."""
    if found.who is None:
        return []
    left, taken = (a, b) if found.left == "a" else (b, a)
    name = names.over([a, b])
    move = f"when {tables.cell_name(left, name)} is left for the cheaper {tables.cell_name(taken, name)}"
    tested = int(found.who.groups["enough"].sum())
    rows = found.who.groups.filter("warning").to_dicts()
    return [
        f"{found.who.by} {row['group']} loses more than the rest {move}: {fmt.points(row['change'])} against "
        f"{fmt.points(row['rest_change'])} (n = {fmt.count(row['n'])}, p {fmt.p_value(row['p_value'])}, corrected for "
        f"{fmt.plural(tested, 'group')})."
        for row in rows
    ]


def too_few(found: Compared) -> str:
    """Who pays cannot be said of some groups, or nobody pays more than the rest; empty without questions."""
    from engine.analysis.equity import ENOUGH

    if found.who is None:
        return ""
    if found.who.groups.height < 2:
        return f"All questions are in one group by {found.who.by}: choose another column to see who pays."
    groups = found.who.groups
    few, parts = groups.filter(~groups["enough"]).height, []
    if few < groups.height and not found.who.warnings:
        parts.append(f"No group by {found.who.by} loses significantly more than the rest by the saving.")
    if few:
        where = "every group" if few == groups.height else fmt.plural(few, "group")
        parts.append(f"Too few questions in {where} to say who pays (under {ENOUGH} there or in the rest).")
    return " ".join(parts)


def others_table(found: pl.DataFrame, rows: Mapping[tuple[str, int], Row]) -> pl.DataFrame:
    """Every other setting against A, the largest difference first; `rows` by condition and budget."""
    import polars as pl

    name = names.over([*rows.values()])
    told = [
        {
            "Setting": tables.cell_name(rows[each["a_id"], each["a_budget"]], name),
            "Questions": each["n"],
            DIFFERENCE: None if each["difference"] is None else round(each["difference"] * 100, 1),
            "95% interval": fmt.interval(each["low"], each["high"], _bare),
            "Won": each["a_better"],
            "Lost": each["b_better"],
            "p": fmt.p_value(each["p_value"]),
            "p, Holm": fmt.p_value(each["p_adjusted"]),
            "Tokens": _times(
                rows[each["b_id"], each["b_budget"]]["total_tokens"],
                rows[each["a_id"], each["a_budget"]]["total_tokens"],
            ),
            "Notes": " · ".join(_notes(rows[each["a_id"], each["a_budget"]])),
        }
        for each in found.sort("difference", "a_id", descending=[True, False], nulls_last=True).to_dicts()
    ]
    return pl.DataFrame(told, infer_schema_length=None)


def _bare(share: float | None) -> str:
    return fmt.points(share).removesuffix(" points")


def month_table(found: Savings) -> pl.DataFrame:
    """A month with A and with B, quantity by quantity."""
    import polars as pl

    rows = [_quantity(row) for row in found.lines.to_dicts()]
    ranged = any(row["By size of the models"] for row in rows)
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return table if ranged else table.drop("By size of the models")


def _quantity(row: Row) -> Row:
    form = fmt.money if row["quantity"] == "usd" else fmt.number
    more, low, high = (None if v is None else -v for v in (row["saving"], row["saving_high"], row["saving_low"]))
    spans = [
        f"{side.upper()} {form(row[f'{side}_least'])} – {form(row[f'{side}_most'])}"
        for side in "ab"
        if row[f"{side}_least"] is not None
    ]
    return {
        "A month": QUANTITIES[row["quantity"]],
        "A": form(row["a"]),
        "B": form(row["b"]),
        "B minus A": _signed(more, form),
        "95% interval": fmt.interval(low, high, lambda end: _signed(end, form)),
        "By size of the models": ", ".join(spans),
    }


def month_remarks(found: Savings, unknown: Sequence[str]) -> str:
    """What the table of a month rests on."""
    traffic = found.traffic
    parts = [
        f"{traffic.questions_per_day:,g} questions a day like these, 30.44 days",
        f"{found.intensity:g} g CO2e per kWh ({traffic.zone})",
    ]
    parts.append(f"energy: {', '.join(found.sources)}" if found.sources else "energy unknown")
    if unknown:
        parts.append(f"size not known: {', '.join(unknown)}")
    if found.assumed:
        parts.append("assumed price")
    if found.simulated:
        parts.append("simulated model")
    return " · ".join(parts)


Side = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Compared:
    """Setting A against setting B."""

    whole: Comparison
    """Its `a` is the page's B: differences are B minus A, `won` are the questions on which B is better."""
    who: Equity | None
    """Who pays for leaving the dearer setting for the cheaper one; None: no question is shared."""
    left: Side
    """The dearer setting, which is left."""


def dearer(a: Row, b: Row) -> Side:
    """The setting that costs more, in money where both prices are known, else in tokens."""
    known = a["usd"] is not None and b["usd"] is not None
    unit = "usd" if known and a["usd"] != b["usd"] else "total_tokens"
    return "a" if (a[unit] or 0) > (b[unit] or 0) else "b"
