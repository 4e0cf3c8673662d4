"""What pages say in words and columns about settings: their tables, and the lines of one in the panel.

Pure: frames and rows in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.
A table has one column per measured thing, its unit in the title; spends are those of the figure (money per 1,000
questions).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any

from dashboard.figures import AXES
from dashboard.figures.marks import chance_of, shares
from engine.core import names
from engine.core import text as fmt
from engine.models.energy import grams_co2e

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "AREAS",
    "Key",
    "areas_table",
    "cell_name",
    "cell_notes",
    "cost_line",
    "curve_table",
    "energy_line",
    "in_percent",
    "leaders",
    "panel_lines",
    "said",
    "settings_table",
    "short_question",
    "short_questions",
    "standing",
    "verdicts",
]


Row = Mapping[str, Any]
FATE_WORDS = {"none": "no answer", "failed": "failed", "stopped": "stopped", "censored": "not observed so far"}
SHORT = 14
"""Letters of an answer in the panel."""
AREAS = (
    "Area: mean accuracy over the logarithm of the budget. Hypervolume: area under the setting's own frontier, as a "
    "share of the box up to the dearest setting here. OckScore: accuracy in percent less ten times log10(output "
    "tokens / 10,000), at the largest budget (arXiv 2511.05722; the base is our reading). Each hides where "
    "a setting is good: read the curve."
)
Key = tuple[str, int | None]
"""A point: condition and budget."""


def cell_name(row: Row, name: Callable[[Row], str]) -> str:
    """`Self-consistency ×12, up to 256 tokens`: the setting with the budget it is read at."""
    drawn = fmt.draws(row.get("n_draws"))
    return f"{name(row)}, {fmt.up_to(row['budget'], row['axis'])}{f' ({drawn})' if drawn else ''}"


def verdicts(frame: pl.DataFrame) -> dict[Key, str]:
    """By condition and budget the verdict of a decision's points, in its order."""
    return {(id, budget): word for id, budget, word in frame.select("condition_id", "budget", "verdict").iter_rows()}


def settings_table(frame: pl.DataFrame, verdicts: Mapping[Key, str], x: str, zone: str | None = None) -> pl.DataFrame:
    """All points of a task with every spend: recommended first, then by verdict, spend on axis `x` and accuracy.

    `verdicts`: by condition and budget what is said of a point beside the recommended one; a point without one is not
    judged. Energy and CO2e stand there where a grid `zone` is named."""
    import polars as pl

    name, order = names.over(frame.to_dicts()), [*dict.fromkeys(verdicts.values())]

    def place(row: Row) -> tuple[int, float, float]:
        verdict = verdicts.get((row["condition_id"], row["budget"]))
        # Points without a verdict behind all others, and without a price behind those that have one, the best first.
        spend = row[x] if row[x] is not None else math.inf
        return order.index(verdict) if verdict in order else len(order), spend, -(row["accuracy"] or 0.0)

    rows, priced = list[dict[str, Any]](), not frame["usd"].null_count()
    for row in sorted(frame.to_dicts(), key=place):
        # Where a point has no price a word says why: what is free is not unknown.
        cost = None if row["usd"] is None else 1000 * row["usd"]
        n, verdict = row["n_questions"], verdicts.get((row["condition_id"], row["budget"]))
        failed = [f"{fmt.count(row['n_failed'])} failed"] if row["n_failed"] else []
        cells = {
            "Setting": name(row),
            "Budget": fmt.up_to(row["budget"], row["axis"]),
            "Accuracy": in_percent(row["accuracy"]),
            "95%": fmt.interval(row["accuracy_low"], row["accuracy_high"], _accuracy(n)),
            "Verdict": verdict or row.get("stopped") or ("partial, no verdict" if row["partial"] else "not judged"),
            "Output tokens": row["output_tokens"],
            "All tokens": row["total_tokens"],
            "Calls": row["calls"],
            **({"Cost per 1,000, $": cost} if priced else {"Cost per 1,000": cost_line(row)}),
            "Seconds": None if row["latency_ms"] is None else row["latency_ms"] / 1000,
            **_energy(row, zone),
            "Cut off": fmt.accuracy(shares(row)["cut off by the budget"], n),
            "No answer": fmt.accuracy(shares(row)["no answer"], n),
            "Questions": n,
            "Notes": " · ".join([*cell_notes(row, x), *failed]),
            # The last two are for whoever picks a row, and are hidden.
            "condition_id": row["condition_id"],
            "budget": row["budget"],
        }
        rows.append(cells)
    # Read to the end: a column may begin with a hundred unknowns.
    return pl.DataFrame(rows, infer_schema_length=None)


def areas_table(found: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """A line for each setting, the largest area first; `found`: of `Advisor.areas`, `frame`: the points they are of."""
    import polars as pl

    own = {(row["condition_id"], row["budget"]): row for row in frame.to_dicts()}
    largest = found.filter("largest").sort("area", "hypervolume", descending=True, nulls_last=True).to_dicts()
    lines = [(row, own[row["condition_id"], row["budget"]]) for row in largest]
    name = names.over([point for _, point in lines])
    rows = []
    for row, point in lines:
        form = _accuracy(row["n"])
        first, last = (fmt.budget(row[end], row["axis"]) for end in ("budget_from", "budget_to"))
        cells: dict[str, Any] = {"Setting": name(point), "Budgets": first if first == last else f"{first} to {last}"}
        for title, measure, said in (
            ("Area", "area", form),
            ("Hypervolume", "hypervolume", form),
            ("OckScore", "ockscore", _whole),
        ):
            cells[title] = said(row[measure])
            cells[f"{title}, 95%"] = fmt.interval(row[f"{measure}_low"], row[f"{measure}_high"], said)
        rows.append(cells | {"Questions": row["n"]})
    return pl.DataFrame(rows, infer_schema_length=None)


def cost_line(row: Row) -> str:
    """What 1,000 questions cost: `$0.023`, `$0.023 (assumed)`, `free (runs here)`, `price unknown`."""
    if row["usd"] is None:
        return names.unpriced(row)
    return fmt.money(1000 * row["usd"]) + (" (assumed)" if row["usd_assumed"] else "")


def panel_lines(row: Row) -> list[tuple[str, str, str]]:
    """The lines of a point in the panel: what, value, aside."""
    n, lines = row["n_questions"], []
    for what, column in (("Output tokens", "output_tokens"), ("All tokens", "total_tokens")):
        ends = fmt.interval(row[f"{column}_low"], row[f"{column}_high"], _whole)
        lines.append((what, _whole(row[column]), ends))
    cost, _, aside = cost_line(row).partition(" (")
    lines.append(("Cost per 1,000", cost, f"({aside}" if aside else ""))
    cut, none = shares(row)["cut off by the budget"], shares(row)["no answer"]
    of = f"({fmt.count(row['n_exhausted'])} of {fmt.count(scored_of(row))})"
    lines.append(("Cut off by the budget", fmt.accuracy(cut, n), of if cut else ""))
    if none:
        lines.append(("No answer", fmt.accuracy(none, n), ""))
    if row["n_failed"]:
        lines.append(("Failed", fmt.count(row["n_failed"]), "of " + fmt.plural(row["n_trials"], "answer")))
    if (chance := chance_of(row)) is not None:
        lines.append(("Chance of being best", fmt.share(chance), "for its spend"))
    for column, what in (("guess", "One fixed answer"), ("chance", "Blind choice")):
        if row.get(column) is not None:
            aside = "(not surely less)" if _reaches(row, row[column]) else ""
            lines.append((what, fmt.accuracy(row[column], n), aside))
    return lines


def _whole(value: float | None) -> str:
    return fmt.number(None if value is None else round(value) if abs(value) >= 10 else value)


def _accuracy(n: int | None) -> Callable[[float | None], str]:
    return lambda share: fmt.accuracy(share, n)


def standing(row: Row) -> str:
    """`52–76% · 39 of 60 right`, those partly right beside them; means of repeats have no count of their own."""
    n, partly = row["n_questions"], row.get("n_partly") or 0
    counted = f"{row['n_right']:,} right, {partly:,} partly, of" if partly else f"{row['n_right']:,} of"
    ends = fmt.interval(row["accuracy_low"], row["accuracy_high"], _accuracy(n)).strip("()")
    return " · ".join(filter(None, (ends and f"{ends}%", f"{counted} {scored_of(row):,}{'' if partly else ' right'}")))


def scored_of(row: Row) -> int:
    """How many answers a point has that were scored, no answer among them."""
    return sum(row.get(name) or 0 for name in ("n_right", "n_partly", "n_wrong", "n_none"))


def short_question(text: str, longest: int) -> str:
    """Its first paragraph on one line: what stands after a colon, where that is short, else its end."""
    line = " ".join(text.strip().partition("\n\n")[0].split())
    # Tasks often put the instruction first: 'Compute: 2 + 3'.
    after = line.rpartition(": ")[2]
    line = after if 0 < len(after) <= longest else line
    if len(line) <= longest:
        return line
    # Its end tells questions of one generator apart, which begin alike.
    end = line[1 - longest :]
    return "…" + (end.partition(" ")[2] or end)


def short_questions(asked: Sequence[tuple[str, str | None]], longest: int) -> list[str]:
    """Texts, each with its document if it has one, as `short_question` tells them; where most ask the same of several
    documents, all are told by how their document begins. What would read alike is told from where it differs on."""
    documents: dict[str, set[str | None]] = defaultdict(set)
    for text, document in asked:
        documents[text].add(document)
    alike = 2 * sum(len(documents[text]) > 1 for text, _ in asked) > len(asked)
    shown, whole = list[str](), list[str]()
    for text, document in asked:
        told = alike and document
        whole.append(" ".join(str(document if told else text).split()))
        shown.append(_begun(whole[-1], longest) if told else short_question(text, longest))
    kin: dict[str, set[str]] = defaultdict(set)
    for short, line in zip(shown, whole, strict=True):
        kin[short].add(line)
    apart = {line: told for lines in kin.values() if len(lines) > 1 for line, told in _apart(lines, longest).items()}
    return [apart.get(line, short) for short, line in zip(shown, whole, strict=True)]


def _begun(line: str, longest: int) -> str:
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _apart(lines: Iterable[str], longest: int) -> dict[str, str]:
    """Different texts that begin or end alike, each from the word on in which they differ: all where that tells them
    apart, else each from where it leaves the one most like it."""
    # Of sorted texts the neighbours are most alike, the first and the last least.
    words = sorted(line.split(" ") for line in lines)
    with_next = [_shared(one, other) for one, other in pairwise(words)]
    nearest = [max(pair) for pair in zip([0, *with_next], [*with_next, 0], strict=True)]
    for starts in ([_shared(words[0], words[-1])] * len(words), nearest):
        told = {}
        for each, start in zip(words, starts, strict=True):
            # A text that another goes on from keeps its last word.
            first = min(start, len(each) - 1)
            told[" ".join(each)] = _begun("…" * bool(first) + " ".join(each[first:]), longest)
        if len({*told.values()}) == len(told):
            break
    return told


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def said(fate: str, answer: str | None, target: str) -> tuple[str, str]:
    """Mark and words for what an answer said: `✓`, `said 15`; `✕`, `said 10, is 4`; no answer is never called wrong."""
    words, right = (text if len(text) <= SHORT else text[: SHORT - 1] + "…" for text in (answer or "", target))
    if fate == "right":
        return "✓", f"said {words}"
    if fate == "partly":
        return "◐", f"said {words}, partly right"
    if fate == "wrong":
        return "✕", f"said {words}, is {right}"
    return "–", FATE_WORDS.get(fate, fate)


def curve_table(cells: pl.DataFrame, zone: str | None = None) -> pl.DataFrame:
    """The curves at the budgets of their studies: the readable columns of cells read on one budget axis."""
    import polars as pl

    # Over the rows of its task alone: the task has a column of its own.
    name = {str(task): names.over(part.to_dicts()) for (task,), part in cells.group_by("task")}
    rows = [
        {
            "Setting": name[row["task"]](row),
            "Task": names.task(row["task"]),
            **_measures(row),
            AXES[row["axis"]].title: AXES[row["axis"]].value(row),
            **_energy(row, zone),
            "Not observed so far": row["n_censored"],
            "Notes": " · ".join(cell_notes(row, row["axis"])),
        }
        for row in sorted(cells.to_dicts(), key=lambda row: names.task(str(row["task"])))
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _measures(row: Row) -> dict[str, Any]:
    """Budget, accuracy, that of the trials the budget did not end, and how many it ended or that failed."""
    finished = {"Accuracy if not cut off, %": row.get("accuracy_finished")}
    rates = finished | {f"{word.capitalize()}, %": share for word, share in shares(row).items()}
    return {
        "Budget": fmt.budget(row["budget"], row["axis"]),
        "Accuracy, %": in_percent(row["accuracy"]),
        "95% interval": fmt.interval(row["accuracy_low"], row["accuracy_high"], _accuracy(row["n_questions"])),
        "Questions": row["n_questions"],
        "Fixed answer, %": in_percent(row.get("guess")),
        **({} if row.get("chance") is None else {"Blind choice, %": in_percent(row["chance"])}),
        **{name: in_percent(share) for name, share in rates.items()},
    }


def _energy(row: Row, zone: str | None) -> dict[str, float | None]:
    if zone is None:
        return {}
    wh = AXES["wh"].value(row)
    grams = None if wh is None else grams_co2e(wh, zone)
    return {AXES["wh"].title: wh, "CO2e, g per 1,000 questions": grams}


def energy_line(row: Row, zone: str | None) -> str:
    """`12.3 Wh and 5.6 g CO2e per 1,000 questions (zone FRA)`; empty without a zone."""
    if zone is None:
        return ""
    wh = AXES["wh"].value(row)
    if wh is None:
        return "energy unknown: no size of every model is known"
    return f"{fmt.number(wh)} Wh and {fmt.number(grams_co2e(wh, zone))} g CO2e per 1,000 questions (zone {zone})"


def leaders(cells: pl.DataFrame) -> tuple[str, str]:
    """Who is most accurate at the largest budget every setting of a task is read at: a finding, and by task how
    accurate, with intervals; empty where nothing is known."""
    found, alone = list[tuple[str, str, Row]](), set[str]()
    for part in cells.partition_by("task", maintain_order=True):
        scored = (row for row in part.to_dicts() if row["accuracy"] is not None)
        rows = [row for row in scored if not row["partial"] and not row.get("stopped_at")]
        if rows:
            # Budget first: accuracies at different budgets are no race.
            top = max(rows, key=lambda row: (row["budget"], row["accuracy"]))
            tied = [row for row in rows if (row["budget"], row["accuracy"]) == (top["budget"], top["accuracy"])]
            # Which of several comes first says nothing.
            name = names.over(rows)(top) if len(tied) == 1 else f"{fmt.count(len(tied))} settings alike"
            found.append((names.task(top["task"]), name, top))
            alone |= {name} if len(tied) == 1 else set()
    if not found:
        return "", ""
    least, most = (end(top["n_questions"] for _, _, top in found) for end in (min, max))
    asked = f"n = {'' if least == most else f'{fmt.count(least)} to '}{fmt.plural(most, 'question')}"
    if not any(top["accuracy"] for _, _, top in found):
        return "No setting answered a question right here", f"{asked}."
    won = Counter(name for _, name, _ in found if name in alone).most_common(1) or [("", 0)]
    leader, times = won[0]
    limits = {fmt.up_to(top["budget"], top["axis"]) for _, _, top in found}
    limit = next(iter(limits)) if len(limits) == 1 else "the largest budget"
    if len(found) == 1:
        task, name, row = found[0]
        if cells["condition_id"].n_unique() == 1:
            heading = f"{name} gets {_scored(row)} on {task}, {limit}"
        else:
            heading = f"{name} {'is' if leader else 'are'} most accurate on {task}, {_scored(row)}, {limit}"
        return heading, " ".join([*([f"{_unread(row)}.".capitalize()] if _unread(row) else []), f"{asked}."])
    many = len(found)
    which = f"{times} of {many}" if times < many else "both" if many == 2 else f"all {many}"
    heading = f"{leader} is most accurate on {which} tasks, {limit}"
    if times < 2:
        none = "No setting is most accurate on more than one" if times else "No setting alone is most accurate on any"
        heading = f"{none} of {many} tasks, {limit}"
    parts = []
    # In the order of the panels below.
    for task, name, row in sorted(found, key=lambda each: each[0]):
        by, unread = "" if times > 1 and name == leader else f" by {name}", _unread(row)
        parts.append(f"{task} {_scored(row)}{by}{unread and f', {unread}'}")
    return heading, f"{'; '.join(parts)}. {asked} each."


def _unread(row: Row) -> str:
    """What even the best setting of a task has not surely passed: the score of one fixed answer; empty where it has."""
    guess = row.get("guess")
    if guess is None or not _reaches(row, guess):
        return ""
    share = _accuracy(row["n_questions"])
    how = "not surely" if row["accuracy"] > guess else "no"
    return f"{how} better than one fixed answer to all ({share(guess)})"


def _reaches(row: Row, baseline: float) -> bool:
    """Whether a baseline scores as much as the point may: the point's interval does not lie above it."""
    return row["accuracy"] is not None and (row["accuracy_low"] or 0.0) <= baseline


def _scored(row: Row) -> str:
    share = _accuracy(row["n_questions"])
    return f"{share(row['accuracy'])} {fmt.interval(row['accuracy_low'], row['accuracy_high'], share)}".strip()


def cell_notes(row: Row, x: str | None = None) -> list[str]:
    """Reservations about a cell: partial, simulated, priced by assumption or not at all."""
    notes, priced = [], x in (None, "usd")
    if row.get("much_cut"):
        notes.append("often cut off by the budget")
    if row.get("tied"):
        notes.append("same spend and accuracy as another setting")
    if row["partial"]:
        notes.append(f"partial: {fmt.count(row['n_questions'])} of {fmt.plural(row['n_planned'], 'question')}")
    if early := names.stopped(row):
        notes.append(early)
    if drawn := fmt.draws(row.get("n_draws")):
        notes.append(drawn)
    if row["simulated"]:
        notes.append("simulated model")
    if row.get("idle"):
        notes.append(names.IDLE)
    if row.get("mechanism"):
        notes.append(str(row["mechanism"]))
    # An empty cell has no price because it has no question.
    if row["usd"] is None and row["n_questions"] and priced:
        # That it is simulated was said already.
        notes += [cost] if (cost := names.unpriced(row)) != fmt.SIMULATED else []
    elif row["usd_assumed"] and priced:
        notes.append("assumed price")
    return notes


def in_percent(value: float | None) -> float | None:
    """A share in percent, or a difference of shares in points, to a tenth."""
    return None if value is None else round(100 * value, 1)
