"""What a page of Explore showed, as plain data that outlives its database: for short links and for saved pages.

A snapshot holds frames and texts, never a query: it says the same numbers whatever is added, deleted or migrated
later. It is kept in the table `links` under the hash of its content. What comes out of a file is as hostile as any
other database: it is read with limits and drawn by the same code as live data, which escapes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import figures
from dashboard.data import lens, queries
from dashboard.data.queries import Database, Selection
from dashboard.figures import FrontierInfo, Handles
from dashboard.figures.axes import ROOMS, Room
from dashboard.text import saved_page, tables
from engine.analysis import guessing
from engine.core import codec, names, replay
from engine.core import text as fmt
from engine.core.errors import UsageError
from engine.core.records import AXES
from engine.store.store import Store
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import polars as pl

MOST_BYTES = 1_000_000
"""Of a snapshot as it is stored."""
MOST_UNPACKED = 16_000_000
"""Of what one may unpack to."""
FORM = 1
"""Version of the form snapshots are stored in."""
ANSWERS, CALLS, LETTERS = 3, 4, 1500
"""Answers that come along, calls of each, and letters of a text."""
COLUMNS = [
    "condition_id",
    "task",
    "model",
    "strategy",
    "params",
    "axis",
    "budget",
    "simulated",
    "local",
    "partial",
    "reader",
    "n_questions",
    "n_planned",
    "n_trials",
    "n_right",
    "n_partly",
    "n_wrong",
    "n_none",
    "n_exhausted",
    "n_failed",
    "n_stopped",
    "n_censored",
    "n_draws",
    "much_cut",
    "tied",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "accuracy_finished",
    "calls",
    "calls_low",
    "calls_high",
    "input_tokens",
    "output_tokens",
    "output_tokens_low",
    "output_tokens_high",
    "total_tokens",
    "total_tokens_low",
    "total_tokens_high",
    "cached_tokens",
    "latency_ms",
    "latency_ms_low",
    "latency_ms_high",
    "usd",
    "usd_low",
    "usd_high",
    "usd_assumed",
    "wh",
    "wh_low",
    "wh_high",
    "guess",
    "chance",
    "mechanism",
    "idle",
    "on_frontier",
    "p_frontier",
    "verdict",
    "x",
]
"""What of a frontier frame the figure, the table and the panel show."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the selected point, cut to what a reader needs."""

    question: str
    expected: str
    fate: str
    """A key of `replay.FATES`."""
    said: str
    """Empty: nothing."""
    replies: tuple[str, ...]
    """Texts of its calls, in order, as far as the budget let them through."""
    calls: int
    """How many calls that were, also those left out."""
    document: str = ""
    """The beginning of what the question is about; empty: it stands alone, or an older version froze it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was on screen."""

    form: int
    made: str
    """ISO 8601, UTC."""
    program: str
    """Version of Budgetscope; empty: unknown."""
    heading: str
    lead: str
    rest: str
    study: str
    task: str
    x: str
    kind: str
    most: float | None
    """Handle in the unit of the axis; None: off."""
    least: float | None
    """A share; None: off."""
    selected: tuple[str, int] | None
    """Condition and budget of the point in the panel; None: none."""
    said: str
    """What spends rest on, for the axis title."""
    models: tuple[str, ...]
    """All there were, in the order shapes were given out."""
    strategies: tuple[str, ...]
    verdicts: tuple[tuple[str, int | None, str], ...]
    """Condition, budget, verdict; in the order of the table."""
    notes: tuple[str, ...]
    frame: str
    """Rows of the frontier frame, JSON."""
    line: str
    band: str
    mark: str
    """Of the numbers, to tell whether newer ones exist."""
    query: dict[str, list[str]]
    """The address of the live view."""
    answers: tuple[Answer, ...]

    def rows(self) -> pl.DataFrame:
        """The frontier frame."""
        import polars as pl

        # Read to the end before types are settled: a column may be null for longer than the default of 100 rows.
        frame = pl.read_json(io.StringIO(self.frame), infer_schema_length=None)
        # Snapshots of an earlier version lack columns that were added since; unknown there, as they were never
        # measured.
        whole = frame.with_columns(pl.lit(None).alias(name) for name in COLUMNS if name not in frame.columns)
        # Which models run here was told by their names then.
        here = (
            pl.col("model").str.split(names.ARROW).list.eval(pl.element().str.contains("^(local|scripted)/")).list.all()
        )
        whole = whole.with_columns(local=pl.coalesce("local", here))
        # Columns of JSON come in any order, and each time in another.
        return whole.select(COLUMNS)

    def info(self, dark: bool, room: Room) -> FrontierInfo:
        """The figure's plain data."""
        import polars as pl

        line, band = (pl.read_json(io.StringIO(text)) if text else None for text in (self.line, self.band))
        info = figures.frontier_info(
            self.rows(),
            line,
            band,
            x=self.x,
            kind="hull" if self.kind == "hull" else "staircase",
            handles=Handles(self.most, self.least),
            room=room,
            dark=dark,
            models=self.models,
            strategies=self.strategies,
            said=self.said,
        )
        return figures.select(info, self.selected)

    def answering(self) -> str:
        """Whose answers it holds: `Self-consistency ×12, up to 256 tokens`; empty where no point was selected."""
        rows = self.rows().to_dicts()
        name = names.over(rows)
        own = (row for row in rows if (row["condition_id"], row["budget"]) == self.selected)
        return next((tables.cell_name(row, name) for row in own), "")

    def table(self) -> pl.DataFrame:
        """All settings, as the page had them."""
        verdicts: dict[tables.Key, str] = {(id, budget): word for id, budget, word in self.verdicts}
        return tables.settings_table(self.rows(), verdicts, self.x).drop("condition_id", "budget")

    def worded(self) -> pl.DataFrame:
        """The same with accuracies as sentences say them."""
        import polars as pl

        table = self.table()
        shares = zip(table["Accuracy"], table["Questions"], strict=True)
        said = [fmt.accuracy(None if share is None else share / 100, n) for share, n in shares]
        return table.with_columns(Accuracy=pl.Series(said, dtype=pl.String))


def of(
    db: Database, selection: Selection, handles: Handles, selected: tuple[str, int] | None, query: dict[str, list[str]]
) -> Frozen:
    """What Explore shows of a selection, with the decision of now; `selected` None: its pick stands in the panel."""
    # The handle stands in the unit that the axis shows, such as thousandths of a dollar.
    most = None if handles.most is None else handles.most / figures.AXES[selection.x].scale
    made = queries.decision(db, selection, most, handles.least)
    if selected is None and made.cell is not None and made.cell.budget is not None:
        selected = made.cell.condition_id, made.cell.budget
    frame, every = queries.frontier(db, selection), queries.every(db)
    # By name: what a frontier frame gains later must not travel in links that were never meant to hold it.
    shown = frame.select([name for name in COLUMNS if name in frame.columns])
    # Of the hull no band is drawn, and it costs a thousand resamples.
    band = queries.band(db, selection) if selection.kind == "staircase" else None
    try:
        program = version("budgetscope")
    except PackageNotFoundError:
        program = ""
    return Frozen(
        form=FORM,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        program=program,
        heading=made.heading,
        lead=made.lead,
        rest=made.rest,
        study=selection.study,
        task=selection.task,
        x=selection.x,
        kind=selection.kind,
        most=handles.most,
        least=handles.least,
        selected=selected,
        said=lens.said(selection.looking, selection.x),
        models=tuple(roster(every["model"])),
        strategies=tuple(sorted(set(every["strategy"]))),
        verdicts=tuple((id, budget, word) for (id, budget), word in tables.verdicts(made.verdicts).items()),
        notes=(*guessing.sentences(frame), *queries.notes(db, selection.study)),
        frame=shown.write_json(),
        line=_written(queries.line(frame, selection.kind)),
        band="" if band is None else _written(band),
        mark=mark(db, selection.study, selection.task),
        query=query,
        answers=_answers(db, selection, frame, selected),
    )


def _written(frame: pl.DataFrame) -> str:
    """JSON; empty for no row, which would not come back with its columns."""
    return "" if frame.is_empty() else frame.write_json()


def mark(db: Database, study: str, task: str) -> str:
    """What changes as soon as a task's numbers in a study do."""
    cells = queries.cells(db, study=study, task=task)
    # In a fixed order and to nine digits, or a sum in another order would look like news.
    numbers = cells.select("condition_id", "axis", "budget", "n_trials", "accuracy", "total_tokens").sort(
        "condition_id", "axis", "budget"
    )
    return hashlib.sha256(numbers.write_csv(float_precision=9).encode()).hexdigest()[:16]


def freeze(db: Database, frozen: Frozen) -> str:
    """Keep a snapshot; returns its id. Of a demo it goes to the local copy, which is shown from then on. Raises
    UsageError where it is too large, RunError where this session may only look."""
    from dashboard.data import runs

    packed = base64.b64encode(zlib.compress(codec.dumped(codec.jsonable(frozen)).encode(), 9)).decode()
    if len(packed) > MOST_BYTES:
        raise UsageError(f"This view has {len(packed):,} bytes; a snapshot may have {MOST_BYTES:,}. Filter it first.")
    # Of the content alone: the same view frozen again the same second is the same link.
    link = hashlib.sha256(packed.encode()).hexdigest()[:16]
    # By the same door as a run, or the link to a view of the demo would lead to the demo, which keeps nothing.
    Store(runs.settle(Path(db.path))).keep_link(link, packed)
    return link


def thaw(db: Database, link: str) -> Frozen | None:
    """The snapshot of this id; None: there is none. Raises UsageError for one that cannot be read."""
    packed = Store(db.path).link(link)
    if packed is None:
        return None
    try:
        unpack = zlib.decompressobj()
        # With a bound: a megabyte of zeros unpacks to a gigabyte.
        body = unpack.decompress(base64.b64decode(packed, validate=True), MOST_UNPACKED)
        if unpack.unconsumed_tail:
            raise ValueError("too large")
        frozen = codec.record(Frozen, json.loads(body))
        # Drawn once here, so that what a page meets later is known to be whole.
        frozen.info(False, "wide")
        frozen.table()
    except Exception as error:
        # Whatever broke: the content is anybody's, and no error of a reader of JSON or frames is a sentence for a page.
        raise UsageError(f"The snapshot {link} cannot be read: it is damaged or of another version.") from error
    return frozen


def _answers(
    db: Database, selection: Selection, frame: pl.DataFrame, selected: tuple[str, int] | None
) -> tuple[Answer, ...]:
    if selected is None:
        return ()
    # Of the point in the panel alone: these are texts, and a snapshot has to stay small.
    (condition, at), answers = selected, list[Answer]()
    axes = frame.filter(condition_id=condition, budget=at)["axis"].to_list()
    if not axes or axes[0] not in AXES:
        return ()
    axis = axes[0]
    for trial in queries.first_trials(db, selection.study, selection.task, condition, ANSWERS):
        read = replay.read(trial, axis, at)
        # What the budget did not let through was never part of this answer, though it is stored.
        covered = trial.calls[: read.covered]
        when = trial.started_at, trial.finished_at
        kept = queries.completions(db, tuple(call.key for call in covered[:CALLS]), when)
        texts = [kept[call.key].text[:LETTERS] for call in covered[:CALLS] if call.key in kept]
        question = trial.spec.question
        answers.append(
            Answer(
                codec.storable(question.problem.text[:LETTERS]),
                codec.storable(question.target[:LETTERS]),
                read.fate,
                codec.storable((read.answer or "")[:LETTERS]),
                tuple(map(codec.storable, texts)),
                len(covered),
                codec.storable((question.problem.context or "")[:LETTERS]),
            )
        )
    return tuple(answers)


def facts(frozen: Frozen) -> list[tuple[str, str]]:
    """What a reader must know of where the numbers come from."""
    rows = frozen.rows()
    models = sorted({names.model(str(model)) for model in rows["model"]})
    # Of several that have none each is told by itself.
    without = sorted({names.unpriced(row) for row in rows.filter(rows["usd"].is_null()).iter_rows(named=True)})
    prices = "assumed prices" if rows["usd_assumed"].any() else " · ".join(without)
    return [
        ("Task", names.task(frozen.task)),
        ("Study", "" if frozen.study == queries.ALL else names.study(frozen.study)),
        ("Model", ", ".join(models)),
        ("Questions", str(rows["n_questions"].max() or 0)),
        ("Cost", prices),
        ("Made", f"{frozen.made[:10]} with Budgetscope {frozen.program}".strip()),
    ]


def as_page(frozen: Frozen, link: str) -> str:
    """The view as one HTML file; `link`: where the live view is, empty: nowhere."""
    answers = [(a.question, a.document, a.expected, a.fate, a.said, a.replies, a.calls) for a in frozen.answers]
    drawings: dict[tuple[str, str], Any] = {
        (theme, room): figures.frontier_figure(frozen.info(theme == "dark", room))
        for theme in ("light", "dark")
        for room in ROOMS
    }
    sentences = (frozen.heading, frozen.lead, frozen.rest)
    return saved_page.saved_page(
        drawings,
        figures.caption_sentence(frozen.info(False, "phone")),
        frozen.worded(),
        frozen.rows(),
        sentences,
        facts(frozen),
        (frozen.answering(), answers),
        frozen.notes,
        link,
    )


def as_markdown(frozen: Frozen) -> str:
    """The view as Markdown."""
    return saved_page.markdown(frozen.worded(), (frozen.heading, frozen.lead, frozen.rest), facts(frozen))


def title(frozen: Frozen) -> str:
    """`Sums (easy) · Demo`."""
    study = "" if frozen.study == queries.ALL else names.study(frozen.study)
    return " · ".join(part for part in (names.task(frozen.task), study) if part)
