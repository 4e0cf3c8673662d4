"""What tables and findings say over cells."""

from __future__ import annotations

import polars as pl
import pytest

import engine
from dashboard.text import tables
from tests.support import stores


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_leader_that_one_fixed_answer_matches_is_said_to_be_no_better(tasks: int) -> None:
    cells = engine.open(stores.to_read(stores.small)).cells()
    cells = cells.filter(pl.col("task").is_in(sorted(set(cells["task"]))[:tasks]))
    matched = cells.with_columns(guess=pl.lit(1.0))
    assert tables.leaders(matched)[1].lower().count("no better than one fixed answer to all (100%)") == tasks
    close = tables.leaders(cells.with_columns(guess=pl.col("accuracy") - 0.01))[1].lower()
    assert close.count("not surely better than one fixed answer to all") == tasks
    for passed in (cells.with_columns(guess=pl.col("accuracy_low") - 0.01), cells.with_columns(guess=pl.lit(None))):
        assert "fixed answer" not in "".join(tables.leaders(passed))


def test_how_many_questions_a_finding_over_budgets_stands_on_is_said_of_any_number_of_tasks() -> None:
    cells = engine.open(stores.to_read(stores.small)).cells()
    first = pl.col("task") == cells["task"][0]
    alone, fewer = cells.filter(first), pl.when(first).then(5).otherwise("n_questions").alias("n_questions")
    for frame, said in (
        (alone, "n = 12 questions."),
        (alone.with_columns(accuracy=pl.lit(0.0)), "n = 12 questions."),
        (cells, "n = 12 questions each."),
        (cells.with_columns(fewer), "n = 5 to 12 questions each."),
    ):
        assert tables.leaders(frame)[1].endswith(said)


def test_of_settings_alike_none_is_called_most_accurate_and_one_alone_is_compared_with_nothing() -> None:
    cells = engine.open(stores.to_read(stores.small)).cells()
    one = cells.filter(task=cells["task"][0])
    same = one.with_columns(accuracy=pl.lit(0.5))
    count = same.filter(budget=same["budget"].max()).height
    assert tables.leaders(same)[0].startswith(f"{count} settings alike are most accurate on")
    assert f"by {count} settings alike" in tables.leaders(cells.with_columns(accuracy=pl.lit(0.5)))[1]
    alone = tables.leaders(same.filter(condition_id=same["condition_id"][0]))[0]
    assert " gets 50% " in alone and "most accurate" not in alone


def test_the_panel_says_where_one_fixed_answer_is_not_surely_less() -> None:
    row = engine.open(stores.to_read(stores.small)).cells().sort("accuracy").row(-1, named=True)
    for guess, aside in ((row["accuracy_low"] - 0.01, ""), (row["accuracy_low"] + 0.01, "(not surely less)")):
        (line,) = (each for each in tables.panel_lines(row | {"guess": guess}) if each[0] == "One fixed answer")
        assert line[2] == aside


def test_the_panel_names_no_chance_of_being_best_of_what_is_never_right() -> None:
    row = engine.open(stores.to_read(stores.small)).frontier().sort("accuracy").row(-1, named=True)
    assert "Chance of being best" in [what for what, _, _ in tables.panel_lines(row)]
    never = tables.panel_lines(row | {"accuracy": 0.0})
    assert "Chance of being best" not in [what for what, _, _ in never]


def test_beside_what_is_billed_the_table_of_settings_says_what_is_free_and_how_many_failed() -> None:
    frame = engine.open(stores.to_read(stores.small)).frontier().head(2)
    billed = tables.settings_table(frame.with_columns(usd=pl.lit(0.00002)), {}, "output_tokens")
    assert billed["Cost per 1,000, $"].to_list() == [0.02, 0.02] and "failed" not in "".join(billed["Notes"])
    usd, local = pl.Series("usd", [0.00002, None], pl.Float64), pl.lit(True).alias("local")
    mixed = frame.with_columns(usd, local, usd_assumed=pl.lit(False), simulated=pl.lit(False), n_failed=pl.lit(2))
    table = tables.settings_table(mixed, {}, "output_tokens")
    assert sorted(table["Cost per 1,000"]) == ["$0.02", "free (runs here)"]
    assert all(note.endswith("2 failed") for note in table["Notes"])


@pytest.mark.parametrize(
    ("local", "simulated", "usd", "said", "noted"),
    [
        (True, False, None, "free (runs here)", ["free (runs here)"]),
        (True, False, 0.00002, "$0.02", []),
        (False, False, None, "price unknown", ["price unknown"]),
        (True, True, None, "free (simulated)", ["simulated model"]),
        (False, True, None, "price unknown", ["simulated model", "price unknown"]),
    ],
)
def test_what_runs_here_is_free_and_no_price_is_unknown(
    local: bool, simulated: bool, usd: float | None, said: str, noted: list[str]
) -> None:
    priced = {"local": local, "simulated": simulated, "usd": usd, "usd_assumed": False}
    assert tables.cost_line(priced) == said
    assert tables.cell_notes(priced | {"partial": False, "n_questions": 3}) == noted
