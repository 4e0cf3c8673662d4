"""Line-ups: several models in one trial, from the study file to the pages, each call priced at its own model."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard.data import studies
from dashboard.data.studies import Form
from dashboard.figures.lettering import short_model
from engine.cli import main
from engine.core.errors import BudgetscopeError, UnknownName, UsageError
from engine.core.records import Request, Spend, Trial
from engine.models.scripted import Script
from engine.runs import worker
from engine.store.store import Store
from engine.strategies import build, entries
from engine.strategies.chain import CHAIN_TOKENS, RATING_TOKENS, chain_prompt
from engine.study import expected
from engine.study.plan import Plan, plan
from engine.study.schema import Study, as_json, parse
from engine.study.upper_bound import upper_bound
from tests import ROOT
from tests.support.pages import run_page
from tests.support.trials_on_paper import CRITIC, QUESTION, SOLVER, critic, fixed, model, play, salted

SMALL, LARGE = "scripted/small-adder", "scripted/large-adder"
STUDY = f"""
name = "pairs"
budget_axis = "usd"
budgets = [0.00003, 0.0001, 0.0003, 0.002]
tasks = [{{name = "gym:chain_sum", level = "medium", questions = 12}}]
models = [{{name = "{SMALL}", prices = {{input = 0.1, output = 0.4}}}},
          {{name = "{LARGE}", prices = {{input = 1.0, output = 4.0}}}}]
lineups = [{{name = "pair", solver = "{SMALL}", strong = "{LARGE}", second = "{LARGE}"}}]
strategies = ["chain_of_thought", "cascade", "router", {{name = "mixed_debate", agents = 1}}]
"""
TOGETHER = ("cascade", "router", "mixed_debate")
BOTH = f"{SMALL} → {LARGE}"


def changed(**values: str) -> str:
    """STUDY with top-level keys replaced by TOML source; an empty text takes the key away."""
    keys: dict[str, str] = {}
    for line in STUDY.strip().splitlines():
        key, _, value = line.partition(" = ")
        if line.startswith(" "):
            keys["models"] += f" {line.strip()}"
        else:
            keys[key] = value
    return "\n".join(f"{key} = {value}" for key, value in (keys | values).items() if value)


def study(**values: str) -> Study:
    return parse(changed(**values), "s.toml")


def planned(**values: str) -> Plan:
    return plan(study(**values), sends=False)


def ran(path: Path, **values: str) -> Path:
    final = worker.run(worker.prepare(study(**values), path), lambda _: None)
    assert final.state == "finished", final.message
    return path


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("lineups") / "r.duckdb")


# What the strategies do


def _asked(trial: Trial) -> list[tuple[str, str]]:
    return [("solver" if call.model == SOLVER.identity else "other", call.role) for call in trial.calls]


def _play(name: str, solver: Script, other: Script, **params: object) -> Trial:
    return play(build(name, params), "calls", 99, model(solver), second=critic(other))


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        (("A", "A", "A", "A", "A"), False),
        (("A", "A", "B", "A", "A"), False),
        (("A", "A", "B", "B", "A"), True),
        (("A", "A", "A", None, None), True),
        ((None, None, None, None, None), True),
    ],
)
def test_a_cascade_asks_the_strong_model_only_where_too_few_chains_agree(
    said: Sequence[str | None], asks: bool
) -> None:
    trial = _play("cascade", fixed(*(f"Answer: {a}" if a else "" for a in said)), fixed("Answer: C"))
    assert _asked(trial) == [("solver", "solve")] * 5 + [("other", "solve")] * asks
    assert trial.answer == ("C" if asks else "A")


def test_a_cascade_keeps_the_vote_when_the_strong_model_states_nothing() -> None:
    trial = _play("cascade", fixed("Answer: A", "Answer: B"), fixed(""), samples=2)
    assert (len(trial.calls), trial.answer) == (3, "A")


def test_the_chains_of_a_cascade_are_those_of_self_consistency_and_of_the_strong_model_alone() -> None:
    cascade = _play("cascade", salted(3), salted(3), samples=4, agreement=2.0)
    alone = play(build("self_consistency", {"samples": 4}), "calls", 99, model(salted(3)))
    assert [call.key for call in cascade.calls[:4]] == [call.key for call in alone.calls]
    assert cascade.calls[4].messages == chain_prompt(QUESTION.problem)
    assert (cascade.calls[4].model, cascade.calls[4].asked_tokens) == (CRITIC.identity, CHAIN_TOKENS)


def _judging(said: str) -> Script:
    return lambda request, rng: said if request.asked_tokens == RATING_TOKENS else "Answer: A"


@pytest.mark.parametrize(
    ("said", "who"),
    [("[[1]]", "solver"), ("[[3]]", "solver"), ("[[4]]", "other"), ("[[10]]", "other"), ("no idea", "other")],
)
def test_a_router_keeps_easy_questions_and_sends_the_others_to_the_strong_model(said: str, who: str) -> None:
    trial = _play("router", _judging(said), fixed("Answer: B"))
    assert _asked(trial) == [("solver", "judge"), (who, "solve")]
    assert trial.answer == ("A" if who == "solver" else "B")


def test_a_router_and_difficulty_adaptive_read_one_judgement() -> None:
    keys = [
        play(build(name, {}), "calls", 99, model(_judging("[[1]]"))).calls[0].key
        for name in ("router", "difficulty_adaptive")
    ]
    assert keys[0] == keys[1]


def test_agents_of_a_mixed_debate_read_the_others_and_not_themselves() -> None:
    def says(word: str) -> Script:
        def say(request: Request, rng: random.Random) -> str:
            return f"{word}{request.draw} Answer: {word}" if len(request.messages) == 1 else "Answer: C"

        return say

    trial = _play("mixed_debate", says("left"), says("right"), agents=2, rounds=2)
    assert _asked(trial) == [(who, role) for role in ("solve", "debate") for who in ("solver", "other") for _ in "12"]
    for agent, call in enumerate(trial.calls[4:]):
        own, said = call.messages[1].content, call.messages[2].content
        every = ["left0", "left1", "right0", "right1"]
        assert own.startswith(every[agent])
        assert [word for word in every if word in said] == every[:agent] + every[agent + 1 :]
    assert [mark.answer for mark in trial.marks] == ["left", "C"]


def test_a_mixed_debate_of_one_round_is_a_vote_of_both_models() -> None:
    trial = _play("mixed_debate", fixed("Answer: A", "Answer: B"), fixed("Answer: B"), agents=2, rounds=1)
    assert (len(trial.calls), trial.answer) == (4, "B")


# What a study may say


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lineups": "3"}, ("lineups", "a list")),
        ({"lineups": f'[{{name = "pair", strong = "{LARGE}"}}]'}, ("[[lineups]] 'pair'", "no solver")),
        ({"lineups": f'[{{name = "pair", solver = "{SMALL}"}}]'}, ("'pair'", "a solver alone", "strong")),
        ({"lineups": f'[{{solver = "{SMALL}", strong = "{LARGE}"}}]'}, ("number 1", "no name")),
        ({"lineups": f'[{{name = "p", solver = "{SMALL}", strong = "{SMALL}"}}]'}, ("'p'", SMALL, "two models")),
        ({"lineups": f'[{{name = "p", solver = "{SMALL}", strong = 3}}]'}, ("strong", "a text")),
        (
            {
                "lineups": f'[{{name = "p", solver = "{SMALL}", strong = "{LARGE}"}}, '
                f'{{name = "p", solver = "{LARGE}", strong = "{SMALL}"}}]'
            },
            ("line-up p", "2 times"),
        ),
        ({"models": '[{name = "m", alone = "no"}]'}, ("alone", "true or false")),
        ({"lineups": ""}, ("'cascade'", "add [[lineups]]", 'solver = "..."', 'strong = "..."')),
        (
            {"lineups": f'[{{name = "p", solver = "{SMALL}", second = "{LARGE}"}}]'},
            ("'cascade'", "solver and strong"),
        ),
        ({"strategies": '["direct"]'}, ("the line-up 'pair'", "'cascade'", "take the line-up out")),
        (
            {
                "models": f'["{SMALL}", "{LARGE}", "scripted/noise"]',
                "strategies": '["cascade"]',
                "budget_axis": '"calls"',
                "budgets": "[4]",
            },
            ("'scripted/noise'", "no part"),
        ),
        ({"models": ""}, ("'chain_of_thought'", "one model", "alone")),
        ({"models": "", "strategies": '["cascade"]'}, ("price", "scripted/small-adder")),
        (
            {"lineups": f'[{{name = "p", solver = "{SMALL}", strong = "scripted/larg-adder", second = "{LARGE}"}}]'},
            ("scripted/larg-adder", LARGE),
        ),
    ],
)
def test_what_is_wrong_with_a_line_up_is_one_sentence(values: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(BudgetscopeError) as caught:
        planned(**values)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 300
    assert all(word in sentence for word in words), sentence


def test_an_unknown_role_brings_the_nearest_that_a_strategy_asks_for() -> None:
    with pytest.raises(UnknownName) as caught:
        study(lineups=f'[{{name = "p", solver = "{SMALL}", stronk = "{LARGE}"}}]')
    assert caught.value.nearest == "strong"


def test_a_study_with_line_ups_is_stored_with_them_and_one_without_as_before() -> None:
    assert as_json(study())["lineups"] == [{"name": "pair", "solver": SMALL, "strong": LARGE, "second": LARGE}]
    plain = json.dumps(as_json(study(lineups="", strategies='["direct"]')))
    assert "lineups" not in plain and "alone" not in plain


# What a plan makes of it


def _lineups(found: Plan) -> dict[str, set[tuple[tuple[str, str], ...]]]:
    every: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for condition in found.conditions:
        every.setdefault(condition.strategy, set()).add(tuple((role, m.name) for role, m in condition.lineup))
    return every


def test_a_condition_holds_the_roles_its_strategy_asks_for_and_no_other() -> None:
    found = _lineups(planned())
    assert found["chain_of_thought"] == {(("solver", SMALL),), (("solver", LARGE),)}
    assert found["cascade"] == found["router"] == {(("solver", SMALL), ("strong", LARGE))}
    assert found["mixed_debate"] == {(("solver", SMALL), ("second", LARGE))}


def test_a_strategy_is_run_once_with_line_ups_that_differ_in_roles_it_does_not_ask_for() -> None:
    twice = (
        f'[{{name = "a", solver = "{SMALL}", strong = "{LARGE}", second = "{LARGE}"}}, '
        f'{{name = "b", solver = "{SMALL}", strong = "{LARGE}"}}]'
    )
    assert {c.condition_id for c in planned(lineups=twice).conditions} == {c.condition_id for c in planned().conditions}
    assert len(planned(lineups=twice).conditions) == 5


def test_a_model_that_is_not_alone_plays_in_line_ups_only() -> None:
    apart = _lineups(planned(models=STUDY.split("models = ")[1].split("\nlineups")[0][:-2] + ", alone = false}]"))
    assert apart["chain_of_thought"] == {(("solver", SMALL),)}
    assert apart["cascade"] == {(("solver", SMALL), ("strong", LARGE))}


def test_models_of_a_line_up_need_no_table() -> None:
    found = planned(models="", strategies='["cascade"]', budget_axis='"total_tokens"', budgets="[900]")
    assert _lineups(found) == {"cascade": {(("solver", SMALL), ("strong", LARGE))}}


def test_a_line_up_changes_no_id_of_the_models_alone() -> None:
    alone = planned(lineups="", strategies='["chain_of_thought"]')
    assert {s.trial_id for s in alone.specs} < {s.trial_id for s in planned().specs}


def test_the_name_of_a_line_up_enters_no_id_and_its_models_do() -> None:
    def ids(lineup: str) -> set[str]:
        return {s.trial_id for s in planned(lineups=f"[{lineup}]", strategies='["cascade"]').specs}

    pair = ids(f'{{name = "pair", solver = "{SMALL}", strong = "{LARGE}"}}')
    assert pair == ids(f'{{name = "other", strong = "{LARGE}", solver = "{SMALL}"}}')
    assert not pair & ids(f'{{name = "pair", solver = "{LARGE}", strong = "{SMALL}"}}')


# What it costs


def _money(trial: Trial) -> int:
    prices = {m.identity: m.price for _, m in trial.spec.condition.lineup}
    assert all(prices.values())
    return sum(p.cost_pusd(s.spend) for s in trial.spends if (p := prices[s.model]) is not None)


@pytest.mark.parametrize("strategy", TOGETHER)
def test_every_call_is_priced_at_its_own_model_and_no_wall_is_passed(db: Path, strategy: str) -> None:
    results = engine.open(db)
    (condition,) = results.conditions().filter(strategy=strategy)["condition_id"]
    trials = Store(db).trials(condition)
    rows = {row["trial_id"]: row for row in results.trial_rows(condition).to_dicts()}
    for trial in trials:
        assert _money(trial) <= trial.spec.condition.budget
        assert rows[trial.spec.trial_id]["usd"] == pytest.approx(_money(trial) / 1e12)
        by_call: dict[str, Spend] = {}
        for call in trial.calls:
            by_call[call.model] = by_call.get(call.model, Spend()) + call.spend
        assert by_call == {spend.model: spend.spend for spend in trial.spends}
    assert any(len(trial.spends) == 2 for trial in trials)


@pytest.mark.parametrize("budget", ["0.00003", "0.0001", "0.00023"])
def test_a_curve_on_money_equals_a_run_at_that_budget(db: Path, tmp_path: Path, budget: str) -> None:
    direct = engine.open(ran(tmp_path / "d.duckdb", budgets=f"[{budget}]")).cells()
    swept = engine.open(db).cells(budgets=[round(float(budget) * 10**12)])
    _same(swept, direct)


@pytest.mark.parametrize("budget", ["0.00003", "0.0001"])
def test_a_sweep_on_tokens_read_in_money_equals_a_run_at_that_budget(tmp_path: Path, budget: str) -> None:
    tokens = ran(tmp_path / "t.duckdb", budget_axis='"total_tokens"', budgets="[20000]")
    direct = engine.open(ran(tmp_path / "d.duckdb", budgets=f"[{budget}]")).cells()
    _same(engine.open(tokens).cells("usd", [round(float(budget) * 10**12)]), direct)


def _same(swept: pl.DataFrame, direct: pl.DataFrame) -> None:
    """A reading in money counts fractions of the token a wall cuts, which cost at most 4e-6 dollars here."""
    columns = ("strategy", "model", "accuracy", "n_exhausted", "calls", "usd")
    a, b = (frame.select(columns).sort("strategy", "model").to_dicts() for frame in (swept, direct))
    assert [row["model"] for row in a] == [BOTH, LARGE, SMALL, BOTH, BOTH]
    for one, other in zip(a, b, strict=True):
        assert one.pop("usd") == pytest.approx(other.pop("usd"), abs=4e-6)
        assert one == pytest.approx(other)


def test_a_second_run_has_nothing_to_do_and_one_of_the_models_alone_reads_their_replies(
    db: Path, tmp_path: Path
) -> None:
    db = Path(shutil.copyfile(db, tmp_path / "r.duckdb"))
    again = worker.run(worker.prepare(study(), db), lambda _: None)
    assert (again.state, again.spent.calls) == ("finished", 0)
    more = study(lineups="", strategies='[{name = "self_consistency", samples = 5}]')
    final = worker.run(worker.prepare(more, db), lambda _: None)
    assert final.spent.calls == 12 * 4, "the solver's five and the strong model's first chain are there already"


def test_a_run_stopped_at_its_ceiling_and_run_again_ends_as_one_that_was_not(db: Path, tmp_path: Path) -> None:
    short = worker.run(worker.prepare(study(ceiling="{tokens = 6000}"), tmp_path / "r.duckdb"), lambda _: None)
    assert short.state == "ceiling" and 0 < short.done < short.total
    resumed = engine.open(ran(tmp_path / "r.duckdb")).cells()
    assert resumed.equals(engine.open(db).cells())


def test_an_estimate_bounds_a_run_and_each_model_at_its_own_price(db: Path) -> None:
    found = upper_bound(planned(models=STUDY.split("models = ")[1].split("\nlineups")[0], budgets="[1.0]"))
    worst = {(line.condition.strategy, line.condition.solver.name): line.worst.pusd or 0 for line in found.lines}
    cheap, dear = worst["chain_of_thought", SMALL], worst["chain_of_thought", LARGE]
    assert dear == 10 * cheap
    assert worst["cascade", SMALL] == 5 * cheap + dear
    assert worst["router", SMALL] < cheap + dear < worst["mixed_debate", SMALL]
    for row in engine.open(db).cells(budgets=[2 * 10**9]).filter(model=BOTH).to_dicts():
        assert row["usd"] * 12 * 10**12 < worst[row["strategy"], SMALL]


def test_a_ceiling_counts_the_billed_models_of_a_line_up_alone() -> None:
    billed = (
        f'[{{name = "{SMALL}", prices = {{input = 5.0, output = 5.0}}}}, '
        '{name = "far", api_base = "http://127.0.0.1:9/v1", prices = {input = 1.0, output = 4.0}}]'
    )
    lineup = f'[{{name = "p", solver = "{SMALL}", strong = "far"}}]'
    keys = {"models": billed, "lineups": lineup, "budgets": "[1.0]", "strategies": '["chain_of_thought", "cascade"]'}
    with pytest.raises(UsageError, match=r"'far' is billed, so the study needs a money ceiling"):
        planned(**keys)
    found = upper_bound(planned(**keys, ceiling="{usd = 9}"))
    worst = {(line.condition.strategy, line.condition.solver.name): line.worst for line in found.lines}
    cascade, far = worst["cascade", SMALL], worst["chain_of_thought", "far"]
    assert cascade.billed_pusd == far.billed_pusd == far.pusd
    assert (cascade.pusd or 0) > 5 * (far.pusd or 0)


def test_a_pilot_tells_what_line_ups_will_spend(tmp_path: Path) -> None:
    db = ran(tmp_path / "p.duckdb", first_questions="6")
    found = expected.expected_spend(planned(), db)
    assert found.unknown == 0 and found.expected is not None
    for line in found.lines:
        assert line.expected is not None and line.expected.pusd is not None and line.expected.bought_pusd is not None
        assert 0 < line.expected.pusd.expected <= line.expected.pusd.high
        assert line.expected.bought_pusd.expected == 0, "scripted models bill nothing"
    assert all(line.expected.seconds is not None for line in found.lines if line.expected)


# How it looks


def test_conditions_carry_the_line_up_where_a_model_stands(db: Path) -> None:
    rows = {row["label"]: row for row in engine.open(db).conditions().to_dicts()}
    assert rows["cascade · small-adder → large-adder"]["model"] == BOTH
    assert rows["chain_of_thought · small-adder"]["model"] == SMALL
    assert all(row["simulated"] for row in rows.values())
    assert set(engine.open(db).cells(model=BOTH)["strategy"]) == set(TOGETHER)


@pytest.mark.parametrize(
    ("name", "said"),
    [(BOTH, "small-adder → large-adder"), ("openai/a@x → b/c@y", "a → c"), ("openai/a", "a"), (" → ", " → ".strip())],
)
def test_a_line_up_is_shortened_model_by_model(name: str, said: str) -> None:
    assert short_model(name) == said


def test_reports_bills_and_estimates_name_all_models(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(changed())
    for verb in (["report"], ["bill"], ["estimate", str(tmp_path / "s.toml")]):
        assert main([*verb, "--db", str(db)]) == 0
        said = capsys.readouterr().out
        assert (LARGE in said and SMALL in said) if verb == ["bill"] else short_model(BOTH) in said
    assert main(["strategies"]) == 0
    assert "models: solver, strong" in capsys.readouterr().out


def test_the_example_is_a_plan_of_every_strategy_that_asks_several_models() -> None:
    found = plan(engine.study.schema.load(ROOT / "examples" / "lineups.toml"), sends=False)
    assert {c.strategy for c in found.conditions if len(c.lineup) > 1} == set(TOGETHER)


def _words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    found = [*app.markdown, *app.caption, *app.warning, *app.code, *app.metric]
    return "\n".join(str(element.value) for element in found).replace("\\", "")


@pytest.fixture
def page(db: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def opened(view: str, **query: str) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
        return run_page(view, **query)

    return opened


def test_pages_filter_by_line_up_as_by_model(page: Any) -> None:
    for view in ("explore", "budgets"):
        app = page(view)
        names = ["large-adder", "small-adder", "small-adder → large-adder"]
        assert app.button_group(key=f"{view}.model").options == names
    assert "3 of 5" in _words(page("budgets", model=BOTH))


def test_a_transcript_says_which_model_each_call_went_to(page: Any, db: Path) -> None:
    rows = engine.open(db).conditions().filter(strategy="router")
    condition = rows["condition_id"][0]
    trial = next(t for t in Store(db).trials(condition) if len(t.spends) == 2)
    app = page("answers", condition=condition, trial=trial.spec.trial_id)
    (setting,) = [box for box in app.selectbox if box.key == "answers.condition"]
    assert any("Router · small-adder → large-adder" in option for option in setting.options)
    told = "\n".join(html.proto.body for html in app.get("html"))
    assert f"{SMALL} · " in told and f"{LARGE} · " in told


def test_the_method_page_names_the_roles(page: Any) -> None:
    assert "Models, by role: solver, strong." in _words(page("help", strategy="cascade"))


def test_the_form_asks_for_a_line_up_when_a_strategy_needs_one(page: Any) -> None:
    app = page("runs")
    assert not [box for box in app.selectbox if str(box.key).startswith("form.lineup")]
    app.session_state["form.strategies"] = ["cascade", "mixed_debate"]
    app.run()
    boxes = {box.key: box for box in app.selectbox if str(box.key).startswith("form.lineup")}
    assert list(boxes) == ["form.lineup.solver", "form.lineup.strong", "form.lineup.second"]
    for role, name in (("solver", SMALL), ("strong", LARGE), ("second", LARGE)):
        app.selectbox(key=f"form.lineup.{role}").set_value(name).run()
    said = next(code.value for code in app.code if "[[lineups]]" in code.value)
    assert parse(said, "form").lineups == (
        engine.strategies.lineups.Lineup(
            "small-adder → large-adder", (("solver", SMALL), ("strong", LARGE), ("second", LARGE))
        ),
    )
    assert not app.warning, [each.value for each in app.warning]


def _form(**changes: Any) -> Form:
    lineup = {"name": "pair", "solver": SMALL, "strong": LARGE, "second": LARGE}
    usual: dict[str, Any] = {
        "name": "mine",
        "models": ("scripted/noise",),
        "strategies": (("cascade", {}), ("router", {})),
        "tasks": ({"name": "gym:chain_sum", "questions": 2},),
        "budgets": "64",
        "lineups": (lineup,),
        "tables": {LARGE: {"name": LARGE, "prices": {"input": 1.0, "output": 4.0}}},
    }
    return Form(**{**usual, **changes})


def test_a_form_runs_alone_what_other_strategies_need_and_nothing_else() -> None:
    together = studies.checked(_form())
    assert [(m.name, m.alone, m.price is None) for m in together.models] == [(LARGE, False, False)]
    both = studies.checked(_form(strategies=(("cascade", {}), ("direct", {}))))
    assert [(m.name, m.alone) for m in both.models] == [("scripted/noise", True), (LARGE, False)]
    for found in (together, both):
        plan(found)


def test_a_form_without_a_strong_model_is_told_so_by_the_engine() -> None:
    with pytest.raises(UsageError, match="a solver alone"):
        studies.checked(_form(lineups=({"name": "p", "solver": SMALL, "strong": None},)))


def test_strategies_with_roles_are_the_three_there_are() -> None:
    assert {name for name, entry in entries().items() if entry.roles} == set(TOGETHER)
