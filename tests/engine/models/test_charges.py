"""The money ceiling counts the larger of our price and the cost a provider reports; the bill shows both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import engine
from engine.core.budget import Limits, worst_pusd
from engine.core.errors import UsageError
from engine.core.records import Spend
from engine.models.prices import price_from_usd_per_million
from engine.runs import journal, worker
from engine.runs.account import account
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir
from engine.store.store import Store
from engine.study.plan import plan
from engine.study.schema import parse, with_ceiling
from tests.engine.runs.test_worker import prepared, quiet, remote, study_text
from tests.support.faults import Fault
from tests.support.provider import serving

AT_ONCE = Retries(first_s=0)
DOLLAR = 10**12


def bill(run: RunDir) -> dict[str, Any]:
    return dict(engine.open(run.db).bill(run.run_id, by=()).row(0, named=True))


def test_a_run_bills_every_call_in_the_tier_of_its_own_input_and_reserves_the_dearest_its_bound_can_reach(
    tmp_path: Path,
) -> None:
    with serving() as provider:
        tiers = "tiers = [{above_input_tokens = 29, input = 10.0, output = 20.0}]"
        model = remote(provider).replace("output = 2.0", f"output = 2.0, request = 0.001, {tiers}")
        text = study_text(tmp_path, model, count=3, more="[ceiling]\nusd = 90.0")
        # Prompts of 29 and of 30 tokens, on either side of the threshold.
        short = text.replace('name = "chain_of_thought", chain_tokens = 64', 'name = "direct", answer_tokens = 64')
        run = prepared(tmp_path, short)
        worker.run(run, quiet)
    price = price_from_usd_per_million(
        1, 2, request="0.001", tiers=[{"above_input_tokens": 29, "input": 10, "output": 20}]
    )
    with Store(run.db).reading() as connection:
        sizes = connection.execute("select input_tokens, output_tokens from completions").fetchall()
        reserved = connection.execute("select reserved_tokens, reserved_pusd from attempts").fetchall()
        read = connection.execute(
            "select k.input_tokens, k.output_tokens from calls c join completions k using (key)"
        ).fetchall()
    costs, listed = (
        [price.cost_pusd(Spend(1, sent, output_tokens=got)) for sent, got in each] for each in (sizes, read)
    )
    assert {price.tier(sent) for sent, _ in sizes} == {0, 1}
    bill_row = bill(run)
    assert (bill_row["billed_pusd"], bill_row["list_pusd"]) == (sum(costs), sum(listed))
    assert all(worst_pusd(price, tokens - 64, 64) == pusd for tokens, pusd in reserved)


def test_the_ceiling_counts_a_reported_cost_that_is_higher_and_the_bill_shows_both(tmp_path: Path) -> None:
    with serving() as provider:
        provider.faults.append(Fault("cost", {"cost": "0.25"}))
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=3, more="[ceiling]\nusd = 90.0"))
        ended = worker.run(run, quiet)
    found = bill(run)
    (one,) = journal.read(run.journal).reported_pusd
    ours = next(a for a in journal.read(run.journal).attempts if a.attempt_id == one)
    assert ours.charged_pusd is not None and ours.reserved_pusd is not None
    assert found["provider_pusd"] == DOLLAR // 4
    assert found["difference_pusd"] == DOLLAR // 4 - ours.charged_pusd
    assert ended.spent.pusd == found["billed_pusd"] + found["difference_pusd"]
    assert ended.overrun.pusd >= DOLLAR // 4 - ours.reserved_pusd
    assert ended.message is not None and "higher cost" in ended.message
    run.journal.unlink()
    assert account(run).spent == ended.spent, "the database knows as much as the journal"
    (lease,) = Store(run.db).read_book().of_run(run.run_id)
    assert lease.spent == ended.spent


def test_a_reported_cost_that_is_lower_changes_nothing_but_the_bill(tmp_path: Path) -> None:
    with serving() as provider:
        provider.faults.extend([Fault("cost", {"cost": "0"}), Fault("cost", {"cost": "1e-12"})])
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=3, more="[ceiling]\nusd = 1.0"))
        ended = worker.run(run, quiet)
    found = bill(run)
    assert ended.spent.pusd == found["billed_pusd"] and ended.overrun.pusd == 0
    assert found["provider_pusd"] == 1 and found["difference_pusd"] < 0


def test_after_a_reported_cost_beyond_the_price_no_more_is_sent_than_the_ceiling_bears_also_after_a_resume(
    tmp_path: Path,
) -> None:
    with serving(latency_s=0.02) as provider:
        provider.faults.extend([Fault("cost", {"cost": "0.1"})] * 200)
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=30, more="[ceiling]\nusd = 1.0"))
        ended = worker.run(run, quiet)
        first = len(provider.served)
        assert ended.state == "ceiling" and ended.message is not None and "higher cost" in ended.message
        assert ended.spent.pusd == first * DOLLAR // 10 <= DOLLAR + 4 * DOLLAR // 10
        run.study.write_text(with_ceiling(run.study.read_text(), Limits(pusd=2 * DOLLAR)))
        again = worker.run(run, quiet)
    assert again.state == "ceiling" and again.spent.pusd <= 2 * DOLLAR and again.overrun.pusd == 0
    assert again.spent.pusd == len(provider.served) * DOLLAR // 10 == journal.read(run.journal).spent.pusd


def test_a_declared_price_of_zero_needs_no_ceiling_and_an_unknown_one_is_refused_under_any(tmp_path: Path) -> None:
    def planned(prices: str, ceiling: str = "") -> None:
        model = f'{{name = "m", api_base = "http://127.0.0.1:9/v1"{prices}}}'
        plan(parse(study_text(tmp_path, model, more=ceiling), "test"))

    planned(", prices = {input = 0, output = 0}")
    planned(", prices = {input = 0, output = 0, cached = 0}", "[ceiling]\nusd = 1.0")
    with pytest.raises(UsageError, match="money ceiling"):
        planned(", prices = {input = 0, output = 0, cache_write = 0.1}")
    for ceiling in ("", "[ceiling]\nusd = 1.0"):
        with pytest.raises(UsageError, match="unknown"):
            planned("", ceiling)


@pytest.mark.parametrize("price", ["0.0000004", "1e-13"])
def test_a_price_too_small_to_count_is_refused_with_the_smallest_there_is(price: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"smallest.*0\.000001 USD per million"):
        price_from_usd_per_million(price, "0")
    model = f'{{name = "m", api_base = "http://h/v1", prices = {{input = 1, output = {price}}}}}'
    with pytest.raises(UsageError, match="output"):
        parse(study_text(tmp_path, model), "test")
    assert price_from_usd_per_million("0.000001", "0").input_pusd == 1
