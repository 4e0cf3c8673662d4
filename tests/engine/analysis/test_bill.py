"""The bill: what was paid now, what was replayed and what all would cost afresh are three sums that are never mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.cli import main
from engine.core.errors import UnknownName
from engine.runs import run_dir, worker
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir
from engine.store.store import Store
from engine.study.schema import parse
from tests.engine.runs.test_worker import prepared, quiet, remote, study_text
from tests.support.faults import Fault
from tests.support.provider import serving

Row = dict[str, Any]
CEILING = "[ceiling]\nusd = 1.0"
COST = 123_450_000
"""What the provider says a call cost, in pico-dollars."""


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, RunDir]:
    """A run with a refused attempt and a reported cost, and a second one that replays it with one strategy more."""
    folder = tmp_path_factory.mktemp("billed")
    with serving() as provider:
        provider.faults.extend([Fault("429"), Fault("cost", {"cost": "0.00012345"})])
        first = prepared(folder, study_text(folder, remote(provider), count=6, more=CEILING))
        worker.run(first, quiet, Retries(first_s=0))
        more = study_text(folder, remote(provider), count=6, more=CEILING).replace(
            '{name = "chain_of_thought"', '{name = "self_refine", chain_tokens = 64}, {name = "chain_of_thought"'
        )
        second = worker.prepare(parse(more, "test"), first.db)
        worker.run(second, quiet)
    return first, second


def total(run: RunDir) -> Row:
    return dict(engine.open(run.db).bill(run.run_id, by=()).row(0, named=True))


def test_what_runs_were_billed_is_what_their_attempts_were_charged(billed: tuple[RunDir, RunDir]) -> None:
    with Store(billed[0].db).reading() as connection:
        charged = connection.execute(
            "select sum(charged_pusd), sum(charged_tokens), count(*), sum((ordinal > 0)::int) from attempts"
        ).fetchone()
    found = engine.open(billed[0].db)
    for by in ((), ("run_id", "model", "role"), ("run_id", "condition_id"), ("model",)):
        frame = found.bill(by=by)
        sums = tuple(frame[name].sum() for name in ("billed_pusd", "tokens", "attempts", "retries"))
        assert sums == charged
        assert frame["in_doubt_pusd"].sum() == 0
    for run in billed:
        told, spent = total(run), run_dir.read(run).spent
        assert told["tokens"] == spent.tokens
        assert told["billed_pusd"] + max(0, told["difference_pusd"] or 0) == spent.pusd, "the larger of the two"


def test_billed_and_replayed_together_are_the_list_price_of_what_was_read(billed: tuple[RunDir, RunDir]) -> None:
    for run in billed:
        rows = engine.open(run.db).bill(run.run_id, by=("condition_id",)).to_dicts()
        assert all(row["condition_id"] for row in rows)
        for row in rows:
            assert row["billed_pusd"] + row["replayed_pusd"] == row["list_pusd"] > 0
            assert not row["assumed"]


def test_a_replay_is_never_billed_and_a_purchase_never_replayed(billed: tuple[RunDir, RunDir]) -> None:
    first, second = map(total, billed)
    assert first["billed_pusd"] > 0 and second["replayed_pusd"] > 0
    rows = {row["role"]: row for row in engine.open(billed[1].db).bill(billed[1].run_id).to_dicts()}
    assert set(rows) == {"solve", "critique", "refine"}
    assert rows["solve"]["billed_pusd"] == 0 and rows["solve"]["attempts"] == 0 < rows["solve"]["calls"]
    assert rows["critique"]["billed_pusd"] > 0 and rows["critique"]["name"] == "m"


def test_retries_and_reported_costs_stand_beside_ours(billed: tuple[RunDir, RunDir]) -> None:
    (row,) = engine.open(billed[0].db).bill(billed[0].run_id).to_dicts()
    assert (row["retries"], row["attempts"]) == (1, row["retries"] + _purchases(billed[0]))
    assert row["provider_pusd"] == COST
    with Store(billed[0].db).reading() as connection:
        (ours,) = connection.execute(
            """select charged_pusd from attempts a join completions k on k.key = a.key || '@' || a.run_id
               where provider_cost_pusd is not null and a.outcome = 'ok'"""
        ).fetchone() or (None,)
    assert row["difference_pusd"] == COST - ours
    assert total(billed[1])["provider_pusd"] is None


def _purchases(run: RunDir) -> int:
    with Store(run.db).reading() as connection:
        counted = connection.execute("select count(*) from completions where run_id = ?", [run.run_id]).fetchone()
    return int(counted[0]) if counted else -1


def test_a_local_model_bills_nothing_and_its_list_price_is_assumed_or_unknown(tmp_path: Path) -> None:
    priced = '{name = "scripted/adder", prices = {input = 1.0, output = 2.0, assumed = true}}'
    for name, model in (("priced", priced), ("bare", '"scripted/adder"')):
        home = tmp_path / name
        home.mkdir()
        run = prepared(home, study_text(home, model))
        worker.run(run, quiet)
        told = total(run)
        assert (told["billed_pusd"], told["replayed_pusd"]) == (0, 0) and told["calls"] > 0
        assert (told["list_pusd"] is not None, told["assumed"]) == (name == "priced", name == "priced")


def test_an_attempt_without_outcome_is_in_doubt_and_not_billed(tmp_path: Path) -> None:
    with serving() as provider:
        provider.faults.extend([Fault("bad_json")])
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=2, more=CEILING))
        ended = worker.run(run, quiet, Retries(first_s=0))
    told = total(run)
    assert told["in_doubt_pusd"] == ended.in_doubt.pusd > 0
    assert told["billed_pusd"] == ended.spent.pusd and told["billed_pusd"] + told["replayed_pusd"] == told["list_pusd"]


def test_a_run_killed_and_resumed_is_billed_once(tmp_path: Path) -> None:
    """Replies bought before are this run's own purchase, not replays of somebody else's."""
    with serving() as provider:
        run = prepared(tmp_path, study_text(tmp_path, remote(provider), count=4, more=CEILING))
        worker.run(run, quiet)
        paid = total(run)
        run.db.unlink()
        worker.run(run, quiet)
    assert total(run) == paid


def test_the_command_shows_one_run_or_all_and_json(
    billed: tuple[RunDir, RunDir], capsys: pytest.CaptureFixture[str]
) -> None:
    db = ["--db", str(billed[0].db)]
    assert main([*db, "bill"]) == 0
    said = capsys.readouterr().out
    for part in ("critique", "billed", "replayed", "list price", "provider", "all", "less than was billed here"):
        assert part in said or part.replace("less", "more") in said
    assert main([*db, "bill", "last", "--by", "condition"]) == 0
    assert "self_refine" in capsys.readouterr().out
    assert main([*db, "bill", billed[0].run_id, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["run_id"] == billed[0].run_id and row["role"] == "solve"
    for wrong in (["--by", "weather"], ["nobody"]):
        assert main([*db, "bill", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UnknownName):
        engine.open(billed[0].db).bill(by=("weather",))


def test_an_empty_database_has_an_empty_bill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "empty.duckdb"
    Store(db).create()
    assert engine.open(db).bill().is_empty()
    assert main(["--db", str(db), "bill"]) == 0
    assert "Nothing was sent yet" in capsys.readouterr().out
