"""Plans: which trials a study asks for, and what their ids depend on."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from engine.core.budget import Limits
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Trial
from engine.study.plan import Plan, plan
from engine.study.schema import parse
from engine.study.upper_bound import UpperBound, upper_bound
from engine.trial.solve import Setting, solve
from tests.support.trials_on_paper import pool_over

QUESTIONS = "question,answer\nWhat is 1 + 2 ?,3\nWhat is 30 + 4 ?,34\nWhat is 5 + 66 ?,71\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sums.csv").write_text(QUESTIONS)
    return tmp_path


def planned(folder: Path, **changes: str) -> Plan:
    keys = {
        "name": '"p"',
        "budgets": "[32, 64, 512]",
        "tasks": '["file:sums.csv", {name="gym:gcd", questions=2}]',
        "models": '["scripted/adder", "scripted/sure-adder"]',
        "strategies": '["direct", {name="self_consistency", samples=[2, 4]}, "told_budget"]',
        **changes,
    }
    return plan(parse("\n".join(f"{key} = {value}" for key, value in keys.items() if value), "p.toml", folder))


def ids(found: Plan) -> set[str]:
    return {spec.trial_id for spec in found.specs}


def test_anytime_conditions_run_once_at_the_largest_budget(folder: Path) -> None:
    found = planned(folder)
    budgets = {(c.strategy, c.budget) for c in found.conditions}
    assert budgets == {("direct", 512), ("self_consistency", 512), *(("told_budget", b) for b in (32, 64, 512))}


def test_every_condition_gets_every_question_and_repeat_once(folder: Path) -> None:
    found = planned(folder, repeats="3")
    assert len(found.specs) == 3 * (3 + 2) * 2 * (1 + 2 + 3)
    assert len(ids(found)) == len(found.specs)


def test_the_order_of_tables_changes_no_id(folder: Path) -> None:
    turned = planned(
        folder,
        budgets="[512, 32, 64]",
        tasks='[{name="gym:gcd", questions=2}, "file:sums.csv"]',
        models='["scripted/sure-adder", "scripted/adder"]',
        strategies='["told_budget", {name="self_consistency", samples=[4, 2]}, "direct"]',
    )
    assert ids(turned) == ids(planned(folder))


def test_name_ceiling_concurrency_age_and_folder_enter_no_id(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "sums.csv").write_text(QUESTIONS)
    other = planned(elsewhere, name='"another"', ceiling="{tokens = 9, calls = 3, usd = 2}", pool_max_age_days="1")
    assert ids(other) == ids(planned(folder))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("system", '"Be brief."'),
        ("examples", '[{question="1+1", answer="2"}]'),
        ("budget_axis", '"total_tokens"'),
        ("models", '["scripted/noise"]'),
    ],
)
def test_what_the_model_is_asked_enters_every_id(folder: Path, key: str, value: str) -> None:
    assert not ids(planned(folder)) & ids(planned(folder, **{key: value}))


def test_a_larger_budget_keeps_anytime_ids_and_adds_the_others(folder: Path) -> None:
    before, after = planned(folder), planned(folder, budgets="[32, 64, 512, 1024]")
    anytime = {s.trial_id for s in before.specs if s.condition.anytime}
    assert anytime <= ids(after)
    assert len(ids(after) - ids(before)) == len(
        {s.trial_id for s in after.specs if s.condition.budget == 1024} - ids(before)
    )


def test_a_run_stopped_half_way_is_balanced(folder: Path) -> None:
    found = planned(folder, repeats="2")
    half = found.specs[: len(found.specs) // 2]
    assert {spec.repeat for spec in half} == {0}
    assert {s.condition.condition_id for s in half} == {c.condition_id for c in found.conditions}


def test_trials_of_one_question_stand_together(folder: Path) -> None:
    runs = [name for name, _ in itertools.groupby(planned(folder).specs, key=lambda spec: spec.question.question_id)]
    assert len(runs) == len(set(runs))


def test_every_spec_finds_its_strategy_task_and_model(folder: Path) -> None:
    found = planned(folder)
    for spec in found.specs:
        assert found.strategies[spec.condition.condition_id] is not None
        assert spec.question.task == found.tasks[spec.condition.task].name
        assert spec.condition.solver.identity in found.models


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": '["scripted/addr"]'}, "scripted/adder"),
        ({"tasks": '["gym:chain_sums"]'}, "chain_sum"),
        ({"tasks": '["chain_sum"]'}, "gym:chain_sum"),
        ({"tasks": '["file:nowhere.csv"]'}, "nowhere.csv"),
        ({"budget_axis": '"usd"'}, "price"),
        ({"repeats": "10000", "budgets": "[" + ",".join(map(str, range(1, 900))) + "]"}, "4,000,000"),
        ({"models": '[{name="m", api_base="http://127.0.0.1:9/v1"}]'}, "prices = {"),
        ({"models": '[{name="m", api_base="http://127.0.0.1:9/v1", prices={input=1,output=2}}]'}, "[ceiling]"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_sentence(folder: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(folder, **changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_billed_model_with_price_and_money_ceiling_is_planned(folder: Path) -> None:
    table = '[{name="m", api_base="http://127.0.0.1:9/v1", prices={input=1,output=2}}]'
    found = planned(folder, models=table, ceiling="{usd = 0.5}")
    assert found.study.ceiling == Limits(tokens=50_000_000, pusd=5 * 10**11)
    assert upper_bound(found).total.billed_pusd


def test_an_unknown_strategy_is_refused_before_anything_is_opened(folder: Path) -> None:
    with pytest.raises(UnknownName, match="self_consistency"):
        planned(folder, strategies='["self_consistancy"]', models='["nowhere/at-all"]')


def played(found: Plan) -> list[Trial]:
    """All trials of a plan, each bought anew."""

    async def run() -> list[Trial]:
        trials = []
        for spec in found.specs:
            models = list(found.models.values())
            setting = Setting("run", found.models, pool_over(*models))  # type: ignore[arg-type]
            task = found.tasks[spec.condition.task]
            trials.append(await solve(spec, found.strategies[spec.condition.condition_id], setting, task.score))
        return trials

    return asyncio.run(run())


@pytest.mark.parametrize("axis", ["output_tokens", "total_tokens", "calls"])
@pytest.mark.parametrize(
    "strategies",
    [
        '["direct"]',
        '[{name="self_consistency", samples=9, chain_tokens=30}]',
        '["self_refine"]',
        '["told_budget"]',
        '["tale_ep"]',
    ],
)
def test_no_trial_costs_more_than_its_estimate(folder: Path, axis: str, strategies: str) -> None:
    budgets = "[1, 3, 200]" if axis == "calls" else "[40, 700]"
    found = planned(folder, strategies=strategies, budget_axis=f'"{axis}"', budgets=budgets)
    worst = {line.condition.condition_id: line.worst for line in upper_bound(found).lines}
    for trial in played(found):
        bound = worst[trial.spec.condition.condition_id]
        live = [call for call in trial.calls if call.seen_output_tokens is not None]
        assert len(live) <= bound.calls / bound.trials
        assert sum(call.seen_output_tokens or 0 for call in live) <= bound.output_tokens / bound.trials
        assert sum(call.spend.input_tokens for call in live) <= bound.input_tokens / bound.trials


def test_an_unknown_price_stays_unknown_in_the_sum(folder: Path) -> None:
    priced = '{name="m", api_base="http://127.0.0.1:9/v1", prices={input=1,output=2}}'
    found: UpperBound = upper_bound(planned(folder, models=f'["scripted/adder", {priced}]', ceiling="{usd = 1}"))
    assert found.total.pusd is None
    assert any(line.worst.pusd for line in found.lines)
    assert found.total.trials == sum(line.worst.trials for line in found.lines)
