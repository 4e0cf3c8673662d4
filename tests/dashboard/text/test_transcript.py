"""A trial read at a budget agrees with the cells it belongs to, and what a transcript says hides nothing."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from dashboard.text import transcript
from dashboard.text.transcript import Entry
from engine.core import replay
from engine.core.records import Axis, Trial
from engine.core.replay import Reading
from engine.store.store import Store
from tests.support import records, stores

BUDGETS = (1, 7, 16, 31, 32, 33, 60, 100, 128, 200, 333, 512, 513, 2_000)
DOLLARS = (10**6, 5 * 10**6, 2 * 10**7, 10**8, 10**9, 10**10)


@pytest.fixture(scope="module")
def db() -> Path:
    with ThreadPoolExecutor(1) as other:
        return other.submit(stores.to_read, stores.small).result()


@pytest.fixture(scope="module")
def stored(db: Path) -> dict[str, tuple[Trial, ...]]:
    """The trials of every condition, read once."""
    return {id: tuple(Store(db).trials(id)) for id in engine.open(db).conditions()["condition_id"]}


@pytest.mark.parametrize("axis", ["output_tokens", "total_tokens", "calls", "usd"])
def test_readings_of_single_trials_add_up_to_the_cells(
    db: Path, stored: dict[str, tuple[Trial, ...]], axis: Axis
) -> None:
    budgets = {"usd": DOLLARS, "calls": (1, 2, 3, 8, 16, 40)}.get(axis, BUDGETS)
    # A mean of more draws than were asked for is of more than these trials.
    cells = engine.open(db).cells(axis=axis, budgets=budgets).filter(anytime=True, n_draws=1).to_dicts()
    assert len(cells) > 30
    for cell in cells:
        readings = [replay.read(trial, axis, cell["budget"]) for trial in stored[cell["condition_id"]]]
        fates = Counter(str(reading.fate) for reading in readings)
        told = {"right": "n_right", "wrong": "n_wrong", "none": "n_none", "censored": "n_censored"}
        assert {fate: fates[fate] for fate in told} == {fate: cell[name] for fate, name in told.items()}, cell
        scored = [reading for reading in readings if reading.fate in ("right", "wrong", "none")]
        assert sum(reading.exhausted for reading in scored) == cell["n_exhausted"], cell
        if scored:
            mean = sum(reading.spend.output_tokens for reading in scored) / len(scored)
            assert mean == pytest.approx(cell["output_tokens"]), cell


def test_without_a_budget_a_trial_reads_as_it_was_stored(stored: dict[str, tuple[Trial, ...]]) -> None:
    for trial in (each for trials in stored.values() for each in trials):
        reading = replay.read(trial)
        assert (reading.fate, reading.answer) == (trial.verdict, trial.answer)
        assert reading.exhausted == (trial.end == "exhausted")
        assert reading.spend.total_tokens == sum(part.spend.total_tokens for part in trial.spends)


def test_a_budget_of_its_own_wall_reads_as_it_was_run(stored: dict[str, tuple[Trial, ...]]) -> None:
    anytime = [each for trials in stored.values() for each in trials if each.spec.condition.anytime]
    assert anytime
    for trial in anytime:
        wall = trial.spec.condition.budget
        assert replay.read(trial, trial.spec.condition.axis, wall).fate == replay.read(trial).fate


@given(
    st.lists(records.trials(), max_size=6), st.sampled_from(["all", "right", "wrong", "none", "exhausted", "failed"])
)
def test_any_stored_trial_can_be_told(trials: list[Trial], show: str) -> None:
    entries = [Entry(trial, replay.read(trial)) for trial in trials]
    for entry in entries:
        replay.matches(entry.reading, show)
        said = [transcript.verdict_line(entry.trial, entry.reading), transcript.facts_line(entry)]
        said += [transcript.beyond_line(entry.trial, entry.reading), transcript.read_line(entry.reading)]
        finding = transcript.finding(entry.trial, entry.reading, "128 tokens")
        assert len(finding.split()) <= 18
        said += [finding]
        said += [transcript.call_line(call) for call in entry.trial.calls]
        assert all("None" not in line or "None" in repr(entry.trial) for line in said)
    assert transcript.table(entries).height == len(entries)


@given(st.text())
def test_what_is_shown_steers_nothing_and_loses_nothing(text: str) -> None:
    shown_text = transcript.visible(text)
    assert all(letter == "\n" or letter == "\t" or letter.isprintable() or letter.isspace() for letter in shown_text)
    assert "\u202e" not in shown_text
    assert len(shown_text) >= len(text)


def test_a_long_text_says_how_much_is_left() -> None:
    assert transcript.visible("x" * 120, 100).endswith("\n… 20 more characters")


def test_a_list_tells_its_questions_apart_and_calls_no_answer_nothing_else(
    stored: dict[str, tuple[Trial, ...]],
) -> None:
    for trials in stored.values():
        entries = [Entry(trial, replay.read(trial)) for trial in trials]
        table = transcript.table(entries)
        assert table["Question"].n_unique() == len({entry.question_id for entry in entries})
        for entry, row in zip(entries, table.to_dicts(), strict=True):
            assert row[""] == {"right": "✓", "wrong": "✕", "none": "–"}.get(entry.reading.fate, "!")
            assert entry.reading.fate != "none" or row["It said"] == "no answer"


def test_the_finding_names_the_call_the_budget_cut_and_what_lies_beyond_is_counted(db: Path) -> None:
    condition = engine.open(db).conditions().filter(strategy="self_consistency")["condition_id"][0]
    trial = max(Store(db).trials(condition), key=lambda t: len(t.calls))
    first = trial.calls[0].spend.output_tokens
    reading = replay.read(trial, "output_tokens", first + 1)
    assert (reading.covered, reading.granted) == (1, 1)
    finding = transcript.finding(trial, reading, f"{first + 1} tokens")
    assert finding.endswith(f"after one call; the budget of {first + 1} tokens cut the second")
    assert transcript.closing_call(trial, reading) is trial.calls[1]
    assert transcript.beyond_line(trial, reading).startswith(f"Calls 3 to {len(trial.calls)} were made")
    refused = replay.read(trial, "output_tokens", first)
    assert "left no token for the second" in transcript.finding(trial, refused, "few tokens")


def test_the_finding_of_an_answer_whose_first_call_was_not_whole_counts_no_calls(db: Path) -> None:
    condition = engine.open(db).conditions().filter(strategy="chain_of_thought")["condition_id"][0]
    trial = max(Store(db).trials(condition), key=lambda t: t.calls[0].spend.output_tokens)
    cut = replay.read(trial, "output_tokens", 1)
    assert transcript.finding(trial, cut, "1 token") == "No answer: the budget of 1 token cut the first call"
    failed = Reading(0, None, (), "failed", None, False)
    assert transcript.finding(trial, failed, "1 token") == "Failed without a whole reply, and not scored"


def test_a_trial_that_no_budget_cut_says_so_by_what_it_spent(db: Path) -> None:
    condition = engine.open(db).conditions().filter(strategy="direct")["condition_id"][0]
    trial = next(each for each in Store(db).trials(condition) if each.end == "finished")
    reading = replay.read(trial)
    assert transcript.closing_call(trial, reading) is None
    assert transcript.beyond_line(trial, reading) == ""
    assert "after one call and" in transcript.finding(trial, reading, "64 tokens")


def test_votes_are_counted_by_value_most_first_and_a_reply_without_an_answer_casts_none() -> None:
    assert transcript.votes(["15", None, "10", "15", "15.0", "10", "18"]) == "15 ×3, 10 ×2, 18"
    assert transcript.votes([None, None]) == ""


def test_failed_and_stopped_trials_are_told_apart_from_wrong_ones() -> None:
    for fate, found in (("failed", {"failed"}), ("stopped", {"failed"}), ("wrong", {"wrong"}), ("censored", set())):
        reading = Reading(0, None, (), fate, None, False)  # type: ignore[arg-type]
        assert {
            show for show in ("right", "wrong", "none", "exhausted", "failed") if replay.matches(reading, show)
        } == found
