"""What the Compare page asks of the analysis, cached as in `queries`, and what a visitor typed made into numbers.

Differences are a setting's (B) minus the baseline's (A). Draws nothing. Raises UsageError in words for a visitor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import figures, theme
from dashboard.data import queries
from dashboard.data.kept import kept
from dashboard.data.lens import PLAIN, Looking, build
from dashboard.data.queries import REPLICATES, SEED, Database
from dashboard.figures import CrossingInfo
from dashboard.text.differences import Compared, Side
from engine.core.errors import UsageError, shortened

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Cell
    from engine.analysis.pairs.savings import Savings

MOST_GROUPS = 24  # A column with more values than these does not group questions.
NO_GROUPS = "category"  # The column every question has, filled or not.
WALLS = 24  # Budgets at which a difference is drawn besides those the answer looked at.
MOST_OTHERS = 3  # Settings beside the baseline.
ROWS = ("group", "n", "accuracy_a", "accuracy_b", "difference", "low", "high", "p_value", "enough", "warning")
_BEGINS = r"^(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: to |$)"
"""Group names that are a number, or a span of them, and the number."""
ROW_NUMBERS = ("index", "_id", ".id")  # Endings of keys that only count questions.


@dataclass(frozen=True, slots=True)
class Month:
    """What a month is asked for; texts as they were typed."""

    per_day: str
    zone: str
    size: str  # Billions of parameters of models whose size nobody knows, ACTIVE or ACTIVE/TOTAL; empty: unknown.


@kept()
def settings(db: Database, study: str, task: str, axis: str | None, looking: Looking = PLAIN) -> pl.DataFrame:
    """Scored cells of a study on a task, with `on_frontier` in tokens; budgets on `axis`, None: on their own."""
    from engine.analysis import frontier as of

    frame, units = queries.measured(db, axis, None, looking, study, task)
    scored = frame.filter(frame["accuracy"].is_not_null(), **({"axis": axis} if axis else {}))
    # One replicate: who is on the frontier is asked, not with what chance.
    return of.frontier(scored, queries.theirs(scored, units), "output_tokens", "staircase", 1, SEED)


def recommended(db: Database, study: str, task: str) -> Cell | None:
    """The setting Explore recommends without limits; None: there is none."""
    cells = queries.cells(db, study=study, task=task)
    ids = tuple(sorted(set(cells["condition_id"])))
    selection = queries.Selection("output_tokens", task, "staircase", None, ids, study=study)
    return queries.decision(db, selection, None, None).cell


@kept(32, says="Looking along the budgets …")
def crossing(
    db: Database, study: str, task: str, a: Cell, b: Cell, called: tuple[str, str], dark: bool, narrow: bool
) -> tuple[str, CrossingInfo, pl.DataFrame]:
    """From which budget on B is ahead of A: the sentence, the figure's plain data and its frame.

    Raises UsageError.

    `called`: B and A. The figure has more budgets than the answer looked at, where either side changes."""
    import polars as pl

    from engine.analysis import stats
    from engine.analysis.pairs import compare

    axis, ids = str(a.axis), [a.condition_id, b.condition_id]
    answer = queries.results(db.path).advise(task, axis, axis, REPLICATES, SEED, study=study).beats(*reversed(ids))
    evidence = answer.evidence
    lines = queries.curves(db, tuple(ids), axis, study=study).values()
    left = {step for line in lines for step in line["budget"] if 0 < step < max(evidence["budget"], default=0)}
    walls = sorted(left - {*evidence["budget"]})
    walls = walls[:: max(1, -(-len(walls) // WALLS))]
    _, units = queries.results(db.path).measured(axis, walls, {"condition_id": ids, "study": study})
    sides, sample, rows = (
        [units.filter(condition_id=name) for name in reversed(ids)],
        stats.Sample(REPLICATES, SEED),
        [],
    )
    for wall in walls:
        # A condition that is not anytime has one budget, and stands at its own against all of the other's.
        first, second = (part if part["budget"].n_unique() == 1 else part.filter(budget=wall) for part in sides)
        one = compare.difference(first, second, sample)
        rows.append((wall, one.n, one.mean, one.low, one.high, one.p_value))
    every = queries.every(db)
    strategy = str(every.filter(condition_id=b.condition_id)["strategy"][0])
    # From here on the interval stays above 0.
    ahead = None
    for row in reversed(evidence.sort("budget").to_dicts()):
        if (row["low"] or 0) <= 0:
            break
        ahead = int(row["budget"])
    shown = pl.concat([evidence, pl.DataFrame(rows, schema=evidence.schema, orient="row")]).sort("budget")
    info = figures.crossing_info(
        shown,
        called,
        axis=axis,
        narrow=narrow,
        dark=dark,
        first=ahead,
        colour=theme.strategy_colours(sorted(set(every["strategy"])), dark=dark)[strategy],
    )
    return answer.sentence, info, shown


def ends(rows: Mapping[str, Mapping[str, Any]], pick: str | None) -> tuple[str, str]:
    """The cheapest setting that works, and the recommended one (`pick`), else the most accurate on the frontier.

    One works that gets something right, whose answers the budget leaves alone and whose mechanism does what its name
    says. Where both would be the same setting, its best rival is the baseline."""

    def spends(name: str) -> tuple[float, str]:
        return rows[name]["output_tokens"] or 0.0, name

    def accurate(name: str) -> tuple[float, float]:
        return rows[name]["accuracy"], -spends(name)[0]

    front = [name for name, row in rows.items() if row["on_frontier"]] or [*rows]
    best = pick if pick is not None and pick in rows else max(front, key=accurate)
    works = [
        name
        for name, row in rows.items()
        if row["accuracy"] > 0 and not (row["much_cut"] or row["idle"] or row["partial"])
    ]
    cheap = min((works or front), key=spends)
    return (cheap, best) if cheap != best else (max((name for name in rows if name != best), key=accurate), best)


@kept()
def compared(db: Database, study: str, a: Cell, b: Cell, by: str, left: Side, looking: Looking = PLAIN) -> Compared:
    """A setting (b) against the baseline in all and group by group; see `Results.compare` and `Results.equity`."""
    results, lens = queries.results(db.path), build(looking, queries.models(db))[0]
    whole = results.compare(b, a, replicates=REPLICATES, seed=SEED, lens=lens, study=study)
    order = (a, b) if left == "a" else (b, a)
    who = results.equity(*order, by, REPLICATES, SEED, study) if whole.n else None
    return Compared(whole, who, left)


@kept(32)
def against(db: Database, study: str, others: tuple[Cell, ...], a: Cell) -> pl.DataFrame:
    """Other settings minus the baseline; see `Results.comparisons`."""
    return queries.results(db.path).comparisons(others, a, replicates=REPLICATES, seed=SEED, study=study)


def group_rows(found: Compared) -> pl.DataFrame:
    """The setting minus the baseline group by group: columns `ROWS`; numbers and their spans stand in their order, of
    other groups the largest comes first; no row for a single group.

    p_value: that the group loses no more than the rest by the saving."""
    import polars as pl

    if found.who is None or found.who.groups.height < 2:
        kinds = (pl.String, pl.Int64, *(pl.Float64,) * 6, pl.Boolean, pl.Boolean)
        return pl.DataFrame([], schema=dict(zip(ROWS, kinds, strict=True)), orient="row")
    groups = found.who.groups.rename({"change": "difference"})
    if found.left == "b":
        # Its changes are from the dearer to the cheaper setting, ours from A to B; + 0.0 makes a zero of minus zero.
        swapped = {"accuracy_a": "accuracy_b", "accuracy_b": "accuracy_a", "low": "high", "high": "low"}
        groups = groups.rename(swapped).with_columns(pl.col("difference", "low", "high") * -1 + 0.0)
    first = groups["group"].str.extract(_BEGINS).cast(pl.Float64, strict=False)
    if first.null_count():
        return groups.select(ROWS).sort("n", "group", descending=[True, False])
    return groups.select(ROWS).with_columns(_at=first).sort("_at", "group").drop("_at")


@kept(32)
def next_point(db: Database, study: str, task: str, looking: Looking = PLAIN) -> str:
    """What the next percentage point costs in output tokens; see `Advisor.next_point`."""
    lens = build(looking, queries.models(db))[0]
    advisor = queries.results(db.path).advise(task, "output_tokens", None, REPLICATES, SEED, lens, study=study)
    return advisor.next_point().sentence


@kept(32)
def groupings(db: Database, task: str) -> tuple[str, tuple[str, ...]]:
    """The column or key of the data to group by at first, and all that make 2 to `MOST_GROUPS` groups.

    `category` is always there; it is taken where it or nothing else makes two groups large enough to judge."""
    from engine.analysis.pairs.equity import ENOUGH, groups

    questions = queries.questions(db).filter(task=task)
    keys = {key for text in questions["data"] for key in _keys(json.loads(text))} - set(questions.columns)
    named = (NO_GROUPS, "target", *(key for key in sorted(keys) if not key.endswith(ROW_NUMBERS)))
    counts = {key: groups(questions, key)["group"].value_counts()["count"].to_list() for key in named}
    offered = tuple(key for key, sizes in counts.items() if key == NO_GROUPS or 1 < len(sizes) <= MOST_GROUPS)
    judged = [key for key in offered if sum(n >= ENOUGH for n in counts[key]) > 1]
    several = [key for key in (*judged, *offered) if len(counts[key]) > 1]
    return (NO_GROUPS if len(counts[NO_GROUPS]) > 1 or not several else several[0]), offered


def _keys(data: Any, above: str = "") -> Iterable[str]:
    """Keys with dots, as `equity.groups` takes them."""
    if not isinstance(data, Mapping):
        return [above.removeprefix("metadata.")] if above else []
    return [key for name, below in data.items() for key in _keys(below, f"{above}.{name}" if above else str(name))]


@kept(32)
def month(
    db: Database, study: str, a: Cell, b: Cell, lineups: tuple[str, ...], wish: Month, looking: Looking = PLAIN
) -> Savings:
    """A month with A and with B; its `saving` is what B saves. Raises UsageError for no number, size or zone."""
    from engine.models.energy import energy, known_energy, size

    weights = None  # Known sizes alone.
    if wish.size.strip():
        try:
            sizes = [float(part) for part in wish.size.split("/")]
        except ValueError:
            sizes = []
        if len(sizes) not in (1, 2):
            raise UsageError(
                "A size is billions of parameters, ACTIVE or ACTIVE/TOTAL such as 3.6/20.9, not "
                f"{shortened(wish.size)!r}."
            )
        # Prices and sizes go by a model's identity as well as by the name a study gave it.
        players = _players(lineups)
        known = known_energy((*players, *players.values()))
        weights = known | dict.fromkeys(unknown_sizes(lineups), energy(size(*sizes)))
    traffic, results = number(wish.per_day), queries.results(db.path)
    lens = build(looking, queries.models(db))[0]
    return results.savings(a, b, traffic, wish.zone, weights, lens, REPLICATES, SEED, study)


def number(text: str) -> float:
    """Questions a day as typed: `1000`, `1,000` or `2.5e6`. Raises UsageError."""
    try:
        return float(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise UsageError(f"Questions per day are a number such as 1000, not {shortened(text)!r}.") from None


def unknown_sizes(lineups: Iterable[str]) -> tuple[str, ...]:
    """Names of the models whose size nobody knows."""
    from engine.models.energy import known_size

    players = _players(lineups).items()
    return tuple(name for name, identity in players if known_size(name) is None and known_size(identity) is None)


def _players(lineups: Iterable[str]) -> dict[str, str]:
    """Name to identity of every model."""
    return {name: identity for lineup in lineups for _, name, identity in json.loads(lineup)}
