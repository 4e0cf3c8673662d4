"""Every verb that shows results shows one study when told: what it asked for, on its own questions."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest

import engine
from engine.cli import VERBS, main
from tests.support import stores

SHOW_RESULTS = {
    "report": ["report"],
    "curve": ["report", "--curve", "direct"],
    "advise": ["advise", "--reach", "10%", "--per-right"],
    "compare": ["compare", "direct", "OTHER"],
    "savings": ["savings", "direct", "OTHER", "--per-day", "10"],
}
"""Verbs that show numbers of settings, with what they need."""
WITHOUT = {"export", "bill", "estimate", "calibrate", "runs", "run", "resume"}
"""Verbs that read the database and show no setting beside another: whole tables, one run, money alone."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.two_studies(tmp_path_factory.mktemp("studies") / "results.duckdb")


def said(database: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    code = main([*argv, "--db", str(database)])
    out = capsys.readouterr()
    assert code == 0, out.err
    return out.out


def test_every_verb_that_asks_the_analysis_for_settings_takes_a_study():
    takes = set()
    for verb, (module, _) in VERBS.items():
        command = getattr(import_module(f"engine.cli.{module}"), verb.replace("-", "_"), None)
        if command is not None and "study" in {param.name for param in command.params}:
            takes.add(verb)
        elif command is not None and verb not in WITHOUT:
            source = inspect.getsource(command.callback)
            assert "results." not in source or "engine.open" not in source, verb
    assert {argv[0] for argv in SHOW_RESULTS.values()} <= takes


@pytest.mark.parametrize("name", SHOW_RESULTS)
@pytest.mark.parametrize(
    ("study", "other", "n"), [("wide", "chain_of_thought", 16), ("narrow", "self_consistency", 10)]
)
def test_a_verb_stands_on_the_questions_of_its_study(
    name: str, study: str, other: str, n: int, database: Path, capsys: pytest.CaptureFixture[str]
):
    argv = [other if word == "OTHER" else word for word in SHOW_RESULTS[name]]
    told = said(database, capsys, *argv, "--study", study)
    assert f" {n} " in told or f" {n}\n" in told, told
    assert f" {26 - n} " not in told


def test_the_report_of_all_studies_says_which_lists_there_are(database: Path, capsys: pytest.CaptureFixture[str]):
    told = said(database, capsys, "report")
    assert "not pooled" in told
    assert "10 questions (Narrow)" in told
    assert "16 questions (Wide)" in told
    assert "not pooled" in said(database, capsys, "advise", "--per-right")
    assert "not pooled" not in said(database, capsys, "report", "--study", "wide")


def test_the_report_as_data_has_each_setting_once(database: Path, capsys: pytest.CaptureFixture[str]):
    rows = json.loads(said(database, capsys, "report", "--json"))
    assert len({(row["strategy"], row["params"], row["budget"]) for row in rows}) == len(rows)
    assert {row["n_planned"] for row in rows} == {10}


def test_a_comparison_in_money_is_read_at_the_prices_that_are_asked_for(
    database: Path, capsys: pytest.CaptureFixture[str]
):
    argv = ["compare", "direct", "chain_of_thought", "--study", "wide"]
    dear = [*argv, "--prices", "scripted/adder=2000/6000"]
    by_price = [json.loads(said(database, capsys, *each, "--json"))["spend"]["usd"]["mean"] for each in (argv, dear)]
    assert by_price[0] != by_price[1] and by_price[1]
    assert "price of scripted/adder: $2,000 in, $6,000 out per million tokens" in said(database, capsys, *dear)


def test_a_study_that_is_not_there_is_named_with_its_neighbour(database: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", "--study", "wyde", "--db", str(database)]) != 0
    assert "wide" in capsys.readouterr().err
    assert main(["compare", "chain_of_thought", "direct", "--study", "narrow", "--db", str(database)]) != 0
    assert "chain_of_thought" in capsys.readouterr().err


def test_what_a_run_shows_at_its_end_is_its_own_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    db = stores.two_studies(tmp_path / "results.duckdb")
    text = (
        'name="narrow"\nbudgets=[32, 512]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\nstrategies=["direct"]\n'
    )
    (tmp_path / "narrow.toml").write_text(text)
    assert main(["run", str(tmp_path / "narrow.toml"), "--db", str(db)]) == 0
    assert " 10 " in capsys.readouterr().out
    # Nothing was left to buy, and still the study shows all it asked for.
    assert engine.open(db).cells(study="narrow")["n_planned"].unique().to_list() == [10]
