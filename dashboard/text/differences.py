"""What the Compare page says about two settings, in words and columns. Differences are B minus A throughout.

Pure: records and frames in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dashboard.figures.axes import AXES
from dashboard.text import tables
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Comparison
    from engine.analysis.pairs.equity import Equity
    from engine.analysis.pairs.savings import Savings

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
    "Compared",
    "Side",
    "caption",
    "dearer",
    "finding",
    "month_remarks",
    "month_table",
    "others_table",
    "payers",
    "reservations",
    "spend_table",
    "too_few",
]

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
    # Where both cost the same, as two free models do, tokens decide.
    return "a" if (a[unit] or 0) > (b[unit] or 0) else "b"


def finding(found: Comparison, a: Row, b: Row) -> str:
    """The verdict in one sentence; `found` is B against A."""
    name, delta = names.over([a, b]), found.accuracy
    first, second = tables.cell_name(a, name), tables.cell_name(b, name)
    if not found.n or delta.mean is None:
        return f"{first} and {second} share no scored question"
    questions = fmt.plural(found.n, "question")
    if not found.settled:
        needed = found.more_questions
        more = "" if delta.mean else ": none is ahead"
        if needed is not None:
            about = fmt.count(int(float(f"{needed:.2g}")))
            more = "; more than 100,000 more would not either" if needed > 100_000 else f"; about {about} more would"
        return f"{questions} {'does' if found.n == 1 else 'do'} not decide between {first} and {second}{more}"
    better, worse = (b, a) if delta.mean > 0 else (a, b)
    # Both ends have the sign of the mean, or it would not be settled.
    ends = sorted(abs(end) for end in (delta.low, delta.high) if end is not None)
    points = f"{_whole(abs(delta.mean))} points more {fmt.interval(ends[0], ends[1], _whole)}"
    spends = "an unknown share of the tokens"
    if better["total_tokens"] and worse["total_tokens"]:
        times = better["total_tokens"] / worse["total_tokens"]
        share = round(abs(times - 1) * 100)
        spends = f"{share}% {'more' if times > 1 else 'fewer'} tokens" if share else "as many tokens"
        # From about twice on a factor says more than a percentage.
        spends = f"{fmt.number(times)} times the tokens" if times >= 1.95 else spends
    ahead, behind = tables.cell_name(better, name), tables.cell_name(worse, name)
    if found.graded:
        return f"{ahead} scores {points} on {questions} than {behind}; it spends {spends}"
    return f"{ahead} is right on {points} of {questions} than {behind}; it spends {spends}"


def _whole(share: float | None) -> str:
    return fmt.UNKNOWN if share is None else fmt.number(round(share * 100, 1))


def caption(found: Comparison, task: str, a: Row, b: Row) -> str:
    """Task, accuracies, n, how sure, and every reservation about the two."""
    parts = [names.task(task)]
    if found.n:
        # In `found` the page's B comes first.
        of = "of all points" if found.graded else "right"
        scores = f"A {fmt.percent(found.accuracy_b)}, B {fmt.percent(found.accuracy_a)} {of}"
        parts += [scores, f"95% {METHODS[found.method]}", f"p {fmt.p_value(found.p_value)}"]
        if not found.settled and found.detectable is not None:
            parts.append(f"{fmt.plural(found.n, 'question')} would show {_whole(found.detectable)} points or more")
    return " · ".join([*parts, *reservations(a, b)])


def reservations(a: Row, b: Row) -> list[str]:
    """Notes on either setting, named by its letter; those of both once."""
    of_a, of_b = _notes(a), _notes(b)
    # In the order of A; a note on both would only be said twice.
    both = [note for note in of_a if note in of_b]
    apart = (f"{side}: {note}" for side, notes in (("A", of_a), ("B", of_b)) for note in notes if note not in both)
    return [*both, *apart]


def _notes(row: Row) -> list[str]:
    return [*tables.cell_notes(row), *(["oracle: may look at the target"] if row.get("oracle") else [])]


def spend_table(found: Comparison, a: Row, b: Row) -> pl.DataFrame:
    """Mean spend per question side by side."""
    import polars as pl

    def milliseconds(shown: float | None) -> str:
        return fmt.duration(None if shown is None else shown * 1000)

    rows = []
    for column in SPENDS:
        lens, spent = AXES[column], found.spend[column]
        # A run's time is no property of a question, so it is named otherwise here than on an axis.
        time = column == "latency_ms"
        form, title = (milliseconds, "Time per question, as it ran") if time else (lens.form, lens.title)
        mean, low, high = (None if v is None else v * lens.scale for v in (spent.mean, spent.low, spent.high))
        assumed = ", assumed price" if lens.money and (a["usd_assumed"] or b["usd_assumed"]) else ""
        row = {
            "Spend": f"{title}{assumed}",
            "A": form(lens.value(a)),
            "B": form(lens.value(b)),
            "B minus A": _signed(mean, form),
            "95% interval": fmt.interval(low, high, partial(_signed, form=form)),
            "B over A": _times(a[column], b[column]),
        }
        rows.append(row)
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))


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
    # p was corrected for the groups that had enough questions, and no others.
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
    from engine.analysis.pairs.equity import ENOUGH

    if found.who is None:
        return ""
    # A group is compared with the rest, which one group does not leave.
    if found.who.groups.height < 2:
        return f"All questions are in one group by {found.who.by}: choose another column to see who pays."
    groups = found.who.groups
    # Both can be so: some groups were judged and none loses, others are too small.
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

    name, settings = names.over([*rows.values()]), []
    for each in found.sort("difference", "a_id", descending=[True, False], nulls_last=True).to_dicts():
        # In the frame the other setting comes first, as `a`; the page's A is its `b`.
        other, ours = rows[each["a_id"], each["a_budget"]], rows[each["b_id"], each["b_budget"]]
        row = {
            "Setting": tables.cell_name(other, name),
            "Questions": each["n"],
            DIFFERENCE: None if each["difference"] is None else round(each["difference"] * 100, 1),
            "95% interval": fmt.interval(each["low"], each["high"], fmt.points),
            "Won": each["a_better"],
            "Lost": each["b_better"],
            "p": fmt.p_value(each["p_value"]),
            "p, Holm": fmt.p_value(each["p_adjusted"]),
            "Tokens": _times(ours["total_tokens"], other["total_tokens"]),
            "Notes": " · ".join(_notes(other)),
        }
        settings.append(row)
    return pl.DataFrame(settings, infer_schema_length=None)


def month_table(found: Savings) -> pl.DataFrame:
    """A month with A and with B, quantity by quantity."""
    import polars as pl

    rows = []
    for line in found.lines.to_dicts():
        form = fmt.money if line["quantity"] == "usd" else fmt.number
        # What is saved by leaving A for B is what B has less, so signs and ends of the interval change places.
        more, low, high = (None if v is None else -v for v in (line["saving"], line["saving_high"], line["saving_low"]))
        spans = [
            f"{side.upper()} {form(line[f'{side}_least'])} – {form(line[f'{side}_most'])}"
            for side in "ab"
            if line[f"{side}_least"] is not None
        ]
        row = {
            "A month": QUANTITIES[line["quantity"]],
            "A": form(line["a"]),
            "B": form(line["b"]),
            "B minus A": _signed(more, form),
            "95% interval": fmt.interval(low, high, partial(_signed, form=form)),
            "By size of the models": ", ".join(spans),
        }
        rows.append(row)
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    ranged = any(row["By size of the models"] for row in rows)
    return table if ranged else table.drop("By size of the models")


def month_remarks(found: Savings, unknown: Sequence[str]) -> str:
    """What the table of a month rests on."""
    traffic = found.traffic
    parts = [
        f"{traffic.questions_per_day:,g} questions a day like these, 30.44 days",
        f"{found.intensity:g} g CO2e per kWh ({traffic.zone})",
        f"energy: {', '.join(found.sources)}" if found.sources else "energy unknown",
        f"size not known: {', '.join(unknown)}" if unknown else "",
        "assumed price" if found.assumed else "",
        "simulated model" if found.simulated else "",
    ]
    return " · ".join(part for part in parts if part)
