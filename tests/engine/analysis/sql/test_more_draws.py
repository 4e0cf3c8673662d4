"""Settings that make one request are read with every draw there is of it: each as the trial it would have been."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import pytest

import engine
from engine.analysis import Cell, Results
from engine.analysis.sql import draws
from engine.core import ids
from engine.core.records import Completion, Request, Trial
from engine.runs import worker
from engine.store.store import Store
from engine.study.plan import Plan, plan
from engine.study.schema import Study, parse
from engine.trial.solve import Setting, solve

QUESTIONS = 8


def study(folder: Path, strategies: str, budget: int, name: str = "made", repeats: int = 1) -> Study:
    rows = [f"What is {n} + {n * 7 % 13}?,{n + n * 7 % 13}" for n in range(QUESTIONS)]
    (folder / "sums.csv").write_text("question,answer\n" + "\n".join(rows))
    text = f'name="{name}"\nbudgets=[{budget}]\nrepeats={repeats}\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
    return parse(f"{text}strategies=[{strategies}]\n", "made.toml", folder)


def ran(folder: Path, *studies: Study) -> Results:
    for each in studies:
        final = worker.run(worker.prepare(each, folder / "results.duckdb"), lambda _: None)
        assert final.state == "finished", final.message
    return engine.open(folder / "results.duckdb")


VOTE = '{name="self_consistency", samples=5}'


class OneDraw:
    """Serves what was bought as draw `k` to whoever asks for draw 0."""

    def __init__(self, stored: Mapping[str, Completion], k: int) -> None:
        self._stored = stored
        self._k = k

    async def get(self, request: Request) -> tuple[Completion, bool]:
        return self._stored[ids.request_key(replace(request, draw=self._k))], True

    def prefetch(self, request: Request) -> None:
        """Everything is there."""


def bought(path: Path) -> dict[str, Completion]:
    """Every stored completion by its request."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        keys = [key for (key,) in connection.execute("select key from completions").fetchall()]
    return {ids.request_of(key): each for key, each in Store(path).completions(keys).items()}


def by_hand(planned: Plan, stored: Mapping[str, Completion], k: int, budget: int, strategy: str) -> list[Trial]:
    """The trials of a strategy with draw k in place of draw 0, each run at this very budget."""
    setting = Setting("oracle", planned.models, OneDraw(stored, k))

    async def each() -> list[Trial]:
        trials = []
        for spec in planned.specs:
            if spec.condition.strategy == strategy:
                small = replace(spec, condition=replace(spec.condition, budget=budget))
                made = planned.strategies[spec.condition.condition_id]
                trials.append(await solve(small, made, setting, planned.tasks[spec.condition.task].score))
        return trials

    return asyncio.run(each())


def draws_there(planned: Plan, stored: Mapping[str, Completion], strategy: str) -> int:
    """How many draws the question with fewest has, by asking for one after another."""
    k = 0
    while True:
        try:
            trials = by_hand(planned, stored, k, 10**6, strategy)
        except KeyError:
            return k
        if any(trial.end == "failed" for trial in trials):
            return k
        k += 1


def row(results: Results, strategy: str, **asked: Any) -> dict[str, Any]:
    (found,) = results.cells(strategy=strategy, **asked).to_dicts()
    return found


# Amply; and so tight that the wall ends votes after some draws, of long replies fewer.
@pytest.mark.parametrize(("budget", "whole"), [(4000, True), (80, False)])
def test_each_draw_is_read_as_a_trial_of_its_own_at_every_budget(budget: int, whole: bool, tmp_path: Path):
    mine = study(tmp_path, f'"chain_of_thought", {VOTE}', budget)
    results, planned = ran(tmp_path, mine), plan(mine, sends=False)
    stored = bought(results.path)
    m = draws_there(planned, stored, "chain_of_thought")
    assert (m == 5) == whole
    assert m > 1
    longest = max(each.usage.output_tokens for each in stored.values())
    places = sorted({1, longest // 2, longest - 1, longest, budget})
    cells = results.cells(strategy="chain_of_thought", budgets=places).sort("budget").to_dicts()
    curve = results.curve(cells[0]["condition_id"], points=places).sort("budget").to_dicts()
    for at, cell, point in zip(places, cells, curve, strict=True):
        trials = [by_hand(planned, stored, k, at, "chain_of_thought") for k in range(m)]
        flat = [trial for draw in trials for trial in draw]
        assert cell["budget"] == point["budget"] == at
        assert cell["n_draws"] == m
        assert cell["n_questions"] == QUESTIONS
        assert cell["n_trials"] == m * QUESTIONS
        assert cell["accuracy"] == pytest.approx(mean(trial.verdict == "right" for trial in flat))
        assert cell["n_none"] == sum(trial.verdict == "none" for trial in flat)
        assert cell["n_exhausted"] == sum(trial.end == "exhausted" for trial in flat)
        spent = [sum(part.spend.output_tokens for part in trial.spends) for trial in flat]
        assert cell["output_tokens"] == pytest.approx(mean(spent))
        assert point["accuracy"] == pytest.approx(cell["accuracy"])
        assert point["spend"] == pytest.approx(mean(spent))


def test_a_vote_that_stops_early_does_not_say_how_many_draws_there_are(tmp_path: Path):
    early = '{name="adaptive_consistency", samples=5}'
    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", {early}', 4000))
    assert row(results, "chain_of_thought")["n_draws"] == 1


def test_what_another_study_bought_is_not_this_study_s(tmp_path: Path):
    alone, votes = study(tmp_path, '"chain_of_thought"', 4000, "alone"), study(tmp_path, VOTE, 4000, "votes")
    results = ran(tmp_path, alone, votes)
    assert row(results, "chain_of_thought", study="alone")["n_draws"] == 1
    # Together they asked for both, of the same questions.
    assert row(results, "chain_of_thought")["n_draws"] == 5


def test_requests_that_differ_in_anything_are_not_draws_of_one(tmp_path: Path):
    other = '{name="self_consistency", samples=5, chain_tokens=300}'
    results = ran(tmp_path, study(tmp_path, f'"direct", "chain_of_thought", {other}', 4000))
    assert row(results, "direct")["n_draws"] == 1
    assert row(results, "chain_of_thought")["n_draws"] == 1


def test_the_largest_vote_counts_and_repeats_are_draws_of_their_own(tmp_path: Path):
    few = '{name="self_consistency", samples=[2, 4]}'
    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", {few}', 4000, repeats=2))
    cell = row(results, "chain_of_thought")
    assert (cell["n_draws"], cell["n_trials"]) == (4, 2 * 4 * QUESTIONS)


def test_one_question_with_fewer_draws_decides_for_all(tmp_path: Path):
    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", {VOTE}', 4000))
    store = Store(results.path)
    vote = next(iter(results.cells(strategy="self_consistency")["condition_id"]))
    trial = store.trials(vote)[0]
    with store.writing() as connection:
        connection.execute("delete from completions where key = ?", [trial.calls[3].key])
    assert row(results, "chain_of_thought")["n_draws"] == 3


def test_nothing_is_written_and_differences_are_paired_by_question(tmp_path: Path):
    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", "direct", {VOTE}', 4000))
    before = results.path.read_bytes()
    cells = {each["strategy"]: each for each in results.cells().to_dicts()}
    chain, direct = (Cell(cells[name]["condition_id"], 4000) for name in ("chain_of_thought", "direct"))
    whole = results.compare(chain, direct)
    assert (whole.n, whole.draws_a, whole.draws_b) == (QUESTIONS, 5, 1)
    assert whole.accuracy.mean == pytest.approx(cells["chain_of_thought"]["accuracy"] - cells["direct"]["accuracy"])
    assert results.path.read_bytes() == before
    assert "mean of 5 draws" in results.advise(strategy="chain_of_thought").per_right().sentence


def test_held_sums_do_not_hide_the_other_draws(tmp_path: Path):
    from engine.analysis.materialize import materialize

    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", {VOTE}', 4000))
    before = results.cells()
    assert materialize(results.path, enough=0) == 2
    assert results.cells().equals(before)
    assert isinstance(before, pl.DataFrame)


def test_of_too_many_draws_none_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ran(tmp_path, study(tmp_path, f'"chain_of_thought", {VOTE}', 1000))

    def counts() -> set[int]:
        # Anew, as what was read of a file is remembered.
        return set(engine.open(results.path).cells().filter(strategy="chain_of_thought")["n_draws"])

    assert counts() == {5}
    monkeypatch.setattr(draws, "MOST", QUESTIONS * 5)
    assert counts() == {5}
    monkeypatch.setattr(draws, "MOST", QUESTIONS * 5 - 1)
    assert counts() == {1}
