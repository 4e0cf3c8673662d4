"""`budgetscope calibrate`: the halving is the paper's, to the token; it is run and billed like a study, and named apart."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import engine
from engine.cli import main
from engine.core.errors import UnknownName
from engine.core.ids import request_of
from engine.core.records import Finish, Problem, Question, Request, Trial
from engine.models import scripted
from engine.models.scripted import Script
from engine.runs import run_dir
from engine.store.store import Store
from engine.strategies import entries
from engine.strategies.calibration import LABEL, BudgetSearch, Search, Tried, search_of
from engine.strategies.registry import registered, restore
from engine.study.schema import parse
from engine.testing import ContractBroken, check_strategy
from tests import ROOT
from tests.support.effort import cases
from tests.support.trials_on_paper import Till, in_loop, model, played, pool_over, spec

STUDY = """
name = "sums"
budgets = [600]
models = ["scripted/answering"]
tasks = ["file:sums.csv"]
strategies = ["chain_of_thought", "told_budget"]
"""


def told(request: Request) -> int | None:
    """The budget a request tells; None: it is the vanilla chain."""
    found = re.search(r"fewer than (\d+) tokens", request.messages[-1].content)
    return int(found[1]) if found else None


def responding(vanilla: int, used: Callable[[int], int], right: Callable[[int], bool]) -> Script:
    """A model whose length and success are functions of the budget it is told; a reply ends in the answer."""

    def say(request: Request, rng: random.Random) -> str:
        budget = told(request)
        tokens = vanilla if budget is None else used(budget)
        answer = "A" if budget is None or right(budget) else "B"
        return " ".join([*["so"] * (tokens - 3), "Answer:", answer])

    return say


def searched(script: Script, feasibility: str = "plain", **knobs: int) -> tuple[Search, Trial]:
    solver = model(script)
    till = Till({solver.setting.identity: solver})
    search = BudgetSearch(feasibility, **knobs)
    pool = pool_over(solver)
    pool._buy = till.buy
    trial = in_loop(played(search, spec(LABEL, "calls", search.calls), [solver], pool, 1))
    replies = {completion.key: completion for completion in till.bought}
    return search_of(trial, feasibility, replies, lambda answer, question: answer == question.target), trial


# The search


def test_the_budget_is_halved_from_the_vanilla_tokens_until_the_answer_is_wrong() -> None:
    found, trial = searched(responding(100, lambda b: b + 5, lambda b: b >= 12))
    assert found.vanilla_tokens == 100 and found.vanilla_right
    assert [(t.budget, t.tokens, t.right, t.feasible) for t in found.tried] == [
        (50, 55, True, True),
        (25, 30, True, True),
        (12, 17, True, True),
        (6, 11, False, False),
    ]
    assert (found.found_budget, found.found_tokens) == (12, 17)
    assert (trial.end, trial.verdict, len(trial.calls)) == ("finished", "right", 5)
    assert {call.role for call in trial.calls} == {LABEL}


def test_plain_goes_on_through_the_elastic_zone_where_greedy_stops() -> None:
    elastic = responding(64, lambda b: b if b >= 16 else 40 - b, lambda b: True)
    plain, greedy = searched(elastic)[0], searched(elastic, "greedy")[0]
    assert [(t.budget, t.tokens) for t in plain.tried] == [(32, 32), (16, 16), (8, 32), (4, 36), (2, 38), (1, 39)]
    assert (plain.found_budget, plain.found_tokens) == (1, 39)
    assert [(t.budget, t.tokens, t.feasible) for t in greedy.tried] == [(32, 32, True), (16, 16, True), (8, 32, False)]
    assert (greedy.found_budget, greedy.found_tokens) == (16, 16)


def test_greedy_wants_fewer_tokens_than_the_vanilla_chain_at_once() -> None:
    found, _ = searched(responding(20, lambda b: 20, lambda b: True), "greedy")
    assert found.tried == (Tried(10, 20, True, False),)
    assert (found.found_budget, found.found_tokens) == (20, 20), "the vanilla chain is what is left"


def test_a_wrong_or_cut_vanilla_answer_ends_the_search_without_a_budget() -> None:
    for script in (lambda request, rng: "so so Answer: B", lambda request, rng: " ".join(["Answer: A"] * 400)):
        found, trial = searched(script)
        assert (found.found_budget, found.found_tokens, found.tried, len(trial.calls)) == (None, None, (), 1)
        assert not found.vanilla_right


def test_a_reply_that_a_filter_ended_is_not_right_whatever_it_says() -> None:
    solver = model(lambda request, rng: "so so Answer: A")
    search, till = BudgetSearch("plain"), Till({solver.setting.identity: solver})
    pool = pool_over(solver)
    pool._buy = till.buy
    trial = in_loop(played(search, spec(LABEL, "calls", search.calls), [solver], pool, 1))
    ends: tuple[tuple[Finish, bool], ...] = (("stop", True), ("filter", False))
    for finish, right in ends:
        replies = {each.key: replace(each, finish=finish) for each in till.bought}
        found = search_of(trial, "plain", replies, lambda answer, question: answer == question.target)
        assert found.vanilla_right is right


@given(vanilla=st.integers(3, 511), least=st.integers(1, 600), lengths=st.integers(0, 10**6), greedy=st.booleans())
@cases(40)
def test_the_search_is_algorithm_1_whatever_the_model_does(
    vanilla: int, least: int, lengths: int, greedy: bool
) -> None:
    def used(budget: int) -> int:
        return random.Random(f"{lengths}{budget}").randint(3, 500)

    def feasible(budget: int, before: int) -> bool:
        return budget >= least and (not greedy or used(budget) < before)

    right, before, budget, tried = vanilla, vanilla, vanilla // 2, []
    while budget:
        tried.append(budget)
        if not feasible(budget, before):
            break
        right, before, budget = budget, used(budget), budget // 2
    kind = "greedy" if greedy else "plain"
    found, trial = searched(responding(vanilla, used, lambda budget: budget >= least), kind)
    assert [each.budget for each in found.tried] == tried
    assert found.found_budget == right and len(trial.calls) == 1 + len(tried) <= BudgetSearch().calls


def test_the_ideal_range_is_the_cheapest_third_of_neighbours_that_are_feasible() -> None:
    tokens = [90, 70, 40, 30, 60, 80]
    tried = tuple(Tried(96 >> at, used, True, True) for at, used in enumerate(tokens))
    assert Search(200, True, tried).ideal_range == (12, 24)
    broken = (*tried[:3], replace(tried[3], feasible=False), *tried[4:])
    assert Search(200, True, broken).ideal_range == (24, 48)
    assert Search(200, True, ()).ideal_range is None
    assert Search(200, True, (Tried(100, 3, False, False),)).ideal_range is None
    assert Search(200, True, (Tried(100, 3, True, True),)).ideal_range == (100, 100)


def test_the_search_keeps_the_contract_of_strategies_and_is_none_to_choose() -> None:
    with pytest.raises(ContractBroken) as broken:
        check_strategy(LABEL)
    assert str(broken.value).count("\n") == 1 and "promised up to 10 calls" in str(broken.value)
    _, longest = searched(responding(512, lambda budget: budget + 3, lambda budget: True))
    assert len(longest.calls) == BudgetSearch().calls == 10, "only a chain as long as its cap is halved so often"
    assert LABEL not in entries()
    with pytest.raises(UnknownName, match="Unknown strategy"):
        parse(STUDY.replace("told_budget", LABEL), "x.toml")


# The command


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a verb in a folder with a study, a file of questions and a model that answers as it is asked."""
    rows = "\n".join(f"What is {a} + {a} ?,{2 * a}" for a in range(1, 13))
    (tmp_path / "sums.csv").write_text(f"question,answer\n{rows}\n=1+1 is what ?,nobody knows\n")
    (tmp_path / "sums.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    monkeypatch.setitem(scripted._SCRIPTS, "answering", _answering)

    def act(*argv: str) -> Said:
        return Said(main([*argv, "--db", "r.duckdb"]), *capsys.readouterr())

    return act


def _answering(request: Request, rng: random.Random) -> str:
    """Adds right down to a told budget of 20, using as much as it is told; 80 tokens when told nothing."""
    budget = told(request)
    numbers = [int(n) for n in re.findall(r"\d+", request.messages[-1].content.split("\n")[0])]
    answer = sum(numbers) + (budget is not None and budget < 20)
    return " ".join([*["so"] * ((budget or 80) - 3), "Answer:", str(answer)])


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_study_s_tasks_are_calibrated_written_and_billed_under_their_label(calibrate: Command) -> None:
    done = calibrate("calibrate", "sums.toml", "--out", "b.jsonl")
    assert done.code == 0, done.err
    row = re.split(r"\s{2,}", next(line for line in done.out.splitlines() if line.startswith("file:sums")))
    assert row == ["file:sums", "scripted/answering", "plain", "13", "92.3%", "80", "20", "20", "720 (75.0%)"]
    assert "billed 49 calls" in done.out
    first, *_, last = lines("b.jsonl")
    assert first["text"] == "What is 1 + 1 ?" and first["label"] == LABEL
    assert [each["budget"] for each in first["tried"]] == [40, 20, 10]
    assert [each["tokens"] for each in first["tried"]] == [40, 20, 10]
    assert [each["right"] for each in first["tried"]] == [True, True, False]
    assert (first["vanilla_tokens"], first["found_budget"], first["ideal_range"]) == (80, 20, [20, 20])
    assert (last["vanilla_right"], last["found_budget"], last["tried"]) == (False, None, [])
    (known,) = run_dir.list_runs(Path("r.duckdb"))
    assert known.name == f"sums: {LABEL}" and known.state == "finished"
    assert LABEL in calibrate("bill").out and LABEL in calibrate("bill", "--by", "condition").out


def test_it_is_in_no_cell_and_no_frontier_unless_it_is_asked_for(calibrate: Command) -> None:
    calibrate("calibrate", "sums.toml")
    found = engine.open("r.duckdb")
    (condition,) = found.conditions().to_dicts()
    assert condition["strategy"] == LABEL == condition["label"]
    assert found.cells().is_empty() and found.frontier().is_empty()
    assert (
        found.cells(strategy=LABEL)["n_questions"].sum()
        == 13
        == found.cells(condition_id=condition["condition_id"])["n_questions"].sum()
    )
    assert LABEL not in calibrate("strategies").out
    calibrate("run", "sums.toml")
    assert LABEL not in set(engine.open("r.duckdb").cells()["strategy"])


def test_a_second_calibration_and_a_greedy_one_pay_only_what_is_new(calibrate: Command) -> None:
    calibrate("calibrate", "sums.toml")
    assert "billed 0 calls" in calibrate("calibrate", "sums.toml", "--out", "again.jsonl").out
    assert len(lines("again.jsonl")) == 13
    assert "billed 0 calls" in calibrate("calibrate", "sums.toml", "--feasibility", "greedy").out
    shared = calibrate("run", "sums.toml")
    assert "billed 13 calls" in shared.out, "its vanilla chains are chain of thought's; the told budget is another"


def test_a_run_that_met_its_ceiling_is_resumed_and_pays_nothing_twice(calibrate: Command) -> None:
    stopped = calibrate("calibrate", "sums.toml", "--ceiling-tokens", "3000", "--out", "b.csv")
    assert stopped.code == 3, stopped
    done = calibrate("resume", "last", "--tokens", "1000000")
    assert done.code == 0 and "720 (75.0%)" in done.out, done.err
    (known,) = run_dir.list_runs(Path("r.duckdb"))
    journal = run_dir.find(Path("r.duckdb"), known.run_id).journal.read_text().splitlines()
    replies = [entry["completion"] for entry in map(json.loads, journal) if entry.get("completion")]
    bought = [request_of(reply["key"]) for reply in replies]
    assert len(bought) == len(set(bought)) == 49 == known.spent.calls
    with open("b.csv", newline="") as file:
        partial = list(csv.DictReader(file))
    assert 0 < len(partial) <= 13 and {row["label"] for row in partial} == {LABEL}


def test_a_file_for_spreadsheets_holds_no_formula(calibrate: Command) -> None:
    calibrate("calibrate", "sums.toml", "--out", "b.csv")
    with open("b.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["text"] == "'=1+1 is what ?" and rows[-1]["found_budget"] == ""
    assert json.loads(rows[0]["tried"])[1] == {"budget": 20, "tokens": 20, "right": True, "feasible": True}


def test_a_task_and_a_model_need_no_study(calibrate: Command) -> None:
    done = calibrate("calibrate", "--task", "file:sums.csv", "--model", "scripted/answering", "--questions", "4")
    assert done.code == 0 and "4 of 4 trials" in done.out, done.err
    assert Store("r.duckdb").runs()[0].study.count(LABEL) == 2


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "Name a study, or a task and a model"),
        (["--task", "gym:chain_sum"], "Name a study, or a task and a model"),
        (["sums.toml", "--task", "gym:chain_sum"], "--task goes without a study file"),
        (["sums.toml", "--questions", "3"], "--questions goes without a study file"),
        (["nowhere.toml"], "There is no study file nowhere.toml"),
        (["--task", "gym:chain_sun", "--model", "scripted/adder"], "did you mean"),
        (["--task", 'x"\ny', "--model", "scripted/adder"], "Unknown task"),
        (["--task", "gym:chain_sum", "--model", "scripted/ader"], "Unknown model"),
        (["--task", "gym:chain_sum", "--model", "openai/gpt-4o-mini"], "needs a money ceiling|OPENAI_API_KEY"),
        (["sums.toml", "--feasibility", "greddy"], "did you mean 'greedy'"),
        (["sums.toml", "--out", "b.xlsx"], "ending of --out"),
        (["sums.toml", "--out", "no/b.csv"], "there is no folder"),
        (["sums.toml", "--out", "."], "ending of --out"),
        (["sums.toml", "--ceiling-tokens", "0"], "is no positive number"),
        (["sums.toml", "--questions", "-1"], "is no positive number"),
    ],
)
def test_rubbish_is_a_sentence_before_anything_is_spent(calibrate: Command, argv: list[str], sentence: str) -> None:
    done = calibrate("calibrate", *argv)
    assert done.code in (1, 2) and done.err.count("\n") == 1, done
    assert re.search(sentence, done.err), done.err
    assert not Path("r.duckdb").exists() and not Path("r.runs").exists()


def test_a_study_that_needs_a_plugin_is_calibrated_and_resumed_without_it(calibrate: Command) -> None:
    Path("sums.toml").write_text(STUDY.replace('"told_budget"', '"two_agree"'))
    before = registered()
    stopped = calibrate("--plugin", "examples.my_strategy", "calibrate", "sums.toml", "--ceiling-tokens", "3000")
    restore(before)
    assert stopped.code == 3, stopped
    assert calibrate("resume", "last", "--tokens", "1000000").code == 0


def test_a_study_of_line_ups_alone_has_nothing_to_calibrate(calibrate: Command) -> None:
    Path("sums.toml").write_text(
        STUDY.replace('"chain_of_thought", "told_budget"', '"cascade"').replace('models = ["scripted/answering"]', "")
        + '[[lineups]]\nname = "both"\nsolver = "scripted/answering"\nstrong = "scripted/adder"\n'
    )
    assert "nothing to calibrate" in calibrate("calibrate", "sums.toml").err


def test_a_calibration_is_no_study_to_run_or_to_calibrate(calibrate: Command) -> None:
    Path("c.toml").write_text(f'calibration = "plain"\n{STUDY}')
    for verb in (["run"], ["estimate"]):
        assert "uses targets" in calibrate(*verb, "c.toml").err
    assert "is a calibration already" in calibrate("calibrate", "c.toml").err
    Path("c.toml").write_text(f'calibration = "both"\n{STUDY}')
    assert "Unknown calibration" in calibrate("calibrate", "c.toml").err


def test_the_pages_name_it_in_the_list_of_runs_and_offer_it_nowhere(
    calibrate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate("calibrate", "sums.toml")
    monkeypatch.setenv("BUDGETSCOPE_DB", str(Path("r.duckdb").resolve()))
    assert LABEL in shown("runs") and LABEL not in shown("explore") and LABEL not in shown("help")


def shown(view: str) -> str:
    """Everything a page says, tables and choices included."""
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=180)
    app.switch_page(f"views/{view}.py")
    app.run()
    assert not app.exception, app.exception[0].value
    tables = [table.value.to_csv() for table in app.dataframe]
    choices = [str(getattr(each, "options", "")) for each in [*app.selectbox, *app.multiselect, *app.button_group]]
    links = [str(each.proto) for each in app.get("page_link")]
    return "\n".join([*(str(e.value) for e in [*app.markdown, *app.caption]), *tables, *choices, *links]).replace(
        "\\", ""
    )


def test_a_question_s_text_and_target_are_told_to_nobody_but_the_scorer() -> None:
    asked: list[str] = []

    def say(request: Request, rng: random.Random) -> str:
        asked.append(" ".join(message.content for message in request.messages))
        return "Answer: secret"

    question = Question("q", "t", Problem("What ?", "word"), "secret")
    planned = replace(spec(LABEL, "calls", 9), question=question)
    solver = model(say)
    in_loop(played(BudgetSearch(), planned, [solver], pool_over(solver), 1))
    assert len(asked) > 1 and not any("secret" in each for each in asked)


def test_a_model_without_a_price_needs_what_a_run_needs(calibrate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "x")
    models = '[{name = "mine", api_base = "http://127.0.0.1:9/v1", api_key_env = "SOME_KEY"}]'
    Path("sums.toml").write_text(STUDY.replace('["scripted/answering"]', models))
    said = calibrate("calibrate", "sums.toml", "--ceiling-usd", "1")
    assert said.code == 2 and "The price of 'mine' is unknown" in said.err
