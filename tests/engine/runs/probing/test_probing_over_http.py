"""Looks into thoughts of a model behind HTTP: what is sent, what it costs, and that the order of arrival decides nothing.

The server speaks the OpenAI protocol; it goes on with a reply that was begun for it, or is told to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import engine
from engine.analysis.thinking.thoughts import of
from engine.core.budget import Amount, Limits
from engine.core.errors import UsageError
from engine.core.ids import request_key
from engine.core.records import Probe
from engine.models import open_model
from engine.models.model import Model
from engine.runs import probing
from engine.runs.probing import ASKED, FORCED, Probed, Probing
from engine.store.store import Store
from engine.study.schema import parse
from tests.support.provider import Provider, serving
from tests.support.stores import studied

CEILING = "\n[ceiling]\nusd = 1.0\n"


@pytest.fixture(scope="module", params=[True, False], ids=["goes on", "is told"])
def far(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, Path]]:
    """A provider and the thoughts it was paid for."""
    with serving() as provider:
        folder = tmp_path_factory.mktemp("far")
        goes_on = "true" if request.param else "false"
        model = f'{{name="far", api_base="{provider.api_base}", continues={goes_on}, prices={{input=1.0, output=4.0}}}}'
        strategies = ["chain_of_thought"]
        path = folder / "r.duckdb"
        yield provider, studied(path, questions=6, models=model, strategies=strategies, budgets=[256], more=CEILING)


def opened(provider: Provider, goes_on: bool) -> Model:
    body = f'name="m"\nbudgets=[1]\ntasks=["gym:gcd"]\nstrategies=["direct"]\n{CEILING}[[models]]\nname="far"\n'
    more = f'api_base="{provider.api_base}"\ncontinues={str(goes_on).lower()}\nprices={{input=1.0, output=4.0}}\n'
    return open_model("far", {spec.name: spec for spec in parse(body + more, "m.toml").models})


def condition(db: Path) -> str:
    return str(engine.open(db).conditions()["condition_id"][0])


def look(
    provider: Provider, db: Path, goes_on: bool, ceiling: Limits | None = None, width: int = 8
) -> tuple[Probing, Probed]:
    async def go() -> tuple[Probing, Probed]:
        plan = await probing.plan(opened(provider, goes_on), engine.open(db).chains(condition(db)), Store(db))
        worst = Limits(plan.worst.calls, plan.worst.tokens, plan.worst.pusd)
        return plan, await probing.probe(plan, Store(db), ceiling or worst, width=width)

    return asyncio.run(go())


def copied(db: Path, folder: Path, name: str = "copy.duckdb") -> Path:
    Store(db).copy_to(folder / name)
    return folder / name


def plain(probes: tuple[Probe, ...]) -> list[Probe]:
    """Without what differs from run to run: who paid, and how long it took."""
    bare = [replace(probe, run_id=None, key=probe.key and probe.key.partition("@")[0]) for probe in probes]
    return [replace(probe, spend=replace(probe.spend, latency_ms=0)) for probe in bare]


def test_a_look_is_sent_as_the_model_takes_it(
    far: tuple[Provider, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    provider, db = far
    goes_on = "goes on" in request.node.callspec.id
    before = len(provider.served)
    plan, probed = look(provider, copied(db, tmp_path), goes_on)
    sent = [one.body["messages"] for one in provider.served[before:]]
    assert plan.how == ("continued" if goes_on else "asked") and not probed.unfinished
    # Two places of a thought may leave the same words of it: that is one request, paid once.
    assert len(sent) == len({request_key(look.request) for each in plan.planned for look in each.looks})
    last = [messages[-1] for messages in sent]
    if goes_on:
        assert all(turn["role"] == "assistant" and turn["content"].endswith(FORCED) for turn in last)
        assert all(one.body["continue_final_message"] is True for one in provider.served[before:])
    else:
        assert all(turn == {"role": "user", "content": ASKED} for turn in last)
        assert all(messages[-2]["role"] == "assistant" for messages in sent)
    assert all(one.body["temperature"] == 0 for one in provider.served[before:])


def test_looks_are_the_same_at_width_one_and_eight_and_are_paid_once(
    far: tuple[Provider, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    provider, db = far
    goes_on = "goes on" in request.node.callspec.id
    _, one = look(provider, copied(db, tmp_path), goes_on, width=1)
    wide = copied(db, tmp_path, "wide.duckdb")
    plan, eight = look(provider, wide, goes_on, width=8)
    assert plain(one.probes) == plain(eight.probes) and one.spent == eight.spent
    assert 0 < one.spent.pusd <= plan.worst.pusd and one.spent.tokens <= plan.worst.tokens
    asked = len(provider.served)
    again, free = look(provider, wide, goes_on)
    assert again.worst == Amount() and free.spent == Amount() and len(provider.served) == asked
    assert plain(free.probes) == plain(eight.probes)


def test_a_ceiling_stops_it_and_the_next_one_goes_on_where_it_stopped(
    far: tuple[Provider, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    provider, db = far
    goes_on = "goes on" in request.node.callspec.id
    stopped, whole = copied(db, tmp_path), copied(db, tmp_path, "whole.duckdb")
    _, all_of_it = look(provider, whole, goes_on)
    limit = all_of_it.spent.pusd // 2
    _, part = look(provider, stopped, goes_on, Limits(pusd=limit))
    assert part.reached and part.unfinished and part.spent.pusd + part.in_doubt.pusd <= limit
    _, rest = look(provider, stopped, goes_on)
    assert part.spent + rest.spent == all_of_it.spent and not rest.unfinished
    assert plain(rest.probes) == plain(all_of_it.probes)


def test_the_curve_of_a_billed_model_ends_at_the_accuracy_of_its_answers(
    far: tuple[Provider, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    provider, db = far
    own = copied(db, tmp_path)
    look(provider, own, "goes on" in request.node.callspec.id)
    results = engine.open(own)
    (cell,) = results.cells(budgets=[256]).to_dicts()
    found = of(results, condition(own))
    assert found.source == "probes" and found.curve["accuracy"][-1] == pytest.approx(cell["accuracy"])


def test_a_model_that_somebody_bills_is_not_asked_without_a_ceiling_in_money(
    far: tuple[Provider, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    provider, db = far
    asked = len(provider.served)
    with pytest.raises(UsageError, match="money ceiling"):
        look(provider, copied(db, tmp_path), "goes on" in request.node.callspec.id, Limits(tokens=10**6))
    assert len(provider.served) == asked
