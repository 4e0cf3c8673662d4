"""What the Compare page says about settings beside a baseline, in words and columns. Differences are the setting's (B)
minus the baseline's (A) throughout.

Pure: records and frames in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dashboard.figures.axes import AXES
from dashboard.figures.forest import Said
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
    "usd": "Cost",
    "kwh": "Energy, kWh",
    "kg_co2e": "Carbon, kg CO2e",
    "calls": "Calls",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
}
DIFFERENCE = "Accuracy, points"
"""Column of `others_table`."""
MOST_WORDS = 18
"""Of a finding."""
ALPHA = 0.05
"""Below this a corrected p is not luck."""
CLOSE = "too close to call"
GROUPED = {"category": "kind of question", "target": "right answer"}

__all__ = [
    "DIFFERENCE",
    "Compared",
    "Side",
    "caption",
    "columns",
    "dearer",
    "export_table",
    "finding",
    "grouped",
    "heads",
    "method",
    "month_remarks",
    "month_table",
    "others_table",
    "payers",
    "reservations",
    "settled",
    "sides",
    "spend_table",
    "too_few",
]

Side = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The baseline (A) and a setting (B)."""

    whole: Comparison
    """Its `a` is the setting: differences are the setting's minus the baseline's, `won` are the questions on which the
    setting is better."""
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


def settled(row: Row) -> bool:
    """Whether a difference is more than luck: its p, corrected for all that are shown, and its interval both say so.

    `row`: columns of `Results.comparisons`."""
    low, high, p = row["low"], row["high"], row["p_adjusted"]
    return None not in (low, high, p) and not low <= 0 <= high and p < ALPHA


def finding(rows: Sequence[Row], base: Row) -> str:
    """The verdict on all settings beside the baseline, in at most `MOST_WORDS` words.

    `rows`: of `Results.comparisons` with `settled`, each with the `row` of its setting, the baseline's being `base`."""
    told = [row for row in rows if row["difference"] is not None]
    if not told:
        return "These settings share no scored question"
    ahead = sorted((row for row in told if row["settled"]), key=lambda row: -row["difference"])
    better, worse = [row for row in ahead if row["difference"] > 0], [row for row in ahead if row["difference"] < 0]
    one = better[0] if better else worse[-1] if worse else max(told, key=lambda row: row["difference"])
    gap, lone = fmt.points(one["difference"], one["n"]), len(told) == 1
    every = {2: "Both", 3: "All three"}.get(len(told), "All")

    def words(name: str, other: str) -> str:
        if len(better) > 1:
            most = f"{name} is furthest ahead of {other}: {gap}"
            rest = "all are" if len(better) == len(told) else f"{len(better)} of {len(told)} are"
            return f"{most}; {rest} measurably better"
        if better:
            return f"{'' if lone else 'Only '}{name} is measurably better than {other}: {gap}"
        if len(worse) == len(told) and not lone:
            return f"{every} are measurably worse than {other}, {name} most: {gap}"
        if worse:
            none = "" if lone else f"None is better than {other}; "
            return f"{none}{name} is measurably worse{f' than {other}' if lone else ''}: {gap}"
        if lone:
            return f"{name} and {other} are too close to call: {gap if one['difference'] else 'none is ahead'}"
        return f"None of these is measurably better than {other}"

    called = names.over([base, *(row["row"] for row in rows)])
    (first, short), (second, brief) = (
        (f"{called(row)} {fmt.up_to(row['budget'], row['axis'])}", called(row)) for row in (one["row"], base)
    )
    # Without a budget a name may stand for two points of one setting, and then it does not do.
    alone = brief not in {called(row["row"]) for row in rows}
    tries = [words(first, second), *([words(first, brief), words(short, brief)] if alone else [words(short, second)])]
    # The bars name the models where the heading has no room for them.
    bare, base_bare = (names.strategy(row["strategy"], json.loads(row["params"] or "{}")) for row in (one["row"], base))
    tries += [words(bare, base_bare)] if bare != base_bare and len(rows) == 1 else []
    short_enough = (text for text in tries if fmt.words(text) <= MOST_WORDS)
    return next(short_enough, words("one setting", "the baseline").capitalize())


def method(rows: Sequence[Row]) -> str:
    """`Same 60 questions for all four; differences are taken question by question, with 95% intervals.`"""
    counts, many = sorted({row["n"] for row in rows}), len(rows)
    least, most = counts[0], counts[-1]
    whom = {1: "both", 2: "all three", 3: "all four"}.get(many, "all")
    n = f"Same {fmt.plural(most, 'question')} for {whom}"
    if least < most:
        n = f"{fmt.count(least)} to {fmt.count(most)} questions shared with the baseline"
    corrected = (
        "" if many == 1 else f"; p is corrected for {('two', 'three')[many - 2] if many < 4 else many} comparisons"
    )
    return f"{n}; differences are taken question by question, with 95% intervals{corrected}."


def heads(base: Row) -> tuple[str, ...]:
    """Over the names and the columns of `columns`."""
    spent = _whole_tokens(base["output_tokens"])
    return "Setting", "Difference", "Verdict", f"Output tokens\nagainst {spent}", "Tokens per extra\nright answer"


def columns(row: Row, base: Row) -> tuple[Said, ...]:
    """Difference, verdict, output tokens and what each more right answer costs, of a row of `finding`."""
    n, tokens, before = row["n"], row["row"]["output_tokens"], base["output_tokens"]
    ends = fmt.interval(row["low"], row["high"], partial(fmt.points, n=n)).strip("()")
    ink: Literal["right", "warning", "muted"] = "muted"
    word = CLOSE
    if row["settled"]:
        ink, word = ("right", "better") if row["difference"] > 0 else ("warning", "worse")
    p = fmt.p_value(row["p_adjusted"])
    more = "–"
    if row["settled"] and row["difference"] > 0 and None not in (tokens, before):
        spent = (tokens - before) / row["difference"]
        more = _whole_tokens(spent) if spent > 0 else "none"
    return (
        Said(fmt.points(row["difference"], n), ends, bold=True),
        Said(word, f"p {p}" if p.startswith("<") else f"p = {p}", ink, bold=True),
        Said(_whole_tokens(tokens), _times(before, tokens)),
        Said(more),
    )


def _whole_tokens(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else fmt.number(round(value) if abs(value) >= 10 else value)


def export_table(rows: Sequence[Row], called: Callable[[Row], str], base: Row) -> pl.DataFrame:
    """The differences as data: one row per setting, shares and tokens; null: not known."""
    import polars as pl

    lines = [
        {
            "setting": called(row["row"]),
            "baseline": called(base),
            **{name: row[name] for name in ("n", "difference", "low", "high", "p_value", "p_adjusted", "settled")},
            **{f"{name}{end}": each[name] for end, each in (("", row["row"]), ("_baseline", base)) for name in SPENDS},
        }
        for row in rows
    ]
    return pl.DataFrame(lines, infer_schema_length=None)


def sides(found: Comparison) -> tuple[tuple[str, int], ...]:
    """How many questions were won, stayed and were lost, in words; `found` is a setting against the baseline."""
    won, lost = len(found.won), len(found.lost)
    even = found.n - won - lost
    if found.graded or not (_counts(found.accuracy_a, found.n) and _counts(found.accuracy_b, found.n)):
        return ("better", won), ("both good", found.both_right), ("both poor", even - found.both_right), ("worse", lost)
    return ("won", won), ("both right", found.both_right), ("both wrong", even - found.both_right), ("lost", lost)


def _counts(accuracy: float | None, n: int) -> bool:
    """Whether a mean over questions is one of answers right or wrong, one each."""
    return accuracy is not None and abs(accuracy * n - round(accuracy * n)) < 1e-9


def caption(found: Comparison, a: Row, b: Row, called: tuple[str, str]) -> str:
    """Every reservation about the two, and what more questions would do where they are too close to call; `called`:
    their names."""
    parts = list(reservations(a, b, called))
    if found.n and not found.settled and found.accuracy.mean:
        needed = found.more_questions
        if needed is not None:
            about = fmt.count(int(float(f"{needed:.2g}")))
            many = "more than 100,000 more questions would not tell them apart"
            parts.append(many if needed > 100_000 else f"about {about} more questions would tell them apart")
    return " · ".join(parts)


def reservations(a: Row, b: Row, called: tuple[str, str]) -> list[str]:
    """Notes on the baseline and on the setting beside it, each `called` by its name; those of both once."""
    of_a, of_b = _notes(a), _notes(b)
    # In the order of A; a note on both would only be said twice.
    both = [note for note in of_a if note in of_b]
    sides = zip(called, (of_a, of_b), strict=True)
    apart = (f"{side}: {note}" for side, notes in sides for note in notes if note not in both)
    return [*both, *apart]


def _notes(row: Row) -> list[str]:
    return [*tables.cell_notes(row), *(["is told the right answers"] if row.get("oracle") else [])]


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
            "Baseline": form(lens.value(a)),
            "Setting": form(lens.value(b)),
            "Difference": _signed(mean, form),
            "95% interval": fmt.interval(low, high, partial(_signed, form=form)),
            "Ratio": _times(a[column], b[column]),
        }
        rows.append(row)
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))


def _times(a: float | None, b: float | None) -> str:
    return fmt.times(b / a) if a and b is not None else ""


def _signed(value: float | None, form: Callable[[float | None], str]) -> str:
    return f"+{form(value)}" if value is not None and value > 0 else form(value)


def grouped(by: str) -> str:
    """How a column that groups questions is called."""
    return GROUPED.get(by, by.replace("_", " "))


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
        f"{grouped(found.who.by)} {row['group']} loses more than the rest {move}: {fmt.points(row['change'])} against "
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
        return f"All questions are in one group by {grouped(found.who.by)}: choose another column to see who pays."
    groups = found.who.groups
    # Both can be so: some groups were judged and none loses, others are too small.
    few, parts = groups.filter(~groups["enough"]).height, []
    if few < groups.height and not found.who.warnings:
        parts.append(f"No group by {grouped(found.who.by)} measurably loses more than the rest.")
    if few:
        where = "every group" if few == groups.height else fmt.plural(few, "group")
        parts.append(f"Too few questions in {where} to say who pays (under {ENOUGH} there or in the rest).")
    return " ".join(parts)


def others_table(found: pl.DataFrame, rows: Mapping[tuple[str, int], Row]) -> pl.DataFrame:
    """Every other setting against the baseline, the largest difference first; `rows` by condition and budget."""
    import polars as pl

    name, settings = names.over([*rows.values()]), []
    for each in found.sort("difference", "a_id", descending=[True, False], nulls_last=True).to_dicts():
        # In the frame the other setting comes first, as `a`; the baseline is its `b`.
        other, ours = rows[each["a_id"], each["a_budget"]], rows[each["b_id"], each["b_budget"]]
        row = {
            "Setting": tables.cell_name(other, name),
            "Questions": each["n"],
            DIFFERENCE: None if each["difference"] is None else round(each["difference"] * 100, 1),
            "95% interval": fmt.interval(each["low"], each["high"], partial(fmt.points, n=each["n"])),
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
    """A month with the baseline (A) and with the setting (B), quantity by quantity."""
    import polars as pl

    rows = []
    for line in found.lines.to_dicts():
        form = fmt.money if line["quantity"] == "usd" else fmt.number
        # What is saved by leaving A for B is what B has less, so signs and ends of the interval change places.
        more, low, high = (None if v is None else -v for v in (line["saving"], line["saving_high"], line["saving_low"]))
        spans = [
            f"{who} {form(line[f'{side}_least'])} – {form(line[f'{side}_most'])}"
            for side, who in (("a", "baseline"), ("b", "setting"))
            if line[f"{side}_least"] is not None
        ]
        row = {
            "A month": QUANTITIES[line["quantity"]],
            "Baseline": form(line["a"]),
            "Setting": form(line["b"]),
            "Difference": _signed(more, form),
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
